# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How market modules fail: one message with cause, remedy and money, and the same as data."""

from __future__ import annotations

from typing import Any, NoReturn

from ansible.module_utils.basic import AnsibleModule

from ..common.ending import end
from .errors import MarketError, RequestRefused


def fail(
    module: AnsibleModule, error: MarketError | ValueError, money: str, **result: Any
) -> NoReturn:
    """End *module* with *error*, as in :func:`failure`."""
    end(module, failure(error, money, **result))


def failure(error: MarketError | ValueError, money: str, **result: Any) -> dict[str, Any]:
    """A failed result; *money* is what is at stake unless the error knows better."""
    if not isinstance(error, MarketError):
        error = RequestRefused(str(error))
    error.money = error.money or money
    return {"failed": True, "msg": str(error), "failure": error.to_dict(), **result}
