# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action for proxy: runs the module, guarded, and shows no key of a client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.inferops.gpu.plugins.plugin_utils.guarded_action import ModuleAction

KEYS = ("keys", "metrics_keys")


class ActionModule(ModuleAction):
    """The keys of clients have the names of people, so that no name tells what they are."""

    def act(self, variables: dict[str, Any]) -> dict[str, Any]:
        given = (self._task.args.get(option) for option in KEYS)
        named = [one for one in given if isinstance(one, Mapping)]
        self.secrets |= {str(key) for one in named for key in one.values() if key}
        return super().act(variables)
