# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that somebody else has left on the controller, or that say what they should not."""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path
from typing import Any

from tests.attacks.hosts import LOCK_LINES, RUNNING
from tests.attacks.markets import billing
from tests.attacks.registry import attack, each
from tests.attacks.stage import NAME, SECRETS, Stage, key_pair, plays


def shared_files(stage: Stage) -> list[Path]:
    """What processes of one controller share, as an earlier run has left it."""
    simulator = stage.market()
    stage.rented(simulator)
    stage.play("inferops.gpu.status", simulator=simulator, hosts={NAME: {}})
    kept = [one for one in stage.controller.rglob("*") if one.is_file()]
    return [one for one in kept if "known_hosts" not in str(one)]


def hold(path: Path, stage: Stage) -> None:
    """Keep the lock of a process that hangs."""
    file = path.open("r+")
    fcntl.flock(file, fcntl.LOCK_EX)
    stage.closing.callback(file.close)


@each(
    "file-that-is-shared-is",
    {
        "no-json": lambda path, stage: path.write_text("\x00\xff not json"),
        "deep": lambda path, stage: path.write_text("[" * 200_000),
        "of-another-shape": lambda path, stage: path.write_text('[1, "two", null]'),
        "of-the-future": lambda path, stage: path.write_text(of_the_future(path)),
        "a-link-to-another": lambda path, stage: (path.unlink(), path.symlink_to(stage.precious)),
        "a-pipe": lambda path, stage: (path.unlink(), os.mkfifo(path)),
        "a-folder": lambda path, stage: (path.unlink(), path.mkdir()),
        "large": lambda path, stage: os.truncate(path, 200 * 2**20),
        "locked-for-ever": hold,
    },
)
def shares_a_file(stage: Stage, spoil: Any) -> None:
    """Whatever is wrong with it, teardown releases and proves it."""
    files = shared_files(stage)
    for file in files:
        spoil(file, stage)
    simulator = stage.market()
    stage.rented(simulator)
    torn = stage.play("inferops.gpu.teardown", simulator=simulator, hosts={NAME: {}})
    stage.tried(files)
    stage.harmed(billing(simulator), "what bills could not be released")
    stage.harmed(torn.status != 0, "a release that is proven was told as a failure")


def of_the_future(path: Path) -> str:
    """What it says, of a clock that is a year ahead."""
    ahead = time.time() + 365 * 86_400

    def moved(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: moved(one) for key, one in value.items()}
        if isinstance(value, list):
            return [moved(one) for one in value]
        return ahead if isinstance(value, float) else value

    try:
        return json.dumps(moved(json.loads(path.read_text())))
    except ValueError:
        return path.read_text()


@attack
def file_netrc_has_a_login_for_everybody(stage: Stage) -> None:
    netrc = stage.home / ".netrc"
    netrc.write_text(f"default login me password {SECRETS['login of another service']}\n")
    netrc.chmod(0o600)
    simulator = stage.market()
    stage.rented(simulator)
    torn = stage.play("inferops.gpu.teardown", simulator=simulator, hosts={NAME: {}})
    sent = [entry for entry in simulator.journal.entries() if "Basic" in json.dumps(entry)]
    stage.tried(torn.status == 0)
    stage.harmed(sent, "the login of another service went to the marketplace")
    stage.harmed(billing(simulator), "the account's key was not used")


@each("file-ssh-config-is", {"for-other-hosts": "", "named-for-all-hosts": "-C -F {} -A"})
def is_an_ssh_config(stage: Stage, arguments: str) -> None:
    """What the operator's ssh does for his own hosts it does not do for a stranger's.

    Where Ansible's configuration names the file, neither.
    """
    config = stage.home / ".ssh" / "config"
    config.parent.mkdir(mode=0o700)
    config.write_text(
        f"Host *\n  ProxyCommand touch {stage.owned}\n  ForwardAgent yes\n"
        f"  PermitLocalCommand yes\n  LocalCommand touch {stage.owned}\n  SendEnv HF_TOKEN\n"
    )
    # OpenSSH finds the file by the user database, not by HOME: so this one is its usual one.
    ssh = stage.folder / "ssh"
    called, opens = stage.folder / "called", stage.folder / "opens"
    understood = f'/usr/bin/ssh -F {config} -G "$@" | grep -iE "^(sendenv|forwardagent yes)"'
    ssh.write_text(
        f'#!/bin/sh\necho "$@" >>{called}\n{understood} >>{opens}\n'
        f'exec /usr/bin/ssh -F {config} "$@"\n'
    )
    ssh.chmod(0o755)
    row = {"ssh_host": "127.0.0.1", "ssh_port": 1, "ports": {}}
    simulator = stage.market({"kind": "row_is", "fields": row, "times": 999})
    stage.rented(simulator)
    key = str(key_pair(stage))
    reach = {"ansible.builtin.include_role": {"name": "inferops.gpu.connect"}}
    ping = {"ansible.builtin.raw": "true"}
    (play,) = plays(reach, ping)
    played = stage.play(
        [{**play, "roles": ["inferops.gpu.inferops"]}],
        simulator=simulator,
        hosts={NAME: {"ansible_timeout": 3}},
        environment={
            "ANSIBLE_SSH_EXECUTABLE": str(ssh),
            "ANSIBLE_SSH_ARGS": arguments.format(config),
        },
        inferops_ssh_private_key_file=key,
    )
    stage.tried("UNREACHABLE" in played.text and called.exists())
    opened = " ".join(opens.read_text().split()) if opens.exists() else ""
    stage.harmed(opened, f"the host would get this: {opened}")


@attack
def file_of_known_hosts_is_a_link(stage: Stage) -> None:
    simulator = stage.market()
    stage.rented(simulator)
    reach = {"ansible.builtin.include_role": {"name": "inferops.gpu.connect"}}
    (play,) = plays(reach, {"ansible.builtin.debug": {"var": "inferops_known_hosts_file"}})
    own = {**play, "roles": ["inferops.gpu.inferops"]}
    key = str(key_pair(stage))
    stage.play([own], simulator=simulator, inferops_ssh_private_key_file=key, hosts={NAME: {}})
    files = [one for one in stage.controller.rglob("*") if "known_hosts" in str(one)]
    files = [one for one in files if one.is_file()]
    for file in files:
        file.unlink()
        file.symlink_to(stage.precious)
    stage.play([own], simulator=simulator, inferops_ssh_private_key_file=key, hosts={NAME: {}})
    stage.tried(files)


@attack
def file_of_evidence_is_a_link(stage: Stage) -> None:
    """Somebody was in the folder before: what is written there overwrites nothing else."""
    folder = stage.work / "evidence"
    folder.mkdir()
    (folder / "state.json").symlink_to(stage.precious)
    answer = {"parts": {"state.json": "of the host"}, "server": RUNNING}
    stage.host.answers({"changed": False, **answer})
    stage.play(plays({"inferops.gpu.evidence": {"dest": str(folder)}}))
    stage.tried(stage.host.seen)


@attack
def file_is_made_for_everybody(stage: Stage) -> None:
    """With the umask of an operator who does not care."""
    stage.host.answers({"changed": False, "parts": {"state.json": "{}"}, "server": RUNNING})
    dest = stage.work / "evidence"
    stage.umask = 0
    stage.play(plays({"inferops.gpu.evidence": {"dest": str(dest)}}))
    made = list(dest.rglob("*"))
    stage.tried(made)
    open_to_all = [one.name for one in (dest, *made) if one.stat().st_mode & 0o077]
    stage.harmed(open_to_all, f"others may read {open_to_all}")


@each("file-of-a-lock-has", LOCK_LINES)
def has_a_line(stage: Stage, line: str) -> None:
    """Somebody has edited the lock that all hosts are given."""
    stage.host.answers({"changed": False, "lock": "", "packages": {}})
    file = stage.work / "lock.txt"
    file.write_text(f"{line}\n")
    given = "{{ lookup('ansible.builtin.file', '" + str(file) + "', rstrip=false) }}"
    resolve = {"inferops.gpu.stack_lock": {"requirements": ["evil==1.0"], "lock": given}}
    played = stage.play(plays(resolve))
    # What has no hash is refused by a host, which has hashes of its own.
    grammatical = line.startswith("evil==")
    refused = played.status != 0 and "lock" in played.text
    stage.tried(stage.host.times_asked or (refused and not grammatical))
    stage.harmed(stage.host.times_asked and not grammatical, "the lock was given to a host")
