# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tools for agents: they read all, and spend what a person has approved (docs/agents.md).

``python -m tools.mcp`` speaks the Model Context Protocol over standard input and output. The
person who starts it says by environment variables what it may do.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from mcp.server import MCPServer
from mcp.server.elicitation import AcceptedElicitation, ElicitationResult
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.resolve import Elicit, Resolve
from mcp_types import ToolAnnotations
from pydantic import BaseModel, Field

from ansible_collections.inferops.gpu.plugins.module_utils.common.redaction import (
    is_secret,
    redact_parts,
)
from tools.mcp.consent import Desk, Plan, Refused, still_due_usd
from tools.mcp.plays import Ansible, Played

READ_SECONDS, TEARDOWN_SECONDS, DEPLOY_SECONDS = 600.0, 1800.0, 7200.0
READS = ToolAnnotations(read_only_hint=True, open_world_hint=True)
CHANGES = ToolAnnotations(read_only_hint=False, destructive_hint=True, open_world_hint=True)

Names = Annotated[list[str], Field(min_length=1, max_length=20, description="Names of hosts.")]


class Agreed(BaseModel):
    """What the person answers."""

    agreed: bool = Field(description="Do it, at that price.")


@dataclass
class Office:
    """All that the tools share: one play at a time, and one desk."""

    ansible: Ansible
    desk: Desk
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)

    @classmethod
    def from_environment(cls) -> Office:
        """As the person who starts the server says. Raises SystemExit with what is missing."""
        inventory = os.environ.get("INFEROPS_MCP_INVENTORY", "")
        if not inventory or not Path(inventory).exists():
            sys.exit("Set INFEROPS_MCP_INVENTORY to the inventory of your hosts.")
        cap = os.environ.get("INFEROPS_MCP_CAP_USD", "0")
        try:
            return cls(Ansible(Path(inventory).resolve()), Desk(float(cap)))
        except ValueError:
            sys.exit("INFEROPS_MCP_CAP_USD is no number of dollars.")

    async def play(self, name: str, *flags: str, most_seconds: float, **variables: Any) -> Played:
        """One of our playbooks, to its end, without secrets. Raises ToolError where it fails."""
        async with self.busy:
            played = await self.ansible.play(name, *flags, most_seconds=most_seconds, **variables)
        played = without(_secrets(), played)
        if played.status != 0:
            ended = "took too long and was ended" if played.status is None else "failed"
            raise ToolError(f"Playbook inferops.gpu.{name} {ended}:\n{played.text}")
        return played

    async def rentals(self) -> list[dict[str, Any]]:
        """All of the scope. Raises ToolError where nobody can tell."""
        played = await self.play("status", most_seconds=READ_SECONDS)
        if played.artifacts.get("gpu_unasked", True):
            raise ToolError("Not every marketplace has answered: nobody knows what bills there.")
        return list(played.artifacts["gpu_rentals"])


def _secrets() -> list[str]:
    """The values of all secrets that the environment has."""
    return [value for name, value in os.environ.items() if is_secret(name, value)]


def without(secrets: list[str], played: Played) -> Played:
    """The same without them, as a second look: our plays take out what they know of."""
    told = json.dumps([played.text, played.artifacts, played.reports])
    return Played(played.status, *json.loads(redact_parts(told, secrets)))


@asynccontextmanager
async def opened(_server: MCPServer) -> AsyncIterator[Office]:
    """One office for as long as the server lives."""
    yield Office.from_environment()


def _office(context: Context[Office]) -> Office:
    office: Office = context.request_context.lifespan_context
    return office


mcp = MCPServer("inferops.gpu", lifespan=opened)


@mcp.tool(annotations=READS)
async def status(context: Context[Office]) -> dict[str, Any]:
    """What is rented, what it costs, when it ends, and how the servers do."""
    played = await _office(context).play("status", most_seconds=READ_SECONDS)
    return {
        "rentals": played.artifacts.get("gpu_rentals", []),
        "report": played.reports.get("status"),
        "text": played.text,
    }


Day = Annotated[str, Field(pattern=r"^(\d{4}-\d{2}-\d{2})?$", description="Such as 2026-11-01.")]


@mcp.tool(annotations=READS)
async def costs(context: Context[Office], since: Day = "", until: Day = "") -> dict[str, Any]:
    """What rentals have cost, failed attempts included, and what is left of a monthly budget.

    From one day to another, of UTC; this month until today by default.
    """
    played = await _office(context).play(
        "costs", most_seconds=READ_SECONDS, costs_since=since, costs_until=until
    )
    return {"costs": played.artifacts.get("gpu_costs", {}), "text": played.text}


@mcp.tool(annotations=READS)
async def diagnose(context: Context[Office], hosts: Names) -> dict[str, Any]:
    """Why a server does not serve, and what would help. Changes nothing."""
    played = await _office(context).play(
        "recover", most_seconds=READ_SECONDS, inferops_hosts=hosts, recover_apply=False
    )
    return {"reports": dict(played.reports), "text": played.text}


@mcp.tool(annotations=READS)
async def plan(
    context: Context[Office],
    hosts: Names,
    model: Annotated[str, Field(description="A model of the hub, organisation/name.")],
    hours: Annotated[float, Field(gt=0, le=720, description="Hours until each host ends.")],
    max_price_usd_per_hour: Annotated[float, Field(gt=0, description="For each host.")],
    gpu_names: Annotated[list[str] | None, Field(description="GPUs that will do.")] = None,
    gpu_count: Annotated[int | None, Field(ge=1, description="GPUs of each host.")] = None,
    vram_gib: Annotated[float | None, Field(gt=0, description="Least memory of a GPU.")] = None,
    arguments: Annotated[dict[str, Any] | None, Field(description="Options of the engine.")] = None,
) -> dict[str, Any]:
    """What deploying a model would rent, at what price. Spends nothing.

    Show the person what it costs. Its id is for tool deploy, for a quarter of an hour.
    """
    said = {
        "inferops_hosts": hosts,
        "inferops_model": model,
        "rent_deadline_hours": hours,
        "rent_max_price_usd_per_hour": max_price_usd_per_hour,
        "rent_gpu_names": gpu_names,
        "rent_gpu_count": gpu_count,
        "rent_vram_gib": vram_gib,
        "inferops_server_arguments": arguments,
    }
    wish = {name: value for name, value in said.items() if value is not None}
    played = await _office(context).play("deploy", "--check", most_seconds=READ_SECONDS, **wish)
    offers = played.artifacts.get("gpu_plan", {})
    try:
        made = _office(context).desk.plan(wish, hosts, offers, time.monotonic())
    except Refused as refusal:
        raise ToolError(str(refusal)) from None
    return {
        "plan_id": made.id,
        "offers": dict(made.offers),
        "most_usd": made.most_usd,
        "question": made.question(),
        "text": played.text,
    }


def _need_a_person(context: Context[Office]) -> None:
    """Raise ToolError where the client could ask nobody: it would never answer."""
    capabilities = context.request_context.session.client_capabilities
    if capabilities is None or capabilities.elicitation is None:
        raise ToolError(
            "This client cannot ask its person (it does not know elicitation), so it may only "
            "read. The person can run the playbook themselves."
        )


async def ask_to_spend(context: Context[Office], plan_id: str) -> Elicit[Agreed]:
    _need_a_person(context)
    due = still_due_usd(await _office(context).rentals())
    return Elicit(_or_error(_office(context).desk.allowed, plan_id, due).question(), Agreed)


@mcp.tool(annotations=CHANGES)
async def deploy(
    context: Context[Office],
    plan_id: Annotated[str, Field(description="The id that tool plan gave.")],
    answer: Annotated[ElicitationResult[Agreed], Resolve(ask_to_spend)],
) -> dict[str, Any]:
    """Rent and serve what a plan says, once the person agrees to its price."""
    _need_consent(answer)
    # Hours may have gone by until the person has answered, and others may have rented.
    due = still_due_usd(await _office(context).rentals())
    made = _or_error(_office(context).desk.spend, plan_id, due)
    wish = {**made.wish, **made.limits()}
    played = await _office(context).play("deploy", most_seconds=DEPLOY_SECONDS, **wish)
    return {"deployed": played.artifacts.get("gpu_deployed", {}), "text": played.text}


async def ask_to_end(context: Context[Office], hosts: Names) -> Elicit[Agreed]:
    _need_a_person(context)
    # The same in each round of asking, so no cost that grows meanwhile.
    lines = [
        f"{one['mark']['name']}: rental {one['id']} of {one['provider']}"
        for one in await _office(context).rentals()
        if (one.get("mark") or {}).get("name") in hosts
    ]
    told = lines or [f"{', '.join(hosts)}, of which nothing is rented now"]
    return Elicit("\n".join(["An agent wants to end, with all that is on it:", *told]), Agreed)


@mcp.tool(annotations=CHANGES)
async def teardown(
    context: Context[Office],
    hosts: Names,
    answer: Annotated[ElicitationResult[Agreed], Resolve(ask_to_end)],
) -> dict[str, Any]:
    """End servers and their rentals, and prove it, once the person agrees."""
    _need_consent(answer)
    played = await _office(context).play(
        "teardown", most_seconds=TEARDOWN_SECONDS, inferops_hosts=hosts
    )
    return {"receipts": played.artifacts.get("gpu_receipts", {}), "text": played.text}


def _or_error(judge: Callable[..., Plan], plan_id: str, due: dict[str, float]) -> Plan:
    """What the desk says, as a tool says it. Raises ToolError."""
    try:
        return judge(plan_id, due, time.monotonic())
    except Refused as refusal:
        raise ToolError(str(refusal)) from None


def _need_consent(answer: ElicitationResult[Agreed]) -> None:
    """Raise ToolError unless the person has said yes."""
    if not (isinstance(answer, AcceptedElicitation) and answer.data.agreed):
        raise ToolError("The person has not agreed. Nothing was done and nothing was spent.")
