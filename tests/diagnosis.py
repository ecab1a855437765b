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
- engine: what wrote it, where that is not the usual one.
- exit_code, signal: how the main process ended. Without them it ended with 1, and a healthy one
  did not end.
- tuned: `yes` where the catalogue was made or changed for this very text. For a text with a batch
  its first sight says it: the catalogue was changed for each that it did not get right.
- batch, first_sight: for texts that were collected together, which ones, and what the catalogue
  made of this one before anybody had looked at it. That is never edited: it says how the
  catalogue does in the field, the rate of today says only that it remembers. `cases` were handed
  in because they had failed, `first` was collected before the rules for them, half of it by
  looking for kinds that had no entry, and `second` to `fifth` each after the rules
  had been changed for all before it, to see whether they carry; the third by kind. Whoever chose
  `sixth` and `seventh` had read the catalogue, and looked for words that are in none of its
  entries: so these say how much is left, not how often it is right.

Every entry of the catalogue has a folder, and every folder an entry. `LEAST_CAUSES` says how many
there are at least, so that one cannot get lost with its folder.
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
from ansible_collections.inferops.gpu.plugins.module_utils.serving.failures import (
    ENVELOPE,
    FAILURES,
)

FIXTURES = Path(__file__).with_name("unit") / "serving" / "fixtures"
HEALTHY = "healthy"
UNKNOWN = "unknown"
LEAST_EXCERPTS, LEAST_NEW, LEAST_HEALTHY, LEAST_CAUSES = 470, 210, 50, 113
BATCHES = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh")
LEAST_RATE, MOST_WRONG = 0.95, 0.02
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

    @property
    def engine(self) -> dict[str, str]:
        """What wrote it, as `diagnose` takes it; nothing for the usual one."""
        return {"engine": self.about["engine"]} if "engine" in self.about else {}

    def diagnose(self) -> list[Diagnosis]:
        """What the catalogue makes of it."""
        return diagnose(self.log, kernel_log=self.kernel_log, **self.ended, **self.engine)

    @property
    def is_right(self) -> bool:
        """Whether the right cause comes first."""
        return is_right(self.cause, self.verdict)

    @property
    def verdict(self) -> str:
        """The cause that comes first."""
        found = self.diagnose()
        return found[0].id if found else UNKNOWN

    @property
    def misleads(self) -> bool:
        """Whether a wrong cause is claimed. An envelope claims none."""
        found = self.diagnose()
        return bool(found) and found[0].kind != ENVELOPE and not self.is_right


def is_right(cause: str, verdict: str) -> bool:
    """Healthy logs and failures that no entry is for must give none."""
    return verdict == (UNKNOWN if cause == HEALTHY else cause)


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
    """Causes that not both the catalogue and the set know."""
    shown = {excerpt.cause for excerpt in excerpts()} - {HEALTHY, UNKNOWN}
    return shown ^ known_causes()


def known_causes() -> set[str]:
    """Those that the catalogue finds in a text. Signals need no excerpt."""
    return {entry.id for entry in FAILURES if entry.signatures or entry.shapes or entry.kernel}


def at_first_sight(batch: str, failing: list[Excerpt]) -> float:
    """How often a batch was explained rightly before anybody had looked at it."""
    seen = [one for one in failing if one.about.get("batch") == batch]
    right = [one for one in seen if is_right(one.cause, one.about["first_sight"])]
    return round(len(right) / len(seen), 3) if seen else 0.0


def main() -> int:
    failing = [excerpt for excerpt in excerpts() if excerpt.cause != HEALTHY]
    healthy = [excerpt for excerpt in excerpts() if excerpt.cause == HEALTHY]
    wrong = [excerpt for excerpt in failing if not excerpt.is_right]
    false = [excerpt for excerpt in healthy if not excerpt.is_right]
    for excerpt in wrong + false:
        print(f"wrong: {excerpt.name} is {[found.id for found in excerpt.diagnose()] or 'nothing'}")
    for cause in sorted(missing_causes()):
        where = "excerpt" if cause in known_causes() else "entry in the catalogue"
        print(f"missing: {cause} has no {where}")
    misleading = sum(excerpt.misleads for excerpt in failing)
    rate = (len(failing) - len(wrong)) / len(failing)
    result = {
        "causes": len(known_causes()),
        "excerpts": len(failing),
        "new": sum(excerpt.about.get("batch") in BATCHES for excerpt in failing),
        "right_first": len(failing) - len(wrong),
        "rate": round(rate, 3),
        "at_first_sight": at_first_sight("first", failing),
        "held_out": {batch: at_first_sight(batch, failing) for batch in BATCHES[1:]},
        "healthy_logs": len(healthy),
        "false_causes": len(false),
        "wrong_confident": misleading,
        "missing": len(missing_causes()),
    }
    print(f"RESULT {json.dumps(result)}")
    enough = len(failing) >= LEAST_EXCERPTS and len(healthy) >= LEAST_HEALTHY
    enough = enough and result["new"] >= LEAST_NEW and result["causes"] >= LEAST_CAUSES
    right = rate >= LEAST_RATE and misleading <= MOST_WRONG * len(failing)
    return 0 if enough and right and not false and not missing_causes() else 1


if __name__ == "__main__":
    sys.exit(main())
