# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which rented host gets the token of a hub. It is the user's own, and the host is a stranger's."""

from __future__ import annotations


def token_for_host(token: str, always: bool, needs_token: bool | None, model: str) -> str:
    """The token, or nothing for a host that can do without.

    *needs_token* is what the hub says of the model, None where nobody has asked it. A *model* that
    is a folder was downloaded before.
    """
    if always:
        return token
    return "" if needs_token is False or model.startswith("/") else token
