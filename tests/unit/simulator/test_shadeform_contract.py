# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What our client sends to Shadeform, and what its simulator answers, against its own document.

``tests/simulator/shadeform-api.json`` is what its OpenAPI document 1.0.0 says of the calls that are
made here: names and types without a word of its text, from github.com/shadeform/docs, and what the
newer one of github.com/shadeform/shadeform-cli adds. What its quickstart shows as null may be null.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market.errors import (
    CredentialError,
    MarketError,
    OfferGone,
    ProviderUnavailable,
    RequestRefused,
    UnclearCreate,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.mark import Mark
from ansible_collections.inferops.gpu.plugins.module_utils.market.model import (
    FAILED,
    RUNNING,
    STARTING,
    UNREADABLE,
    Offer,
    Order,
    Rental,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.presence import (
    GONE,
    judge,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.wish import Wish
from tests.simulator import shadeform
from tests.simulator.documents import Wire
from tests.simulator.web import Reply, Request, json_reply
from tests.unit.market.conformance.subjects import SimulatedShadeform
from tests.unit.market.conftest import PUBLIC_KEY

INFO = r"/v1/instances/[^/]+/info"
ROWS = rf"/v1/instances|{INFO}"
TYPES = "/v1/instances/types"
CREATE = {"method": "POST", "path": "/v1/instances/create$"}


@pytest.fixture
def subject() -> Iterator[SimulatedShadeform]:
    made = SimulatedShadeform()
    yield made
    made.close()


def order(subject: SimulatedShadeform, **changes: Any) -> Order:
    now = int(subject.clock.now())
    mark = Mark.new("test", "gpu-1", now + 3600, 3600, now)
    image = subject.kind.usual.image
    given: dict[str, Any] = {"image": image, "disk_gib": 20, "ssh_public_key": PUBLIC_KEY}
    return Order(**{"mark": mark, "created_at": now, **given, **changes})


def cheapest(subject: SimulatedShadeform, **wish: Any) -> Offer:
    offers = subject.provider().search(Wish(**wish))
    return min(offers, key=lambda offer: offer.price_usd_per_hour)


def rented(subject: SimulatedShadeform, **changes: Any) -> Rental:
    provider = subject.provider()
    rental_id = provider.rent(cheapest(subject), order(subject, **changes))
    subject.settle()
    found = provider.get(rental_id)
    assert found is not None
    return found


def sent(subject: SimulatedShadeform) -> dict[str, Any]:
    """The last rental request."""
    return dict(subject._sent()[-1]["body"])


def edited(subject: SimulatedShadeform, path: str, edit: Callable[[dict[str, Any]], Any]) -> None:
    """Let each row of these answers be another one."""
    answer = subject.simulator.api.answer

    def spoilt(request: Request, traits: Any, from_host: bool) -> Reply:
        reply = answer(request, traits, from_host)
        if not re.fullmatch(path, request.path) or reply.status != 200:
            return reply
        body = json.loads(reply.body)
        for row in body.get("instances", body.get("instance_types", [body])):
            edit(row)
        return Reply(reply.status, json.dumps(body).encode(), reply.headers)

    subject.simulator.api.answer = spoilt  # type: ignore[method-assign]


def answered(subject: SimulatedShadeform, path: str, reply: Reply, method: str = "GET") -> None:
    """Let these calls be answered so, without doing anything."""
    answer = subject.simulator.api.answer

    def spoilt(request: Request, traits: Any, from_host: bool) -> Reply:
        if request.method == method and re.fullmatch(path, request.path):
            return reply
        return answer(request, traits, from_host)

    subject.simulator.api.answer = spoilt  # type: ignore[method-assign]


def test_every_call_and_every_answer_is_as_the_document_has_it(
    subject: SimulatedShadeform, wire: Wire
) -> None:
    provider = subject.provider()
    assert provider.gpu_names()
    rental = rented(subject, ports=(8000,))
    assert rental.mark is not None
    provider.change_mark(rental.id, rental.mark)
    provider.list_rentals()
    provider.check_credential()
    provider.release(rental.id)
    assert provider.get(rental.id) is None
    assert provider.list_rentals() == []
    with pytest.raises(CredentialError):
        subject.provider("another-key").list_rentals()
    assert provider.get(shadeform.ID.format(1)) is None
    assert {call for call, _status in wire.seen} == wire.document.calls()
    assert {200, 401, 404} == {status for _call, status in wire.seen}


# Its end.


def test_shadeform_deletes_it_at_its_deadline_whoever_is_gone_by_then(
    subject: SimulatedShadeform,
) -> None:
    rental = rented(subject)
    subject.clock.sleep(3590)
    assert subject.rentals() == {rental.id}
    subject.clock.sleep(20)
    assert subject.rentals() == set()


def test_the_end_moves_along_with_the_mark(subject: SimulatedShadeform, wire: Wire) -> None:
    rental, provider = rented(subject), subject.provider()
    assert rental.mark is not None
    later = replace(rental.mark, deadline=rental.mark.deadline + 7200)
    provider.change_mark(rental.id, later)
    subject.clock.sleep(7200)
    assert subject.rentals() == {rental.id}
    sooner = replace(later, deadline=later.deadline - 3000)
    provider.change_mark(rental.id, sooner)
    subject.clock.sleep(700)
    assert subject.rentals() == set()


def test_what_has_no_deadline_is_not_deleted(subject: SimulatedShadeform, wire: Wire) -> None:
    now = int(subject.clock.now())
    rental = rented(subject, mark=Mark.new("test", "gpu-1", 0, 0, now))
    assert "auto_delete" not in sent(subject)
    mark = replace(order(subject).mark, nonce=rental.mark.nonce if rental.mark else "")
    subject.provider().change_mark(rental.id, mark)
    subject.provider().change_mark(rental.id, replace(mark, deadline=0))
    subject.clock.sleep(86400)
    assert subject.rentals() == {rental.id}


def test_what_a_person_has_added_outlives_a_new_mark(
    subject: SimulatedShadeform, wire: Wire
) -> None:
    rental, provider = rented(subject), subject.provider()
    (booked,) = subject.market.rentals.values()
    booked.label = f"blue\n{booked.label}\nred"
    limits = {**booked.wish["instance"]["auto_delete"], "spend_threshold": "9.50"}
    booked.wish["instance"]["auto_delete"] = limits
    seen = provider.get(rental.id)
    assert seen is not None
    assert (seen.mark, seen.label, seen.is_written_over) == (rental.mark, rental.label, False)
    assert rental.mark is not None
    for deadline in (rental.mark.deadline + 60, 0):
        moved = replace(rental.mark, deadline=deadline)
        provider.change_mark(rental.id, moved)
        assert (booked.label or "").split("\n") == [moved.encode(), "blue", "red"]
        assert booked.wish["instance"]["auto_delete"]["spend_threshold"] == "9.50"


@pytest.mark.parametrize("shown", ["2026-01-02T03:04:05Z", "soon", None])
def test_an_end_that_does_not_move_is_told(subject: SimulatedShadeform, shown: str | None) -> None:
    rental = rented(subject)
    assert rental.mark is not None
    limits = {"date_threshold": shown, "spend_threshold": None}
    edited(subject, INFO, lambda row: row.update(auto_delete=limits))
    with pytest.raises(ProviderUnavailable, match="would not end it then"):
        subject.provider().change_mark(rental.id, rental.mark)


def test_what_is_gone_or_odd_gets_no_new_mark(subject: SimulatedShadeform) -> None:
    rental = rented(subject)
    assert rental.mark is not None
    answered(subject, ".*/update", Reply(500), "POST")
    edited(subject, INFO, lambda row: row.update(tags="mine"))
    with pytest.raises(ProviderUnavailable, match="is no text"):
        subject.provider().change_mark(rental.id, rental.mark)
    subject.market.destroy_all()
    with pytest.raises(ProviderUnavailable, match="it is gone"):
        subject.provider().change_mark(rental.id, rental.mark)


def test_its_billing_has_ended_while_it_is_being_deleted(subject: SimulatedShadeform) -> None:
    rental = rented(subject)
    edited(subject, ROWS, lambda row: row.update(status="deleting"))
    assert subject.provider().list_rentals() == []
    assert subject.provider().get(rental.id) is None


def test_its_end_is_proven_while_it_is_still_shown(subject: SimulatedShadeform, wire: Wire) -> None:
    rental, provider = rented(subject), subject.provider()
    provider.release(rental.id)
    provider.release(rental.id)
    assert judge(provider, rental.id, subject.clock).presence == GONE
    assert ("GET /instances/{id}/info", 404) not in wire.seen
    subject.clock.sleep(shadeform.DELETING_SECONDS)
    assert provider.get(rental.id) is None
    assert wire.seen[-1] == ("GET /instances/{id}/info", 404)


GONE_WORDS: dict[str, tuple[dict[str, str], bool]] = {
    "a code": ({"error_code": "INSTANCE_NOT_FOUND", "error": ""}, True),
    "a text": ({"error_code": "", "error": "instance does not exist"}, True),
    "a message": ({"message": "instance not found"}, True),
    "of an address": ({"message": "Not Found"}, False),
    "other words": ({"error_code": "WRONG_ACCOUNT", "error": "ask somebody else"}, False),
}


@pytest.mark.parametrize("case", GONE_WORDS)
def test_gone_is_said_in_its_own_words(subject: SimulatedShadeform, case: str) -> None:
    body, gone = GONE_WORDS[case]
    rental = rented(subject)
    answered(subject, INFO, json_reply(body, 404))
    answered(subject, ".*/delete", json_reply(body, 404), "POST")
    if gone:
        assert subject.provider().get(rental.id) is None
        subject.provider().release(rental.id)
        return
    for call in (subject.provider().get, subject.provider().release):
        with pytest.raises(ProviderUnavailable):
            call(rental.id)


def test_a_delete_without_effect_is_told(subject: SimulatedShadeform) -> None:
    rental = rented(subject)
    answered(subject, ".*/delete", Reply(200), "POST")
    with pytest.raises(ProviderUnavailable, match="shown as before"):
        subject.provider().release(rental.id)


# What it refuses.


CREATES: dict[str, tuple[int, dict[str, str], type[MarketError]]] = {
    "out of stock": (409, {"error_code": "OUT_OF_STOCK", "error": "Out of stock"}, OfferGone),
    "out of capacity": (400, {"error_code": "", "error": "Region is out of capacity"}, OfferGone),
    "no funds": (409, {"error_code": "INSUFFICIENT_FUNDS", "error": "Top up"}, RequestRefused),
    "a rule": (400, {"error_code": "INVALID_REQUEST", "error": "name is invalid"}, RequestRefused),
    "no key": (401, {"message": "Invalid API key"}, CredentialError),
    "another's": (403, {"error_code": "FORBIDDEN", "error": "Account mismatch"}, CredentialError),
    "its own fault": (409, {"error_code": "INTERNAL_SERVER_ERROR", "error": "Oh"}, UnclearCreate),
    "a gateway gives up": (504, {"message": "Endpoint request timed out"}, UnclearCreate),
    "a time-out": (408, {"message": "Request timeout"}, UnclearCreate),
}


@pytest.mark.parametrize("case", CREATES)
def test_a_refused_create_is_told_by_its_kind(subject: SimulatedShadeform, case: str) -> None:
    status, body, kind = CREATES[case]
    offer = cheapest(subject)
    reply = {"kind": "reply", **CREATE, "status": status, "body": body, "times": 9}
    subject.simulator.control.plan_faults([reply])
    told = body.get("message") or body["error"]
    with pytest.raises(MarketError, match=re.escape(told)) as caught:
        subject.provider().rent(offer, order(subject))
    assert caught.type is kind
    assert subject.creates() == 1


def test_an_id_beside_an_error_is_the_rental_to_look_for(subject: SimulatedShadeform) -> None:
    offer = cheapest(subject)
    reply = {"kind": "reply", **CREATE, "status": 500, "body": {"id": "abc123"}}
    subject.simulator.control.plan_faults([reply])
    with pytest.raises(UnclearCreate) as caught:
        subject.provider().rent(offer, order(subject))
    assert caught.value.rental_id == "abc123"


def test_the_last_machine_may_go_between_the_look_and_the_request(
    subject: SimulatedShadeform, wire: Wire
) -> None:
    offer = cheapest(subject)
    answer = subject.simulator.api.answer

    def taken_first(request: Request, traits: Any, from_host: bool) -> Reply:
        if request.path == "/v1/instances/create":
            subject.take(offer.id)
        return answer(request, traits, from_host)

    subject.simulator.api.answer = taken_first  # type: ignore[method-assign]
    with pytest.raises(OfferGone, match="OUT_OF_STOCK"):
        subject.provider().rent(offer, order(subject))


def test_what_has_become_dearer_is_not_rented(subject: SimulatedShadeform) -> None:
    offer = cheapest(subject)
    edited(subject, TYPES, lambda row: row.update(hourly_price=row["hourly_price"] + 1))
    with pytest.raises(OfferGone, match="not at its price"):
        subject.provider().rent(offer, order(subject))
    assert subject.creates() == 0


# What it offers.


def test_an_offer_is_a_kind_of_machine_in_a_region(subject: SimulatedShadeform, wire: Wire) -> None:
    offer = cheapest(subject, gpu_count=2)
    cloud, region, kind = offer.id.split(".")
    subject.provider().rent(offer, order(subject))
    body = sent(subject)
    assert (body["cloud"], body["region"], body["shade_instance_type"]) == (cloud, region, kind)
    assert body["shade_cloud"] is True
    (rental,) = subject.market.rentals.values()
    assert rental.offer["num_gpus"] == 2
    assert str(rental.offer["geolocation"]).endswith(offer.country or "nowhere")
    (listed,) = subject.provider().list_rentals()
    assert listed.price_usd_per_hour == offer.price_usd_per_hour


@pytest.mark.parametrize(
    "other",
    [
        {"deployment_type": "container"},
        {"boot_time": {"min_boot_in_sec": 600, "max_boot_in_sec": 3600}},
        {"configuration": {"gpu_type": "GH200"}},
        {"availability": [{"region": "a-1", "available": False, "display_name": "US, A"}]},
        {
            "availability": [
                {"region": "a-1", "available": True, "display_name": "", "rental_type": "spot"}
            ]
        },
    ],
    ids=lambda other: str(*other),
)
def test_what_cannot_be_used_is_no_offer(
    subject: SimulatedShadeform, other: dict[str, Any]
) -> None:
    edited(subject, TYPES, lambda row: row.update(other))
    assert subject.provider().search(Wish()) == []


@pytest.mark.parametrize(
    "odd",
    [
        {"hourly_price": 0},
        {"hourly_price": "dear"},
        {"cloud": "a.b"},
        {"configuration": None},
        {"availability": None},
    ],
    ids=lambda odd: str(*odd),
)
def test_a_catalogue_that_nobody_understands_is_no_market_without_offers(
    subject: SimulatedShadeform, odd: dict[str, Any]
) -> None:
    offer = cheapest(subject)
    edited(subject, TYPES, lambda row: row.update(odd) if row["cloud"] in offer.id else None)
    clouds = {one.id.split(".")[0] for one in subject.provider().search(Wish())}
    assert clouds == set(shadeform.CLOUDS) - {offer.id.split(".")[0]}
    edited(subject, TYPES, lambda row: row.update(odd))
    with pytest.raises(ProviderUnavailable, match="none of"):
        subject.provider().search(Wish())


def test_one_odd_region_takes_no_other_off_the_market(subject: SimulatedShadeform) -> None:
    whole = {one.id for one in subject.provider().search(Wish())}
    odd = {"region": "a.b", "available": True, "display_name": "US, A"}
    edited(subject, TYPES, lambda row: row["availability"].extend([odd, None]))
    assert {one.id for one in subject.provider().search(Wish())} == whole


@pytest.mark.parametrize(
    ("shown", "country"), [("CA, Montreal", "CA"), ("Toronto, Canada", None), (None, None)]
)
def test_a_country_is_told_where_a_region_begins_with_it(
    subject: SimulatedShadeform, shown: str | None, country: str | None
) -> None:
    def elsewhere(row: dict[str, Any]) -> None:
        for place in row["availability"]:
            place["display_name"] = shown

    edited(subject, TYPES, elsewhere)
    assert {one.country for one in subject.provider().search(Wish())} == {country}


# What it boots, and who is let in.


@pytest.mark.parametrize(
    ("image", "system"),
    [
        ("shade_os", "ubuntu24.04_cuda12.10_shade_os"),
        ("ubuntu22.04_cuda12.2_shade_os", "ubuntu22.04_cuda12.2_shade_os"),
        ("ubuntu22.04", "ubuntu22.04"),
    ],
)
def test_an_image_is_an_operating_system(
    subject: SimulatedShadeform, image: str, system: str
) -> None:
    rented(subject, image=image)
    assert sent(subject)["os"] == system


def test_a_machine_without_the_image_is_passed_by(subject: SimulatedShadeform) -> None:
    offer = cheapest(subject)
    with pytest.raises(OfferGone, match="no image vllm/vllm-openai, only ubuntu22"):
        subject.provider().rent(offer, order(subject, image="vllm/vllm-openai"))
    edited(subject, TYPES, lambda row: row["configuration"].update(os_options=None))
    with pytest.raises(OfferGone, match="no image shade_os, only none"):
        subject.provider().rent(offer, order(subject))
    assert subject.creates() == 0


def test_a_key_is_registered_once_and_stays(subject: SimulatedShadeform, wire: Wire) -> None:
    for _host in range(2):
        rented(subject)
    other_comment = " ".join(PUBLIC_KEY.split()[:2])
    rental = rented(subject, ssh_public_key=other_comment)
    added = [call for call, _status in wire.seen if call == "POST /sshkeys/add"]
    assert len(added) == 1
    api = subject.simulator.api
    assert isinstance(api, shadeform.Api)
    (key,) = [key for key in api.keys.values() if not key["is_default"]]
    assert key["public_key"] == PUBLIC_KEY
    assert sent(subject)["ssh_key_id"] == key["id"]
    subject.provider().release(rental.id)
    assert key["id"] in api.keys


def test_a_key_that_another_host_registers_meanwhile_is_the_same(
    subject: SimulatedShadeform,
) -> None:
    offer = cheapest(subject)
    answer = subject.simulator.api.answer

    def twice(request: Request, traits: Any, from_host: bool) -> Reply:
        if request.path == "/v1/sshkeys/add":
            answer(request, traits, from_host)
        return answer(request, traits, from_host)

    subject.simulator.api.answer = twice  # type: ignore[method-assign]
    subject.provider().rent(offer, order(subject))
    assert len(subject.rentals()) == 1


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (json_reply({"error_code": "INVALID_REQUEST", "error": "bad key"}, 400), RequestRefused),
        (json_reply({"message": "Forbidden"}, 403), CredentialError),
        (json_reply({"error": "oh"}, 500), ProviderUnavailable),
        (Reply(200), ProviderUnavailable),
    ],
    ids=["refused", "forbidden", "broken", "nothing"],
)
def test_without_its_key_nothing_is_rented(
    subject: SimulatedShadeform, reply: Reply, kind: type[MarketError]
) -> None:
    offer = cheapest(subject)
    answered(subject, "/v1/sshkeys/add", reply, "POST")
    with pytest.raises(MarketError) as caught:
        subject.provider().rent(offer, order(subject))
    assert caught.type is kind
    assert subject.creates() == 0


def test_another_markets_offer_is_refused(subject: SimulatedShadeform) -> None:
    offer = replace(cheapest(subject), id="SECURE.NVIDIA_A40.x1.in-SE")
    with pytest.raises(RequestRefused, match="no offer of Shadeform's"):
        subject.provider().rent(offer, order(subject))


@pytest.mark.parametrize("name", ["gpu-1", "GPU_1.example.org", "g" * 63])
def test_its_name_is_one_that_a_host_may_have(subject: SimulatedShadeform, name: str) -> None:
    now = int(subject.clock.now())
    mark = Mark.new("Test.scope_1", name, now + 3600, 3600, now)
    assert rented(subject, mark=mark).mark == mark
    told = sent(subject)["name"]
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", told)
    assert len(told) <= 63
    assert told.endswith(mark.nonce)


# What it shows.


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ("creating", STARTING),
        ("pending_provider", STARTING),
        ("pending", STARTING),
        ("active", RUNNING),
        ("error", FAILED),
        ("new_status", UNREADABLE),
    ],
)
def test_an_instance_is_in_one_of_its_states(
    subject: SimulatedShadeform, status: str, told: str
) -> None:
    rental = rented(subject)
    edited(subject, ROWS, lambda row: row.update(status=status, status_details="why"))
    (listed,) = subject.provider().list_rentals()
    assert (listed.status, listed.mark) == (told, rental.mark)
    if told == UNREADABLE:
        with pytest.raises(ProviderUnavailable):
            subject.provider().get(rental.id)
    else:
        assert listed.status_text == f"{status}: why"


def test_a_deleted_instance_is_gone(subject: SimulatedShadeform) -> None:
    rental = rented(subject)
    edited(subject, ROWS, lambda row: row.update(status="deleted"))
    assert subject.provider().list_rentals() == []
    assert subject.provider().get(rental.id) is None


def test_another_instance_in_the_answer_is_no_answer(subject: SimulatedShadeform) -> None:
    rental = rented(subject)
    edited(subject, INFO, lambda row: row.update(id="another"))
    with pytest.raises(ProviderUnavailable):
        subject.provider().get(rental.id)


@pytest.mark.parametrize(
    "odd",
    [{"hourly_price": "dear"}, {"created_at": "once"}, {"ip": "a b"}, {"ssh_user": "-oProxy"}],
    ids=lambda odd: str(*odd),
)
def test_one_odd_row_hides_neither_itself_nor_the_others(
    subject: SimulatedShadeform, odd: dict[str, Any]
) -> None:
    rental, other = rented(subject), rented(subject)
    edited(
        subject, "/v1/instances", lambda row: row.update(odd) if row["id"] == rental.id else None
    )
    listed = {one.id: one for one in subject.provider().list_rentals()}
    assert listed[rental.id].status == UNREADABLE
    assert listed[rental.id].mark == rental.mark
    assert listed[other.id].status == RUNNING


@pytest.mark.parametrize("odd", [{"id": None}, {"id": "../.."}], ids=str)
def test_an_instance_that_nobody_can_tell_spoils_the_list(
    subject: SimulatedShadeform, odd: dict[str, Any]
) -> None:
    rented(subject)
    edited(subject, "/v1/instances", lambda row: row.update(odd))
    with pytest.raises(ProviderUnavailable):
        subject.provider().list_rentals()


@pytest.mark.parametrize("tags", [None, [], ["lab", "blue"]])
def test_an_instance_of_somebody_else_is_nobodys(
    subject: SimulatedShadeform, tags: list[str] | None
) -> None:
    rented(subject)
    docker = {"type": "docker", "docker_configuration": {"image": "a/b"}}
    edited(subject, ROWS, lambda row: row.update(tags=tags, launch_configuration=docker))
    (listed,) = subject.provider().list_rentals()
    assert (listed.mark, listed.claim, listed.label) == (None, None, " ".join(tags or []))


@pytest.mark.parametrize("script", ["", "#!/bin/sh\necho hello\n", "\xff"])
def test_a_script_of_somebody_else_is_no_mark(subject: SimulatedShadeform, script: str) -> None:
    rented(subject)
    packed = base64.b64encode(script.encode("latin-1")).decode()
    launch = {"type": "script", "script_configuration": {"base64_script": packed}}
    edited(subject, ROWS, lambda row: row.update(tags=[], launch_configuration=launch))
    (listed,) = subject.provider().list_rentals()
    assert listed.mark is None


def test_two_marks_on_one_instance_are_told_by_its_script(subject: SimulatedShadeform) -> None:
    rental = rented(subject)
    assert rental.mark is not None
    tags = [order(subject).mark.encode(), rental.label]
    edited(subject, ROWS, lambda row: row.update(tags=tags))
    (listed,) = subject.provider().list_rentals()
    assert listed.mark == rental.mark
    assert listed.is_written_over


@pytest.mark.parametrize(
    "text",
    ["2026-11-29T13:00:00Z", "2026-11-29T13:00:00.5Z", "2026-11-29T15:00:00.123456789+02:00"],
)
def test_its_times_are_read_as_they_may_come(subject: SimulatedShadeform, text: str) -> None:
    rental = rented(subject)
    terms = {"rental_type": "commitment", "ending_at": text}
    edited(subject, INFO, lambda row: row.update(created_at=text, rental_terms=terms))
    read = subject.provider().get(rental.id)
    assert read is not None
    assert read.started_at is not None
    assert int(read.started_at) == 1_795_957_200
    assert read.ends_at == read.started_at


def test_the_way_in_is_told_once_it_runs(subject: SimulatedShadeform) -> None:
    rental = rented(subject)
    assert [way.host for way in rental.ssh] == ["127.0.0.1"]
    assert rental.ssh_user == "shadeform"
    mapped = [{"internal_port": 8000, "external_port": 31000}]
    told = {"ssh_port": None, "ssh_user": "ubuntu", "port_mappings": mapped}
    edited(subject, INFO, lambda row: row.update(told))
    read = subject.provider().get(rental.id)
    assert read is not None
    assert [(way.host, way.port) for way in read.ssh] == [("127.0.0.1", 22)]
    assert {port: way.port for port, way in read.ports.items()} == {"22": 22, "8000": 31000}
    assert read.ssh_user == "ubuntu"
    edited(subject, INFO, lambda row: row.update(ip=None, ssh_user=None))
    read = subject.provider().get(rental.id)
    assert read is not None
    assert (read.ssh, read.ports, read.ssh_user) == ((), {}, "shadeform")


@pytest.mark.parametrize("price", [None, 0])
def test_a_price_that_is_not_told_is_none(subject: SimulatedShadeform, price: int | None) -> None:
    rental = rented(subject)
    edited(subject, INFO, lambda row: row.update(hourly_price=price))
    read = subject.provider().get(rental.id)
    assert read is not None
    assert read.price_usd_per_hour is None
