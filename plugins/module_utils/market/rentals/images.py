# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What container engines say of an image that no host can get: another machine would not help."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import ImageRefused
from ..providers.account_words import account_refusal


@dataclass(frozen=True)
class ImageRefusal:
    """Texts, as a regular expression, with what they mean and what helps."""

    said: re.Pattern[str]
    cause: str
    remedy: str


_LOGIN = "Give rent_registry_username and rent_registry_password, or change rent_image."
#: Sources: containerd and moby, remote errors of the registry protocol; ghcr.io answers a private
#: image like one that does not exist.
_REFUSALS = (
    ImageRefusal(
        re.compile(
            r"unauthorized|authentication required|no basic auth credentials|insufficient_scope"
            r"|pull access denied|access to the resource is denied|may require authorization"
            r"|(?:https?://|ghcr\.io)\S*\"?:? denied|(?:error from registry|daemon): denied"
            r"|403 forbidden"
            r"|(?<!permission )\bdenied: |denied on resource|not authori[sz]ed|unauthenticated"
            r"|parsing HTTP 40[13] response",
            re.IGNORECASE,
        ),
        "its registry lets nobody in without a login, or has no such image",
        _LOGIN,
    ),
    ImageRefusal(
        re.compile(
            r"manifest[ _]unknown|name[ _]unknown|manifest not found|manifest for \S+ not found"
            r"|repository \S* ?does not exist|repository name not known|invalid reference format"
            r"|no matching manifest for|no match for platform in manifest"
            r"|failed to resolve reference \S{1,300} \S{1,300} not found"
            r"|unexpected status[^:]{0,200}: 404 |parsing HTTP 404 response"
            r"|invalid (?:image|repository|tag) (?:name|format)|repository name must be"
            r"|tag does not exist|requested image not found|cannot be used on this platform",
            re.IGNORECASE,
        ),
        "its registry has no such image or tag",
        "Correct rent_image.",
    ),
)


def image_refusal(text: str) -> ImageRefusal | None:
    """What *text*, which a provider shows of a rental, says against its image; None for nothing.

    Where it is the account that lacks money or may not, no other image would help.
    """
    if account_refusal(text):
        return None
    return next((one for one in _REFUSALS if one.said.search(text)), None)


def image_refused(rental_id: str, refusal: ImageRefusal, said: str, money: str) -> ImageRefused:
    """The error for a rental whose image no host can get, with what was *said* of it."""
    return ImageRefused(
        f"No host can get the image of rental {rental_id}, because {refusal.cause}: {said}.",
        remedy=refusal.remedy,
        money=money,
    )
