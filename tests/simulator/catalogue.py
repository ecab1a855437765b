# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The committed list of what goes wrong on a GPU marketplace, each with where it was seen.

A client that rents must survive every entry, alone and combined with others. ``orders`` are planned
by POST /simulator/faults and ``settings`` by POST /simulator/settings; HEALTHY undoes the latter.
Seconds in orders are simulated, but for those of ``delay`` and ``boot``. Sources are public:
"project #number" is an issue or pull request on GitHub.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.simulator.market import ACCOUNT_OK, START_CREDIT_USD

Order = dict[str, Any]
HEALTHY: dict[str, Any] = {
    "account": ACCOUNT_OK,
    "credit_usd": START_CREDIT_USD,
    "rate_limits": False,
    "strangers": 0,
}


@dataclass(frozen=True)
class NamedFault:
    """One thing to survive: what the client meets, where it was seen, and how to bring it about."""

    name: str
    story: str
    source: str
    orders: tuple[Order, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)


# --- requests that orders are for ---

CREATE = {"method": "PUT", "path": "^/api/v0/asks/"}
DESTROY = {"method": "DELETE", "path": "^/api/v0/instances/"}
LIST = {"method": "GET", "path": "^/api/v[01]/instances/?$"}
READ = {"method": "GET", "path": r"^/api/v0/instances/\d+/?$"}
CHANGE = {"method": "PUT", "path": r"^/api/v0/instances/\d+/?$"}
ATTACH = {"method": "POST", "path": r"^/api/v0/instances/\d+/ssh/?$"}
SEARCH = {"method": "ANY", "path": "^/api/v0/(bundles|search/asks)/?$"}
USER = {"method": "GET", "path": "^/api/v0/users/current/?$"}

# --- answers ---


def error(status: int, code: str, message: str) -> Order:
    """Return an answer in Vast.ai's form, as parameters of an order."""
    return {"status": status, "body": {"success": False, "error": code, "msg": message}}


AUTH_ERROR = error(404, "auth_error", "Invalid user key")
NO_ASK = "no_such_ask Instance type by id 1 is not available."
GONE_400 = error(400, "no_such_ask", f"error 404/3603: {NO_ASK}")
GONE_404 = error(404, "no_such_ask", f"error 404/3603: {NO_ASK}")
GONE_410 = error(410, "no_such_ask", f"error 410/3907: {NO_ASK}")
STALE = {"error_type": "stale_inventory", "retry_suggested": True, "message": "offer is gone"}
DEPRECATED = {
    "success": False,
    "error": "deprecated_endpoint",
    "msg": "/api/v0/instances/ is deprecated. Use /api/v1/instances/ instead.",
}
TOO_FREQUENT = {"status": 429, "body": "API requests too frequent: endpoint threshold=4.5*1.0"}
GATEWAY_NOT_FOUND = {"status": 404, "body": "<html><h1>404 Not Found</h1></html>"}
GATEWAY_TIMEOUT = {"status": 504, "body": "<html><h1>504 Gateway Time-out</h1></html>"}
OUTAGE = {"status": 503, "body": {"detail": "Service Unavailable"}}
SERVER_ERROR = {"status": 500, "body": {"detail": "Internal Server Error"}}


# --- the list ---

OFFERS = (
    NamedFault(
        "search-unavailable",
        "Two searches in a row end in a gateway time-out.",
        "dstack #775",
        ({"kind": "reply", "times": 2, **SEARCH, **GATEWAY_TIMEOUT},),
    ),
    NamedFault(
        "search-without-list",
        "A search answers 200 and has null where the offers should be.",
        "vast-ai/vast-cli vastai/api/offers.py",
        ({"kind": "reply", **SEARCH, "status": 200, "body": {"offers": None}},),
    ),
    NamedFault(
        "search-ignores-filters",
        "A search answers with offers that it was not asked for.",
        "dstackai/gpuhunt gpuhunt/providers/vastai.py",
        ({"kind": "unfiltered", "times": 3},),
    ),
    NamedFault(
        "search-quota",
        "A search is refused for exceeding a quota, with Retry-After.",
        "vast-ai/vast-cli vastai/api/client.py",
        (
            {
                "kind": "reply",
                **SEARCH,
                **error(429, "search_quota_exceeded", "Search quota exceeded."),
                "headers": {"Retry-After": "1"},
            },
        ),
    ),
    NamedFault(
        "offer-gone-400",
        "An offer that was just found is gone, told as a bad request.",
        "cloud-gpu-shopper docs/benchmark-campaign-5-6-buglog.md",
        ({"kind": "reply", **CREATE, **GONE_400},),
    ),
    NamedFault(
        "offer-gone-404",
        "Four offers that were just found are gone, one after the other, told as not found.",
        "cloud-gpu-shopper docs/benchmark-campaign-5-6-buglog.md",
        ({"kind": "reply", "times": 4, **CREATE, **GONE_404},),
    ),
    NamedFault(
        "offer-gone-410",
        "An offer that was just found is gone, told as gone.",
        "vast-ai/docs api-reference/openapi.yaml",
        ({"kind": "reply", **CREATE, **GONE_410},),
    ),
    NamedFault(
        "offer-gone-503",
        "An offer that was just found is gone, told as unavailable with a retry suggested.",
        "cloud-gpu-shopper docs/API.md",
        ({"kind": "reply", **CREATE, "status": 503, "body": STALE},),
    ),
    NamedFault(
        "price-rises-after-search",
        "The rental costs three times what its offer said.",
        "vast-cli #403",
        ({"kind": "price_change", "factor": 3.0},),
    ),
    NamedFault(
        "price-rises-a-little",
        "The rental costs half as much again as its offer said.",
        "vast-cli #403",
        ({"kind": "price_change", "factor": 1.5},),
    ),
    NamedFault(
        "search-dated-tomorrow",
        "The answer to a search, and no other one, carries a date of tomorrow.",
        "aws-sdk-go-v2 #3409",
        ({"kind": "clock_skew", **SEARCH, "seconds": 86_400.0},),
    ),
    NamedFault(
        "search-dated-yesterday",
        "The answer to a search, and no other one, carries a date of yesterday.",
        "aws-sdk-go-v2 #3409",
        ({"kind": "clock_skew", **SEARCH, "seconds": -86_400.0},),
    ),
)

CREATES = (
    NamedFault(
        "create-lost",
        "The connection breaks before a rental request arrives: nothing is rented.",
        "dstack #3453",
        ({"kind": "drop_before", **CREATE},),
    ),
    NamedFault(
        "create-done-answer-lost",
        "A rental request is done, and the connection breaks before its answer.",
        "dstack #3453",
        ({"kind": "drop_after_commit", **CREATE},),
    ),
    NamedFault(
        "create-done-told-500",
        "A rental request is done and answered with an internal error.",
        "transformerlab-app #2305",
        ({"kind": "reply_after_commit", **CREATE, **SERVER_ERROR},),
    ),
    NamedFault(
        "create-done-told-408",
        "A rental request is done and answered with a request time-out.",
        "pry0cc/axiom #564",
        ({"kind": "reply_after_commit", **CREATE, **error(408, "timeout", "Request timeout")},),
    ),
    NamedFault(
        "create-done-told-404-by-a-gateway",
        "A rental request is done, and a gateway answers with its own page that it found nothing.",
        "triggerdotdev/trigger.dev #3902",
        ({"kind": "reply_after_commit", **CREATE, **GATEWAY_NOT_FOUND},),
    ),
    NamedFault(
        "create-unavailable",
        "A rental request is answered 503 with Retry-After, and nothing is rented.",
        "vast-ai/vast-cli vastai/api/client.py",
        ({"kind": "reply", **CREATE, **OUTAGE, "headers": {"Retry-After": "1"}},),
    ),
    NamedFault(
        "create-done-without-id",
        "A rental request is done and says so without an id.",
        "vast-cli #359",
        ({"kind": "reply_after_commit", **CREATE, "status": 200, "body": {"success": True}},),
    ),
    NamedFault(
        "create-done-answer-cut",
        "A rental request is done and its answer ends in the middle.",
        "withcoral/coral #825",
        ({"kind": "truncate", **CREATE},),
    ),
    NamedFault(
        "create-answered-by-a-page",
        "A rental request is answered 200 with a page for people, and nothing is rented.",
        "kramcat/CharacterAI #90",
        ({"kind": "garble", **CREATE},),
    ),
    NamedFault(
        "create-refused-but-stopped-rental",
        "A request says that it failed, beside the id of a stopped rental that pays for its disk.",
        "dstack #4036",
        ({"kind": "stopped_create"},),
    ),
    NamedFault(
        "create-phantom",
        "A rental request answers with an id that never exists.",
        "skypilot #7336",
        (
            {
                "kind": "reply",
                **CREATE,
                "status": 200,
                "body": {"success": True, "new_contract": 99_999_999_999},
            },
        ),
    ),
    NamedFault(
        "create-slow",
        "A rental request takes its time.",
        "skypilot #4392",
        ({"kind": "delay", "seconds": 2.0, **CREATE},),
    ),
    NamedFault(
        "create-invalid",
        "A rental request is refused for its arguments.",
        "vast-ai/docs api-reference/openapi.yaml",
        ({"kind": "reply", **CREATE, **error(400, "invalid_args", "Invalid args: image")},),
    ),
    NamedFault(
        "create-404-for-a-bad-key",
        "A rental request is answered 404 with auth_error, which is not an offer that is gone.",
        "joemccann/radon #363",
        ({"kind": "reply", **CREATE, **AUTH_ERROR},),
    ),
    NamedFault(
        "create-too-frequent",
        "A rental request is refused for coming too early, in plain text and without Retry-After.",
        "docs.vast.ai/api-reference/rate-limits-and-errors",
        ({"kind": "reply", **CREATE, **TOO_FREQUENT},),
    ),
    NamedFault(
        "create-paused-for-two-minutes",
        "A rental request is refused for coming too early, with a Retry-After of two minutes.",
        "CommandCodeAI/command-code #788",
        ({"kind": "reply", **CREATE, **TOO_FREQUENT, "headers": {"Retry-After": "120"}},),
    ),
    NamedFault(
        "create-always-too-frequent",
        "Every create is refused for coming too early.",
        "docs.vast.ai/api-reference/rate-limits-and-errors",
        ({"kind": "reply", "times": 1000, **CREATE, **TOO_FREQUENT},),
    ),
    NamedFault(
        "no-credit",
        "The account has no credit left.",
        "cloud-gpu-shopper internal/provider/vastai/client.go",
        settings={"credit_usd": 0.0},
    ),
)

VISIBILITY = (
    NamedFault(
        "listed-late",
        "A new rental is missing from lists for half a minute.",
        "skypilot #4431",
        ({"kind": "list_lag", "seconds": 30.0},),
    ),
    NamedFault(
        "never-listed",
        "A new rental is readable by its id and missing from lists for a week.",
        "skypilot #10517",
        ({"kind": "list_lag", "seconds": 604_800.0},),
    ),
    NamedFault(
        "visible-late",
        "A new rental is missing from lists and reads by id for half a minute.",
        "transformerlab-app #1680",
        ({"kind": "hidden", "seconds": 30.0},),
    ),
    NamedFault(
        "lost-and-visible-minutes-later",
        "The answer to a rental request is lost, and what it made appears ten minutes later.",
        "dstack #3453",
        (
            {"kind": "drop_after_commit", **CREATE},
            {"kind": "hidden", "seconds": 600.0},
        ),
    ),
)

LISTS = (
    NamedFault(
        "list-empty-string",
        "A list is an empty string.",
        "skypilot #10517",
        ({"kind": "list_is", "body": "", "whole": True, "times": 3},),
    ),
    NamedFault(
        "list-deprecated",
        "A list answers 200 and says that its address is deprecated.",
        "skypilot #10517",
        ({"kind": "list_is", "body": DEPRECATED, "whole": True, "times": 3},),
    ),
    NamedFault(
        "list-withdrawn",
        "A list answers 410.",
        "jhammant/AIonDemandCluster #1",
        ({"kind": "reply", "times": 3, **LIST, "status": 410, "body": DEPRECATED},),
    ),
    NamedFault(
        "list-null",
        "A list has null where its rows should be.",
        "vast-ai/vast-cli vastai/api/instances.py",
        ({"kind": "list_is", "body": None, "times": 2},),
    ),
    NamedFault(
        "list-misses-a-row",
        "A page misses its last row and counts it.",
        "vast-ai/docs api-reference/openapi.yaml",
        ({"kind": "short_page", "times": 2},),
    ),
    NamedFault(
        "list-shows-a-row-twice",
        "Pages of a list overlap, and the count is right.",
        "vast-ai/docs api-reference/openapi.yaml (keyset cursors)",
        ({"kind": "overlap", "times": 1000},),
    ),
    NamedFault(
        "row-with-an-odd-environment",
        "A rental shows its environment in another shape than documented.",
        "vast-ai/vast-cli vastai/api/instances.py",
        ({"kind": "row_is", "fields": {"extra_env": [None, 5]}, "times": 1000},),
    ),
    NamedFault(
        "list-replica-behind",
        "A list that is whole in itself misses everything, though the key works.",
        "skypilot #4431",
        ({"kind": "list_without", "label": "", "times": 1},),
    ),
    NamedFault(
        "list-replicas-behind",
        "Four lists in a row that are whole in themselves miss everything, though the key works.",
        "skypilot #4431",
        ({"kind": "list_without", "label": "", "times": 4},),
    ),
    NamedFault(
        "list-shows-exited",
        "Three lists show as exited what runs, and reads by id show it as it is.",
        "skypilot #9319",
        (
            {
                "kind": "row_is",
                **LIST,
                "times": 3,
                "of": "/gpu-1/",
                "fields": {"actual_status": "exited"},
            },
        ),
    ),
    NamedFault(
        "list-unavailable",
        "Two lists in a row end in a gateway time-out.",
        "dstack #775",
        ({"kind": "reply", "times": 2, **LIST, **GATEWAY_TIMEOUT},),
    ),
    NamedFault(
        "list-cut",
        "A list ends in the middle.",
        "axios #470",
        ({"kind": "truncate", **LIST},),
    ),
    NamedFault(
        "list-null-fields",
        "The rows of lists and reads have null in most of their fields.",
        "vast-ai/vast-sdk #15",
        (
            {
                "kind": "row_is",
                "times": 3,
                "fields": dict.fromkeys(
                    (
                        "actual_status",
                        "dph_total",
                        "gpu_name",
                        "machine_id",
                        "num_gpus",
                        "ports",
                        "public_ipaddr",
                        "ssh_host",
                        "ssh_port",
                        "start_date",
                        "status_msg",
                    )
                ),
            },
        ),
    ),
    NamedFault(
        "list-odd-types",
        "From the second list on, the rows of three lists have text where numbers should be.",
        "JamesClonk/vultr #5",
        (
            {
                "kind": "row_is",
                **LIST,
                "skip": 1,
                "times": 3,
                "fields": {"dph_total": "n/a", "start_date": "soon", "ports": ["22/tcp"]},
            },
        ),
    ),
    NamedFault(
        "list-unknown-status",
        "The rows have a status that no document names.",
        "skypilot #9319",
        ({"kind": "row_is", "times": 3, "fields": {"actual_status": "hibernating"}},),
    ),
    NamedFault(
        "account-shared-with-strangers",
        "The account has rentals without a label, with an empty one, and with those of others.",
        "skypilot #7112",
        settings={"strangers": 5},
    ),
    NamedFault(
        "list-of-several-pages",
        "The account has so many rentals that lists have three pages.",
        "dstack #4031",
        settings={"strangers": 60},
    ),
    NamedFault(
        "list-hides-its-next-page",
        "A full page says that none comes after it, and counts more.",
        "vast-ai/docs api-reference/openapi.yaml",
        ({"kind": "drop_token", "times": 2},),
        {"strangers": 30},
    ),
    NamedFault(
        "list-second-page-fails",
        "The first page of a list is fine and the second is an internal error.",
        "groundlight/edge-endpoint #421",
        ({"kind": "reply", "times": 2, **LIST, "query": "after_token=", **SERVER_ERROR},),
        {"strangers": 30},
    ),
)

READS = (
    NamedFault(
        "read-says-gone-once",
        "A read by id says null once of a rental that exists.",
        "vast-cli #405",
        ({"kind": "reply", **READ, "status": 200, "body": {"instances": None}},),
    ),
    NamedFault(
        "read-404-for-a-bad-key",
        "Reads by id are answered 404 with auth_error, which is not a rental that is gone.",
        "joemccann/radon #363",
        ({"kind": "reply", "times": 2, **READ, **AUTH_ERROR},),
    ),
    NamedFault(
        "read-empty-object",
        "A read by id answers 200 with an empty object.",
        "vast-ai/vast-sdk #15",
        ({"kind": "reply", "times": 2, **READ, "status": 200, "body": {}},),
    ),
    NamedFault(
        "read-answered-by-a-page",
        "A read by id is answered 200 with a page for people.",
        "kramcat/CharacterAI #90",
        ({"kind": "garble", "times": 2, **READ},),
    ),
)

ACCOUNTS = (
    NamedFault(
        "key-revoked",
        "The key was revoked: everything is 404 with auth_error.",
        "joemccann/radon #363",
        settings={"account": "revoked"},
    ),
    NamedFault(
        "key-revoked-401",
        "The key was revoked: everything is 401.",
        "docs.vast.ai/api-reference/rate-limits-and-errors",
        settings={"account": "revoked-401"},
    ),
    NamedFault(
        "key-revoked-lists-empty",
        "The key was revoked: lists are empty, reads by id null, and the rest is auth_error.",
        "vast-ai/vast-cli vastai/api/instances.py",
        settings={"account": "revoked-empty-lists"},
    ),
    NamedFault(
        "session-expired",
        "The session of a login with two factors has ended: everything is 404.",
        "vast-ai/docs #820",
        settings={"account": "session-expired"},
    ),
    NamedFault(
        "key-cannot-see-its-user",
        "The key lacks the right to read its user, and can do all the rest.",
        "docs.vast.ai/api-reference/permissions",
        settings={"account": "no-user-right"},
    ),
    NamedFault(
        "key-cannot-read-bills",
        "The key lacks the right to read bills, and can do all the rest.",
        "docs.vast.ai/api-reference/permissions",
        settings={"account": "no-billing-right"},
    ),
    NamedFault(
        "key-reads-only",
        "The key may read and change nothing.",
        "docs.vast.ai/api-reference/permissions",
        settings={"account": "read-only"},
    ),
    NamedFault(
        "key-revoked-midway",
        "The key stops working after a few calls, for some calls.",
        "jhammant/AIonDemandCluster #1",
        ({"kind": "reply", "skip": 4, "times": 6, **AUTH_ERROR},),
    ),
    NamedFault(
        "user-unavailable",
        "The read of the user, which proves that a key works, fails twice.",
        "dstack #1551",
        ({"kind": "reply", "times": 2, **USER, **SERVER_ERROR},),
    ),
    NamedFault(
        "rate-limits",
        "Calls that come too early are refused, per endpoint, without Retry-After.",
        "docs.vast.ai/api-reference/rate-limits-and-errors",
        settings={"rate_limits": True},
    ),
)

DESTROYS = (
    NamedFault(
        "destroy-does-nothing",
        "A destroy says that it succeeded and does nothing, once.",
        "dstack #1551",
        ({"kind": "destroy_noop"},),
    ),
    NamedFault(
        "destroy-never-works",
        "Destroys say that they succeeded and do nothing, for ever.",
        "jarvislabsai/JLClient #10",
        ({"kind": "destroy_noop", "times": 1000},),
    ),
    NamedFault(
        "destroy-comes-late",
        "A destroy says that it succeeded and takes effect half a minute later.",
        "vast-cli #405",
        ({"kind": "destroy_late", "seconds": 30.0},),
    ),
    NamedFault(
        "destroy-fails",
        "Two destroys in a row are internal errors and do nothing.",
        "dstack #4030",
        ({"kind": "reply", "times": 2, **DESTROY, **SERVER_ERROR},),
    ),
    NamedFault(
        "destroy-done-answer-lost",
        "A destroy is done, and the connection breaks before its answer.",
        "uda-lab/yomotsusaka #124",
        ({"kind": "drop_after_commit", **DESTROY},),
    ),
    NamedFault(
        "destroy-404-for-a-bad-key",
        "Destroys are answered 404 with auth_error and do nothing.",
        "joemccann/radon #363",
        ({"kind": "reply", "times": 2, **DESTROY, **AUTH_ERROR},),
    ),
    NamedFault(
        "destroy-404-but-alive",
        "A destroy is answered 404 not_found of a rental that exists.",
        "realnedsanders/terraform-provider-vastai internal/client/instances.go",
        ({"kind": "reply", **DESTROY, **error(404, "not_found", "Instance not found.")},),
    ),
    NamedFault(
        "destroy-refused-in-a-success",
        "A destroy is answered 200 with success false, and does nothing.",
        "dstack #3746",
        ({"kind": "reply", **DESTROY, **error(200, "busy", "Instance is busy.")},),
    ),
    NamedFault(
        "destroy-resurrects-at-once",
        "A destroyed rental is gone for three seconds and then there again.",
        "Lambda-Biolab/vastai-gpu-runner destroy verdicts",
        ({"kind": "resurrect", "seconds": 3.0},),
    ),
    NamedFault(
        "destroy-resurrects-later",
        "A destroyed rental is gone for half an hour and then there again.",
        "Lambda-Biolab/vastai-gpu-runner destroy verdicts",
        ({"kind": "resurrect", "seconds": 1800.0},),
    ),
)

BOOTS = (
    NamedFault(
        "boot-never-ends",
        "A rental stays in loading for ever.",
        "skypilot #10517",
        ({"kind": "boot", "statuses": [None, "created", "loading"]},),
    ),
    NamedFault(
        "boot-slow",
        "A rental pulls its image for seconds without changing what it says.",
        "dstack #2809",
        (
            {
                "kind": "boot",
                "seconds": 6.0,
                "statuses": ["loading", "loading", "loading", "running"],
                "status_msg": "ef1e4ab1d9b2: Downloading",
            },
        ),
    ),
    NamedFault(
        "boot-container-fails",
        "A rental stays in created, and its message says that the container cannot run.",
        "dstack #4037",
        (
            {
                "kind": "boot",
                "statuses": [None, "created"],
                "status_msg": "Error response from daemon: OCI runtime create failed: nvidia",
            },
        ),
    ),
    NamedFault(
        "boot-ends-exited",
        "A rental exits while it boots.",
        "vast-ai/docs guides/instances/manage-instances.mdx",
        ({"kind": "boot", "statuses": [None, "loading", "exited"]},),
    ),
    NamedFault(
        "outbid-at-once",
        "A rental is stopped as soon as it runs, and pays for its disk.",
        "dstack #4025",
        ({"kind": "dies", "after_seconds": 0.0, "status": "stopped"},),
    ),
    NamedFault(
        "dies-later",
        "A rental exits by itself after ten minutes.",
        "dstack #4037",
        ({"kind": "dies", "after_seconds": 600.0, "status": "exited"},),
    ),
    NamedFault(
        "heartbeat-lost-later",
        "A rental's status is unknown after ten minutes: its machine sends no heartbeat.",
        "vast-ai/docs #876",
        ({"kind": "dies", "after_seconds": 600.0, "status": "unknown"},),
    ),
)

HOSTS = (
    NamedFault(
        "ssh-refused",
        "A rental runs and refuses SSH for ever.",
        "skypilot #6449",
        ({"kind": "never_ssh"},),
    ),
    NamedFault(
        "ssh-black-hole",
        "A rental runs, and its SSH port neither refuses nor answers.",
        "jjziets/vasttools #5",
        ({"kind": "black_hole"},),
    ),
    NamedFault(
        "ssh-direct-refused",
        "A rental refuses SSH at the port of its own machine, and the proxy lets in.",
        "vast-ai/docs guides/instances/connect/ssh.mdx",
        ({"kind": "never_ssh", "way": "direct"},),
    ),
    NamedFault(
        "ssh-direct-black-hole",
        "The port of its own machine neither refuses nor answers, and the proxy lets in.",
        "vast-ai/docs guides/instances/connect/networking.mdx",
        ({"kind": "black_hole", "way": "direct"},),
    ),
    NamedFault(
        "ssh-proxy-refused",
        "The proxy refuses SSH, and the port of its own machine lets in.",
        "cloud-gpu-shopper LIVE_BUG_LOG.md",
        ({"kind": "never_ssh", "way": "proxy"},),
    ),
    NamedFault(
        "container-recreated-while-it-boots",
        "A rental's container is made anew in place as soon as it runs.",
        "vast-ai/docs api-reference/openapi/yaml/recycle_instance.yaml",
        ({"kind": "recreates", "after_seconds": 0.0},),
    ),
    NamedFault(
        "container-recreated-later",
        "A rental's container is made anew in place after an hour: all that was on it is lost.",
        "vast-ai/docs api-reference/openapi/yaml/recycle_instance.yaml",
        ({"kind": "recreates", "after_seconds": 3600.0},),
    ),
    NamedFault(
        "key-attached-late",
        "An attached key works fifteen seconds after the API said so.",
        "cloud-gpu-shopper LIVE_BUG_LOG.md",
        ({"kind": "attach_delay", "seconds": 15.0},),
    ),
    NamedFault(
        "key-attach-fails",
        "Attaching a key fails twice.",
        "cloud-gpu-shopper docs/benchmark-campaign-5-6-buglog.md",
        ({"kind": "reply", "times": 2, **ATTACH, **SERVER_ERROR},),
    ),
    NamedFault(
        "key-attach-never-works",
        "Attaching a key fails, for ever.",
        "cloud-gpu-shopper docs/benchmark-campaign-5-6-buglog.md",
        ({"kind": "reply", "times": 1000, **ATTACH, **SERVER_ERROR},),
    ),
    NamedFault(
        "keys-rewritten-hours-later",
        "After ten hours the host knows only the keys that were attached through the API.",
        "skypilot #10730",
        ({"kind": "wipe_keys", "after_seconds": 36_000.0, "keep_attached": True},),
    ),
    NamedFault(
        "keys-lost-hours-later",
        "After ten hours the host knows no key, though the API goes on listing them.",
        "skypilot #6514",
        ({"kind": "wipe_keys", "after_seconds": 36_000.0, "keep_attached": False},),
    ),
    NamedFault(
        "address-reused",
        "After an hour another host key answers at the rental's address.",
        "dstack #2637",
        ({"kind": "host_key_changes", "after_seconds": 3600.0},),
    ),
    NamedFault(
        "driver-older-than-advertised",
        "The host has an older driver than its offer says.",
        "cloud-gpu-shopper LIVE_BUG_LOG.md BUG-004",
        ({"kind": "lies", "driver_version": "470.256.02"},),
    ),
    NamedFault(
        "memory-less-than-advertised",
        "The host's GPUs have half of the memory that its offer says.",
        "gpuhunt #32",
        ({"kind": "lies", "vram_factor": 0.5},),
    ),
    NamedFault(
        "disk-smaller-than-paid",
        "The host has a twentieth of the disk that was asked for and is paid for.",
        "vast-ai/docs api-reference/openapi.yaml",
        ({"kind": "lies", "disk_factor": 0.05},),
    ),
)

AROUND = (
    NamedFault(
        "label-gets-a-word",
        "Somebody writes a word behind the mark, ten minutes after the rental began to run.",
        "vast-ai/docs guides/instances/manage-instances.mdx",
        ({"kind": "relabels", "label": "{label} keep"},),
    ),
    NamedFault(
        "label-gets-a-word-in-front",
        "Somebody writes a word before the mark, ten minutes after the rental began to run.",
        "vast-ai/docs guides/instances/manage-instances.mdx",
        ({"kind": "relabels", "label": "keep {label}"},),
    ),
    NamedFault(
        "label-is-replaced",
        "Somebody replaces the mark, ten minutes after the rental began to run.",
        "vast-ai/docs guides/instances/manage-instances.mdx",
        ({"kind": "relabels", "label": "our demo"},),
    ),
    NamedFault(
        "label-is-emptied-while-it-boots",
        "Somebody empties the label as soon as the rental runs.",
        "vast-ai/docs guides/instances/manage-instances.mdx",
        ({"kind": "relabels", "label": "", "after_seconds": 0.0},),
    ),
    NamedFault(
        "label-change-forgotten",
        "Changing a label is answered with success and not kept.",
        "runpodctl #330",
        ({"kind": "reply", **CHANGE, "status": 200, "body": {"success": True}},),
    ),
    NamedFault(
        "outage",
        "Everything is 503 for some calls.",
        "dstack #1551",
        ({"kind": "reply", "skip": 2, "times": 6, **OUTAGE},),
    ),
    NamedFault(
        "network-gone-for-a-while",
        "Every connection breaks for some calls.",
        "dstack #1551",
        ({"kind": "drop_before", "skip": 2, "times": 6},),
    ),
    NamedFault(
        "clock-ahead",
        "The provider's clock is two hours ahead.",
        "openshift/origin #5762",
        ({"kind": "clock_skew", "seconds": 7200.0, "times": 1000},),
    ),
    NamedFault(
        "clock-behind-once",
        "One answer carries a date of yesterday, as one from a cache does.",
        "aws-sdk-go-v2 #3409",
        ({"kind": "clock_skew", "seconds": -86_400.0},),
    ),
)

FAULTS: tuple[NamedFault, ...] = (
    OFFERS + CREATES + VISIBILITY + LISTS + READS + ACCOUNTS + DESTROYS + BOOTS + HOSTS + AROUND
)
