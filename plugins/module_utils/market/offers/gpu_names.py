# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names of GPUs as people write them, and as a marketplace does."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import replace

from ..errors import MarketError, RequestRefused
from ..gpus import gpu_key
from ..providers.provider import Provider
from ..wish import Wish, other_maker

_MOST_MEANT = 5


def in_words_of(provider: Provider, wish: Wish) -> Wish:
    """The wish with the names of GPUs as *provider* writes them, where it tells its names.

    Raises RequestRefused for one that it does not have, with those that may be meant, and for one
    that no engine is installed for.
    """
    for asked in wish.gpu_names:
        maker = other_maker(asked)
        if maker:
            raise RequestRefused(
                f"gpu_names has {asked!r}, a GPU by {maker}: engines are installed in their "
                "builds for NVIDIA's CUDA alone.",
                remedy="Name GPUs by NVIDIA, or leave gpu_names empty.",
                money="Nothing was rented.",
            )
    if not wish.gpu_names or not provider.tells_gpu_names:
        return wish
    try:
        known = provider.gpu_names()
    except MarketError:
        return wish
    names = [name for asked in wish.gpu_names for name in _known_as(asked, known)]
    return replace(wish, gpu_names=tuple(dict.fromkeys(names)))


def _known_as(asked: str, known: list[str]) -> list[str]:
    word = gpu_key(asked)
    same = [name for name in known if gpu_key(name) == word]
    if same:
        return same
    alike = names_alike(word, known)
    raise RequestRefused(
        f"gpu_names has {asked!r}, which is no GPU that the marketplace knows.",
        remedy=f"Did you mean {' or '.join(alike)}?" if alike else f"It knows {', '.join(known)}.",
        money="Nothing was rented.",
    )


def names_alike(word: str, known: Iterable[str]) -> list[str]:
    """Those whose keys a key is a part of, then those that are spelled alike; a few."""
    by_word = {gpu_key(name): name for name in known}
    parts = [name for one, name in by_word.items() if word and word in one]
    close = [by_word[one] for one in difflib.get_close_matches(word, by_word, n=_MOST_MEANT)]
    return list(dict.fromkeys([*parts, *close]))[:_MOST_MEANT]
