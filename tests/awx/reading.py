# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files in awx/ as they are: what AWX would be told, not what made them."""

from __future__ import annotations

from typing import Any

import yaml

from tests.tools.tree import REPOSITORY


class _Loader(yaml.SafeLoader):
    """Knows the tag by which Ansible leaves a template to others."""


_Loader.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))


def committed() -> dict[str, list[dict[str, Any]]]:
    """The lists of objects, by the variable of infra.aap_configuration."""
    found: dict[str, list[dict[str, Any]]] = {}
    for file in sorted((REPOSITORY / "awx").glob("*.yml")):
        content = yaml.load(file.read_text(), Loader=_Loader)
        if isinstance(content, dict):
            found |= content
    return found
