# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which routes of an engine a proxy lets through, as data. All others are closed.

A route is `repeatable` where the same request may be sent to another engine when the first one
died or was full: it changes nothing there, so that the second time costs nothing but work.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

METRICS = "/metrics"
"""Answered to keys of the kind that may read figures, and to them alone."""


class Route(NamedTuple):
    """A method and a path, which may hold `{id}` for one word."""

    method: str
    path: str
    repeatable: bool = False


INFERENCE = (
    "/v1/completions",
    "/v1/chat/completions",
    "/v1/messages",
    "/v1/embeddings",
    "/v1/rerank",
    "/v1/score",
    "/v2/rerank",
    "/rerank",
    "/score",
    "/classify",
    "/pooling",
    "/tokenize",
    "/detokenize",
)
ROUTES = (
    *(Route("POST", path, repeatable=True) for path in INFERENCE),
    # An answer that is kept has an id of its own, and recordings are too long to be kept for a
    # second try.
    Route("POST", "/v1/responses"),
    Route("GET", "/v1/responses/{id}"),
    Route("POST", "/v1/responses/{id}/cancel"),
    Route("POST", "/v1/audio/transcriptions"),
    Route("POST", "/v1/audio/translations"),
    Route("GET", "/v1/models"),
    Route("GET", "/health"),
    Route("GET", "/ping"),
    Route("GET", "/version"),
)

DENIED = (
    "/collective_rpc",
    "/fault_tolerance",
    "/server_info",
    "/sleep",
    "/wake_up",
    "/is_sleeping",
    "/reset_prefix_cache",
    "/reset_mm_cache",
    "/start_profile",
    "/stop_profile",
    "/scale_elastic_ep",
    # llama.cpp's own: prompts of others, files that are written and read, tools that run programs.
    "/slots",
    "/props",
    "/lora-adapters",
    "/cors-proxy",
    "/tools",
)
"""What stops an engine, runs code in it or tells all of its settings: nobody may add it."""

_METHOD = re.compile(r"GET|POST|PUT|PATCH|DELETE")
_PATH = re.compile(r"(/([A-Za-z0-9][A-Za-z0-9._-]*|\{id\}))+")
_WORD = "[A-Za-z0-9_-]+"


def pattern(route: Route) -> str:
    """The path as a regular expression, where it holds `{id}`; else as it is."""
    if "{id}" not in route.path:
        return route.path
    return "^" + route.path.replace(".", "[.]").replace("{id}", _WORD) + "$"


def of(asked: Iterable[Mapping[str, Any]]) -> tuple[Route, ...]:
    """Our own routes, and those that were asked for beside them. Raises ValueError."""
    added = [_route(each) for each in asked]
    own = [route for route in ROUTES if route[:2] not in {each[:2] for each in added}]
    return (*own, *added)


def _route(each: Mapping[str, Any]) -> Route:
    """One that was asked for, by the fields that module proxy has. Raises ValueError."""
    unknown = sorted(map(str, set(each) - set(Route._fields)))
    if unknown:
        raise ValueError(
            f"a route has {', '.join(Route._fields)}, and nothing by the name {unknown[0]!r}"
        )
    for needed in ("method", "path"):
        if not each.get(needed):
            raise ValueError(f"a route of them has no {needed}")
    repeatable = each.get("repeatable")
    if repeatable not in (None, True, False):
        raise ValueError(f"repeatable: {repeatable!r} is neither true nor false")
    route = Route(str(each["method"]), str(each["path"]), bool(repeatable))
    _check(route)
    return route


def _check(route: Route) -> None:
    if not _METHOD.fullmatch(route.method):
        raise ValueError(f"{route.method!r} is none of GET, POST, PUT, PATCH and DELETE")
    if not _PATH.fullmatch(route.path):
        raise ValueError(
            f"{route.path!r} is no path of words of letters, digits, '.', '_' and '-', "
            "or {id} for any such word"
        )
    if route.path == METRICS:
        raise ValueError(f"{METRICS} is for those who have a metrics key, and for nobody else")
    for denied in DENIED:
        if route.path == denied or route.path.startswith(f"{denied}/"):
            raise ValueError(f"{denied} can stop the engine or run code in it, and stays closed")
