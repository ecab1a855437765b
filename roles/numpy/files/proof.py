# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prove numpy: the version of the lock, able to compute and to share its memory with torch."""

from __future__ import annotations

import importlib.util
import json
import os

import numpy

expected = os.environ["INFEROPS_EXPECTED"]
if numpy.__version__ != expected:
    raise SystemExit(f"numpy {numpy.__version__} is imported, the lock says {expected}")
numbers = numpy.arange(10)
if int(numbers.sum()) != 45:
    raise SystemExit("numpy computes wrong results")
with_torch = None
if importlib.util.find_spec("torch"):
    import torch

    # Fails with "Numpy is not available" where torch was built for another numpy ABI.
    shared = torch.from_numpy(numbers)
    with_torch = torch.__version__
    if int(shared.sum()) != 45 or shared.numpy().tolist() != numbers.tolist():
        raise SystemExit(f"numpy {expected} and torch {with_torch} exchange wrong numbers")
print(json.dumps({"version": numpy.__version__, "with_torch": with_torch}))
