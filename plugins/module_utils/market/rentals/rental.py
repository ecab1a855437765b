# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The work of module rental, wherever it is done: at one provider, at several, or at none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..errors import MarketError, UnclearCreate
from ..failing import failure
from ..mark import check_name
from ..own import is_own, own_answer
from ..secret import SHORT_WARNING, is_short
from .desk import Desk
from .options import ReleaseOn, accounts_of, given_secret, make_budget, make_provider
from .several import Desks

#: What is at stake where an error does not know better.
_STAKES = {
    "present": "This call rented nothing; what it could not see may bill.",
    "absent": "Whatever is rented under this name may go on billing.",
    "found": "This call rented nothing; what it could not see may bill.",
    "stopped": "Whatever is rented under this name may go on billing.",
}


#: What a budget lacks without a trail.
UNKNOWN_TO_EACH_OTHER = (
    "monthly_budget_usd is set without audit_path (inferops_audit_path): hosts that rent at once "
    "do not count each other, and what has ended counts where bills name it alone."
)


def rental(
    given: Mapping[str, Any],
    dry_run: bool,
    notify: Callable[[str], None],
    release_on: ReleaseOn,
) -> dict[str, Any]:
    """The result of module rental, which documents it; a failure says so under `failed`.

    *given* has the shape of RENTAL_OPTIONS. *notify* gets one line for each decision. *release_on*
    knows which engine a host would get. Sentences for the user are under `warnings`.
    """
    warnings: list[str] = []
    stakes, state = _STAKES[given["state"]], given["state"]
    try:
        # An empty name would stand for none, and look like one that is not rented.
        check_name(given["name"])
        if is_own(given["provider"]):
            return {**own_answer(given), "warnings": []}
        if is_short(given_secret(given)):
            warnings.append(SHORT_WARNING)
        desks, budget = [], make_budget(given)
        if budget and not given["audit_path"]:
            warnings.append(UNKNOWN_TO_EACH_OTHER)
        for account in accounts_of(given):
            provider = make_provider(account)
            stakes += f" See {provider.console_url}"
            pretends = dry_run or state == "found"
            warn = warnings.append
            desks.append(Desk(account, provider, pretends, notify, warn, release_on, budget))
        whole = desks[0] if len(desks) == 1 else Desks(desks, given, dry_run, warnings.append)
        result = getattr(whole, state)()
        warnings += dict.fromkeys(doubt for desk in desks for doubt in desk.doubts)
    except UnclearCreate as error:
        # By its nonce whoever comes next releases what may have been rented.
        told = {"attempts": error.attempts, "nonce": error.nonce, **error.started}
        result = failure(error, stakes, **told)
    except MarketError as error:
        result = failure(error, stakes, attempts=error.attempts, **error.started)
    except ValueError as error:
        result = failure(error, stakes, attempts=[])
    return {**result, "warnings": warnings}
