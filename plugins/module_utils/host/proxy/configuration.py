# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HAProxy's configuration, as a text that follows from the specification alone.

HAProxy 2.4, 2.6 and 2.8 take it. No secret is in it: keys are in files beside it. All its paths are
relative to the folder that HAProxy is started in.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator

from ...common import proxy_keys, proxy_routes
from . import keys
from .spec import Listener, Spec, Upstream

FILE = "haproxy.cfg"
KEYS = "keys.map"
UPSTREAM_KEY = "upstream.map"
SOCKET = "runtime.sock"
BACKEND = "engines"
FIGURES = "figures"

SERVED_BY = "x-inferops-server"
"""The header of an answer that names who gave it."""

HEADERS_KIB = 128
OTHER_CONNECTIONS = 1024
BODY_SECONDS = 60
STREAM_HOURS = 1
AGENT_MILLISECONDS = 300
LEAST_FALL = 8

PROBLEMS = {
    400: ("invalid_request_error", "This is no valid HTTP request."),
    408: ("invalid_request_error", "The request did not come whole in time."),
    500: ("server_error", "The proxy has a problem of its own."),
    502: ("server_error", "The engine ended before it had answered. Send the request again."),
    503: ("server_error", "No engine takes requests now. Send the request again later."),
    504: ("server_error", "The engine gave no answer in time."),
}
"""What HAProxy says by itself."""

UNKNOWN_KEY = ("authentication_error", "Send a valid key: Authorization: Bearer KEY.")
CLOSED = ("permission_error", "This route is closed, or not for this key.")


def render(spec: Spec) -> str:
    """The whole text."""
    return _text(spec, identity(spec))


def identity(spec: Spec) -> str:
    """Changes with all that a running proxy takes over. Its runtime socket tells its own."""
    times = (spec.silence_seconds, spec.stalled_seconds, spec.hung_seconds)
    return hashlib.sha256(f"{times} {_text(spec, '')}".encode()).hexdigest()[:16]


def _text(spec: Spec, description: str) -> str:
    head = "# Written by module proxy of inferops.gpu, which replaces it. It holds no secret.\n"
    sections = (
        _global(spec, description),
        _defaults(),
        _frontend(spec),
        _engines(spec),
        _figures(spec),
    )
    return head + "\n".join("\n".join(lines) + "\n" for lines in sections)


def _global(spec: Spec, description: str) -> Iterator[str]:
    yield "global"
    yield f"    description {description}"
    yield "    log stdout format raw local0 info"
    yield f"    maxconn {sum(each.max_connections for each in spec.engines) + OTHER_CONNECTIONS}"
    yield "    no strict-limits"
    yield "    nbthread 2"
    # After a reload the old process goes on until its last stream has ended, but not for ever.
    yield f"    hard-stop-after {STREAM_HOURS}h"
    yield f"    stats socket unix@{SOCKET} mode 600 level admin expose-fd listeners"
    yield "    stats timeout 1m"
    # What may be sent a second time is kept whole.
    yield f"    tune.bufsize {(spec.max_body_kib + HEADERS_KIB) * 1024}"
    if any(each.certificate for each in spec.listens):
        yield "    ssl-default-bind-options ssl-min-ver TLSv1.2"


def _defaults() -> Iterator[str]:
    yield "defaults"
    yield "    mode http"
    yield "    log global"
    # Else streams come in pieces of some 200 ms.
    yield "    option http-no-delay"
    # An engine closes idle connections, and what was just sent over one would be lost.
    yield "    option http-server-close"
    # Nobody computes for a client that has gone.
    yield "    option abortonclose"
    yield "    timeout connect 2s"
    yield f"    timeout client {STREAM_HOURS}h"
    yield f"    timeout server {STREAM_HOURS}h"
    yield "    timeout http-request 10s"
    yield "    timeout http-keep-alive 60s"
    yield "    timeout queue 30s"
    yield "    timeout check 5s"
    for status, problem in PROBLEMS.items():
        yield f"    http-error status {status} {_answer(problem)}{_again(status)}"


def _again(status: int) -> str:
    return " hdr retry-after 5" if status == 503 else ""


def _answer(problem: tuple[str, str]) -> str:
    """An error as OpenAI's API gives it."""
    kind, message = problem
    body = json.dumps({"error": {"message": message, "type": kind, "param": None, "code": None}})
    return f"content-type application/json string '{body}'"


def _frontend(spec: Spec) -> Iterator[str]:
    yield "frontend ways"
    yield from (f"    bind {_bind(each)}" for each in spec.listens)
    # Neither headers nor what stands behind the ? of an address.
    yield (
        '    log-format "%tr %ci %[var(txn.key)] %HM %[var(txn.path)] %b/%s %ST %B bytes '
        '%TR/%Tw/%Tc/%Tr/%Ta ms %ts retries %rc"'
    )
    yield "    http-request set-var(txn.path) path"
    yield from _authentication()
    yield from _looks()
    yield from _routes(spec)
    yield from _bodies(spec)
    yield from _towards_engine(spec)
    yield f"    use_backend {FIGURES} if {{ var(txn.route) -m str {FIGURES} }}"
    yield f"    default_backend {BACKEND}"


def _bind(listener: Listener) -> str:
    place = f"[{listener.address}]" if ":" in listener.address else listener.address
    tls = f" ssl crt '{listener.certificate}' alpn http/1.1" if listener.certificate else ""
    return f"{place}:{listener.port}{tls}"


def _authentication() -> Iterator[str]:
    """Of any method, before anything else is looked at or waited for."""
    yield (
        r"    http-request set-var(txn.key) req.fhdr(authorization),regsub(^Bearer\ ,,i),"
        f"sha2(256),hex,lower,map_str({KEYS})"
    )
    kinds = {
        "is_client": (proxy_keys.CLIENT, proxy_keys.GATEWAY),
        "reads_metrics": (proxy_keys.METRICS, proxy_keys.GATEWAY),
    }
    for acl, found in kinds.items():
        yield f"    acl {acl} var(txn.key) -m beg {' '.join(f'{kind}:' for kind in found)}"
    yield (
        f"    http-request return status 401 {_answer(UNKNOWN_KEY)} "
        "hdr www-authenticate Bearer if !is_client !reads_metrics"
    )


def _looks() -> Iterator[str]:
    """A gateway looks three times a second: so many lines would push those of people out."""
    yield f"    acl is_gateway var(txn.key) -m beg {proxy_keys.GATEWAY}:"
    yield f"    acl is_look path -m str /health {proxy_routes.METRICS}"
    yield "    http-request set-log-level silent if is_gateway is_look"


def _routes(spec: Spec) -> Iterator[str]:
    """What is not in the list is closed, however it is spelled."""
    for kind, repeatable in (("inference", True), ("other", False)):
        found = [route for route in spec.allowed if route.repeatable == repeatable]
        for method in sorted({route.method for route in found}):
            paths = [proxy_routes.pattern(route) for route in found if route.method == method]
            for match, words in _by_match(paths):
                yield (
                    f"    http-request set-var(txn.route) str({kind}) "
                    f"if is_client {{ method {method} }} {{ path -m {match} {' '.join(words)} }}"
                )
    yield (
        f"    http-request set-var(txn.route) str({FIGURES}) "
        f"if reads_metrics {{ method GET }} {{ path -m str {proxy_routes.METRICS} }}"
    )
    closed = "!{ var(txn.route) -m found }"
    yield f"    http-request return status 403 {_answer(CLOSED)} if {closed}"


def _by_match(paths: list[str]) -> Iterator[tuple[str, list[str]]]:
    plain = [path for path in paths if not path.startswith("^")]
    patterns = [path for path in paths if path.startswith("^")]
    yield from ((match, found) for match, found in (("str", plain), ("reg", patterns)) if found)


def _bodies(spec: Spec) -> Iterator[str]:
    """A second try needs the whole body, so one that has no room is refused and not cut."""
    is_inference = "{ var(txn.route) -m str inference }"
    too_large = (
        "invalid_request_error",
        f"The body has more than {spec.max_body_kib} KiB. Whoever runs this proxy can allow more: "
        "max_body_kib of module proxy, or proxy_max_body_kib in a deploy.",
    )
    refuse = (
        f"    http-request return status 413 {_answer(too_large)} "
        f"if {is_inference} {{ req.body_size gt {spec.max_body_kib * 1024} }}"
    )
    yield refuse
    yield f"    http-request wait-for-body time {BODY_SECONDS}s if {is_inference}"
    # One that did not tell its length.
    yield refuse
    yield f"    http-request disable-l7-retry if !{is_inference}"


def _towards_engine(spec: Spec) -> Iterator[str]:
    # The engine reads the very path that was allowed, and never a key of a client.
    yield "    http-request set-uri %[pathq]"
    key = _key_header(spec, "set-header authorization")
    yield f"    http-request{key or ' del-header authorization'}"


def _key_header(spec: Spec, words: str) -> str:
    """What has the proxy send its own key; empty where its engines need none."""
    if not spec.sends_key:
        return ""
    return f' {words} "Bearer %[str({keys.UPSTREAM}),map_str({UPSTREAM_KEY})]"'


def _engines(spec: Spec) -> Iterator[str]:
    yield f"backend {BACKEND}"
    # The first that is not full; a `backup` would not get what the first one refuses.
    yield "    balance first"
    yield "    retries 3"
    yield "    option redispatch 1"
    yield f"    retry-on {_retried(spec)}"
    yield "    option httpchk"
    yield f"    http-check send meth GET uri /health{_key_header(spec, 'hdr authorization')}"
    yield "    http-check expect status 200"
    yield f"    http-response set-header {SERVED_BY} %s"
    for upstream in spec.engines:
        yield f"    server {_server(spec, upstream)}"


def _retried(spec: Spec) -> str:
    """What only another engine can mend is not tried again at the same one."""
    return "conn-failure empty-response 503" if len(spec.engines) > 1 else "conn-failure"


def _server(spec: Spec, upstream: Upstream) -> str:
    """Its checks are slow, as being down ends its streams. That it is silent tells the agent."""
    fall = max(LEAST_FALL, math.ceil(spec.hung_after_seconds(upstream)))
    words = [upstream.name, _place(upstream), f"maxconn {upstream.max_connections}"]
    words += [f"check inter 1s fall {fall} rise 1"]
    if upstream.watched:
        words += [f"agent-check agent-addr 127.0.0.1 agent-port {spec.agent_port}"]
        words += [f"agent-inter {AGENT_MILLISECONDS}ms agent-send {upstream.name}\\n"]
    return " ".join([*words, "on-marked-down shutdown-sessions"])


def _figures(spec: Spec) -> Iterator[str]:
    """Those of the first engine: a fallback's are not meant."""
    first = spec.engines[0]
    yield f"backend {FIGURES}"
    yield f"    server {first.name} {_place(first)}"


def _place(upstream: Upstream) -> str:
    if upstream.socket is not None:
        return f"unix@{upstream.socket}"
    address = f"[{upstream.address}]" if ":" in upstream.address else upstream.address
    return f"{address}:{upstream.port}"
