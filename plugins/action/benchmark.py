# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action for benchmark: shows how far it is, and waits for it though the connection breaks."""

from __future__ import annotations

from ansible_collections.inferops.gpu.plugins.plugin_utils.jobs import JobAction


class ActionModule(JobAction):
    """The work of benchmark."""

    module = "inferops.gpu.benchmark"
