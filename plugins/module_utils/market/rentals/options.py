# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options that every market module shares, and what they make."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, Callable, Optional

from ...common.addresses import is_closed
from ...common.hiding import without_login
from ..clock import Clock
from ..countries import country_code
from ..errors import CredentialError, RequestRefused
from ..mark import ROOM_FOR_SEAL, Seal
from ..model import HostImage, Offer
from ..offers.minutes import slowest_line
from ..offers.ranking import ImageFor, Usage, no_image
from ..offers.shared_search import SharedSearch
from ..own import OWN, is_own, refuse_own
from ..providers.pace import Pace
from ..providers.provider import Credential, Provider
from ..providers.registry import DEFAULT_PROVIDER, PROVIDERS
from ..shared_file import MOMENTS_SECONDS, PATIENCE_SECONDS, SharedFile
from ..trail import Trail, Who
from ..wish import Wish, version_key
from .budget import Budget
from .claims import Claims
from .lifecycle import Lifecycle
from .means import Means
from .shared_listing import SharedListing

#: What any provider logs in with.
CREDENTIALS: dict[str, Any] = {
    credential.option: {"type": "str", "no_log": True}
    for kind in PROVIDERS.values()
    for credential in kind.credentials
}
#: What an account consists of beside its provider.
_OF_AN_ACCOUNT = (*CREDENTIALS, "api_url")

MARKET_OPTIONS: dict[str, Any] = {
    "provider": {"type": "str", "choices": sorted((*PROVIDERS, *OWN)), "default": DEFAULT_PROVIDER},
    **CREDENTIALS,
    "api_url": {"type": "str"},
    "accounts": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "provider": {"type": "str", "choices": sorted(PROVIDERS), "required": True},
            **CREDENTIALS,
            "api_url": {"type": "str"},
        },
    },
    "controller_dir": {"type": "path", "default": "~/.ansible/inferops"},
}

#: What is written down of what is spent, and bounds it.
SPENDING_OPTIONS: dict[str, Any] = {
    "audit_path": {"type": "path"},
    "operator": {"type": "str"},
    "job": {"type": "str"},
    "monthly_budget_usd": {"type": "float", "default": 0.0},
}

#: Which rentals are meant, and what their host keys are derived from. Every market module takes all
#: of these options, so that module_defaults of the action group give an account once.
ACCOUNT_OPTIONS: dict[str, Any] = {
    **MARKET_OPTIONS,
    "scope": {"type": "str"},
    "scope_secret": {"type": "str", "no_log": True},
    **SPENDING_OPTIONS,
}
_SECRET_ENV = "INFEROPS_SCOPE_SECRET"

#: Which keys a host may show when it is first connected to.
HOST_KEYS_OPTION: dict[str, Any] = {
    "type": "str",
    "choices": ["delivered", "first_contact"],
    "default": "delivered",
}

WISH_OPTIONS: dict[str, Any] = {
    "gpu_names": {"type": "list", "elements": "str", "default": []},
    "gpu_count": {"type": "int", "default": 1},
    "vram_gib": {"type": "float"},
    "least_vram_gib": {"type": "float", "default": 0.0},
    "disk_gib": {"type": "int"},
    "least_disk_gib": {"type": "float", "default": 0.0},
    "compute_capability": {"type": "str"},
    "driver_version": {"type": "str"},
    "least_driver_version": {"type": "str"},
    "older_driver_will_do": {"type": "bool", "default": False},
    "max_price_usd_per_hour": {"type": "float"},
    "min_reliability": {"type": "float"},
    "min_download_mbit_per_second": {"type": "float"},
    "countries": {"type": "list", "elements": "str", "default": []},
    "verified": {"type": "bool"},
    "duration_hours": {"type": "float"},
    "least_duration_hours": {"type": "float", "default": 0.0},
    "filter": {"type": "str"},
    "exclude_machines": {"type": "list", "elements": "str", "default": []},
    "expected_hours": {"type": "float", "default": 24.0},
    "download_gib": {"type": "float", "default": 10.0},
    "model_gib": {"type": "float"},
    "compiles": {"type": "bool", "default": True},
    "image_gib": {"type": "float"},
    "engine": {
        "type": "dict",
        "options": {
            "name": {"type": "str", "required": True},
            "accelerator": {"type": "str", "choices": ["cuda", "cpu"], "default": "cuda"},
            "release": {"type": "str", "default": "auto"},
            "least_release": {"type": "str", "default": ""},
        },
    },
    "wait_usd_per_hour": {"type": "float", "default": 5.0},
    "history_path": {"type": "path"},
}

#: Tells the release and the CUDA that a host would get, from what an offer tells and the wishes of
#: option ``engine``; None where nobody knows.
ReleaseOn = Callable[[Mapping[str, Any], Mapping[str, Any]], Optional[tuple[str, str]]]


def accounts_of(options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The options once for each account that they name, as if it were the only one.

    Raises RequestRefused for a provider that is named twice, and for several accounts without a
    secret of the scope: keys that follow from one of them would not be known to who asks another.
    """
    accounts = options.get("accounts") or []
    if not accounts:
        return [dict(options)]
    names = [account["provider"] for account in accounts]
    if len(set(names)) < len(names):
        raise RequestRefused(
            f"accounts names a provider twice: {', '.join(names)}.",
            remedy="Give each one account (inferops_accounts).",
            money="Nothing was rented.",
        )
    if len(accounts) > 1 and not given_secret(options):
        raise RequestRefused(
            "Several accounts have no secret in common that keys could follow from.",
            remedy="Set scope_secret (inferops_scope_secret), such as openssl rand -base64 30 "
            "prints.",
            money="Nothing was rented.",
        )
    return [
        {
            **options,
            "accounts": [],
            "provider": account["provider"],
            **{option: account.get(option) for option in _OF_AN_ACCOUNT},
        }
        for account in accounts
    ]


def account_at(options: Mapping[str, Any], provider: str | None) -> dict[str, Any]:
    """The options with the account at *provider*, or with the only one there is.

    Raises RequestRefused where it is not among several.
    """
    accounts = accounts_of(options)
    for account in accounts:
        if len(accounts) == 1 or account["provider"] == provider:
            return account
    raise RequestRefused(
        f"There is no account at {provider or 'a provider that nobody names'} among "
        f"{', '.join(account['provider'] for account in accounts)}.",
        remedy="Name its provider (id_provider), or add its account (inferops_accounts).",
        money="Nothing was changed.",
    )


def make_provider(options: Mapping[str, Any], clock: Clock | None = None) -> Provider:
    """The provider that *options* name; raises CredentialError without what it logs in with.

    Raises RequestRefused where they name none, for hosts of the user's own, and for an address to
    which what it logs in with must not go.
    """
    refuse_own(options["provider"])
    kind = PROVIDERS[options["provider"]]
    _refuse_open_address(options)
    clock = clock or Clock.from_environment()
    pace = Pace(_shared_file(options, "pace"), kind.seconds_between, clock)
    provider = kind(_credentials(options), _api_url(options), pace, clock)
    provider.seal = seal_of(options)
    return provider


def seal_of(options: Mapping[str, Any]) -> Seal:
    """What the marks of a scope are sealed with; none where they have no room for it."""
    kind = PROVIDERS[options["provider"]]
    return Seal(given_secret(options) if kind.label_length >= ROOM_FOR_SEAL else "")


def make_search(options: Mapping[str, Any], provider: Provider, clock: Clock) -> SharedSearch:
    """Searches that the controller's processes share."""
    return SharedSearch(provider, _shared_file(options, "search"), clock)


def make_image_for(
    options: Mapping[str, Any], provider: Provider, release_on: ReleaseOn
) -> ImageFor:
    """Which image has the engine that is asked for, by offer; none where another image is."""
    engine = options["engine"]
    images = provider.engine_images.get(engine["name"]) if engine else None
    if images is None or options.get("image") or options["image_gib"] is not None:
        return no_image

    def image_for(offer: Offer) -> HostImage | None:
        known = release_on(offer.to_dict(), engine)
        return images.of(*known) if known else None

    return image_for


def make_lifecycle(
    options: Mapping[str, Any],
    provider: Provider,
    clock: Clock,
    notify: Callable[[str], None] = lambda line: None,
    warn: Callable[[str], None] = lambda sentence: None,
    budget: Budget | None = None,
) -> Lifecycle:
    """The lifecycle of the scope in *options*, sharing with the controller's other processes.

    *warn* gets a sentence for each line that the audit trail misses. *budget* is that of all the
    accounts of one call.
    """
    if not options["scope"]:
        raise RequestRefused(
            "scope is not set, so no rental is known to be yours.",
            remedy="Name the set of rentals that this fleet owns, such as prod.",
        )
    lifecycle = Lifecycle(
        provider,
        options["scope"],
        clock,
        SharedListing(_shared_file(options, "listing", provider.seal.fingerprint), clock),
        Claims(_shared_file(options, "claims"), clock),
        notify,
        make_search(options, provider, clock),
        make_trail(options, warn),
        budget,
    )
    if budget:
        budget.accounts.append(lifecycle.account)
    return lifecycle


def make_trail(
    options: Mapping[str, Any], warn: Callable[[str], None] = lambda sentence: None
) -> Trail:
    """The audit trail that *options* name, if they name one."""
    who = Who.of(options.get("operator"), options.get("job"))
    return Trail.at(options.get("audit_path"), who, warn)


def make_budget(options: Mapping[str, Any]) -> Budget | None:
    """What the scope may spend in a month; None where nothing bounds that."""
    usd = options.get("monthly_budget_usd") or 0.0
    return Budget(usd, options["scope"]) if usd else None


def make_means(options: Mapping[str, Any], provider: Provider, clock: Clock) -> Means:
    """What the account could do, shared with the controller's other processes."""
    return Means(provider, _shared_file(options, "account"), clock)


def make_answers(options: Mapping[str, Any]) -> SharedFile:
    """What playbook doctor has been answered for one host, for the other hosts of its run."""
    return _shared_file(options, "checkup")


def given_secret(options: Mapping[str, Any]) -> str:
    """The scope's own secret; empty where it has none.

    Marks are sealed with this alone: API keys change, and each controller may have its own.
    """
    return str(options.get("scope_secret") or os.environ.get(_SECRET_ENV) or "")


def scope_secret(options: Mapping[str, Any]) -> str:
    """The secret that the scope's host keys are derived from.

    A given one, or what the provider is logged in to with.
    """
    secret = given_secret(options) or " ".join(_credentials(options).values())
    if not secret:
        raise RequestRefused(
            f"Provider {options['provider']} has no key that other keys could be derived from.",
            remedy=f"Set scope_secret, or the environment variable {_SECRET_ENV}.",
        )
    return secret


def check_credentials(options: Mapping[str, Any]) -> None:
    """Raise CredentialError where what a provider logs in with is missing or cannot be one.

    Raises RequestRefused where everybody on its way could read it.
    """
    for account in accounts_of(options):
        if _credentials(account):
            _refuse_open_address(account)


def _credentials(options: Mapping[str, Any]) -> dict[str, str]:
    """What the provider logs in with, by option. Raises CredentialError for what is missing."""
    if is_own(options["provider"]):
        return {}
    kind = PROVIDERS[options["provider"]]
    found = {}
    for credential in kind.credentials:
        value = _credential(kind.name, credential, options)
        if value:
            found[credential.option] = value
    return found


def _credential(provider: str, credential: Credential, options: Mapping[str, Any]) -> str:
    set_here = (os.environ.get(name, "") for name in credential.environment)
    value = str(options.get(credential.option) or next(filter(None, set_here), ""))
    if not value and credential.required:
        variables = " or ".join(credential.environment)
        raise CredentialError(
            f"Provider {provider} needs {credential.option}.",
            remedy=f"Set the environment variable {variables} on the controller, "
            f"or {credential.option} (variable inferops_{credential.option}).",
        )
    # A stray line break would end in the text of an error about the header that carries it.
    if not value.isascii() or any(not sign.isprintable() or sign.isspace() for sign in value):
        raise CredentialError(
            f"The {credential.option} for {provider} holds a blank, a line break or another sign "
            "that no key has.",
            remedy="Set it again without.",
        )
    return value


def _refuse_open_address(options: Mapping[str, Any]) -> None:
    """Raise RequestRefused for a marketplace that others could read the account's key to."""
    url = _api_url(options)
    if is_closed(url):
        return
    name = PROVIDERS[options["provider"]].url_env
    raise RequestRefused(
        f"{without_login(url)} is not https, and whoever listens on the way to it would have the "
        f"account's key at {options['provider']}.",
        remedy="Give the API's https address (api_url, inferops_api_url, or the environment "
        f"variable {name}), or forward a port of this machine to it, such as by ssh -L.",
        money="Nothing was sent.",
    )


def _api_url(options: Mapping[str, Any]) -> str:
    kind = PROVIDERS[options["provider"]]
    return str(options.get("api_url") or os.environ.get(kind.url_env) or kind.default_url)


def _shared_file(options: Mapping[str, Any], what: str, whose: str = "") -> SharedFile:
    """A file that all processes of this controller with the same account share.

    Those who believe other marks see other rentals: *whose* tells them apart.
    """
    account = " ".join((_api_url(options), *_credentials(options).values())).encode()
    folder = f"{options['provider']}-{hashlib.sha256(account).hexdigest()[:12]}"
    path = os.path.join(options["controller_dir"], "market", folder, f"{what}{whose}.json")
    # Who asks the provider for all holds these meanwhile; the others are held for moments.
    waits = what in ("listing", "search", "account", "checkup")
    return SharedFile(path, PATIENCE_SECONDS if waits else MOMENTS_SECONDS)


def with_usual(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options, with what is usual at their provider where they were left open."""
    usual = asdict(PROVIDERS[options["provider"]].usual)
    left_open = {name for name in usual if name in options and options[name] is None}
    filled = {**options, **{name: usual[name] for name in left_open}}
    if "disk_gib" in left_open:
        filled["disk_gib"] = max(filled["disk_gib"], math.ceil(options["least_disk_gib"]))
    if "least_vram_gib" in filled:
        filled |= _needed(filled)
    longest = usual["longest_download_hours"]
    if longest and "download_gib" in filled and filled["min_download_mbit_per_second"] is None:
        gib = filled["image_gib"] + filled["download_gib"]
        filled["min_download_mbit_per_second"] = slowest_line(gib, longest)
    return filled


def _needed(options: Mapping[str, Any]) -> dict[str, Any]:
    """The limits that follow from what will run, and for how long; None is no limit."""
    hours = max(options["duration_hours"] or 0.0, options["least_duration_hours"])
    return {
        "vram_gib": max(options["vram_gib"] or 0.0, options["least_vram_gib"]) or None,
        "driver_version": _driver(options),
        "duration_hours": hours or None,
    }


def _driver(options: Mapping[str, Any]) -> str | None:
    """The least driver to search by: no older one than is needed, unless that will do."""
    asked: str | None = options["driver_version"]
    needed: str | None = options["least_driver_version"]
    if not asked or not needed:
        return asked or needed or None
    will_do = options["older_driver_will_do"] or version_key(asked) >= version_key(needed)
    return asked if will_do else needed


def make_wish(options: Mapping[str, Any]) -> Wish:
    """The wish in *options*, which have the shape of WISH_OPTIONS and what is usual in them.

    Raises RequestRefused for a country that is none.
    """
    given: dict[str, Any] = {}
    for field in fields(Wish):
        value = options[field.name]
        given[field.name] = _words(value) if isinstance(value, list) else value
    given["countries"] = tuple(map(country_code, given["countries"]))
    return Wish(**given)


def _words(values: list[Any]) -> tuple[str, ...]:
    """What a list holds; one that was given as text has blanks around its words, or none at all."""
    return tuple(word for word in (str(value).strip() for value in values) if word)


def make_usage(options: Mapping[str, Any]) -> Usage:
    """What the rental is expected to do, from *options* in the shape of WISH_OPTIONS.

    Raises RequestRefused for waiting that would be worth less than nothing.
    """
    if not 0 <= options["wait_usd_per_hour"] < math.inf:
        raise RequestRefused(
            f"wait_usd_per_hour is {options['wait_usd_per_hour']}, and waiting is worth dollars.",
            remedy="Set it to what an hour of it is worth to you, or to 0.",
            money="Nothing was rented.",
        )
    return Usage(
        hours=options["expected_hours"],
        download_gib=options["download_gib"],
        image_gib=options["image_gib"],
        model_gib=options["model_gib"],
        compiles=options["compiles"],
        wait_usd_per_hour=options["wait_usd_per_hour"],
    )
