# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Waiting for a rental to run and to let us in: how long, what ends it early, who is to blame."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from ..access import ssh_probe
from ..access.ssh_probe import BLACK_HOLED, CONNECT, FIRST_KEY, HOST_KEY, LOGIN, Login, Probe
from ..clock import Clock
from ..errors import HostFault, MarketError, ProviderUnavailable, RequestRefused
from ..model import FAILED, RUNNING, SILENT, STOPPED, Endpoint, HostKey, Rental, rate_of
from ..providers.provider import Provider
from .images import ImageRefusal, image_refusal, image_refused

#: A healthy host needed more than twice the time that its bandwidth promised; some boot three times
#: as slowly as they did before.
_SAFETY = 3.0
#: Patience for the slowest of the hosts that pass the usual filters.
_UNTOLD_MBIT_PER_SECOND = 100.0
_MBIT_PER_GIB = 8589.93
_UNPACK_SECONDS_PER_GIB = 20.0
_SCHEDULE_SECONDS = 180.0
_LEAST_SHARE = 0.75
_LEAST_RUNNING_SECONDS, _MOST_RUNNING_SECONDS = 300.0, 3600.0
#: Installing sshd where the image has none, and the 10 to 15 s until an attached key works.
_SSH_SECONDS = 300.0

#: A host that has the image runs within seconds, and each second until that is seen is paid.
_QUICK_SECONDS, _QUICK_POLL_SECONDS = 60.0, 2.0
_RUNNING_POLL_SECONDS = 5.0
_SSH_POLL_SECONDS = 1.0
#: While SSH is tried, the provider is asked this often whether the rental still runs.
_LOOK_EVERY_SECONDS = 15.0
_TELL_EVERY_SECONDS = 60.0

#: A host that is older than a boot takes may serve while its status lags: its way in is tried at
#: once, and that of a younger one when it has had this time; then again after each pause.
_STATUS_LAGS_SECONDS = 300.0
_TRY_EVERY_SECONDS = 30.0
#: A state that ends the wait must be seen for so long, so at least twice: listings waver.
_ENDED_SECONDS = 4.0
_SILENT_SECONDS = 60.0
_VANISHED_SECONDS = 30.0
_BLACK_HOLED_SECONDS = 90.0
_LOGIN_REFUSED_SECONDS = 60.0
_MOST_REATTACHMENTS = 2
#: A run that lives replaces the first host key within seconds once SSH answers.
_UNREPLACED_SECONDS = 60.0
#: For so long after its request a rental may still show the key that came with it.
YOUNG_SECONDS = 3600.0


@dataclass(frozen=True)
class ReadyLimits:
    """How long a rental may take until it runs, and from then until SSH is ready."""

    running_seconds: float
    ssh_seconds: float


def ready_limits(
    image_gib: float,
    download_mbit_per_second: float | None,
    history_boot_seconds: float | None = None,
    expected_seconds: float | None = None,
) -> ReadyLimits:
    """The time that a healthy host may need; a bandwidth that is not told counts as 100 Mbit/s.

    Running: three times the image's size over the bandwidth, 20 s for each GiB to unpack and 180 s
    to be scheduled, and never less than three times what the whole offer lets expect. Where earlier
    boots are known, three times their seconds instead, yet at least three quarters of the former:
    they may have found the image on the disk. From 5 to 60 minutes.

    SSH: 300 s and a quarter of the former, because a slow host is slow in everything.
    """
    bandwidth = download_mbit_per_second or _UNTOLD_MBIT_PER_SECOND
    download_seconds = image_gib * _MBIT_PER_GIB / bandwidth
    seconds = _SAFETY * download_seconds + _UNPACK_SECONDS_PER_GIB * image_gib + _SCHEDULE_SECONDS
    seconds = max(seconds, _SAFETY * (expected_seconds or 0.0))
    if history_boot_seconds:
        seconds = max(_SAFETY * history_boot_seconds, _LEAST_SHARE * seconds)
    running_seconds = min(max(seconds, _LEAST_RUNNING_SECONDS), _MOST_RUNNING_SECONDS)
    return ReadyLimits(round(running_seconds), round(_SSH_SECONDS + running_seconds / 4))


@dataclass(frozen=True)
class Reached:
    """A rental that let us in: the way that worked and the host key that was shown there."""

    rental: Rental
    endpoint: Endpoint
    host_key: str


class Waiter:
    """Waits for rentals of one provider. ``notify`` gets a line for each news, and every minute.

    A host that is to blame raises HostFault, what the user must change RequestRefused, and a
    provider that gives no answer until the end ProviderUnavailable.
    """

    def __init__(
        self,
        provider: Provider,
        clock: Clock,
        notify: Callable[[str], None],
        probe: Callable[[Endpoint, Login], Probe] = ssh_probe.probe,
        replace_host_key: Callable[[Endpoint, Login, HostKey], Probe] = ssh_probe.replace_host_key,
        expected_seconds: float | None = None,
    ) -> None:
        self._provider = provider
        self._clock = clock
        self._notify = notify
        self._probe = probe
        self._replace_host_key = replace_host_key
        self._expected = f" of {expected_seconds:.0f} s expected" if expected_seconds else " s"
        self._told: tuple[str, float] = ("", 0.0)

    def until_running(
        self,
        rental_id: str,
        limits: ReadyLimits,
        login_for: Callable[[Rental], Login] | None = None,
    ) -> Rental:
        """The rental, once it runs and there is a way to its SSH, or that way lets us in.

        A status may be behind, so nothing is given up before its way in was tried with what
        *login_for* returns for it.
        """
        watch = _Watch(self._provider, rental_id, self._clock)
        tried_at = self._clock.monotonic()
        for waited in self._clock.ticks(limits.running_seconds, _running_poll_seconds):
            now = self._clock.monotonic()
            rental = watch.look(now)
            self._tell(f"rental {rental_id} is {watch.text}", waited, self._expected)
            if rental and rental.status == RUNNING and rental.ssh:
                return rental
            due = now - tried_at >= _TRY_EVERY_SECONDS or (waited == 0 and watch.may_serve)
            if rental and login_for and (watch.lost or due):
                tried_at = now
                if self._lets_in(rental, login_for(rental)):
                    self._notify(f"rental {rental_id} is shown as {watch.text}, and lets us in")
                    return rental
            if watch.lost:
                raise watch.lost
        if watch.unanswered:
            raise watch.unanswered
        raise HostFault(
            f"Rental {rental_id} did not run within {limits.running_seconds:.0f} s; last seen: "
            f"{watch.text}.",
            remedy="Release it and take another offer; for a large image raise image_gib.",
            stage="boot",
            # A bare status is every slow machine's; with words behind it, it has a cause.
            sign=f"boot: {watch.text}" if ": " in watch.text else "",
            money=watch.money,
        )

    def until_ssh(
        self,
        rental: Rental,
        login: Login,
        ssh_public_key: str,
        limits: ReadyLimits,
        new_host_key: HostKey | None = None,
    ) -> Reached:
        """The way in, once a command has run over a fresh connection.

        *new_host_key* replaces any other expected key that the host shows.
        """
        watch = _Watch(self._provider, rental.id, self._clock, rental)
        access = _Access(self._provider, rental.id, ssh_public_key, self._notify)
        looked_at = self._clock.monotonic()
        for waited in self._clock.ticks(limits.ssh_seconds, _SSH_POLL_SECONDS):
            if self._clock.monotonic() - looked_at >= _LOOK_EVERY_SECONDS:
                looked_at = self._clock.monotonic()
                rental = watch.look(looked_at) or rental
            access.attach()
            tried = {}
            for endpoint in rental.ssh:
                tried[endpoint] = seen = self._visit(endpoint, login, new_host_key)
                if seen.ready:
                    return Reached(rental, endpoint, seen.host_key)
            if watch.lost:
                raise watch.lost
            access.judge(tried, self._clock.monotonic(), watch)
            self._tell(f"SSH waits: {access.stages()}", waited)
        if watch.unanswered:
            raise watch.unanswered
        raise HostFault(
            f"Rental {rental.id} runs, but SSH was not ready within {limits.ssh_seconds:.0f} s: "
            f"{access.details()}.",
            remedy=access.remedy,
            stage=access.failed_at,
            blame=access.blame,
            sign=access.sign,
            money=watch.money,
        )

    def _lets_in(self, rental: Rental, login: Login) -> bool:
        return any(self._probe(endpoint, login).ready for endpoint in rental.ssh)

    def _visit(self, endpoint: Endpoint, login: Login, new_host_key: HostKey | None) -> Probe:
        seen = self._probe(endpoint, login)
        if not seen.ready or new_host_key is None or seen.host_key not in login.expected_keys[1:]:
            return seen
        self._notify("replacing the host key that came with the rental request")
        return self._replace_host_key(endpoint, login, new_host_key)

    def _tell(self, line: str, waited: float, unit: str = " s") -> None:
        """Pass on what is new, and every minute what is not."""
        said, at = self._told
        if line != said or not 0 <= waited - at < _TELL_EVERY_SECONDS:
            self._notify(f"{line} ({waited:.0f}{unit})")
            self._told = (line, waited)


def _running_poll_seconds(waited: float) -> float:
    return _QUICK_POLL_SECONDS if waited < _QUICK_SECONDS else _RUNNING_POLL_SECONDS


def age_seconds(rental: Rental, provider: Provider, clock: Clock) -> float:
    """How long ago *rental* began, by its provider's clock, which has told when that was."""
    return clock.now() + provider.clock_offset_seconds - rental.since


class _Lasting:
    """For how long something has been so."""

    def __init__(self) -> None:
        self._since: float | None = None

    def seconds(self, holds: bool, now: float) -> float:
        """For how long it has held without a break by *now*; 0 when it does not hold now."""
        if not holds:
            self._since = None
        elif self._since is None:
            self._since = now
        return 0.0 if self._since is None else now - self._since


class _Watch:
    """Looks at a rental from time to time, and tells when it is lost by its status."""

    def __init__(
        self, provider: Provider, rental_id: str, clock: Clock, seen: Rental | None = None
    ) -> None:
        self._provider = provider
        self._rental_id = rental_id
        self._clock = clock
        self._seen = seen
        self._ended = _Lasting()
        self._refused = _Lasting()
        self._vanished = _Lasting()
        self._silent = _Lasting()
        #: Why the last look brought no answer.
        self.unanswered: MarketError | None = None
        #: Why the last look says that no waiting helps.
        self.lost: MarketError | None = None
        self.text = "never seen"

    @property
    def money(self) -> str:
        """What is at stake."""
        if self._seen is None:
            return f"Rental {self._rental_id} may bill."
        return f"It bills {rate_of(self._seen)} until it is released."

    @property
    def may_serve(self) -> bool:
        """Whether it is older than a boot takes."""
        return bool(self._seen and self._seen.since) and self._age() >= _STATUS_LAGS_SECONDS

    @property
    def is_young(self) -> bool:
        """Whether its rental request was made a short time ago, by the provider's clock."""
        return self._age() < YOUNG_SECONDS

    def _age(self) -> float:
        return age_seconds(self._seen, self._provider, self._clock) if self._seen else math.inf

    def look(self, now: float) -> Rental | None:
        """The rental as it is, None when that cannot be told; *now* is monotonic."""
        try:
            rental = self._provider.get(self._rental_id)
            if rental is None:
                # A key that was revoked meanwhile is shown nothing either.
                self._provider.check_credential()
        except ProviderUnavailable as error:
            error.money = error.money or self.money
            self.unanswered = error
            self.text = "not shown, because the provider does not answer"
            return None
        self.unanswered = None
        self.text = rental.status_text if rental else "not known to the provider"
        self._seen = rental or self._seen
        self.lost = self._judge(rental, now)
        return rental

    def _judge(self, rental: Rental | None, now: float) -> MarketError | None:
        """Why it is lost, if it is."""
        status = rental.status if rental else None
        refusal = self._refusal(rental)
        refused_seconds = self._refused.seconds(refusal is not None, now)
        if refusal and (status == FAILED or refused_seconds >= _ENDED_SECONDS):
            return image_refused(self._rental_id, refusal, self.text, self.money)
        if self._ended.seconds(status in (FAILED, STOPPED), now) >= _ENDED_SECONDS:
            return self._fault(f"ended by itself: {self.text}", sign=f"ended: {self.text}")
        if self._vanished.seconds(rental is None, now) >= _VANISHED_SECONDS:
            return self._fault(
                f"vanished: for {_VANISHED_SECONDS:.0f} s its provider knows it no more"
            )
        if self._silent.seconds(status == SILENT, now) >= _SILENT_SECONDS:
            return self._fault(f"gave no sign of life for {_SILENT_SECONDS:.0f} s: {self.text}")
        return None

    def _refusal(self, rental: Rental | None) -> ImageRefusal | None:
        """Why no host can get its image, whatever its status is; None while it runs."""
        if rental is None or rental.status == RUNNING:
            return None
        return image_refusal(self.text)

    def _fault(self, what: str, sign: str = "") -> HostFault:
        told = f"Rental {self._rental_id} {what}."
        return HostFault(told, stage="boot", sign=sign, money=self.money)


class _Access:
    """Our key on one rental, and how far each way to it got."""

    def __init__(
        self,
        provider: Provider,
        rental_id: str,
        ssh_public_key: str,
        notify: Callable[[str], None],
    ) -> None:
        self._provider = provider
        self._rental_id = rental_id
        self._ssh_public_key = ssh_public_key
        self._notify = notify
        self._attached = False
        #: Why the last try to attach the key failed.
        self._unattached = ""
        self._reattachments = 0
        self._refused = _Lasting()
        self._black_holed = _Lasting()
        self._unreplaced = _Lasting()
        self._tried: dict[Endpoint, Probe] = {}

    @property
    def failed_at(self) -> str:
        """The stage, in the words of HostFault."""
        return "login" if self._at(LOGIN) else "ssh"

    @property
    def sign(self) -> str:
        """The furthest that any way got, where that need not be the machine's fault."""
        may_be_ours = (LOGIN, HOST_KEY, BLACK_HOLED, CONNECT)
        return next((stage for stage in may_be_ours if self._at(stage)), "")

    @property
    def blame(self) -> str:
        """Whose fault it is: a host cannot let in a key that its provider never brought."""
        return "provider" if self._unattached and self._at(LOGIN) else "machine"

    @property
    def remedy(self) -> str:
        """What to do about it, empty for the usual."""
        if self.blame == "provider":
            return (
                "Its machine is not to blame, so another one would not help: release it and run "
                "again later, or use another provider."
            )
        if self._at(HOST_KEY):
            return (
                "Release it and take another offer, or say so if it was rented with host_keys: "
                "first_contact."
            )
        return ""

    def stages(self) -> str:
        """How far each way got."""
        ways = (f"{way.host}:{way.port} at {seen.stage}" for way, seen in self._tried.items())
        return ", ".join(ways) or "there is no way to it now"

    def details(self) -> str:
        """The same with the reasons."""
        ways = (
            f"{way.host}:{way.port} failed at {seen.stage} ({seen.detail})"
            for way, seen in self._tried.items()
        )
        told = "; ".join(ways) or "there was no way to it"
        if self._unattached:
            told += f"; the provider could not attach the SSH key: {self._unattached.rstrip('.')}"
        return told

    def attach(self) -> None:
        """Attach the key; a provider that does not answer is asked again next time."""
        if self._attached:
            return
        again = self._reattachments > 0
        try:
            self._provider.attach_key(self._rental_id, self._ssh_public_key, again=again)
            self._attached = True
            self._unattached = ""
        except ProviderUnavailable as error:
            self._unattached = error.cause
            self._notify(f"attaching the SSH key: {error.cause}")

    def judge(self, tried: dict[Endpoint, Probe], now: float, watch: _Watch) -> None:
        """Give up what leads nowhere, and have a key that was lost attached anew."""
        self._tried = tried
        self._refuse_what_waiting_cannot_help(watch)
        if self._unreplaced.seconds(self._at(FIRST_KEY), now) >= _UNREPLACED_SECONDS:
            raise self._cut_off(watch)
        # When the provider is out of reach as well, it may be our own network.
        black_holed = not watch.unanswered and self._all_at(BLACK_HOLED)
        if self._black_holed.seconds(black_holed, now) >= _BLACK_HOLED_SECONDS:
            raise HostFault(
                f"Rental {self._rental_id} runs, but no connection to it was answered or refused "
                f"for {_BLACK_HOLED_SECONDS:.0f} s.",
                stage="ssh",
                sign=BLACK_HOLED,
                money=watch.money,
            )
        lost = self._refused.seconds(self._at(LOGIN), now) >= _LOGIN_REFUSED_SECONDS
        if lost and self._reattachments < _MOST_REATTACHMENTS:
            self._reattachments += 1
            self._attached = False
            self._refused = _Lasting()

    def _cut_off(self, watch: _Watch) -> HostFault:
        """Nobody has replaced its first host key: it has never served, or was recreated since."""
        told = f"Rental {self._rental_id} still shows the host key that came with its request"
        if watch.is_young:
            return HostFault(
                f"{told}, because the run that rented it was cut off.",
                stage="ssh",
                blame="run",
                remedy="Release it and rent another one: nothing can be proven to run on it.",
                money=watch.money,
            )
        return HostFault(
            f"{told}, which the marketplace has seen: either nobody has ever used it, or its "
            "container was recreated, and all that was on it is lost.",
            stage="ssh",
            blame="provider",
            remedy="Run teardown for it, and deploy again.",
            money=watch.money,
        )

    def _refuse_what_waiting_cannot_help(self, watch: _Watch) -> None:
        for way, seen in self._tried.items():
            cause = f"SSH to {way.host}:{way.port}: {seen.detail}"
            if seen.final and seen.stage == HOST_KEY:
                raise HostFault(cause, stage="ssh", sign=HOST_KEY, money=watch.money)
            if seen.final:
                raise RequestRefused(cause, money=watch.money)

    def _at(self, stage: str) -> bool:
        return any(seen.stage == stage for seen in self._tried.values())

    def _all_at(self, stage: str) -> bool:
        return bool(self._tried) and all(seen.stage == stage for seen in self._tried.values())
