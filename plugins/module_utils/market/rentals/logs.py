# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The log of a rental that let nobody in, as its provider tells it: for people, and to judge by."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ...common.answers import within
from ...common.plain import plain, plain_line
from ...common.redaction import redact
from ..errors import HostFault, MarketError
from ..model import RentalLog
from ..providers.provider import Provider
from .images import image_refusal, image_refused

#: A rental bills while its log is read. The provider has less, so that it can tell what has come.
_MOST_SECONDS, _PROVIDERS_SECONDS = 30.0, 20.0
#: What is kept of each part: people read the end of it.
_MOST_LINES, _MOST_LETTERS = 40, 300
#: A machine has more to say than of the image, and is refused more than that.
_OF_AN_IMAGE = re.compile(r"image|pull|manifest|registry|from daemon", re.IGNORECASE)
#: Lines of a machine that say what went wrong.
_TROUBLE = re.compile(
    r"\b(?:error|failed|failure|cannot|could not|no such|timed out|timeout|refused|denied)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Heard:
    """What was told of a rental's log; ``missing`` says why there is nothing, else it is empty."""

    log: RentalLog
    missing: str = ""


def read_log(provider: Provider, rental_id: str) -> Heard:
    """The log of a rental, as far as it comes in time. Nothing that happens here is an error.

    Its release waits behind this, and needs none of it.
    """
    if not provider.tells_log:
        return Heard(RentalLog(), f"{provider.name} does not tell the log of a rental")
    try:
        log = within(_MOST_SECONDS, lambda: provider.log(rental_id, _PROVIDERS_SECONDS))
    except Exception as error:
        reason = error.cause if isinstance(error, MarketError) else str(error)
        return Heard(RentalLog(), plain_line(reason) or "it could not be read")
    return Heard(log, "" if log.machine or log.container else "it is empty")


def last_lines(log: RentalLog, secrets: Iterable[str]) -> list[str]:
    """The last lines of each part for people: without secrets, plain, and not too many."""
    known = tuple(secrets)
    parts = {"Its machine says:": log.machine, "Its container has printed:": log.container}
    return [line for head, text in parts.items() for line in _part(head, redact(text, known))]


def _part(head: str, text: str) -> Iterator[str]:
    lines = [line[:_MOST_LETTERS] for line in plain(text).splitlines() if line.strip()]
    if lines:
        yield head
    yield from lines[-_MOST_LINES:]


def explained(rental_id: str, fault: MarketError, log: RentalLog) -> MarketError:
    """*fault* with what its machine says of a container that never ran, the last of it.

    ImageRefused where that is an image that no machine gets. What the container itself prints is
    believed in nothing: it may print anything.
    """
    if not isinstance(fault, HostFault) or fault.stage != "boot":
        return fault
    newest_first = log.machine.splitlines()[::-1]
    for line in filter(_OF_AN_IMAGE.search, newest_first):
        refusal = image_refusal(line)
        if refusal:
            return image_refused(rental_id, refusal, _shown(line), fault.money)
    said = next(filter(_TROUBLE.search, newest_first), "")
    if not said:
        return fault
    return HostFault(
        f"{fault.cause} Its log says: {_shown(said)}",
        remedy=fault.remedy,
        stage=fault.stage,
        blame=fault.blame,
        # Another machine that says the same would not be to blame either.
        sign=fault.sign or f"boot: {_shown(said)}",
        money=fault.money,
    )


def _shown(line: str) -> str:
    return redact(plain_line(line, _MOST_LETTERS))
