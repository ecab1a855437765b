# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What our client sends to RunPod, and what its simulator answers, against RunPod's own document.

``tests/simulator/runpod-api.json`` is what its OpenAPI document 2.0.0 (github.com/runpod/docs) says
of the calls that are made here, and what dstack 0.22.5 sends beyond it: names and types, without a
word of its text.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
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
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.mark import Mark
from ansible_collections.inferops.gpu.plugins.module_utils.market.model import (
    FAILED,
    RUNNING,
    STARTING,
    STOPPED,
    UNREADABLE,
    Offer,
    Order,
    Rental,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.provider import NOBODY
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.runpod import (
    SCRIPT_VARIABLE,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.wish import Wish
from tests.hanging import HANGS_AFTER_SECONDS
from tests.simulator import runpod
from tests.simulator.documents import Wire
from tests.simulator.hosts import PretendHosts
from tests.simulator.web import Reply, Request
from tests.unit.market.conformance.subjects import SimulatedRunPod
from tests.unit.market.conftest import PUBLIC_KEY

#: What its own clients call, and ours does not.
THEIRS = {
    "GET /v2/catalog/gpus/{id}",
    "POST /v2/pods/{id}/action",
    "PUT /v2/account/ssh-keys",
}


@pytest.fixture
def subject() -> Iterator[SimulatedRunPod]:
    made = SimulatedRunPod()
    yield made
    made.close()


def order(subject: SimulatedRunPod, **changes: Any) -> Order:
    now = int(subject.clock.now())
    mark = Mark.new("test", "gpu-1", now + 3600, 3600, now)
    given: dict[str, Any] = {"image": "some/image", "disk_gib": 20, "ssh_public_key": PUBLIC_KEY}
    return Order(mark=mark, created_at=now, **{**given, **changes})


def cheapest(subject: SimulatedRunPod, **wish: Any) -> Offer:
    offers = subject.provider().search(Wish(**wish))
    return min(offers, key=lambda offer: offer.price_usd_per_hour)


def rented(subject: SimulatedRunPod, **changes: Any) -> Rental:
    provider = subject.provider()
    rental_id = provider.rent(cheapest(subject), order(subject, **changes))
    subject.settle()
    found = provider.get(rental_id)
    assert found is not None
    return found


def test_every_call_and_every_answer_is_as_the_document_has_it(
    subject: SimulatedRunPod, wire: Wire
) -> None:
    provider = subject.provider()
    assert provider.gpu_names()
    rental = rented(subject, ports=(8000,))
    assert rental.mark is not None
    provider.change_mark(rental.id, rental.mark)
    provider.list_rentals()
    provider.check_credential()
    provider.log(rental.id, 20.0)
    provider.release(rental.id)
    assert provider.get(rental.id) is None
    assert provider.billed_usd(rental.id, rental.since) == 0
    with pytest.raises(CredentialError):
        subject.provider("another-key").list_rentals()
    offer = cheapest(subject)
    subject.take(offer.id)
    with pytest.raises(OfferGone):
        provider.rent(offer, order(subject))
    assert {call for call, _status in wire.seen} == wire.document.calls() - THEIRS
    assert {201, 204, 400, 401, 404} <= {status for _call, status in wire.seen}


def test_the_switch_is_sent_along_though_nobody_counts_on_it(subject: SimulatedRunPod) -> None:
    rental = rented(subject)
    assert rental.mark is not None
    assert f"original={rental.mark.deadline}" in subject.carried()
    assert subject.kind.enforces_deadline == NOBODY


def test_the_nginx_of_its_images_is_not_started_and_all_else_is(
    subject: SimulatedRunPod, tmp_path: Path
) -> None:
    """It would listen on all addresses, and hand on what comes to what the loopback alone has."""
    rented(subject)
    (rental,) = subject.market.rentals.values()
    began, image = tmp_path / "began", tmp_path / "start.sh"
    image.write_text("#!/bin/bash\nset -e\nservice nginx start\nservice ssh start\necho ready\n")
    service = tmp_path / "service"
    service.write_text(f'#!/bin/sh\necho "$@" >>{began}\n')
    for file in (image, service):
        file.chmod(0o755)
    sent = rental.wish["pod"]["args"].replace("/start.sh", str(image))
    # As it comes with the request, but for our own script.
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}", SCRIPT_VARIABLE: ""}
    done = subprocess.run(
        shlex.split(sent),
        env=path,
        capture_output=True,
        text=True,
        timeout=HANGS_AFTER_SECONDS,
        check=True,
    )
    assert done.stdout == "ready\n"
    assert began.read_text() == "ssh start\n"


def test_a_body_that_is_not_in_the_document_is_refused(subject: SimulatedRunPod) -> None:
    offer = cheapest(subject)
    with pytest.raises(RequestRefused, match="missing property 'image'"):
        subject.provider().rent(offer, order(subject, image=""))
    assert subject.rentals() == set()


def test_a_country_that_is_wished_for_is_where_the_pod_runs(
    subject: SimulatedRunPod, wire: Wire
) -> None:
    offer = cheapest(subject, countries=("SE", "NL"))
    assert offer.country in ("SE", "NL")
    subject.provider().rent(offer, order(subject))
    (rental,) = subject.market.rentals.values()
    assert runpod.country(rental.offer) == offer.country
    assert subject.provider().search(Wish(countries=("Sweden",))) == []


def test_a_catalogue_that_nobody_understands_is_no_market_without_offers(
    subject: SimulatedRunPod,
) -> None:
    edited(subject, "/v2/catalog/gpus", lambda row: row.update(price="0.44"))
    with pytest.raises(ProviderUnavailable, match="none of"):
        subject.provider().search(Wish())


def test_the_community_is_asked_where_unverified_hosts_will_do(
    subject: SimulatedRunPod, wire: Wire
) -> None:
    secure = subject.provider().search(Wish())
    assert {one.verified for one in secure} == {True}
    both = subject.provider().search(Wish(verified=False))
    assert {one.verified for one in both} == {True, False}
    community = next(one for one in both if not one.verified)
    subject.provider().rent(community, order(subject))
    (rental,) = subject.market.rentals.values()
    assert rental.offer["verification"] != "verified"


def test_several_gpus_are_priced_and_rented_together(subject: SimulatedRunPod, wire: Wire) -> None:
    one = {offer.gpu_name: offer for offer in subject.provider().search(Wish())}
    two = {offer.gpu_name: offer for offer in subject.provider().search(Wish(gpu_count=2))}
    name = min(one.keys() & two.keys())
    assert two[name].price_usd_per_hour > one[name].disk_usd_per_hour
    subject.provider().rent(two[name], order(subject))
    (rental,) = subject.market.rentals.values()
    assert rental.offer["num_gpus"] == 2


CREATES: dict[str, tuple[int, Any, type[MarketError]]] = {
    "no capacity": (400, runpod.NO_INSTANCES, OfferGone),
    "a rule": (400, "mounts.persistent is invalid when cpu is set", RequestRefused),
    "no credit": (402, "insufficient balance", RequestRefused),
    "no access to a pool": (403, "your account cannot access the requested pool", OfferGone),
    "a key that only reads": (403, "access denied", CredentialError),
    "no key": (401, "the key has expired", CredentialError),
    "no such call": (410, "this API was retired", RequestRefused),
    "a gateway gives up": (504, "upstream request timeout", UnclearCreate),
    "a time-out": (408, "request timeout", UnclearCreate),
}


@pytest.mark.parametrize("case", CREATES)
def test_a_refused_create_is_told_by_its_kind(subject: SimulatedRunPod, case: str) -> None:
    status, detail, kind = CREATES[case]
    offer = cheapest(subject)
    problem = {"title": "A title", "status": status, "detail": detail}
    reply = {"kind": "reply", "method": "POST", "path": "/v2/pods$", "status": status}
    subject.simulator.control.plan_faults([{**reply, "body": problem, "times": 9}])
    with pytest.raises(MarketError, match=re.escape(detail[:30])) as caught:
        subject.provider().rent(offer, order(subject))
    assert caught.type is kind
    assert subject.creates() == 1


def test_an_id_beside_an_error_is_the_rental_to_look_for(subject: SimulatedRunPod) -> None:
    offer = cheapest(subject)
    reply = {"kind": "reply", "method": "POST", "path": "/v2/pods$", "status": 500}
    subject.simulator.control.plan_faults([{**reply, "body": {"id": "abc123"}}])
    with pytest.raises(UnclearCreate) as caught:
        subject.provider().rent(offer, order(subject))
    assert caught.value.rental_id == "abc123"


def edited(subject: SimulatedRunPod, path: str, edit: Callable[[dict[str, Any]], None]) -> None:
    """Let each row of these answers be another one."""
    answer = subject.simulator.api.answer

    def spoilt(request: Request, traits: Any, from_host: bool) -> Reply:
        reply = answer(request, traits, from_host)
        if not re.fullmatch(path, request.path):
            return reply
        body = json.loads(reply.body)
        rows = (body[name] for name in ("pods", "gpus", "records") if name in body)
        for row in next(rows, [body]):
            edit(row)
        return Reply(reply.status, json.dumps(body).encode(), reply.headers)

    subject.simulator.api.answer = spoilt  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ("PROVISIONING", STARTING),
        ("STARTING", STARTING),
        ("RUNNING", RUNNING),
        ("EXITED", STOPPED),
        ("ERROR", FAILED),
        ("NEW_STATE", UNREADABLE),
    ],
)
def test_a_pod_is_in_one_of_its_six_states(
    subject: SimulatedRunPod, status: str, told: str
) -> None:
    rental = rented(subject)
    edited(subject, "/v2/pods.*", lambda row: row.update(status=status))
    (listed,) = subject.provider().list_rentals()
    assert (listed.status, listed.mark) == (told, rental.mark)
    if told == UNREADABLE:
        with pytest.raises(ProviderUnavailable):
            subject.provider().get(rental.id)


def test_a_terminated_pod_is_gone(subject: SimulatedRunPod) -> None:
    rental = rented(subject)
    edited(subject, "/v2/pods.*", lambda row: row.update(status="TERMINATED"))
    assert subject.provider().list_rentals() == []
    assert subject.provider().get(rental.id) is None


def test_another_pod_in_the_answer_is_no_answer(subject: SimulatedRunPod) -> None:
    rental = rented(subject)
    edited(subject, "/v2/pods/.*", lambda row: row.update(id="another"))
    with pytest.raises(ProviderUnavailable):
        subject.provider().get(rental.id)
    mark = order(subject).mark
    with pytest.raises(ProviderUnavailable):
        subject.provider().change_mark(rental.id, mark)


def test_one_odd_row_hides_neither_itself_nor_the_others(subject: SimulatedRunPod) -> None:
    rental, other = rented(subject), rented(subject)
    edited(
        subject,
        "/v2/pods",
        lambda row: row.update(cost="dear") if row["id"] == rental.id else None,
    )
    listed = {one.id: one for one in subject.provider().list_rentals()}
    assert listed[rental.id].status == UNREADABLE
    assert listed[rental.id].mark == rental.mark
    assert listed[other.id].status == RUNNING


def test_a_pod_without_an_id_spoils_the_list(subject: SimulatedRunPod) -> None:
    rented(subject)
    edited(subject, "/v2/pods", lambda row: row.update(id=None))
    with pytest.raises(ProviderUnavailable):
        subject.provider().list_rentals()


@pytest.mark.parametrize(
    "text",
    ["2026-11-29T13:00:00Z", "2026-11-29T13:00:00.5Z", "2026-11-29T15:00:00.123456789+02:00"],
)
def test_its_times_are_read_as_they_may_come(subject: SimulatedRunPod, text: str) -> None:
    rental = rented(subject)
    edited(subject, "/v2/pods/.*", lambda row: row.update(createdAt=text))
    read = subject.provider().get(rental.id)
    assert read is not None
    assert read.started_at is not None
    assert int(read.started_at) == 1_795_957_200


def test_the_way_in_is_the_direct_one_and_never_the_shell_for_people(
    subject: SimulatedRunPod,
) -> None:
    rental = rented(subject)
    proxy = {"host": "ssh.runpod.io", "port": 22, "username": "abc-1", "command": "ssh"}
    edited(subject, "/v2/pods/.*", lambda row: row["ssh"].update(proxy=proxy))
    read = subject.provider().get(rental.id)
    assert read is not None
    assert [way.host for way in read.ssh] == ["127.0.0.1"]
    edited(subject, "/v2/pods/.*", lambda row: row["ssh"].update(direct=None))
    read = subject.provider().get(rental.id)
    assert read is not None
    assert read.ssh == ()


# What its own clients call, and ours does not.


def asked(subject: SimulatedRunPod, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """A call with the account's key, as status and answer."""
    headers = {"Authorization": f"Bearer {subject.key}"}
    answer = requests.request(
        method,
        f"{subject.simulator.url}/v2{path}",
        headers=headers,
        json=body,
        timeout=HANGS_AFTER_SECONDS,
    )
    return answer.status_code, answer.json() if answer.content else None


def test_a_pod_is_stopped_and_started_where_its_status_lets_that_be(
    subject: SimulatedRunPod, wire: Wire
) -> None:
    pod = rented(subject).id
    for action, status in (("stop", "EXITED"), ("start", "RUNNING"), ("restart", "RUNNING")):
        code, told = asked(subject, "POST", f"/pods/{pod}/action", {"action": action})
        assert (code, told["status"]) == (200, status)
    assert asked(subject, "POST", f"/pods/{pod}/action", {"action": "start"})[0] == 409
    assert asked(subject, "POST", f"/pods/{pod}/action", {"action": "burn"})[0] == 422
    assert asked(subject, "POST", f"/pods/{pod}/action", {"action": "terminate"}) == (204, None)
    assert subject.rentals() == set()


def test_a_stopped_pod_whose_gpus_somebody_has_cannot_be_started(
    subject: SimulatedRunPod, wire: Wire
) -> None:
    pod = rented(subject).id
    asked(subject, "POST", f"/pods/{pod}/action", {"action": "stop"})
    subject.take_gpus(pod)
    code, told = asked(subject, "POST", f"/pods/{pod}/action", {"action": "start"})
    assert (code, told["detail"]) == (400, runpod.NO_GPUS)


def test_the_keys_of_the_account_are_let_in_where_a_pod_names_none(
    subject: SimulatedRunPod, wire: Wire
) -> None:
    assert asked(subject, "PUT", "/account/ssh-keys", {"keys": ["none at all"]})[0] == 422
    keys = {"keys": [PUBLIC_KEY]}
    assert asked(subject, "PUT", "/account/ssh-keys", keys) == (200, keys)
    gpu = {"id": "NVIDIA RTX 4090", "count": 1}
    wish = {"name": "theirs", "image": "img:1", "gpu": gpu}
    for more, let_in in (({"startSsh": True}, [PUBLIC_KEY]), ({}, [])):
        assert asked(subject, "POST", "/pods", {**wish, **more})[0] == 201
        assert list(list(subject.market.rentals.values())[-1].keys.values()) == let_in


@pytest.mark.parametrize(
    ("need", "is_met"),
    [
        ({"minCudaVersion": "12.8"}, lambda offer: offer["cuda_max_good"] >= 12.8),
        ({"allowedCudaVersions": ["12.4"]}, lambda offer: offer["cuda_max_good"] == 12.4),
        ({"minRamPerGpu": 100}, lambda offer: offer["cpu_ram"] >= 100 * 1024),
        ({"minVcpuCountPerGpu": 24}, lambda offer: offer["cpu_cores_effective"] >= 24),
    ],
)
def test_a_pod_is_placed_on_a_machine_that_has_what_it_needs(
    subject: SimulatedRunPod, wire: Wire, need: Any, is_met: Callable[[Any], bool]
) -> None:
    gpu = {"id": "NVIDIA RTX 3090", "count": 1}
    wish = {"name": "theirs", "image": "img:1", "entrypoint": ["sh"], "cmd": ["-c", "true"]}
    while asked(subject, "POST", "/pods", {**wish, "gpu": {**gpu, **need}})[0] == 201:
        pass
    placed = [one.offer for one in subject.market.rentals.values()]
    assert placed
    assert all(map(is_met, placed))
    assert asked(subject, "POST", "/pods", {**wish, "gpu": gpu})[0] == 201


def test_a_kind_of_gpu_is_told_alone_as_among_the_others(
    subject: SimulatedRunPod, wire: Wire
) -> None:
    query = "?include=AVAILABILITY&product=POD&count=1"
    for row in asked(subject, "GET", f"/catalog/gpus{query}")[1]["gpus"]:
        assert asked(subject, "GET", f"/catalog/gpus/{row['id']}{query}") == (200, row)
    assert asked(subject, "GET", "/catalog/gpus/NVIDIA NOTHING")[0] == 404


# What it was billed.


def test_the_bill_of_a_pod_is_its_own(subject: SimulatedRunPod) -> None:
    """A filter that RunPod does not know is no error there: everything comes."""
    rental, other = rented(subject), rented(subject)
    subject.clock.sleep(5 * 3600)
    found = subject.provider().billed_usd(rental.id, rental.since)
    assert found
    answer = subject.simulator.api.answer

    def unfiltered(request: Request, traits: Any, from_host: bool) -> Reply:
        request.query.pop("podId", None)
        return answer(request, traits, from_host)

    subject.simulator.api.answer = unfiltered  # type: ignore[method-assign]
    assert subject.provider().billed_usd(rental.id, rental.since) == pytest.approx(found)
    assert subject.provider().billed_usd("another", other.since) is None


@pytest.mark.parametrize("odd", [{"totalAmount": "n/a"}, {"totalAmount": None}])
def test_an_odd_bill_is_no_bill_of_nothing(subject: SimulatedRunPod, odd: dict[str, Any]) -> None:
    rental = rented(subject)
    subject.clock.sleep(3600)
    edited(subject, "/v2/billing/pods", lambda row: row.update(odd))
    with pytest.raises(ProviderUnavailable, match="a record is odd"):
        subject.provider().billed_usd(rental.id, rental.since)


# Its log.


def test_the_log_of_a_pod_whose_image_nobody_has_says_so(subject: SimulatedRunPod) -> None:
    hosts = subject.market.hosts
    assert isinstance(hosts, PretendHosts)
    hosts.failure = "Error response from daemon: manifest unknown"
    provider = subject.provider()
    rental_id = provider.rent(cheapest(subject), order(subject))
    (rental,) = subject.market.rentals.values()
    while not rental.status_msg:
        rental.gone.wait(0.001)
    log = provider.log(rental_id, 20.0)
    first, last = log.machine.splitlines()
    assert first.endswith("create container some/image")
    assert last.endswith(hosts.failure)
    assert log.container == ""


ODD_EVENTS = (
    "data: {\n",
    "data: 5\n",
    'data: {"line": 5}\n',
    "id: 5\n",
    '{"line": "x"}\n',
    f"data: {'[' * 9999}\n",
    'data: {"source": "system", "line": "cut o',
)


@pytest.mark.parametrize("odd", ODD_EVENTS)
def test_an_event_that_is_none_is_no_line_and_hides_no_other(
    subject: SimulatedRunPod, odd: str
) -> None:
    rental = rented(subject)
    body = f'data: {{"line": "before\\u2028it"}}\r\n\r\n{odd}\ndata: {{"line": "after"}}\n'
    said = {"kind": "reply", "path": "/logs$", "status": 200, "body": body}
    subject.simulator.control.plan_faults([said])
    lines = subject.provider().log(rental.id, 20.0).container.split("\n")
    assert [line for line in lines if line] == ["before\u2028it", "after"]


def test_another_pods_log_is_none_of_ours(subject: SimulatedRunPod) -> None:
    with pytest.raises(ProviderUnavailable, match="pod not found"):
        subject.provider().log("sim0", 20.0)
