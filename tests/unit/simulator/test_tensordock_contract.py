# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What our client sends to TensorDock, and what it makes of its answers.

There is no document of its own to hold them against: its pages have examples, which stand here.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

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
    STARTING,
    STOPPED,
    UNREADABLE,
    Endpoint,
    Offer,
    Order,
    Rental,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.provider import NOBODY
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.lifecycle import Lifecycle
from ansible_collections.inferops.gpu.plugins.module_utils.market.wish import Wish
from tests.hanging import HANGS_AFTER_SECONDS
from tests.simulator import tensordock
from tests.simulator.web import Reply, Request
from tests.unit.market.conformance.subjects import SimulatedTensorDock
from tests.unit.market.conftest import PUBLIC_KEY

LOCATIONS, INSTANCES = "/api/v2/locations", "/api/v2/instances"
INSTANCE = f"{INSTANCES}/.+"
LIST_SHAPES = ("flat", "nested", "documented", "envelope")


@pytest.fixture
def subject() -> Iterator[SimulatedTensorDock]:
    made = SimulatedTensorDock()
    yield made
    made.close()


def edited(subject: SimulatedTensorDock, path: str, edit: Callable[[Any], Any]) -> None:
    """Let the body of these answers be another one."""
    answer = subject.simulator.api.answer

    def spoilt(request: Request, traits: Any, from_host: bool) -> Reply:
        reply = answer(request, traits, from_host)
        if not re.fullmatch(path, request.path):
            return reply
        body = json.loads(reply.body)
        edit(body)
        return Reply(reply.status, json.dumps(body).encode(), reply.headers)

    subject.simulator.api.answer = spoilt  # type: ignore[method-assign]


def row_is(subject: SimulatedTensorDock, **fields: Any) -> None:
    """Show these values in every row of an instance; None for a field that is missing."""

    def edit(body: Any) -> None:
        for row in body.get("data", [body]):
            row.update(fields)
            for field in [name for name, value in fields.items() if value is None]:
                del row[field]

    edited(subject, f"{INSTANCES}(/.+)?", edit)


def answered(
    subject: SimulatedTensorDock, method: str, path: str, status: int, body: Any, times: int = 9
) -> None:
    """Let these calls be answered so, and not be carried out."""
    reply = {"kind": "reply", "method": method, "path": path, "times": times}
    subject.simulator.control.plan_faults([{**reply, "status": status, "body": body}])


def sent(subject: SimulatedTensorDock) -> dict[str, Any]:
    """What the one rental request asked for."""
    entries = subject.simulator.journal.entries()
    (body,) = [one["body"] for one in entries if one["method"] == "POST"]
    assert body["data"]["type"] == "virtualmachine"
    told: dict[str, Any] = body["data"]["attributes"]
    return told


def asked(subject: SimulatedTensorDock) -> list[str]:
    """The calls so far, in their order."""
    entries = subject.simulator.journal.entries()
    return [f"{one['method']} {one['path'].removeprefix('/api/v2')}" for one in entries]


def order(subject: SimulatedTensorDock, name: str = "gpu-1", **changes: Any) -> Order:
    now = int(subject.clock.now())
    mark = Mark.new("test", name, now + 3600, 3600, now)
    given: dict[str, Any] = {"image": "ubuntu2404_ml_pytorch", "disk_gib": 40}
    given["ssh_public_key"] = PUBLIC_KEY
    return Order(mark=mark, created_at=now, **{**given, **changes})


def offers(subject: SimulatedTensorDock, **wish: Any) -> list[Offer]:
    return subject.provider().search(Wish(**wish))


def cheapest(subject: SimulatedTensorDock, **wish: Any) -> Offer:
    return min(offers(subject, **wish), key=lambda offer: offer.price_usd_per_hour)


def rented(subject: SimulatedTensorDock, name: str = "gpu-1", **changes: Any) -> Rental:
    provider = subject.provider()
    rental_id = provider.rent(cheapest(subject), order(subject, name, **changes))
    subject.settle()
    found = provider.get(rental_id)
    assert found is not None
    return found


def refusal(subject: SimulatedTensorDock, status: int, body: Any) -> MarketError:
    """What a rental request comes to that is answered so."""
    offer = cheapest(subject)
    answered(subject, "POST", INSTANCES, status, body)
    with pytest.raises(MarketError) as caught:
        subject.provider().rent(offer, order(subject))
    assert subject.creates() == 1
    return caught.value


# What is offered.


def one_location(subject: SimulatedTensorDock, **changes: Any) -> None:
    """Let there be the location of its page alone, with changes to its model."""
    model = {
        "v0Name": "h100-sxm5-80gb",
        "displayName": "H100 SXM5 80GB",
        "max_count": 8,
        "price_per_hr": 2.2,
        "resources": {"max_vcpus": 128, "max_ram_gb": 300, "max_storage_gb": 1000},
        "pricing": {"per_vcpu_hr": 0.003, "per_gb_ram_hr": 0.002, "per_gb_storage_hr": 0.00005},
        "network_features": {
            "dedicated_ip_available": True,
            "port_forwarding_available": True,
            "network_storage_available": False,
        },
    }
    place = {
        "id": "loc-uuid-12345",
        "city": "Austin",
        "stateprovince": "Texas",
        "country": "United States",
        "tier": 3,
        "gpus": [{**model, **changes}],
    }
    answered(subject, "GET", LOCATIONS, 200, {"data": {"locations": [place]}}, times=99)


def test_the_example_of_its_page_is_an_offer(subject: SimulatedTensorDock) -> None:
    one_location(subject)
    (one,) = offers(subject)
    assert (one.gpu_name, one.gpu_count, one.vram_gib) == ("H100 SXM5", 1, 80.0)
    assert (one.cpu_cores, one.ram_gib, one.disk_gib) == (8, 32, 903.4)
    assert (one.country, one.verified) == ("US", True)
    assert one.id == "loc-uuid-12345.h100-sxm5-80gb.x1-8-32"


def test_a_price_is_the_sum_of_all_that_is_rented(subject: SimulatedTensorDock) -> None:
    one_location(subject)
    (one,) = offers(subject, disk_gib=40)
    assert one.price_usd_per_hour == pytest.approx(2.2 + 8 * 0.003 + 32 * 0.002 + 100 * 0.00005)
    assert one.disk_usd_per_hour == pytest.approx(100 * 0.00005)
    (four,) = offers(subject, gpu_count=4, disk_gib=200)
    assert four.price_usd_per_hour == pytest.approx(
        4 * 2.2 + 32 * 0.003 + 128 * 0.002 + 250 * 0.00005
    )


@pytest.mark.parametrize(
    "untold", ["per_vcpu_hr", "per_gb_ram_hr", "per_gb_storage_hr", "price_per_hr"]
)
def test_a_price_that_lacks_a_part_is_none(subject: SimulatedTensorDock, untold: str) -> None:
    prices = {"per_vcpu_hr": 0.003, "per_gb_ram_hr": 0.002, "per_gb_storage_hr": 0.00005}
    prices.pop(untold, None)
    changes = {"price_per_hr": None} if untold == "price_per_hr" else {"pricing": prices}
    one_location(subject, **changes)
    with pytest.raises(ProviderUnavailable, match="none of 1"):
        offers(subject)


def test_what_is_billed_is_what_was_offered(subject: SimulatedTensorDock) -> None:
    offer = cheapest(subject, gpu_count=2)
    provider = subject.provider()
    read = provider.get(provider.rent(offer, order(subject)))
    assert read is not None
    assert read.price_usd_per_hour == pytest.approx(offer.price_usd_per_hour, abs=1e-5)
    assert (read.gpu_count, read.gpu_name, read.vram_gib) == (2, offer.gpu_name, offer.vram_gib)


@pytest.mark.parametrize(
    ("most", "cores", "ram_gib"),
    [
        ({"max_vcpus": 7}, 6, 32),
        ({"max_ram_gb": 31}, 8, 16),
        ({"max_vcpus": 1}, None, None),
        ({"max_ram_gb": 15}, None, None),
        ({"max_storage_gb": 99}, None, None),
    ],
)
def test_less_than_is_wanted_is_taken_in_the_steps_that_are_sold(
    subject: SimulatedTensorDock, most: dict[str, Any], cores: int | None, ram_gib: int | None
) -> None:
    resources = {"max_vcpus": 128, "max_ram_gb": 300, "max_storage_gb": 1000}
    one_location(subject, resources={**resources, **most})
    found = [(one.cpu_cores, one.ram_gib) for one in offers(subject)]
    assert found == ([(cores, ram_gib)] if cores else [])


def test_a_disk_that_is_not_to_be_had_is_said_so(subject: SimulatedTensorDock) -> None:
    one_location(subject)
    wish = Wish(disk_gib=1000)
    matches, reasons = wish.select(subject.provider().search(wish))
    assert (matches, reasons) == ([], {"disk": 1})


def test_a_location_without_addresses_is_left_out(subject: SimulatedTensorDock) -> None:
    found = {offer.country for offer in offers(subject, verified=False)}
    assert {"US", "CZ", "GB", "KR"} <= found
    assert found & set(tensordock.WITHOUT_ADDRESSES) == set()


def test_so_many_gpus_as_are_wished_for_have_to_be_there(subject: SimulatedTensorDock) -> None:
    one_location(subject, max_count=3)
    assert [one.gpu_count for one in offers(subject, gpu_count=3)] == [3]
    assert offers(subject, gpu_count=4) == []


def test_locations_of_low_tiers_are_rented_where_that_is_said(subject: SimulatedTensorDock) -> None:
    wish = Wish()
    matches, reasons = wish.select(subject.provider().search(wish))
    assert matches
    assert reasons["verification"]
    every, _reasons = Wish(verified=False).select(subject.provider().search(wish))
    assert len(every) > len(matches)


@pytest.mark.parametrize(
    ("model", "name", "vram_gib"),
    [
        ("geforcertx4090-pcie-24gb", "RTX 4090", 24.0),
        ("rtxa6000-pcie-48gb", "RTX A6000", 48.0),
        ("a100-pcie-80gb", "A100 PCIE", 80.0),
        ("a100-sxm4-80gb", "A100 SXM4", 80.0),
        ("l40s-pcie-48gb", "L40S", 48.0),
        ("teslav100-pcie-16gb", "V100 PCIE", 16.0),
        ("b200", "B200", None),
    ],
)
def test_a_gpu_has_the_name_that_people_wish_for(
    subject: SimulatedTensorDock, model: str, name: str, vram_gib: float | None
) -> None:
    one_location(subject, v0Name=model)
    (one,) = offers(subject)
    assert (one.gpu_name, one.vram_gib) == (name, vram_gib)
    assert subject.provider().gpu_names() == [name]
    assert Wish(gpu_names=(f"NVIDIA {name}",)).misses(one) == []


def test_an_odd_location_is_left_out(subject: SimulatedTensorDock) -> None:
    count = len(offers(subject, verified=False))
    edited(subject, LOCATIONS, lambda body: body["data"]["locations"][0].update(gpus=7))
    assert 0 < len(offers(subject, verified=False)) < count


# What is sent along.


def test_nothing_more_is_sent_than_its_page_has(subject: SimulatedTensorDock) -> None:
    offer = cheapest(subject)
    wanted = order(subject)
    subject.provider().rent(offer, wanted)
    told = sent(subject)
    assert set(told) == {
        "name", "type", "image", "resources", "location_id", "useDedicatedIp", "ssh_key",
        "cloud_init",
    }  # fmt: skip
    location, model, _size = offer.id.split(".")
    assert told["resources"] == {
        "vcpu_count": 8,
        "ram_gb": 32,
        "storage_gb": 100,
        "gpus": {model: {"count": 1}},
    }
    assert (told["location_id"], told["ssh_key"]) == (location, PUBLIC_KEY)
    assert told["useDedicatedIp"] is True
    assert subject.kind.enforces_deadline == NOBODY


@pytest.mark.parametrize(
    ("disk_gib", "storage_gb"), [(1, 100), (65, 100), (66, 150), (200, 250), (500, 600)]
)
def test_a_disk_has_room_for_the_image_and_a_size_that_is_sold(
    subject: SimulatedTensorDock, disk_gib: int, storage_gb: int
) -> None:
    rented(subject, disk_gib=disk_gib)
    assert sent(subject)["resources"]["storage_gb"] == storage_gb


def test_an_instances_name_has_letters_digits_and_dashes_alone(
    subject: SimulatedTensorDock,
) -> None:
    rental = rented(subject, "gpu_1.main")
    assert re.fullmatch("[A-Za-z0-9-]+", sent(subject)["name"])
    assert rental.mark is not None
    assert rental.label == rental.mark.encode()


def test_the_host_key_and_the_login_run_at_its_first_boot(subject: SimulatedTensorDock) -> None:
    pytest.importorskip("cryptography")
    key = derive("secret", order(subject).mark, 1)
    rented(subject, host_key=key)
    (command,) = sent(subject)["cloud_init"]["runcmd"]
    # One line, without a quote: it goes through JSON, YAML and a shell.
    assert re.fullmatch(r"[A-Za-z0-9+/= |-]+", command)
    script = tensordock.unpacked(sent(subject))
    assert key.public in script
    assert key.private.strip() in script


def test_user_is_let_in_once_however_often_it_runs(
    subject: SimulatedTensorDock, tmp_path: Path
) -> None:
    rented(subject)
    script = tensordock.unpacked(sent(subject))
    own = script[script.rindex("\nkey=") :]
    home = tmp_path / "user"
    home.mkdir()
    own = own.replace("~user", str(home)).replace("-o user", "").replace("chown user:", "true")
    for _again in range(2):
        subprocess.run(["sh", "-eu", "-c", own], check=True, timeout=HANGS_AFTER_SECONDS)
    keys = home / ".ssh" / "authorized_keys"
    assert keys.read_text().split("\n") == ["", PUBLIC_KEY, ""]
    assert (keys.stat().st_mode & 0o777, keys.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    subprocess.run(["sh", "-n"], input=script, text=True, check=True, timeout=HANGS_AFTER_SECONDS)


@pytest.mark.parametrize("image", ["vllm/vllm-openai:v0.32.0", "Ubuntu 24.04", "../x"])
def test_an_image_that_is_no_operating_system_is_refused_before_anything_is_asked_for(
    subject: SimulatedTensorDock, image: str
) -> None:
    offer = cheapest(subject)
    with pytest.raises(RequestRefused, match="has no image"):
        subject.provider().rent(offer, order(subject, image=image))
    assert subject.creates() == 0


def test_another_providers_offer_is_refused(subject: SimulatedTensorDock) -> None:
    offer = replace(cheapest(subject), id="6000017")
    with pytest.raises(RequestRefused, match="no offer of TensorDock's"):
        subject.provider().rent(offer, order(subject))


# What a rental request comes to.

_INVALID = [{"code": "custom", "message": "Invalid enum value", "path": ["data", "image"]}]
CREATES: dict[str, tuple[int, Any, type[MarketError]]] = {
    "no node, under a good status": (
        200, {"error": tensordock.NO_NODE, "status": 400}, OfferGone),
    "no node": (400, {"error": tensordock.NO_NODE}, OfferGone),
    "hostnode": (200, {"error": "Hostnode unavailable", "status": 400}, OfferGone),
    "capacity": (400, {"error": "Insufficient capacity"}, OfferGone),
    "no credit": (200, {"error": tensordock.NO_CREDIT, "status": 400}, RequestRefused),
    "invalid": (400, _INVALID, RequestRefused),
    "as its pages have it": (
        400, {"errors": [{"status": "400", "detail": "Bad name"}]}, RequestRefused),
    "bad token": (401, {"errors": [{"status": "401"}]}, CredentialError),
    "bad token, under a good status": (200, {"error": "No access", "status": 403}, CredentialError),
    "unexpected": (
        200, {"error": "An unexpected error occurred during deployment", "status": 400},
        UnclearCreate),
    "internal": (400, {"error": "Internal processing error"}, UnclearCreate),
    "its own 500": (500, {"error": tensordock.NO_NODE}, UnclearCreate),
    "500 under a good status": (200, {"error": tensordock.NO_NODE, "status": 500}, UnclearCreate),
    "no status": (200, {"error": "Something"}, UnclearCreate),
    "gave up": (408, {"error": "Request took too long"}, UnclearCreate),
    "a page": (400, "<h1>Bad Request</h1>", UnclearCreate),
    "no words": (400, {}, UnclearCreate),
    "no id": (201, {"data": {"type": "virtualmachine"}}, UnclearCreate),
    "an odd id": (201, {"data": {"id": "../7"}}, UnclearCreate),
}  # fmt: skip


@pytest.mark.parametrize("case", CREATES)
def test_a_refused_rental_request_is_told_by_its_words(
    subject: SimulatedTensorDock, case: str
) -> None:
    status, body, kind = CREATES[case]
    told = refusal(subject, status, body)
    assert told.__class__ is kind
    assert subject.rentals() == set()


def test_an_id_beside_an_error_may_bill(subject: SimulatedTensorDock) -> None:
    error = refusal(subject, 200, {"data": {"id": "aa11"}, "error": "Odd", "status": 400})
    assert isinstance(error, UnclearCreate)
    assert error.rental_id == "aa11"


@pytest.mark.parametrize(
    "body", [{"data": {"id": "aa11"}}, {"id": "aa11"}, {"data": {"id": "aa11", "attributes": {}}}]
)
@pytest.mark.parametrize("status", [200, 201])
def test_the_id_is_found_in_every_shape_of_a_good_answer(
    subject: SimulatedTensorDock, status: int, body: Any
) -> None:
    offer = cheapest(subject)
    answered(subject, "POST", INSTANCES, status, body)
    assert subject.provider().rent(offer, order(subject)) == "aa11"


def test_what_is_listed_and_cannot_be_had_makes_room_for_the_next(
    subject: SimulatedTensorDock,
) -> None:
    one_location(subject)
    (offer,) = offers(subject)
    with pytest.raises(OfferGone, match=tensordock.NO_NODE):
        subject.provider().rent(offer, order(subject))


def test_an_answer_is_waited_for_longer_than_a_minute(
    subject: SimulatedTensorDock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some were seen that took so long; what is given up before is unclear each time."""
    assert set(subject.kind.slow_seconds) == set(subject.kind.seconds_between)
    assert min(subject.kind.slow_seconds.values()) == 120.0
    offer = cheapest(subject)
    subject.simulator.control.plan_faults(
        [{"kind": "delay", "seconds": 1.0, "method": "POST", "path": INSTANCES}]
    )
    monkeypatch.setattr(subject.kind, "slow_seconds", {"create": 0.2})
    with pytest.raises(UnclearCreate):
        subject.provider().rent(offer, order(subject))


def test_no_call_comes_too_early(subject: SimulatedTensorDock) -> None:
    """A hundred in a minute, of all together."""
    subject.market.rate_limits = True
    provider = subject.provider()
    offer = cheapest(subject)
    for _call in range(130):
        provider.check_credential()
    provider.rent(offer, order(subject))
    for _call in range(130):
        provider.check_credential()
    assert subject.market.too_frequent == 0


# What it shows.


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ("queued", STARTING),
        ("creating", STARTING),
        ("starting", STARTING),
        ("running", RUNNING),
        ("Running", RUNNING),
        ("stopping", STOPPED),
        ("stopped", STOPPED),
        ("StoppedDisassociated", STOPPED),
        ("stopped_disassociated", STOPPED),
        ("error", FAILED),
        ("deleting", FAILED),
        ("new-state", UNREADABLE),
        (7, UNREADABLE),
    ],
)
def test_an_instance_is_in_one_of_its_states(
    subject: SimulatedTensorDock, status: Any, told: str
) -> None:
    rental = rented(subject)
    row_is(subject, status=status)
    (listed,) = subject.provider().list_rentals()
    assert (listed.status, listed.mark) == (told, rental.mark)
    if told == UNREADABLE:
        with pytest.raises(ProviderUnavailable):
            subject.provider().get(rental.id)
    else:
        assert subject.provider().get(rental.id) == listed
        # One that is stopped keeps its GPU.
        assert listed.billed_usd_per_hour == rental.price_usd_per_hour


def test_a_deleted_instance_is_gone(subject: SimulatedTensorDock) -> None:
    rental = rented(subject)
    row_is(subject, status="deleted")
    assert subject.provider().list_rentals() == []
    assert subject.provider().get(rental.id) is None


@pytest.mark.parametrize("list_shape", LIST_SHAPES)
@pytest.mark.parametrize("row_shape", ["bare", "wrapped", "attributes"])
def test_list_and_read_agree_in_each_of_their_shapes(
    subject: SimulatedTensorDock, list_shape: str, row_shape: str
) -> None:
    subject.api.list_shape, subject.api.row_shape = list_shape, row_shape
    rental = rented(subject)
    assert (rental.status, rental.price_usd_per_hour is not None) == (RUNNING, True)
    assert subject.provider().list_rentals() == [rental]


def test_of_a_short_list_only_what_is_ours_is_read_one_by_one(subject: SimulatedTensorDock) -> None:
    subject.api.list_shape = "documented"
    rental = rented(subject)
    subject.market.strangers = 5
    subject.simulator.journal.clear()
    assert len(subject.provider().list_rentals()) == 6
    assert asked(subject) == ["GET /instances", f"GET /instances/{rental.id}"]


def test_one_that_cannot_be_read_now_does_not_hide_itself(subject: SimulatedTensorDock) -> None:
    subject.api.list_shape = "documented"
    rental = rented(subject)
    answered(subject, "GET", INSTANCE, 500, {"error": "internal"})
    (listed,) = subject.provider().list_rentals()
    assert (listed.id, listed.mark, listed.status) == (rental.id, rental.mark, RUNNING)
    assert (listed.price_usd_per_hour, listed.ssh) == (None, ())


def test_what_a_short_list_shows_is_there_although_it_is_not_found(
    subject: SimulatedTensorDock,
) -> None:
    """Else one wrong answer would prove an end by both of its witnesses."""
    subject.api.list_shape = "documented"
    rental = rented(subject)
    answered(subject, "GET", INSTANCE, 404, {"error": "Instance not found"})
    assert [one.id for one in subject.provider().list_rentals()] == [rental.id]


@pytest.mark.parametrize("row", [None, 7, [], {}])
def test_a_row_that_is_none_is_not_left_out(subject: SimulatedTensorDock, row: Any) -> None:
    rented(subject)
    edited(subject, INSTANCES, lambda body: body["data"].append(row))
    with pytest.raises(ProviderUnavailable):
        subject.provider().list_rentals()


GONE = [
    (404, {"errors": [{"status": "404", "title": "Not Found", "detail": "Instance not found"}]}),
    (404, {"error": "Instance not found"}),
    (200, {"error": "Instance not found", "status": 404}),
]
NOT_GONE = [
    (404, "Not Found"),
    (404, {"error": "Upstream timed out"}),
    (404, {}),
    (400, {"error": "Instance not found"}),
    (200, {"error": "Instance not found"}),
    (502, {"error": "Instance not found"}),
    (200, {"error": "No access", "status": 400}),
]


@pytest.mark.parametrize(("status", "body"), GONE)
def test_gone_is_a_404_in_its_own_words(
    subject: SimulatedTensorDock, status: int, body: Any
) -> None:
    rental = rented(subject)
    answered(subject, "GET", INSTANCE, status, body)
    assert subject.provider().get(rental.id) is None


@pytest.mark.parametrize(("status", "body"), NOT_GONE)
def test_other_words_do_not_say_that_one_is_gone(
    subject: SimulatedTensorDock, status: int, body: Any
) -> None:
    rental = rented(subject)
    answered(subject, "GET", INSTANCE, status, body)
    with pytest.raises(ProviderUnavailable):
        subject.provider().get(rental.id)


@pytest.mark.parametrize("call", ["search", "list_rentals", "check_credential"])
@pytest.mark.parametrize(("status", "kind"), [(400, ProviderUnavailable), (401, CredentialError)])
def test_an_error_under_a_good_status_is_no_answer(
    subject: SimulatedTensorDock, call: str, status: int, kind: type[MarketError]
) -> None:
    body = {"data": [], "error": "Odd", "status": status}
    answered(subject, "GET", f"({INSTANCES}|{LOCATIONS})", 200, body)
    provider = subject.provider()
    with pytest.raises(MarketError) as caught:
        provider.search(Wish()) if call == "search" else getattr(provider, call)()
    assert caught.type is kind


def test_another_instance_in_the_answer_is_no_answer(subject: SimulatedTensorDock) -> None:
    rental = rented(subject)
    edited(subject, INSTANCE, lambda body: body.update(id="another"))
    with pytest.raises(ProviderUnavailable):
        subject.provider().get(rental.id)


def test_one_without_an_address_has_no_way_in_yet(subject: SimulatedTensorDock) -> None:
    rental = rented(subject)
    assert rental.ssh == (Endpoint("127.0.0.1", 22),)
    assert (rental.ssh_user, list(rental.ports)) == ("user", ["22"])
    for address in ("", None):
        row_is(subject, ipAddress=address or "")
        read = subject.provider().get(rental.id)
        assert read is not None
        assert (read.status, read.ssh, read.ports) == (RUNNING, (), {})


def test_a_port_that_was_forwarded_is_reached_as_it_is_shown(subject: SimulatedTensorDock) -> None:
    rental = rented(subject)
    row_is(subject, portForwards=[{"internal_port": 22, "external_port": 20456},
                                  {"internal_port": 8000, "external_port": 20457}])  # fmt: skip
    read = subject.provider().get(rental.id)
    assert read is not None
    assert read.ssh == (Endpoint("127.0.0.1", 20456),)
    assert read.ports["8000"] == Endpoint("127.0.0.1", 20457)


def test_one_odd_row_hides_neither_itself_nor_the_others(subject: SimulatedTensorDock) -> None:
    rental, other = rented(subject), rented(subject, "gpu-2")

    def spoil(body: Any) -> None:
        next(row for row in body["data"] if row["id"] == rental.id)["ipAddress"] = "no address!"

    edited(subject, INSTANCES, spoil)
    listed = {one.id: one for one in subject.provider().list_rentals()}
    assert (listed[rental.id].status, listed[rental.id].mark) == (UNREADABLE, rental.mark)
    assert listed[other.id].status == RUNNING


@pytest.mark.parametrize("spoilt", [{"id": None}, {"id": "../7"}])
def test_a_row_without_an_id_spoils_the_list(
    subject: SimulatedTensorDock, spoilt: dict[str, Any]
) -> None:
    rented(subject)
    row_is(subject, **spoilt)
    with pytest.raises(ProviderUnavailable):
        subject.provider().list_rentals()


# What ends.


def test_a_release_is_proven_once_it_is_not_found_any_more(
    subject: SimulatedTensorDock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensordock, "DELETING_SECONDS", 200.0)
    rental = rented(subject)
    before = subject.clock.now()
    Lifecycle(subject.provider(), "test", subject.clock).release(rental)
    assert subject.clock.now() - before > 200
    assert subject.rentals() == set()


def test_one_that_is_being_deleted_can_be_released_again(subject: SimulatedTensorDock) -> None:
    rental, provider = rented(subject), subject.provider()
    for _again in range(2):
        provider.release(rental.id)
    seen = provider.get(rental.id)
    assert seen is not None
    assert (seen.status, seen.status_text) == (FAILED, "deleting")
    assert seen.is_ending
    assert not rental.is_ending
    subject.clock.sleep(tensordock.DELETING_SECONDS)
    assert provider.get(rental.id) is None
    provider.release(rental.id)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, {"error": "Try later", "status": 400}),
        (200, {"data": {"type": "success"}, "error": "Try later"}),
        (200, {"data": {"message": "Instance is locked"}}),
        (409, {"data": {"type": "success"}}),
    ],
)
def test_an_answer_that_confirms_nothing_is_no_release(
    subject: SimulatedTensorDock, status: int, body: Any
) -> None:
    rental = rented(subject)
    answered(subject, "DELETE", INSTANCE, status, body)
    with pytest.raises(ProviderUnavailable):
        subject.provider().release(rental.id)
    assert subject.rentals() == {rental.id}
