# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The committed list of what goes wrong on a GPU marketplace, each with where it was seen.

A client that rents must survive every entry, alone and combined with others. ``orders`` are planned
by POST /simulator/faults and ``settings`` by POST /simulator/settings; HEALTHY undoes the latter.
Requests, answers and rows are named as in dialect.py, which every provider says in its own words.
Seconds in orders are simulated, but for those of ``delay``,
``hold_after_commit`` and ``boot``. Sources are public:
"project #number" is an issue or pull request on GitHub.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.simulator.dialect import FEATURES, REQUESTS, SAYINGS, SHOWS, Dialect
from tests.simulator.kinds import KINDS
from tests.simulator.market import ACCOUNT_OK, START_CREDIT_USD

Order = dict[str, Any]
HEALTHY: dict[str, Any] = {
    "account": ACCOUNT_OK,
    "credit_usd": START_CREDIT_USD,
    "rate_limits": False,
    "strangers": 0,
}


#: What is known of this one alone, in words that nobody else has.
VASTAI = "vastai"


@dataclass(frozen=True)
class NamedFault:
    """One thing to survive: what the client meets, where it was seen, and how to bring it about.

    ``pages`` are how many a list of the account has, by rentals of strangers. ``needs`` are
    requests and features without which there is no such fault, and ``of`` is the provider in whose
    words alone it is.
    """

    name: str
    story: str
    source: str
    orders: tuple[Order, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    pages: int = 0
    needs: tuple[str, ...] = ()
    of: str = ""

    def lacking(self, provider: str, dialect: Dialect) -> str:
        """Why a provider cannot have it; empty where it can."""
        if self.of and self.of != provider:
            return "it is in another provider's words alone"
        kinds = [KINDS[order["kind"]] for order in self.orders]
        requests = [
            order.get("on", kind.on) for order, kind in zip(self.orders, kinds, strict=True)
        ]
        features = [one for one in self.needs if one in FEATURES]
        requests += [one for one in self.needs if one in REQUESTS]
        requests += ["second page"] if self.pages else []
        for why, known, words in (
            (FEATURES, dialect.features, features),
            (REQUESTS, dialect.requests, requests),
            (SAYINGS, dialect.sayings, [order.get("saying") for order in self.orders]),
            (SHOWS, dialect.shows, [order.get("shows") for order in self.orders]),
        ):
            for word in filter(None, words):
                if word not in known:
                    return why[word]
        account = self.settings.get("account", ACCOUNT_OK)
        if account not in (ACCOUNT_OK, *dialect.accounts):
            return "its keys are refused in one way alone, or have no such rights"
        return ""

    def settings_in(self, dialect: Dialect) -> dict[str, Any]:
        """What to set in a market of this dialect."""
        if not self.pages:
            return self.settings
        strangers = round((self.pages - 0.8) * dialect.page_size)
        return {**self.settings, "strangers": strangers}


# --- answers that no provider has words of its own for, or one alone ---


def error(status: int, code: str, message: str) -> Order:
    """Return an answer in Vast.ai's form, as parameters of an order."""
    return {"status": status, "body": {"success": False, "error": code, "msg": message}}


NO_ASK = "no_such_ask Instance type by id 1 is not available."
GONE_400 = error(400, "no_such_ask", f"error 404/3603: {NO_ASK}")
GONE_410 = error(410, "no_such_ask", f"error 410/3907: {NO_ASK}")
STALE = {"error_type": "stale_inventory", "retry_suggested": True, "message": "offer is gone"}
DEPRECATED = {
    "success": False,
    "error": "deprecated_endpoint",
    "msg": "/api/v0/instances/ is deprecated. Use /api/v1/instances/ instead.",
}
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
        ({"kind": "reply", "times": 2, "on": "search", **GATEWAY_TIMEOUT},),
    ),
    NamedFault(
        "search-without-list",
        "A search answers 200 and has null where the offers should be.",
        "vast-ai/vast-cli vastai/api/offers.py",
        ({"kind": "reply", "on": "search", "saying": "no offers"},),
    ),
    NamedFault(
        "search-ignores-filters",
        "A search answers with offers that it was not asked for.",
        "dstackai/gpuhunt gpuhunt/providers/vastai.py",
        ({"kind": "unfiltered", "times": 3},),
        needs=("filters",),
    ),
    NamedFault(
        "search-quota",
        "A search is refused for exceeding a quota, with Retry-After.",
        "vast-ai/vast-cli vastai/api/client.py",
        (
            {
                "kind": "reply",
                "on": "search",
                "saying": "quota",
                "headers": {"Retry-After": "1"},
            },
        ),
    ),
    NamedFault(
        "offer-gone-400",
        "An offer that was just found is gone, told as a bad request.",
        "cloud-gpu-shopper docs/benchmark-campaign-5-6-buglog.md",
        ({"kind": "reply", "on": "create", **GONE_400},),
        of=VASTAI,
    ),
    NamedFault(
        "offer-gone",
        "Four offers that were just found are gone, one after the other.",
        "cloud-gpu-shopper docs/benchmark-campaign-5-6-buglog.md",
        ({"kind": "reply", "times": 4, "on": "create", "saying": "offer gone"},),
    ),
    NamedFault(
        "offer-gone-410",
        "An offer that was just found is gone, told as gone.",
        "vast-ai/docs api-reference/openapi.yaml",
        ({"kind": "reply", "on": "create", **GONE_410},),
        of=VASTAI,
    ),
    NamedFault(
        "offer-gone-503",
        "An offer that was just found is gone, told as unavailable with a retry suggested.",
        "cloud-gpu-shopper docs/API.md",
        ({"kind": "reply", "on": "create", "status": 503, "body": STALE},),
        of=VASTAI,
    ),
    NamedFault(
        "price-rises-after-search",
        "The rental costs three times what its offer said.",
        "vast-cli #403",
        ({"kind": "price_change", "factor": 3.0},),
        needs=("own prices",),
    ),
    NamedFault(
        "price-rises-a-little",
        "The rental costs half as much again as its offer said.",
        "vast-cli #403",
        ({"kind": "price_change", "factor": 1.5},),
        needs=("own prices",),
    ),
    NamedFault(
        "search-dated-tomorrow",
        "The answer to a search, and no other one, carries a date of tomorrow.",
        "aws-sdk-go-v2 #3409",
        ({"kind": "clock_skew", "on": "search", "seconds": 86_400.0},),
    ),
    NamedFault(
        "search-dated-yesterday",
        "The answer to a search, and no other one, carries a date of yesterday.",
        "aws-sdk-go-v2 #3409",
        ({"kind": "clock_skew", "on": "search", "seconds": -86_400.0},),
    ),
)

CREATES = (
    NamedFault(
        "create-lost",
        "The connection breaks before a rental request arrives: nothing is rented.",
        "dstack #3453",
        ({"kind": "drop_before", "on": "create"},),
    ),
    NamedFault(
        "create-done-answer-lost",
        "A rental request is done, and the connection breaks before its answer.",
        "dstack #3453",
        ({"kind": "drop_after_commit", "on": "create"},),
    ),
    NamedFault(
        "create-done-told-500",
        "A rental request is done and answered with an internal error.",
        "transformerlab-app #2305",
        ({"kind": "reply_after_commit", "on": "create", **SERVER_ERROR},),
    ),
    NamedFault(
        "create-done-told-408",
        "A rental request is done and answered with a request time-out.",
        "pry0cc/axiom #564",
        ({"kind": "reply_after_commit", "on": "create", "saying": "timeout"},),
    ),
    NamedFault(
        "create-done-told-404-by-a-gateway",
        "A rental request is done, and a gateway answers with its own page that it found nothing.",
        "triggerdotdev/trigger.dev #3902",
        ({"kind": "reply_after_commit", "on": "create", **GATEWAY_NOT_FOUND},),
    ),
    NamedFault(
        "create-unavailable",
        "A rental request is answered 503 with Retry-After, and nothing is rented.",
        "vast-ai/vast-cli vastai/api/client.py",
        ({"kind": "reply", "on": "create", **OUTAGE, "headers": {"Retry-After": "1"}},),
    ),
    NamedFault(
        "create-done-without-id",
        "A rental request is done and says so without an id.",
        "vast-cli #359",
        ({"kind": "reply_after_commit", "on": "create", "saying": "done without id"},),
    ),
    NamedFault(
        "create-done-answer-cut",
        "A rental request is done and its answer ends in the middle.",
        "withcoral/coral #825",
        ({"kind": "truncate", "on": "create"},),
    ),
    NamedFault(
        "create-answered-by-a-page",
        "A rental request is answered 200 with a page for people, and nothing is rented.",
        "kramcat/CharacterAI #90",
        ({"kind": "garble", "on": "create"},),
    ),
    NamedFault(
        "create-refused-but-stopped-rental",
        "A request says that it failed, beside the id of a stopped rental that pays for its disk.",
        "dstack #4036",
        ({"kind": "stopped_create", "saying": "refused beside id"},),
    ),
    NamedFault(
        "create-phantom",
        "A rental request answers with an id that never exists.",
        "skypilot #7336",
        ({"kind": "reply", "on": "create", "saying": "phantom id"},),
    ),
    NamedFault(
        "create-slow",
        "A rental request takes its time.",
        "skypilot #4392",
        ({"kind": "delay", "seconds": 2.0, "on": "create"},),
    ),
    NamedFault(
        "create-held",
        "A rental is made at once, and pays while its answer is still to come.",
        "skypilot #4392",
        ({"kind": "hold_after_commit", "seconds": 2.0, "on": "create"},),
    ),
    NamedFault(
        "create-invalid",
        "A rental request is refused for its arguments.",
        "vast-ai/docs api-reference/openapi.yaml",
        ({"kind": "reply", "on": "create", "saying": "invalid"},),
    ),
    NamedFault(
        "create-refused-for-a-bad-key",
        "Rental requests are refused for the key, where that is a 404 as of no offer that is gone.",
        "joemccann/radon #363",
        ({"kind": "reply", "times": 2, "on": "create", "saying": "bad key"},),
    ),
    NamedFault(
        "create-too-frequent",
        "A rental request is refused for coming too early, without Retry-After.",
        "docs.vast.ai/api-reference/rate-limits-and-errors",
        ({"kind": "reply", "on": "create", "saying": "too frequent"},),
    ),
    NamedFault(
        "create-paused-for-two-minutes",
        "A rental request is refused for coming too early, with a Retry-After of two minutes.",
        "CommandCodeAI/command-code #788",
        (
            {
                "kind": "reply",
                "on": "create",
                "saying": "too frequent",
                "headers": {"Retry-After": "120"},
            },
        ),
    ),
    NamedFault(
        "create-always-too-frequent",
        "Every rental request is refused for coming too early.",
        "docs.vast.ai/api-reference/rate-limits-and-errors",
        ({"kind": "reply", "times": 1000, "on": "create", "saying": "too frequent"},),
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
            {"kind": "drop_after_commit", "on": "create"},
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
        of=VASTAI,
    ),
    NamedFault(
        "list-withdrawn",
        "A list answers 410.",
        "jhammant/AIonDemandCluster #1",
        ({"kind": "reply", "times": 3, "on": "list", "saying": "withdrawn"},),
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
        needs=("counts",),
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
        ({"kind": "row_is", "shows": "an odd environment", "times": 1000},),
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
                "on": "list",
                "times": 3,
                "of": "/gpu-1/",
                "shows": "exited",
            },
        ),
    ),
    NamedFault(
        "list-unavailable",
        "Two lists in a row end in a gateway time-out.",
        "dstack #775",
        ({"kind": "reply", "times": 2, "on": "list", **GATEWAY_TIMEOUT},),
    ),
    NamedFault(
        "list-cut",
        "A list ends in the middle.",
        "axios #470",
        ({"kind": "truncate", "on": "list"},),
    ),
    NamedFault(
        "list-null-fields",
        "The rows of lists and reads have null in most of their fields.",
        "vast-ai/vast-sdk #15",
        ({"kind": "row_is", "times": 3, "shows": "no values"},),
    ),
    NamedFault(
        "list-odd-types",
        "From the second list on, the rows of three lists have text where numbers should be.",
        "JamesClonk/vultr #5",
        (
            {
                "kind": "row_is",
                "on": "list",
                "skip": 1,
                "times": 3,
                "shows": "odd values",
            },
        ),
    ),
    NamedFault(
        "list-odd-labels",
        "All lists have numbers, lists and objects for labels, and reads by id have the labels.",
        "JamesClonk/vultr #5",
        ({"kind": "row_is", "on": "list", "times": 1000, "shows": "odd labels"},),
    ),
    NamedFault(
        "list-unknown-status",
        "The rows have a status that no document names.",
        "skypilot #9319",
        ({"kind": "row_is", "times": 3, "shows": "an odd status"},),
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
        pages=3,
    ),
    NamedFault(
        "list-hides-its-next-page",
        "A full page says that none comes after it, and counts more.",
        "vast-ai/docs api-reference/openapi.yaml",
        ({"kind": "drop_token", "times": 2},),
        pages=2,
        needs=("next page",),
    ),
    NamedFault(
        "list-second-page-fails",
        "The first page of a list is fine and the second is an internal error.",
        "groundlight/edge-endpoint #421",
        ({"kind": "reply", "times": 2, "on": "second page", **SERVER_ERROR},),
        pages=2,
    ),
)

READS = (
    NamedFault(
        "read-says-gone-once",
        "A read by id says once of a rental that exists that there is none.",
        "vast-cli #405",
        ({"kind": "reply", "on": "read", "saying": "no such rental"},),
    ),
    NamedFault(
        "read-refused-for-a-bad-key",
        "Reads by id are refused for the key, where that is a 404 as of no rental that is gone.",
        "joemccann/radon #363",
        ({"kind": "reply", "times": 2, "on": "read", "saying": "bad key"},),
    ),
    NamedFault(
        "read-empty-object",
        "A read by id answers 200 with an empty object.",
        "vast-ai/vast-sdk #15",
        ({"kind": "reply", "times": 2, "on": "read", "status": 200, "body": {}},),
    ),
    NamedFault(
        "read-answered-by-a-page",
        "A read by id is answered 200 with a page for people.",
        "kramcat/CharacterAI #90",
        ({"kind": "garble", "times": 2, "on": "read"},),
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
        ({"kind": "reply", "skip": 4, "times": 6, "saying": "bad key"},),
    ),
    NamedFault(
        "user-unavailable",
        "The read of the user, which proves that a key works, fails twice.",
        "dstack #1551",
        ({"kind": "reply", "times": 2, "on": "user", **SERVER_ERROR},),
    ),
    NamedFault(
        "rate-limits",
        "Calls that come too early are refused, per endpoint, without Retry-After.",
        "docs.vast.ai/api-reference/rate-limits-and-errors",
        settings={"rate_limits": True},
        needs=("rate limits",),
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
        ({"kind": "reply", "times": 2, "on": "destroy", **SERVER_ERROR},),
    ),
    NamedFault(
        "destroy-done-answer-lost",
        "A destroy is done, and the connection breaks before its answer.",
        "uda-lab/yomotsusaka #124",
        ({"kind": "drop_after_commit", "on": "destroy"},),
    ),
    NamedFault(
        "destroy-refused-for-a-bad-key",
        "Destroys are refused for the key, where that is a 404, and do nothing.",
        "joemccann/radon #363",
        ({"kind": "reply", "times": 2, "on": "destroy", "saying": "bad key"},),
    ),
    NamedFault(
        "destroy-404-but-alive",
        "A destroy is answered as if there were no such rental, and there is.",
        "realnedsanders/terraform-provider-vastai internal/client/instances.go",
        ({"kind": "reply", "on": "destroy", "saying": "nothing to end"},),
    ),
    NamedFault(
        "destroy-refused-in-a-success",
        "A destroy is answered 200 with success false, and does nothing.",
        "dstack #3746",
        ({"kind": "reply", "on": "destroy", **error(200, "busy", "Instance is busy.")},),
        of=VASTAI,
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
        needs=("ends early",),
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
        needs=("silence",),
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
        needs=("proxy",),
    ),
    NamedFault(
        "ssh-direct-black-hole",
        "The port of its own machine neither refuses nor answers, and the proxy lets in.",
        "vast-ai/docs guides/instances/connect/networking.mdx",
        ({"kind": "black_hole", "way": "direct"},),
        needs=("proxy",),
    ),
    NamedFault(
        "ssh-proxy-refused",
        "The proxy refuses SSH, and the port of its own machine lets in.",
        "cloud-gpu-shopper LIVE_BUG_LOG.md",
        ({"kind": "never_ssh", "way": "proxy"},),
        needs=("proxy",),
    ),
    NamedFault(
        "container-recreated-while-it-boots",
        "A rental's container is made anew in place as soon as it runs.",
        "vast-ai/docs api-reference/openapi/yaml/recycle_instance.yaml",
        ({"kind": "recreates", "after_seconds": 0.0},),
        needs=("containers",),
    ),
    NamedFault(
        "container-recreated-later",
        "A rental's container is made anew in place after an hour: all that was on it is lost.",
        "vast-ai/docs api-reference/openapi/yaml/recycle_instance.yaml",
        ({"kind": "recreates", "after_seconds": 3600.0},),
        needs=("containers",),
    ),
    NamedFault(
        "key-attached-late",
        "An attached key works fifteen seconds after the API said so.",
        "cloud-gpu-shopper LIVE_BUG_LOG.md",
        ({"kind": "attach_delay", "seconds": 15.0},),
        needs=("attach",),
    ),
    NamedFault(
        "key-attach-fails",
        "Attaching a key fails twice.",
        "cloud-gpu-shopper docs/benchmark-campaign-5-6-buglog.md",
        ({"kind": "reply", "times": 2, "on": "attach", **SERVER_ERROR},),
    ),
    NamedFault(
        "key-attach-never-works",
        "Attaching a key fails, for ever.",
        "cloud-gpu-shopper docs/benchmark-campaign-5-6-buglog.md",
        ({"kind": "reply", "times": 1000, "on": "attach", **SERVER_ERROR},),
    ),
    NamedFault(
        "keys-rewritten-hours-later",
        "After ten hours the host knows only the keys that were attached through the API.",
        "skypilot #10730",
        ({"kind": "wipe_keys", "after_seconds": 36_000.0, "keep_attached": True},),
        needs=("attach",),
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
        needs=("driver",),
    ),
    NamedFault(
        "memory-less-than-advertised",
        "The host's GPUs have half of the memory that its offer says.",
        "gpuhunt #32",
        ({"kind": "lies", "vram_factor": 0.5},),
    ),
    NamedFault(
        "disk-smaller-than-paid",
        "The host has a five-hundredth of the disk that was asked for and is paid for.",
        "vast-ai/docs api-reference/openapi.yaml",
        ({"kind": "lies", "disk_factor": 0.002},),
    ),
)

AROUND = (
    NamedFault(
        "label-gets-a-word",
        "Somebody writes a word behind the mark, ten minutes after the rental began to run.",
        "vast-ai/docs guides/instances/manage-instances.mdx",
        ({"kind": "relabels", "label": "{label} keep"},),
        needs=("second mark",),
    ),
    NamedFault(
        "label-gets-a-word-in-front",
        "Somebody writes a word before the mark, ten minutes after the rental began to run.",
        "vast-ai/docs guides/instances/manage-instances.mdx",
        ({"kind": "relabels", "label": "keep {label}"},),
        needs=("second mark",),
    ),
    NamedFault(
        "label-is-replaced",
        "Somebody replaces the mark, ten minutes after the rental began to run.",
        "vast-ai/docs guides/instances/manage-instances.mdx",
        ({"kind": "relabels", "label": "our demo"},),
        needs=("second mark",),
    ),
    NamedFault(
        "label-is-emptied-while-it-boots",
        "Somebody empties the label as soon as the rental runs.",
        "vast-ai/docs guides/instances/manage-instances.mdx",
        ({"kind": "relabels", "label": "", "after_seconds": 0.0},),
        needs=("second mark",),
    ),
    NamedFault(
        "label-change-forgotten",
        "Changing a label is answered with success and not kept.",
        "runpodctl #330",
        ({"kind": "reply", "on": "change", "saying": "changed"},),
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
