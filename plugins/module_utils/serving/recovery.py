# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recover, decided: what is wrong, which step comes next, what it changes, what is reported.

Role recover looks, asks `decide`, takes the one step that comes back, and looks again, until none
comes back. Nothing here touches a host.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..common.redaction import redact
from . import remedies
from .engines.knowledge import USUAL_CONNECTIONS
from .engines.registry import DEFAULT, knowledge, spelling
from .explanation import explain, symptoms_of
from .proxy_status import status_of

USED_MIB_BESIDE_A_RESET = 512
"""What a GPU that nobody uses may hold at most, the driver's own memory."""

INVENTORY = {
    "model": "inferops_model",
    "port": "inferops_server_port",
    "arguments": "inferops_server_arguments",
    "environment": "inferops_server_environment",
}
"""The variables by which a user keeps what has helped."""

_WHOLE = ("model", "port")

LIVING = ("starting", "running")


@dataclass(frozen=True)
class Case:
    """One sick server, all that was seen of it and around it, and what may be done.

    server: as model_server_info returns it, with `health` and `symptoms`. servers: all of the host.
    proxies: those before this server.
    first: what `server.spec` was before anything was tried, empty at the first look. before: its
    health then. tried: the steps that were taken, with `helped`, `message` and `failure` of each.
    """

    server: Mapping[str, Any]
    servers: Sequence[Mapping[str, Any]] = ()
    proxies: Sequence[Mapping[str, Any]] = ()
    gpus: Sequence[Mapping[str, Any]] = ()
    fit: Mapping[str, Any] = field(default_factory=dict)
    first: Mapping[str, Any] = field(default_factory=dict)
    before: Mapping[str, Any] = field(default_factory=dict)
    tried: Sequence[Mapping[str, Any]] = ()
    # What the user allows.
    apply: bool = False
    allowed: Sequence[str] = ()
    ladder: Sequence[Mapping[str, Any]] = ()
    least_model_len: int = 2048
    max_steps: int = 6
    limit_seconds: float = 3600
    # What the play knows.
    roles: Sequence[str] = ()
    elapsed_seconds: float = 0
    price_usd_per_hour: float | None = None
    cost_usd: float = 0
    evidence: str = ""
    proxied: bool = False

    @property
    def name(self) -> str:
        return str(self.server["name"])

    @property
    def health(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.server["health"]
        return {**found, "reason": redact(found["reason"])}

    @property
    def spec(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.server["spec"]
        return found

    @property
    def serves(self) -> bool:
        return bool(self.health["state"] == "serving")


def decide(case: Case) -> dict[str, Any]:
    """What is wrong and what comes next.

    `refusal` says why nothing can be done at all. `failure` is the cause, `plan` all steps that
    are left, `step` the one to take now, empty when none may be. `shown` is for the eye before
    the first step; `report`, `told` and `error` are what to end with when no step is left.
    `reset_refusal` says why the GPUs must not be reset as they are, `proof` what proves that the
    engine's packages are whole.

    `estimates` says whether it is worth computing what memory the server needs, `collects` whether
    evidence is collected before the first step. What was tried may have moved the server to another
    port: `keeps_proxy` says whether the proxy before it has to follow, `reopens` whether the way
    that clients take is opened and proven again.
    """
    if case.server["spec"] is None:
        return {"refusal": _refusal(case), "step": {}, "estimates": False}
    failure = _failure(case)
    plan = _plan(case, failure)
    report = _report(case, plan, failure)
    return {
        "refusal": "",
        "failure": failure,
        "plan": plan,
        "step": _next(case, plan),
        "shown": _plain(_shown(case, plan, failure)),
        "report": report,
        "told": _plain(_told(case, report)),
        "error": redact(_error(case, report, failure)),
        "reset_refusal": _reset_refusal(case.gpus),
        "estimates": _estimates(case),
        "collects": case.apply and not case.serves,
        "keeps_proxy": bool(case.tried and case.serves and _has_proxy(case)),
        "reopens": bool(case.tried),
        "proof": spelling(case.spec.get("engine", DEFAULT)).proof,
    }


def _estimates(case: Case) -> bool:
    """Whether its memory can be computed, and is of interest.

    Which GPUs a server sees that names them itself is not known here: of its environment only the
    names are.
    """
    names_gpus = "CUDA_VISIBLE_DEVICES" in case.spec["environment_names"]
    return not case.serves and bool(case.gpus) and not names_gpus


def _proxy_port(case: Case) -> Any:
    return case.spec.get("proxy_port")


def _has_proxy(case: Case) -> bool:
    """Whether a proxy is there, or is asked for before a server that knows of one."""
    return bool(case.proxies) or bool(case.proxied and _proxy_port(case))


def _refusal(case: Case) -> str:
    others = ", ".join(server["name"] for server in case.servers) or "none"
    return (
        f"Nothing on this host says how server {case.name} was started, so it cannot be started "
        f"again. Servers there: {others}. Correct inferops_server, or run playbook "
        "inferops.gpu.deploy."
    )


def _failure(case: Case) -> dict[str, Any]:
    """The cause. What failed in the last step says more than the log, which may be of before."""
    last = case.tried[-1].get("failure") if case.tried else None
    return dict(last) if last else explain(symptoms_of(case.server))


def _all_arguments(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {**spec["suggested_arguments"], **spec["arguments"]}


def _plan(case: Case, failure: Mapping[str, Any]) -> list[dict[str, Any]]:
    first, spec = case.first or case.spec, case.spec
    idle = [server for server in case.servers if server["phase"] not in LIVING]
    situation = {
        "engine": spec.get("engine", DEFAULT),
        "health": case.health["state"],
        "cause_id": failure["cause_id"],
        "change": failure["change"],
        "remedy": failure["remedy"],
        "log": symptoms_of(case.server).log,
        "model": spec["model"],
        "arguments": _all_arguments(spec),
        "first": _all_arguments(first),
        "first_model": first["model"],
        "added_environment": tuple(
            name for name in spec["environment_names"] if name not in first["environment_names"]
        ),
        "gpus": tuple(case.gpus),
        "fit": case.fit,
        "orphans": tuple(server["name"] for server in idle if server["processes"]),
        "port_owners": tuple(case.health.get("port_owners") or ()),
        "free_port": case.health.get("free_port"),
        "ladder": tuple(case.ladder),
        "allowed": tuple(case.allowed),
        "roles": tuple(case.roles),
        "least_model_len": case.least_model_len,
    }
    tried = tuple(step["key"] for step in case.tried)
    return remedies.plan(situation, tried, max(case.max_steps - len(tried), 0))


def _next(case: Case, plan: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The first step that needs nobody's consent, with all that it does; empty when none may be.

    A step that helped is the last one, whatever a later look says of the server.
    """
    done = case.serves or (case.tried and case.tried[-1]["helped"])
    over = case.elapsed_seconds >= case.limit_seconds
    possible = [step for step in plan if not step["needs"]]
    if not case.apply or done or over or not possible:
        return {}
    step = possible[0]
    return {
        **step,
        "stop": _to_stop(case, step),
        "start": {
            "model": step["model"] or case.spec["model"],
            "port": step["port"] or case.spec["port"],
            "arguments": {**case.spec["arguments"], **step["arguments"]},
            "environment": step["environment"],
        },
    }


def _to_stop(case: Case, step: Mapping[str, Any]) -> list[str]:
    """The servers that end before the start, in order.

    A start that goes on is followed, not ended. A neighbour that serves ends only by consent.
    """
    own = [] if step["id"] == "wait" else [case.name]
    spared = () if "other_servers" in case.allowed else LIVING
    beside = [
        server["name"]
        for server in case.servers
        if server["name"] != case.name and server["phase"] not in spared
    ]
    return [*own, *step["servers"], *(beside if "stop_all" in step["do"] else [])]


def _reset_refusal(gpus: Sequence[Mapping[str, Any]]) -> str:
    """Why these GPUs must not be reset, empty when they may be.

    A reset ends whatever uses them. In a container a stranger shows only by the memory it holds.
    """
    used = [gpu["memory_used_mib"] for gpu in gpus]
    free = all(mib is not None and mib <= USED_MIB_BESIDE_A_RESET for mib in used)
    if free and not any(gpu["processes"] for gpu in gpus):
        return ""
    held = ", ".join("unknown" if mib is None else f"{mib}" for mib in used)
    return f"The GPUs are not reset, for something still uses them: {held} MiB. Rent another host."


def _permanent(case: Case) -> dict[str, Any]:
    """What a later deploy would undo, unless the inventory says it too. Null takes one away.

    Only what our own steps have changed, in the words of the steps: the host confirms that it
    holds, and brings no name and no value of its own into an inventory.
    """
    first, now = case.first or case.spec, case.spec
    done = _merged(case.tried)
    arguments = {
        name: value
        for name, value in done["arguments"].items()
        if _text(now["arguments"].get(name)) == _text(value) != _text(first["arguments"].get(name))
    }
    environment = {
        name: value
        for name, value in done["environment"].items()
        if value is not None or name in first["environment_names"]
    }
    found = {
        "arguments": arguments,
        "environment": environment,
        **{
            name: done[name] for name in ("model", "port") if now[name] == done[name] != first[name]
        },
    }
    names = {**INVENTORY, "port": "inferops_engine_port"} if now.get("proxy_port") else INVENTORY
    return {names[name]: found[name] for name in names if found.get(name)}


def _strange(case: Case) -> dict[str, Any]:
    """Arguments that differ from the first ones, and no step has changed them: the host says so."""
    first, done = (case.first or case.spec)["arguments"], _merged(case.tried)["arguments"]
    return {
        name: value
        for name, value in case.spec["arguments"].items()
        if name not in done and _text(value) != _text(first.get(name))
    }


def _merged(steps: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the steps have changed, the later ones last."""
    done: dict[str, Any] = {"arguments": {}, "environment": {}, "model": "", "port": None}
    for step in steps:
        done["arguments"].update(step["arguments"])
        done["environment"].update(step["environment"])
        done["model"] = step["model"] or done["model"]
        done["port"] = step["port"] or done["port"]
    return done


def _text(value: Any) -> str | None:
    """A number and its text are one wish, as the host keeps it."""
    return None if value is None else str(value)


def for_inventory(values: Mapping[str, Any]) -> str | None:
    """Values as YAML that can be pasted: every text is quoted. None where Ansible would run a part
    of it on the controller.
    """
    text = json.dumps(values)
    return None if any(mark in text for mark in ("{{", "{%", "{#")) else text


def _report(
    case: Case, plan: Sequence[Mapping[str, Any]], failure: Mapping[str, Any]
) -> dict[str, Any]:
    known = {"cause_id": failure["cause_id"], "cause": failure["cause"]}
    return {
        "server": case.name,
        "mended": case.serves,
        "before": dict(case.before) or {**case.health, **known},
        "after": dict(case.health),
        "tried": [{**step, "message": redact(step["message"])} for step in case.tried],
        # Needs a person, consent or more steps.
        "left": [] if case.serves else list(plan),
        "permanent": _permanent(case) if for_inventory(_permanent(case)) else {},
        "model": case.spec["model"],
        "served_model_name": case.spec["served_model_name"] or case.spec["model"],
        "port": case.spec["port"],
        "proxy_port": _proxy_port(case),
        "proxied": bool(case.proxies),
        "max_connections": _connections(case),
        "seconds": round(case.elapsed_seconds, 1),
        "cost_usd": case.cost_usd,
        "evidence": case.evidence,
    }


def _connections(case: Case) -> int:
    """How many requests a proxy before it may send at once, as it is started now."""
    engine, words = case.spec.get("engine", DEFAULT), case.spec.get("extra_args") or ()
    try:
        admitted = knowledge(engine).admission(_all_arguments(case.spec), words, {})
    except ValueError:
        return USUAL_CONNECTIONS
    return admitted.max_connections


def _before(case: Case) -> tuple[list[str], bool]:
    """What stands before the server, and whether clients reach it: with a proxy by that alone."""
    before = [status_of(proxy) for proxy in case.proxies]
    if _proxy_port(case) and not before:
        return ["Clients reach it by a proxy alone, and none is there: deploy again."], False
    lines = [f"Before it is {proxy['line']}." for proxy in before]
    return lines, all(proxy["lets_in"] for proxy in before)


def _shown(case: Case, plan: Sequence[Mapping[str, Any]], failure: Mapping[str, Any]) -> list[str]:
    """What is wrong, what would be done, and what that costs."""
    health = case.health
    proxies, reached = _before(case)
    if case.serves:
        done = " Nothing to do." if reached else ""
        return [f"Server {case.name} is healthy: {health['reason']}.{done}", *proxies]
    return [
        f"Server {case.name} is {health['state'].replace('_', ' ')} ({health['reason']}). "
        f"{failure['cause']} {failure['remedy']}",
        " / ".join(failure["evidence"]) or "No line of its log proves a cause.",
        *proxies,
        *(f"{number}. {_in_words(step)}" for number, step in enumerate(plan, 1)),
        _money(case),
        "Taking the steps."
        if case.apply
        else "Nothing was changed. Take the steps with -e recover_apply=true.",
    ]


def _money(case: Case) -> str:
    price, seconds = case.price_usd_per_hour, case.limit_seconds
    if price is None:
        return f"Its price is not told; it has cost {case.cost_usd:.4f} dollars."
    return (
        f"It bills {price:.4f} dollars per hour and has cost {case.cost_usd:.4f}; "
        f"{seconds:g} s of steps are {price * seconds / 3600:.4f} dollars."
    )


def _in_words(step: Mapping[str, Any]) -> str:
    parts = [f"{step['id']}: {step['why']}"]
    if step["arguments"]:
        parts.append(f"New arguments: {json.dumps(step['arguments'])}.")
    if step["environment"]:
        parts.append(f"New environment: {json.dumps(step['environment'])}.")
    if step["model"]:
        parts.append(f"Model: {step['model']}.")
    if step["port"]:
        parts.append(f"Port: {step['port']}.")
    if step["needs"]:
        parts.append(f"Left out, it needs: {step['needs']}.")
    return " ".join(parts)


def _told(case: Case, report: Mapping[str, Any]) -> list[str]:
    """What was tried and what helped."""
    lines = [
        f"{number}. {step['id']}, {step['seconds']} s: "
        + ("helped" if step["helped"] else f"did not help: {step['message']}")
        for number, step in enumerate(case.tried, 1)
    ]
    if not lines or not report["mended"]:
        return lines
    permanent = _permanent(case)
    text = for_inventory(permanent)
    if text is None or for_inventory(_strange(case)) is None:
        advice = (
            "The next deploy undoes it. What would have to be put into the inventory is not shown, "
            "because what the server was started with holds a template of Ansible that no step has "
            "put there: look at it, and distrust this host."
        )
    elif permanent:
        advice = f"Put this into the inventory, or the next deploy undoes it: {text}"
    else:
        advice = "Nothing in the inventory needs to change."
    return [*lines, advice]


def _error(case: Case, report: Mapping[str, Any], failure: Mapping[str, Any]) -> str:
    """Why it could not be mended, empty when it was, or when nothing was to be done."""
    if report["mended"] or not case.apply:
        return ""
    left = ", ".join(step["id"] for step in report["left"])
    parts = [
        f"Server {case.name} still does not serve after {len(case.tried)} steps: "
        f"{case.health['reason']}. {failure['cause']} {failure['remedy']}",
        f"Not done: {left}." if left else "",
        f"Evidence: {case.evidence}." if case.evidence else "",
        f"It bills {_price(case)}; playbook inferops.gpu.teardown ends that.",
    ]
    return " ".join(filter(None, parts))


def _price(case: Case) -> str:
    price = case.price_usd_per_hour
    return "on at a price that is not told" if price is None else f"{price:.4f} dollars per hour"


def _plain(lines: Sequence[str]) -> list[str]:
    return [redact(line) for line in lines]
