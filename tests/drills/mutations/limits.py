# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits that the provider sets, and secrets."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import COMMON, MARKET, RENTALS, RULES, TRANSPORT

_NUMBERS = "tests/unit/plugins/test_ranges.py"

MUTATIONS = (
    Mutation(
        "lifetime-without-end",
        "a rental is asked for that would bill for a hundred thousand years",
        f"{COMMON}/ranges.py",
        '("_hours", Range(0, MOST_HOURS))',
        '("_hours", Range())',
        (
            f"{_NUMBERS}::test_a_slip_is_refused_with_the_range",
            f"{_NUMBERS}::test_a_module_refuses_a_slip_before_it_asks_anybody",
        ),
        4,
    ),
    Mutation(
        "modules-take-any-number",
        "in plays of one's own a slip in a number about money or time is obeyed",
        "plugins/plugin_utils/guarded_action.py",
        "if wrong := [*beyond(self._task.args)]:",
        "if wrong := [*beyond({})]:",
        (f"{_NUMBERS}::test_a_module_refuses_a_slip_before_it_asks_anybody",),
        4,
    ),
    Mutation(
        "budget-of-centuries",
        "a budget that lasts for centuries is a rental that bills for as long",
        f"{MARKET}/rentals/lifetime.py",
        "min(*limits, MOST_HOURS * 3600)",
        "min(limits)",
        (f"{_NUMBERS}::test_ten_years_are_the_longest_lifetime_also_by_dollars",),
    ),
    Mutation(
        "no-number-is-a-number",
        "hours that are no number pass, and a module dies of them after it has begun",
        f"{COMMON}/ranges.py",
        "return self.low <= float(value) <= self.high and math.isfinite(float(value))",
        "return not (float(value) < self.low or float(value) > self.high)",
        (f"{_NUMBERS}::test_a_slip_is_refused_with_the_range",),
        4,
    ),
    Mutation(
        "account-key-on-the-host",
        "whoever owns a rented machine can spend the account's money",
        f"{MARKET}/providers/vastai.py",
        "_create_body(order))\n",
        '{**_create_body(order), "env": dict(self._transport._session.auth._headers)})\n',
        (f"{RULES}::test_no_host_ever_gets_the_accounts_key",),
    ),
    Mutation(
        "rate-limits-ignored",
        "parallel hosts are locked out for calling too often",
        f"{MARKET}/providers/pace.py",
        "        self._clock.sleep(seconds)\n",
        "",
        (f"{RULES}::test_no_call_comes_too_early",),
    ),
    Mutation(
        "retry-after-ignored",
        "a client that was told to wait calls on",
        f"{MARKET}/providers/transport.py",
        "return (own if asked is None else asked) * (1 + random.uniform(0, 0.2))",
        "return own * (1 + random.uniform(0, 0.2))",
        (f"{RULES}::test_a_provider_that_says_how_long_to_wait_is_obeyed",),
    ),
    Mutation(
        "attempts-without-end",
        "a market that sells stale offers is asked for ever",
        f"{MARKET}/rentals/lifecycle.py",
        "if requests == limits.max_attempts:",
        "if False:",
        (f"{RENTALS}::test_attempts_are_bounded",),
    ),
    Mutation(
        "long-pause-cut-short",
        "a client that was told to wait for minutes calls on",
        f"{MARKET}/providers/transport.py",
        "return (own if asked is None else asked) * (1 + random.uniform(0, 0.2))",
        "return min(own if asked is None else asked, 30.0)",
        (f"{TRANSPORT}::test_a_pause_is_obeyed_in_full_in_whatever_form_it_is_asked_for",),
    ),
    Mutation(
        "dripping-answer-awaited",
        "an answer that never ends holds up the whole play",
        f"{MARKET}/providers/transport.py",
        "return within(timeout_seconds, send)",
        "return send()",
        (f"{TRANSPORT}::test_an_answer_that_drips_ends_the_call",),
    ),
    Mutation(
        "key-in-a-message",
        "the key of an instance can be read in logs",
        f"{MARKET}/providers/transport.py",
        '_SECRET.sub(r"\\1\\2***", text)',
        "text",
        (f"{TRANSPORT}::test_no_secret_gets_into_a_message",),
    ),
    Mutation(
        "echoed-key-in-a-message",
        "the account's key can be read in logs when an answer repeats it",
        f"{MARKET}/providers/transport.py",
        'text = text.replace(secret, "***")',
        "pass",
        (f"{TRANSPORT}::test_an_answer_that_repeats_the_accounts_key_does_not_show_it",),
    ),
)
