# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Agents and alerts: nothing is spent without a person, and nothing is mended for ever."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation

_CONSENT = "tools/mcp/consent.py"
_JUDGED = "tests/unit/agents/test_consent.py"
_MENDS = "plugins/module_utils/host/server/mends.py"
_MENDED = "tests/unit/host/test_mend.py"
_RULEBOOK = "extensions/eda/rulebooks/mend.yml"
_RULES = "tests/unit/host/test_rulebook.py"

MUTATIONS = (
    Mutation(
        "agent-over-the-cap",
        "an agent spends more than its person has allowed",
        _CONSENT,
        "if committed + plan.most_usd > self.cap_usd:",
        "if plan.most_usd > self.cap_usd:",
        (_JUDGED,),
        least_red=3,
    ),
    Mutation(
        "agent-in-a-circle",
        "an agent that rents and ends in a circle is stopped by no cap",
        _CONSENT,
        "committed = before + sum(one.most_usd for one in self._used.values())",
        "committed = before",
        (f"{_JUDGED}::test_what_was_approved_counts_whole_and_once",),
    ),
    Mutation(
        "agent-with-an-old-plan",
        "an agent spends on a plan whose prices have moved",
        _CONSENT,
        "if now - plan.made_at > PLAN_LIVES_SECONDS:",
        "if False:",
        (f"{_JUDGED}::test_an_old_plan_is_refused_also_where_the_person_took_too_long",),
    ),
    Mutation(
        "agent-with-a-plan-twice",
        "an agent carries out twice what its person has agreed to once",
        _CONSENT,
        "self._used[plan_id] = self._plans.pop(plan_id)",
        "self._plans[plan_id]",
        (f"{_JUDGED}::test_a_plan_may_be_carried_out_once",),
    ),
    Mutation(
        "agent-judged-once",
        "two plans that were each under the cap are carried out together",
        _CONSENT,
        "plan = self.allowed(plan_id, due, now)",
        "plan = self._plans[plan_id]",
        (_JUDGED,),
        least_red=2,
    ),
    Mutation(
        "agent-without-a-limit",
        "a deploy takes a dearer offer than its person has agreed to",
        _CONSENT,
        '"rent_max_price_usd_per_hour": self.dearest_usd_per_hour,',
        '"rent_max_price_usd_per_hour": self.budget_usd,',
        (f"{_JUDGED}::test_a_deploy_is_held_to_what_was_planned",),
    ),
    Mutation(
        "agent-endless",
        "an agent rents what has no deadline",
        _CONSENT,
        "if endless:",
        "if False:",
        (f"{_JUDGED}::test_a_rental_without_an_end_is_no_plan",),
    ),
    Mutation(
        "agent-price-unknown",
        "a rental whose price nobody tells counts as free",
        _CONSENT,
        "/ 3600 if known else math.inf)",
        "/ 3600 if known else 0)",
        (f"{_JUDGED}::test_what_nobody_knows_is_without_end",),
    ),
    Mutation(
        "agent-renders-templates",
        "an agent runs commands on the controller by a template in what it says",
        "tools/mcp/plays.py",
        "return _Said(value)",
        "return value",
        ("tests/unit/agents/test_plays.py",),
        least_red=2,
    ),
    Mutation(
        "mend-for-ever",
        "a server that ends again and again is started again for ever",
        _MENDS,
        "len(at) < most",
        "True",
        (
            f"{_MENDED}::test_as_many_attempts_as_are_allowed_are_all",
            f"{_MENDED}::test_the_host_counts_and_a_dry_run_counts_nothing",
        ),
        least_red=2,
    ),
    Mutation(
        "mend-forgets-by-a-clock",
        "a clock that was set back gives attempts away",
        _MENDS,
        "if time > now - window_seconds)",
        "if now - window_seconds < time <= now)",
        (f"{_MENDED}::test_attempts_count_for_a_time_whatever_a_file_says",),
    ),
    Mutation(
        "mend-not-noted",
        "no attempt is written down, so that none counts",
        "plugins/modules/mend_attempt.py",
        "mends.note(folder, [*before.at, now])",
        "mends.note(folder, before.at)",
        (f"{_MENDED}::test_the_host_counts_and_a_dry_run_counts_nothing",),
    ),
    Mutation(
        "alert-says-anything",
        "a label of a metric, which a rented host may write, becomes a variable",
        _RULEBOOK,
        ' and event.labels.inferops_host is match("[a-z0-9][a-z0-9-]{0,62}$")',
        "",
        (f"{_RULES}::test_only_a_name_of_a_host_that_fires_becomes_a_variable",),
    ),
    Mutation(
        "alert-from-anybody",
        "whoever reaches the port starts playbooks",
        _RULEBOOK,
        'token: "{{ INFEROPS_ALERTS_TOKEN }}"',
        'token: ""',
        (f"{_RULES}::test_nobody_without_a_token_is_listened_to_and_nobody_from_afar",),
    ),
)
