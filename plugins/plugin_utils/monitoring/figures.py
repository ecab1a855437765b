# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the report of a fleet tells, as figures in Prometheus' text format.

A figure that nobody tells is left out, never 0. Times are in seconds since the epoch: money and
deadlines follow from them whenever somebody asks, however long ago the fleet was looked at.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from ansible_collections.inferops.gpu.plugins.module_utils.common.plain import plain_line
from ansible_collections.inferops.gpu.plugins.module_utils.common.redaction import redact

#: Of each figure, what it tells. Those of GPUs have the names and units of NVIDIA's dcgm-exporter.
FAMILIES = {
    "inferops_looked_timestamp_seconds": "When the fleet was looked at.",
    "inferops_provider_unasked": "1 for a provider that did not say what is rented there.",
    "inferops_rental_info": "1 for each rental: what it is, its state and who ends it.",
    "inferops_rental_price_usd_per_hour": "What a rental bills.",
    "inferops_rental_cost_usd": "What a rental had cost when the fleet was looked at.",
    "inferops_rental_started_timestamp_seconds": "Since when a rental bills.",
    "inferops_rental_deadline_timestamp_seconds": "When a rental ends by itself.",
    "inferops_rental_contract_end_timestamp_seconds": "When its owner takes a machine back.",
    "inferops_host_finding": "1 for each thing that playbook status says of a host.",
    "inferops_host_budget_usd": "What a host may cost, rent_budget_usd.",
    "inferops_server_info": "1 for each server: its model, phase and health.",
    "inferops_proxy_lets_in": "Whether clients get in by the proxy before a server.",
    "inferops_deploy_expected_seconds": "What a phase of the latest deploy was to take.",
    "inferops_deploy_happened_seconds": "What a phase of the latest deploy took.",
    "inferops_gpu_throttled": "1 for each reason for which a GPU is slowed down.",
    "DCGM_FI_DEV_GPU_UTIL": "Utilisation of a GPU in percent.",
    "DCGM_FI_DEV_GPU_TEMP": "Temperature of a GPU in degrees Celsius.",
    "DCGM_FI_DEV_FB_USED": "Memory of a GPU that is used, in MiB.",
    "DCGM_FI_DEV_FB_FREE": "Memory of a GPU that is free, in MiB.",
}
_MOST_LETTERS = 200


class Figure(NamedTuple):
    """One figure of a family; `value` is whatever was told, and counts where it is a number."""

    family: str
    labels: Mapping[str, Any]
    value: Any


def figures(
    report: Mapping[str, Any],
    deploys: Mapping[str, Mapping[str, Any]],
    own_gpus: Collection[str] = (),
) -> str:
    """The text of all figures, families in their order.

    Args:
        report: that of filter fleet_status.
        deploys: by host, what its latest deploy has left; may be empty.
        own_gpus: hosts with a dcgm-exporter, which tells of their GPUs itself.
    """
    found: dict[str, dict[str, float]] = {family: {} for family in FAMILIES}
    scope = {"scope": report["scope"]}
    for one in _all(report, deploys, own_gpus):
        value = _number(one.value)
        if value is not None:
            # Of two that are called the same, Prometheus would take neither.
            found[one.family].setdefault(_labels({**scope, **one.labels}), value)
    return "".join(_family(family, found[family]) for family in FAMILIES if found[family])


def _all(
    report: Mapping[str, Any], deploys: Mapping[str, Mapping[str, Any]], own_gpus: Collection[str]
) -> Iterator[Figure]:
    yield Figure("inferops_looked_timestamp_seconds", {}, report["at"])
    for provider in report["unasked"]:
        yield Figure("inferops_provider_unasked", {"provider": provider}, 1)
    hosts = {told["name"] or host: host for host, told in report["hosts"].items()}
    for rental in report["rentals"]:
        name = rental["mark"]["name"]
        yield from _of_rental(rental, hosts.get(name, name), report["at"])
    for host, verdict in report["verdicts"].items():
        for finding in (verdict, *verdict["notes"]):
            labels = {"host": host, "level": finding["level"], "verdict": finding["verdict"]}
            yield Figure("inferops_host_finding", labels, 1)
    for host, told in report["hosts"].items():
        yield from _of_host(host, told)
        if host not in own_gpus:
            yield from _of_gpus(host, told["servers"])
        yield from _of_deploy(host, deploys.get(host) or {})


def _of_rental(rental: Mapping[str, Any], host: str, at: float) -> Iterator[Figure]:
    labels = {"host": host, "provider": rental["provider"], "id": rental["id"]}
    words = ("gpu_name", "gpu_count", "status", "enforced_by")
    told = {word: rental.get(word) for word in words}
    yield Figure("inferops_rental_info", {**labels, **told}, 1)
    rental_figure = "inferops_rental_{}".format
    billed = rental.get("billed_usd_per_hour")
    yield Figure(rental_figure("price_usd_per_hour"), labels, billed)
    yield Figure(rental_figure("cost_usd"), labels, rental.get("cost_usd"))
    yield Figure(rental_figure("started_timestamp_seconds"), labels, rental.get("started_at"))
    # Not the deadline as the mark has it: what is left was told by the market's own clock.
    for end, left in (
        ("deadline_timestamp_seconds", rental.get("remaining_seconds")),
        ("contract_end_timestamp_seconds", rental.get("contract_remaining_seconds")),
    ):
        yield Figure(rental_figure(end), labels, None if left is None else at + left)


def _of_host(host: str, told: Mapping[str, Any]) -> Iterator[Figure]:
    budget = _number((told.get("limits") or {}).get("budget_usd"))
    # 0 is no budget at all.
    yield Figure("inferops_host_budget_usd", {"host": host}, budget or None)
    for server in told["servers"]:
        words = {word: server.get(word) for word in ("model", "phase", "health")}
        yield Figure("inferops_server_info", {"host": host, "server": server["name"], **words}, 1)
    for proxy in told["proxies"]:
        labels = {"host": host, "server": proxy["name"]}
        yield Figure("inferops_proxy_lets_in", labels, int(bool(proxy["lets_in"])))


def _of_gpus(host: str, servers: Any) -> Iterator[Figure]:
    """Each server tells of all GPUs of its host."""
    for gpu in [gpu for server in servers for gpu in server.get("gpus") or ()]:
        labels = {"host": host, "Hostname": host, "gpu": gpu.get("index")}
        yield Figure("DCGM_FI_DEV_GPU_UTIL", labels, gpu.get("utilization_percent"))
        yield Figure("DCGM_FI_DEV_GPU_TEMP", labels, gpu.get("temperature_celsius"))
        used, whole = _number(gpu.get("memory_used_mib")), _number(gpu.get("memory_total_mib"))
        yield Figure("DCGM_FI_DEV_FB_USED", labels, used)
        told = used is not None and whole is not None
        yield Figure("DCGM_FI_DEV_FB_FREE", labels, whole - used if told else None)
        for reason in gpu.get("throttled_by") or ():
            yield Figure("inferops_gpu_throttled", {**labels, "reason": reason}, 1)


def _of_deploy(host: str, report: Mapping[str, Any]) -> Iterator[Figure]:
    """Its report lies in a folder of the user's: other versions may have written it otherwise."""
    first = report.get("first_token")
    phases = first.get("phases") if isinstance(first, dict) else None
    for phase, told in (phases if isinstance(phases, dict) else {}).items():
        for kind in ("expected", "happened") if isinstance(told, dict) else ():
            labels = {"host": host, "phase": phase}
            yield Figure(f"inferops_deploy_{kind}_seconds", labels, told.get(f"{kind}_seconds"))


def _number(told: Any) -> float | None:
    """What is a number, also as text of the command line; None for everything else."""
    try:
        value = None if told is None or isinstance(told, bool) else float(told)
    except (TypeError, ValueError):
        return None
    return value if value is not None and math.isfinite(value) else None


def _labels(labels: Mapping[str, Any]) -> str:
    """As they stand in braces. What comes from outside cannot end them, or begin another line."""
    told = {name: "" if value is None else str(value) for name, value in labels.items()}
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in told.items())


def _escaped(text: str) -> str:
    told = redact(plain_line(text, _MOST_LETTERS))
    return told.replace("\\", "\\\\").replace('"', '\\"')


def _family(name: str, found: Mapping[str, float]) -> str:
    lines = [f"# HELP {name} {FAMILIES[name]}", f"# TYPE {name} gauge"]
    lines += [f"{name}{{{labels}}} {value!r}" for labels, value in found.items()]
    return "\n".join([*lines, ""])
