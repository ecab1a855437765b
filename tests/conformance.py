# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m tests.conformance``: hold every provider to every clause of the contract.

The clauses are unit tests in ``tests/unit/market/conformance``. A provider that can be chosen and
has no subject there has failed.
"""

from __future__ import annotations

import argparse
import json
import sys

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.registry import (
    PROVIDERS,
)
from tests.tools.tree import REPOSITORY
from tests.unit.market.conformance.subjects import SUBJECTS

CLAUSES = REPOSITORY / "tests" / "unit" / "market" / "conformance"


class Count:
    """A plugin of pytest that counts the clauses that ran, and those that failed."""

    def __init__(self) -> None:
        self.clauses: set[str] = set()
        self.providers: set[str] = set()
        self.failed: set[tuple[str, str]] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One clause with one provider, maybe for one of several troubles."""
        name, _bracket, given = report.nodeid.rpartition("::")[2].partition("[")
        provider = next((one for one in SUBJECTS if one in given.rstrip("]").split("-")), "")
        self.clauses.add(name)
        self.providers.add(provider)
        if report.failed:
            self.failed.add((provider, name))


def main() -> int:
    """Run the clauses and end with the RESULT line."""
    parser = argparse.ArgumentParser(description="Hold every provider to the contract.")
    parser.add_argument("--provider", help="hold this one alone")
    given = parser.parse_args()
    count = Count()
    chosen = ["-k", given.provider] if given.provider else []
    arguments = ["-q", "--no-header", "--tb=short", "-p", "no:cacheprovider", *chosen]
    status = pytest.main([str(CLAUSES), *arguments], plugins=[count])
    for provider, clause in sorted(count.failed):
        print(f"{provider}: {clause}")
    missing = [] if given.provider else sorted(set(PROVIDERS) - count.providers)
    for provider in missing:
        print(f"{provider}: has no subject in tests/unit/market/conformance")
    failed = len(count.failed) + len(missing)
    told = {"providers": len(count.providers), "clauses": len(count.clauses), "failed": failed}
    print("RESULT", json.dumps(told))
    return 1 if failed or status != pytest.ExitCode.OK else 0


if __name__ == "__main__":
    sys.exit(main())
