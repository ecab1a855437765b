# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of one server."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field

from ..engines.vllm.command import parse_command
from .readiness import COMPLETION_SECONDS

SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)(_|$)", re.IGNORECASE)


@dataclass(frozen=True)
class Spec:
    """What is asked for. The environment is kept in a file of its own: it may hold secrets."""

    name: str
    command: list[str]
    model: str
    served_model_name: str
    host: str
    port: int
    supervisor: str
    stop_timeout_seconds: float
    environment: dict[str, str] = field(repr=False)
    asked: list[str] | None = None
    """The command without what was only suggested; None when nothing was."""
    log_max_mib: int = 64
    wait_timeout_seconds: int = 0
    completion_seconds: float = COMPLETION_SECONDS
    """How long one request for the first completion may take."""

    @property
    def hash(self) -> str:
        """Changes with everything that a running server is replaced for."""
        asked = self.command if self.asked is None else self.asked
        wanted = [
            asked[:3],
            parse_command(asked),
            self.environment,
            self.supervisor,
            self.log_max_mib,
        ]
        content = json.dumps(wanted, sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]


def secret_values(environment: dict[str, str]) -> set[str]:
    """The values that must never be shown: those whose variable is named like a secret."""
    return {value for name, value in environment.items() if value and SECRET_NAME.search(name)}
