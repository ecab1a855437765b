# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several providers asked at once: their answers, their errors, and which rental counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from ..errors import MarketError
from ..model import DEAD, Rental

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


def ask_all(
    asked: Sequence[Asked], question: Callable[[Asked], Answer]
) -> tuple[list[tuple[Asked, Answer]], list[tuple[Asked, MarketError]]]:
    """What each answers, and why those do not who don't; all are asked at the same time."""

    def ask(one: Asked) -> Answer | MarketError:
        try:
            return question(one)
        except MarketError as error:
            return error

    with ThreadPoolExecutor(len(asked)) as pool:
        told = list(zip(asked, pool.map(ask, asked)))
    answers = [(one, answer) for one, answer in told if not isinstance(answer, MarketError)]
    return answers, [(one, answer) for one, answer in told if isinstance(answer, MarketError)]


def precedence(rental: Rental) -> tuple[bool, int, str, tuple[bool, str, str]]:
    """Sorts the rentals of one name at several providers: the oldest request that lives counts.

    Every controller sees the same order, for the time of the request is in the mark.
    """
    created_at = rental.mark.created_at if rental.mark else 0
    return rental.status in DEAD, created_at, rental.provider, rental.precedence


def together(errors: Sequence[MarketError]) -> MarketError:
    """Several errors as one, of the first one's kind. One of several is told as it is."""
    first = errors[0]
    if len(errors) == 1:
        return first
    money = " ".join(dict.fromkeys(filter(None, (error.money for error in errors))))
    kind = type(first) if len({type(error) for error in errors}) == 1 else MarketError
    remedies = " ".join(dict.fromkeys(error.remedy for error in errors))
    joined = kind(" ".join(error.cause for error in errors), remedy=remedies, money=money)
    joined.attempts = [attempt for error in errors for attempt in error.attempts]
    return joined
