# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What our client sends to Prime Intellect, and what its simulator answers, against its document.

``tests/simulator/prime-api.json`` is what its OpenAPI document 0.1.0 (as it is kept at
github.com/api-evangelist/prime-intellect) says of the calls that are made here: their names and
types, without a word of its text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from ansible_collections.inferops.gpu.plugins.module_utils.market.clock import Clock
from ansible_collections.inferops.gpu.plugins.module_utils.market.errors import (
    CredentialError,
    MarketError,
    OfferGone,
    ProviderUnavailable,
    RequestRefused,
    UnclearCreate,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.mark import Mark, is_damaged
from ansible_collections.inferops.gpu.plugins.module_utils.market.model import (
    FAILED,
    RUNNING,
    SILENT,
    STARTING,
    STOPPED,
    UNREADABLE,
    Account,
    Endpoint,
    Offer,
    Order,
    Rental,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers import prime as client
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.pace import Pace
from ansible_collections.inferops.gpu.plugins.module_utils.market.wish import Wish
from tests.hanging import HANGS_AFTER_SECONDS
from tests.simulator import prime
from tests.simulator.documents import Wire
from tests.simulator.market import ACCOUNT_KEY
from tests.simulator.web import Reply, Request, json_reply
from tests.unit.market.conformance.subjects import SimulatedPrimeIntellect
from tests.unit.market.conftest import PUBLIC_KEY

#: What its own client calls, and ours does not.
THEIRS = {
    "GET /api/v1/availability/multi-node",
    "GET /api/v1/pods/history",
    "GET /api/v1/user/whoami",
}
PODS, POD, GPUS = "/api/v1/pods/", "/api/v1/pods/[0-9a-f]+", "/api/v1/availability/gpus"
STATUSES = "/api/v1/pods/status"


@pytest.fixture
def subject() -> Iterator[SimulatedPrimeIntellect]:
    made = SimulatedPrimeIntellect()
    yield made
    made.close()


def order(subject: SimulatedPrimeIntellect, **changes: Any) -> Order:
    now = int(subject.clock.now())
    mark = Mark.new("test", "gpu-1", now + 3600, 3600, now)
    given: dict[str, Any] = {"image": "ubuntu_22_cuda_12", "disk_gib": 20}
    given["ssh_public_key"] = PUBLIC_KEY
    return Order(mark=mark, created_at=now, **{**given, **changes})


def cheapest(subject: SimulatedPrimeIntellect, **wish: Any) -> Offer:
    offers = subject.provider().search(Wish(**{"disk_gib": 20, **wish}))
    return min(offers, key=lambda offer: offer.price_usd_per_hour)


def rented(subject: SimulatedPrimeIntellect, **changes: Any) -> Rental:
    provider = subject.provider()
    rental_id = provider.rent(cheapest(subject), order(subject, **changes))
    subject.settle()
    found = provider.get(rental_id)
    assert found is not None
    return found


def sent(subject: SimulatedPrimeIntellect) -> dict[str, Any]:
    """The last rental request."""
    return dict(subject._sent()[-1]["body"])


def edited(
    subject: SimulatedPrimeIntellect, path: str, edit: Callable[[dict[str, Any]], Any]
) -> None:
    """Let each row of these answers be another one."""
    answer = subject.simulator.api.answer

    def spoilt(request: Request, traits: Any, from_host: bool) -> Reply:
        reply = answer(request, traits, from_host)
        if not re.fullmatch(path, request.path) or request.method != "GET":
            return reply
        body = json.loads(reply.body)
        for row in body.get("data", body.get("items", [body])):
            edit(row)
        return Reply(reply.status, json.dumps(body).encode(), reply.headers)

    subject.simulator.api.answer = spoilt  # type: ignore[method-assign]


def answered(
    subject: SimulatedPrimeIntellect, method: str, path: str, *replies: Reply | None
) -> None:
    """Let the next calls be answered so, None as usual, and all after them as the last one."""
    answer, left = subject.simulator.api.answer, list(replies)

    def scripted(request: Request, traits: Any, from_host: bool) -> Reply:
        reply = None
        if request.method == method and re.fullmatch(path, request.path):
            reply = left.pop(0) if len(left) > 1 else left[0]
        return reply or answer(request, traits, from_host)

    subject.simulator.api.answer = scripted  # type: ignore[method-assign]


# The document.


def test_every_call_and_every_answer_is_as_the_document_has_it(
    subject: SimulatedPrimeIntellect, wire: Wire
) -> None:
    provider = subject.provider()
    assert "RTX4090" in provider.gpu_names()
    assert provider.account() == Account(credit_usd=25.0)
    provider.check_credential()
    rental = rented(subject)
    provider.list_rentals()
    provider.release(rental.id)
    assert provider.get(rental.id) is None
    assert provider.get("f" * 32) is None
    with pytest.raises(CredentialError):
        subject.provider("another-key").list_rentals()
    offer = cheapest(subject)
    answered(subject, "POST", PODS, json_reply({"detail": prime.NO_CAPACITY}, 400))
    with pytest.raises(OfferGone):
        provider.rent(offer, order(subject))
    assert {call for call, _status in wire.seen} == wire.document.calls() - THEIRS
    assert {200, 401, 404} <= {status for _call, status in wire.seen}


def test_its_address_is_taken_as_its_own_client_takes_it(
    subject: SimulatedPrimeIntellect,
) -> None:
    pace = Pace(None, {}, Clock())
    address = f"{subject.simulator.url}/api/v1/"
    provider = subject.kind({"api_key": ACCOUNT_KEY}, address, pace, Clock())
    assert provider.list_rentals() == []
    assert provider.console_url == f"{subject.simulator.url}/dashboard"


# Search.


@pytest.mark.parametrize(
    "change",
    [
        {"isSpot": True},
        {"prepaidTime": 24},
        {"stockStatus": "Unavailable"},
        {"gpuType": "CPU_NODE"},
        {"images": ["stable_diffusion"]},
        {"prices": {"onDemand": 0.1, "isVariable": True, "currency": "USD"}},
    ],
)
def test_what_may_be_taken_away_or_moves_its_price_is_no_offer(
    subject: SimulatedPrimeIntellect, change: dict[str, Any]
) -> None:
    edited(subject, GPUS, lambda row: row.update(change))
    assert subject.provider().search(Wish()) == []


@pytest.mark.parametrize(
    "change",
    [
        {"prices": {"onDemand": 1.0, "currency": "EUR"}},
        {"prices": {"onDemand": None, "currency": "USD"}},
        {"prices": {"onDemand": 0, "currency": "USD"}},
        {"gpuType": "H100/80GB"},
        {"images": None},
    ],
)
def test_offers_that_nobody_understands_are_no_market_without_offers(
    subject: SimulatedPrimeIntellect, change: dict[str, Any]
) -> None:
    edited(subject, GPUS, lambda row: row.update(change))
    with pytest.raises(ProviderUnavailable, match="none of"):
        subject.provider().search(Wish())


def test_a_search_that_finds_nothing_for_a_moment_is_made_again(
    subject: SimulatedPrimeIntellect,
) -> None:
    answered(subject, "GET", GPUS, json_reply({"items": [], "totalCount": 0}), None)
    assert subject.provider().search(Wish())


def test_all_pages_of_a_search_are_read(
    subject: SimulatedPrimeIntellect, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = subject.provider().search(Wish(verified=False))
    monkeypatch.setattr(client, "_PAGE_SIZE", 7)
    assert subject.provider().search(Wish(verified=False)) == whole
    assert len(whole) > 7


def test_the_community_is_asked_where_unverified_hosts_will_do(
    subject: SimulatedPrimeIntellect, wire: Wire
) -> None:
    assert {one.verified for one in subject.provider().search(Wish())} == {True}
    both = subject.provider().search(Wish(verified=False))
    assert {one.verified for one in both} == {True, False}
    community = next(one for one in both if not one.verified)
    subject.provider().rent(community, order(subject))
    (rental,) = subject.market.rentals.values()
    assert rental.offer["verification"] != "verified"


DISKS: dict[str, tuple[dict[str, Any], int | None, float]] = {
    "as it is": ({"defaultCount": 500}, 500, 0.0),
    "as it is, and paid for": ({"defaultCount": 500, "pricePerUnit": 0.001}, 500, 0.5),
    "untold": ({}, None, 0.0),
    # 100 GiB are 108 GB.
    "chosen": ({"minCount": 10, "maxCount": 900, "pricePerUnit": 0.001}, 108, 0.108),
    "in steps": ({"minCount": 10, "maxCount": 900, "step": 50}, 110, 0.0),
    "at least": ({"minCount": 300, "maxCount": 900}, 300, 0.0),
    "at most": ({"minCount": 10, "maxCount": 50}, 50, 0.0),
    "partly paid for": (
        {
            "minCount": 10,
            "maxCount": 900,
            "defaultCount": 100,
            "pricePerUnit": 0.001,
            "defaultIncludedInPrice": True,
        },
        108,
        0.008,
    ),
}


@pytest.mark.parametrize("case", DISKS)
def test_the_disk_is_sized_and_priced_as_its_cloud_has_it(
    subject: SimulatedPrimeIntellect, case: str
) -> None:
    disk, size_gb, usd = DISKS[case]
    edited(subject, GPUS, lambda row: row.update(disk=disk))
    offer = cheapest(subject, disk_gib=100)
    assert offer.disk_usd_per_hour == usd
    (row,) = [
        row
        for row in map(prime.plan_row, prime.on_offer(subject.market))
        if client._offer_id(row) == offer.id
    ]
    assert offer.price_usd_per_hour == pytest.approx(row["prices"]["onDemand"] + usd)
    subject.provider().rent(offer, order(subject, disk_gib=100))
    assert sent(subject)["pod"].get("diskSize") == size_gb


def test_cores_and_memory_that_cost_extra_are_in_the_price(
    subject: SimulatedPrimeIntellect,
) -> None:
    plain = cheapest(subject)
    edited(subject, GPUS, lambda row: row["vcpu"].update(defaultCount=8, pricePerUnit=0.01))
    edited(subject, GPUS, lambda row: row["memory"].update(defaultCount=64, pricePerUnit=0.001))
    dearer = cheapest(subject)
    assert dearer.price_usd_per_hour == pytest.approx(plain.price_usd_per_hour + 0.144)
    assert (dearer.cpu_cores, dearer.ram_gib) == (8, 59.6)
    assert dearer.disk_usd_per_hour == plain.disk_usd_per_hour


# Rent.


def test_a_rental_request_repeats_the_offer_and_names_the_highest_price(
    subject: SimulatedPrimeIntellect, wire: Wire
) -> None:
    offer = cheapest(subject)
    subject.provider().rent(offer, order(subject))
    body = sent(subject)
    (rental,) = subject.market.rentals.values()
    row = prime.plan_row(rental.offer)
    repeated = ("cloudId", "gpuType", "socket", "gpuCount", "country", "security")
    assert {field: body["pod"][field] for field in repeated} == {
        field: row[field] for field in repeated
    }
    assert body["pod"]["dataCenterId"] == row["dataCenter"]
    assert body["provider"] == {"type": row["provider"]}
    assert body["pod"]["vcpus"] == row["vcpu"]["defaultCount"]
    price = offer.price_usd_per_hour
    assert price <= body["pod"]["maxPrice"] < price + 0.0001


def test_an_offer_whose_price_has_moved_is_gone_before_it_is_rented(
    subject: SimulatedPrimeIntellect,
) -> None:
    offer = cheapest(subject)
    edited(subject, GPUS, lambda row: row["prices"].update(onDemand=0.01))
    with pytest.raises(OfferGone, match="at this price"):
        subject.provider().rent(offer, order(subject))
    assert subject.creates() == 0


def test_another_marketplaces_offer_is_refused(subject: SimulatedPrimeIntellect) -> None:
    offer = Offer("prime", "12345", "H100", 1, 2.0)
    with pytest.raises(RequestRefused, match="no offer of Prime Intellect's"):
        subject.provider().rent(offer, order(subject))


def test_the_key_that_may_log_in_is_uploaded_once_and_named_in_each_request(
    subject: SimulatedPrimeIntellect,
) -> None:
    words = PUBLIC_KEY.split()[:2]
    subject.market.account_keys[7] = "ssh-ed25519 AAAAothers other@example"
    rented(subject)
    rented(subject, ssh_public_key=" ".join([*words, "another comment"]))
    number = max(subject.market.account_keys)
    assert len(subject.market.account_keys) == 2
    assert sent(subject)["pod"]["sshKeyId"] == f"key-{number}"
    for rental in subject.market.rentals.values():
        assert list(rental.keys.values()) == [PUBLIC_KEY]


@pytest.mark.parametrize(
    ("status", "kind"),
    [(422, RequestRefused), (403, CredentialError), (401, CredentialError)],
)
def test_without_a_key_in_the_account_nothing_is_rented(
    subject: SimulatedPrimeIntellect, status: int, kind: type[MarketError]
) -> None:
    offer = cheapest(subject)
    answered(subject, "POST", "/api/v1/ssh_keys/", json_reply({"detail": "no"}, status))
    with pytest.raises(kind):
        subject.provider().rent(offer, order(subject))
    assert subject.creates() == 0


@pytest.mark.parametrize("image", ["vllm/vllm-openai:v0.32.0", "custom_template", "ubuntu:22"])
def test_an_image_that_no_pod_starts_from_is_refused(
    subject: SimulatedPrimeIntellect, image: str
) -> None:
    with pytest.raises(RequestRefused, match="has no image"):
        subject.provider().rent(cheapest(subject), order(subject, image=image))
    assert subject.creates() == 0


def test_an_image_that_this_cloud_does_not_have_makes_another_offer_be_tried(
    subject: SimulatedPrimeIntellect,
) -> None:
    with pytest.raises(OfferGone, match="does not start from image"):
        subject.provider().rent(cheapest(subject), order(subject, image="axolotl"))
    assert subject.creates() == 0


def test_a_template_of_the_account_is_an_image(
    subject: SimulatedPrimeIntellect, wire: Wire
) -> None:
    rented(subject, image="custom_template:cm2szl4a2")
    pod = sent(subject)["pod"]
    assert (pod["image"], pod["customTemplateId"]) == ("custom_template", "cm2szl4a2")


def test_ports_that_nobody_opens_are_refused(subject: SimulatedPrimeIntellect) -> None:
    with pytest.raises(RequestRefused, match="opens no ports"):
        subject.provider().rent(cheapest(subject), order(subject, ports=(22, 8000)))
    subject.provider().rent(cheapest(subject), order(subject, ports=(22,)))


CREATES: dict[str, tuple[int, Any, type[MarketError]]] = {
    "no capacity": (400, {"detail": prime.NO_CAPACITY}, OfferGone),
    "a conflict": (409, {"detail": "The configuration is out of stock"}, OfferGone),
    "a rule": (400, {"detail": "Missing field: max_price not specified"}, RequestRefused),
    "a field": (
        422,
        {"errors": [{"param": "body.pod.image", "details": "not available"}]},
        RequestRefused,
    ),
    "no credit": (402, {"detail": "Payment required"}, RequestRefused),
    "no credit in words": (400, {"detail": prime.NO_CREDIT}, RequestRefused),
    "no such call": (404, {"detail": "Not Found"}, RequestRefused),
    "a key that only reads": (403, {"detail": "Insufficient permissions"}, CredentialError),
    "no key": (401, {"detail": "Invalid token"}, CredentialError),
    "it broke": (500, {"detail": "Internal Server Error"}, UnclearCreate),
    "a cloud behind it": (503, {"detail": "resources unavailable"}, UnclearCreate),
    "a time-out": (408, {"detail": "request timeout"}, UnclearCreate),
    "a gateway": (403, {"message": "blocked"}, UnclearCreate),
    "no id": (200, {"status": "PROVISIONING"}, UnclearCreate),
}


@pytest.mark.parametrize("case", CREATES)
def test_a_refused_rental_request_is_told_by_its_kind(
    subject: SimulatedPrimeIntellect, case: str
) -> None:
    status, body, kind = CREATES[case]
    offer = cheapest(subject)
    answered(subject, "POST", PODS, json_reply(body, status))
    with pytest.raises(MarketError, match=re.escape(json.dumps(body)[2:12])) as caught:
        subject.provider().rent(offer, order(subject))
    assert caught.type is kind
    assert subject.creates() == 1


def test_an_id_beside_an_error_is_the_rental_to_look_for(subject: SimulatedPrimeIntellect) -> None:
    offer = cheapest(subject)
    answered(subject, "POST", PODS, json_reply({"detail": "timeout", "id": "abc123"}, 500))
    with pytest.raises(UnclearCreate) as caught:
        subject.provider().rent(offer, order(subject))
    assert caught.value.rental_id == "abc123"


# Names.


def test_a_pods_name_has_letters_digits_and_dashes_alone(
    subject: SimulatedPrimeIntellect,
) -> None:
    now = int(subject.clock.now())
    for scope, name in (("my.fleet", "gpu_1"), ("a-x--b", "c-d.e"), ("x-", "u")):
        scope = scope.rstrip("-")
        mark = Mark.new(scope, name, now + 3600, 3600, now)
        rental_id = subject.provider().rent(
            cheapest(subject), Order(mark, "ubuntu_22_cuda_12", 20, PUBLIC_KEY, now)
        )
        assert re.fullmatch(r"[A-Za-z0-9-]+", sent(subject)["pod"]["name"])
        rental = subject.provider().get(rental_id)
        assert rental is not None
        assert (rental.label, rental.mark) == (mark.encode(), mark)


@pytest.mark.parametrize("name", ["my-data", "gpu-x1", "My first pod", "", None])
def test_another_pods_name_is_shown_as_it_is(
    subject: SimulatedPrimeIntellect, name: str | None
) -> None:
    rented(subject)
    edited(subject, PODS, lambda row: row.update(name=name))
    (listed,) = subject.provider().list_rentals()
    assert (listed.label, listed.mark) == (name or "", None)


def test_a_name_that_was_cut_off_still_tells_whose_it_was(
    subject: SimulatedPrimeIntellect,
) -> None:
    rented(subject)
    edited(subject, PODS, lambda row: row.update(name=row["name"][:30]))
    (listed,) = subject.provider().list_rentals()
    assert listed.mark is None
    assert is_damaged(listed.label, "test")


# Lists and reads.


@pytest.mark.parametrize(
    ("status", "installation", "told"),
    [
        ("PROVISIONING", "PENDING", STARTING),
        ("PENDING", None, STARTING),
        ("ACTIVE", None, RUNNING),
        ("ACTIVE", "FINISHED", RUNNING),
        ("ACTIVE", "PENDING", STARTING),
        ("ACTIVE", "ACTIVE", STARTING),
        ("ACTIVE", "ERROR", FAILED),
        ("STOPPED", "FINISHED", STOPPED),
        ("ERROR", "FINISHED", FAILED),
        ("DELETING", "FINISHED", FAILED),
        ("UNKNOWN", "FINISHED", SILENT),
        ("NEW_STATE", "FINISHED", UNREADABLE),
    ],
)
def test_a_pod_is_in_one_of_its_states(
    subject: SimulatedPrimeIntellect, status: str, installation: str | None, told: str
) -> None:
    rental = rented(subject)
    change = {"status": status, "installationStatus": installation}
    edited(subject, f"{PODS}|{POD}", lambda row: row.update(change))
    (listed,) = subject.provider().list_rentals()
    assert (listed.status, listed.mark) == (told, rental.mark)
    assert listed.is_ending == (status == "DELETING")
    if told == UNREADABLE:
        with pytest.raises(ProviderUnavailable):
            subject.provider().get(rental.id)


def test_why_an_installation_failed_is_told(subject: SimulatedPrimeIntellect) -> None:
    rental = rented(subject)
    change = {"installationStatus": "ERROR", "installationFailure": "no driver\n"}
    edited(subject, POD, lambda row: row.update(change))
    read = subject.provider().get(rental.id)
    assert read is not None
    assert (read.status, read.status_text) == (FAILED, "active: no driver")


def test_a_terminated_pod_is_gone(subject: SimulatedPrimeIntellect) -> None:
    rental = rented(subject)
    edited(subject, f"{PODS}|{POD}", lambda row: row.update(status="TERMINATED"))
    assert subject.provider().list_rentals() == []
    assert subject.provider().get(rental.id) is None


NOT_FOUND = json_reply({"detail": "Not Found"}, 404)


@pytest.mark.parametrize(
    ("rows", "gone"),
    [
        ([], True),
        ([{"podId": "<id>", "status": "TERMINATED"}], True),
        ([{"podId": "<id>", "status": "ACTIVE"}], False),
        ([{"podId": "another", "status": "TERMINATED"}], False),
        ([None], False),
    ],
)
def test_a_pod_is_gone_when_its_statuses_say_so_too(
    subject: SimulatedPrimeIntellect, rows: list[Any], gone: bool
) -> None:
    rental = rented(subject)
    answered(subject, "GET", POD, NOT_FOUND)
    told = json.loads(json.dumps({"data": rows}).replace("<id>", rental.id))
    answered(subject, "GET", STATUSES, json_reply(told))
    if gone:
        assert subject.provider().get(rental.id) is None
    else:
        with pytest.raises(ProviderUnavailable):
            subject.provider().get(rental.id)


@pytest.mark.parametrize(
    "reply", [NOT_FOUND, json_reply({"data": None}), json_reply({"status": "ok"})]
)
def test_a_wrong_address_says_of_no_pod_that_it_is_gone(
    subject: SimulatedPrimeIntellect, reply: Reply
) -> None:
    rental = rented(subject)
    answered(subject, "GET", POD, NOT_FOUND)
    answered(subject, "GET", STATUSES, reply)
    with pytest.raises(ProviderUnavailable):
        subject.provider().get(rental.id)


def test_another_pod_in_the_answer_is_no_answer(subject: SimulatedPrimeIntellect) -> None:
    rental = rented(subject)
    edited(subject, POD, lambda row: row.update(id="another"))
    with pytest.raises(ProviderUnavailable):
        subject.provider().get(rental.id)


def test_one_odd_row_hides_neither_itself_nor_the_others(
    subject: SimulatedPrimeIntellect,
) -> None:
    rental, other = rented(subject), rented(subject)
    edited(
        subject,
        PODS,
        lambda row: row.update(priceHr="dear") if row["id"] == rental.id else None,
    )
    listed = {one.id: one for one in subject.provider().list_rentals()}
    assert (listed[rental.id].status, listed[rental.id].mark) == (UNREADABLE, rental.mark)
    assert listed[other.id].status == RUNNING


@pytest.mark.parametrize("change", [{"id": None}, {"id": "a b"}])
def test_a_pod_without_an_id_spoils_the_list(
    subject: SimulatedPrimeIntellect, change: dict[str, Any]
) -> None:
    rented(subject)
    edited(subject, PODS, lambda row: row.update(change))
    with pytest.raises(ProviderUnavailable):
        subject.provider().list_rentals()


def listing(subject: SimulatedPrimeIntellect, pods: int, pages: int) -> list[Rental]:
    """So many pods, read in pages of so many."""
    for _pod in range(pods):
        subject.provider().rent(cheapest(subject), order(subject))
    subject.settle()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "_PAGE_SIZE", pages)
        return subject.provider().list_rentals()


@pytest.mark.parametrize("pods", [0, 1, 3, 4, 5])
def test_all_pages_of_a_list_are_read(subject: SimulatedPrimeIntellect, pods: int) -> None:
    assert {one.id for one in listing(subject, pods, 3)} == subject.rentals()


@pytest.mark.parametrize("total", [4, 6, None, "5"])
def test_a_list_that_is_not_as_long_as_it_says_is_no_list(
    subject: SimulatedPrimeIntellect, total: Any
) -> None:
    answer = subject.simulator.api.answer

    def miscounted(request: Request, traits: Any, from_host: bool) -> Reply:
        reply = answer(request, traits, from_host)
        if request.method != "GET" or request.path != PODS:
            return reply
        return json_reply({**json.loads(reply.body), "total_count": total})

    subject.simulator.api.answer = miscounted  # type: ignore[method-assign]
    with pytest.raises(ProviderUnavailable):
        listing(subject, 5, 3)


def test_a_pod_that_ends_between_two_pages_hides_no_other_one(
    subject: SimulatedPrimeIntellect,
) -> None:
    """The rows move up, so one is on neither page, and all the same as many come as there are."""
    answer = subject.simulator.api.answer

    def moving(request: Request, traits: Any, from_host: bool) -> Reply:
        reply = answer(request, traits, from_host)
        if request.path == PODS and request.query.get("limit") == "3":
            oldest = min(subject.market.rentals)
            if request.query["offset"] == "0":
                subject.market.destroy(oldest)
        return reply

    subject.simulator.api.answer = moving  # type: ignore[method-assign]
    with pytest.raises(ProviderUnavailable, match="have moved"):
        listing(subject, 6, 3)


@pytest.mark.parametrize(
    ("told", "user", "ways"),
    [
        ("root@192.0.2.1 -p 22", "root", [("192.0.2.1", 22)]),
        ("ssh ubuntu@192.0.2.1 -p 2222", "ubuntu", [("192.0.2.1", 2222)]),
        ("ssh ubuntu@host.example", "ubuntu", [("host.example", 22)]),
        (["root@192.0.2.1 -p 1022"], "root", [("192.0.2.1", 1022)]),
        ([None], "root", []),
        ([], "root", []),
        ("", "root", []),
        (None, "root", []),
    ],
)
def test_the_way_in_is_read_from_what_people_are_shown(
    subject: SimulatedPrimeIntellect, told: Any, user: str, ways: list[tuple[str, int]]
) -> None:
    rental = rented(subject)
    edited(subject, POD, lambda row: row.update(sshConnection=told))
    read = subject.provider().get(rental.id)
    assert read is not None
    assert (read.ssh_user, read.ssh) == (user, tuple(Endpoint(*way) for way in ways))


@pytest.mark.parametrize(
    "told",
    [
        "root@192.0.2.1 -p 22 -o ProxyCommand=evil",
        "-oProxyCommand=evil@192.0.2.1",
        "root@-oProxyCommand=evil",
        "root@192.0.2.1 -p 99999",
        "root@192.0.2.1\nHost *",
        "192.0.2.1",
        {"host": "192.0.2.1"},
    ],
)
def test_a_way_in_that_is_none_is_never_used(subject: SimulatedPrimeIntellect, told: Any) -> None:
    rental = rented(subject)
    edited(subject, f"{PODS}|{POD}", lambda row: row.update(sshConnection=told))
    with pytest.raises(ProviderUnavailable):
        subject.provider().get(rental.id)
    (listed,) = subject.provider().list_rentals()
    assert (listed.status, listed.mark, listed.ssh) == (UNREADABLE, rental.mark, ())


def test_ports_behind_an_address_for_people_are_none(subject: SimulatedPrimeIntellect) -> None:
    rental = rented(subject)
    ports = [
        {"internal": "22", "external": "1022", "protocol": "TCP", "usedBy": "SSH"},
        {"internal": "53", "external": "1053", "protocol": "UDP"},
        {"internal": "8888", "external": "https://host.example", "protocol": "TCP"},
    ]
    edited(subject, POD, lambda row: row.update(primePortMapping=ports, ip=["192.0.2.1"]))
    read = subject.provider().get(rental.id)
    assert read is not None
    assert read.ports == {"22": Endpoint("192.0.2.1", 1022)}


@pytest.mark.parametrize(
    "text",
    ["2026-11-29T13:00:00Z", "2026-11-29T13:00:00.500000", "2026-11-29T15:00:00.123456+02:00"],
)
def test_its_times_are_read_as_they_may_come(subject: SimulatedPrimeIntellect, text: str) -> None:
    rental = rented(subject)
    edited(subject, POD, lambda row: row.update(createdAt=text))
    read = subject.provider().get(rental.id)
    assert read is not None
    assert read.started_at is not None
    assert int(read.started_at) == 1_795_957_200


# The account.


def test_an_account_whose_key_may_not_see_the_wallet_may_still_rent(
    subject: SimulatedPrimeIntellect,
) -> None:
    edited(subject, "/api/v1/billing/wallet", lambda row: row.pop("balance_usd"))
    assert subject.provider().account() == Account()


def test_names_that_are_no_names_are_an_error(subject: SimulatedPrimeIntellect) -> None:
    answered(subject, "GET", "/api/v1/availability/gpu-summary", json_reply([]))
    with pytest.raises(ProviderUnavailable):
        subject.provider().gpu_names()


# What its own client calls, and ours does not.


def plans_of(subject: SimulatedPrimeIntellect, **query: Any) -> list[dict[str, Any]]:
    """What is for rent, by the parameters of its document."""
    headers = {"Authorization": f"Bearer {ACCOUNT_KEY}"}
    url = f"{subject.simulator.url}/api/v1/availability/gpus"
    answer = requests.get(url, params=query, headers=headers, timeout=HANGS_AFTER_SECONDS)
    return list(answer.json()["items"])


@pytest.mark.parametrize(
    ("query", "field", "values"),
    [
        ({"regions": ["united_states", "canada"]}, "region", {"united_states", "canada"}),
        ({"regions": "eu_north"}, "region", {"eu_north"}),
        ({"socket": "SXM4"}, "socket", {"SXM4"}),
        ({"data_center_id": "JP-1"}, "dataCenter", {"JP-1"}),
    ],
)
def test_availability_is_narrowed_by_every_parameter(
    subject: SimulatedPrimeIntellect, wire: Wire, query: Any, field: str, values: set[str]
) -> None:
    assert {row[field] for row in plans_of(subject, **query)} == values
    assert {row[field] for row in plans_of(subject)} > values
