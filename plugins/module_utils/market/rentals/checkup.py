# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a rental needs of its marketplace, looked at before anybody rents. It only reads.

What a deploy would be refused is found by the rules that refuse it there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any, TypeVar

from ...common.answers import within
from ...common.checks import FAILED, NOTE, OK, UNKNOWN, Check
from ..clock import Clock
from ..errors import CredentialError, MarketError, ProviderUnavailable, RateLimited
from ..mark import ROOM_FOR_SEAL, check_length, check_name, check_word
from ..model import Account
from ..own import is_own
from ..providers.provider import HOST, NOBODY, PROVIDER, REAPER, Provider
from ..providers.registry import PROVIDERS
from ..secret import MAKE_ONE, is_short, refuse_short
from .account import PLAUSIBLE_OFFSET_SECONDS
from .enforcing import BY_VARIABLES, enforcer
from .lacking import lacking
from .means import credit_refusal, rights_refusal
from .options import (
    ACCOUNT_OPTIONS,
    HOST_KEYS_OPTION,
    given_secret,
    make_answers,
    make_provider,
    seal_of,
)

CHECKUP_OPTIONS: dict[str, Any] = {
    **ACCOUNT_OPTIONS,
    "name": {"type": "str", "required": True},
    "host_keys": HOST_KEYS_OPTION,
    "no_deadline": {"type": "bool", "default": False},
    "reaper": {"type": "bool", "default": False},
    "allow_unenforced_deadline": {"type": "bool", "default": False},
}

#: The names of the checks of an account, in the order in which they are told.
API, CREDENTIALS, RIGHTS, BALANCE, CLOCK = "api", "credentials", "rights", "balance", "clock"
_OF_THE_ACCOUNT = (API, CREDENTIALS, RIGHTS, BALANCE, CLOCK)
#: Hosts of one run look at about the same time. Whoever runs it again wants a new answer.
_SHARED_FOR_SECONDS = 10.0
#: All tries of one call, and its wait for a turn, whatever the address does.
_PATIENCE_SECONDS = 60.0
#: Dates are in whole seconds, and answers take some of their own.
_UNREMARKABLE_OFFSET_SECONDS = 30.0
_RIGHTS_REMEDY = "See what it must be allowed in docs/providers.md of inferops.gpu."

#: Who ends a rental at its deadline, as a sentence.
_ENDED_BY = {
    HOST: "A switch that goes along with the rental request ends a rental at its deadline.",
    PROVIDER: "The provider itself ends a rental at its deadline.",
    REAPER: "Playbook inferops.gpu.reap ends a rental at its deadline: inferops_reaper says that "
    "it runs regularly, which nobody looks at here.",
}

Answer = TypeVar("Answer")


def market_checks(given: Mapping[str, Any], clock: Clock) -> Iterator[Check]:
    """What there is to say of scope, account and marketplace; nothing raises.

    *given* has the shape of CHECKUP_OPTIONS. For hosts of the user's own that is the scope alone.
    """
    yield from _scope(given)
    if is_own(given["provider"]):
        return
    yield _secret(given)
    yield from account_checks(given, clock)
    kind = PROVIDERS[given["provider"]]
    yield _deadline(kind, given)
    for sentence in lacking(kind, given["host_keys"]):
        yield Check("provider", NOTE, sentence)


# What follows from the variables alone.


def _scope(given: Mapping[str, Any]) -> Iterator[Check]:
    """Whether scope and name can mark a rental there."""
    scope, provider = given["scope"], given["provider"]
    if not scope:
        yield Check(
            "scope",
            FAILED,
            "inferops_scope is not set, so no rental would be known to be yours.",
            "Name the set of rentals that this fleet owns, such as prod.",
        )
        return
    try:
        check_word("Scope", scope)
        check_name(given["name"])
        if not is_own(provider):
            most = PROVIDERS[provider].label_length
            check_length(scope, given["name"], most, bool(seal_of(given)))
    except ValueError as error:
        yield Check("scope", FAILED, str(error), "Set inferops_scope, or name the host, otherwise.")
        return
    yield Check("scope", OK, f"{scope}, which with the host's name can mark a rental.")


def _secret(given: Mapping[str, Any]) -> Check:
    """Whether others could guess what host keys and seals are made of."""
    secret = given_secret(given)
    if is_short(secret):
        try:
            refuse_short(secret)
        except MarketError as error:
            return Check("scope secret", FAILED, error.cause, error.remedy)
    if not secret:
        return Check(
            "scope secret",
            NOTE,
            "None is set: host keys follow from what the account logs in with, and marks have no "
            "seal.",
            f"{MAKE_ONE}, and set inferops_scope_secret to it.",
        )
    if PROVIDERS[given["provider"]].label_length < ROOM_FOR_SEAL:
        told = f"It is set; marks at {given['provider']} have no room for a seal."
        return Check("scope secret", NOTE, told)
    return Check("scope secret", OK, "It is set, and long enough.")


def _deadline(kind: type[Provider], given: Mapping[str, Any]) -> Check:
    """Who would end a rental at its deadline."""
    if given["no_deadline"]:
        return Check(
            "deadline", NOTE, "There is none (rent_no_deadline): a rental bills until you end it."
        )
    accepted = given["allow_unenforced_deadline"]
    try:
        who = enforcer(1, kind.enforces_deadline, given["reaper"], accepted)
    except MarketError as error:
        return Check("deadline", FAILED, error.cause, BY_VARIABLES)
    if who == NOBODY:
        told = "Nobody ends a rental at its deadline, as inferops_allow_unenforced_deadline says."
        return Check("deadline", NOTE, told)
    return Check("deadline", OK, _ENDED_BY[who])


# What the account is asked for.


def account_checks(given: Mapping[str, Any], clock: Clock) -> list[Check]:
    """What the marketplace says. Hosts of one run with the same account share it."""
    try:
        provider = make_provider(given, clock)
    except CredentialError as error:
        return _account_unknown("it cannot be asked without credentials", CREDENTIALS, error)
    except MarketError as error:
        return _account_unknown("it cannot be asked", API, error)
    try:
        with make_answers(given).locked() as kept:
            if not _is_fresh(kept, clock):
                kept.clear()
                told = [asdict(one) for one in Asked(provider).checks()]
                kept.update(asked_at=clock.now(), checks=told)
            return [Check(**one) for one in kept["checks"]]
    except (OSError, TypeError, KeyError):
        return Asked(provider).checks()


def _is_fresh(kept: Mapping[str, Any], clock: Clock) -> bool:
    asked_at, now = kept.get("asked_at"), clock.now()
    return isinstance(asked_at, (int, float)) and now - _SHARED_FOR_SECONDS <= asked_at <= now


def _account_unknown(why: str, failed: str, error: MarketError) -> list[Check]:
    """The checks where one failed before anybody was asked."""
    unknown = {name: Check(name, UNKNOWN, f"Not looked at: {why}.") for name in _OF_THE_ACCOUNT}
    unknown[failed] = Check(failed, FAILED, error.cause, error.remedy)
    return list(unknown.values())


class Asked:
    """What one account was answered, and what follows from it."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    def checks(self) -> list[Check]:
        """One for each name of an account's checks."""
        provider = self._provider
        try:
            _in_time(provider.check_credential)
        except RateLimited as error:
            return self._unanswered(error, UNKNOWN)
        except ProviderUnavailable as error:
            return self._unanswered(error, FAILED)
        except MarketError as error:
            credentials = Check(CREDENTIALS, FAILED, error.cause, error.remedy)
            unknown = f"Not known before {provider.name} takes the credentials."
            rights, balance = (Check(name, UNKNOWN, unknown) for name in (RIGHTS, BALANCE))
        else:
            credentials = Check(CREDENTIALS, OK, f"{provider.name} takes them.")
            account, why = self._account()
            rights, balance = self._rights(account, why), self._balance(account, why)
        return [self._api(), credentials, rights, balance, self._clock()]

    def _unanswered(self, error: MarketError, state: str) -> list[Check]:
        told = "Not known before the API answers."
        unknown = [Check(name, UNKNOWN, told) for name in _OF_THE_ACCOUNT if name != API]
        return [Check(API, state, error.cause, error.remedy), *unknown]

    def _api(self) -> Check:
        seconds = self._provider.latency_seconds
        took = "" if seconds is None else f", within {max(seconds * 1000, 1):.0f} ms at best"
        return Check(API, OK, f"The API of {self._provider.name} answers{took}.")

    def _account(self) -> tuple[Account, str]:
        """What is told of the account; and why not, where nothing is."""
        if not self._provider.tells_account:
            return Account(), f"{self._provider.name} does not tell it."
        try:
            return _in_time(self._provider.account), f"{self._provider.name} has not told it."
        except MarketError as error:
            return Account(), error.cause

    def _rights(self, account: Account, why: str) -> Check:
        refusal = rights_refusal(account)
        if refusal:
            return Check(RIGHTS, FAILED, refusal.cause, refusal.remedy)
        if account.may_rent:
            return Check(RIGHTS, OK, "The key may rent.")
        told = f"Nobody knows whether the key may rent: {why}"
        return Check(RIGHTS, UNKNOWN, told, _RIGHTS_REMEDY)

    def _balance(self, account: Account, why: str) -> Check:
        refusal = credit_refusal(account, self._provider.console_url)
        if refusal:
            return Check(BALANCE, FAILED, refusal.cause, refusal.remedy)
        if account.credit_usd is not None:
            return Check(BALANCE, OK, f"{account.credit_usd:.2f} dollars of credit.")
        return Check(
            BALANCE,
            UNKNOWN,
            f"Nobody knows what the account has: {why}",
            f"See {self._provider.console_url}",
        )

    def _clock(self) -> Check:
        """The controller's clock against the provider's; of one odd date another one is asked."""
        if abs(self._provider.clock_offset_seconds) > PLAUSIBLE_OFFSET_SECONDS:
            with suppress(MarketError):
                _in_time(self._provider.check_credential)
        ahead = -self._provider.clock_offset_seconds
        if ahead == 0:
            return Check(CLOCK, UNKNOWN, f"{self._provider.name} does not tell the time.")
        apart = f"{abs(ahead):.0f} seconds {'ahead of' if ahead > 0 else 'behind'}"
        told = f"The clock of this machine is {apart} that of {self._provider.name}."
        if abs(ahead) <= _UNREMARKABLE_OFFSET_SECONDS:
            return Check(CLOCK, OK, f"This machine and {self._provider.name} agree on the time.")
        state = FAILED if abs(ahead) > PLAUSIBLE_OFFSET_SECONDS else NOTE
        return Check(
            CLOCK,
            state,
            told,
            "Set it, as by NTP (timedatectl set-ntp true): certificates, logs and what controllers "
            "share go by it.",
        )


def _in_time(ask: Callable[[], Answer]) -> Answer:
    """What *ask* returns; ProviderUnavailable where that takes too long."""
    try:
        return within(_PATIENCE_SECONDS, ask)
    except TimeoutError as error:
        raise ProviderUnavailable(
            f"No answer came within {_PATIENCE_SECONDS:.0f} seconds.",
            remedy="Check the network, inferops_api_url and the provider's status page.",
        ) from error
