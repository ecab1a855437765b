# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every module says about check mode, diff mode and platforms (`inferops.gpu.attributes`)."""

from __future__ import annotations


class ModuleDocFragment:
    """A module extends this fragment and adds its own `support` to each attribute."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description:
      - Can run in check mode and report what would change, without changing or renting anything.
  diff_mode:
    description: Returns what changed, or in check mode would change, when run with C(--diff).
  platform:
    description: Operating systems on which the module can run.
    support: full
"""
