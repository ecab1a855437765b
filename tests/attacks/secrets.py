# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways on which keys, tokens and passwords get to where nobody should see them.

That none is shown, kept or sent is judged after each attack; see ``Stage.judge``.
"""

from __future__ import annotations

import json
import socket
import subprocess
from typing import Any

import yaml

from ansible_collections.inferops.gpu.plugins.plugin_utils.variables import options
from tests.attacks.hosts import RUNNING
from tests.attacks.registry import attack, each
from tests.attacks.stage import NAME, SECRETS, Stage, key_pair, on_market, plays
from tests.simulator.web import Reply, Request, json_reply
from tests.tools.tree import REPOSITORY

INDEX = f"https://me:{SECRETS['index password']}@127.0.0.1:9/simple"
PLAYBOOKS = (
    *("deploy", "doctor", "extend", "reap", "recover", "status", "support_bundle"),
    "teardown",
)
#: All of them, as variables of the fleet.
GIVEN: dict[str, Any] = {
    "inferops_api_key": SECRETS["account key"],
    "inferops_scope_secret": SECRETS["scope secret"],
    "inferops_server_api_key": SECRETS["server key"],
    "inferops_hub_token": SECRETS["hub token"],
    "inferops_index_url": INDEX,
    "inferops_find_links": [INDEX],
    "rent_vram_gib": 1,
}


@each(
    "secret-is-shown-by-a-wrong",
    {
        "choice": {"inferops_provider": "vast"},
        "type": {"inferops_disk_reserve_gib": "much"},
        "name-of-a-variable": {"inferops_no_such_variable": 1},
        "dictionary": {"inferops_server_arguments": "max_model_len"},
        "address": {"inferops_api_url": f"http://me:{SECRETS['index password']}@nowhere:port"},
    },
)
def by_a_wrong(stage: Stage, wrong: dict[str, Any]) -> None:
    """From a file: what is given in the command line Ansible itself prints at -vvvv."""
    given = stage.folder / "given.json"
    given.write_text(json.dumps(wrong))
    played = stage.play(
        "inferops.gpu.deploy",
        "-vvvvv",
        "-e",
        f"@{given}",
        hosts={NAME: {}},
        inferops_model="a/b",
        **GIVEN,
    )
    # An address is looked at by whoever asks it.
    (name,) = wrong
    stage.tried(played.status != 0 and (name in played.text or "nowhere:port" in played.text))


#: By type, what a value of that type can never be.
WRONG = {
    "int": "many",
    "float": "much",
    "bool": "perhaps",
    "list": {"no": "list"},
    "dict": "none",
    "str": {"no": "text"},
}
#: The same for those that hold secrets: one was mistyped.
MISTYPED = {
    "list": {"no": SECRETS["index password"]},
    "dict": SECRETS["server key"],
    "str": {"no": SECRETS["server key"]},
}


def wrong_values() -> dict[str, Any]:
    """One wrong value of each shared variable."""
    specs = yaml.safe_load((REPOSITORY / "roles/inferops/meta/argument_specs.yml").read_text())
    found = {}
    for name in specs["argument_specs"]["shared"]["options"]:
        option = options()[name]
        # Which hosts there are is asked before any host has variables.
        if option["type"] != "raw" and name not in ("inferops_group", "inferops_hosts"):
            values = MISTYPED if option.get("no_log") else WRONG
            found[name] = "nonsense" if "choices" in option else values[option["type"]]
    return found


@each(
    "secret-is-shown-by-any-wrong-value-in",
    {name: name for name in ("deploy", "extend", "recover", "support_bundle", "teardown")},
)
def by_any_wrong_value(stage: Stage, playbook: str) -> None:
    """One host for each shared variable, and the secrets come from a vault."""
    vault, password = stage.folder / "group_vars" / "gpu_hosts.yml", stage.folder / "password"
    vault.parent.mkdir()
    vault.write_text(yaml.safe_dump({"inferops_model": "a/b", "extend_hours": 1, **GIVEN}))
    password.write_text("password of the vault\n")
    subprocess.run(
        [
            *(str(stage.setting.commands / "ansible-vault"), "encrypt", str(vault)),
            *("--vault-password-file", str(password)),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=60,
        check=True,
    )
    wrong = wrong_values()
    hosts = {name.replace("_", "-"): {name: value} for name, value in wrong.items()}
    unlock = ("--vault-password-file", str(password), "--forks", "20")
    played = stage.play(f"inferops.gpu.{playbook}", "-vvvvv", *unlock, "--check", hosts=hosts)
    told = [
        name for name in wrong if f"{name} must be" in played.text or f"of {name}" in played.text
    ]
    stage.tried(len(told) == len(wrong))
    stage.output += f"not refused: {sorted(set(wrong) - set(told))}"


@each("secret-is-shown-at-vvvvv-by", {name: name for name in PLAYBOOKS})
def by_verbosity(stage: Stage, playbook: str) -> None:
    simulator = stage.market()
    if playbook != "deploy":
        stage.rented(simulator)
    played = stage.play(
        f"inferops.gpu.{playbook}",
        "-vvvvv",
        *(["--check", "--diff"] if playbook == "deploy" else []),
        simulator=simulator,
        hosts={NAME: {"ansible_timeout": 3}},
        inferops_model="inferops/tiny-llama",
        inferops_ssh_private_key_file=str(key_pair(stage)),
        extend_hours=1,
        **GIVEN,
    )
    # Nobody is at the rental's address: what needs the host says so.
    stage.tried("TASK [" in played.text and simulator.journal.entries())


@each("secret-is-said-back-by-a-host", {"beside-its-name": "api_key={}", "as-it-is": "{}"})
def said_back_by_a_host(stage: Stage, said: str) -> None:
    """A server's log has its key, and a module that failed says so."""
    keys = f"{said.format(SECRETS['server key'])} HF_TOKEN={SECRETS['hub token']}"
    stage.host.answers({"failed": True, "msg": f"died: {keys}", "warnings": [keys]})
    tells = {
        "inferops.gpu.model_server": {
            "name": "main",
            "model": "a/b",
            "api_key": SECRETS["server key"],
            "wait": False,
        },
        "ignore_errors": True,
        "register": "told",
    }
    redacts = {"ansible.builtin.debug": {"msg": "{{ told.msg | inferops.gpu.redact }}"}}
    played = stage.play(plays(tells, redacts), "-vvvvv")
    stage.tried(stage.host.times_asked and played.status == 0)


@attack
def secret_is_kept_in_evidence_that_a_host_sends(stage: Stage) -> None:
    """Which is made to be passed on."""
    log = f"served with {SECRETS['server key']} and {SECRETS['hub token']}"
    stage.host.answers({"changed": False, "parts": {"server.log": log}, "server": RUNNING})
    dest = stage.work / "evidence"
    stage.play(plays({"inferops.gpu.evidence": {"dest": str(dest)}}), **GIVEN)
    stage.tried((dest / "server.log").exists())


@each(
    "secret-is-in-an-address",
    {
        "as-a-parameter": "https://127.0.0.1:9/simple?token={}",
        "behind-a-slash": "https://me:a/{}@127.0.0.1:9/simple",
        "behind-a-hash": "https://me:a#{}@127.0.0.1:9/simple",
        "with-a-blank": "https://me:{} and more@127.0.0.1:9/simple",
        "without-a-scheme": "me:{}@127.0.0.1:9/simple",
    },
)
def in_an_address(stage: Stage, address: str) -> None:
    """As people write it, and as the host says it back."""
    index = address.format(SECRETS["index password"])
    stage.host.answers({"failed": True, "msg": f"could not reach {index}"})
    lock = {"requirements": ["a==1.0"], "index_url": index, "find_links": [index]}
    tasks = [
        {f"inferops.gpu.{module}": options, "ignore_errors": True}
        for module, options in (("stack_lock", lock), ("stack_packages", {"index_url": index}))
    ]
    played = stage.play(plays(*tasks), "-vvvvv")
    stage.tried(stage.host.times_asked >= len(tasks) and "could not reach" in played.text)


@attack
def secret_goes_to_a_hub_over_http(stage: Stage) -> None:
    """For a gated model that needs the token, from a mirror in plain text.

    A mirror on the controller's own loopback may have it, so this one has another address.
    """
    seen: list[Request] = []

    def hub(request: Request) -> Reply:
        seen.append(request)
        return json_reply({"error": "gated"}, 401)

    ask = {
        "inferops.gpu.model_info": {
            "model": "a/b",
            "endpoint": stage.serve(hub, own_address()),
            "token": SECRETS["hub token"],
        },
        "ignore_errors": True,
    }
    stage.play(plays(ask, hosts="localhost"), hosts={NAME: {}})
    stage.tried(seen)
    sent = [one for one in seen if SECRETS["hub token"] in str(one.headers)]
    stage.harmed(sent, "the token went over http")


def own_address() -> str:
    """An address of this machine that is not its loopback. Nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("203.0.113.7", 9))
        return str(probe.getsockname()[0])


@attack
def secret_goes_to_a_hub_for_a_model_that_is_public(stage: Stage) -> None:
    seen: list[Request] = []

    def hub(request: Request) -> Reply:
        seen.append(request)
        files = [{"rfilename": "config.json", "size": 2, "blobId": "0" * 40}]
        return json_reply({"id": "a/b", "sha": "0" * 40, "gated": False, "siblings": files})

    ask = {
        "inferops.gpu.model_info": {
            "model": "a/b",
            "endpoint": stage.serve(hub),
            "token": SECRETS["hub token"],
        },
        "ignore_errors": True,
    }
    stage.play(plays(ask, hosts="localhost"), hosts={NAME: {}})
    stage.tried(seen)
    sent = [one for one in seen if SECRETS["hub token"] in str(one.headers)]
    stage.harmed(sent, "the token went to the hub")


@attack
def secret_is_kept_by_the_fact_cache(stage: Stage) -> None:
    """Where the operator keeps facts between runs."""
    simulator = stage.market()
    stage.rented(simulator)
    cache = {"ANSIBLE_CACHE_PLUGIN": "jsonfile", "ANSIBLE_CACHE_PLUGIN_CONNECTION": "facts"}
    played = stage.play(
        "inferops.gpu.status",
        simulator=simulator,
        environment=cache,
        hosts={NAME: {"ansible_timeout": 3}},
        inferops_ssh_private_key_file=str(key_pair(stage)),
        **GIVEN,
    )
    stage.tried(played.status == 0)


@attack
def secret_is_in_a_log_of_the_operator(stage: Stage) -> None:
    """ANSIBLE_LOG_PATH keeps all that is shown, and more."""
    simulator = stage.market()
    log = {"ANSIBLE_LOG_PATH": str(stage.work / "ansible.log"), "ANSIBLE_DEBUG": "true"}
    played = stage.play(
        "inferops.gpu.deploy",
        "--check",
        simulator=simulator,
        environment=log,
        hosts={NAME: {}},
        inferops_model="inferops/tiny-llama",
        inferops_ssh_private_key_file=str(key_pair(stage)),
        **GIVEN,
    )
    stage.tried("Would rent" in played.text and (stage.work / "ansible.log").exists())


@attack
def secret_travels_in_the_request(stage: Stage) -> None:
    """What the marketplace keeps of a rental: environment, start script, label."""
    simulator = stage.market()
    rent = {
        "inferops.gpu.rental": {
            "name": NAME,
            "image": "some/image",
            "ssh_public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGk9 user@example",
        }
    }
    played = stage.play(on_market(stage, simulator, rent), simulator=simulator)
    (rental,) = simulator.market.rentals.values() or [None]
    stage.tried(played.status == 0 and rental)
    wish = json.dumps(rental.wish if rental else {})
    for name in ("account key", "scope secret", "hub token"):
        stage.harmed(SECRETS[name] in wish, f"the rental has the {name}")
