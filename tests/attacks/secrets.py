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

from ansible_collections.inferops.gpu.plugins.module_utils.market.access.host_keys import derive
from ansible_collections.inferops.gpu.plugins.module_utils.market.mark import Mark
from ansible_collections.inferops.gpu.plugins.plugin_utils.fleet_secrets import OF_THE_CONTROLLER
from ansible_collections.inferops.gpu.plugins.plugin_utils.variables import is_secret, options
from tests.attacks.hosts import HOST_MODULES, OPTIONS
from tests.attacks.registry import attack, each
from tests.attacks.stage import (
    CALLED,
    NAME,
    SCOPE,
    SECRETS,
    Stage,
    key_pair,
    on_market,
    planted,
    plays,
    with_login,
)
from tests.hanging import HANGS_AFTER_SECONDS
from tests.simulator.web import Reply, Request, json_reply
from tests.tools.tree import REPOSITORY
from tests.unit.market.ssh_host import SshHost, as_paramiko

#: All that there are: one that is new must be listed as attacked.
PLAYBOOKS = sorted(file.stem for file in (REPOSITORY / "playbooks").glob("*.yml"))
#: Here one host speaks for all of its group, or each host is looked at for long.
FEW_HOSTS = ("costs", "doctor", "monitoring", "reap", "status")
#: What says which hosts a play takes, whatever those say themselves.
FOR_ALL = ("inferops_group", "inferops_hosts", "inferops_gateway_group", "inferops_gateways")
#: They look at no variable but which hosts there are.
LOOKS_AT_NONE = ("hosts",)
#: What a rented host is never given, so that none can say it back.
NOT_GIVEN = {"login of another service", *(CALLED.get(name, name) for name in OF_THE_CONTROLLER)}
SAID_BACK = [secret for name, secret in SECRETS.items() if name not in NOT_GIVEN]


@each(
    "secret-is-shown-by-a-wrong",
    {
        "choice": {"inferops_provider": "vast"},
        "type": {"inferops_disk_reserve_gib": "much"},
        "name-of-a-variable": {"inferops_no_such_variable": 1},
        "dictionary": {"inferops_server_arguments": "max_model_len"},
        "address": {"inferops_api_url": with_login("http://nowhere:port", SECRETS["server key"])},
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
        **planted(),
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
        if option["type"] != "raw" and name not in FOR_ALL:
            values = MISTYPED if is_secret(name) else WRONG
            found[name] = "nonsense" if "choices" in option else values[option["type"]]
    return found


@each("secret-is-shown-by-any-wrong-value-in", {name: name for name in PLAYBOOKS})
def by_any_wrong_value(stage: Stage, playbook: str) -> None:
    """One host for each shared variable, and the secrets come from a vault.

    Where there are to be few hosts, one has many of them.
    """
    wrong = {} if playbook in LOOKS_AT_NONE else wrong_values()
    names = sorted(wrong)
    hosts = [{name.replace("_", "-"): {name: wrong[name]} for name in names} or {NAME: {}}]
    if playbook in FEW_HOSTS:
        few = [names[start : start + 20] for start in range(0, len(names), 20)]
        hosts = [{NAME: {name: wrong[name] for name in some}} for some in few]
    unlock = ("--vault-password-file", vault(stage), "--forks", "20")
    told = " ".join(
        stage.play(f"inferops.gpu.{playbook}", "-vvvvv", *unlock, "--check", hosts=some).text
        for some in hosts
    )
    missed = [name for name in names if not (f"{name} must be" in told or f"of {name}" in told)]
    stage.tried("TASK [" in told and not missed)
    stage.output += f"not refused: {missed}"


def vault(stage: Stage) -> str:
    """Put the secrets into a vault; the file with its password."""
    group, password = stage.folder / "group_vars" / "gpu_hosts.yml", stage.folder / "password"
    group.parent.mkdir()
    group.write_text(yaml.safe_dump({"inferops_model": "a/b", "extend_hours": 1, **planted()}))
    password.write_text("password of the vault\n")
    subprocess.run(
        [
            *(str(stage.setting.commands / "ansible-vault"), "encrypt", str(group)),
            *("--vault-password-file", str(password)),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=HANGS_AFTER_SECONDS,
        check=True,
    )
    return str(password)


def says_all_back(stage: Stage, **beside: Any) -> None:
    """Let the host say all that it may have been given, in each place that people read."""
    said = f"died of {' and '.join(SAID_BACK)}"
    server = {
        **{"name": "main", "model": "a/b", "phase": "failed", "progress": "it failed"},
        **{"reason": said, "exit_code": 1, "signal": None, "processes": 0, "port": 8000},
        **{"symptoms": None, "spec": None, "health": {"state": "dead", "detail": said}},
    }
    said_by_all = {"msg": said, "warnings": [said], "server": server, "servers": [server]}
    parts = {"parts": {"server.log": said}, "missing": {said: said}}
    stage.host.answers({"changed": False, **said_by_all, **parts, said: said, **beside})


#: In these no module runs on a host: they speak to the marketplace alone.
ASK_NO_HOST = ("costs", "deploy", "doctor", "hosts", "reap")


@each("secret-is-shown-at-vvvvv-by", {name: name for name in PLAYBOOKS})
def by_verbosity(stage: Stage, playbook: str) -> None:
    """On a rental, whose host says back all that it may have been given."""
    says_all_back(stage)
    mark = Mark(SCOPE, NAME, "0", 0, 0)
    with SshHost(as_paramiko(derive("any", mark, 1).private)) as host:
        at = {"ssh_host": "127.0.0.1", "ssh_port": host.endpoint.port, "ports": {}}
        simulator = stage.market({"kind": "row_is", "fields": at, "times": 999})
        if playbook != "deploy":
            stage.rented(simulator)
        played = stage.play(
            f"inferops.gpu.{playbook}",
            "-vvvvv",
            *(["--check", "--diff"] if playbook == "deploy" else []),
            simulator=simulator,
            hosts={NAME: stage.host.variables},
            inferops_model="inferops/tiny-llama",
            inferops_ssh_private_key_file=str(key_pair(stage)),
            inferops_host_keys="first_contact",
            inferops_report_dir="reports",
            extend_hours=1,
            **planted(simulator.url),
        )
    asked = simulator.journal.entries() or playbook == "hosts"
    planned = "Would rent" in played.text or playbook != "deploy"
    answered = playbook in ASK_NO_HOST or stage.host.times_asked
    stage.tried("TASK [" in played.text and asked and planned and answered)


@each(
    "secret-is-shown-at-vvvvv-on-a-host-of-one-s-own-by",
    {name: name for name in PLAYBOOKS},
)
def by_verbosity_on_an_own_host(stage: Stage, playbook: str) -> None:
    """Which answers as the host of a stranger does."""
    says_all_back(stage, ping="pong")
    played = stage.play(
        f"inferops.gpu.{playbook}",
        "-vvvvv",
        hosts={NAME: stage.host.variables},
        inferops_provider="ssh",
        inferops_model="inferops/tiny-llama",
        inferops_report_dir="reports",
        extend_hours=1,
        **planted(),
    )
    # Nothing of a host's own ends or is extended, and costs and reap look at rentals alone.
    asks_none = playbook in ("costs", "extend", "hosts", "reap")
    stage.tried("TASK [" in played.text and (asks_none or stage.host.times_asked))


@each(
    "secret-is-shown-at-vvvvv-with-a-list-of-accounts-by", {"deploy": "deploy", "status": "status"}
)
def by_verbosity_of_accounts(stage: Stage, playbook: str) -> None:
    """Which count instead of the one account."""
    simulator = stage.market()
    played = stage.play(
        f"inferops.gpu.{playbook}",
        *("-vvvvv", "--check", "--diff"),
        simulator=simulator,
        hosts={NAME: {"ansible_timeout": 3}},
        inferops_model="inferops/tiny-llama",
        inferops_ssh_private_key_file=str(key_pair(stage)),
        **planted(simulator.url, several=True),
    )
    planned = "Would rent" in played.text or playbook != "deploy"
    stage.tried("TASK [" in played.text and simulator.journal.entries() and planned)


@each(
    "secret-is-said-back-by-a-host",
    {
        "beside-its-name": ("api_key=", ""),
        "as-it-is": ("", ""),
        "with-a-colour-in-it": ("", "\x1b[31m"),
        "with-a-set-of-letters-in-it": ("", "\x1b(B"),
        "with-a-letter-unseen-in-it": ("", "\u3164"),
    },
)
def said_back_by_a_host(stage: Stage, written: tuple[str, str]) -> None:
    """A server's log has its key, and a module that failed says so."""
    name, unseen = written
    keys = f"{name}{_parted('server key', unseen)} HF_TOKEN={_parted('hub token', unseen)}"
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


def _parted(name: str, unseen: str) -> str:
    secret = SECRETS[name]
    return f"{secret[:5]}{unseen}{secret[5:]}"


@attack
def secret_is_said_back_by_a_host_to_any_task(stage: Stage) -> None:
    """Which has none of them among its arguments."""
    says_all_back(stage)
    shows = {"ansible.builtin.debug": {"var": "told"}}
    tasks = []
    for module in HOST_MODULES:
        asks = {f"inferops.gpu.{module}": OPTIONS.get(module, {}), "ignore_errors": True}
        tasks += [{**asks, "register": "told"}, shows]
    played = stage.play(plays(*tasks), "-vvvvv", **planted())
    stage.tried(stage.host.times_asked >= len(HOST_MODULES) and played.status == 0)


@each(
    "secret-is-said-back-by-a-host-in-a-line-about",
    {
        "a-start": {"inferops.gpu.model_server": {"name": "main", "model": "a/b"}},
        "a-job": {"inferops.gpu.stack_lock": {}},
    },
)
def said_back_in_a_line(stage: Stage, task: dict[str, Any]) -> None:
    """At once, while the task goes on. Half of a secret, where a line is cut, is one too."""
    key, once = SECRETS["server key"], stage.folder / "count"
    loads = {"phase": "starting", "progress": f"loading {key}", "since": 0}
    doing = {"doing": f"{'x' * (80 - len(key) // 2)}{key}", "seconds": 1}
    first = {"changed": True, "running": doing, "server": loads, "servers": [loads]}
    runs = {"phase": "running", "progress": "serving", "completion": " x"}
    then = {"changed": False, "server": runs, "servers": [runs]}
    stage.host.runs(
        f"echo >> '{once}'\nif [ $(wc -l < '{once}') -lt 3 ]; then echo '{json.dumps(first)}'\n"
        f"else echo '{json.dumps(then)}'\nfi"
    )
    # Callback phases keeps such lines for phases that last.
    shown = {"ANSIBLE_STDOUT_CALLBACK": "default"}
    played = stage.play(plays(task), environment=shown, **planted())
    stage.tried(played.status == 0 and (" s)" in played.text or "1 s" in played.text))
    stage.harmed(key[: len(key) // 2] in played.output, "half of the server key was shown")


@attack
def secret_is_kept_in_evidence_that_a_host_sends(stage: Stage) -> None:
    """Which is made to be passed on: its logs, its state, its summary."""
    says_all_back(stage)
    failure = {"task": "x", "message": SECRETS["server key"], "diagnosis": {}}
    given = {
        "inferops_connected": True,
        "inferops_evidence_dir": "evidence",
        "inferops_failure": failure,
        **planted(),
    }
    loads = {"ansible.builtin.import_role": {"name": "inferops.gpu.inferops"}, "vars": given}
    collects = {"ansible.builtin.include_role": {"name": "inferops.gpu.evidence"}, "vars": given}
    played = stage.play(plays(loads, collects))
    kept = {file.name for file in stage.work.glob("evidence/*/*")}
    stage.tried(played.status == 0 and {"server.log", "state.json", "summary.md"} <= kept)


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
        **planted(simulator.url),
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
        **planted(simulator.url),
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
