"""Prove numpy: the version of the lock, able to compute."""

import json
import os

import numpy

expected = os.environ["INFEROPS_EXPECTED"]
if numpy.__version__ != expected:
    raise SystemExit(f"numpy {numpy.__version__} is imported, the lock says {expected}")
if int(numpy.arange(10).sum()) != 45:
    raise SystemExit("numpy computes wrong results")
print(json.dumps({"version": numpy.__version__}))
