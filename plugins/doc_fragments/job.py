# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Options of modules whose work goes on when the connection breaks."""

    DOCUMENTATION = r"""
options:
  job:
    description:
      - An id for this piece of work. With it the work goes on in a process of its own when the
        connection breaks, and another call with the same id brings its result.
      - In a play the action plugin sets it, and shows how far the work is.
    type: str
    default: ""
  watch_seconds:
    description:
      - How long a call with O(job) waits for the result. When there is none by then, it returns
        RV(ignore:running) with what is being done, for how long, and how much the disk has grown.
    type: float
    default: 5
"""
