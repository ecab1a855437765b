# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is rented, taken and told: what Jinja decided before, where no mutation reached it."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import (
    ATTEMPTS,
    ENDS,
    MARKET,
    OUTCOME,
    RECOVERY,
    SERVING,
    SHOWN,
    UNIT,
)

BEFORE = f"{SERVING}/before_renting.py"
PREBUILT = f"{SERVING}/prebuilt.py"
REPORT = f"{MARKET}/rentals/report.py"
EXTENDING = f"{MARKET}/rentals/extending.py"
EXTEND = "tests/unit/plugins/test_extend.py"
RENTING = "tests/unit/serving/test_before_renting.py"
_LOOKED_FOR = f"{RENTING}::test_a_host_is_looked_at_for_the_engine_only_where_its_image_may_have_it"
_RENTED = f"{RENTING}::test_an_image_with_the_engine_is_rented_only_where_it_can_do"

HOSTS = "plugins/lookup/hosts.py"
_UNREACHED = (
    "tests/unit/plugins/test_hosts.py::"
    "test_a_host_that_is_named_and_would_not_be_reached_fails_the_run_before_it_does_anything"
)

MUTATIONS = (
    Mutation(
        "named-and-left-out",
        "a teardown ends well while a host that it was given by name bills on",
        HOSTS,
        "    if missed:\n",
        "    if missed == named:\n",
        (f"{_UNREACHED}[teardown-named-and-left-out]",),
    ),
    Mutation(
        "limit-that-names-nobody",
        "a teardown ends well while a host whose name has a letter wrong bills on",
        HOSTS,
        "    if unknown:\n",
        "    if unknown == [*_parts(limit)]:\n",
        (f"{_UNREACHED}[teardown-misspelt]",),
    ),
    Mutation(
        "exclusion-of-nobody",
        "a teardown ends a host that was to be left out, by a name with a letter wrong",
        HOSTS,
        'one.lstrip("!&") for one in listed)',
        'one for one in listed if one[0] not in "!&")',
        (f"{_UNREACHED}[teardown-misspelt-exclusion]",),
    ),
    Mutation(
        "unknown-model-taken-for-a-small-one",
        "for a model that nothing is known of the cheapest card of all is rented",
        BEFORE,
        "    if not config and not known_bytes:\n",
        "    if False:\n",
        (f"{RENTING}::test_a_model_that_nothing_is_known_of_says_why",),
        4,
    ),
    Mutation(
        "hub-outranks-the-user",
        "a host is rented for another model than the one that is served",
        BEFORE,
        'wish.config or asked.get("config") or {}',
        'asked.get("config") or wish.config or {}',
        (f"{RENTING}::test_a_config_that_is_given_counts_more_than_what_the_hub_says",),
    ),
    Mutation(
        "driver-of-any-release",
        "a host is rented whose driver runs no vLLM that knows the model",
        BEFORE,
        "engine.plan({}, wish.accelerator, wish.release, least)",
        'engine.plan({}, wish.accelerator, wish.release, "")',
        (f"{RENTING}::test_a_release_that_does_not_know_the_model_is_refused",),
    ),
    Mutation(
        "image-nobody-gets-rented-again",
        "every attempt rents the image that no host can get",
        PREBUILT,
        " and not wish.only_installed and not installs",
        " and not wish.only_installed",
        (_RENTED,),
    ),
    Mutation(
        "image-for-what-it-cannot-do",
        "an image is pulled for minutes whose engine cannot be taken",
        PREBUILT,
        "return bool(self.extra_requirements or self.lock_file)",
        "return bool(self.extra_requirements)",
        (_RENTED, _LOOKED_FOR),
        2,
    ),
    Mutation(
        "own-host-rummaged",
        "an environment of the user's own is taken that nobody has named",
        PREBUILT,
        ' or not rental or rental.get("own")',
        " or not rental",
        (_LOOKED_FOR,),
    ),
    Mutation(
        "disk-for-nothing",
        "a disk is paid for that holds no stack",
        "plugins/filter/rental_needs.py",
        '{} if (asked or {}).get("given_python") else stack or {}',
        "stack or {}",
        (f"{RENTING}::test_what_is_not_installed_needs_no_disk",),
    ),
    Mutation(
        "bill-by-this-clock",
        "a deploy tells less than is billed, and a later end, where the provider's clock is ahead",
        REPORT,
        'return float(seen.deadline.get("clock_offset_seconds") or 0.0)',
        "return 0.0",
        (f"{SHOWN}::test_a_deadline_and_a_bill_go_by_the_providers_clock",),
    ),
    Mutation(
        "booting-is-no-waiting",
        "the history learns that hosts let in at once, and dear offers lose to slow ones",
        REPORT,
        '"ssh": booted + seconds["ssh"]',
        '"ssh": seconds["ssh"]',
        (f"{SHOWN}::test_what_was_expected_is_told_beside_what_happened",),
    ),
    Mutation(
        "untold-price-is-none",
        "a rental whose price is not told ends a deploy that serves, and is released",
        REPORT,
        "    if price is not None:\n",
        "    if True:\n",
        (f"{SHOWN}::test_what_is_not_told_or_not_billed_is_said_so",),
    ),
    Mutation(
        "silent-host-counts-as-told",
        "an earlier deadline is told as moved that the host does not know",
        EXTENDING,
        'and not switch.get("unreachable")',
        "",
        (f"{EXTEND}::test_a_host_that_was_not_told_is_named_as_such",),
    ),
    Mutation(
        "dry-run-waits-for-hosts",
        "a dry run of an extension moves the switch of a host",
        EXTENDING,
        "return not dry_run and remaining_seconds",
        "return remaining_seconds",
        (f"{EXTEND}::test_a_host_is_told_where_there_is_one_that_could_be",),
    ),
    Mutation(
        "standing-host-waited-for",
        "a rental that stands still is not extended, for its host does not let in",
        EXTENDING,
        "is not None and status != STOPPED",
        "is not None",
        (f"{EXTEND}::test_a_host_is_told_where_there_is_one_that_could_be",),
    ),
    Mutation(
        "bill-of-what-is-released",
        "a deploy that fails says that a rental bills which it releases a moment later",
        f"{MARKET}/rentals/outcome.py",
        '    if "attempt" in verdict and message == verdict.get("told"):\n',
        "    if False:\n",
        (f"{OUTCOME}::test_what_failed_is_told_without_what_becomes_of_the_bill",),
    ),
    Mutation(
        "last-attempt-blamed-for-all",
        "a server that died is told as the host that was given up before",
        f"{MARKET}/rentals/outcome.py",
        '    if "attempt" in verdict and message == verdict.get("told"):\n',
        '    if "attempt" in verdict:\n',
        (f"{OUTCOME}::test_what_failed_is_told_without_what_becomes_of_the_bill",),
    ),
    Mutation(
        "silence-not-heard",
        "a host that has fallen silent after SSH is compared by what it has never said",
        f"{MARKET}/rentals/attempts.py",
        "    if silent is None:\n",
        '    if silent is None or "failed" not in silent:\n',
        (f"{ATTEMPTS}::test_a_host_that_has_fallen_silent_is_compared_with_nothing",),
    ),
    Mutation(
        "no-deadline-needs-another-yes",
        "a rental that may live for ever, as asked, is released because nobody ends it",
        f"{MARKET}/rentals/desk.py",
        '"nobody_accepted": nobody_accepted,',
        '"nobody_accepted": options["allow_unenforced_deadline"],',
        (f"{ENDS}::test_who_accepts_that_nobody_ends_a_rental_is_asked_once",),
    ),
    Mutation(
        "options-of-an-image-refused",
        "a dry run refuses what the image of the user knows",
        f"{SERVING}/planned.py",
        "    if environment.given:\n",
        "    if False:\n",
        (f"{SHOWN}::test_a_dry_run_refuses_options_only_where_the_release_is_sure",),
    ),
    Mutation(
        "mended-without-evidence",
        "a server is restarted before anybody has kept what explains its failure",
        f"{SERVING}/recovery.py",
        '"collects": case.apply and not case.serves',
        '"collects": case.apply and case.serves',
        (f"{RECOVERY}::test_evidence_is_collected_before_steps_alone",),
    ),
    Mutation(
        "proxy-leads-nowhere",
        "clients reach nothing after a recovery that has moved their server",
        f"{SERVING}/recovery.py",
        '"keeps_proxy": bool(case.tried and case.serves',
        '"keeps_proxy": bool(not case.tried and case.serves',
        (f"{RECOVERY}::test_what_clients_go_by_follows_a_server_that_was_mended",),
    ),
    Mutation(
        "standing-rental-logged-in-to",
        "a teardown waits for the host of a rental that stands still, which is somebody else's",
        f"{MARKET}/rentals/info.py",
        "return bool(rental.ssh) and rental.status != STOPPED",
        "return bool(rental.ssh)",
        (f"{UNIT}/test_stopping.py::test_nobody_is_logged_in_to_where_a_rental_stands_still",),
    ),
)
