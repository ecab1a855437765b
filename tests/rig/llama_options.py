# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts every option and choice of our table into the real library, and prints what it refuses.

Run by the interpreter that has xllamacpp.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from ansible_collections.inferops.gpu.plugins.module_utils.common.engines.llama_cpp import (
    words as llama_words,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.engines.llama_cpp import serve

VALUES = {
    "int": ("-1", "4096.0", str(2**31 - 1), str(-(2**31))),
    "seed": ("-1", "0", str(2**32 - 1)),
    "float": ("0", "1.5"),
    "json": ('{"enable_thinking": false, "effort": "low", "tools": [{"a": 1}]}',),
    "layers": ("auto", "all", "5"),
    "numbers": ("3,1", ",".join("1" * 128)),
    "texts": ("a,b",),
    "text": ("output=CPU",),
    "file": (__file__,),
}
"""Of each kind that is no choice, from end to end."""


def lines(option: llama_words.Option) -> Iterator[str]:
    """All that can be asked of one option."""
    if option.kind in llama_words.FLAGS:
        yield from (f"--{option.name}", f"--no-{option.name}")
    else:
        values = llama_words.CHOICES.get(option.kind) or VALUES[option.kind]
        yield from (f"--{option.name}={value}" for value in values)


def refused() -> Iterator[str]:
    xllamacpp: Any = import_module("xllamacpp")
    for option in llama_words.OPTIONS.values():
        for line in lines(option):
            (setting,) = llama_words.read([line])
            try:
                serve.put(xllamacpp, xllamacpp.CommonParams(), setting)
            except Exception as error:
                yield f"{line[:80]}: {error!r}"


if __name__ == "__main__":
    print(json.dumps(list(refused())))
