# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The environment that vLLM's server is run with."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ....common.engines.vllm.words import canonical, options_of, read
from ....common.private_files import private_folder
from ..engine import Wish
from .caches import inductor_cache

ENGINE_READY_SECONDS = 600
"""How long vLLM waits for its engine when VLLM_ENGINE_READY_TIMEOUT_S does not say it."""

SOCKET_NAME_LENGTH = 36
"""vLLM names its sockets by UUIDs. The whole path may have 107 bytes, unix(7)."""

NOT_INHERITED = ("VLLM_PORT",)
"""Of a cluster: Kubernetes sets it to an address beside a service named vllm."""

WITHIN_THE_HOST = {
    "VLLM_HOST_IP": "127.0.0.1",
    "GLOO_SOCKET_IFNAME": "lo",
    "NCCL_SOCKET_IFNAME": "lo",
    "TP_SOCKET_IFNAME": "lo",
}
"""Where the processes of one server meet. They ask each other for no key, and without these they
listen on the address by which the host reaches the internet.
"""

BEYOND_THE_HOST = (
    "data_parallel_address",
    "data_parallel_rpc_port",
    "data_parallel_size_local",
    "ec_transfer_config",
    "kv_transfer_config",
    "master_addr",
    "nnodes",
    "node_rank",
)
"""Options by which a server is a part of one on several hosts. Ray knows a host by its address."""


def is_alone(wish: Wish) -> bool:
    """Whether all processes of the server are on this host, as far as its options tell."""
    known = options_of(None)
    asked = {canonical(name, known): value for name, value in wish.arguments.items()}
    named = {**asked, **read(wish.extra_args, known).arguments}
    options = {
        name.partition(".")[0]: value
        for name, value in named.items()
        if value is not None and value is not False
    }
    return not set(options) & set(BEYOND_THE_HOST) and "ray" not in options.values()


def server_environment(
    own: Mapping[str, str],
    asked: Mapping[str, str],
    wish: Wish,
    start_seconds: int = 0,
) -> dict[str, str]:
    """The launcher's variables without those of a cluster, then ours, then what was asked for.

    The engine gets as much time to load as the start as a whole. Where the server is alone, its
    processes meet on the loopback.

    SPT_NOENV keeps setproctitle, which vLLM uses to rename its processes, from writing the new
    title over the environment that /proc shows: the marker would be lost with it.
    """
    environment = {key: value for key, value in own.items() if key not in NOT_INHERITED}
    # Compilers and tools of the virtual environment (ninja) are looked up by name.
    environment["PATH"] = f"{Path(wish.python).parent}:{environment['PATH']}"
    environment["NO_COLOR"] = "1"
    # A worker that dies of a fault says so itself: vLLM often finds no exit code for it.
    environment["PYTHONFAULTHANDLER"] = "1"
    if is_alone(wish):
        environment.update(WITHIN_THE_HOST)
    if start_seconds > ENGINE_READY_SECONDS:
        environment["VLLM_ENGINE_READY_TIMEOUT_S"] = str(start_seconds)
    environment.update(asked)
    environment["SPT_NOENV"] = "1"
    return environment


def temporary_variables(folder: Path) -> dict[str, str]:
    """Variables that keep the server's temporary files together: vLLM leaves some of them behind.

    None where the folder cannot be made, or cannot hold sockets with the names that vLLM gives.
    What torch compiles would lie there too: it stays where the next start finds it. So do Ray's
    sockets, whose paths are longer.
    """
    probe = folder / ("x" * SOCKET_NAME_LENGTH)
    try:
        private_folder(folder)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(probe))
        probe.unlink()
    except OSError:
        return {}
    kept = os.environ.get("TORCHINDUCTOR_CACHE_DIR")
    try:
        # It lies in /tmp, and what is compiled there is run.
        kept = kept or str(private_folder(inductor_cache()))
    except OSError:
        kept = str(folder / "inductor")
    return {
        "RAY_TMPDIR": os.environ.get("RAY_TMPDIR", tempfile.gettempdir()),
        "TORCHINDUCTOR_CACHE_DIR": kept,
        "TMPDIR": str(folder),
    }
