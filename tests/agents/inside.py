# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An agent: the protocol's official client, run inside its own environment.

python inside.py SERVER MODE    with lines of JSON on standard input, each a call: ``tool`` and
``arguments``; ``answer`` is what the person says when they are asked, yes or no, and without one
the client has nobody to ask. Each answer is one line of JSON: ``error``, ``content`` and ``asked``.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

from mcp import Client, MCPError, StdioServerParameters
from mcp_types import ElicitResult


class Person:
    """Whoever sits before the client."""

    def __init__(self) -> None:
        self.answer: bool | None = None
        self.asked: list[str] = []

    async def __call__(self, _context: Any, request: Any) -> ElicitResult:
        self.asked.append(request.message)
        if self.answer is None:
            return ElicitResult(action="decline")
        return ElicitResult(action="accept", content={"agreed": self.answer})


async def main(path: str, mode: str) -> None:
    """All calls in one session, for a server forgets its plans with it."""
    server = StdioServerParameters(command=sys.executable, args=[path], env=dict(os.environ))
    person = Person()
    with_person = {} if mode.endswith("alone") else {"elicitation_callback": person}
    how = "legacy" if mode.startswith("legacy") else "auto"
    async with Client(server, mode=how, **with_person) as client:
        tools = await client.list_tools()
        told = {one.name: one.input_schema for one in tools.tools}
        print(json.dumps(told), flush=True)
        for line in sys.stdin:
            asked = json.loads(line)
            person.answer, person.asked = asked.get("answer"), []
            try:
                result = await client.call_tool(asked["tool"], asked["arguments"])
                texts = [one.text for one in result.content if one.type == "text"]
                answer = {"error": bool(result.is_error), "text": "\n".join(texts)}
                answer["content"] = result.structured_content
            except MCPError as error:
                answer = {"error": True, "text": str(error), "content": None}
            print(json.dumps({**answer, "asked": person.asked}), flush=True)


asyncio.run(main(*sys.argv[1:]))
