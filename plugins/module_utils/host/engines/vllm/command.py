# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of vLLM's OpenAI server."""

from __future__ import annotations

from ....common.engines.vllm.words import options_of, words
from ....common.server_words import refused
from ..engine import Wish
from .installed import installed_version


def build_command(wish: Wish) -> list[str]:
    """The command line for this wish. Raises ValueError naming a bad argument.

    How a value is written follows from what the installed release takes. Extra arguments follow as
    they are.
    """
    for refusal in refused(wish.arguments, wish.extra_args):
        raise ValueError(refusal)
    command = [wish.python, "-m", "vllm.entrypoints.openai.api_server", "--model", wish.model]
    command += ["--host", wish.host, "--port", str(wish.port)]
    if wish.served_model_names:
        command += ["--served-model-name", *wish.served_model_names]
    options = options_of(installed_version(wish.python))
    return [*command, *words(wish.arguments, options), *wish.extra_args]
