# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How often the diagnosis names the right cause first, over excerpts of real logs.

`make diagnosis` prints every miss by name and ends with the line `RESULT {...}`.

An excerpt is a file tests/unit/serving/fixtures/<cause>/<name>.log. Its folder is named after the
cause that must come first; what lies in `healthy`, and the failures in `unknown` that no entry is
for, must give none. The file begins with lines `key: value` and `---`, then comes the text as it
was printed, last, if there is one, the kernel's log after a line `--- kernel`. The keys:

- source: where the text is from; `message template in ...` where only the program that prints it
  is known, not somebody's log.
- vllm: the version that printed it, `unknown` where the source does not say, `none` where another
  program did.
- exit_code, signal: how the main process ended. Without them it ended with 1, and a healthy one
  did not end.
- tuned: `yes` where the catalogue was made or changed for this very text. The others show what
  the catalogue makes of texts that nobody wrote a signature for.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.inferops.gpu.plugins.module_utils.serving.diagnosis import (
    Diagnosis,
    diagnose,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.failures import FAILURES

FIXTURES = Path(__file__).with_name("unit") / "serving" / "fixtures"
HEALTHY = "healthy"
UNKNOWN = "unknown"
TEMPLATE = "message template in "
KERNEL = "--- kernel\n"


class Excerpt(NamedTuple):
    """A piece of a real log and what it must be explained by."""

    name: str
    cause: str
    about: dict[str, str]
    log: str
    kernel_log: str

    @property
    def ended(self) -> dict[str, Any]:
        """Exit code and signal, as `diagnose` takes them."""
        if "signal" in self.about:
            return {"signal": self.about["signal"]}
        code = self.about.get("exit_code", "" if self.cause == HEALTHY else "1")
        return {"exit_code": int(code)} if code else {}

    def diagnose(self) -> list[Diagnosis]:
        """What the catalogue makes of it."""
        return diagnose(self.log, kernel_log=self.kernel_log, **self.ended)

    @property
    def is_right(self) -> bool:
        """Whether the right cause comes first."""
        found = self.diagnose()
        none = self.cause in (HEALTHY, UNKNOWN)
        return not found if none else bool(found) and found[0].id == self.cause


def read(path: Path) -> Excerpt:
    """One file of the set."""
    head, text = path.read_text(encoding="utf-8").partition("---\n")[::2]
    about = dict(line.split(": ", 1) for line in head.splitlines())
    log, kernel_log = text.partition(KERNEL)[::2]
    cause = path.parent.name
    return Excerpt(f"{cause}/{path.stem}", cause, about, log, kernel_log)


def excerpts() -> list[Excerpt]:
    """The whole set, the healthy ones included."""
    return [read(path) for path in sorted(FIXTURES.glob("*/*.log"))]


def missing_causes() -> set[str]:
    """Causes that only the catalogue or only the set knows. Signals need no excerpt."""
    shown = {excerpt.cause for excerpt in excerpts()} - {HEALTHY, UNKNOWN}
    return shown ^ {failure.id for failure in FAILURES if failure.signatures or failure.kernel}


def main() -> int:
    failing = [excerpt for excerpt in excerpts() if excerpt.cause != HEALTHY]
    healthy = [excerpt for excerpt in excerpts() if excerpt.cause == HEALTHY]
    wrong = [excerpt for excerpt in excerpts() if not excerpt.is_right]
    for excerpt in wrong:
        print(f"wrong: {excerpt.name} is {[found.id for found in excerpt.diagnose()] or 'nothing'}")
    for cause in sorted(missing_causes()):
        print(f"missing: {cause} is only in the catalogue or only in the set")
    false_causes = sum(excerpt.cause == HEALTHY for excerpt in wrong)
    right = len(failing) - (len(wrong) - false_causes)
    result = {
        "excerpts": len(failing),
        "right_first": right,
        "rate": round(right / len(failing), 3),
        "healthy": len(healthy),
        "false_causes": false_causes,
        "missing": len(missing_causes()),
    }
    print(f"RESULT {json.dumps(result)}")
    return 0 if result["rate"] >= 0.95 and not false_causes and not missing_causes() else 1


if __name__ == "__main__":
    sys.exit(main())
