# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which locks are read at all, and what the controller takes of the one that a host returns."""

from __future__ import annotations

from typing import Any
from unittest.mock import MagicMock

import pytest
from ansible.errors import AnsibleActionFail
from ansible.playbook.task import Task

from ansible_collections.inferops.gpu.plugins.action.stack_lock import ActionModule
from ansible_collections.inferops.gpu.plugins.module_utils.common import lock

SHA = "sha256:" + "0123456789abcdef" * 4
OTHER = "sha256:" + "f" * 64
PLAN = {"requirements": ["vllm==0.32.0", "torch==2.13.0"], "torch_backend": "cu130"}
GOOD = f"torch==2.13.0+cu130 --hash={SHA}\nvllm==0.32.0 --hash={SHA}\n"


def test_a_lock_is_read_as_uv_and_pip_write_it() -> None:
    text = (
        f"# by uv\n\nNumPy==2.3.5 \\\n    --hash={OTHER} \\\n    --hash={SHA}\n    # via torch\r\n"
        f"hf.hub==1.0rc1\ntorch==2.13.0+cu130 --hash={SHA}  # the build for CUDA\n"
    )
    pins = lock.read(text)
    assert lock.versions(pins) == {"numpy": "2.3.5", "hf-hub": "1.0rc1", "torch": "2.13.0+cu130"}
    assert pins["numpy"].hashes == {SHA[7:], OTHER[7:]}
    assert lock.unhashed(pins) == "hf-hub"
    assert lock.read(lock.render(pins)) == pins
    assert lock.read("") == {}


@pytest.mark.parametrize(
    "line",
    [
        "evil @ file:///tmp/evil.whl",
        f"evil @ https://evil.example/evil.whl --hash={SHA}",
        "https://evil.example/evil.whl",
        "./evil.whl",
        "evil",
        "--index-url https://evil.example",
        "--extra-index-url=https://evil.example",
        "--find-links /tmp",
        "--trusted-host evil.example",
        "-i https://evil.example",
        "-r /tmp/evil.txt",
        "-c /tmp/evil.txt",
        "-e .",
        "--pre",
        "evil>=1",
        "evil==1.*",
        "evil===1",
        "evil==1,<2",
        "evil==1;python_version>'3'",
        "evil==1 ; python_version > '3'",
        "evil[extra]==1",
        "evil==1 --global-option=x",
        "evil==1 --config-settings=x",
        "evil==1 --hash=md5:00",
        "evil==1 --hash=sha256:00",
        f"evil==1 --hash={SHA.upper()}",
        f"evil==1 {SHA}",
        f"--hash={SHA}",
        "evil==1 other==2",
        "evil==1 \\\n--index-url https://evil.example",
        "evil==1 \\\nother==2",
        "evil==${HOME}",
        "evil==1\x0b--pre",
        "evil\u2028==1",
        "..==1",
        "-evil==1",
        f"{'e' * 200}==1",
    ],
)
def test_a_line_that_is_no_pin_is_refused_by_its_number(line: str) -> None:
    with pytest.raises(lock.LockError, match=r"^Line [234] of the lock has .*name==1\.0 --hash="):
        lock.read(f"numpy==2.3.5\n{line}\ntorch==2.13.0\n")


def test_what_a_lock_says_is_shown_in_plain_letters() -> None:
    with pytest.raises(lock.LockError) as refused:
        lock.read(f"\x1b[2J\x1b]0;x\x07evil{'l' * 900}\n")
    assert "\x1b" not in str(refused.value)
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("#" * (lock.MOST_LETTERS + 1), "longer than 4 MiB"),
        ("".join(f"p{n}==1\n" for n in range(lock.MOST_PINS + 1)), "more than 3000 packages"),
        ("p==1" + "".join(f" --hash=sha256:{n:064}" for n in range(lock.MOST_HASHES + 1)), "1000"),
        ("numpy==1\nNumPy==2\n", "Line 2 of the lock pins numpy a second time"),
        ("hf-hub==1\nHF_Hub==1\n", "Line 2 of the lock pins hf-hub a second time"),
    ],
)
def test_a_lock_has_bounds_and_each_name_once(text: str, said: str) -> None:
    with pytest.raises(lock.LockError, match=said):
        lock.read(text)


def answered(answer: dict[str, Any], **given: Any) -> tuple[dict[str, Any], int]:
    """What comes of a host's answer, and how often that host was called."""
    task, calls = Task(), []
    task.args, task.check_mode = {**PLAN, "tells_lock": True, **given}, False

    class Action(ActionModule):
        def _execute_module(self, **call: Any) -> dict[str, Any]:  # type: ignore[override]
            calls.append(call)
            return dict(answer)

    action = Action(task, MagicMock(), None, None, None, None)
    try:
        return action.run(task_vars={"inventory_hostname": "gpu-1"}), len(calls)
    except AnsibleActionFail as error:
        return {"failed": True, "msg": str(error)}, len(calls)


def test_a_lock_file_that_is_no_lock_reaches_no_host() -> None:
    result, calls = answered({"changed": False}, lock=GOOD + "--index-url https://evil.example\n")
    assert "Line 3 of the lock has '--index-url'" in result["msg"]
    assert calls == 0


def test_a_lock_that_a_host_returns_is_kept_in_our_own_words() -> None:
    said = {"changed": True, "lock": f"# by me\n{GOOD}", "packages": {"evil": "1"}}
    result, _calls = answered(said)
    assert result["lock"] == lock.render(lock.read(GOOD))
    assert result["packages"] == {"torch": "2.13.0+cu130", "vllm": "0.32.0"}
    assert answered({"changed": False, "lock": ""})[0] == {"changed": False, "lock": ""}


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (GOOD + "evil @ file:///tmp/evil.whl\n", "Line 3 of the lock has 'evil'"),
        (GOOD + "-r /etc/passwd\n", "Line 3 of the lock has '-r'"),
        (
            GOOD.replace("0.32.0", "0.31.0"),
            "asks for vllm==0.32.0 (cu130), and the lock holds 0.31",
        ),
        (GOOD.replace("+cu130", "+cpu"), "asks for torch==2.13.0 (cu130), and the lock holds 2.13"),
        (GOOD.partition("\n")[0], "asks for vllm==0.32.0 (cu130), and the lock holds none"),
        (GOOD + "numpy==2.3.5\n", "has no hash for numpy"),
        (["torch==2.13.0"], "It is no text"),
        ("#" * (lock.MOST_LETTERS + 1), "longer than 4 MiB"),
    ],
)
def test_a_lock_that_a_host_returns_and_that_does_not_fit_fails_that_host(
    returned: Any, said: str
) -> None:
    result, _calls = answered({"changed": True, "lock": returned})
    assert result["failed"]
    assert set(result) == {"failed", "changed", "msg"}
    assert said in result["msg"]


def test_a_host_that_was_given_a_lock_returns_no_other() -> None:
    other = GOOD.replace(SHA, OTHER)
    result, _calls = answered({"changed": True, "lock": other}, lock=GOOD)
    assert "The hashes that the lock has for torch" in result["msg"]
    result, _calls = answered({"changed": True, "lock": GOOD}, lock=GOOD)
    assert "failed" not in result
