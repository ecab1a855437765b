# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engines by name. What is imported here goes to the host with the launcher."""

from __future__ import annotations

from .engine import Engine
from .llama_cpp.engine import LlamaCpp
from .vllm.engine import Vllm

DEFAULT = Vllm.name
ENGINES: dict[str, Engine] = {engine.name: engine for engine in (Vllm(), LlamaCpp())}
