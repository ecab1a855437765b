# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How each host of a fleet does, and what to do next: one answer for the terminal and the report.

What is said of a host is a list of findings. The most urgent one is its verdict.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ansible_collections.inferops.gpu.plugins.module_utils.common.proxy_words import takes_requests

#: From the most urgent to what needs nobody: somebody has to act, should act, has to wait; nothing
#: runs, and all is well.
BAD, WARN, BUSY, OFF, OK = "bad", "warn", "busy", "off", "ok"
LEVELS = (BAD, WARN, BUSY, OFF, OK)
#: These need somebody.
NEEDS_YOU = (BAD, WARN)

ENFORCERS = {
    # The list does not show whether a host has its switch: deploy and extend read it back.
    "host": "the switch that was sent along with its rental request",
    "provider": "its provider",
    "nobody": "nobody but playbook inferops.gpu.reap",
}

_DEPLOY_OR_END = "Playbook inferops.gpu.deploy {}, inferops.gpu.teardown ends what it bills.".format
_DEPLOY = "Playbook inferops.gpu.deploy puts it right."
_GATEWAY = "Playbook inferops.gpu.gateway puts it right."
_SERVERS = "See what is said of these servers; playbook inferops.gpu.gateway once they are back."
_RECOVER = "Playbook inferops.gpu.recover shows what helps, and does it with -e recover_apply=true."


@dataclass(frozen=True)
class Finding:
    """One thing that is so of a host: in a word or two, why, and what to do."""

    level: str
    verdict: str
    why: str
    next: str = ""


#: A host of which nothing is known, by its state: level, verdict and next step.
HOSTS = {
    "not_looked_up": (BAD, "unknown", "See the failed task above, and run status again."),
    "not_rented": (OFF, "not rented", "Playbook inferops.gpu.deploy rents it."),
    "stands_still": (OFF, "stands still", _DEPLOY_OR_END("starts it again")),
    "no_address": (BUSY, "starting", "Wait; playbook inferops.gpu.teardown ends what it bills."),
    "silent": (BAD, "unreachable", _DEPLOY_OR_END("replaces it where it is lost")),
    "odd": (BAD, "odd answer", "Look what changes its answers there, or take another host."),
}
#: A server, by its health.
SERVERS = {
    "serving": (OK, "serving", ""),
    "unproven": (OK, "unproven", "A completion proves it: -e status_health_check=canary."),
    "busy": (OK, "busy", "Whether it hangs: -e status_health_check=canary."),
    "hung": (BAD, "hung", _RECOVER),
    "not_answering": (BAD, "not answering", _RECOVER),
    "starting": (BUSY, "starting", ""),
    "not_running": (OFF, "stopped", "Playbook inferops.gpu.deploy starts it again."),
}


def verdicts(
    rentals: Sequence[Mapping[str, Any]],
    hosts: Mapping[str, Mapping[str, Any]],
    named: Sequence[str] | None = None,
    warn_seconds: float = 0.0,
    reaper: bool = False,
) -> dict[str, dict[str, Any]]:
    """By host, `verdict`, `level`, `why` and `next`, and the other findings as `notes`.

    Args:
        rentals: those of the scope, as rental_info returns them, by name the one that counts first.
        hosts: as fleet_status tells of them: `name` of the rental, `state` where nothing is known,
            `servers`, and the `limits` that the host was rented with.
        named: all names that the inventory has; a rental of none of them is an orphan. None where
            nobody knows.
        warn_seconds: a rental that ends sooner is told.
        reaper: whether playbook reap runs regularly, so that somebody ends what nobody else does.
    """
    by_name = rentals_by_name(rentals)
    found: dict[str, list[Finding]] = {}
    for host, told in hosts.items():
        its = by_name.pop(told.get("name") or host, [])
        money = _of_rentals(its, told, warn_seconds, reaper)
        # Of what is equally urgent, money is told first.
        found[host] = [*money, *_of_host(told), *_of_proxies(told), *_of_flaws(told)]
    for name, its in by_name.items():
        # Under --limit a rental may be of a host that is not of this run.
        orphaned = [] if named is None or name in named else [_ORPHAN]
        left_out = [] if orphaned else [_LEFT_OUT]
        money = _of_rentals(its, {}, warn_seconds, reaper)
        found.setdefault(name, []).extend([*orphaned, *left_out, *money])
    return {host: _told(all_of_it) for host, all_of_it in found.items()}


def rentals_by_name(
    rentals: Iterable[Mapping[str, Any]],
) -> dict[str, list[Mapping[str, Any]]]:
    """All rentals of each name, in their order."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for rental in rentals:
        found.setdefault(rental["mark"]["name"], []).append(rental)
    return found


def next_lines(told: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A line for each host that needs somebody, the most urgent first."""
    urgent = sorted(told.items(), key=lambda one: LEVELS.index(one[1]["level"]))
    return [
        f"{host}: {one['verdict']} ({one['why']}). {one['next']}".rstrip()
        for host, one in urgent
        if one["level"] in NEEDS_YOU
    ]


_ORPHAN = Finding(
    BAD,
    "orphan",
    "the inventory does not name it",
    "Name it in the inventory to keep it; playbook inferops.gpu.reap with reap_strict releases it.",
)
_LEFT_OUT = Finding(OFF, "not looked at", "it is no host of this run")


def _told(findings: list[Finding]) -> dict[str, Any]:
    first, *others = sorted(findings, key=lambda one: LEVELS.index(one.level))
    return {**asdict(first), "notes": [asdict(one) for one in others]}


def _of_host(told: Mapping[str, Any]) -> Iterator[Finding]:
    """How a host and its servers do."""
    if told["state"]:
        level, verdict, step = HOSTS[told["state"]]
        # Nothing is rented for it that could be replaced or ended.
        step = "See why it does not answer to SSH." if told.get("gateway") else step
        yield Finding(level, verdict, told["unknown"], step)
        return
    if told.get("gateway"):
        yield from _of_gateway(told["proxies"])
        return
    if not told["servers"]:
        step = _DEPLOY_OR_END("starts one")
        yield Finding(WARN, "no server", "no server was started here", step)
    for server in told["servers"]:
        yield _of_server(server)


def _of_gateway(proxies: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """Whether clients get in to a gateway, and to which of its servers."""
    if not proxies:
        yield Finding(WARN, "no gateway", "no gateway was made here", _GATEWAY)
    for proxy in proxies:
        away = [each["name"] for each in proxy["servers"] if not takes_requests(each["status"])]
        if proxy["phase"] == "starting":
            yield Finding(BUSY, "starting", "its proxy starts")
        elif not proxy["lets_in"]:
            yield Finding(BAD, "closed", proxy["line"].partition(";")[0], _GATEWAY)
        elif len(away) == len(proxy["servers"]):
            yield Finding(BAD, "no server", "none of its servers takes requests", _SERVERS)
        elif away:
            yield Finding(WARN, "servers away", f"{', '.join(away)} takes no requests", _SERVERS)
        else:
            yield Finding(OK, "serving", "all of its servers take requests")
        if proxy["lets_in"] and not proxy["supervised"]:
            yield Finding(WARN, "unsupervised", "nothing starts it again when it ends", _GATEWAY)


def _of_proxies(told: Mapping[str, Any]) -> Iterator[Finding]:
    """Whether clients get in to servers that run, where a proxy stands before them."""
    proxies = {proxy["name"]: proxy for proxy in told.get("proxies") or ()}
    for server in told["servers"]:
        proxy = proxies.get(server["name"])
        if server["phase"] != "running" or not (proxy or server.get("proxy_port")):
            continue
        if proxy is None:
            yield Finding(BAD, "closed", "no proxy is before the server", _DEPLOY)
        elif proxy["phase"] == "starting":
            yield Finding(BUSY, "starting", "its proxy starts")
        elif not proxy["lets_in"]:
            yield Finding(BAD, "closed", proxy["line"].partition(";")[0], _DEPLOY)
        elif not proxy["supervised"]:
            why = "nothing starts its proxy again when it ends"
            yield Finding(WARN, "unsupervised", why, _DEPLOY)


def _of_flaws(told: Mapping[str, Any]) -> Iterator[Finding]:
    """What is wrong with servers that run."""
    for server in told["servers"]:
        if server["phase"] == "running" and not server["supervised"]:
            why = "nothing starts it again when it crashes"
            yield Finding(WARN, "unsupervised", why, "Stop it and deploy again.")
        # One that hangs is not slow.
        for lever in server["levers"] if server["health"] == "serving" else ():
            yield Finding(WARN, "slow", lever["seen"].rstrip("."), lever["help"])


def _of_server(server: Mapping[str, Any]) -> Finding:
    failure = server["failure"]
    if failure:
        return Finding(BAD, "crashed", failure["cause"].rstrip("."), failure["remedy"])
    health = server["health"]
    level, verdict, step = SERVERS.get(health, (BAD, health.replace("_", " "), _RECOVER))
    return Finding(level, verdict, server["reason"], step)


def _of_rentals(
    rentals: Sequence[Mapping[str, Any]], told: Mapping[str, Any], warn_seconds: float, reaper: bool
) -> Iterator[Finding]:
    """What its rentals bill and who ends that; nothing of a host without one."""
    if not rentals:
        return
    first, *others = rentals
    if others:
        more = ", ".join(str(one["id"]) for one in others)
        why = f"{more} bill as well as {first['id']}, under the same name"
        yield Finding(BAD, "rented twice", why, "Run playbook inferops.gpu.reap.")
    if first.get("status") == "unreadable":
        step = "Run status again; if it stays, look at it at its provider."
        yield Finding(BAD, "may bill", f"nobody knows how much: {first['status_text']}", step)
        return
    if first.get("status") == "failed":
        why = f"its rental is {first['status_text']}"
        yield Finding(BAD, "lost", why, _DEPLOY_OR_END("replaces it"))
    yield from _of_its_end(first, warn_seconds, reaper)
    yield from _of_limits(first, told.get("limits") or {})


def _of_its_end(rental: Mapping[str, Any], warn_seconds: float, reaper: bool) -> Iterator[Finding]:
    left, contract = rental["remaining_seconds"], rental["contract_remaining_seconds"]
    if left is not None and left < 0:
        step = "Run playbook inferops.gpu.reap."
        yield Finding(BAD, "overdue", "it is past its deadline and still bills", step)
        return
    if left is None:
        step = "Playbook inferops.gpu.extend sets one, inferops.gpu.teardown ends what it bills."
        yield Finding(WARN, "no deadline", "nothing ends it", step)
    elif left < warn_seconds:
        step = "Playbook inferops.gpu.extend renews it."
        yield Finding(WARN, "ends soon", ends_words(rental), step)
    elif contract is not None and contract < min(left, warn_seconds):
        step = "Deploy another host in time: its owner wants it back."
        yield Finding(WARN, "ends soon", ends_words(rental), step)
    if left is not None and rental["enforced_by"] == "nobody" and not reaper:
        step = "Run playbook inferops.gpu.reap regularly, and say so with inferops_reaper."
        yield Finding(WARN, "nobody ends it", ends_words(rental), step)


def _of_limits(rental: Mapping[str, Any], limits: Mapping[str, Any]) -> Iterator[Finding]:
    """Whether it costs more than it was rented for."""
    step = "Playbook inferops.gpu.teardown ends what it bills."
    budget, spent = _limit(limits, "budget_usd"), rental["cost_usd"]
    if budget and spent > budget:
        why = f"it has cost {spent:.4f} dollars, and rent_budget_usd is {budget:g}"
        yield Finding(WARN, "over budget", why, step)
    highest, price = _limit(limits, "price_usd_per_hour"), rental["billed_usd_per_hour"]
    if highest and price is not None and price > highest:
        why = f"it bills {price:.4f} dollars per hour, rent_max_price_usd_per_hour is {highest:g}"
        yield Finding(WARN, "over budget", why, step)


def _limit(limits: Mapping[str, Any], name: str) -> float:
    """A limit, which may be text of the command line; 0 where there is none."""
    try:
        return float(limits.get(name) or 0)
    except (TypeError, ValueError):
        return 0.0


def ends_words(rental: Mapping[str, Any]) -> str:
    """When a rental ends, and who sees to it."""
    left, contract = rental["remaining_seconds"], rental["contract_remaining_seconds"]
    if contract is not None and (left is None or contract < left):
        return f"its contract ends in {contract / 3600:.1f} hours"
    if left is None:
        return "no deadline"
    if left < 0:
        return "PAST its deadline"
    return f"ends in {left / 3600:.1f} hours, by {ENFORCERS[rental['enforced_by']]}"
