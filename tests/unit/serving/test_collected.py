# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What evidence tells, whether a task failed or somebody asked for it."""

from __future__ import annotations

from ansible_collections.inferops.gpu.plugins.filter.evidence_outcome import evidence_outcome

LOG_SAYS = {"cause": "The log's."}
COLLECTED = {"files": ["server.log", "gpu.json"], "missing": {"kernel.txt": "no permission"}}
FAILURE = {"task": "Launch", "message": "It died.", "diagnosis": {"cause": "The task's."}}


def test_on_demand_the_log_says_what_is_wrong() -> None:
    outcome = evidence_outcome({**COLLECTED, "failure": LOG_SAYS})
    assert outcome["task"] == "evidence on demand"
    assert outcome["diagnosis"] == LOG_SAYS
    assert outcome["missing"] == COLLECTED["missing"]
    assert outcome["told"] == "It holds 2 files of the host."


def test_a_failed_task_is_not_explained_by_what_an_older_log_says() -> None:
    collected = {**COLLECTED, "failure": LOG_SAYS}
    assert evidence_outcome(collected, FAILURE)["diagnosis"] == FAILURE["diagnosis"]
    assert evidence_outcome(collected, {**FAILURE, "diagnosis": {}})["diagnosis"] == {}
    assert evidence_outcome(collected, FAILURE)["message"] == "It died."


def test_a_host_that_was_not_reached_lacks_everything_for_its_reason() -> None:
    for collected, reason in (
        ({"unreachable": True, "msg": "No route."}, "No route."),
        ({}, "no rental is connected under this name"),
    ):
        outcome = evidence_outcome(collected)
        assert outcome["missing"] == {"everything on the host": reason}
        assert outcome["told"] == f"The host was not reached: {reason}"
        assert outcome["diagnosis"] == {}


def test_of_a_host_that_let_nobody_in_there_is_what_its_provider_told() -> None:
    outcome = evidence_outcome({}, FAILURE, {"log": ["It began.", "It ended."], "log_missing": ""})
    assert outcome["files"] == {"provider.log": "It began.\nIt ended.\n"}
    assert "provider.log" not in outcome["missing"]


def test_why_there_is_no_log_of_a_provider_is_told_where_one_was_asked_for() -> None:
    outcome = evidence_outcome({}, FAILURE, {"log": [], "log_missing": "it is down"})
    assert outcome["files"] == {}
    assert outcome["missing"]["provider.log"] == "it is down"
    reached = evidence_outcome(COLLECTED, FAILURE, {"rental": {}, "seconds": {}})
    assert (reached["files"], reached["missing"]) == ({}, COLLECTED["missing"])
