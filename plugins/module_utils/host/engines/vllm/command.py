# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of vLLM's OpenAI server, made from options and read back into them."""

from __future__ import annotations

import json
import re
from typing import Any

OWN_OPTIONS = {
    "model": "model",
    "host": "host",
    "port": "port",
    "served-model-name": "served_model_name",
    "api-key": "api_key",
}
"""Engine options that have an option of their own in the module."""


def build_command(
    python: str,
    model: str,
    host: str,
    port: int,
    served_model_name: str | None,
    arguments: dict[str, Any],
    extra_args: list[str],
) -> list[str]:
    """The command line of vLLM's OpenAI server. Raises ValueError naming a bad argument.

    True gives a bare flag, False and None leave the option out, a list gives one flag with all
    its values, a mapping becomes JSON. Extra arguments follow as they are.
    """
    command = [python, "-m", "vllm.entrypoints.openai.api_server", "--model", model]
    command += ["--host", host, "--port", str(port)]
    if served_model_name:
        command += ["--served-model-name", served_model_name]
    for key in sorted(arguments):
        value = arguments[key]
        option = _option(key)
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9.-]*", option):
            raise ValueError(f"arguments: {key!r} is not the name of an engine option.")
        _refuse_own("arguments", option, key)
        if value is None or value is False:
            continue
        command.append(f"--{option}")
        if value is True:
            continue
        for part in value if isinstance(value, list) else [value]:
            command.append(json.dumps(part) if isinstance(part, dict) else str(part))
    for word in extra_args:
        _refuse_own("extra_args", word.partition("=")[0].strip("-").replace("_", "-"), word)
    return [*command, *extra_args]


def _refuse_own(where: str, option: str, given: str) -> None:
    if option == "hf-token":
        raise ValueError(
            f"{where}: {given!r} would show the token to everybody on the host. Set HF_TOKEN in "
            "'environment'."
        )
    if option in OWN_OPTIONS:
        raise ValueError(f"{where}: set {OWN_OPTIONS[option]!r} as an option, not {given!r}.")


def with_suggestions(arguments: dict[str, Any], suggested: dict[str, Any]) -> dict[str, Any]:
    """The arguments, and those suggestions of which they say nothing in any spelling."""
    named = {_option(key) for key in arguments}
    return {**{key: suggested[key] for key in suggested if _option(key) not in named}, **arguments}


def _option(key: str) -> str:
    return key.strip("-").replace("_", "-")


def parse_command(command: list[str]) -> dict[str, Any]:
    """The options that `build_command` made this command line from; values are texts.

    Given to it again they make a line that means the same. What a mapping cannot hold, short
    options and repeated ones, stays in `extra_args`.
    """
    options: dict[str, Any] = {"served_model_name": None}
    arguments: dict[str, Any] = {}
    extra_args: list[str] = []
    names = {"--" + option: name for option, name in OWN_OPTIONS.items()}
    groups: list[list[str]] = []
    for word in command[3:]:
        if re.match(r"--|-[A-Za-z]", word):
            groups.append([word])
        elif groups:
            groups[-1].append(word)
    for words in groups:
        option, *values = [*words[0].split("=", 1), *words[1:]]
        value: Any = values if len(values) > 1 else values[0] if values else True
        name = option[2:].replace("-", "_")
        if option in names:
            options[names[option]] = value
        elif not option.startswith("--") or name in arguments:
            extra_args += words
        else:
            arguments[name] = value
    return {**options, "python": command[0], "arguments": arguments, "extra_args": extra_args}
