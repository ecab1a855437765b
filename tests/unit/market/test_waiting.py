# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a host is waited for, what ends the wait early, and who is blamed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar, cast

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market.access.ssh_probe import (
    Login,
    Probe,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.clock import Clock
from ansible_collections.inferops.gpu.plugins.module_utils.market.errors import (
    CredentialError,
    HostFault,
    MarketError,
    ProviderUnavailable,
    RequestRefused,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.model import (
    FAILED,
    RUNNING,
    SILENT,
    STARTING,
    STOPPED,
    Endpoint,
    HostKey,
    Rental,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.provider import Provider
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.waiting import (
    Reached,
    ReadyLimits,
    Waiter,
    ready_limits,
)

DIRECT, PROXY = Endpoint("203.0.113.7", 33526), Endpoint("ssh4.example", 21000)
NEW = HostKey("private", "ssh-ed25519 NEW")
DELIVERED = "ssh-ed25519 DELIVERED"
LOGIN = Login("root", "key", "known_hosts", (NEW.public, DELIVERED))
LIMITS = ReadyLimits(running_seconds=600, ssh_seconds=400)
RENTAL = Rental(
    provider="vastai",
    id="4711",
    seniority="4711",
    label="",
    mark=None,
    status=RUNNING,
    status_text="running",
    price_usd_per_hour=0.35,
    started_at=0.0,
    machine_id="20811",
    gpu_name="RTX 4090",
    gpu_count=1,
    vram_gib=24.0,
    driver_version="580.95.05",
    download_mbit_per_second=800.0,
    ssh_user="root",
    ssh=(DIRECT, PROXY),
    ports={},
    console_url="https://console.example/",
)
NO_ANSWER = ProviderUnavailable("no answer")

Value = TypeVar("Value")

#: What a look shows from some second on: a status, the whole rental, nothing, or an error.
Shown = str | Rental | None | MarketError
#: What a connection meets, from some second on.
Met = str | Probe


@dataclass
class World:
    """A provider and a host that change as time goes by; time goes by only while we wait."""

    seconds: float = 0.0
    shown: dict[float, Shown] = field(default_factory=lambda: {0: RUNNING})
    direct: dict[float, Met] = field(default_factory=lambda: {0: "ready"})
    proxy: dict[float, Met] = field(default_factory=lambda: {0: "refused"})
    attached: list[tuple[float, bool]] = field(default_factory=list)
    attach_fails: int = 0
    replaced: list[Endpoint] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    after_attach: Callable[[], None] = lambda: None
    key_works: bool = True
    clock_offset_seconds: float = 0.0

    # The provider.

    def get(self, rental_id: str) -> Rental | None:
        shown = _at(self.shown, self.seconds)
        if isinstance(shown, MarketError):
            raise shown
        return replace(RENTAL, status=shown, status_text=shown) if isinstance(shown, str) else shown

    def attach_key(self, rental_id: str, ssh_public_key: str, again: bool = False) -> None:
        if self.attach_fails:
            self.attach_fails -= 1
            raise NO_ANSWER
        self.attached.append((self.seconds, again))
        self.after_attach()

    def check_credential(self) -> None:
        if not self.key_works:
            raise CredentialError("The API key was refused.")

    # The host.

    def probe(self, endpoint: Endpoint, login: Login) -> Probe:
        met = _at(self.direct if endpoint == DIRECT else self.proxy, self.seconds)
        return met if isinstance(met, Probe) else Probe(met, "as it happens", host_key=NEW.public)

    def replace_host_key(self, endpoint: Endpoint, login: Login, new: HostKey) -> Probe:
        self.replaced.append(endpoint)
        self.direct = {0: Probe("ready", "", host_key=new.public)}
        return Probe("refused", "sshd reads its keys")

    # Waiting.

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def waiter(self) -> Waiter:
        def now() -> float:
            return self.seconds

        clock = Clock(monotonic=now, sleep=self.sleep, now=now)
        provider = cast(Provider, self)
        return Waiter(provider, clock, self.lines.append, self.probe, self.replace_host_key)

    def until_running(self, tries_ssh: bool = False) -> Rental:
        login_for = (lambda _rental: LOGIN) if tries_ssh else None
        return self.waiter().until_running("4711", LIMITS, login_for)

    def until_ssh(self) -> Reached:
        return self.waiter().until_ssh(RENTAL, LOGIN, "ssh-ed25519 AAAA", LIMITS, NEW)


def _at(script: dict[float, Value], seconds: float) -> Value:
    """What the script says for now: the entry with the latest time that has come."""
    return script[max(at for at in script if at <= seconds)]


# ReadyLimits.


def test_a_larger_image_and_a_slower_line_get_more_time() -> None:
    usual = ready_limits(8, 800)
    assert ready_limits(30, 800).running_seconds > usual.running_seconds
    assert ready_limits(8, 200).running_seconds > usual.running_seconds
    assert ready_limits(8, 200).ssh_seconds > usual.ssh_seconds


def test_the_sums_are_those_that_are_documented() -> None:
    download = 8 * 8589.93 / 800
    running = 3 * download + 8 * 20 + 180
    assert ready_limits(8, 800) == ReadyLimits(round(running), round(300 + running / 4))


def test_a_healthy_host_on_a_slow_line_is_not_given_up() -> None:
    """A host of 111 Mbit/s was seen to pull for 1497 s without showing any progress."""
    assert ready_limits(8, 111).running_seconds > 1497
    assert ready_limits(8, 111, history_boot_seconds=60).running_seconds > 1497


def test_a_host_of_which_a_slow_boot_is_expected_gets_three_times_as_long() -> None:
    assert ready_limits(8, 800, expected_seconds=700).running_seconds == 2100
    assert ready_limits(8, 800, expected_seconds=60) == ready_limits(8, 800)
    assert ready_limits(8, 800, expected_seconds=1e9).running_seconds == 3600
    assert ready_limits(8, 800, 60, expected_seconds=700).running_seconds == 0.75 * 2100


def test_the_wait_says_how_long_it_was_expected_to_take() -> None:
    world = World()
    clock = Clock(monotonic=lambda: world.seconds, sleep=world.sleep, now=lambda: world.seconds)
    waiter = Waiter(
        cast(Provider, world), clock, world.lines.append, world.probe, expected_seconds=229.2
    )
    waiter.until_running("4711", LIMITS)
    assert world.lines[0].endswith("(0 of 229 s expected)")


def test_an_unknown_bandwidth_counts_as_a_slow_one() -> None:
    assert ready_limits(8, 0) == ready_limits(8, 100)


@pytest.mark.parametrize(("image_gib", "seconds"), [(0.0, 300), (500.0, 3600)])
def test_limits_have_a_floor_and_a_ceiling(image_gib: float, seconds: int) -> None:
    assert ready_limits(image_gib, 1000).running_seconds == seconds


def test_what_earlier_boots_took_counts() -> None:
    usual = ready_limits(8, 400).running_seconds
    assert ready_limits(8, 400, history_boot_seconds=600).running_seconds == 1800
    quick = ready_limits(8, 400, history_boot_seconds=60).running_seconds
    assert quick == pytest.approx(0.75 * usual, abs=1)


# Until it runs.


def test_a_rental_that_runs_is_returned_with_its_ways() -> None:
    world = World(shown={0: STARTING, 40: RUNNING})
    rental = world.until_running()
    assert (rental.status, rental.ssh) == (RUNNING, (DIRECT, PROXY))
    assert world.seconds == pytest.approx(40, abs=5)


def test_a_rental_that_runs_without_a_way_to_its_ssh_is_waited_for() -> None:
    world = World(shown={0: replace(RENTAL, ssh=()), 20: RUNNING})
    assert world.until_running().ssh
    assert world.seconds >= 20


@pytest.mark.parametrize("status", [FAILED, STOPPED])
def test_an_end_is_believed_at_the_second_sight(status: str) -> None:
    world = World(shown={0: STARTING, 30: status})
    with pytest.raises(HostFault, match=f"ended by itself: {status}") as caught:
        world.until_running()
    assert world.seconds < 30 + 15
    assert (caught.value.stage, caught.value.blame) == ("boot", "machine")
    assert "0.3500 dollars an hour" in caught.value.money


def test_an_end_that_was_a_flicker_is_not_believed() -> None:
    world = World(shown={0: STARTING, 30: FAILED, 34: STARTING, 60: RUNNING})
    assert world.until_running().status == RUNNING


def test_a_silent_rental_has_a_minute_to_come_back() -> None:
    world = World(shown={0: SILENT, 50: RUNNING})
    assert world.until_running().status == RUNNING
    gone = World(shown={0: SILENT})
    with pytest.raises(HostFault, match="no sign of life for 60 s"):
        gone.until_running()
    assert 60 <= gone.seconds < 75


def test_a_rental_must_be_seen_vanished_for_half_a_minute() -> None:
    world = World(shown={0: STARTING, 20: None, 45: RUNNING})
    assert world.until_running().status == RUNNING
    gone = World(shown={0: STARTING, 20: None})
    with pytest.raises(HostFault, match="vanished"):
        gone.until_running()
    assert 50 <= gone.seconds < 65


def test_a_key_that_was_revoked_is_no_fault_of_the_host() -> None:
    with pytest.raises(CredentialError):
        World(shown={0: STARTING, 20: None}, key_works=False).until_running()


def test_hiccups_of_the_provider_are_ridden_out() -> None:
    world = World(shown={0: STARTING, 20: NO_ANSWER, 500: RUNNING})
    assert world.until_running().status == RUNNING
    assert "the provider does not answer" in " ".join(world.lines)


def test_a_provider_without_answers_is_no_fault_of_the_host() -> None:
    world = World(shown={0: STARTING, 20: ProviderUnavailable("no answer")})
    with pytest.raises(ProviderUnavailable) as caught:
        world.until_running()
    assert "It bills 0.3500 dollars an hour" in caught.value.money


def test_money_at_stake_names_the_rental_or_where_it_is_shown() -> None:
    unseen = World(shown={0: ProviderUnavailable("no answer")})
    with pytest.raises(ProviderUnavailable) as caught:
        unseen.until_running()
    assert caught.value.money == f"Rental {RENTAL.id} may bill."
    untold = replace(RENTAL, status=FAILED, status_text="error", price_usd_per_hour=None)
    with pytest.raises(HostFault) as ended:
        World(shown={0: untold}).until_running()
    assert f"at an unknown price (see {RENTAL.console_url})" in ended.value.money


def test_a_refused_credential_ends_the_wait_at_once() -> None:
    world = World(shown={0: CredentialError("revoked")})
    with pytest.raises(CredentialError):
        world.until_running()
    assert world.seconds == 0


def test_a_rental_that_never_runs_is_given_up_when_its_time_is_over() -> None:
    world = World(shown={0: STARTING})
    with pytest.raises(HostFault, match="did not run within 600 s; last seen: starting") as caught:
        world.until_running()
    assert world.seconds == 600
    assert "image_gib" in caught.value.remedy


def test_what_a_host_says_of_an_image_it_waits_for_may_be_every_hosts() -> None:
    """The next one that says the same ends the run; a bare status is every slow machine's."""
    text = "created: toomanyrequests: You have reached your pull rate limit"
    for shown, sign in ((text, f"boot: {text}"), ("loading", "")):
        world = World(shown={0: replace(RENTAL, status=STARTING, status_text=shown)})
        with pytest.raises(HostFault) as caught:
            world.until_running()
        assert (caught.value.stage, caught.value.sign) == ("boot", sign)


def test_an_image_that_no_host_can_get_is_not_the_machine_s_fault() -> None:
    text = "created: Error response from daemon: manifest unknown"
    world = World(shown={0: replace(RENTAL, status=FAILED, status_text=text)})
    with pytest.raises(RequestRefused, match="manifest unknown"):
        world.until_running()


def test_news_are_told_at_once_and_what_stays_the_same_every_minute() -> None:
    world = World(shown={0: STARTING, 200: RUNNING})
    world.until_running()
    assert 4 <= len(world.lines) <= 6
    assert "rental 4711 is starting (0 s)" in world.lines


# Until SSH.


def test_the_first_way_that_works_is_taken() -> None:
    reached = World().until_ssh()
    assert (reached.endpoint, reached.host_key) == (DIRECT, NEW.public)
    proxied = World(direct={0: "black-holed"}, proxy={0: "ready"}).until_ssh()
    assert proxied.endpoint == PROXY


def test_the_key_is_attached_before_the_first_try() -> None:
    world = World()
    world.until_ssh()
    assert world.attached == [(0.0, False)]


def test_an_attachment_that_gets_no_answer_is_tried_again() -> None:
    world = World(attach_fails=2, direct={0: "login", 20: "ready"})
    world.until_ssh()
    assert world.attached == [(2.0, False)]


def test_the_delivered_host_key_is_replaced_before_the_host_counts_as_ready() -> None:
    world = World(direct={0: Probe("ready", "", host_key=DELIVERED)})
    reached = world.until_ssh()
    assert world.replaced == [DIRECT]
    assert reached.host_key == NEW.public
    assert "replacing the host key that came with the rental request" in world.lines


def test_a_host_that_shows_a_pinned_key_is_given_no_other() -> None:
    pinned = Probe("ready", "", host_key="ssh-ed25519 PINNED-BEFORE")
    world = World(direct={0: pinned})
    assert world.until_ssh().host_key == "ssh-ed25519 PINNED-BEFORE"
    assert world.replaced == []


def test_a_machine_that_refuses_is_alive_and_waited_for() -> None:
    world = World(direct={0: "refused", 390: "ready"})
    assert world.until_ssh().endpoint == DIRECT


def test_a_machine_that_swallows_every_connection_is_given_up_early() -> None:
    world = World(direct={0: "black-holed"}, proxy={0: "black-holed"})
    with pytest.raises(HostFault, match="answered or refused for 90 s") as caught:
        world.until_ssh()
    assert 90 <= world.seconds < 100
    assert caught.value.stage == "ssh"


def test_one_way_that_refuses_is_a_sign_of_life() -> None:
    world = World(direct={0: "black-holed", 380: "ready"}, proxy={0: "refused"})
    assert world.until_ssh().endpoint == DIRECT


def test_our_own_broken_network_is_not_blamed_on_the_machine() -> None:
    world = World(
        shown={0: RUNNING, 10: NO_ANSWER},
        direct={0: "black-holed"},
        proxy={0: "black-holed"},
    )
    with pytest.raises(ProviderUnavailable):
        world.until_ssh()


def test_a_key_that_the_provider_wiped_is_attached_anew() -> None:
    world = World(direct={0: "login"})

    def heal() -> None:
        if len(world.attached) == 2:
            world.direct = {0: "ready"}

    world.after_attach = heal
    assert world.until_ssh().endpoint == DIRECT
    assert [again for _at, again in world.attached] == [False, True]
    assert 60 <= world.attached[1][0] < 75


def test_a_login_that_stays_refused_is_told_as_such() -> None:
    world = World(direct={0: "login"})
    with pytest.raises(HostFault) as caught:
        world.until_ssh()
    assert caught.value.stage == "login"
    assert len(world.attached) == 3
    assert world.seconds == 400


def test_a_host_that_shows_a_strange_key_until_the_end_is_not_trusted() -> None:
    world = World(direct={0: "host key"})
    with pytest.raises(HostFault, match="33526 failed at host key") as caught:
        world.until_ssh()
    assert "first_contact" in caught.value.remedy


def test_another_key_than_the_pinned_one_ends_the_wait_at_once() -> None:
    world = World(direct={0: Probe("host key", "Someone may be in between.", final=True)})
    with pytest.raises(HostFault, match="Someone may be in between"):
        world.until_ssh()
    assert world.seconds == 0


def test_a_key_file_of_ours_that_cannot_be_used_is_not_the_machine_s_fault() -> None:
    world = World(direct={0: Probe("login", "key cannot be used", final=True)})
    with pytest.raises(RequestRefused, match="cannot be used"):
        world.until_ssh()


def test_a_rental_that_is_taken_away_meanwhile_ends_the_wait() -> None:
    world = World(shown={0: RUNNING, 30: STOPPED}, direct={0: "refused"})
    with pytest.raises(HostFault, match="ended by itself"):
        world.until_ssh()
    assert world.seconds < 30 + 40


def test_a_way_that_changes_is_followed() -> None:
    moved = Endpoint("203.0.113.8", 40000)
    world = World(
        shown={0: RUNNING, 30: replace(RENTAL, ssh=(moved,))},
        direct={0: "refused"},
        proxy={0: "refused", 30: "ready"},
    )
    assert world.until_ssh().endpoint == moved


def test_a_key_that_the_provider_never_attaches_is_its_fault_and_not_the_machines() -> None:
    world = World(attach_fails=9999, direct={0: "login"})
    with pytest.raises(HostFault, match="could not attach the SSH key: no answer") as caught:
        world.until_ssh()
    assert (caught.value.stage, caught.value.blame) == ("login", "provider")
    assert "another one would not help" in caught.value.remedy


def test_a_host_that_refuses_connections_is_to_blame_whatever_became_of_the_key() -> None:
    world = World(attach_fails=9999, direct={0: "refused"})
    with pytest.raises(HostFault) as caught:
        world.until_ssh()
    assert (caught.value.stage, caught.value.blame) == ("ssh", "machine")


# A status that is behind.


@pytest.mark.parametrize("status", [STARTING, SILENT, STOPPED, FAILED])
def test_a_host_that_lets_us_in_is_not_given_up_for_its_status(status: str) -> None:
    world = World(shown={0: replace(RENTAL, status=status, status_text=status, started_at=-7200.0)})
    assert world.until_running(tries_ssh=True).status == status
    assert world.seconds <= 60
    assert "lets us in" in " ".join(world.lines)


def test_a_young_host_is_tried_when_its_boot_takes_long() -> None:
    world = World(shown={0: STARTING}, direct={0: "refused", 100: "ready"})
    assert world.until_running(tries_ssh=True).status == STARTING
    assert 100 <= world.seconds <= 140


def test_a_host_that_lets_nobody_in_is_given_up_as_before() -> None:
    world = World(shown={0: SILENT}, direct={0: "refused"})
    with pytest.raises(HostFault, match="no sign of life"):
        world.until_running(tries_ssh=True)


# What no machine can help.


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("loading: unauthorized: authentication required", "rent_registry_username"),
        (
            "created: pull access denied for private/image, repository does not exist or may "
            "require authorization",
            "rent_registry_username",
        ),
        (
            'created: Error response from daemon: Head "https://ghcr.io/v2/e/worker/manifests/1": '
            "denied",
            "rent_registry_username",
        ),
        (
            "created: Error response from daemon: manifest for example/image:tag not found",
            "Correct rent_image",
        ),
        ("created: manifest unknown", "Correct rent_image"),
        (
            'created: failed to resolve reference "docker.io/a/b:1": docker.io/a/b:1: not found',
            "Correct rent_image",
        ),
        ("created: no match for platform in manifest: not found", "Correct rent_image"),
        ("created: insufficient_scope: authorization failed", "rent_registry_username"),
        ("created: Error response from daemon: denied", "rent_registry_username"),
        ("loading: denied: permission_denied: read_package", "rent_registry_username"),
        ("created: error parsing HTTP 403 response body: no json", "rent_registry_username"),
        ("created: User is not authorized to perform: ecr:GetImage", "rent_registry_username"),
        ("loading: MANIFEST_UNKNOWN", "Correct rent_image"),
        ("created: manifest not found", "Correct rent_image"),
        ("created: invalid repository name (A/b)", "Correct rent_image"),
        (
            'created: image operating system "windows" cannot be used on this platform',
            "Correct rent",
        ),
    ],
)
@pytest.mark.parametrize("status", [STARTING, STOPPED, FAILED])
def test_an_image_that_no_host_can_get_is_told_whatever_the_status(
    text: str, remedy: str, status: str
) -> None:
    rental = replace(RENTAL, status=status, status_text=text, ssh=())
    with pytest.raises(RequestRefused, match="No host can get the image") as caught:
        World(shown={0: rental}).until_running()
    assert remedy in caught.value.remedy


@pytest.mark.parametrize(
    "text",
    [
        "created: docker_build() error writing dockerfile",
        "loading: failed to extract layer ...: no space left on device",
        'created: OCI runtime create failed: exec: "/init": permission denied: unknown',
    ],
)
def test_what_one_machine_lacks_is_no_fault_of_the_image(text: str) -> None:
    rental = replace(RENTAL, status=FAILED, status_text=text, ssh=())
    with pytest.raises(HostFault):
        World(shown={0: rental}).until_running()


# The first host key.

SPENT = Login("root", "key", "known_hosts", (NEW.public,), (DELIVERED,))


def first_key(age_seconds: float) -> HostFault:
    """What is said of a host that shows it on and on."""
    rental = replace(RENTAL, started_at=-age_seconds)
    world = World(shown={0: rental}, direct={0: "first host key"})
    with pytest.raises(HostFault) as caught:
        world.waiter().until_ssh(rental, SPENT, "ssh-ed25519 AAAA", LIMITS, NEW)
    assert world.replaced == []
    assert 60 <= world.seconds <= 75
    return caught.value


def test_a_host_whose_run_was_cut_off_is_told_and_given_no_key() -> None:
    assert first_key(600).blame == "run"


def test_a_host_that_shows_its_first_key_again_was_recreated_and_is_kept() -> None:
    fault = first_key(7200)
    assert fault.blame == "provider"
    assert "recreated" in fault.cause


def test_another_run_that_replaces_the_first_key_in_time_is_waited_for() -> None:
    world = World(direct={0: "first host key", 30: Probe("ready", "", host_key=NEW.public)})
    reached = world.waiter().until_ssh(RENTAL, SPENT, "ssh-ed25519 AAAA", LIMITS, NEW)
    assert reached.host_key == NEW.public
