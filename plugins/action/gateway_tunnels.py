# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action for gateway_tunnels: runs the module, guarded."""

from __future__ import annotations

from ansible_collections.inferops.gpu.plugins.plugin_utils.guarded_action import ModuleAction


class ActionModule(ModuleAction):
    """Nothing beside what all of them do."""
