# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbook doctor says before anybody rents what a deploy lacks: real plays, simulated markets.

Each of them runs at -vvvvv, and none may show a secret.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.filter.doctor_report import doctor_report
from tests.simulator import verda
from tests.simulator.app import Simulator
from tests.simulator.hosts import PretendHosts
from tests.simulator.hub import Hub
from tests.simulator.market import ACCOUNT_KEY, Market
from tests.simulator.web import Reply, Request, Server
from tests.tools.tree import REPOSITORY
from tests.unit import sampled
from tests.unit.plays import faster, on_the_host, play

DOCTOR = REPOSITORY / "playbooks" / "doctor.yml"
WRONG_KEY, HUB_TOKEN = "mistyped-key-of-the-account", "hf_tokenofthehub12345"
SCOPE_SECRET, INDEX_PASSWORD = "a-secret-of-the-scope-1234", "password-of-the-index"
SECRETS = (ACCOUNT_KEY, WRONG_KEY, HUB_TOKEN, SCOPE_SECRET, INDEX_PASSWORD)
#: Its own name of what it logs in with, in the environment.
KEYS = {
    "vastai": "VAST_API_KEY",
    "runpod": "RUNPOD_API_KEY",
    "verda": "VERDA_CLIENT_SECRET",
    "lambda": "LAMBDA_API_KEY",
    "prime": "PRIME_API_KEY",
}
THREE = pytest.mark.parametrize(
    "provider", sampled.sampled(["vastai", "runpod", "verda"], lambda one: one == "vastai")
)
OF_THE_ACCOUNT = ("api", "credentials", "rights", "balance", "clock")


class Doctor:
    """A user's machine with an account at one marketplace, and what doctor says of both."""

    def __init__(
        self, folder: Path, provider: str, monkeypatch: pytest.MonkeyPatch, **market: Any
    ) -> None:
        self.folder, self.provider, self.environment = folder, provider, monkeypatch
        self.market = Market(PretendHosts())
        for name, value in faster(self.market).items():
            monkeypatch.setenv(name, value)
        for name, value in market.items():
            setattr(self.market, name, value)
        self.simulator = Simulator(self.market, provider=provider)
        self.set(VERDA_CLIENT_ID=verda.CLIENT_ID, HF_TOKEN=HUB_TOKEN)
        self.set(INFEROPS_SCOPE_SECRET=SCOPE_SECRET, **{KEYS[provider]: ACCOUNT_KEY})
        self.key, self.output = ACCOUNT_KEY, ""

    def set(self, **variables: str) -> None:
        """Variables of the environment."""
        for name, value in variables.items():
            self.environment.setenv(name, value)

    def log_in_with(self, key: str) -> None:
        """Another key; an empty one is none."""
        self.key = key
        self.set(**{KEYS[self.provider]: key})

    @property
    def url(self) -> str:
        return self.simulator.url + ("/v1" if self.provider == "verda" else "")

    def given(self) -> dict[str, Any]:
        return {
            "inferops_provider": self.provider,
            "inferops_api_url": self.url,
            "inferops_model": "a/b",
            "inferops_reaper": True,
            "inferops_ssh_private_key_file": str(self.folder / "key"),
            "inferops_evidence_dir": str(self.folder / "evidence"),
            "inferops_report_dir": str(self.folder / "reports"),
        }

    def look(self, *arguments: str, ready: bool, **given: Any) -> dict[str, dict[str, Any]]:
        """The checks of the first host by name; of several of one name the worst."""
        told = self._run(*arguments, ready=ready, **{**self.given(), **given})
        worst = self._worst(told["hosts"]["gpu-1"])
        assert {one for one in worst if worst[one]["state"] == "failed"} == {*told["failed"]}
        return worst

    def look_at_each(self, *cases: dict[str, Any]) -> list[dict[str, dict[str, Any]]]:
        """The checks by name of hosts that have these variables of their own, in one play."""
        hosts = {f"case-{number}": case for number, case in enumerate(cases)}
        inventory = self.folder / "cases.yml"
        inventory.write_text(json.dumps({"gpu_hosts": {"hosts": hosts}}))
        for_all = {name: one for name, one in self.given().items() if name not in cases[0]}
        arguments = ("-i", str(inventory), "--limit", ",".join(hosts))
        told = self._run(*arguments, ready=False, **for_all)
        return [self._worst(told["hosts"][name]) for name in hosts]

    def _run(self, *arguments: str, ready: bool, **given: Any) -> dict[str, Any]:
        """The report."""
        arguments = ("-vvvvv", *arguments)
        status, self.output = play(self.folder, DOCTOR, *arguments, key=self.key, **given)
        assert (status == 0) == ready, self.output
        assert [one for one in SECRETS if one in self.output] == []
        told: dict[str, Any] = json.loads((self.folder / "reports" / "doctor.json").read_text())
        assert told["ready"] == ready
        return told

    def _worst(self, checks: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
        worst: dict[str, dict[str, Any]] = {}
        for one in checks:
            if worst.get(one["name"], {}).get("state") != "failed":
                worst[one["name"]] = one
            if one["state"] == "failed":
                assert one["remedy"], one
                # Quotes are doubled where results are shown.
                assert one["told"][:60] in self.output.replace("''", "'")
        return worst

    def asked(self) -> list[tuple[str, str]]:
        """Method and path of each call that the marketplace got."""
        return [(one["method"], one["path"]) for one in self.simulator.journal.entries()]


Make = Callable[..., Doctor]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Makes one at a marketplace."""
    made: list[Doctor] = []

    def start(provider: str = "vastai", **market: Any) -> Doctor:
        made.append(Doctor(tmp_path, provider, monkeypatch, **market))
        return made[-1]

    yield start
    for one in made:
        one.simulator.close()


def states(told: dict[str, dict[str, Any]], *names: str) -> list[str]:
    return [told[name]["state"] for name in names]


def states_of(name: str, told: list[dict[str, dict[str, Any]]]) -> list[str]:
    return [one[name]["state"] for one in told]


def keygen(file: Path, passphrase: str = "") -> None:
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", str(file)]
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL)


# What is as it should be.


@THREE
def test_where_all_is_there_it_says_so_and_changes_nothing(make: Make, provider: str) -> None:
    doctor = make(provider)
    told = doctor.look(ready=True)
    wanted = ("api", "credentials", "clock", "deadline", "scope", "scope secret", "ssh key")
    assert set(states(told, *wanted)) == {"ok"}
    assert re.search(r"within \d+ ms", told["api"]["told"])
    assert "Ready to deploy" in doctor.output
    assert {method for method, path in doctor.asked() if path != "/v1/oauth2/token"} == {"GET"}
    assert doctor.market.rentals == {}
    made = {path.name for path in doctor.folder.iterdir()}
    assert made == {"hosts.yml", "reports", "controller"}
    assert {path.name for path in (doctor.folder / "controller").iterdir()} == {"market"}


@pytest.mark.long
def test_a_dry_run_says_and_does_the_same(make: Make) -> None:
    doctor = make()
    ran, asked = doctor.look(ready=True), doctor.asked()
    tried = doctor.look("--check", ready=True)
    ran.pop("api"), tried.pop("api")  # how fast it answered
    assert tried == ran
    assert [*asked, *asked] == doctor.asked()


@pytest.mark.long
def test_hosts_of_one_account_ask_for_it_once(make: Make) -> None:
    doctor = make("runpod")
    doctor.look(ready=True)
    assert doctor.asked() == [("GET", "/v2/account/ssh-keys")]
    told = json.loads((doctor.folder / "reports" / "doctor.json").read_text())["hosts"]
    assert told["gpu-1"] == told["gpu-2"]


# The account.


@THREE
def test_a_wrong_key_is_told_from_a_marketplace_that_does_not_answer(
    make: Make, provider: str
) -> None:
    doctor = make(provider)
    doctor.log_in_with(WRONG_KEY)
    told = doctor.look(ready=False)
    expected = ["ok", "failed", "unknown", "unknown"]
    assert states(told, "api", "credentials", "rights", "balance") == expected
    assert "Check the key and its rights" in told["credentials"]["remedy"]
    assert "Not ready, by 1 of " in doctor.output


@THREE
def test_no_key_at_all_names_the_variable_that_wants_it(make: Make, provider: str) -> None:
    doctor = make(provider)
    doctor.log_in_with("")
    told = doctor.look(ready=False)
    assert told["credentials"]["state"] == "failed"
    assert KEYS[provider] in told["credentials"]["remedy"]
    assert told["api"]["state"] == "unknown"
    # All else is told in the same run.
    assert told["ssh key"]["state"] == "ok"
    assert doctor.asked() == []


@pytest.mark.parametrize(
    ("provider", "state"), [("vastai", "failed"), ("runpod", "unknown"), ("verda", "unknown")]
)
def test_a_key_that_may_only_read_is_never_said_to_be_good(
    make: Make, provider: str, state: str
) -> None:
    doctor = make(provider, account="read-only")
    told = doctor.look(ready=state != "failed")
    assert states(told, "credentials", "rights") == ["ok", state]
    if state == "failed":
        assert "may read and not rent" in told["rights"]["told"]


@pytest.mark.parametrize(
    ("provider", "state"), [("vastai", "failed"), ("runpod", "unknown"), ("verda", "failed")]
)
def test_an_account_without_credit_is_told_where_the_marketplace_tells_it(
    make: Make, provider: str, state: str
) -> None:
    doctor = make(provider, credit_usd=0.0)
    told = doctor.look(ready=state != "failed")
    assert told["balance"]["state"] == state
    assert "http" in told["balance"]["remedy"]


@pytest.mark.long
def test_what_the_account_has_is_told(make: Make) -> None:
    told = make("verda", credit_usd=12.5).look(ready=True)
    assert told["balance"] == {
        "name": "balance",
        "state": "ok",
        "told": "12.50 dollars of credit.",
        "remedy": "",
    }


@THREE
def test_an_api_that_does_not_answer_leaves_the_account_unknown(make: Make, provider: str) -> None:
    told = make(provider).look(ready=False, inferops_api_url="http://127.0.0.1:9")
    assert states(told, *OF_THE_ACCOUNT) == ["failed", *["unknown"] * 4]
    assert "Check the network, the api_url" in told["api"]["remedy"]


@THREE
def test_a_wrong_clock_is_told_and_by_how_much(make: Make, provider: str) -> None:
    doctor = make(provider)
    skew = {"kind": "clock_skew", "seconds": 7200, "times": 99}
    doctor.simulator.control.plan_faults([skew])
    told = doctor.look(ready=False)
    assert told["clock"]["state"] == "failed"
    seconds = re.search(r"is (\d+) seconds behind", told["clock"]["told"])
    assert seconds
    assert abs(int(seconds[1]) - 7200) < 60
    assert "NTP" in told["clock"]["remedy"]


@pytest.mark.long
def test_one_odd_date_is_no_wrong_clock(make: Make) -> None:
    doctor = make("runpod")
    doctor.simulator.control.plan_faults([{"kind": "clock_skew", "seconds": 7200}])
    assert doctor.look(ready=True)["clock"]["state"] == "ok"


# Scope and deadline.


@pytest.mark.long
def test_a_scope_that_is_too_long_for_the_marks_of_a_marketplace_is_told(make: Make) -> None:
    doctor = make("lambda")
    told = doctor.look(ready=False, scope="a-scope-of-many-letters")
    assert told["scope"]["state"] == "failed"
    assert "keeps marks of 64 characters" in told["scope"]["told"]
    told = doctor.look(ready=True, scope="prod")
    assert told["scope"]["state"] == "ok"
    assert told["scope secret"]["told"] == "It is set; marks at lambda have no room for a seal."


@pytest.mark.long
def test_a_scope_that_is_not_set_is_told_beside_all_else(make: Make) -> None:
    told = make().look(ready=False, scope="")
    assert states(told, "scope", "credentials") == ["failed", "ok"]


def test_a_scope_secret_that_can_be_guessed_is_told(make: Make) -> None:
    doctor = make()
    doctor.set(INFEROPS_SCOPE_SECRET="short")
    told = doctor.look(ready=False)
    assert told["scope secret"]["state"] == "failed"
    assert "openssl rand" in told["scope secret"]["remedy"]
    doctor.set(INFEROPS_SCOPE_SECRET="")
    assert doctor.look(ready=True)["scope secret"]["state"] == "note"


@pytest.mark.long
def test_who_would_end_a_rental_is_told(make: Make) -> None:
    nobody = {"inferops_reaper": False}
    told = make("runpod").look_at_each(
        {"inferops_reaper": True},
        nobody,
        {**nobody, "inferops_allow_unenforced_deadline": True},
        {**nobody, "rent_no_deadline": True},
    )
    found = [one["deadline"] for one in told]
    assert [one["state"] for one in found] == ["ok", "failed", "note", "note"]
    assert "inferops_reaper" in found[1]["remedy"]


@pytest.mark.long
def test_what_a_marketplace_cannot_do_is_a_note(make: Make) -> None:
    doctor = make("prime")
    told = doctor.look(ready=True)["provider"]
    assert told["state"] == "note"
    assert "prime brings no host key along with a rental request" in doctor.output
    assert "inferops.gpu.extend is refused there" in doctor.output


# The controller.


@pytest.mark.parametrize("name", ["inferops_report_dir", "inferops_evidence_dir"])
def test_a_folder_that_cannot_be_written_to_is_told_by_its_variable(make: Make, name: str) -> None:
    doctor = make()
    (doctor.folder / "file").write_text("")
    given = {**doctor.given(), name: str(doctor.folder / "file" / "below")}
    status, output = play(doctor.folder, DOCTOR, "-vvvvv", **given)
    assert status != 0
    assert re.search(rf"FAILED +{name} +{name} is \S+, which cannot be written to", output)
    assert f"Not ready, by 1 of 18 checks: {name}." in output


@pytest.mark.long
def test_a_package_that_no_lock_can_hold_is_told_and_its_login_is_not(make: Make) -> None:
    doctor = make()
    given = {"stack_extra_requirements": ["git+https://me:p4ssword-of-git@h/ray"]}
    # At -vvvv Ansible itself prints what -e was given.
    status, output = play(doctor.folder, DOCTOR, "-vvv", **doctor.given(), **given)
    assert status != 0
    assert re.search(r"FAILED +variables +stack_extra_requirements, entry 1, is no package", output)
    assert "p4ssword-of-git" not in output


def test_a_folder_of_the_controller_that_others_may_change_is_told(make: Make) -> None:
    doctor = make()
    folder = doctor.folder / "controller"
    folder.mkdir()
    folder.chmod(0o777)
    told = doctor.look(ready=False)["inferops_controller_dir"]
    assert told["state"] == "failed"
    assert f"chmod 700 {folder}" in told["remedy"]
    assert folder.stat().st_mode & 0o777 == 0o777, "doctor changes nothing"


def test_a_key_is_tried_or_made_where_it_can_be(make: Make) -> None:
    doctor = make()
    files = {name: doctor.folder / name for name in ("good", "open", "locked", "none")}
    for name, mode, passphrase in (
        ("good", 0o600, ""),
        ("open", 0o644, ""),
        ("locked", 0o600, "a passphrase"),
    ):
        keygen(files[name], passphrase)
        files[name].chmod(mode)
    (doctor.folder / "file").write_text("")
    keys = [*files.values(), doctor.folder / "file" / "key"]
    told = doctor.look_at_each(*({"inferops_ssh_private_key_file": str(key)} for key in keys))
    for one, (state, said) in zip(
        told,
        (
            ("ok", "is there, private, and can be used"),
            ("failed", "chmod 600"),
            ("failed", "without a passphrase"),
            ("ok", "the first deploy makes it"),
            ("failed", "cannot be made"),
        ),
        strict=True,
    ):
        assert one["ssh key"]["state"] == state, one
        assert said in one["ssh key"]["told"]


@pytest.mark.parametrize(
    ("version", "state"),
    [("OpenSSH_7.4p1, OpenSSL 1.0.2k", "failed"), ("OpenSSH_9.9p2", "ok"), ("Other", "unknown")],
)
def test_an_ssh_client_that_is_too_old_is_told(
    make: Make, monkeypatch: pytest.MonkeyPatch, version: str, state: str
) -> None:
    doctor = make()
    tools = doctor.folder / "tools"
    tools.mkdir()
    (tools / "ssh").write_text(f"#!/bin/sh\necho '{version}' >&2\n")
    (tools / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", str(tools), prepend=":")
    assert doctor.look(ready=state != "failed")["ssh client"]["state"] == state


def test_what_the_interpreter_of_modules_lacks_is_told(make: Make) -> None:
    doctor = make()
    python = doctor.folder / "python"
    # Without the libraries of any environment.
    python.write_text(f"#!/bin/sh\nexec '{sys.executable}' -S \"$@\"\n")
    python.chmod(0o755)
    (doctor.folder / "host_vars").mkdir()
    (doctor.folder / "host_vars" / "localhost.yml").write_text(
        f"ansible_python_interpreter: {python}\n"
    )
    told = doctor.look(ready=False)["libraries"]
    assert f"requests is missing for {python}" in told["told"]
    assert f"{python} -m pip install requests" in told["remedy"]


def test_variables_are_told_as_the_gate_of_every_playbook_tells_them(make: Make) -> None:
    doctor = make()
    told = doctor.look(ready=False, rent_max_price=1, inferops_provider="vast")
    assert told["variables"]["state"] == "failed"
    assert "did you mean rent_max_price_usd_per_hour?" in doctor.output
    # Another marketplace than was meant is never asked.
    assert told["market"]["state"] == "unknown"
    assert doctor.asked() == []


def test_nobody_is_asked_while_hosts_could_set_the_addresses(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANSIBLE_INJECT_FACT_VARS", "true")
    doctor = make()
    status, output = play(doctor.folder, DOCTOR, **doctor.given())
    assert status != 0
    assert re.search(r"FAILED +settings +Ansible is set to turn facts into variables", output)
    assert "inject_facts_as_vars = false" in output
    assert doctor.asked() == []


# The hub and the package index.


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    models = tmp_path / "models"
    for name in ("open", "gated"):
        folder = models / "a" / name
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(b"weights")
    started = Hub(models, ("127.0.0.1", 0), gated=("a/gated",), token=HUB_TOKEN)
    yield started
    started.close()


MODELS = (
    ("a/open", "", "ok", "The hub gives a/open"),
    ("a/gated", HUB_TOKEN, "ok", "It is gated, and the token may read it."),
    ("a/gated", "", "failed", "HF_TOKEN"),
    ("a/none", "", "failed", "has no model a/none"),
    ("/models/mine", "", "note", "has to lie on the host"),
    ("", "", "failed", "inferops_model is not set"),
)


def test_whether_the_hub_gives_the_model_is_told(make: Make, hub: Hub) -> None:
    doctor = make()
    doctor.set(HF_TOKEN="")
    address = {"inferops_controller_hub_endpoint": f"http://127.0.0.1:{hub.port}"}
    told = doctor.look_at_each(
        *(
            {"inferops_model": model, "inferops_hub_token": token, **address}
            for model, token, _state, _said in MODELS
        )
    )
    for one, (_model, _token, state, said) in zip(told, MODELS, strict=True):
        assert one["model"]["state"] == state, one
        assert said in f"{one['model']['told']} {one['model']['remedy']}"


def test_a_hub_that_does_not_answer_here_is_left_to_the_host(make: Make) -> None:
    told = make().look(ready=True)["model"]
    assert told["state"] == "unknown"
    assert "see that the host reaches it" in told["remedy"]


@pytest.fixture
def index() -> Iterator[Server]:
    """A mirror that wants a login, and sends whoever has it on to itself by another name."""
    seen: list[str] = []

    def answer(request: Request) -> Reply:
        seen.append(request.headers.get("authorization", ""))
        if request.path == "/there":
            return Reply(401 if seen[-1] else 200)
        if not seen[-1].startswith("Basic "):
            return Reply(401)
        if request.path != "/simple/torch/":
            return Reply(404)
        return Reply(302, b"", {"Location": f"http://localhost:{server.port}/there"})

    server = Server(("127.0.0.1", 0), answer)
    yield server
    server.close()


def test_whether_a_mirror_of_the_package_index_lets_us_in_is_told(
    make: Make, index: Server
) -> None:
    """Its password goes to no other server, and is shown nowhere."""
    cases = (
        (f"http://me:{INDEX_PASSWORD}@127.0.0.1:{index.port}/simple", "ok"),
        (f"http://127.0.0.1:{index.port}/simple", "failed"),
        (f"http://me:{INDEX_PASSWORD}@127.0.0.1:{index.port}/", "unknown"),
        (f"http://me:{INDEX_PASSWORD}@127.0.0.1:9/simple", "unknown"),
        (f"http://me:{INDEX_PASSWORD}/x@127.0.0.1:9/simple", "failed"),
        ("file:/wheels", "note"),
    )
    told = make().look_at_each(*({"inferops_index_url": address} for address, _state in cases))
    assert states_of("package index", told) == [state for _address, state in cases]


# Hosts of one's own.


def test_a_host_of_ones_own_is_reached_and_no_marketplace_asked(make: Make) -> None:
    doctor = make()
    here = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    told = doctor.look(ready=True, inferops_provider="ssh", **here)
    assert states(told, "host", "server key", "scope") == ["ok"] * 3
    assert not {*OF_THE_ACCOUNT, "deadline"} & set(told)
    assert doctor.asked() == []


def test_a_host_of_ones_own_that_cannot_be_reached_is_told(make: Make) -> None:
    nobody = {"ansible_host": "127.0.0.1", "ansible_port": 9, "ansible_ssh_retries": 0}
    told = make().look(ready=False, inferops_provider="ssh", **nobody)["host"]
    assert told["state"] == "failed"
    assert "Connection refused" in told["told"]
    assert "ansible_host" in told["remedy"]


def test_this_machine_as_a_host_needs_no_key_of_its_own_but_a_server_does(make: Make) -> None:
    doctor = make()
    doctor.set(INFEROPS_SCOPE_SECRET="")
    told = doctor.look(ready=False, inferops_provider="local")
    assert states(told, "host", "server key") == ["ok", "failed"]
    assert "inferops_server_keyless" in told["server key"]["remedy"]


def test_a_play_of_ones_own_has_its_results(make: Make) -> None:
    """Without role inferops, whose defaults are those that are documented."""
    doctor = make()
    shown = {"ansible.builtin.debug": {"msg": "{{ seen.checks | map(attribute='name') }}"}}
    tasks = on_the_host({"inferops.gpu.doctor": {}, "register": "seen"}, shown)
    status, output = play(doctor.folder, tasks, **doctor.given())
    assert status == 0, output
    assert re.search(r"- scope - scope secret - api - credentials - rights - balance", output)


# The lines.


def check(name: str, state: str = "ok", told: str = "It is so.") -> dict[str, str]:
    return {"name": name, "state": state, "told": told, "remedy": ""}


def test_what_differs_is_told_with_the_hosts_that_it_holds_for() -> None:
    told = doctor_report(
        {
            "gpu-1": {"checks": [check("api"), check("model", "failed", "Gated.")]},
            "gpu-2": {"checks": [check("api"), check("model", told="Open.")]},
        }
    )
    assert told["lines"] == [
        "ok       api    It is so.",
        "FAILED   model  gpu-1: Gated.",
        "ok       model  gpu-2: Open.",
    ]
    assert told["ending"] == (
        "Not ready, by 1 of 3 checks: model. Their lines above say what to do."
    )
    assert told["report"]["failed"] == ["model"]


def test_a_host_that_could_not_be_looked_at_is_not_ready() -> None:
    told = doctor_report({"gpu-1": {"checks": [check("api")]}, "gpu-2": {}})
    assert not told["ready"]
    assert told["lines"][-1].startswith("FAILED   doctor  gpu-2: It could not be looked at.")
