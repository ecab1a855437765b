# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the proofs that lie beside this file, named by arguments; the first that fails ends it."""

from __future__ import annotations

import json
import os
import runpy
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
EXPECTED = json.loads((FOLDER / "expected.json").read_text())

for name in sys.argv[1:]:
    os.environ["INFEROPS_EXPECTED"] = EXPECTED[name]
    runpy.run_path(str(FOLDER / f"prove_{name}.py"), run_name="__main__")
