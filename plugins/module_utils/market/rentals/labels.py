# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is said of rentals into whose label somebody has written, and when that stops a run."""

from __future__ import annotations

from ..errors import MarketError
from ..model import UNREADABLE, Rental, rate_of


def damaged_warning(damaged: list[Rental]) -> str:
    """What to tell about rentals of which nobody can say whose they are."""
    rates = " ".join(f"{one.id} bills {rate_of(one)}." for one in damaged)
    return (
        f"{_why(damaged)} {rates} Whether it is needed is unknown, so it is neither used nor "
        f"released; see {damaged[0].console_url}"
    )


def refuse_damaged(damaged: list[Rental], name: str, kind: type[MarketError]) -> None:
    """Raise an error of this *kind* where one of the *damaged* may be the rental of *name*."""
    if not damaged:
        return
    ways = ["write its label as it was"] if any(not one.claim for one in damaged) else []
    if any(one.claim for one in damaged):
        ways.append("run with the secret that it was rented with")
    ways.append("release it by its id (module rental with state: absent and its id)")
    raise kind(
        f"Whether {name} is rented is unknown: {_why(damaged)}",
        remedy=f"Either {', or '.join(ways)}, or end it at {damaged[0].console_url}",
        money=" ".join(f"{one.id} bills {rate_of(one)}." for one in damaged),
    )


def _why(damaged: list[Rental]) -> str:
    """Why none of these is believed."""
    told = ", ".join(f"{one.id} ({one.label!r})" for one in damaged if one.claim is None)
    unproven = ", ".join(f"{one.id} ({one.label!r})" for one in damaged if one.claim)
    sentences = []
    if told:
        sentences.append(
            f"The label of rental {told} looks like a mark of this scope and is none, because "
            "somebody has written into it."
        )
    if unproven:
        sentences.append(
            f"The mark of rental {unproven} is not proven: it was made without the secret of this "
            "scope, or with another one, or by somebody else."
        )
    return " ".join(sentences)


def odd_labels_warning(odd: list[Rental]) -> str:
    """What to tell about rentals whose labels are no texts, and that nobody knows by anything else.

    They are somebody else's as far as it goes.
    """
    told = ", ".join(f"{one.id} ({one.label or 'none'})" for one in odd)
    return (
        f"The label of rental {told} is no text, so it counts as somebody else's: it is neither "
        f"used nor released. Should it be yours, it bills: see {odd[0].console_url}"
    )


def written_over_warning(rental: Rental) -> str:
    """What to tell about a rental into whose label somebody has written; nothing of another."""
    if not rental.is_written_over:
        return ""
    return (
        f"The label of rental {rental.id} was changed by hand to {rental.label!r}. It is known by "
        "another copy of its mark, which holds the deadline that it was made with: an "
        "extension is kept as long as the mark stands in the label as a word of its own."
    )


def unreadable_warning(rental: Rental) -> str:
    """What to tell about a rental of which only id and mark are known; nothing of another."""
    if rental.status != UNREADABLE:
        return ""
    return (
        f"{rental.status_text.rstrip('.')}. Only its id and its mark are known, and it may bill: "
        f"run again; if it stays, look at it at {rental.console_url}"
    )
