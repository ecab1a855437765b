# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of vLLM's OpenAI server."""

from __future__ import annotations

import json
import re

from ..engine import Wish

OWN_OPTIONS = {
    "model": "model",
    "host": "host",
    "port": "port",
    "served-model-name": "served_model_name",
    "api-key": "api_key",
}
"""Engine options that have an option of their own in the module."""


def build_command(wish: Wish) -> list[str]:
    """The command line for this wish. Raises ValueError naming a bad argument.

    True gives a bare flag, False and None leave the option out, a list gives one flag with all
    its values, a mapping becomes JSON. Extra arguments follow as they are.
    """
    command = [wish.python, "-m", "vllm.entrypoints.openai.api_server", "--model", wish.model]
    command += ["--host", wish.host, "--port", str(wish.port)]
    if wish.served_model_name:
        command += ["--served-model-name", wish.served_model_name]
    for key in sorted(wish.arguments):
        value = wish.arguments[key]
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
    for word in wish.extra_args:
        _refuse_own("extra_args", word.partition("=")[0].strip("-").replace("_", "-"), word)
    return [*command, *wish.extra_args]


def _refuse_own(where: str, option: str, given: str) -> None:
    if option == "hf-token":
        raise ValueError(
            f"{where}: {given!r} would show the token to everybody on the host. Set HF_TOKEN in "
            "'environment'."
        )
    if option in OWN_OPTIONS:
        raise ValueError(f"{where}: set {OWN_OPTIONS[option]!r} as an option, not {given!r}.")


def _option(key: str) -> str:
    return key.strip("-").replace("_", "-")
