# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare a host with its offer, without a process for it. The module documents it."""

from __future__ import annotations

from typing import Any

from ansible_collections.inferops.gpu.plugins.module_utils.market.offers.checking import (
    OFFER_CHECK_OPTIONS,
    offer_check,
)
from ansible_collections.inferops.gpu.plugins.plugin_utils.guarded_action import GuardedAction


class ActionModule(GuardedAction):
    """The module's own work, in the worker."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The result that the documentation promises."""
        super().run(tmp, task_vars)
        _validation, given = self.validate_argument_spec(argument_spec=OFFER_CHECK_OPTIONS)
        return offer_check(given, self._task.check_mode)
