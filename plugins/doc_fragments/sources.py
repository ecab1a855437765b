# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the modules that install from package indexes (`inferops.gpu.sources`)."""

from __future__ import annotations


class ModuleDocFragment:
    """A module extends this fragment, and takes SOURCE_OPTIONS into its argument spec."""

    DOCUMENTATION = r"""
options:
  index_url:
    description: A mirror of the Python package index.
    type: str
    default: ""
  find_links:
    description: Folders on the host, or pages, with wheels.
    type: list
    elements: str
    default: []
  offline:
    description:
      - Whether no index is asked, whatever else names one. All has to be in O(find_links) then, the
        wheel of uv included, and no Python is downloaded.
    type: bool
    default: false
  cache_dir:
    description:
      - Folder on the host that keeps wheels for the next installation. By default the installer's
        own.
    type: str
    default: ""
"""
