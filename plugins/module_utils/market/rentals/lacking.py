# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a provider cannot do for a rental, what that means, and what is done instead."""

from __future__ import annotations

from collections.abc import Iterator

from ..providers.provider import Provider


def lacking(provider: Provider | type[Provider], host_keys: str) -> Iterator[str]:
    """One sentence for each, before anything is paid. *host_keys* is what was asked for."""
    if host_keys == "delivered" and not provider.delivers_host_key:
        yield (
            f"{provider.name} brings no host key along with a rental request: the key that the "
            "host shows first is believed, and from then on no other one. Set inferops_host_keys: "
            "first_contact to say that you know."
        )
    if not provider.can_change_mark:
        yield (
            f"At {provider.name} a deadline cannot move: playbook inferops.gpu.extend is refused "
            "there. Set rent_deadline_hours to as long as the rental may be needed."
        )
    if not provider.keeps_second_mark:
        yield (
            f"At {provider.name} the label alone says whose a rental is: one that somebody gives "
            "another label is known to nobody, and bills until a person ends it at "
            f"{provider.console_url}. Leave the labels of rentals as they are."
        )
