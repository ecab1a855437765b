# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in wheels and their index: real names, versions, tags and dependencies, no real code.

releases.json holds the metadata of torch, numpy, numba, transformers and vLLM as the package index
has it; of their dependencies those that decide what can be installed together. These five become
small packages that behave by physics.yml, and the others empty ones in every version asked for.
"""

from __future__ import annotations

import hashlib
import html
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from ansible_collections.inferops.gpu.plugins.module_utils.host.stack.installers import FAMILY

HERE = Path(__file__).parent
RELEASES: dict[str, dict[str, dict[str, Any]]] = json.loads((HERE / "releases.json").read_text())
PHYSICS: dict[str, Any] = yaml.safe_load((HERE / "physics.yml").read_text())


@dataclass(frozen=True)
class Wheel:
    """One wheel: where it is published, what its metadata says, what is in it."""

    name: str
    version: str
    tag: str = "py3-none-any"
    requires: tuple[str, ...] = ()
    requires_python: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    index: str = "simple"

    @property
    def filename(self) -> str:
        return f"{self.name.replace('-', '_')}-{self.version}-{self.tag}.whl"

    @property
    def metadata(self) -> str:
        lines = [
            "Metadata-Version: 2.1",
            f"Name: {self.name}",
            f"Version: {self.version}",
            "Summary: A stand-in for tests. It holds none of the real package's code.",
            *([f"Requires-Python: {self.requires_python}"] if self.requires_python else []),
            *[f"Requires-Dist: {line}" for line in self.requires],
        ]
        return "\n".join(lines) + "\n"

    def write(self, folder: Path) -> Path:
        """Write the wheel into *folder*, the same bytes each time."""
        info = f"{self.name.replace('-', '_')}-{self.version}.dist-info"
        tags = "".join(f"Tag: {tag}\n" for tag in self.tag.split("."))
        contents = {
            **self.files,
            f"{info}/METADATA": self.metadata,
            f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\n{tags}",
            f"{info}/RECORD": "",
        }
        path = folder / self.filename
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in contents.items():
                archive.writestr(zipfile.ZipInfo(name), content)
        return path


def cuda_of(backend: str) -> str:
    """The CUDA version of a build's name: 12.8 of cu128."""
    return f"{backend[2:-1]}.{backend[-1]}"


def architectures_of_torch(version: str, backend: str) -> list[float]:
    """The compute capabilities that a build of torch has kernels for."""
    return next(
        list(row["architectures"])
        for row in PHYSICS["torch_architectures"]
        if backend in row["builds"] and version in row.get("versions", [version])
    )


def build_of_vllm(version: str) -> dict[str, Any]:
    """The row of physics.yml for a release of vLLM."""
    rows = [row for row in PHYSICS["vllm"] if Version(row["from"]) <= Version(version)]
    return dict(rows[-1])


def torch_of_vllm(version: str) -> str:
    """The torch that a release of vLLM pins."""
    wants = (Requirement(line) for line in RELEASES["vllm"][version]["requires_dist"])
    return next(str(want.specifier)[2:] for want in wants if want.name == "torch")


def all_wheels() -> Iterator[Wheel]:
    """Every wheel of the indexes."""
    yield from torch_wheels()
    yield from vllm_wheels()
    for name in ("numpy", "transformers"):
        for version in RELEASES[name]:
            yield recorded(name, version, package(name, {"version": version}))
    for version in RELEASES["numba"]:
        yield recorded("numba", version, {})
    yield from leaves()


def recorded(name: str, release: str, files: Mapping[str, str], **changes: Any) -> Wheel:
    """A wheel with the metadata that was recorded of the real one."""
    metadata = RELEASES[name][release]
    known = {
        "version": release,
        "tag": metadata["tag"],
        "requires": tuple(metadata["requires_dist"]),
        "requires_python": metadata["requires_python"],
        "files": files,
    }
    return Wheel(name, **{**known, **changes})


def package(name: str, build: Mapping[str, Any]) -> dict[str, str]:
    """The files of a stand-in package; build.json tells it what it is."""
    source = HERE / "stand_ins" / f"{name}_stand_in"
    told = json.dumps({**build, "failures": PHYSICS["failures"]})
    if source.is_dir():
        modules = {file.name: file.read_text() for file in source.glob("*.py")}
    else:
        modules = {"__init__.py": source.with_suffix(".py").read_text()}
    return {f"{name}/{file}": text for file, text in {**modules, "build.json": told}.items()}


def torch_wheels() -> Iterator[Wheel]:
    """Every build at its own index, and the default build at the package index, too."""
    for version, builds in PHYSICS["torch_builds"].items():
        yield recorded("torch", version, torch_package(version, builds[0]))
        for backend in builds:
            yield torch_build(version, backend)
    for version in PHYSICS["torch_cpu_builds"]:
        yield torch_build(version, "cpu")


def torch_build(version: str, backend: str) -> Wheel:
    """A build at the index of its own. It leaves out the CUDA libraries that were recorded: they
    are those of the package index's build."""
    return recorded(
        "torch",
        version,
        torch_package(version, backend),
        version=f"{version}+{backend}",
        requires=tuple(
            line
            for line in RELEASES["torch"][version]["requires_dist"]
            if not line.startswith(("nvidia-", "cuda-"))
        ),
        index=f"whl/{backend}",
    )


def torch_package(version: str, backend: str) -> dict[str, str]:
    """The files of a build of torch."""
    build: dict[str, Any] = {"version": f"{version}+{backend}", "cuda": None, "architectures": []}
    if backend != "cpu":
        cuda = cuda_of(backend)
        build["cuda"] = cuda
        build["least_driver"] = PHYSICS["drivers_of_cuda"][int(float(cuda))]
        build["architectures"] = architectures_of_torch(version, backend)
    return package("torch", build)


def vllm_wheels() -> Iterator[Wheel]:
    """Every recorded release at the package index, other builds at an index of their own."""
    for version, release in RELEASES["vllm"].items():
        row = build_of_vllm(version)
        numpy_1 = any(line.startswith("numpy<2") for line in release["requires_dist"])
        build = {
            "version": version,
            "torch": torch_of_vllm(version),
            "cuda": row["cuda"],
            "architectures": row["architectures"],
            "numpy_1": numpy_1,
            "aimv2": Version("0.9") <= Version(version) < Version("0.10"),
        }
        library = "_C" if row["cuda"] == 12 else "_C_stable_libtorch"
        kernels = {f"vllm/{library}.abi3.so": "a stand-in for compiled kernels\n"}
        yield recorded("vllm", version, {**package("vllm", build), **kernels})
        for backend in row.get("other_builds", []):
            other = {**build, "cuda": int(backend[2:-1]), "version": f"{version}+{backend}"}
            yield recorded(
                "vllm",
                version,
                {**package("vllm", other), **kernels},
                version=f"{version}+{backend}",
                index=f"vllm/{version}/{backend}",
            )


def leaves() -> Iterator[Wheel]:
    """An empty package for whatever is asked for and was not recorded."""
    asked: dict[str, list[Requirement]] = {}
    backends = {"cpu", *(build for builds in PHYSICS["torch_builds"].values() for build in builds)}
    for releases in RELEASES.values():
        for release in releases.values():
            for line in release["requires_dist"]:
                wanted = Requirement(line)
                asked.setdefault(canonicalize_name(wanted.name), []).append(wanted)
    for name, requirements in sorted(asked.items()):
        if name in RELEASES:
            continue
        gone = PHYSICS["withdrawn"].get(name, [])
        for version in sorted(versions_for(requirements) - set(gone)):
            yield Wheel(name, version)
            # PyTorch's index has what torch and vLLM need of its family, for each build.
            for backend in backends if name in FAMILY else ():
                yield Wheel(name, version, index=f"whl/{backend}")


def versions_for(requirements: list[Requirement]) -> set[str]:
    """Versions that fulfil each of *requirements*: those that they name, and what comes after."""
    named = {
        Version(specifier.version.replace(".*", ".0"))
        for wanted in requirements
        for specifier in wanted.specifier
    }
    after = {f"{version.base_version}.1" for version in named}
    return {"1.0", *after, *(str(version) for version in named)}


def write_index(folder: Path, wheels: Iterable[Wheel]) -> None:
    """Write wheels and their index pages (PEP 503, metadata beside the wheels) to *folder*."""
    pages: dict[str, list[Wheel]] = {}
    for wheel in wheels:
        pages.setdefault(f"{wheel.index}/{canonicalize_name(wheel.name)}", []).append(wheel)
    for page, those_of_it in pages.items():
        place = folder / page
        place.mkdir(parents=True, exist_ok=True)
        links = []
        for wheel in those_of_it:
            path = wheel.write(place)
            path.with_name(f"{path.name}.metadata").write_text(wheel.metadata)
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            links.append(
                f'<a href="{html.escape(path.name)}#sha256={digest}" data-core-metadata="true" '
                f'data-requires-python="{html.escape(wheel.requires_python)}">{path.name}</a><br>'
            )
        (place / "index.html").write_text("<!DOCTYPE html><html><body>" + "".join(links))
