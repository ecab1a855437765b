# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the options that say which of an account's rentals are meant."""

from __future__ import annotations


class ModuleDocFragment:
    """Fragment ``inferops.gpu.scope``."""

    DOCUMENTATION = r"""
options:
  scope:
    description:
      - The set of rentals that one fleet owns. Nothing outside it is ever touched.
      - Every module of the action group C(inferops.gpu.market) takes it, so that
        C(module_defaults) of the group can hold all that is said of an account. Those that list,
        rent, extend or release rentals fail without it.
    type: str
  scope_secret:
    description:
      - Secret of the scope. A rental's SSH host key is derived from it and from the rental's nonce,
        so that every controller that has it knows the key without any file.
      - Without it, the environment variable E(INFEROPS_SCOPE_SECRET) is read, and then the
        account's API key is used. Set one where API keys change.
    type: str
"""
