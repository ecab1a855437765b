# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How keeping a model fails."""

from __future__ import annotations


class StoreError(Exception):
    """The model cannot be stored; the text says why and what to change."""
