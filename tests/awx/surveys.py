# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A question of an AWX survey, made from a variable's argument specification."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from ansible_collections.inferops.gpu.plugins.module_utils.common.ranges import range_of
from ansible_collections.inferops.gpu.plugins.plugin_utils import variables

#: By the end of a name, how its unit is told to people; the first that suits counts.
_UNITS = (
    ("_usd_per_hour", "dollars per hour"),
    ("_usd", "dollars"),
    ("_hours", "hours"),
    ("_seconds", "seconds"),
    ("_gib", "GiB"),
)
#: Words that are not written as they are in a name.
_WORDS = {"gpu": "GPU", "vram": "VRAM", "vllm": "vLLM"}
#: How a value is written where AWX knows no type for it.
_WRITTEN = {"list": "Comma-separated.", "dict": "As JSON."}
_MARKUP = re.compile(r"\b[A-Z]{1,2}\(([^()]*)\)")


def question(name: str, required: bool = False) -> dict[str, Any]:
    """The question that AWX asks for the variable *name*, as its API takes it.

    Raises ValueError for a secret: answers are kept and shown, so a credential has to give it.
    """
    option = variables.options()[name]
    if variables.is_secret(name):
        raise ValueError(f"{name} is a secret: a credential has to give it, not a form.")
    kind = _kind(option)
    asked = {
        "question_name": title(name),
        "question_description": described(option),
        "required": required or bool(option.get("required")),
        "type": kind,
        "variable": name,
        **_choices(option),
        **(_limits(name) if kind in ("integer", "float") else {}),
    }
    default = as_answer(option.get("default"), kind)
    # AWX hands an empty default to the play, as if somebody had said it.
    return asked if default in (None, "") else {**asked, "default": default}


def survey(name: str, description: str, questions: list[dict[str, Any]]) -> dict[str, Any]:
    """The whole form."""
    return {"name": name, "description": description, "spec": questions}


def title(name: str) -> str:
    """What stands above the field: the name in words, without its role, and with its unit."""
    # A role may have two words in its name.
    words, unit = name.partition("_")[2].removeprefix("cache_"), ""
    for end, told in _UNITS:
        if words.endswith(end):
            words, unit = words.removesuffix(end), f" ({told})"
            break
    first, *others = (_WORDS.get(word, word) for word in words.split("_"))
    return " ".join([first if first in _WORDS.values() else first.capitalize(), *others]) + unit


def described(option: dict[str, Any]) -> str:
    """The first paragraph of its description, without markup, and how to write the answer."""
    told = option.get("description", "")
    text = " ".join((told if isinstance(told, str) else told[0]).split())
    text = _MARKUP.sub(lambda found: found[1].split("#")[0].rpartition("main:")[2], text)
    written = "" if "choices" in option else _WRITTEN.get(option.get("type", "str"), "")
    return f"{text} {written}".strip()


def as_answer(value: Any, kind: str) -> Any:
    """A value as somebody would answer a question of this kind; None where there is no value."""
    if value is None or kind in ("integer", "float"):
        return value
    if kind == "textarea":
        # Said even where there is nothing in it: an empty text is no JSON.
        return json.dumps(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ("\n" if kind == "multiselect" else ",").join(map(str, value))
    return str(value)


def _kind(option: dict[str, Any]) -> str:
    """The type of AWX's: it has none for flags, lists and dictionaries."""
    kind = option.get("type", "str")
    if "choices" in option or kind == "bool":
        return "multiselect" if kind == "list" else "multiplechoice"
    return {"int": "integer", "float": "float", "dict": "textarea", "raw": "textarea"}.get(
        kind, "text"
    )


def _choices(option: dict[str, Any]) -> dict[str, Any]:
    if option.get("type") == "bool":
        return {"choices": ["true", "false"]}
    if "choices" not in option:
        return {}
    return {"choices": list(option["choices"])}


def _limits(name: str) -> dict[str, int]:
    """In whole numbers, as AWX wants them; the gate knows them exactly."""
    allowed = range_of(name)
    if allowed is None:
        return {}
    least = {"min": math.floor(allowed.low)}
    return least if allowed.high == math.inf else {**least, "max": math.ceil(allowed.high)}
