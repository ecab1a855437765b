# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Python tools in environments of their own: uv, pip, supervisor.

They come before any lock, so their files are known here: those of each version that we ask for.
"""

from __future__ import annotations

import sysconfig
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from ...common.lock import normalised
from ...common.private_files import write_private
from .installers import Sources, StackError, host_python, name_and_version, run

#: The sha256 of all files that the package index has of a version. Another version has no hashes:
#: whoever asks for it trusts the index.
HASHES: dict[str, tuple[str, ...]] = {
    "pip==25.3": (
        "8d0538dbbd7babbd207f261ed969c65de439f6bc9e5dbd3b3b9a77f25d95f343",
        "9655943313a94722b7774661c21049070f6bbb0a1516bf02f7c8d5d9201514cd",
    ),
    "supervisor==4.3.0": (
        "0bcb763fddafba410f35cbde226aa7f8514b9fb82eb05a0c85f6588d1c13f8db",
        "4a2bf149adf42997e1bb44b70c43b613275ec9852c3edacca86a9166b27e945e",
    ),
    "uv==0.13.8": (
        "0b3e8b1a4f5e405e31e2ff33de8af4744831e9f7338539671efbd8c3c94e791d",
        "0ec33661a14e38dea8dfb18167d2a4a5c7fe3d476c62dd8eb6acf5f378727201",
        "13050c64530a1ccfc223af0306a8152d41c0d36ea63bc19161221ca65dfe480a",
        "29451c60f5e8b07403e0a175d5229efc36b0289b34143ff4aaa499a5dd52553a",
        "5337c30bb893b4f9ce0ceb921ba2da0d13f649da644f40ad3bef84083bef0203",
        "55c0b405e75dea1d1c53efc9a8e0725f4031be0e219ec2a08b15d78ece9a616a",
        "5ace7ec339798aca31be51a75fa7c1544fe84e02fadd17a9fa3324813bbaf237",
        "62b6943c7fd64fac6854f780bea6e0359e5a5bc3241f83ee357bb38276afac49",
        "63d807451e63c8d21b1b33c945af16438ac9d8ffddc59b31ce69c692135891f5",
        "6999618363d03a0a085a9491db319e00b461dbda205db06ef1fd55dfcbf6472b",
        "86f1319f851e645bc295bb921e6be19beae7e69216c75ae809010ca7817393aa",
        "87614f62b09e3571593ffe01bf2e1dccb8df928a8423324dba80c6d0e33060eb",
        "9cf0b7b12f13da6ab1c85694ab618d97a2bbd0c904cdea7f0172fb1dd768b9d5",
        "b26fe533dc6153787e40443b7d9428ed41349127bff36a954ec82c48be01ded9",
        "b4184029b1b7c54409b9cd4372c73a36ef9c2d1d7cf3b0aca59c8b1932f041dc",
        "b7124ca1956ec2e476a1003ea5715a15f0266afaec37f4dc9c6972ba8183e6d1",
        "bfcaada3989c7716ad4b58673cd1413fad4fdc6b2e446f9553db0ef18da20850",
        "cfbc13020a64cdf2f116d2936824c38edbf41e5c07f1ea291baf02e31ebf3ed0",
        "e18a57b8b352eb7c8feb317b9f6f533c8f0ad9673fd6cf34bbe3cf1a9f6a8984",
    ),
}

_KEPT = "Check disk space and the package sources, then run again: what is there is kept."
_NO_INDEX = (
    "Check the host's way to the package index, give a mirror as inferops_index_url, or put its "
    "wheel, as the package index has it, into a folder named by inferops_find_links."
)


def has_tool(folder: Path, requirement: str) -> bool:
    """Whether the environment *folder* holds this tool, given as name==version."""
    name, _equals, version = requirement.partition("==")
    installed = folder.glob("lib/python*/site-packages/*.dist-info")
    return (normalised(name), version) in map(name_and_version, installed)


def install_tool(folder: Path, requirement: str, sources: Sources, uv: Path | None = None) -> None:
    """Install a tool into the environment *folder*, which is made when missing.

    It takes no more than the host's own Python with venv: uv itself comes this way. *uv* does the
    same in a tenth of the time, where it finds the tool: pip may know an index that it does not.
    """
    sources.require()
    if uv is not None and uv.exists():
        with suppress(StackError):
            _install_by_uv(folder, requirement, sources, uv)
            return
    python, wheel = folder / "bin" / "python", _bundled_pip()
    if not (python if wheel else folder / "bin" / "pip").exists():
        without = ["--without-pip"] if wheel else []
        run(
            [host_python(), "-m", "venv", "--clear", *without, str(folder)],
            f"Making an environment for {requirement}",
            "On Debian and Ubuntu: apt-get install python3-venv.",
        )
    pip = [f"{wheel}/pip"] if wheel else ["-m", "pip"]
    run(
        [str(python), *pip, "install", "--quiet", *_asked(folder, requirement)],
        f"Installing {requirement}",
        _NO_INDEX,
        sources.environment(),
    )


def _bundled_pip() -> str:
    """The wheel from which venv gives pip to an environment; empty where there is none.

    Python runs it as it is, in half the time that it takes to install it first.
    """
    folders = [sysconfig.get_config_var("WHEEL_PKG_DIR") or ""]
    with suppress(ImportError):
        folders.append(f"{import_module('ensurepip').__path__[0]}/_bundled")
    wheels = [
        str(wheel) for folder in folders if folder for wheel in Path(folder).glob("pip-*.whl")
    ]
    return wheels[0] if wheels else ""


def _install_by_uv(folder: Path, requirement: str, sources: Sources, uv: Path) -> None:
    environment = sources.environment()
    if not (folder / "bin" / "python").exists():
        make = [str(uv), "venv", "--quiet", "--clear", "--python", host_python(), str(folder)]
        run(make, f"Making an environment for {requirement}", _KEPT, environment)
    install = [str(uv), "pip", "install", "--quiet", "--python", str(folder / "bin" / "python")]
    run(
        [*install, *sources.options_of_uv(), *_asked(folder, requirement)],
        f"Installing {requirement}",
        _NO_INDEX,
        environment,
    )


def _asked(folder: Path, requirement: str) -> list[str]:
    """The tool as pip and uv are asked for it: its known wheels alone, where they are known."""
    known = HASHES.get(requirement)
    if not known:
        return [requirement]
    # Both take hashes only from a file.
    listed = folder / "hashes.txt"
    words = [requirement, *(f"--hash=sha256:{one}" for one in known)]
    write_private(listed, " ".join(words) + "\n")
    return ["--require-hashes", "--only-binary", ":all:", "--requirement", str(listed)]
