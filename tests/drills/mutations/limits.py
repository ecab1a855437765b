# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits that the provider sets, and secrets."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import MARKET, RENTALS, RULES, TRANSPORT

MUTATIONS = (
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
