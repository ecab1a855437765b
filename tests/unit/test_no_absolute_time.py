# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No test asserts how long something takes, as far as that can be told by looking at it.

A busy machine would fail it. Who waits for something waits as long as
`tests.hanging` says.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tools.tree import REPOSITORY

FOLDERS = ("attacks", "integration", "markets", "rig", "unit")
FILES = [file for name in FOLDERS for file in sorted((REPOSITORY / "tests" / name).rglob("*.py"))]
#: Less than this many seconds a busy machine may well need for nothing.
LEAST_SECONDS = 300
WAITS = {"wait", "wait_for", "wait_until", "join", "result", "communicate", "settimeout"}
CLOCKS = {"monotonic", "perf_counter", "time", "monotonic_ns", "perf_counter_ns"}
#: Whoever expects that one of these comes may have it soon.
RUN_OUT = {"TimeoutError", "TimeoutExpired"}
#: By function: what is short there, and why nothing else has to be done in that time.
SHORT = {
    "test_a_part_that_hangs_does_not_keep_the_others": "its clock stands still meanwhile",
    "test_the_whole_has_a_limit_too": "its clock stands still meanwhile",
}


def _called(node: ast.AST) -> str:
    """The last name of what is called, or an empty text."""
    function = getattr(node, "func", None)
    return str(getattr(function, "attr", getattr(function, "id", "")))


def _is_short(node: ast.AST | None) -> bool:
    """Whether this is a number of seconds that is written there, and no pause of a loop."""
    value = getattr(node, "value", None)
    return (
        isinstance(node, ast.Constant)
        and type(value) in (int, float)
        and 1 <= value < LEAST_SECONDS
    )


def _asks_a_clock(node: ast.AST) -> bool:
    return any(isinstance(one, ast.Call) and _called(one) in CLOCKS for one in ast.walk(node))


def _runs_out(node: ast.AST) -> bool:
    """Whether a block is one of which a timeout is expected."""
    return isinstance(node, ast.With) and any(
        str(getattr(one, "attr", getattr(one, "id", ""))) in RUN_OUT
        for item in node.items
        for one in ast.walk(item.context_expr)
    )


def _of_a_call(node: ast.Call) -> Iterator[str]:
    name = _called(node)
    for given in node.keywords:
        # Those of what is tested have names with their unit, and say what it does in that time.
        if given.arg == "timeout" and isinstance(given.value, ast.Constant):
            value = given.value.value
            if type(value) in (int, float) and value < LEAST_SECONDS:
                yield f"{name} has timeout={value}"
    if name in WAITS and node.args and _is_short(node.args[-1]):
        yield f"{name} waits for {ast.unparse(node.args[-1])} s"


def _of_others(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Assert):
        for one in ast.walk(node.test):
            if isinstance(one, ast.Compare) and _is_upper_bound(one):
                yield f"asserts {ast.unparse(one)}"
    if (
        isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.Add)
        and _called(node.left) == "monotonic"
        and _is_short(node.right)
    ):
        yield f"gives up at {ast.unparse(node)}"
    if isinstance(node, ast.FunctionDef) and "wait" in node.name:
        yield from (
            f"{node.name} waits for {ast.unparse(default)} s"
            for default in node.args.defaults
            if _is_short(default)
        )


def _is_upper_bound(compared: ast.Compare) -> bool:
    """Whether a time that has passed must be less than a number."""
    sides = [compared.left, *compared.comparators]
    for operator, left, right in zip(compared.ops, sides, sides[1:], strict=False):
        if isinstance(operator, (ast.Gt, ast.GtE)):
            left, right = right, left
        elif not isinstance(operator, (ast.Lt, ast.LtE)):
            continue
        if _asks_a_clock(left) and isinstance(left, ast.BinOp) and isinstance(right, ast.Constant):
            return True
    return False


def found(tree: ast.AST) -> Iterator[str]:
    """What asserts a time in a file, each as its line and what it does."""
    for node in ast.iter_child_nodes(tree):
        if _runs_out(node) or getattr(node, "name", "") in SHORT:
            continue
        told = _of_a_call(node) if isinstance(node, ast.Call) else _of_others(node)
        yield from (f"line {getattr(node, 'lineno', 0)} {one}" for one in told)
        yield from found(node)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(REPOSITORY)))
def test_no_test_asserts_an_absolute_time(file: Path) -> None:
    assert list(found(ast.parse(file.read_text()))) == [], "see tests/hanging.py"


@pytest.mark.parametrize(
    "text",
    [
        "run(command, timeout=60)",
        "urlopen(url, timeout=0.5)",
        "thread.join(5)",
        "assert process.wait(10) == 0",
        "assert wait_until(lambda: done, 60)",
        "assert monotonic() - began < 120",
        "assert 0 <= time.monotonic() - began <= 2.5",
        "assert 30 > time.time() - began",
        "give_up_at = time.monotonic() + 20",
        "def wait_for(condition, seconds=60): ...",
    ],
)
def test_what_a_busy_machine_would_fail_is_found(text: str) -> None:
    assert list(found(ast.parse(text)))


@pytest.mark.parametrize(
    "text",
    [
        "run(command, timeout=HANGS_AFTER_SECONDS)",
        "over.wait(0.05)",
        "assert took[0] >= 0.2",
        "assert through - began < direct - began",
        "rental(ready_timeout_seconds=60)",
        "with pytest.raises(TimeoutError):\n    connect(address, timeout=0.3)",
    ],
)
def test_what_it_would_not_fail_passes(text: str) -> None:
    assert list(found(ast.parse(text))) == []
