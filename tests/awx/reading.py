# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files in awx/ as they are: what AWX would be told, not what made them."""

from __future__ import annotations

import re
from collections.abc import Mapping
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


_OF_THE_ENVIRONMENT = re.compile(r"{{ lookup\('ansible\.builtin\.env', '(\w+)'\) }}")


def filled(node: Any, environment: Mapping[str, str]) -> Any:
    """The same as Ansible reads it where these variables are set and no others."""
    if isinstance(node, dict):
        return {key: filled(value, environment) for key, value in node.items()}
    if isinstance(node, list):
        return [filled(one, environment) for one in node]
    found = _OF_THE_ENVIRONMENT.fullmatch(node) if isinstance(node, str) else None
    return environment.get(found[1], "") if found else node
