# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who ends a rental at its deadline."""

from __future__ import annotations

from ..errors import RequestRefused
from ..providers.provider import HOST, NOBODY, PROVIDER, REAPER

#: What helps where nobody would end a rental, in the words of a playbook's variables.
BY_VARIABLES = (
    "Schedule playbook inferops.gpu.reap and set inferops_reaper, or accept it with "
    "inferops_allow_unenforced_deadline."
)


def enforcer(deadline: int, by_provider: str, reaper: bool, nobody_accepted: bool) -> str:
    """Who ends a rental at its deadline; raises RequestRefused when nobody does unaccepted.

    ``by_provider`` is what the provider offers (host, provider or nobody), ``reaper`` whether the
    playbook runs regularly.
    """
    if deadline and by_provider != NOBODY:
        return by_provider
    if deadline and reaper:
        return REAPER
    if nobody_accepted:
        return NOBODY
    raise RequestRefused(
        "Nobody would end this rental at its deadline.",
        remedy="Schedule the playbook inferops.gpu.reap and say reaper: true, or accept it with "
        "allow_unenforced_deadline: true.",
    )


def enforcer_found(planned: str, armed: bool, reaper: bool) -> str:
    """Who does end a rental that has a deadline: the host only with a switch that is armed."""
    if planned in (PROVIDER, REAPER) or (planned == HOST and armed):
        return planned
    return REAPER if reaper else NOBODY


def refuse_unended_stop(
    deadline: int, by_provider: str, reaper: bool, nobody_accepted: bool
) -> None:
    """Raise RequestRefused where nobody would end a rental that stands still, unaccepted.

    Its disk bills, and a switch on a host that does not run ends nothing.
    """
    found = enforcer_found(by_provider, False, reaper)
    if deadline and found == NOBODY and not nobody_accepted:
        raise RequestRefused(
            "Nobody would end this rental at its deadline while it stands still: the switch on its "
            "host does not run then.",
            remedy=BY_VARIABLES,
        )


def refuse_nobody(found: str, problem: str, nobody_accepted: bool) -> None:
    """Raise RequestRefused where nobody ends a rental unaccepted; *problem* says why."""
    if found == NOBODY and not nobody_accepted:
        raise RequestRefused(
            f"Nobody would end this rental at its deadline: {problem.rstrip('.') or 'no switch'}.",
            remedy="Take an image that runs its start script, schedule playbook inferops.gpu.reap "
            "and set inferops_reaper, or accept it with inferops_allow_unenforced_deadline.",
        )
