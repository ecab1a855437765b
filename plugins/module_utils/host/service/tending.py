# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one call of a module that keeps a service running does, whatever kind of service it is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, ClassVar

from ..machine import locks
from .service import Service
from .supervisors import choice
from .supervisors.supervisor import Supervisor, SupervisorError

LOCK_SECONDS = 60
"""How long another run is waited for, beside the time that its stop may take."""


class Tending:
    """One call, by the module's options `stop_timeout_seconds`, `supervisor`, `supervisord_bin_dir`
    and `start_at_boot`. In check mode nothing is changed.
    """

    what: ClassVar[str]
    """What the service is called in messages."""
    busy: ClassVar[str]
    """What another run does with it meanwhile."""

    module: Any
    params: dict[str, Any]
    service: Service[Any]

    def fail(self, message: str, **result: Any) -> Any:
        """End the module with this message."""
        raise NotImplementedError

    def choose_supervisor(self, known: str = "") -> Supervisor:
        """The supervisor that is known to keep it, that is asked for, or that suits this host."""
        try:
            return choice.choose(
                known or self.params["supervisor"],
                self.service.layout,
                self.params["supervisord_bin_dir"],
                self.params["start_at_boot"],
                change=not self.module.check_mode,
            )
        except SupervisorError as error:
            return self.fail(str(error))  # type: ignore[no-any-return]

    def set_start_at_boot(self, supervisor: Supervisor) -> dict[str, Any]:
        """Returns the difference, empty when there is none."""
        wanted, before = self.params["start_at_boot"], supervisor.starts_at_boot(self.service)
        if wanted == before:
            return {}
        try:
            if not self.module.check_mode:
                supervisor.set_start_at_boot(self.service, wanted)
        except SupervisorError as error:
            self.fail(str(error))
        return {"before": {"start_at_boot": before}, "after": {"start_at_boot": wanted}}

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else starts, changes or stops this service meanwhile."""
        if self.module.check_mode:
            yield
            return
        try:
            with locks.held(self.service.lock, self.params["stop_timeout_seconds"] + LOCK_SECONDS):
                yield
        except locks.Busy as error:
            self.fail(
                f"{self.what} {self.service.name!r} is being {self.busy} by another run: {error}. "
                "Wait for it to end, then try again."
            )
