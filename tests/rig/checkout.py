# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps the checkouts on one machine apart: a word for this one.

It is part of every name that the whole machine shares. What lies below ``.rig`` needs none.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: Says nothing of the path but whether it is this one.
TOKEN = hashlib.sha256(str(ROOT).encode()).hexdigest()[:6]
