# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What our client makes of a GPU shopper service: its words, states, errors and ends."""

from __future__ import annotations

import json
import re
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market.clock import Clock
from ansible_collections.inferops.gpu.plugins.module_utils.market.errors import (
    CredentialError,
    MarketError,
    OfferGone,
    ProviderUnavailable,
    RateLimited,
    RequestRefused,
    UnclearCreate,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.mark import Mark
from ansible_collections.inferops.gpu.plugins.module_utils.market.model import (
    DEAD,
    FAILED,
    RUNNING,
    STARTING,
    UNREADABLE,
    Endpoint,
    Offer,
    Order,
    Rental,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.offers import promises
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.pace import Pace
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.transport import (
    Transport,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.lifecycle import Lifecycle
from ansible_collections.inferops.gpu.plugins.module_utils.market.wish import Wish
from tests.hanging import Hanging
from tests.simulator import shopper
from tests.simulator.web import Reply, Request, json_reply
from tests.unit.market.conformance.subjects import SimulatedShopper
from tests.unit.market.conftest import PUBLIC_KEY

SESSIONS, SESSION = "/api/v1/sessions", "/api/v1/sessions/[^/]+"
INVENTORY = "/api/v1/inventory"
GHOST = "Instance not found on provider during reconciliation"


@pytest.fixture
def subject() -> Iterator[SimulatedShopper]:
    made = SimulatedShopper()
    yield made
    made.close()


def order(subject: SimulatedShopper, seconds: int = 3600, **changes: Any) -> Order:
    now = int(subject.clock.now())
    mark = Mark.new("test", "gpu-1", now + seconds if seconds else 0, seconds, now)
    given: dict[str, Any] = {"image": shopper.IMAGE, "disk_gib": 20, "ssh_public_key": PUBLIC_KEY}
    return Order(mark=mark, created_at=now, **{**given, **changes})


def cheapest(subject: SimulatedShopper) -> Offer:
    offers = subject.provider().search(Wish())
    return min(offers, key=lambda offer: offer.price_usd_per_hour)


def rented(subject: SimulatedShopper, **changes: Any) -> Rental:
    provider = subject.provider()
    rental_id = provider.rent(cheapest(subject), order(subject, **changes))
    subject.settle()
    found = provider.get(rental_id)
    assert found is not None
    return found


def sent(subject: SimulatedShopper) -> dict[str, Any]:
    """The last rental request."""
    return dict(subject._sent()[-1]["body"])


def edited(subject: SimulatedShopper, path: str, edit: Callable[[dict[str, Any]], object]) -> None:
    """Let each row of these answers be another one."""
    answer = subject.simulator.api.answer

    def spoilt(request: Request, traits: Any, from_host: bool) -> Reply:
        reply = answer(request, traits, from_host)
        if not re.fullmatch(path, request.path) or request.method != "GET":
            return reply
        body = json.loads(reply.body)
        for row in body.get("sessions", body.get("offers", [body])):
            edit(row)
        return Reply(reply.status, json.dumps(body).encode(), reply.headers)

    subject.simulator.api.answer = spoilt  # type: ignore[method-assign]


def answered(subject: SimulatedShopper, method: str, path: str, reply: Reply) -> None:
    """Let these calls be answered so, without doing anything."""
    answer = subject.simulator.api.answer

    def scripted(request: Request, traits: Any, from_host: bool) -> Reply:
        ours = request.method == method and re.fullmatch(path, request.path)
        return reply if ours else answer(request, traits, from_host)

    subject.simulator.api.answer = scripted  # type: ignore[method-assign]


# Who may call it.


def test_a_service_that_nobody_guards_needs_no_key(subject: SimulatedShopper) -> None:
    subject.api.guarded = False
    clock = subject.clock
    provider = subject.kind({}, subject.simulator.url, Pace(None, {}, clock), clock)
    rental_id = provider.rent(cheapest(subject), order(subject))
    provider.check_credential()
    assert [one.id for one in provider.list_rentals()] == [rental_id]
    provider.release(rental_id)
    assert subject.rentals() == set()


def test_a_service_that_cannot_see_its_marketplaces_proves_no_absence(
    subject: SimulatedShopper,
) -> None:
    provider, rental = subject.provider(), rented(subject)
    answered(subject, "GET", INVENTORY, json_reply({"error": "all providers failed: no key"}, 500))
    with pytest.raises(ProviderUnavailable, match="all providers failed"):
        provider.check_credential()
    with pytest.raises(MarketError):
        Lifecycle(provider, "test", subject.clock).release(rental)


# Search.


def test_an_offer_is_told_in_our_units(subject: SimulatedShopper) -> None:
    offers = {offer.id: offer for offer in subject.provider().search(Wish())}
    for row in shopper.on_offer(subject.market):
        offer = offers[f"vastai-{row['id']}"]
        assert offer.gpu_count == row["num_gpus"]
        assert offer.country == row["geolocation"].rpartition(", ")[2]
        assert offer.max_duration_hours == 12
        assert (offer.machine_id, offer.verified, offer.driver_version) == (None, None, None)


@pytest.mark.parametrize(
    ("mib", "sold_gib", "fits"),
    [(24564, 24, True), (16376, 16, True), (81559, 80, True), (11264, 12, False)],
)
def test_memory_that_comes_cut_to_whole_gib_fits_what_the_card_is_sold_as(
    subject: SimulatedShopper, mib: int, sold_gib: float, fits: bool
) -> None:
    edited(subject, INVENTORY, lambda row: row.update(vram_gb=mib // 1024, gpu_count=1))
    wish = Wish(vram_gib=sold_gib)
    assert all(("VRAM" in wish.misses(one)) != fits for one in subject.provider().search(wish))


@pytest.mark.parametrize("mib", [6144, 8192, 10240, 11264, 12288, 16376, 24564, 81920])
def test_memory_that_comes_cut_to_whole_gib_refuses_no_honest_host(
    subject: SimulatedShopper, mib: int
) -> None:
    edited(subject, INVENTORY, lambda row: row.update(vram_gb=mib // 1024))
    gpu = {"gpus": [{"memory_total_mib": mib}]}
    lines = promises.compare(cheapest(subject).to_dict(), gpu, {}, {}, 20, 0.5)
    assert [line.kept for line in lines if line.name == "vram_gib"] == [True]


@pytest.mark.parametrize("change", [{"provider": "tensordock"}, {"available": False}])
def test_what_cannot_be_rented_as_it_is_told_is_no_offer(
    subject: SimulatedShopper, change: dict[str, Any]
) -> None:
    edited(subject, INVENTORY, lambda row: row.update(change))
    assert subject.provider().search(Wish()) == []


@pytest.mark.parametrize("change", [{"price_per_hour": 0}, {"vram_gb": None}, {"id": "a b"}])
def test_offers_that_nobody_understands_are_no_market_without_offers(
    subject: SimulatedShopper, change: dict[str, Any]
) -> None:
    edited(subject, INVENTORY, lambda row: row.update(change))
    with pytest.raises(ProviderUnavailable, match="none of"):
        subject.provider().search(Wish())


def test_a_search_asks_for_each_gpu_and_country_and_for_nothing_that_others_would_miss(
    subject: SimulatedShopper,
) -> None:
    wish = Wish(gpu_names=("RTX_4090", "H200"), countries=("SE",), vram_gib=20, gpu_count=2)
    subject.provider().search(wish)
    asked = [one["query"] for one in subject.simulator.journal.entries()]
    assert asked == [
        {},
        {"gpu_type": "RTX 4090", "location": "SE"},
        {"gpu_type": "H200", "location": "SE"},
    ]


# Rent.


def test_a_rental_request_reserves_until_the_deadline_and_takes_no_other_offer(
    subject: SimulatedShopper,
) -> None:
    rental = rented(subject, seconds=7200)
    body = sent(subject)
    assert (body["reservation_hours"], body["auto_retry"]) == (2, False)
    assert rental.mark is not None
    assert body["consumer_id"] == rental.mark.encode()
    assert (body["launch_mode"], body["workload_type"], body["disk_gb"]) == ("ssh", "ssh", 20)


def test_the_service_ends_a_session_whose_controller_never_comes_back(
    subject: SimulatedShopper,
) -> None:
    rental = rented(subject, seconds=7200)
    subject.market.advance(7190)
    assert subject.rentals() == {rental.id}
    subject.market.advance(90)
    assert subject.rentals() == set()
    assert subject.provider().get(rental.id) is None


@pytest.mark.parametrize("seconds", [0, 1800, 5400, 3599, 13 * 3600])
def test_a_deadline_that_the_service_does_not_keep_is_refused_before_it_costs(
    subject: SimulatedShopper, seconds: int
) -> None:
    with pytest.raises(RequestRefused, match="whole hours"):
        subject.provider().rent(cheapest(subject), order(subject, seconds))
    assert subject.creates() == 0


@pytest.mark.parametrize("changes", [{"image": "vllm/vllm-openai:v0.32.0"}, {"ports": (22, 8000)}])
def test_what_the_service_cannot_do_is_refused(
    subject: SimulatedShopper, changes: dict[str, Any]
) -> None:
    with pytest.raises(RequestRefused):
        subject.provider().rent(cheapest(subject), order(subject, **changes))
    assert subject.creates() == 0


def test_our_own_key_comes_in_by_the_start_script_behind_python(
    subject: SimulatedShopper,
) -> None:
    subject.provider().rent(cheapest(subject), order(subject))
    script = subject.carried()
    assert PUBLIC_KEY in script
    assert script.index("apt-get install -y python3") < script.index(PUBLIC_KEY)
    (rental,) = subject.market.rentals.values()
    assert list(rental.keys.values()) == [shopper.SERVICE_PUBLIC_KEY]
    assert shopper.DIALECT.script_keys(rental.wish["onstart"]) == (PUBLIC_KEY,)


def test_a_session_shows_the_price_of_its_offer_whatever_its_marketplace_bills(
    subject: SimulatedShopper,
) -> None:
    subject.simulator.control.plan_faults([{"kind": "price_change", "factor": 3.0}])
    rental = rented(subject)
    (booked,) = subject.market.rentals.values()
    assert booked.offer["dph_base"] > 2 * (rental.price_usd_per_hour or 0)


def test_the_switch_goes_along_for_a_service_that_does_not_come_back(
    subject: SimulatedShopper,
) -> None:
    wanted = order(subject)
    subject.provider().rent(cheapest(subject), wanted)
    assert f"original={wanted.mark.deadline}" in subject.carried()
    assert "CONTAINER_API_KEY" in subject.carried()


def test_a_rental_whose_answer_is_lost_is_found_and_needs_no_key_of_the_services(
    subject: SimulatedShopper,
) -> None:
    offer, wanted = cheapest(subject), order(subject)
    subject.lose_create()
    with pytest.raises(UnclearCreate):
        subject.provider().rent(offer, wanted)
    (listed,) = subject.provider().list_rentals()
    assert listed.mark == wanted.mark
    assert PUBLIC_KEY in subject.carried()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (201, {"ssh_private_key": shopper.SERVICE_KEY, "session": None}),
        (500, {"ssh_private_key": shopper.SERVICE_KEY, "session": {"id": "abc"}}),
        (400, {"error": f"key {shopper.SERVICE_KEY[:40]}"}),
    ],
)
def test_the_services_private_key_is_in_no_message(
    subject: SimulatedShopper, status: int, body: dict[str, Any]
) -> None:
    offer = cheapest(subject)
    answered(subject, "POST", SESSIONS, json_reply(body, status))
    with pytest.raises(MarketError) as caught:
        subject.provider().rent(offer, order(subject))
    told = "".join(traceback.format_exception(caught.value)) + str(caught.value.to_dict())
    assert "MIIE" not in told
    assert "BEGIN" not in told


def fault(text: str, **more: Any) -> dict[str, Any]:
    return {"error": f"failed to create instance: {text}", "error_type": "provision_failed", **more}


#: What its client says of an answer of Vast.ai's.
THERE = "vastai CreateInstance failed"
STALE = {"error": "offer unavailable", "error_type": "stale_inventory", "retry_suggested": True}
CREATES: dict[str, tuple[int, Any, type[MarketError]]] = {
    "stale": (503, STALE, OfferGone),
    "an outage": (503, {"error": "shutting down"}, UnclearCreate),
    "an outage of a proxy": (503, "<html>stale_inventory</html>", UnclearCreate),
    "unknown offer": (404, {"error": "offer not found: vastai-1"}, OfferGone),
    "another 404": (404, {"error": "no such route"}, UnclearCreate),
    "sent on twice": (409, {"error": "consumer a already has active session b"}, UnclearCreate),
    "a field": (400, {"error": "workload_type is required"}, RequestRefused),
    "a proxy": (400, "<html>bad request</html>", UnclearCreate),
    "no key": (401, "<html>authorization required</html>", CredentialError),
    "gone there": (500, fault(f"{THERE} (HTTP 404): no_such_ask"), OfferGone),
    "gone there, too": (500, fault(f"{THERE} (HTTP 410): deleted"), OfferGone),
    "too often there": (500, fault(f"{THERE} (HTTP 429): slow down"), RateLimited),
    "no credit there": (500, fault(f"{THERE} (HTTP 400): insufficient_credit"), RequestRefused),
    "no key there": (500, fault(f"{THERE} (HTTP 401): auth"), RequestRefused),
    "broken there": (500, fault(f"{THERE} (HTTP 502): failed (HTTP 404)"), UnclearCreate),
    "a time-out there": (500, fault(f"{THERE} (HTTP 408): timeout"), UnclearCreate),
    "no answer there": (500, fault("request failed: context deadline exceeded"), UnclearCreate),
    "a gateway behind": (502, fault(f"{THERE} (HTTP 400): no"), UnclearCreate),
    "no id": (201, {"session": {"status": "provisioning"}}, UnclearCreate),
}


@pytest.mark.parametrize("case", CREATES)
def test_a_refused_rental_request_is_told_by_its_kind(subject: SimulatedShopper, case: str) -> None:
    status, body, kind = CREATES[case]
    offer = cheapest(subject)
    page = Reply(status, str(body).encode())
    answered(subject, "POST", SESSIONS, page if isinstance(body, str) else json_reply(body, status))
    with pytest.raises(MarketError) as caught:
        subject.provider().rent(offer, order(subject))
    assert caught.type is kind
    assert subject.creates() == 1


def test_an_id_beside_an_error_is_the_rental_to_look_for(subject: SimulatedShopper) -> None:
    offer = cheapest(subject)
    answered(subject, "POST", SESSIONS, json_reply({"session": {"id": "abc-1"}}, 500))
    with pytest.raises(UnclearCreate) as caught:
        subject.provider().rent(offer, order(subject))
    assert caught.value.rental_id == "abc-1"


def test_a_request_that_its_marketplace_refused_leaves_nothing_to_end(
    subject: SimulatedShopper,
) -> None:
    offer = cheapest(subject)
    subject.market.credit_usd = 0
    with pytest.raises(RequestRefused, match="lacks credit"):
        subject.provider().rent(offer, order(subject))
    assert [row["status"] for row in subject.api.sessions()] == ["failed"]
    assert subject.provider().list_rentals() == []


def test_who_waits_for_an_instance_or_its_end_does_not_hang_up_on_the_service(
    subject: SimulatedShopper,
) -> None:
    slow = subject.kind.slow_seconds
    # It gives an answer up after 300 s.
    assert {kind for kind, seconds in slow.items() if seconds > 300} == {"create", "destroy"}
    hanging = Hanging()
    subject.simulator.api.answer = hanging  # type: ignore[method-assign]
    pace, waits = Pace(None, {}, Clock()), {"create": 0.2}
    transport = Transport(subject.simulator.url, {}, pace, Clock(), slow_seconds=waits)
    with pytest.raises(ProviderUnavailable):
        transport.request("POST", "/", kind="create", idempotent=False)
    assert not hanging.came_back
    hanging.test_is_over.set()


# Lists and reads.


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ("pending", STARTING),
        ("provisioning", STARTING),
        ("running", RUNNING),
        ("stopping", FAILED),
        ("failed", FAILED),
        ("new", UNREADABLE),
    ],
)
def test_a_session_is_in_one_of_its_states(
    subject: SimulatedShopper, status: str, told: str
) -> None:
    rental = rented(subject)
    edited(subject, f"{SESSIONS}|{SESSION}", lambda row: row.update(status=status))
    (listed,) = subject.provider().list_rentals()
    assert (listed.status, listed.mark) == (told, rental.mark)
    assert listed.is_ending == (status == "stopping")
    if told == UNREADABLE:
        with pytest.raises(ProviderUnavailable):
            subject.provider().get(rental.id)


ENDS: dict[str, tuple[str, str | None, bool]] = {
    "on request": ("stopped", None, True),
    "no SSH": ("stopped", "SSH verification timeout", True),
    "no login": ("stopped", "permanent SSH error: auth_failed", True),
    "it went down": ("stopped", "instance stopped unexpectedly: exited", True),
    "it is no more": ("stopped", "instance_vanished: no longer exists on provider", True),
    "the second try": ("stopped", "reservation expired: destroy failed: it was there", True),
    "stuck": (
        "stopped",
        "Session stuck in stopping state - manual cleanup may be required",
        False,
    ),
    "slow": ("stopped", "Session stuck in provisioning state - provisioning timeout", False),
    "missed": ("stopped", GHOST, False),
    "another word": ("stopped", "no SSH verification timeout at all", False),
    "refused there": ("failed", f"provider create failed: {THERE} (HTTP 400): no_such_ask", True),
    "not asked": ("failed", "provider create failed: circuit breaker is open", True),
    "broken there": ("failed", f"provider create failed: {THERE} (HTTP 502): x", False),
    "no answer": ("failed", "provider create failed: request failed: EOF", False),
    "lost": ("failed", "Provisioning failed - no provider instance ID", False),
    "not ended yet": ("failed", "SSH verification timeout", False),
    "a refusal later": ("failed", f"instance stopped: {THERE} (HTTP 400)", False),
}


@pytest.mark.parametrize("case", ENDS)
def test_a_session_has_ended_when_what_is_said_of_its_end_does_not_leave_it_open(
    subject: SimulatedShopper, case: str
) -> None:
    status, error, gone = ENDS[case]
    rental = rented(subject)
    change = {"status": status, **({"error": error} if error else {})}
    edited(subject, f"{SESSIONS}|{SESSION}", lambda row: row.update(change))
    read, listed = subject.provider().get(rental.id), subject.provider().list_rentals()
    assert [one.id for one in listed] == ([] if gone else [rental.id])
    assert (read is None) == gone
    if read is not None:
        assert read.status in DEAD
        assert error is not None
        assert error in read.status_text


def test_an_instance_that_the_service_missed_is_gone_when_its_host_has_ended_it_too(
    subject: SimulatedShopper,
) -> None:
    rental = rented(subject)
    edited(subject, f"{SESSIONS}|{SESSION}", lambda row: row.update(status="stopped", error=GHOST))
    subject.clock.sleep(3600)
    assert subject.provider().get(rental.id) is not None
    subject.clock.sleep(700)
    assert subject.provider().get(rental.id) is None
    edited(subject, f"{SESSIONS}|{SESSION}", lambda row: row.update(expires_at="soon"))
    (listed,) = subject.provider().list_rentals()
    assert listed.status in DEAD


def test_a_release_is_proven_by_a_session_that_is_shown_as_stopped(
    subject: SimulatedShopper,
) -> None:
    rental, provider = rented(subject), subject.provider()
    Lifecycle(provider, "test", subject.clock).release(rental)
    assert [row["status"] for row in subject.api.sessions()] == ["stopped"]


def test_sessions_that_a_service_has_lost_are_not_gone(subject: SimulatedShopper) -> None:
    """It keeps all of them: without them it is another service, or another database."""
    rental, provider = rented(subject), subject.provider()
    assert [one.id for one in provider.list_rentals()] == [rental.id]
    answered(subject, "GET", SESSIONS, json_reply({"sessions": [], "count": 0}))
    answered(subject, "GET", SESSION, json_reply({"error": "record not found"}, 404))
    with pytest.raises(ProviderUnavailable, match="has lost session"):
        provider.get(rental.id)
    with pytest.raises(ProviderUnavailable, match="has lost session"):
        provider.list_rentals()
    with pytest.raises(MarketError):
        Lifecycle(provider, "test", subject.clock).release(rental)


@pytest.mark.parametrize(
    "reply",
    [
        json_reply({"error": "failed to get session"}, 404),
        json_reply({"error": "session not found: 1"}, 404),
        Reply(404, b"404 page not found"),
        json_reply({"error": "record not found"}, 410),
        json_reply({"id": "another"}),
    ],
)
def test_only_its_own_words_say_that_a_session_never_was(
    subject: SimulatedShopper, reply: Reply
) -> None:
    rental = rented(subject)
    answered(subject, "GET", SESSION, reply)
    with pytest.raises(ProviderUnavailable):
        subject.provider().get(rental.id)


@pytest.mark.parametrize(
    "body",
    [
        {"sessions": [], "count": 1},
        {"sessions": []},
        {"sessions": None, "count": 0},
        {"count": 0},
    ],
)
def test_a_list_that_is_not_as_long_as_it_says_is_no_list(
    subject: SimulatedShopper, body: dict[str, Any]
) -> None:
    answered(subject, "GET", SESSIONS, json_reply(body))
    with pytest.raises(ProviderUnavailable):
        subject.provider().list_rentals()


def test_one_odd_row_hides_neither_itself_nor_the_others(subject: SimulatedShopper) -> None:
    rental, other = rented(subject), rented(subject)
    odd = {"price_per_hour": "dear", "error": 5}
    edited(subject, SESSIONS, lambda row: row.update(odd if row["id"] == rental.id else {}))
    listed = {one.id: one for one in subject.provider().list_rentals()}
    assert (listed[rental.id].status, listed[rental.id].mark) == (UNREADABLE, rental.mark)
    assert listed[other.id].status == RUNNING


@pytest.mark.parametrize("change", [{"id": None}, {"id": ["a"]}])
def test_a_session_without_an_id_spoils_the_list(
    subject: SimulatedShopper, change: dict[str, Any]
) -> None:
    rented(subject)
    edited(subject, SESSIONS, lambda row: row.update(change))
    with pytest.raises(ProviderUnavailable):
        subject.provider().list_rentals()


def test_a_way_in_is_shown_once_there_is_one(subject: SimulatedShopper) -> None:
    rental = rented(subject)
    ways = {"ssh_host": "ssh5.vast.ai", "ssh_port": 12345}
    edited(subject, SESSION, lambda row: row.update(ways))
    read = subject.provider().get(rental.id)
    assert read is not None
    assert (read.ssh, read.ssh_user) == ((Endpoint("ssh5.vast.ai", 12345),), "root")
    edited(subject, SESSION, lambda row: row.pop("ssh_host"))
    read = subject.provider().get(rental.id)
    assert read is not None
    assert read.ssh == ()


@pytest.mark.parametrize(
    "reply",
    [
        json_reply({"error": "failed to verify destruction of session"}, 500),
        json_reply({"message": "session destroyed", "session_id": "another"}),
        json_reply({"error": "session not found: another"}, 404),
    ],
)
def test_a_release_that_was_not_confirmed_is_an_error(
    subject: SimulatedShopper, reply: Reply
) -> None:
    rental = rented(subject)
    answered(subject, "DELETE", SESSION, reply)
    with pytest.raises(ProviderUnavailable):
        subject.provider().release(rental.id)


def test_another_consumers_session_is_shown_and_nobody_of_ours(subject: SimulatedShopper) -> None:
    rental = rented(subject)
    stranger = {"consumer_id": "my-app", "ssh_user": "user", "provider": "tensordock"}
    edited(subject, SESSIONS, lambda row: row.update(stranger))
    (listed,) = subject.provider().list_rentals()
    assert (listed.label, listed.mark, listed.claim) == ("my-app", None, None)
    assert replace(listed, label=rental.label).id == rental.id
