# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action for proxy: runs the module, guarded, and gives the host no key of a client.

The host belongs to somebody else, and has no use for the keys of those who never call it: so their
SHA-256 is made here, and goes there in their place.
"""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.validation import check_type_dict

from ansible_collections.inferops.gpu.plugins.module_utils.common import proxy_keys
from ansible_collections.inferops.gpu.plugins.plugin_utils.guarded_action import ModuleAction


class ActionModule(ModuleAction):
    """The keys of clients have the names of people, so that no name tells what they are."""

    def act(self, variables: dict[str, Any]) -> dict[str, Any]:
        given = {option: self._given(option) for option in proxy_keys.KINDS}
        self.secrets |= {
            key for keys in given.values() for key in keys.values() if isinstance(key, str) and key
        }
        try:
            self._hashed = {option: proxy_keys.digests(keys) for option, keys in given.items()}
            proxy_keys.by_digest(self._hashed)
        except ValueError as error:
            raise AnsibleActionFail(f"keys: {error}.") from None
        return super().act(variables)

    def _given(self, option: str) -> dict[Any, Any]:
        """The keys of an option, whichever way Ansible lets a dictionary be written."""
        try:
            keys: dict[Any, Any] = check_type_dict(self._task.args.get(option) or {})
        except (TypeError, ValueError):
            # Without its text, which may be a key.
            raise AnsibleActionFail(f"{option}: it is no dictionary of names and keys.") from None
        return keys

    def _execute_module(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """With what stands for the keys. The task keeps its own, as it may be tried again."""
        asked = {**self._task.args, **self._hashed}
        return super()._execute_module(*args, **{"module_args": asked, **kwargs})
