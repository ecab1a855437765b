# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a marketplace may try, or whoever sits between: every answer of its API is its own."""

from __future__ import annotations

import json
import socketserver
import threading
import time
import zlib
from contextlib import suppress
from typing import Any

from tests.attacks.registry import attack, each
from tests.attacks.stage import NAME, PUBLIC_KEY, SCOPE, Stage, key_pair, on_market, plays
from tests.simulator.app import Simulator
from tests.simulator.web import Reply, Request, json_reply

LISTS, READS = r"/api/v1/instances/", r"/api/v0/instances/\d+"
STRANGERS_KEY = "203.0.113.9\n* ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIStranger"
#: A command as SSH options and shells would run it; {owned} is the file that tells.
COMMAND = "-oProxyCommand=touch${{IFS}}{owned}"
RENT = {"name": NAME, "image": "some/image", "ssh_public_key": PUBLIC_KEY}


def filled(value: Any, stage: Stage) -> Any:
    """The same with the stage's own places in its texts."""
    if isinstance(value, str):
        return value.format(owned=stage.owned, stranger=stage.stranger, precious=stage.precious)
    if isinstance(value, dict):
        return {key: filled(one, stage) for key, one in value.items()}
    return [filled(one, stage) for one in value] if isinstance(value, list) else value


def met(simulator: Simulator) -> int:
    """How many requests met a fault."""
    return sum(fault.met for fault in simulator.faults.planned)


def billing(simulator: Simulator) -> set[int]:
    """The rentals that exist in truth."""
    return {int(row["id"]) for row in simulator.control.state()["rentals"]}


@each(
    "market-shows-a-row-with",
    {
        "a-command-in-the-host": {"ssh_host": COMMAND, "ports": {}},
        "a-command-behind-the-host": {"ssh_host": "203.0.113.9 " + COMMAND, "ports": {}},
        "a-stranger-s-key-in-the-host": {"ssh_host": STRANGERS_KEY, "ports": {}},
        "a-command-in-the-port": {"ssh_port": "22 " + COMMAND, "ports": {}},
        "a-star-as-address": {"public_ipaddr": "*", "ports": {"22/tcp": [{"HostPort": "22"}]}},
        "a-template-as-host": {"ssh_host": "{{{{lookup('pipe','touch {owned}')}}}}", "ports": {}},
        "a-list-as-host": {"ssh_host": ["203.0.113.9"], "ports": {}},
        "a-path-as-machine": {"machine_id": "../../precious"},
        "a-template-in-its-status": {"status_msg": "{{{{ lookup('pipe', 'touch {owned}') }}}}"},
        "a-steering-status": {"actual_status": "exited", "status_msg": "\x1b]0;owned\x07\x1b[2J"},
        "a-steering-gpu": {"gpu_name": "RTX\x1b[2J4090"},
        "a-name-that-goes-backwards": {"gpu_name": "RTX \u202e0904"},
        "a-text-of-a-mebibyte": {"gpu_name": "x" * 2**20, "status_msg": "y" * 2**20},
        "a-forged-recap": {"status_msg": "down\nPLAY RECAP *****\ngpu-1 : ok=99 failed=0"},
        "a-price-below-nothing": {"dph_total": -1},
    },
)
def shows_a_row(stage: Stage, fields: dict[str, Any]) -> None:
    """All that reads rentals meets it: status, the way in, and what tears down."""
    row = {"kind": "row_is", "fields": filled(fields, stage), "times": 999}
    simulator = stage.market(row)
    stage.rented(simulator)
    key = str(key_pair(stage))
    way = {"inferops_ssh_private_key_file": key}
    reach = {"ansible.builtin.include_role": {"name": "inferops.gpu.connect"}}
    ping = {"ansible.builtin.raw": "true", "ignore_errors": True, "ignore_unreachable": True}
    own = {"roles": ["inferops.gpu.inferops"]}
    (connects,) = plays({**reach, "ignore_errors": True}, ping)
    hosts = {NAME: {"ansible_timeout": 3, "ansible_ssh_retries": 0}}
    # Nobody is at the address: what ssh would do on the way there is what counts.
    stage.play([{**connects, **own}], simulator=simulator, hosts=hosts, **way)
    stage.play("inferops.gpu.status", simulator=simulator, hosts=hosts, **way)
    torn = stage.play("inferops.gpu.teardown", simulator=simulator, hosts=hosts, **way)
    stage.tried(met(simulator) > 3)
    for file in stage.controller.rglob("*"):
        if file.is_file() and "AAAAIStranger" in file.read_text(errors="replace"):
            stage.harms.append(f"a stranger's key was pinned in {file.name}")
    stage.harmed(torn.status == 0 and billing(simulator), "torn down was said of what bills")


@each(
    "market-shows-an-id-that-is",
    {
        "a-command": "7 " + COMMAND,
        "an-option": COMMAND,
        "a-path": "../../precious",
        "another-resource": "7/../../users/current",
        "a-template": "{{{{ lookup('pipe', 'touch {owned}') }}}}",
        "nothing": None,
        "a-list": [7],
    },
)
def shows_an_id(stage: Stage, odd: Any) -> None:
    row = {"kind": "row_is", "fields": {"id": filled(odd, stage)}, "times": 999, "path": LISTS}
    simulator = stage.market(row)
    stage.rented(simulator)
    kept = billing(simulator)
    stage.play("inferops.gpu.status", simulator=simulator, hosts={NAME: {}})
    torn = stage.play("inferops.gpu.teardown", simulator=simulator, hosts={NAME: {}})
    stage.tried(met(simulator) > 1 and kept)
    stage.harmed(torn.status == 0 and billing(simulator), "torn down was said of what bills")


@each(
    "market-shows-an-environment-that-is",
    {"a-number": 5, "a-list-of-numbers": [5], "a-list-of-mappings": [{"a": 1, "b": 2}]},
)
def shows_an_environment(stage: Stage, odd: Any) -> None:
    """Where the second copy of the mark is; the label is as it should be."""
    simulator = stage.market({"kind": "row_is", "fields": {"extra_env": odd}, "times": 999})
    stage.rented(simulator)
    stage.play("inferops.gpu.teardown", simulator=simulator, hosts={NAME: {}})
    stage.tried(met(simulator) > 1)
    stage.harmed(billing(simulator), "what bills could not be released")


@attack
def market_answers_a_rental_request_with_a_stranger_s_id(stage: Stage) -> None:
    """Whose rental would then be released when the deploy fails."""
    simulator = stage.market()
    stage.rented(simulator, scope="of-a-colleague", name="his")
    (innocent,) = billing(simulator)
    lie = {
        "kind": "reply_after_commit",
        "method": "PUT",
        "path": "/asks/",
        "status": 200,
        "body": {"success": True, "new_contract": innocent},
    }
    simulator.control.plan_faults([lie])
    rent = {"inferops.gpu.rental": RENT, "register": "told", "ignore_errors": True}
    end = {"inferops.gpu.rental": {"name": NAME, "state": "absent"}, "ignore_errors": True}
    stage.play(on_market(stage, simulator, rent, end), simulator=simulator)
    stage.tried(met(simulator) == 1)
    stage.harmed(innocent not in billing(simulator), "a colleague's rental was released")


@attack
def market_hides_a_rental_that_bills(stage: Stage) -> None:
    simulator = stage.market({"kind": "list_is", "whole": False, "body": [], "times": 999})
    stage.rented(simulator)
    torn = stage.play("inferops.gpu.teardown", simulator=simulator, hosts={NAME: {}})
    stage.tried(met(simulator) >= 1)
    stage.harmed(torn.status == 0 and billing(simulator), "torn down was said of what bills")


@attack
def market_claims_to_have_released(stage: Stage) -> None:
    simulator = stage.market({"kind": "destroy_noop", "times": 999})
    stage.rented(simulator)
    torn = stage.play("inferops.gpu.teardown", simulator=simulator, hosts={NAME: {}})
    stage.tried(met(simulator) >= 1)
    stage.harmed(torn.status == 0, "released was said of what bills")


@each("market-redirects", {"a-list": (LISTS, 307), "a-search": ("/bundles/", 308)})
def redirects(stage: Stage, where: tuple[str, int]) -> None:
    path, status = where
    elsewhere = {"Location": f"{stage.stranger}/api/"}
    order = {"kind": "reply", "method": "ANY", "path": path, "status": status, "times": 999}
    simulator = stage.market({**order, "body": "", "headers": elsewhere})
    played = stage.play(
        on_market(stage, simulator, {"inferops.gpu.rental": RENT}), simulator=simulator
    )
    stage.tried(met(simulator) >= 1 and played.status != 0 and "redirect" in played.text)


class Endless:
    """A marketplace that answers everything with the same, however much that is."""

    def __init__(
        self, body: bytes, headers: dict[str, str] | None = None, status: int = 200
    ) -> None:
        self.body, self.headers, self.status, self.asked = body, headers or {}, status, 0

    def __call__(self, _request: Request) -> Reply:
        self.asked += 1
        headers = {"Content-Type": "application/json", **self.headers}
        return Reply(self.status, self.body, headers)


PACKED = {"Content-Encoding": "gzip"}


def bomb(mebibytes: int) -> bytes:
    """So many mebibytes of spaces, packed without ever being there."""
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    packed = b"".join(packer.compress(b" " * 2**20) for _each in range(mebibytes))
    return packed + packer.flush()


@each(
    "market-answers",
    {
        "with-a-bomb": lambda: Endless(bomb(800), PACKED),
        "with-json-as-deep-as-it-likes": lambda: Endless(b"[" * 300_000 + b"]" * 300_000),
        "with-numbers-too-large": lambda: Endless(
            b'{"success": true, "instances": [{"id": 1e999, "dph_total": ' + b"9" * 5000 + b"}]}"
        ),
        "with-more-values-than-any": lambda: Endless(
            b'{"success": true, "instances": [' + b"[]," * 10 * 2**20 + b"1]}"
        ),
        "with-a-refusal-without-end": lambda: Endless(b"no " * 10 * 2**20, status=403),
        "with-a-pause-until-never": lambda: Endless(
            b"", {"Retry-After": "Mon, 01 Jan 2020 99999999999999999999:00:00 GMT"}, 429
        ),
        "with-pages-without-end": lambda: Endless(
            b'{"success": true, "instances": [], "total_instances": 9, "next_token": "more"}'
        ),
    },
)
def answers(stage: Stage, make: Any) -> None:
    market = make()
    asked_in_vain(stage, stage.serve(market))
    stage.tried(market.asked)


@each("market-never-stops", {"with-a-flood": True, "while-it-drips": False})
def never_stops(stage: Stage, fast: bool) -> None:
    with Flood(fast) as flood:
        # Each of the tries of a call may take as long as an answer may.
        stage.most_seconds = 600.0
        asked_in_vain(stage, flood.url)
        stage.tried(flood.asked)


class Flood(socketserver.ThreadingTCPServer):
    """Answers every request without an end: as fast as it can, or a byte a second."""

    daemon_threads, allow_reuse_address, block_on_close = True, True, False

    def __init__(self, fast: bool) -> None:
        self.fast, self.asked, self.closed = fast, 0, threading.Event()
        super().__init__(("127.0.0.1", 0), _Flooding)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def __exit__(self, *reason: object) -> None:
        self.closed.set()
        self.shutdown()
        super().__exit__(*reason)


class _Flooding(socketserver.BaseRequestHandler):
    server: Flood

    def handle(self) -> None:
        self.server.asked += 1
        self.request.recv(65536)
        self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[")
        with suppress(OSError):
            # Bounded, lest it outlives what it floods.
            for _each in range(1000):
                if self.server.closed.wait(0 if self.server.fast else 1):
                    return
                self.request.sendall(b" " * (2**20 if self.server.fast else 1))


def asked_in_vain(stage: Stage, url: str) -> None:
    """Look up and tear down at a marketplace that gives no answer: nothing may be made of that."""
    info = {"inferops.gpu.rental_info": {"api_url": url}, "ignore_errors": True}
    torn = {"inferops.gpu.rental": {"api_url": url, "name": NAME, "state": "absent"}}
    account = {"controller_dir": str(stage.controller), "scope": SCOPE}
    (play,) = plays(info, torn, hosts="localhost")
    defaults = {"module_defaults": {"group/inferops.gpu.market": account}}
    now = time.time()
    # Pauses between tries pass as quickly as on a simulated market.
    played = stage.play([{**play, **defaults}], environment={"INFEROPS_CLOCK": f"{now} {now} 30"})
    stage.harmed(played.status == 0, "an answer that is none was taken for an empty list")
    stage.harmed("too large to convert" in played.output, "the play broke down")


@each(
    "market-offers",
    {
        "a-steering-gpu": {"gpu_name": "\x1b]0;owned\x07RTX 4090"},
        "a-place-that-goes-backwards": {"geolocation": "Here, \u202eES"},
        "an-id-that-is-a-path": {"ask_contract_id": "7/../../x", "id": "7/../../x"},
        "a-template-as-gpu": {"gpu_name": "{{{{ lookup('pipe', 'touch {owned}') }}}}"},
        "money-for-taking-it": {"dph_total": -0.5},
        "a-driver-that-is-a-command": {"driver_version": "580.95.05; touch {owned}"},
    },
)
def offers(stage: Stage, fields: dict[str, Any]) -> None:
    """The worst of offers beside good ones: a dry run shows what would be rented."""
    simulator = stage.market()
    told = filled(fields, stage)
    honest, lied = simulator.api.answer, []

    def with_a_lie(request: Request, *rest: Any) -> Reply:
        reply = honest(request, *rest)
        rows = json.loads(reply.body).get("offers") if "/bundles" in request.path else None
        if not rows:
            return reply
        lied.append(request)
        rows[0].update({"dph_total": 0.01, **told})
        return json_reply({"success": True, "offers": rows})

    simulator.api.answer = with_a_lie  # type: ignore[method-assign]
    played = stage.play(
        "inferops.gpu.deploy",
        "--check",
        simulator=simulator,
        hosts={NAME: {}},
        inferops_model="inferops/tiny-llama",
        rent_vram_gib=1,
        inferops_ssh_private_key_file=str(key_pair(stage)),
    )
    stage.tried(lied and "Would rent offer" in played.text)
    # A name may be any text that steers nothing; the others make no sense.
    senseless = [value for key, value in told.items() if key != "gpu_name"]
    shown = [value for value in senseless if str(value) in played.output]
    stage.harmed(shown, f"the offer was taken as it says: {shown}")


@attack
def market_says_the_key_back(stage: Stage) -> None:
    """Its error repeats what it was sent, as a debugging proxy does."""

    def echo(request: Request) -> Reply:
        text = f"forbidden: {request.headers.get('authorization')} {request.path}"
        return Reply(403, text.encode(), {"Content-Type": "text/plain"})

    said_back(stage, echo, "forbidden")


@attack
def market_says_the_key_back_in_a_redirect(stage: Stage) -> None:
    """Where it wants the client to go has the key in the path."""

    def echo(request: Request) -> Reply:
        key = request.headers.get("authorization", "").rpartition(" ")[2]
        return Reply(302, b"", {"Location": f"https://203.0.113.9/{key}"})

    said_back(stage, echo, "redirect")


def said_back(stage: Stage, echo: Any, told: str) -> None:
    """Ask a marketplace that answers so."""
    url = stage.serve(echo)
    info = {"inferops.gpu.rental_info": {"api_url": url, "scope": SCOPE}}
    played = stage.play(plays(info, hosts="localhost"), "-vvvvv")
    stage.tried(told in played.text)


@each(
    "market-writes-a-label",
    {
        "that-is-a-forged-mark-of-the-controller": f"inferops/{SCOPE}/localhost/9f2c41aa/0/0",
        "that-is-a-group": f"inferops/{SCOPE}/all/9f2c41aa/0/0",
        "that-leads-elsewhere": f"inferops/{SCOPE}/../../precious/9f2c41aa/0/0",
        "with-a-thousand-digits": f"inferops/{SCOPE}/{NAME}/9f2c41aa/{'1' * 5000}/0",
        "that-steers": f"inferops/{SCOPE}/{NAME}\x1b[2J/9f2c41aa/0/0",
    },
)
def writes_a_label(stage: Stage, label: str) -> None:
    """The inventory that is read off the rentals, and what tears down."""
    row = {"kind": "row_is", "fields": {"label": label, "extra_env": []}, "times": 999}
    simulator = stage.market(row)
    stage.rented(simulator)
    source = stage.work / "fleet.rentals.yml"
    source.write_text(
        f"plugin: inferops.gpu.rentals\nscope: {SCOPE}\napi_url: {simulator.url}\n"
        f"controller_dir: {stage.controller}\n"
    )
    which = "{{ 'a rental' if inferops_rental is defined else 'the controller' }}"
    hosts = "hosts={{ groups.all | reject('eq', '" + NAME + "') | join('+') }}="
    show = {"ansible.builtin.debug": {"msg": f"{hosts} this is {which}"}}
    enabled = {"ANSIBLE_INVENTORY_ENABLED": "inferops.gpu.rentals,ansible.builtin.yaml"}
    (play,) = plays(show, hosts="localhost")
    # Where a scope has no secret, nothing but its words speaks against a label.
    for secret in ({}, {"INFEROPS_SCOPE_SECRET": ""}):
        played = stage.play(
            *([play], "-i", str(source)),
            simulator=simulator,
            environment={**enabled, **secret},
            hosts={NAME: {}},
        )
        stand_in = "this is the controller" not in played.text
        stage.harmed(stand_in, "a rental stands in for the controller")
        stage.harmed("hosts==" not in played.text, "a label made a host of that name")
    stage.tried(met(simulator) >= 2)
    stage.play("inferops.gpu.status", simulator=simulator, hosts={NAME: {}})
    torn = stage.play("inferops.gpu.teardown", simulator=simulator, hosts={NAME: {}})
    told = "nothing is rented" in torn.text.lower() and torn.status == 0
    stage.harmed(told and f"/{NAME}" in label, "nothing is rented was said of what bills")


@each(
    "market-is-overheard",
    {
        "in-a-playbook": "inferops.gpu.teardown",
        "in-a-module": plays({"inferops.gpu.rental_info": {"scope": SCOPE}}, hosts="localhost"),
        "in-the-inventory": plays({"ansible.builtin.debug": {"msg": "played"}}, hosts="localhost"),
    },
)
def is_overheard(stage: Stage, what: str | list[dict[str, Any]]) -> None:
    """By who is on the way to an address without TLS; here the proxy of the environment is."""
    source = stage.work / "fleet.rentals.yml"
    source.write_text(f"plugin: inferops.gpu.rentals\nscope: {SCOPE}\n")
    by_inventory = ["-i", str(source)] if "played" in str(what) else []
    enabled = "inferops.gpu.rentals,ansible.builtin.yaml"
    played = stage.play(
        *(what, *by_inventory),
        hosts={NAME: {}},
        environment={
            **{"VAST_URL": "http://market.example", "http_proxy": stage.stranger},
            "ANSIBLE_INVENTORY_ENABLED": enabled,
        },
    )
    stage.tried("market.example is not https" in played.text)


HUB_FILE = {"rfilename": "model.safetensors", "size": 10, "blobId": "0" * 40}


@each(
    "hub-lists",
    {
        "a-file-above": {"siblings": [{**HUB_FILE, "rfilename": "../../precious.safetensors"}]},
        "a-file-by-its-path": {"siblings": [{**HUB_FILE, "rfilename": "/etc/x.safetensors"}]},
        "a-commit-that-is-a-path": {"sha": "../../../etc"},
        "a-size-below-nothing": {"siblings": [{**HUB_FILE, "size": -1}]},
        "a-hundred-thousand-files": {
            "siblings": [{**HUB_FILE, "rfilename": f"{n}.safetensors"} for n in range(100_000)]
        },
        "nothing-but-text": {"siblings": "model.safetensors"},
    },
)
def hub_lists(stage: Stage, fields: dict[str, Any]) -> None:
    """A hub, or a mirror of one, is nobody that we trust."""
    listing = {"id": "a/b", "sha": "0" * 40, "gated": False, "siblings": [HUB_FILE], **fields}
    asked: list[Request] = []

    def answer(request: Request) -> Reply:
        asked.append(request)
        return json_reply(listing)

    ask = {"inferops.gpu.model_info": {"model": "a/b", "endpoint": stage.serve(answer)}}
    played = stage.play(plays({**ask, "register": "told"}, hosts="localhost"), hosts={NAME: {}})
    stage.tried(asked)
    stage.harmed(played.status == 0, "the listing was taken as it stands")
