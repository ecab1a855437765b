# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets Ansible load the collection from this checkout, for the whole process."""

from __future__ import annotations

import os

from tests.tools.tree import REPOSITORY


def install() -> None:
    """Set Ansible's settings and its collection loader.

    It must come before any import of Ansible (which reads its settings then) or of the collection.
    """
    os.environ["ANSIBLE_CONFIG"] = str(REPOSITORY / "ansible.cfg")
    os.environ.setdefault("ANSIBLE_HOME", str(REPOSITORY / ".rig" / "drills" / "ansible"))
    from ansible.plugins.loader import init_plugin_loader

    init_plugin_loader([str(REPOSITORY / "collections")])
