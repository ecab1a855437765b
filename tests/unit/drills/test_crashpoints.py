# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which runs the drill of crash points takes: every point once, and some again for each trouble."""

from __future__ import annotations

from tests.drills.crashpoints import CALM, LYING, MODULE_KILLED, POINTS_EACH, Point, Run, plan
from tests.drills.troubles import TROUBLES

CREATE, DESTROY, READ = "create", "destroy", "list"


def steps(play: str, *calls: str) -> list[Point]:
    """The points of a play: before and after each call, and at a task between two of them."""
    made = []
    for number, call in enumerate(calls):
        nth = calls[: number + 1].count(call)
        made.append(Point(play, "at", f"task {number}", 1))
        made += [Point(play, moment, call, nth) for moment in ("before", "after")]
        if call in (CREATE, DESTROY):
            made.append(Point(play, MODULE_KILLED, call, nth))
    return made


POINTS = [
    *steps("rent", READ, CREATE, READ, READ),
    *steps("teardown", READ, READ, DESTROY, READ),
    *steps(LYING, DESTROY, CREATE),
]


def troubled(runs: list[Run]) -> list[Run]:
    """The runs around which something else goes wrong."""
    return [run for run in runs if run.trouble is not CALM]


def test_every_point_is_taken_once_and_some_again_for_each_trouble() -> None:
    runs = plan(POINTS, None, None, [])
    assert [run.point for run in runs if run.trouble is CALM] == POINTS
    for trouble in TROUBLES:
        assert sum(run.trouble is trouble for run in runs) == POINTS_EACH


def test_a_trouble_only_comes_while_something_is_rented() -> None:
    first = POINTS.index(Point("rent", "after", CREATE, 1))
    last = POINTS.index(Point("teardown", "before", DESTROY, 1))
    for run in troubled(plan(POINTS, None, None, [])):
        assert first <= POINTS.index(run.point) <= last
        assert run.point.moment != MODULE_KILLED


def test_a_trouble_that_changes_how_often_a_call_is_made_misses_no_point() -> None:
    assert all(run.point.nth == 1 for run in troubled(plan(POINTS, None, None, [])))


def test_a_sample_has_as_many_runs_as_are_asked_for_with_troubles_among_them() -> None:
    runs = plan(POINTS, 6, None, [])
    assert len(runs) == 6
    assert len(troubled(runs)) == 2


def test_lists_that_are_behind_are_met_by_a_controller_that_remembers_nothing() -> None:
    behind = [run for run in plan(POINTS, None, None, []) if "behind" in run.trouble.name]
    assert behind
    assert all(run.fresh for run in behind)


def test_one_point_can_be_taken_with_one_trouble_alone() -> None:
    point, trouble = POINTS[5], TROUBLES[0]
    runs = plan(POINTS, None, str(point), [trouble])
    assert all(run.point == point and run.trouble is trouble for run in runs)
    assert len(runs) == 6
