# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What our client sends to Lambda Cloud, and what its simulator answers, against its own document.

``tests/simulator/lambda-api.json`` is what its OpenAPI document 1.8.3 says of the calls that are
made here: their names and types, without a word of its text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import yaml

from ansible_collections.inferops.gpu.plugins.module_utils.market.access.host_keys import derive
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
    SILENT,
    STARTING,
    UNREADABLE,
    Offer,
    Order,
    Rental,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.provider import NOBODY
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.lifecycle import Lifecycle
from ansible_collections.inferops.gpu.plugins.module_utils.market.wish import Wish
from tests.simulator import lambda_cloud
from tests.simulator.documents import Wire
from tests.simulator.web import Reply, Request
from tests.unit.market.conformance.subjects import SimulatedLambda
from tests.unit.market.conftest import PUBLIC_KEY

LAUNCH = "/api/v1/instance-operations/launch"
TERMINATE = "/api/v1/instance-operations/terminate"


def edited(subject: SimulatedLambda, path: str, edit: Callable[[dict[str, Any]], None]) -> None:
    """Let each row of these answers be another one."""
    answer = subject.simulator.api.answer

    def spoilt(request: Request, traits: Any, from_host: bool) -> Reply:
        reply = answer(request, traits, from_host)
        if not re.fullmatch(path, request.path):
            return reply
        body = json.loads(reply.body)
        data = body["data"]
        types = request.path.endswith("/instance-types")
        for row in data.values() if types else data if isinstance(data, list) else [data]:
            edit(row)
        return Reply(reply.status, json.dumps(body).encode(), reply.headers)

    subject.simulator.api.answer = spoilt  # type: ignore[method-assign]


def answered(
    subject: SimulatedLambda, method: str, path: str, status: int, body: Any, times: int = 9
) -> None:
    """Let these calls be answered so, and not be carried out."""
    reply = {"kind": "reply", "method": method, "path": path, "times": times}
    subject.simulator.control.plan_faults([{**reply, "status": status, "body": body}])


def error(code: str, message: str = "A message.") -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "suggestion": "A suggestion."}}


def sent(subject: SimulatedLambda, method: str, path: str) -> list[dict[str, Any]]:
    """The bodies of these requests."""
    entries = subject.simulator.journal.entries()
    return [one["body"] for one in entries if (one["method"], one["path"]) == (method, path)]


@pytest.fixture
def subject() -> Iterator[SimulatedLambda]:
    made = SimulatedLambda()
    yield made
    made.close()


def order(subject: SimulatedLambda, **changes: Any) -> Order:
    now = int(subject.clock.now())
    mark = Mark.new("test", "gpu-1", now + 3600, 3600, now)
    given: dict[str, Any] = {"image": "any-family", "disk_gib": 20, "ssh_public_key": PUBLIC_KEY}
    return Order(mark=mark, created_at=now, **{**given, **changes})


def cheapest(subject: SimulatedLambda) -> Offer:
    offers = subject.provider().search(Wish())
    return min(offers, key=lambda offer: offer.price_usd_per_hour)


def rented(subject: SimulatedLambda, **changes: Any) -> Rental:
    provider = subject.provider()
    rental_id = provider.rent(cheapest(subject), order(subject, **changes))
    subject.settle()
    found = provider.get(rental_id)
    assert found is not None
    return found


def test_every_call_and_every_answer_is_as_the_document_has_it(
    subject: SimulatedLambda, wire: Wire
) -> None:
    provider = subject.provider()
    assert provider.gpu_names()
    rental = rented(subject, host_key=derive("secret", order(subject).mark, 1))
    assert rental.mark is not None
    provider.change_mark(rental.id, rental.mark)
    provider.list_rentals()
    provider.check_credential()
    provider.release(rental.id)
    provider.list_rentals()
    subject.clock.sleep(lambda_cloud.TERMINATING_SECONDS + lambda_cloud.TERMINATED_SECONDS)
    assert provider.get(rental.id) is None
    with pytest.raises(CredentialError):
        subject.provider("another-key").list_rentals()
    offer = cheapest(subject)
    subject.take(offer.id)
    with pytest.raises(OfferGone):
        provider.rent(offer, order(subject))
    assert {call for call, _status in wire.seen} == wire.document.calls()
    assert {200, 400, 401, 404} == {status for _call, status in wire.seen}


# What is offered.


def test_an_instance_type_is_an_offer_in_each_region_that_has_it(subject: SimulatedLambda) -> None:
    offers = {one.id: one for one in subject.provider().search(Wish())}
    one = offers["gpu_1x_h100_sxm.us-west-1"]
    assert (one.gpu_name, one.vram_gib, one.gpu_count) == ("H100 SXM", 80.0, 1)
    assert (one.price_usd_per_hour, one.disk_usd_per_hour) == (2.10, 0.0)
    assert (one.disk_gib, one.ram_gib, one.cpu_cores) == (512, 200, 26)
    assert (one.country, one.verified) == ("US", True)
    assert {other.country for other in offers.values()} == {"US", "DE", "JP", "AU"}


def test_what_has_no_gpu_or_an_arm_cpu_is_not_offered(subject: SimulatedLambda) -> None:
    for name in lambda_cloud.OTHER_TYPES:
        assert [one for one in subject.provider().search(Wish()) if name in one.id] == []
    # A document before 1.10.0 does not tell the CPU.
    edited(subject, ".*/instance-types", lambda row: row["instance_type"].pop("architecture"))
    assert cheapest(subject)


@pytest.mark.parametrize(
    ("described", "name", "vram_gib"),
    [
        ("H100 (80 GB SXM5)", "H100 SXM5", 80.0),
        ("RTX 6000 (24 GB)", "RTX 6000", 24.0),
        ("Tesla V100 (16 GB)", "Tesla V100", 16.0),
        ("A10 (24 GB PCIe)", "A10 PCIe", 22.5),
        ("B300", "B300", None),
    ],
)
def test_the_memory_of_a_gpu_is_in_its_description_alone(
    subject: SimulatedLambda, described: str, name: str, vram_gib: float | None
) -> None:
    rental = rented(subject)
    edited(
        subject,
        ".*/instance-types",
        lambda row: row["instance_type"].update(gpu_description=described),
    )
    offer = cheapest(subject)
    assert (offer.gpu_name, offer.vram_gib) == (name, vram_gib)
    assert subject.provider().gpu_names() == [name]
    edited(
        subject,
        ".*/instances/.*",
        lambda row: row["instance_type"].update(gpu_description=described),
    )
    read = subject.provider().get(rental.id)
    assert read is not None
    assert (read.gpu_name, read.vram_gib) == (name, vram_gib)


def test_an_odd_type_is_left_out_and_nothing_but_odd_ones_is_no_market(
    subject: SimulatedLambda,
) -> None:
    def spoil(row: dict[str, Any]) -> None:
        if row["instance_type"]["name"] == "gpu_1x_l4":
            row["instance_type"]["price_cents_per_hour"] = "dear"

    count = len(subject.provider().search(Wish()))
    edited(subject, ".*/instance-types", spoil)
    assert 0 < len(subject.provider().search(Wish())) < count
    edited(subject, ".*/instance-types", lambda row: row["instance_type"].pop("specs"))
    with pytest.raises(ProviderUnavailable, match="none of"):
        subject.provider().search(Wish())


def test_its_price_is_of_the_whole_instance_and_in_cents(subject: SimulatedLambda) -> None:
    offers = {one.id: one for one in subject.provider().search(Wish(gpu_count=8))}
    offer = next(one for one in offers.values() if one.gpu_count == 8)
    rental_id = subject.provider().rent(offer, order(subject))
    read = subject.provider().get(rental_id)
    assert read is not None
    assert read.price_usd_per_hour == offer.price_usd_per_hour
    (rental,) = subject.market.rentals.values()
    assert rental.offer["num_gpus"] == read.gpu_count == 8
    assert rental.offer["dph_base"] == offer.price_usd_per_hour


# What is sent along.


def test_the_key_is_registered_once_and_stays(subject: SimulatedLambda) -> None:
    for name in ("gpu-1", "gpu-2"):
        wanted = order(subject)
        mark = replace(wanted.mark, name=name)
        subject.provider().rent(cheapest(subject), replace(wanted, mark=mark))
    (registered,) = sent(subject, "POST", "/api/v1/ssh-keys")
    assert re.fullmatch("inferops-[0-9a-f]{16}", registered["name"])
    assert registered["public_key"] == PUBLIC_KEY
    for launch in sent(subject, "POST", LAUNCH):
        assert launch["ssh_key_names"] == [registered["name"]]
    for rental in subject.provider().list_rentals():
        subject.provider().release(rental.id)
    assert subject.provider().list_rentals()
    assert list(subject.market.account_keys.values()) == [PUBLIC_KEY]


def test_a_key_that_the_account_has_is_used_under_its_own_name(subject: SimulatedLambda) -> None:
    key_type, body, _comment = PUBLIC_KEY.split()
    api = subject.simulator.api
    assert isinstance(api, lambda_cloud.Api)
    for number, (name, key) in enumerate(
        [("theirs", "ssh-ed25519 AAAAtheirs x"), ("my laptop", f"{key_type} {body} me@laptop")]
    ):
        subject.market.account_keys[number] = key
        api.key_names[number] = name
    rented(subject)
    assert sent(subject, "POST", "/api/v1/ssh-keys") == []
    assert [one["ssh_key_names"] for one in sent(subject, "POST", LAUNCH)] == [["my laptop"]]


def test_a_key_that_another_host_of_the_play_registers_meanwhile_is_used(
    subject: SimulatedLambda,
) -> None:
    kind = {"kind": "reply_after_commit", "method": "POST", "path": "/ssh-keys"}
    body = error("global/duplicate")
    subject.simulator.control.plan_faults([{**kind, "status": 400, "body": body}])
    assert rented(subject).status == RUNNING


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, error("global/invalid-parameters"), RequestRefused),
        (401, error("global/invalid-api-key"), CredentialError),
        (500, error("global/internal-error"), ProviderUnavailable),
        (200, {"data": {}}, ProviderUnavailable),
    ],
)
def test_without_its_key_nothing_is_rented(
    subject: SimulatedLambda, status: int, body: Any, kind: type[MarketError]
) -> None:
    offer = cheapest(subject)
    answered(subject, "POST", "/ssh-keys", status, body)
    with pytest.raises(MarketError) as caught:
        subject.provider().rent(offer, order(subject))
    assert caught.type is kind
    assert subject.creates() == 0


def test_a_port_that_nobody_opens_is_refused_before_anything_is_asked_for(
    subject: SimulatedLambda,
) -> None:
    offer = cheapest(subject)
    subject.simulator.journal.clear()
    with pytest.raises(RequestRefused, match=r"8000, 8001 .* firewall"):
        subject.provider().rent(offer, order(subject, ports=(22, 8000, 8001)))
    assert subject.simulator.journal.entries() == []
    subject.provider().rent(offer, order(subject, ports=(22,)))


def test_the_host_key_is_in_place_before_sshd_starts(subject: SimulatedLambda) -> None:
    pytest.importorskip("cryptography")
    key = derive("secret", order(subject).mark, 1)
    rented(subject, host_key=key)
    (rental,) = subject.market.rentals.values()
    launch = rental.wish["instance"]
    assert launch["user_data"].startswith("#cloud-config\n")
    told = yaml.safe_load(launch["user_data"])
    assert told["ssh_deletekeys"] is True
    assert told["ssh_keys"]["ed25519_private"].strip() == key.private.strip()
    assert told["ssh_keys"]["ed25519_public"] == key.public


def test_nothing_more_is_sent_along_than_is_needed(subject: SimulatedLambda) -> None:
    label = rented(subject).label
    (rental,) = subject.market.rentals.values()
    launch = rental.wish["instance"]
    assert set(launch) == {
        "region_name", "instance_type_name", "ssh_key_names", "name", "tags", "image"
    }  # fmt: skip
    assert launch["tags"] == [{"key": "inferops-mark", "value": label}]
    assert subject.kind.enforces_deadline == NOBODY


@pytest.mark.parametrize(
    ("image", "told"),
    [
        ("lambda-stack-24-04", "family"),
        ("43336648-096d-4cba-9aa2-f9bb7727639d", "id"),
    ],
)
def test_an_image_is_a_family_or_an_id(subject: SimulatedLambda, image: str, told: str) -> None:
    rented(subject, image=image)
    assert [one["image"] for one in sent(subject, "POST", LAUNCH)] == [{told: image}]


def test_an_image_that_is_not_there_is_refused(subject: SimulatedLambda) -> None:
    with pytest.raises(RequestRefused, match="what is not there"):
        subject.provider().rent(cheapest(subject), order(subject, image=lambda_cloud.NO_IMAGE))
    assert subject.rentals() == set()


def test_another_providers_offer_is_refused(subject: SimulatedLambda) -> None:
    with pytest.raises(RequestRefused, match=r"no offer of Lambda's"):
        subject.provider().rent(replace(cheapest(subject), id="6000017"), order(subject))


# What a launch is answered.

CREATES: dict[str, tuple[int, Any, type[MarketError]]] = {
    "no capacity": (400, "instance-operations/launch/insufficient-capacity", OfferGone),
    "a rule": (400, "global/invalid-parameters", RequestRefused),
    "no quota": (400, "global/quota-exceeded", RequestRefused),
    "a thing that is not there": (404, "global/object-does-not-exist", RequestRefused),
    "an inactive account": (403, "global/account-inactive", RequestRefused),
    "no address": (403, "global/invalid-address", RequestRefused),
    "another launch error": (400, "instance-operations/launch/new", RequestRefused),
    "no key": (401, "global/invalid-api-key", CredentialError),
    "an unknown error": (400, "global/unknown", UnclearCreate),
    "an internal error": (500, "global/internal-error", UnclearCreate),
    "a provider behind it": (400, "provider/internal-unavailable", UnclearCreate),
    "capacity by a gateway": (
        503, "instance-operations/launch/insufficient-capacity", UnclearCreate
    ),
    "a time-out": (408, "global/invalid-parameters", UnclearCreate),
}  # fmt: skip


@pytest.mark.parametrize("case", CREATES)
def test_a_refused_launch_is_told_by_its_code(subject: SimulatedLambda, case: str) -> None:
    status, code, kind = CREATES[case]
    offer = cheapest(subject)
    answered(subject, "POST", LAUNCH, status, error(code, "Words that may change."))
    with pytest.raises(MarketError, match=re.escape(code)) as caught:
        subject.provider().rent(offer, order(subject))
    assert caught.type is kind
    assert subject.creates() == 1


@pytest.mark.parametrize(
    ("status", "ids", "found"),
    [
        (500, ["0920582c7ff041399e34823a0be62549"], "0920582c7ff041399e34823a0be62549"),
        (200, ["aa11", "bb22"], "aa11"),
        (200, [], None),
        (200, "aa11", "aa11"),
        (200, [{"id": "aa11"}], None),
    ],
)
def test_an_answer_that_names_not_the_one_rental_is_unclear(
    subject: SimulatedLambda, status: int, ids: Any, found: str | None
) -> None:
    offer = cheapest(subject)
    answered(subject, "POST", LAUNCH, status, {"data": {"instance_ids": ids}})
    with pytest.raises(UnclearCreate) as caught:
        subject.provider().rent(offer, order(subject))
    assert caught.value.rental_id == found


def test_no_call_comes_too_early(subject: SimulatedLambda) -> None:
    """One a second of all calls together, and a launch in twelve."""
    subject.market.rate_limits = True
    provider = subject.provider()
    for _twin in range(3):
        provider.rent(provider.search(Wish())[0], order(subject))
        provider.list_rentals()
    assert subject.market.too_frequent == 0
    assert subject.creates() == 3


# What it shows.


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ("booting", STARTING),
        ("active", RUNNING),
        ("unhealthy", SILENT),
        ("terminating", FAILED),
        ("preempted", FAILED),
        ("new-state", UNREADABLE),
    ],
)
def test_an_instance_is_in_one_of_its_states(
    subject: SimulatedLambda, status: str, told: str
) -> None:
    rental = rented(subject)
    edited(subject, ".*/instances.*", lambda row: row.update(status=status))
    (listed,) = subject.provider().list_rentals()
    assert (listed.status, listed.mark) == (told, rental.mark)
    if told == UNREADABLE:
        with pytest.raises(ProviderUnavailable):
            subject.provider().get(rental.id)


def test_a_terminated_instance_is_gone(subject: SimulatedLambda) -> None:
    rental = rented(subject)
    edited(subject, ".*/instances.*", lambda row: row.update(status="terminated"))
    assert subject.provider().list_rentals() == []
    assert subject.provider().get(rental.id) is None


@pytest.mark.parametrize(
    ("status", "code"), [(404, "global/not-found"), (400, "global/object-does-not-exist")]
)
def test_other_words_than_its_own_do_not_say_that_one_is_gone(
    subject: SimulatedLambda, status: int, code: str
) -> None:
    rental = rented(subject)
    answered(subject, "GET", "/instances/", status, error(code))
    with pytest.raises(ProviderUnavailable):
        subject.provider().get(rental.id)


def test_another_instance_in_the_answer_is_no_answer(subject: SimulatedLambda) -> None:
    rental = rented(subject)
    edited(subject, ".*/instances/.*", lambda row: row.update(id="another"))
    with pytest.raises(ProviderUnavailable):
        subject.provider().get(rental.id)
    with pytest.raises(ProviderUnavailable):
        subject.provider().change_mark(rental.id, order(subject).mark)


def test_one_that_boots_has_no_way_in_yet(subject: SimulatedLambda) -> None:
    rental = rented(subject)
    assert [(way.host, way.port) for way in rental.ssh] == [("127.0.0.1", 22)]
    assert list(rental.ports) == ["22"]
    edited(subject, ".*/instances/.*", lambda row: row.pop("ip"))
    read = subject.provider().get(rental.id)
    assert read is not None
    assert (read.status, read.ssh, read.ports) == (RUNNING, (), {})


def test_one_odd_row_hides_neither_itself_nor_the_others(subject: SimulatedLambda) -> None:
    rental, other = rented(subject), rented(subject)
    edited(
        subject,
        ".*/instances",
        lambda row: row.update(ip="no address!") if row["id"] == rental.id else None,
    )
    listed = {one.id: one for one in subject.provider().list_rentals()}
    assert listed[rental.id].status == UNREADABLE
    assert listed[rental.id].mark == rental.mark
    assert listed[other.id].status == RUNNING


def test_an_instance_that_nobody_named_is_nobodys(subject: SimulatedLambda) -> None:
    subject.market.strangers = 5
    listed = subject.provider().list_rentals()
    assert len(listed) == 5
    assert {one.mark for one in listed} == {None}
    assert "" in {one.label for one in listed}


@pytest.mark.parametrize("spoilt", [{"id": None}, {"id": [7]}])
def test_a_row_without_an_id_spoils_the_list(
    subject: SimulatedLambda, spoilt: dict[str, Any]
) -> None:
    rented(subject)
    edited(subject, ".*/instances", lambda row: row.update(spoilt))
    with pytest.raises(ProviderUnavailable):
        subject.provider().list_rentals()


def test_a_list_is_read_to_its_last_page(subject: SimulatedLambda) -> None:
    made = {rented(subject).id for _page in range(3)}
    answer = subject.simulator.api.answer

    def paged(request: Request, traits: Any, from_host: bool) -> Reply:
        reply = answer(request, traits, from_host)
        if request.path != "/api/v1/instances":
            return reply
        page, rows = int(request.query.get("page_token", "0")), json.loads(reply.body)["data"]
        following = str(page + 1) if page < 2 else None
        body = {"data": rows[page : page + 1], "page_token": following}
        return Reply(200, json.dumps(body).encode(), reply.headers)

    subject.simulator.api.answer = paged  # type: ignore[method-assign]
    assert {one.id for one in subject.provider().list_rentals()} == made


@pytest.mark.parametrize("token", ["again", 7])
def test_pages_that_lead_nowhere_are_no_list(subject: SimulatedLambda, token: Any) -> None:
    answered(subject, "GET", "/instances$", 200, {"data": [], "page_token": token})
    with pytest.raises(ProviderUnavailable):
        subject.provider().list_rentals()


# What ends.


def test_a_release_is_proven_once_it_is_terminated(
    subject: SimulatedLambda, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lambda_cloud, "TERMINATING_SECONDS", 300.0)
    rental = rented(subject)
    before = subject.clock.now()
    Lifecycle(subject.provider(), "test", subject.clock).release(rental)
    assert subject.clock.now() - before > 300
    assert subject.rentals() == set()


def test_one_that_ends_already_can_be_released_again(subject: SimulatedLambda) -> None:
    rental, provider = rented(subject), subject.provider()
    for _again in range(2):
        provider.release(rental.id)
    seen = provider.get(rental.id)
    assert seen is not None
    assert (seen.status, seen.status_text) == (FAILED, "terminating")
    assert seen.is_ending
    subject.clock.sleep(lambda_cloud.TERMINATING_SECONDS)
    assert provider.get(rental.id) is None
    provider.release(rental.id)


@pytest.mark.parametrize(
    "body", [{"data": {"terminated_instances": []}}, {"data": {"terminated_instances": [7]}}]
)
def test_an_answer_without_the_rental_is_no_release(subject: SimulatedLambda, body: Any) -> None:
    rental = rented(subject)
    answered(subject, "POST", TERMINATE, 200, body)
    with pytest.raises(ProviderUnavailable):
        subject.provider().release(rental.id)


def test_a_moved_deadline_is_in_the_name_and_the_tag_stays(subject: SimulatedLambda) -> None:
    rental, provider = rented(subject), subject.provider()
    assert rental.mark is not None
    moved = replace(rental.mark, deadline=rental.mark.deadline + 7200)
    provider.change_mark(rental.id, moved)
    assert sent(subject, "POST", f"/api/v1/instances/{rental.id}") == [{"name": moved.encode()}]
    # Whoever writes the name over takes an extension away, and no more.
    subject.relabel(rental.id, "our demo")
    assert [one.mark for one in provider.list_rentals()] == [rental.mark]
