# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the page of a fleet shows, from the report of status: plain texts and finite numbers alone.

Hosts and marketplaces wrote much of it. Each value passes `words` or `number`; nothing else of the
report reaches the page, so that what is secret in it stays there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ansible_collections.inferops.gpu.plugins.module_utils.common.plain import plain_line
from ansible_collections.inferops.gpu.plugins.module_utils.common.redaction import redact
from ansible_collections.inferops.gpu.plugins.module_utils.market.model import rental_since
from ansible_collections.inferops.gpu.plugins.plugin_utils.fleet_page.timeline import (
    PHASES,
    timelines,
)
from ansible_collections.inferops.gpu.plugins.plugin_utils.fleet_verdicts import (
    LEVELS,
    NEEDS_YOU,
    rentals_by_name,
)

NOT_TOLD = "not told"
#: What there cannot be, such as a price of a host that is not rented.
NONE = "\N{EN DASH}"
_LONGEST_TEXT, _LONGEST_NAME = 400, 120
#: What is expected to be billed is shown so far ahead.
HORIZON_SECONDS = 86400.0


def words(value: Any, most: int = _LONGEST_TEXT) -> str:
    """*value* as one plain line without secrets; empty for None."""
    return "" if value is None else redact(plain_line(str(value), most))


def number(value: Any) -> float | None:
    """*value* where it is a finite number, else None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) else None


def figures(report: Mapping[str, Any], deploys: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """All that the page shows: `scope`, `at`, `tiles`, `rows`, `timelines`, `plots`.

    Args:
        report: as fleet_status returns it.
        deploys: by host, the report that its latest deploy has left, where there is one.
    """
    rows = sorted(_rows(report, deploys), key=lambda row: LEVELS.index(row["level"]))
    return {
        "scope": words(report["scope"]),
        "at": number(report["at"]) or 0.0,
        "unasked": [words(one) for one in report["unasked"]],
        "tiles": _tiles(report, rows),
        "rows": rows,
        "timelines": timelines(rows),
        "plots": _plots(report, rows),
    }


def _rows(
    report: Mapping[str, Any], deploys: Mapping[str, Mapping[str, Any]]
) -> Iterable[dict[str, Any]]:
    by_name = rentals_by_name(report["rentals"])
    for host, verdict in report["verdicts"].items():
        told = report["hosts"].get(host, {})
        rentals = by_name.get(told.get("name") or host, [])
        yield _row(host, verdict, told, rentals, deploys.get(host) or {})


def _row(
    host: str,
    verdict: Mapping[str, Any],
    told: Mapping[str, Any],
    rentals: list[Mapping[str, Any]],
    deploy: Mapping[str, Any],
) -> dict[str, Any]:
    servers = told.get("servers") or []
    return {
        "host": words(host),
        **_finding(verdict),
        "notes": [_finding(one) for one in verdict["notes"]],
        "steps": _steps([verdict, *verdict["notes"]]),
        "needs_you": verdict["level"] in NEEDS_YOU,
        "serves": any(server["health"] == "serving" for server in servers),
        "own": bool(told.get("own")),
        # Where there is no host, nobody could tell.
        "untold": NOT_TOLD if rentals or told.get("own") else NONE,
        "servers": [words(f"{one['model']} on port {one['port']}") for one in servers],
        **_rental(rentals, bool(told.get("own"))),
        **_load(servers),
        "deploy": _deploy(deploy, rentals),
    }


def _finding(one: Mapping[str, Any]) -> dict[str, str]:
    level = one["level"] if one["level"] in LEVELS else LEVELS[0]
    return {"level": level, **{key: words(one[key]) for key in ("verdict", "why", "next")}}


def _steps(findings: Iterable[Mapping[str, Any]]) -> list[str]:
    """What to do, each step once."""
    return list(dict.fromkeys(words(one["next"]) for one in findings if one["next"]))


def _rental(rentals: list[Mapping[str, Any]], own: bool) -> dict[str, Any]:
    """What a host bills, of all rentals of its name, and when the one that counts ends."""
    if not rentals:
        place = "own host" if own else NONE
        return {
            **{"place": place, "gpu": "", "ends": NONE, "ends_by": "", "ends_seconds": None},
            **{name: _dollars(None, NONE) for name in ("rate", "spent", "daily")},
        }
    first = rentals[0]
    rates = [number(one["billed_usd_per_hour"]) for one in rentals]
    rate = None if None in rates else sum(one or 0.0 for one in rates)
    # Without a price nobody knows what it has cost: 0 would be a lie.
    spent = None if rate is None else sum(number(one["cost_usd"]) or 0.0 for one in rentals)
    return {
        "place": words(f"{first['provider']} {first['id']}", _LONGEST_NAME),
        "gpu": _gpu(first),
        **_end(first),
        "rate": _dollars(rate, NOT_TOLD, 4),
        "spent": _dollars(spent, NOT_TOLD),
        "daily": _dollars(None if rate is None else rate * 24, NOT_TOLD),
    }


def _gpu(rental: Mapping[str, Any]) -> str:
    count, name = number(rental.get("gpu_count")), words(rental.get("gpu_name"), _LONGEST_NAME)
    return f"{count:g} x {name}" if count and name else f"GPU {NOT_TOLD}"


#: Who ends a rental at its deadline, in the width of a column.
_ENDED_BY = {"host": "by its switch", "provider": "by its provider", "nobody": "by nobody"}


def _end(rental: Mapping[str, Any]) -> dict[str, Any]:
    """When a rental ends, and by whom."""
    left, contract = number(rental["remaining_seconds"]), _ends_seconds(rental)
    if contract is None:
        return {"ends": "no deadline", "ends_by": "", "ends_seconds": None}
    if contract < 0:
        return {"ends": "overdue", "ends_by": "", "ends_seconds": contract}
    by = _ENDED_BY.get(rental["enforced_by"], "") if contract == left else "its contract"
    return {"ends": f"in {contract / 3600:.1f} h", "ends_by": by, "ends_seconds": contract}


def _ends_seconds(rental: Mapping[str, Any]) -> float | None:
    ends = (number(rental["remaining_seconds"]), number(rental["contract_remaining_seconds"]))
    return min((one for one in ends if one is not None), default=None)


def _dollars(value: float | None, untold: str, digits: int = 2) -> dict[str, Any]:
    return {"value": value, "text": untold if value is None else f"{value:.{digits}f}"}


def _load(servers: list[Mapping[str, Any]]) -> dict[str, Any]:
    """How hard the GPUs work and what flows; servers of one host see the same GPUs."""
    seen = max((server["gpus"] for server in servers), key=len, default=[])
    gpus = [
        {
            "index": number(gpu.get("index")) or 0.0,
            "utilization_percent": number(gpu.get("utilization_percent")),
            "temperature_celsius": number(gpu.get("temperature_celsius")),
            "memory_percent": _share(gpu.get("memory_used_mib"), gpu.get("memory_total_mib")),
            "memory": _memory(gpu.get("memory_used_mib"), gpu.get("memory_total_mib")),
            "throttled_by": [words(one) for one in gpu.get("throttled_by") or []],
        }
        for gpu in seen
    ]
    flows = [number(server["tokens_per_second"]) for server in servers]
    told = [one for one in flows if one is not None]
    return {
        "gpus": gpus,
        "busy_percent": max(
            (gpu["utilization_percent"] for gpu in gpus if gpu["utilization_percent"] is not None),
            default=None,
        ),
        "tokens_per_second": sum(told) if told else None,
        "queues": [_queue(server) for server in servers],
    }


def _share(used: Any, total: Any) -> float | None:
    part, whole = number(used), number(total)
    return round(100 * part / whole, 1) if part is not None and whole else None


def _memory(used: Any, total: Any) -> str:
    part, whole = number(used), number(total)
    if part is None or whole is None:
        return f"memory {NOT_TOLD}"
    return f"{part / 1024:.1f} of {whole / 1024:.1f} GiB"


def _queue(server: Mapping[str, Any]) -> list[str]:
    running, waiting = number(server["requests_running"]), number(server["requests_waiting"])
    parts = []
    if running is not None and waiting is not None:
        parts += [f"{running:g} running", f"{waiting:g} waiting"]
    cache, up = number(server["kv_cache_usage"]), number(server["uptime_seconds"])
    if cache is not None:
        parts.append(f"KV cache {cache * 100:.0f}\N{NO-BREAK SPACE}%")
    if up is not None:
        parts.append(f"up {up / 3600:.1f} h")
    return parts


def _deploy(deploy: Mapping[str, Any], rentals: list[Mapping[str, Any]]) -> dict[str, Any]:
    """What the latest deploy has told; of another rental than the one there is now, as such."""
    if not deploy:
        return {}
    rental, attempts = deploy.get("rental"), deploy.get("attempts")
    tried = attempts if isinstance(attempts, list) else []
    lost = [number(one.get("cost_usd")) or 0.0 for one in tried if isinstance(one, dict)]
    id_then = rental.get("id") if isinstance(rental, dict) else None
    return {
        "endpoint": words(deploy.get("endpoint")),
        "current": bool(rentals) and str(id_then) == str(rentals[0]["id"]),
        "attempts": len(lost),
        "attempts_usd": sum(lost),
        "seconds": _seconds(deploy.get("seconds")),
        "first_token": _first_token(deploy.get("first_token")),
    }


def _seconds(told: Any) -> dict[str, float | None]:
    return {phase: number(told.get(phase)) for phase in PHASES} if isinstance(told, dict) else {}


def _first_token(told: Any) -> dict[str, dict[str, float | None]]:
    phases = told.get("phases") if isinstance(told, dict) else None
    return {
        words(name): {key: number(one.get(key)) for key in ("expected_seconds", "happened_seconds")}
        for name, one in (phases.items() if isinstance(phases, dict) else ())
        if isinstance(one, dict)
    }


def _tiles(report: Mapping[str, Any], rows: list[dict[str, Any]]) -> list[dict[str, str]]:
    """The figures of the whole fleet."""
    rates = [number(one["billed_usd_per_hour"]) for one in report["rentals"]]
    spent = sum(number(one["cost_usd"]) or 0.0 for one in report["rentals"])
    least = "at least, " if None in rates or report["unasked"] else ""
    rate = sum(one or 0.0 for one in rates)
    ends = [(row["ends_seconds"], row["host"]) for row in rows if row["ends_seconds"] is not None]
    soonest = min(ends, default=None)
    needs = sum(row["needs_you"] for row in rows)
    serve = sum(row["serves"] for row in rows)
    return [
        {"name": "Hosts", "value": str(len(rows)), "note": f"{len(report['rentals'])} rentals"},
        {"name": "Serving", "value": str(serve), "note": f"of {len(rows)}"},
        {"name": "Need you", "value": str(needs), "note": "see what to do next"},
        {"name": "Dollars per hour", "value": f"{rate:.4f}", "note": f"{least}{_untold(rates)}"},
        {"name": "Dollars per day", "value": f"{rate * 24:.2f}", "note": f"{least}as it is now"},
        {
            "name": "Dollars so far",
            "value": f"{spent:.2f}",
            "note": "at least" if least else "of what is rented",
        },
        {
            "name": "Next end",
            "value": f"{soonest[0] / 3600:.1f} h" if soonest else NONE,
            "note": soonest[1] if soonest else "nothing ends by itself",
        },
    ]


def _untold(rates: list[float | None]) -> str:
    return f"{rates.count(None)} {NOT_TOLD}" if None in rates else "as it is now"


def _plots(report: Mapping[str, Any], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is drawn: `kind` is line or bars; values are null where they are not told."""
    money = [row for row in rows if row["spent"]["value"] is not None]
    gpus = [
        (f"{row['host']} #{gpu['index']:g}" if len(row["gpus"]) > 1 else row["host"], gpu)
        for row in rows
        for gpu in row["gpus"]
    ]
    flows = [row for row in rows if row["tokens_per_second"] is not None]
    found = [
        _spending(report),
        _bars("Dollars so far", "dollars", [(row["host"], row["spent"]["value"]) for row in money]),
        _bars(
            "Dollars per day", "dollars", [(row["host"], row["daily"]["value"]) for row in money]
        ),
        *(
            _bars(title, unit, [(name, gpu[key]) for name, gpu in gpus], most)
            for title, unit, key, most in _GPU_PLOTS
        ),
        _bars(
            "Tokens per second",
            "tokens/s",
            [(row["host"], row["tokens_per_second"]) for row in flows],
        ),
    ]
    return [one for one in found if one is not None]


_GPU_PLOTS = (
    ("GPU utilisation", "%", "utilization_percent", 100.0),
    ("GPU memory", "%", "memory_percent", 100.0),
    ("GPU temperature", "\N{DEGREE SIGN}C", "temperature_celsius", 100.0),
)


def _bars(
    title: str, unit: str, pairs: list[tuple[str, float | None]], most: float | None = None
) -> dict[str, Any] | None:
    """A bar for each; None where nobody tells a value."""
    if all(value is None for _name, value in pairs):
        return None
    return {
        **{"kind": "bars", "title": title, "unit": unit, "most": most},
        "labels": [name for name, _value in pairs],
        "values": [value for _name, value in pairs],
    }


def _spending(report: Mapping[str, Any]) -> dict[str, Any] | None:
    """All dollars of the rentals, from the first of them to a day ahead, at the prices of now.

    A rental bills evenly, so a point where one begins or ends is enough.
    """
    now = number(report["at"]) or 0.0
    bills = [bill for rental in report["rentals"] if (bill := _bill(rental, now))]
    if not bills:
        return None
    turns = {turn for bill in bills for turn in (bill.begin, min(bill.end, now + HORIZON_SECONDS))}
    times = sorted({now, now + HORIZON_SECONDS, *turns})
    totals = [sum(bill.until(at, now) for bill in bills) for at in times]
    return {
        "kind": "line",
        "title": "Dollars over time, dashed as expected",
        "unit": "dollars",
        "hours": [round((at - now) / 3600, 4) for at in times],
        "happened": [
            round(usd, 4) if at <= now else None for at, usd in zip(times, totals, strict=True)
        ],
        "expected": [
            round(usd, 4) if at >= now else None for at, usd in zip(times, totals, strict=True)
        ],
    }


class _Bill(NamedTuple):
    """From when to when a rental bills, what of it is spent by now, and dollars per second."""

    begin: float
    end: float
    spent: float
    rate: float

    def until(self, at: float, now: float) -> float:
        """Dollars by then: evenly so far, at the price of now from here on."""
        if at >= now:
            return self.spent + self.rate * (min(at, self.end) - now)
        return self.spent * max(0.0, at - self.begin) / (now - self.begin)


def _bill(rental: Mapping[str, Any], now: float) -> _Bill | None:
    """None where nobody tells the price."""
    rate, spent = number(rental["billed_usd_per_hour"]), number(rental["cost_usd"])
    if not rate or spent is None:
        return None
    left, since = _ends_seconds(rental), number(rental_since(rental))
    begin = since if since and since < now else now - spent / rate * 3600
    # What is past its deadline bills on.
    end = math.inf if left is None or left < 0 else now + left
    return _Bill(begin, end, spent, rate / 3600)
