# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares the compatibility table with what vLLM's releases declare on the package index.

It asks pip, with pip's own settings, for the newest release of each row and for releases that the
table does not know, and prints what differs. It exits 1 when there is a difference. It changes
nothing: a new row needs sources that no metadata has (architectures, CUDA, a lock that resolved).
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from ansible_collections.inferops.gpu.plugins.module_utils.serving.releases import SERIES, Series

#: Releases that the table does not know and that are looked up in one run.
MOST_NEW_RELEASES = 5


def declared(report: dict[str, Any]) -> dict[str, Any]:
    """What a release declares of the table's columns, from pip's report about it."""
    (release,) = report["install"]
    metadata = release["metadata"]
    wants: dict[str, list[Requirement]] = {}
    for line in metadata["requires_dist"]:
        wanted = Requirement(line)
        if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
            wants.setdefault(wanted.name, []).append(wanted)
    limits = SpecifierSet(",".join(str(one.specifier) for one in wants.get("numpy", [])))
    return {
        "torch": str(wants["torch"][0].specifier)[2:],
        "python": SpecifierSet(metadata.get("requires_python", "")),
        "numpy 2": limits.contains("2.0.0"),
        "ray": "ray" in wants,
        "glibc": _glibc(release["download_info"]["url"]),
    }


def differences(version: str, row: Series | None, report: dict[str, Any]) -> list[str]:
    """Where the row of *version* does not say what the release declares."""
    said = declared(report)
    words = ", ".join(f"{name} {value}" for name, value in said.items())
    if row is None:
        return [f"vLLM {version} is not in the table: {words}"]
    table = {
        "torch": row.torch,
        "numpy 2": not row.numpy,
        "ray": row.ray,
    }
    found = [
        f"vLLM {version}: {name} is {value} in the table, the release declares {said[name]}"
        for name, value in table.items()
        if value != said[name]
    ]
    oldest, _comma, above = row.python.removeprefix(">=").partition(",<")
    if oldest not in said["python"] or f"{above[:2]}{int(above[2:]) - 1}" not in said["python"]:
        found.append(f"vLLM {version}: Python {row.python}, the release declares {said['python']}")
    if Version(row.glibc) < Version(said["glibc"]):
        found.append(f"vLLM {version}: glibc {row.glibc}, the wheel's tag says {said['glibc']}")
    return found


def _glibc(wheel: str) -> str:
    """The oldest glibc that a wheel's tag allows; manylinux1 is glibc 2.5."""
    tagged = re.findall(r"manylinux_(\d+)_(\d+)", wheel)
    return ".".join(min(tagged, key=lambda pair: int(pair[1]))) if tagged else "2.5"


def _report(version: str) -> dict[str, Any]:
    """pip's report about one release; only metadata is fetched."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "report.json")
        command = ["install", "--quiet", "--dry-run", "--no-deps", "--ignore-installed"]
        command += ["--ignore-requires-python", "--report", str(file), f"vllm=={version}"]
        subprocess.run([sys.executable, "-m", "pip", *command], check=True)
        report: dict[str, Any] = json.loads(file.read_text())
        return report


def _released() -> list[str]:
    """All releases on the index, newest first."""
    command = [sys.executable, "-m", "pip", "index", "versions", "vllm"]
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return re.findall(r"[0-9][^\s,]*", said.partition("Available versions:")[2].splitlines()[0])


def _lookups() -> Iterator[tuple[str, Series | None]]:
    rows = [row for row in SERIES if row.accelerator == "cuda"]
    known = {version for row in rows for version in row.versions}
    oldest = min(Version(version) for version in known)
    unknown = [one for one in _released() if one not in known and Version(one) >= oldest]
    for version in unknown[:MOST_NEW_RELEASES]:
        yield version, None
    for row in rows:
        if row.versions[0] not in row.gone:
            yield row.versions[0], row


def main() -> int:
    """Print the differences; 1 when there are any."""
    found = []
    for version, row in _lookups():
        found += differences(version, row, _report(version))
    print("\n".join(found) or "The table says what the releases declare.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
