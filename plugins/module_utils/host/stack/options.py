# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the modules that install from package indexes (`inferops.gpu.sources`)."""

from __future__ import annotations

from typing import Any

from .installers import Sources

SOURCE_OPTIONS: dict[str, Any] = {
    "index_url": {"type": "str", "default": ""},
    "find_links": {"type": "list", "elements": "str", "default": []},
    "offline": {"type": "bool", "default": False},
    "cache_dir": {"type": "str", "default": ""},
}


def make_sources(options: dict[str, Any], **beside: Any) -> Sources:
    """What these options name, with what only some modules know."""
    return Sources(**{name: options[name] for name in SOURCE_OPTIONS}, **beside)
