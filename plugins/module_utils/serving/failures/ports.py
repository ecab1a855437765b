# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Failures of ports, addresses and limits of the host."""

from __future__ import annotations

from .entry import ENGINE_ARGUMENTS, OF_VLLM, TROUBLESHOOTING, VLLM, VLLM_ISSUES, Failure

PORTS = (
    Failure(
        "port_uri",
        (r"VLLM_PORT '[^']{0,500}' appears to be a URI",),
        "VLLM_PORT holds a URI, as a Kubernetes service named vllm sets it.",
        "Remove VLLM_PORT from the environment, or rename the service.",
        "VLLM_PORT",
        f"{VLLM}/configuration/env_vars/",
        engine=OF_VLLM,
    ),
    Failure(
        "port_taken_inside",
        (
            r"EADDRINUSE",
            r"server socket has failed to .{0,500}errno: 98\b",
            r"Could not find open port after \d",
        ),
        "A port that the workers use among themselves is taken.",
        "End servers that are left from earlier, or set VLLM_PORT to a free range.",
        "VLLM_PORT",
        f"{VLLM_ISSUES}/11617",
    ),
    Failure(
        "port_taken",
        (
            r"\[Errno 98\]",
            r"[Aa]ddress already in use",
            r"^Port \d+ is taken by ",
            r"couldn't bind HTTP server socket",
        ),
        "The port is taken by another process.",
        "Stop that process, or set port to another one.",
        "port",
        f"{VLLM_ISSUES}/9763",
    ),
    Failure(
        "port_invalid",
        (r"bind\(\): port must be 0-65535", r"VLLM_PORT '.{0,80}' must be a valid integer"),
        "The port is not a valid one.",
        "Set port to a number from 1 to 65535.",
        "port",
        ENGINE_ARGUMENTS,
    ),
    Failure(
        "port_privileged",
        (
            r"\[Errno 13\] .{0,500}bind|error while attempting to bind .{0,500}permission denied",
            r"server socket has failed to .{0,500}errno: 13\b",
        ),
        "This user may not bind that port.",
        "Set port to a number above 1023.",
        "port",
        ENGINE_ARGUMENTS,
    ),
    Failure(
        "address_not_local",
        (r"\[Errno 99\]", r"Cannot assign requested address"),
        "The address to bind is not one of this host; a public address is often translated.",
        "Set host to 127.0.0.1.",
        "host",
        ENGINE_ARGUMENTS,
    ),
    Failure(
        "open_files",
        (r"Too many open files", r"\[Errno 24\]"),
        "The limit of open files is too low.",
        "Raise it to 65535 (LimitNOFILE, ulimit -n).",
        "open files limit",
        TROUBLESHOOTING,
    ),
    Failure(
        "process_limit",
        (r"can't start new thread$", r"pthread_create failed.{0,40}: Resource temporarily"),
        "The limit of processes and threads is too low.",
        "Raise it (ulimit -u, TasksMax, a container's --pids-limit), or set OMP_NUM_THREADS lower.",
        "process limit",
        f"{VLLM_ISSUES}/6295",
        shapes=(
            r"Failed to create new thread|Thread creation failed: Resource temporarily",
            r"fork: retry: (?:Resource temporarily unavailable|No child processes)",
            r"BlockingIOError: \[Errno 11\] Resource temporarily unavailable",
        ),
    ),
)
