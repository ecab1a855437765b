# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the modules that take minutes do their work (`inferops.gpu.job` documents their options)."""

from __future__ import annotations

from typing import Any, Callable, NoReturn

from ..machine.jobs import Job, JobError, Work
from .installers import StackError
from .stack import Stack

JOB_OPTIONS: dict[str, Any] = {
    "job": {"type": "str", "default": ""},
    "watch_seconds": {"type": "float", "default": 5.0},
}


def finish(module: Any, stack: Stack, work: Work) -> NoReturn:
    """End the *module* with what *work* returns, or with how far it is when it is a job.

    What *work* returns under `warnings` is warned of.
    """

    def safely(tell: Callable[[str], None]) -> dict[str, Any]:
        try:
            return work(tell)
        except StackError as error:
            return {"failed": True, "msg": str(error)}

    job_id = "" if module.check_mode else module.params["job"]
    result: dict[str, Any] | None
    if job_id:
        try:
            job = Job(stack.jobs, job_id)
            result = job.run(safely, module.params["watch_seconds"])
            if result is None:
                module.exit_json(changed=False, running=job.progress())
        except (JobError, OSError, ValueError) as error:
            result = {"failed": True, "msg": str(error)}
    else:
        result = safely(lambda doing: None)
    result = result or {}
    for sentence in result.pop("warnings", []):
        module.warn(sentence)
    if result.pop("failed", False):
        module.fail_json(**result)
    module.exit_json(**result)
    raise AssertionError("a module ends with its result")
