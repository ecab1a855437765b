# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares the compatibility table with what vLLM's releases declare on the package index.

It asks pip, with pip's own settings, for every release of the table and for those that the table
does not know, and prints what differs. It exits 1 when there is a difference.

With ``--write`` it changes the table as far as metadata goes, and shows the change. A new release
joins the row that says the same, or gets a row of its own. That takes over the builds of the row
before: what no metadata has (architectures, CUDA, a lock that resolved) needs a person and a
source, and until then ``auto`` leaves it alone.
"""

from __future__ import annotations

import difflib
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.vllm import releases
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.vllm.releases import (
    SERIES,
    Series,
)

#: pip is called once for each release.
LOOKUPS_AT_ONCE = 4
#: Releases after which a line tells how far it is: all of them take minutes.
TELL_EVERY = 5
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
        "transformers": SpecifierSet(
            ",".join(str(one.specifier) for one in wants.get("transformers", []))
        ),
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
    return found + _transformers(version, row, said["transformers"])


def _transformers(version: str, row: Series, said: SpecifierSet) -> list[str]:
    """Whether the row leaves a transformers that the release takes, and none that is too new."""
    limits = SpecifierSet(row.transformers.removeprefix("transformers"))
    lowest = [one.version for one in said if one.operator == ">="] or ["4.0"]
    if not any(one in limits for one in lowest):
        return [f"vLLM {version}: {row.transformers}, the release declares {said}"]
    if not any(one.operator.startswith("<") for one in (*said, *limits)):
        return [f"vLLM {version}: neither the table nor the release caps transformers ({said})"]
    return []


def written(table: str, reports: dict[str, dict[str, Any]]) -> str:
    """The source of the table with what these reports declare, by version, newest first."""
    rows = [row for row in SERIES if row.accelerator == "cuda"]
    for row in rows:
        said = [declared(reports[version]) for version in row.versions if version in reports]
        for column, value in (("torch", row.torch), ("glibc", row.glibc)):
            values = {one[column] for one in said}
            newer = values - {value} and (
                column == "torch" or Version(max(values)) > Version(value)
            )
            if len(values) == 1 and newer:
                table = _changed(table, row.versions[0], column, values.pop())
    known = {version for row in rows for version in row.versions}
    for version in sorted(reports.keys() - known, key=Version):
        same = [row for row in rows if not differences(version, row, reports[version])]
        if same:
            table = _joined(table, same[0].versions[0], version)
        else:
            table = _begun(table, rows[0], version, declared(reports[version]))
    return table


def _row_of(table: str, version: str) -> tuple[int, int]:
    """Where the first row that names *version* begins and ends."""
    named = table.index(f'"{version}"')
    return table.rindex("    Series(\n", 0, named), table.index("\n    ),\n", named)


def _changed(table: str, version: str, column: str, value: str) -> str:
    begin, end = _row_of(table, version)
    # A name, such as _GLIBC_OF_LLGUIDANCE, has a source of its own: it is left to a person.
    row = re.sub(rf'(\n        {column}=)"[^"]*"', rf'\g<1>"{value}"', table[begin:end], count=1)
    return table[:begin] + row + table[end:]


def _joined(table: str, neighbour: str, version: str) -> str:
    begin, end = _row_of(table, neighbour)
    row = table[begin:end].replace("versions=(", f'versions=("{version}", ', 1)
    return table[:begin] + row + table[end:]


def _begun(table: str, newest: Series, version: str, said: dict[str, Any]) -> str:
    begin, end = _row_of(table, newest.versions[0])
    builds = re.search(r"\n        builds=.*", table[begin:end])
    assert builds, "every row has builds"
    lowest = next(one.version for one in said["python"] if one.operator == ">=")
    above = next((one.version for one in said["python"] if one.operator == "<"), "")
    row = [
        f'        versions=("{version}",),',
        f'        torch="{said["torch"]}",',
        f'        python=">={lowest},<{above or newest.python.partition(",<")[2]}",',
        f'        glibc="{max(said["glibc"], newest.glibc, key=Version)}",',
        builds[0].strip("\n"),
        f'        source="metadata; builds and glibc as of {newest.versions[0]}, to be proven",',
        *(["        ray=True,"] if said["ray"] else []),
    ]
    lines = "\n".join(["    Series(", *row, "    ),", ""])
    return table[:begin] + lines + table[begin:]


def _glibc(wheel: str) -> str:
    """The oldest glibc that a wheel's tag allows; manylinux1 is glibc 2.5."""
    tagged = re.findall(r"manylinux_(\d+)_(\d+)", wheel)
    return ".".join(min(tagged, key=lambda pair: int(pair[1]))) if tagged else "2.5"


def report_of(version: str) -> dict[str, Any]:
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
        for version in row.versions:
            if version not in row.gone:
                yield version, row


def main(arguments: list[str]) -> int:
    """Print the differences; 1 when there are any. With --write also change the table."""
    found, rows = [], dict(_lookups())
    reports = {}
    with ThreadPoolExecutor(LOOKUPS_AT_ONCE) as pool:
        for version, report in zip(rows, pool.map(report_of, rows), strict=True):
            reports[version] = report
            if len(reports) % TELL_EVERY == 0:
                print(f"… {len(reports)} of {len(rows)} releases", flush=True)
    for version, row in rows.items():
        found += differences(version, row, reports[version])
    print("\n".join(found) or "The table says what the releases declare.")
    if found and "--write" in arguments:
        file = Path(releases.__file__).resolve()
        before = file.read_text()
        after = written(before, reports)
        file.write_text(after)
        changes = difflib.unified_diff(
            before.splitlines(), after.splitlines(), "before", "after", n=1
        )
        print("\n".join(changes) or "Nothing of this can be written by metadata alone.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
