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
      - The mark of a rental is sealed with it. Whoever has the secret uses, extends and releases no
        rental without that seal, and tells of it; its id releases it all the same. Whoever has
        no secret believes every mark.
      - Nothing is rented with less than 20 characters. C(openssl rand -base64 30) makes one.
      - Without it, the environment variable E(INFEROPS_SCOPE_SECRET) is read, and then the
        account's API key is used for host keys. Set one where API keys change.
    type: str
  audit_path:
    description:
      - A file on the controller that gets one JSON object a line for everything that was asked for,
        rented, extended, stopped, started or released here, with who did it.
      - It guards nothing. Where it cannot be written there is a warning, and the work goes on.
    type: path
  operator:
    description: Who acts, for the audit trail. Without it, the user of the controller.
    type: str
  job:
    description: What the costs are for, such as a job of AWX, for the audit trail.
    type: str
  monthly_budget_usd:
    description:
      - What the scope may spend in a calendar month of UTC, in dollars. With V(0) nothing bounds
        it.
      - A rental request is not sent where what was spent in this month, what is rented now until
        its deadline or the end of the month, and the new one until its own come to more. An
        extension is not refused, but counts.
      - What has ended is known by the audit trail, and by bills with labels, where a marketplace
        has them.
    type: float
    default: 0
"""
