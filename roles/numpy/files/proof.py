# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prove numpy: the version of the lock, able to compute."""

from __future__ import annotations

import json
import os

import numpy

expected = os.environ["INFEROPS_EXPECTED"]
if numpy.__version__ != expected:
    raise SystemExit(f"numpy {numpy.__version__} is imported, the lock says {expected}")
if int(numpy.arange(10).sum()) != 45:
    raise SystemExit("numpy computes wrong results")
print(json.dumps({"version": numpy.__version__}))
