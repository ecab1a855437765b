# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine that an image has already: when such an image is rented, and a host looked at for it.

What is found is taken only once it is planned for and proven; here only the looking is decided.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .engines.registry import spelling

#: The value of inferops_image_python that lets us find an environment.
AUTO = "auto"
#: The role whose engine images are known, and taken from them.
_ROLE = "stack"


@dataclass(frozen=True)
class Wish:
    """What is asked of the environment that the engine runs in.

    ``python`` is the interpreter of one that is there, ``auto`` for whichever there is, or empty
    for one that is installed. ``extra_requirements`` and ``lock_file`` no image fulfils.
    """

    engine: str
    python: str = AUTO
    extra_requirements: Sequence[str] = ()
    lock_file: str = ""

    @property
    def given(self) -> str:
        """The interpreter that somebody names; empty where we look for one or install our own."""
        return "" if self.python == AUTO else self.python

    @property
    def only_installed(self) -> bool:
        """Whether something is asked for that no image fulfils."""
        return bool(self.extra_requirements or self.lock_file)

    @property
    def images_are_known(self) -> bool:
        return _ROLE in spelling(self.engine).roles


def is_rented(wish: Wish, installs: bool) -> bool:
    """Whether offers are ranked with an image that has the engine; not once nobody got it."""
    return (
        wish.images_are_known and wish.python == AUTO and not wish.only_installed and not installs
    )


def is_looked_for(
    wish: Wish, rental: Mapping[str, Any], offer: Mapping[str, Any], asked_image: str
) -> bool:
    """Whether a host is looked at for an environment with the engine.

    *offer* is empty unless this run has rented: then it knows what the image has, and of a rental
    that was found it does not. A host of the user's own is looked at only where he names one.
    """
    if wish.given:
        return True
    if wish.python != AUTO or wish.only_installed or not rental or rental.get("own"):
        return False
    return not offer or bool(asked_image or offer.get("engine_image"))


def refusal(wish: Wish) -> str:
    """Why an environment that somebody names is not taken; empty where nothing speaks against."""
    if not wish.given:
        return ""
    if not wish.images_are_known:
        return (
            f"inferops_image_python names an environment of another engine, and {wish.engine} is "
            "installed. Leave it at auto."
        )
    if wish.only_installed:
        return (
            "inferops_image_python takes what the image holds, so stack_extra_requirements and "
            "stack_lock_file cannot be fulfilled: leave them empty, or leave inferops_image_python "
            "empty."
        )
    return ""
