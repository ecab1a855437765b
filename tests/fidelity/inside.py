# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs inside a client's own environment: opens the client, and makes the calls that come in.

Reads one JSON object a line, ``{"call": name, "args": [...], "named": {...}}``, and answers each
by ``{"value": ...}`` or ``{"raised": type, "text": ...}``. The first answer tells how the opening
went. The standard library alone: nothing of this repository is there.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import json
import os
import sys
import types
from pathlib import Path
from typing import Any


def bare(name: str) -> None:
    """Let a package be there without what its own file imports.

    So a module is had without the dependencies of all that stands beside it.
    """
    module = types.ModuleType(name)
    parent, _dot, leaf = name.rpartition(".")
    if parent:
        module.__path__ = [os.path.join(one, leaf) for one in sys.modules[parent].__path__]
        setattr(sys.modules[parent], leaf, module)
    else:
        found = importlib.util.find_spec(name)
        assert found is not None
        module.__path__ = list(found.submodule_search_locations or ())
    sys.modules[name] = module


def idle(name: str, functions: list[str]) -> None:
    """Let a module be there whose functions do nothing."""
    bare(name)
    for function in functions:
        setattr(sys.modules[name], function, lambda *_given, **_named: None)


def reach(start: Any, path: str) -> Any:
    """What a name with dots in it leads to."""
    for name in path.split("."):
        start = getattr(start, name)
    return start


def change(start: Any, path: str, value: Any) -> None:
    """Set what a name with dots in it leads to."""
    way, _dot, leaf = path.rpartition(".")
    setattr(reach(start, way) if way else start, leaf, value)


def opened(client: dict[str, Any]) -> Any:
    """The client, as its entry among the clients says: an object, or its module."""
    for file, text in client["files"].items():
        path = Path(file).expanduser()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for name in client["bare"]:
        bare(name)
    for name, functions in client["idle"].items():
        idle(name, functions)
    module = importlib.import_module(client["module"])
    for name, value in client["patch"].items():
        change(module, name, value)
    if not client["open"]:
        return module
    found = reach(module, client["open"])(**client["arguments"])
    for name, value in client["change"].items():
        change(found, name, value)
    return found


def plain(value: Any) -> Any:
    """A result as JSON has it: objects become what they show to whoever uses the client."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(inner) for inner in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain({one.name: getattr(value, one.name) for one in dataclasses.fields(value)})
    kind = type(value)
    names = [name for name in dir(kind) if isinstance(getattr(kind, name), property)]
    names += [name for name in vars(value) if not name.startswith("_")]
    return {name: plain(getattr(value, name)) for name in names}


def told(error: BaseException) -> dict[str, Any]:
    """An exception, with what its own fields and the answer behind it say."""
    answer = getattr(error, "response", None)
    own = {name: str(one) for name, one in vars(error).items() if name != "request"}
    parts = [str(error), json.dumps(own), getattr(answer, "text", "")]
    return {"raised": type(error).__name__, "text": " ".join(part for part in parts if part)}


def main() -> None:
    """Open, then answer until nothing more comes in."""
    sys.dont_write_bytecode = True
    out = os.fdopen(os.dup(1), "w")
    # What the client prints belongs to nobody.
    os.dup2(2, 1)
    client: Any = None
    try:
        client = opened(json.loads(sys.argv[1]))
        said: dict[str, Any] = {"value": None}
    except Exception as error:
        said = told(error)
    print(json.dumps(said), file=out, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            said = {"value": plain(reach(client, asked["call"])(*asked["args"], **asked["named"]))}
        except Exception as error:
            said = told(error)
        print(json.dumps(said), file=out, flush=True)


if __name__ == "__main__":
    main()
