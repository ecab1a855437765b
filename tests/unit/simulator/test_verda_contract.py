# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What our client sends to Verda, and what its simulator answers, against Verda's own document.

``tests/simulator/verda-api.json`` is what its OpenAPI document of September 2026 says of the calls
that are made here: their names and types, without a word of its text. What is not told yet may be
null, as its clients have it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import requests

from ansible_collections.inferops.gpu.plugins.module_utils.market.errors import (
    CredentialError,
    MarketError,
    OfferGone,
    ProviderUnavailable,
    RequestRefused,
    UnclearCreate,
    UnprovenAbsence,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.mark import Mark
from ansible_collections.inferops.gpu.plugins.module_utils.market.model import (
    FAILED,
    RUNNING,
    SILENT,
    STARTING,
    STOPPED,
    UNREADABLE,
    Offer,
    Order,
    Rental,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.verda import Verda
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.lifecycle import Lifecycle
from ansible_collections.inferops.gpu.plugins.module_utils.market.wish import Wish
from tests.hanging import HANGS_AFTER_SECONDS
from tests.simulator import verda
from tests.simulator.documents import Wire
from tests.simulator.market import ACCOUNT_KEY
from tests.simulator.web import Reply, Request, json_reply
from tests.unit.market.conformance.subjects import SimulatedVerda
from tests.unit.market.conftest import PUBLIC_KEY

HOUR = 3600


def between(subject: SimulatedVerda, change: Callable[[Request, Reply], Reply]) -> None:
    """Let each answer pass through *change*."""
    answer = subject.simulator.api.answer

    def changed(request: Request, traits: Any, from_host: bool) -> Reply:
        return change(request, answer(request, traits, from_host))

    subject.simulator.api.answer = changed  # type: ignore[method-assign]


def edited(subject: SimulatedVerda, path: str, edit: Callable[[dict[str, Any]], None]) -> None:
    """Let each row of these answers be another one."""

    def change(request: Request, reply: Reply) -> Reply:
        if request.method != "GET" or not re.fullmatch(f"/v1{path}", request.path):
            return reply
        body = json.loads(reply.body)
        for row in body if isinstance(body, list) else [body]:
            edit(row)
        return Reply(reply.status, json.dumps(body).encode(), reply.headers)

    between(subject, change)


def answered(subject: SimulatedVerda, method: str, path: str, reply: Reply, times: int = 1) -> None:
    """Let the next *times* requests of this kind get *reply*, without being carried out."""
    answer, left = subject.simulator.api.answer, [times]

    def spoilt(request: Request, traits: Any, from_host: bool) -> Reply:
        if request.method == method and re.fullmatch(f"/v1{path}", request.path) and left[0]:
            left[0] -= 1
            return reply
        return answer(request, traits, from_host)

    subject.simulator.api.answer = spoilt  # type: ignore[method-assign]


def error(status: int, code: str, message: str) -> Reply:
    return json_reply({"code": code, "message": message}, status)


@pytest.fixture
def subject() -> Iterator[SimulatedVerda]:
    made = SimulatedVerda()
    yield made
    made.close()


def order(subject: SimulatedVerda, **changes: Any) -> Order:
    now = int(subject.clock.now())
    mark = Mark.new("test", "gpu-1", now + HOUR, HOUR, now)
    given: dict[str, Any] = {"image": "some/image", "disk_gib": 20, "ssh_public_key": PUBLIC_KEY}
    return Order(mark=mark, created_at=now, **{**given, **changes})


def cheapest(subject: SimulatedVerda, **wish: Any) -> Offer:
    offers = subject.provider().search(Wish(**wish))
    return min(offers, key=lambda offer: offer.price_usd_per_hour)


def rented(subject: SimulatedVerda, provider: Any = None, **changes: Any) -> Rental:
    provider = provider or subject.provider()
    rental_id = provider.rent(cheapest(subject), order(subject, **changes))
    subject.settle()
    found = provider.get(rental_id)
    assert found is not None
    return found


def disks(subject: SimulatedVerda) -> list[str]:
    """What has become of each disk."""
    return [disk.state for disk in subject.api.things.disks.values()]


def lifecycle(subject: SimulatedVerda, provider: Any = None) -> Lifecycle:
    return Lifecycle(provider or subject.provider(), "test", subject.clock)


def posts(subject: SimulatedVerda, path: str) -> list[dict[str, Any]]:
    """The requests that were posted there."""
    entries = subject.simulator.journal.entries()
    return [one for one in entries if (one["method"], one["path"]) == ("POST", f"/v1{path}")]


# The document.


def test_every_call_and_every_answer_is_as_the_document_has_it(
    subject: SimulatedVerda, wire: Wire
) -> None:
    provider = subject.provider()
    assert provider.gpu_names()
    rental = rented(subject, provider)
    assert rental.mark is not None
    provider.change_mark(rental.id, replace(rental.mark, deadline=rental.mark.deadline + HOUR))
    provider.list_rentals()
    provider.account()
    provider.release(rental.id)
    assert provider.get(rental.id) is None
    left = rented(subject, provider)
    subject.market.destroy(subject.number(left.id))
    (disk,) = provider.list_rentals()
    provider.release(disk.id)
    with pytest.raises(CredentialError):
        subject.provider("another-key").list_rentals()
    offer = cheapest(subject)
    subject.take(offer.id)
    with pytest.raises(OfferGone):
        provider.rent(offer, order(subject))
    assert {call for call, _status in wire.seen} == wire.document.calls()
    assert {200, 201, 202, 204, 401, 503} <= {status for _call, status in wire.seen}


def test_no_kind_of_call_is_made_more_often_than_its_limits_allow() -> None:
    limits = dict.fromkeys(Verda.seconds_between, 60) | {"list": 120, "disks": 120, "show": 120}
    # Of these, each call goes to another path than the one before.
    limits |= {"search": 4 * 60, "objects": 2 * 60}
    assert {
        kind: seconds
        for kind, seconds in Verda.seconds_between.items()
        if 60 / seconds > limits[kind]
    } == {}


# The login.


def test_one_token_serves_many_calls_and_is_renewed_before_it_ends(
    subject: SimulatedVerda,
) -> None:
    provider = subject.provider()
    for _twice in range(2):
        provider.list_rentals()
    assert len(posts(subject, "/oauth2/token")) == 1
    subject.clock.sleep(verda.TOKEN_SECONDS - 20)
    provider.list_rentals()
    assert len(posts(subject, "/oauth2/token")) == 2
    statuses = {entry["status"] for entry in subject.simulator.journal.entries()}
    assert statuses == {200}


def test_a_token_that_is_refused_is_renewed_once_and_the_call_made_again(
    subject: SimulatedVerda,
) -> None:
    provider = subject.provider()
    offer = cheapest(subject)
    provider.check_credential()
    subject.api.tokens.clear()
    rental_id = provider.rent(offer, order(subject))
    assert subject.rentals() == {rental_id}
    subject.api.tokens.clear()
    assert provider.get(rental_id) is not None


def test_a_rental_request_whose_token_is_refused_was_not_carried_out(
    subject: SimulatedVerda,
) -> None:
    refused = error(401, "unauthorized_request", "Access token is missing or invalid")
    answered(subject, "POST", "/instances", refused)
    rental_id = subject.provider().rent(cheapest(subject), order(subject))
    assert subject.rentals() == {rental_id}
    answered(subject, "POST", "/instances", refused, times=9)
    with pytest.raises(CredentialError):
        subject.provider().rent(cheapest(subject), order(subject))
    assert subject.creates() == 4


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (error(401, "unauthorized_request", "Invalid client id"), CredentialError),
        (error(400, "invalid_request", "client_id is not valid"), CredentialError),
        (Reply(400, b"<h1>Bad Request</h1>"), ProviderUnavailable),
        (Reply(502, b"<h1>Bad Gateway</h1>"), ProviderUnavailable),
        (json_reply({"token_type": "Bearer", "expires_in": 3600}), ProviderUnavailable),
        (json_reply({"access_token": "a\nb", "expires_in": 3600}), ProviderUnavailable),
        (json_reply(["token"]), ProviderUnavailable),
    ],
)
def test_a_login_that_fails_is_told_by_its_kind(
    subject: SimulatedVerda, reply: Reply, kind: type[MarketError]
) -> None:
    answered(subject, "POST", "/oauth2/token", reply, times=9)
    for call in (subject.provider().list_rentals, subject.provider().check_credential):
        with pytest.raises(MarketError) as caught:
            call()
        assert caught.type is kind


def test_neither_credentials_nor_tokens_get_into_a_message(subject: SimulatedVerda) -> None:
    half = '{"refresh_token": "refresh-12345", "access_token": "token-123'
    for body in (half, f'{{"echo": "{verda.CLIENT_ID} {ACCOUNT_KEY}"}}', f"<p>{ACCOUNT_KEY}</p>"):
        answered(subject, "POST", "/oauth2/token", Reply(200, body.encode()))
        with pytest.raises(ProviderUnavailable) as caught:
            subject.provider().check_credential()
        said = str(caught.value)
        hidden = (ACCOUNT_KEY, verda.CLIENT_ID, "refresh-12345", "token-123")
        assert [one for one in hidden if one in said] == []
    provider = subject.provider()
    provider.check_credential()
    (token,) = subject.api.tokens
    echo = Reply(200, f"{token} {ACCOUNT_KEY}".encode())
    answered(subject, "GET", "/balance", echo)
    with pytest.raises(ProviderUnavailable) as caught:
        provider.check_credential()
    assert token not in str(caught.value)
    assert ACCOUNT_KEY not in str(caught.value)


# Offers.


def test_several_gpus_are_priced_together_and_told_by_the_memory_of_one(
    subject: SimulatedVerda,
) -> None:
    one = {offer.gpu_name: offer for offer in subject.provider().search(Wish())}
    two = {offer.gpu_name: offer for offer in subject.provider().search(Wish(gpu_count=2))}
    name = min(one.keys() & two.keys())
    assert two[name].vram_gib == one[name].vram_gib
    alone = one[name].price_usd_per_hour - one[name].disk_usd_per_hour
    together = two[name].price_usd_per_hour - two[name].disk_usd_per_hour
    assert together == pytest.approx(2 * alone)
    assert set(one) <= set(subject.provider().gpu_names())


def test_what_has_no_gpu_of_nvidias_is_no_offer(subject: SimulatedVerda) -> None:
    everywhere = {"location_code": "FI-01", "availabilities": ["CPU.4V.16G", "1MI300X.20V"]}
    answered(subject, "GET", "/instance-availability", json_reply([everywhere]))
    assert subject.provider().search(Wish()) == []


def test_prices_in_another_currency_are_none(subject: SimulatedVerda) -> None:
    edited(subject, "/instance-types", lambda row: row.update(currency="eur"))
    with pytest.raises(ProviderUnavailable, match="none of"):
        subject.provider().search(Wish())


def test_a_country_that_is_wished_for_is_where_the_instance_runs(
    subject: SimulatedVerda,
) -> None:
    wish = Wish(countries=("SE",))
    matches, _reasons = wish.select(subject.provider().search(wish))
    assert {offer.country for offer in matches} == {"SE"}
    subject.provider().rent(matches[0], order(subject))
    (rental,) = subject.market.rentals.values()
    assert verda.location(rental.offer) == "SE-01"


def test_the_disk_has_room_beside_the_image_and_is_in_both_prices(
    subject: SimulatedVerda,
) -> None:
    offer = cheapest(subject, disk_gib=100)
    rental_id = subject.provider().rent(offer, order(subject, disk_gib=100))
    (disk,) = subject.api.things.disks.values()
    assert disk.size == 50 + 108
    assert offer.disk_usd_per_hour == pytest.approx(158 * 0.2 / 730, abs=1e-6)
    seen = subject.provider().get(rental_id)
    assert seen is not None
    assert seen.price_usd_per_hour == pytest.approx(offer.price_usd_per_hour, abs=1e-6)
    assert seen.stopped_usd_per_hour == seen.price_usd_per_hour


# The rental request.


CREATES: dict[str, tuple[int, str, str, type[MarketError]]] = {
    "no capacity": (503, "service_unavailable", verda.NO_CAPACITY, OfferGone),
    "another system": (400, "invalid_request", verda.WRONG_OS, OfferGone),
    "no such type": (404, "not_found", "Instance type not found", OfferGone),
    "no credit": (402, "insufficient_funds", "Not enough funds", RequestRefused),
    "a quota": (400, "invalid_request", "Instance limit exceeded", RequestRefused),
    "a rule": (400, "invalid_request", "hostname is not valid", RequestRefused),
    "a project": (403, "forbidden_action", "Project is suspended", RequestRefused),
    "no such call": (404, "not_found", "Cannot POST /v2/instances", RequestRefused),
    "a right": (403, "forbidden_action", "Insufficient scope", CredentialError),
    "no login": (401, "unauthorized_request", "Access token is invalid", CredentialError),
    "a failure": (500, "server_error", "Something went wrong", UnclearCreate),
    "a time-out": (408, "invalid_request", "Request timeout", UnclearCreate),
    "busy": (503, "service_unavailable", "Try again later", UnclearCreate),
    "a gateway": (503, "upstream", verda.NO_CAPACITY, UnclearCreate),
}


@pytest.mark.parametrize("case", CREATES)
def test_a_refused_rental_request_is_told_by_its_kind(subject: SimulatedVerda, case: str) -> None:
    status, code, message, kind = CREATES[case]
    offer = cheapest(subject)
    answered(subject, "POST", "/instances", error(status, code, message), times=9)
    with pytest.raises(MarketError, match=re.escape(message[:30])) as caught:
        subject.provider().rent(offer, order(subject))
    assert caught.type is kind
    # A token that was refused is renewed, once for each kind of request.
    assert subject.creates() == (2 if case == "no login" else 1)
    # Where an instance may start with them, script and key stay.
    kept = int(kind is UnclearCreate)
    assert (len(subject.api.things.scripts), len(subject.api.things.keys)) == (kept, kept)


def test_a_page_that_has_the_words_is_no_refusal(subject: SimulatedVerda) -> None:
    page = Reply(503, b"<h1>No capacity available</h1>")
    answered(subject, "POST", "/instances", page)
    with pytest.raises(UnclearCreate):
        subject.provider().rent(cheapest(subject), order(subject))


@pytest.mark.parametrize("as_told", ["{}", '"{}"', '{{"id": "{}"}}', " {}\n"])
def test_an_id_is_read_in_each_of_its_forms(subject: SimulatedVerda, as_told: str) -> None:
    def change(request: Request, reply: Reply) -> Reply:
        if (request.method, request.path) != ("POST", "/v1/instances"):
            return reply
        return Reply(202, as_told.format(reply.body.decode()).encode())

    between(subject, change)
    rental_id = subject.provider().rent(cheapest(subject), order(subject))
    assert subject.rentals() == {rental_id}


def test_an_id_beside_an_error_is_the_rental_to_look_for(subject: SimulatedVerda) -> None:
    told = "5eed0000-0000-4000-8000-000000000007"
    answered(subject, "POST", "/instances", json_reply({"id": told}, 500))
    with pytest.raises(UnclearCreate) as caught:
        subject.provider().rent(cheapest(subject), order(subject))
    assert caught.value.rental_id == told


def test_a_quota_of_scripts_refuses_before_anything_is_rented(subject: SimulatedVerda) -> None:
    subject.api.things.scripts = {str(one): {"name": "x"} for one in range(verda.MOST_SCRIPTS)}
    with pytest.raises(RequestRefused, match="Startup script limit exceeded"):
        subject.provider().rent(cheapest(subject), order(subject))
    answered(subject, "POST", "/ssh-keys", error(400, "invalid_request", "key is not valid"))
    subject.api.things.scripts.clear()
    with pytest.raises(RequestRefused, match="key is not valid"):
        subject.provider().rent(cheapest(subject), order(subject))
    assert subject.creates() == 0
    assert subject.api.things.scripts == {}


@pytest.mark.parametrize("name", ["gpu-1", "a.b_c", "x" * 63, "9"])
def test_the_host_has_a_name_that_it_takes(subject: SimulatedVerda, name: str) -> None:
    wanted = order(subject)
    mark = replace(wanted.mark, name=name)
    rental_id = subject.provider().rent(cheapest(subject), replace(wanted, mark=mark))
    assert subject.rentals() == {rental_id}


# Rows.


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ("new", STARTING),
        ("ordered", STARTING),
        ("validating", STARTING),
        ("provisioning", STARTING),
        ("one that is new", STARTING),
        ("running", RUNNING),
        ("unknown", SILENT),
        ("offline", STOPPED),
        ("error", FAILED),
        ("installation_failed", FAILED),
        ("no_capacity", FAILED),
        ("deleting", FAILED),
        (None, UNREADABLE),
        (7, UNREADABLE),
    ],
)
def test_an_instance_is_in_one_of_its_states(
    subject: SimulatedVerda, status: Any, told: str
) -> None:
    rental = rented(subject)
    edited(subject, "/instances.*", lambda row: row.update(status=status))
    (listed,) = subject.provider().list_rentals()
    assert (listed.status, listed.mark) == (told, rental.mark)
    if told == UNREADABLE:
        with pytest.raises(ProviderUnavailable):
            subject.provider().get(rental.id)


@pytest.mark.parametrize("status", ["discontinued", "deleted", "notfound"])
def test_one_that_has_ended_is_gone(subject: SimulatedVerda, status: str) -> None:
    rental = rented(subject)
    edited(subject, "/instances.*", lambda row: row.update(status=status))
    edited(subject, "/volumes", lambda row: row.update(tags=[]))
    assert subject.provider().get(rental.id) is None
    assert subject.provider().list_rentals() == []


@pytest.mark.parametrize(
    ("reply", "is_gone"),
    [
        (error(404, "not_found", "Invalid instance id"), True),
        (error(400, "invalid_request", "Invalid instance id"), True),
        (error(404, "not_found", "Instance not found"), True),
        (error(404, "not_found", "Cannot GET /v2/instances"), False),
        (error(404, "not_found", "Project not found"), False),
        (error(500, "server_error", "Instance not found"), False),
        (json_reply({"message": "Instance not found"}, 404), False),
        (json_reply({"message": "Instance not found"}), False),
        (Reply(404, b"Instance not found"), False),
        (json_reply({"id": "another", "status": "discontinued"}), False),
        (json_reply({"status": "discontinued"}), False),
    ],
)
def test_gone_is_in_its_own_words_about_this_instance(
    subject: SimulatedVerda, reply: Reply, is_gone: bool
) -> None:
    rental = rented(subject)
    answered(subject, "GET", "/instances/.*", reply, times=9)
    if is_gone:
        assert subject.provider().get(rental.id) is None
        return
    with pytest.raises(ProviderUnavailable):
        subject.provider().get(rental.id)


def test_one_odd_row_hides_neither_itself_nor_the_others(subject: SimulatedVerda) -> None:
    rental, other = rented(subject), rented(subject)
    edited(
        subject,
        "/instances",
        lambda row: row.update(price_per_hour="dear") if row["id"] == rental.id else None,
    )
    listed = {one.id: one for one in subject.provider().list_rentals()}
    assert listed[rental.id].status == UNREADABLE
    assert listed[rental.id].mark == rental.mark
    assert listed[other.id].status == RUNNING


def test_one_that_nobody_can_tell_spoils_the_list(subject: SimulatedVerda) -> None:
    rented(subject)
    edited(subject, "/instances", lambda row: row.update(id=None))
    with pytest.raises(ProviderUnavailable):
        subject.provider().list_rentals()


@pytest.mark.parametrize("tags", [None, "tags", [7], [{"key": "inferops"}], []])
def test_tags_that_cannot_be_read_leave_the_mark_of_the_description(
    subject: SimulatedVerda, tags: Any
) -> None:
    rental = rented(subject)
    edited(subject, "/instances.*", lambda row: row.update(tags=tags))
    seen = subject.provider().get(rental.id)
    assert seen is not None
    assert (seen.mark, seen.label, seen.is_written_over) == (rental.mark, "", True)


def test_the_balance_counts_where_it_is_in_dollars(subject: SimulatedVerda) -> None:
    assert subject.provider().account().credit_usd == 25.0
    edited(subject, "/balance", lambda row: row.update(currency="eur"))
    assert subject.provider().account().credit_usd is None


# The mark moves.


def later(rental: Rental, hours: float) -> Mark:
    assert rental.mark is not None
    return replace(rental.mark, deadline=rental.mark.deadline + int(hours * HOUR))


def test_a_mark_that_moves_is_there_at_every_moment(subject: SimulatedVerda) -> None:
    rental = rented(subject)
    (row,) = subject.market.rentals.values()
    moved = [later(rental, 1), later(rental, 2), later(rental, 1)]
    seen: list[list[str]] = []

    def change(request: Request, reply: Reply) -> Reply:
        if "/tags" in request.path:
            seen.append([tag["key"] for tag in row.wish["instance"]["tags"]])
        return reply

    between(subject, change)
    for mark in moved:
        subject.provider().change_mark(rental.id, mark)
        read = subject.provider().get(rental.id)
        assert read is not None
        assert read.mark == mark
    marks = {"inferops", "inferops-moved"}
    assert [len(marks.intersection(keys)) for keys in seen] == [2, 1] * len(moved)


def test_a_change_that_was_cut_off_leaves_the_later_deadline_and_is_made_again(
    subject: SimulatedVerda,
) -> None:
    rental = rented(subject)
    answered(subject, "DELETE", "/instances/.*/tags/.*", error(500, "server_error", "no"), times=4)
    with pytest.raises(ProviderUnavailable):
        subject.provider().change_mark(rental.id, later(rental, 1))
    seen = subject.provider().get(rental.id)
    assert seen is not None
    assert seen.mark == later(rental, 1)
    for hours in (1.0, 2.0):
        subject.provider().change_mark(rental.id, later(rental, hours))
        again = subject.provider().get(rental.id)
        assert again is not None
        assert again.mark == later(rental, hours)
    (row,) = subject.market.rentals.values()
    tags = [tag["key"] for tag in row.wish["instance"]["tags"]]
    assert len([key for key in tags if key in ("inferops", "inferops-moved")]) == 1


def test_a_tag_that_goes_by_its_key_alone_goes(subject: SimulatedVerda) -> None:
    rental = rented(subject)
    unknown = error(404, "not_found", "Instance or tag not found")
    answered(subject, "DELETE", "/instances/.*/tags/tag_.*", unknown, times=9)
    for hours in (2.0, 1.0):
        subject.provider().change_mark(rental.id, later(rental, hours))
        seen = subject.provider().get(rental.id)
        assert seen is not None
        assert seen.mark == later(rental, hours)


def test_a_tag_that_is_there_already_is_an_answer_that_was_lost(subject: SimulatedVerda) -> None:
    rental = rented(subject)
    reply = {"kind": "reply_after_commit", "method": "POST", "path": "/tags$", "status": 502}
    subject.simulator.control.plan_faults([{**reply, "body": "Bad Gateway"}])
    subject.provider().change_mark(rental.id, later(rental, 1))
    seen = subject.provider().get(rental.id)
    assert seen is not None
    assert seen.mark == later(rental, 1)


# The end.


def provisioning(subject: SimulatedVerda, seconds: float) -> str:
    """The id of a rental that is being made for so long."""
    rental = rented(subject)
    (row,) = subject.market.rentals.values()
    row.status = "loading"
    subject.market.later(seconds, lambda: subject.market.set_status(row, "running"))
    return rental.id


def test_what_is_being_made_is_released_when_it_runs(subject: SimulatedVerda) -> None:
    rental_id = provisioning(subject, 300)
    with pytest.raises(ProviderUnavailable, match="not ended before it runs"):
        subject.provider().release(rental_id)
    began = subject.clock.now()
    (rental,) = subject.provider().list_rentals()
    lifecycle(subject).release(rental)
    assert subject.rentals() == set()
    assert disks(subject) == ["gone"]
    assert 300 <= subject.clock.now() - began < 400


def test_what_is_never_made_is_not_called_gone(subject: SimulatedVerda) -> None:
    provisioning(subject, 9 * HOUR)
    (rental,) = subject.provider().list_rentals()
    with pytest.raises(UnprovenAbsence):
        lifecycle(subject).release(rental)
    assert len(subject.rentals()) == 1


@pytest.mark.parametrize(
    "reply",
    [
        json_reply([{"instanceId": "another", "action": "delete", "status": "success"}], 202),
        json_reply([], 202),
        Reply(202),
        error(403, "forbidden_action", "Can't discontinue a provisioning instance"),
        error(403, "forbidden_action", "Instance is locked"),
        error(400, "invalid_request", "Action not allowed"),
    ],
)
def test_an_end_that_was_not_accepted_is_asked_for_again(
    subject: SimulatedVerda, reply: Reply
) -> None:
    rental = rented(subject)
    answered(subject, "PUT", "/instances", reply)
    with pytest.raises(ProviderUnavailable):
        subject.provider().release(rental.id)
    answered(subject, "PUT", "/instances", reply, times=3)
    lifecycle(subject).release(rental)
    assert subject.rentals() == set()


@pytest.mark.parametrize(
    "reply",
    [
        Reply(204),
        error(403, "forbidden_action", "Can't discontinue a discontinued instance"),
        error(404, "not_found", "Instance not found"),
    ],
)
def test_an_end_of_what_has_ended_is_no_error(subject: SimulatedVerda, reply: Reply) -> None:
    rental = rented(subject)
    answered(subject, "PUT", "/instances", reply)
    subject.provider().release(rental.id)


def test_one_result_among_several_says_that_it_is_not_ended_yet(subject: SimulatedVerda) -> None:
    rental = rented(subject)
    result = {"instanceId": rental.id, "action": "delete", "status": "error", "statusCode": 403}
    told = "Can't discontinue a provisioning instance"
    answered(subject, "PUT", "/instances", json_reply([{**result, "error": told}], 207))
    with pytest.raises(ProviderUnavailable, match="not ended before it runs"):
        subject.provider().release(rental.id)


def test_a_release_takes_its_own_disk_along_for_good_and_no_other(
    subject: SimulatedVerda,
) -> None:
    rental = rented(subject)
    foreign = verda.Disk("d15c0000-0000-4000-8000-999999999999", 0, "data", 100, [], 0.0)
    foreign.state = "detached"
    subject.api.things.disks[foreign.id] = foreign
    edited(subject, "/instances/.*", lambda row: row["volume_ids"].append(foreign.id))
    subject.provider().release(rental.id)
    assert disks(subject) == ["gone", "detached"]
    assert subject.provider().list_rentals() == []


def test_a_release_finds_the_disk_of_an_instance_that_does_not_tell_it(
    subject: SimulatedVerda,
) -> None:
    rental = rented(subject)
    another = rented(subject)
    edited(subject, "/instances/.*", lambda row: row.update(os_volume_id=None, volume_ids=None))
    subject.provider().release(rental.id)
    assert [one.id for one in subject.provider().list_rentals()] == [another.id]
    assert disks(subject) == ["gone", "attached"]


@pytest.mark.parametrize("state", ["detached", "trash"])
def test_a_disk_that_is_left_bills_and_is_a_rental_until_it_is_gone(
    subject: SimulatedVerda, state: str
) -> None:
    rental = rented(subject)
    subject.market.destroy(subject.number(rental.id))
    (disk,) = subject.api.things.disks.values()
    if state == "trash":
        verda.trash(subject.api, disk)
    (left,) = subject.provider().list_rentals()
    assert (left.mark, left.status) == (rental.mark, STOPPED)
    assert left.is_ending
    assert not rental.is_ending
    assert "its disk is left" in left.status_text
    assert left.billed_usd_per_hour == pytest.approx(72 * 0.2 / 730, abs=1e-6)
    assert subject.provider().get(left.id) == left
    # The instance itself is gone.
    assert subject.provider().get(rental.id) is None
    lifecycle(subject).release(left)
    assert disks(subject) == ["gone"]
    assert subject.provider().list_rentals() == []
    assert subject.provider().get(left.id) is None


@pytest.mark.parametrize("state", ["detached", "trash"])
def test_a_release_is_not_proven_while_the_disk_is_left(
    subject: SimulatedVerda, state: str
) -> None:
    provider = subject.provider()
    rental = rented(subject, provider)

    def change(request: Request, reply: Reply) -> Reply:
        if (request.method, request.path) == ("PUT", "/v1/instances") and reply.status == 202:
            (disk,) = subject.api.things.disks.values()
            disk.state = state
        return reply

    between(subject, change)
    provider.release(rental.id)
    assert subject.rentals() == set()
    left = provider.get(rental.id)
    assert left is not None
    assert left.status == STOPPED
    assert [one.id for one in provider.list_rentals()] == [rental.id]
    lifecycle(subject, provider).release(rental)
    assert disks(subject) == ["gone"]
    assert provider.get(rental.id) is None


def test_a_disk_that_an_instance_has_is_not_left(subject: SimulatedVerda) -> None:
    rental = rented(subject)
    edited(subject, "/volumes", lambda row: row.update(status="detached"))
    assert [one.id for one in subject.provider().list_rentals()] == [rental.id]


@pytest.mark.parametrize("path", ["/volumes", "/volumes/trash"])
def test_a_list_without_the_disks_is_none(subject: SimulatedVerda, path: str) -> None:
    rented(subject)
    answered(subject, "GET", path, json_reply({"volumes": []}), times=9)
    with pytest.raises(ProviderUnavailable):
        subject.provider().list_rentals()


def test_a_price_in_another_currency_is_not_told_in_dollars(subject: SimulatedVerda) -> None:
    rental = rented(subject)
    subject.market.destroy(subject.number(rental.id))
    edited(subject, "/volumes", lambda row: row.update(currency="eur"))
    (left,) = subject.provider().list_rentals()
    assert left.billed_usd_per_hour is None


# What was made for a rental.


def things(subject: SimulatedVerda) -> set[str]:
    """The names of all scripts, which are those of all keys."""
    there = subject.api.things
    scripts, keys = ({one["name"] for one in kind.values()} for kind in (there.scripts, there.keys))
    assert scripts == keys
    return scripts


def test_a_release_deletes_script_and_key_of_its_rental_and_leaves_all_others(
    subject: SimulatedVerda,
) -> None:
    first, second = rented(subject), rented(subject)
    assert len(subject.api.things.scripts) == len(subject.api.things.keys) == 2
    for kind in ("scripts", "keys"):
        getattr(subject.api.things, kind)["theirs"] = {
            "id": "theirs", "name": "my laptop", "key": PUBLIC_KEY, "script": "", "created_at": "",
        }  # fmt: skip
    subject.provider().release(first.id)
    assert things(subject) == {second.label, "my laptop"}


def test_what_others_have_left_goes_with_a_release_unless_it_may_be_used(
    subject: SimulatedVerda,
) -> None:
    offer = cheapest(subject)
    lost = order(subject)
    answered(subject, "POST", "/instances", Reply(502, b"Bad Gateway"))
    with pytest.raises(UnclearCreate):
        subject.provider().rent(offer, lost)
    of_another = replace(lost, mark=replace(lost.mark, scope="other", nonce="aaaaaaaa"))
    answered(subject, "POST", "/instances", Reply(502, b"Bad Gateway"))
    with pytest.raises(UnclearCreate):
        subject.provider().rent(offer, of_another)
    in_use = rented(subject)
    subject.clock.sleep(2 * HOUR)
    young = order(subject)
    answered(subject, "POST", "/instances", Reply(502, b"Bad Gateway"))
    with pytest.raises(UnclearCreate):
        subject.provider().rent(offer, young)
    subject.provider().release(rented(subject).id)
    kept = {of_another.mark.encode(), in_use.label, young.mark.encode()}
    assert things(subject) == kept


@pytest.mark.parametrize("path", ["/scripts", "/ssh-keys"])
def test_what_cannot_be_swept_fails_no_release(subject: SimulatedVerda, path: str) -> None:
    rental = rented(subject)
    answered(subject, "GET", path, error(403, "forbidden_action", "Insufficient scope"), times=9)
    lifecycle(subject).release(rental)
    assert subject.rentals() == set()


def test_a_key_that_was_there_before_stays_where_nothing_is_rented(
    subject: SimulatedVerda,
) -> None:
    theirs = "4e700000-0000-4000-8000-000000009999"
    subject.api.things.keys[theirs] = {"id": theirs, "name": "my laptop", "key": PUBLIC_KEY}
    offer = cheapest(subject)
    answered(subject, "POST", "/ssh-keys", Reply(201, theirs.encode()))
    answered(subject, "POST", "/instances", error(402, "insufficient_funds", "Not enough funds"))
    with pytest.raises(RequestRefused):
        subject.provider().rent(offer, order(subject))
    assert list(subject.api.things.keys) == [theirs]
    assert subject.api.things.scripts == {}


# What its own client calls, and ours does not.


def asked(subject: SimulatedVerda, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """A call with a token, as status and answer."""
    given = {"client_id": verda.CLIENT_ID, "client_secret": ACCOUNT_KEY}
    login = {"grant_type": "client_credentials", **given}
    url = f"{subject.simulator.url}/v1"
    token = requests.post(f"{url}/oauth2/token", json=login, timeout=HANGS_AFTER_SECONDS).json()[
        "access_token"
    ]
    headers = {"Authorization": f"Bearer {token}"}
    answer = requests.request(
        method, url + path, headers=headers, json=body, timeout=HANGS_AFTER_SECONDS
    )
    return answer.status_code, json.loads(answer.text) if answer.text else None


@pytest.mark.parametrize(("path", "kind"), [("/sshkeys", "keys"), ("/scripts", "scripts")])
def test_keys_and_scripts_are_read_alone_and_deleted_together(
    subject: SimulatedVerda, path: str, kind: str
) -> None:
    rented(subject)
    things = getattr(subject.api.things, kind)
    (name,) = things
    assert asked(subject, "GET", f"{path}/{name}") == (200, [things[name]])
    assert asked(subject, "GET", f"{path}/nothing")[0] == 404
    assert asked(subject, "DELETE", path, {kind: [name, "nothing"]})[0] == 404
    assert list(things) == [name]
    assert asked(subject, "DELETE", path, {kind: [name]}) == (200, None)
    assert not things


def test_a_disk_is_where_its_instance_is(subject: SimulatedVerda) -> None:
    rental = rented(subject)
    (disk,) = asked(subject, "GET", "/volumes")[1]
    (instance,) = asked(subject, "GET", "/instances")[1]
    assert instance["id"] == rental.id
    assert disk["location"] == instance["location"]
