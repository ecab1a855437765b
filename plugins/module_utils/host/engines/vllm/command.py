# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of vLLM's OpenAI server."""

from __future__ import annotations

import json

from ....common.server_words import refused, spelled
from ..engine import Wish


def build_command(wish: Wish) -> list[str]:
    """The command line for this wish. Raises ValueError naming a bad argument.

    True gives a bare flag, False and None leave the option out, a list gives one flag with all
    its values, a mapping becomes JSON. Extra arguments follow as they are.
    """
    for refusal in refused(wish.arguments, wish.extra_args):
        raise ValueError(refusal)
    command = [wish.python, "-m", "vllm.entrypoints.openai.api_server", "--model", wish.model]
    command += ["--host", wish.host, "--port", str(wish.port)]
    if wish.served_model_name:
        command += ["--served-model-name", wish.served_model_name]
    for key in sorted(wish.arguments):
        value = wish.arguments[key]
        if value is None or value is False:
            continue
        command.append(f"--{spelled(key)}")
        if value is True:
            continue
        for part in value if isinstance(value, list) else [value]:
            command.append(json.dumps(part) if isinstance(part, dict) else str(part))
    return [*command, *wish.extra_args]
