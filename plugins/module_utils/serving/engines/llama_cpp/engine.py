# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""llama.cpp: its words for what remedies want, and which build of it a host gets.

It comes as the Python package xllamacpp, llama.cpp's own server in one file without dependencies.
docs/architecture.md says why that one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ....common.engines.llama_cpp import words as llama_words
from ..knowledge import Admission, Judged, Knowledge, PlanImpossible
from ..spelling import Spelling

PACKAGE = "xllamacpp"
VERSION = "2026.10.11549"
"""The last number is the build of llama.cpp: b11549."""

HASHES = {
    # What the package index has for Linux: x86_64, aarch64.
    ("2026.10.11549", "cpu"): (
        "c54e7d13520ecc989c63dc99d55de3065e2f343a91f43f053d16b5e62077c261",
        "e2a3e79e775515de4ad197e667f874070446ef9ac9cf2044bc9866bc4c72289e",
    ),
}
"""The sha256 of files that were read here, by version and build; of the others the first host's
lock has them."""

_RELEASE = re.compile(r"\d+\.\d+\.\d+(\.?(post|dev|rc|a|b)\d+)?")

INDEX = "https://xorbitsai.github.io/xllamacpp/whl/{backend}"


class Build(NamedTuple):
    """What one build asks of its host, by the package's own documentation; the sizes of the one
    for GPUs, which brings cuBLAS, are an estimate."""

    name: str
    least_driver: int
    least_capability: str
    least_glibc: str
    download_gib: float
    installed_gib: float


BUILDS = {
    "cpu": Build("cpu", 0, "", "2.17", 0.04, 0.1),
    # A100, H100 and B200 have no code of their own in it: the driver makes it of the general one,
    # which one of another CUDA than 12.8 or newer refuses.
    "cuda": Build("cu128", 570, "5.0", "2.35", 0.8, 1.6),
}


def plan(host: Mapping[str, Any], accelerator: str, version: str = "") -> dict[str, Any]:
    """The build for a host as gpu_info tells of it, as far as that is known: nothing of it is
    needed. Raises PlanImpossible.
    """
    build, version = BUILDS[accelerator], version or VERSION
    if not _RELEASE.fullmatch(version):
        raise PlanImpossible(
            f"llama_cpp_version is {version!r}, which is no release of {PACKAGE}: give one such as "
            f"{VERSION}, whose last number is the build of llama.cpp, or auto."
        )
    _require("driver", host.get("driver_version"), str(build.least_driver), "rent_driver_version")
    _require("glibc", host.get("glibc_version"), build.least_glibc, "rent_image")
    for capability in _several(host.get("compute_capability")):
        _require("compute capability", capability, build.least_capability, "rent_gpu_names")
    hashes = HASHES.get((version, build.name), ())
    words = [f"{PACKAGE}=={version}", *(f"--hash=sha256:{one}" for one in hashes)]
    return {
        "accelerator": accelerator,
        "build": build.name,
        "release": version,
        "requirements": [words[0]],
        "lock": " ".join(words) + "\n" if hashes else "",
        "index": INDEX.replace("{backend}", build.name) if accelerator == "cuda" else "",
        "image": "",
        "environment": {"INFEROPS_ACCELERATOR": accelerator},
        "least_driver": str(build.least_driver or ""),
        "download_gib": build.download_gib,
        "installed_gib": build.installed_gib,
        "why": f"llama.cpp b{version.rpartition('.')[2]} ({PACKAGE} {version}, {build.name})",
    }


def refusals(values: Mapping[str, Any]) -> Iterator[str]:
    """Why no host could serve a play with these variables, one sentence each."""
    version = str(values.get("llama_cpp_version") or "auto")
    try:
        plan({}, values.get("inferops_accelerator") or "cuda", "" if version == "auto" else version)
    except PlanImpossible as error:
        yield str(error)
    if values.get("inferops_image_python") not in (None, "", "auto"):
        yield (
            "inferops_image_python names an environment of another engine, and llama.cpp is "
            "installed: leave it at auto."
        )
    model = str(values.get("inferops_model") or "/")
    if values.get("model_cache_enabled") is False and not model.startswith("/"):
        yield (
            f"model_cache_enabled is false, and llama.cpp loads a file, which {model} is not: "
            "leave it true, which downloads it, or name a GGUF file on the host by its path."
        )
    names = values.get("inferops_served_model_name")
    # In a text, commas divide names already.
    for told in llama_words.misnamed(names if isinstance(names, list) else ()):
        yield f"inferops_served_model_name: {told}."


def asked(arguments: Mapping[str, Any], extra_args: Sequence[str]) -> dict[str, Any]:
    """What arguments and words ask for, by the names of arguments. Raises ValueError."""
    settings = llama_words.read([*llama_words.spelled(arguments), *map(str, extra_args)])
    return {setting.option.name.replace("-", "_"): setting.value for setting in settings}


def _several(told: Any) -> list[Any]:
    """A host tells of each GPU, an offer of all with one text."""
    return list(told) if isinstance(told, (list, tuple)) else [told]


def _require(what: str, has: Any, least: str, variable: str) -> None:
    if has and _numbers(str(has)) < _numbers(least):
        raise PlanImpossible(
            f"llama.cpp needs {what} {least} or newer for this accelerator, and the host has "
            f"{has}: take another one ({variable}), or set inferops_accelerator to cpu."
        )


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())


class LlamaCpp(Knowledge):
    """Its options do not depend on its release."""

    def plan(
        self, host: Mapping[str, Any], accelerator: str, release: str = "auto", least: str = ""
    ) -> dict[str, Any]:
        return plan(host, accelerator, "" if release == "auto" else release)

    def unknown_options(
        self, arguments: Mapping[str, Any], extra_args: Sequence[str], may_run: Sequence[str]
    ) -> list[str]:
        return [f"{one}." for one in llama_words.complaints(arguments, extra_args)]

    def judged(self, values: Mapping[str, Any]) -> Judged:
        arguments = values.get("inferops_server_arguments") or {}
        words = values.get("inferops_server_extra_args") or ()
        unknown = (f"inferops_server_{one}" for one in self.unknown_options(arguments, words, ()))
        return Judged((*refusals(values), *unknown))

    def admission(
        self,
        arguments: Mapping[str, Any],
        extra_args: Sequence[str],
        stack: Mapping[str, Any],
    ) -> Admission:
        """It works on as many requests as it has slots, and the others wait better in the proxy."""
        slots = int(LLAMA_CPP.number(asked(arguments, extra_args), "requests_at_once"))
        return Admission(slots if slots > 0 else int(LLAMA_CPP.usual["requests_at_once"]), {})


LLAMA_CPP = Spelling(
    options={"context_tokens": "ctx_size", "requests_at_once": "parallel"},
    usual={"requests_at_once": 4},
    proof="import json, xllamacpp; print(json.dumps({'xllamacpp': xllamacpp.__version__}))",
    knowledge=LlamaCpp("llama_cpp"),
    roles=("llama_cpp",),
    weights_format="gguf",
    release_variable="llama_cpp_version",
    instead=(
        "Serve a quantised GGUF of it with llama.cpp: set inferops_engine to llama_cpp and "
        "inferops_model to one, and run deploy again."
    ),
    help_url="https://github.com/ggml-org/llama.cpp/tree/master/tools/server",
)
