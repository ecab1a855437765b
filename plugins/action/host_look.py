# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action for host_look: makes one digest of all that roles are told, for the host to compare.

A digest that is too wide costs a deploy that changes nothing its short way. One that is too narrow
would leave a changed wish unfulfilled. So it takes every variable that the files of these roles
mention, the content of the files that they name, and the code of this collection itself.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError

from ansible_collections.inferops.gpu.plugins.plugin_utils import own_code
from ansible_collections.inferops.gpu.plugins.plugin_utils.guarded_action import GuardedAction

MODULE = "inferops.gpu.host_look"
ROOT = Path(__file__).resolve().parents[2]
SHARED_PREFIX = "inferops_"
#: What a play has found out before or by this look, and what is carried to and fro.
NO_WISH = re.compile(r"inferops_(?:look|rental|offer|cache_\w+)")


class ActionModule(GuardedAction):
    """Runs the module with the digest."""

    _supports_check_mode = True

    def act(self, variables: dict[str, Any]) -> dict[str, Any]:
        arguments = dict(self._task.args)
        roles = arguments.get("wishes_of") or []
        if roles:
            arguments["wishes"] = self.digest(roles, variables)
        result = self._execute_module(
            module_name=MODULE, module_args=arguments, task_vars=variables
        )
        if "as_asked" in result:
            result["at"] = time.time()
            result["done"] = is_done(result)
            if roles and (result["installed"] or result["as_asked"]):
                self.tell(variables.get("inventory_hostname", "host"), line(result))
        return result

    def digest(self, roles: list[str], variables: dict[str, Any]) -> str:
        """Changes with every wish, and with how this collection fulfils it."""
        found = hashlib.sha256()
        for text in (own_code.digest(), *self.wishes(roles, variables)):
            found.update(text)
        return found.hexdigest()

    def wishes(self, roles: list[str], variables: dict[str, Any]) -> Iterator[bytes]:
        """Each variable that these roles mention and that is set, as text."""
        defaults: dict[str, Any] = {}
        for file in sorted(ROOT.glob("roles/*/defaults/main.yml")):
            defaults.update(self._loader.load_from_file(str(file), trusted_as_template=True) or {})
        every = {**defaults, **variables}
        templar = self._templar.copy_with_new_env(available_variables=every)
        for name in sorted(_mentioned(roles) & set(every)):
            try:
                value = templar.resolve_variable_expression(name)
            except AnsibleError as error:
                value = str(error)
            yield json.dumps([name, value], sort_keys=True, default=str).encode()
            yield from _content(value)


def is_done(result: dict[str, Any]) -> bool:
    """Whether a deploy has nothing to do: it serves as asked, and ends by itself when it has to."""
    return bool(result["as_asked"] and result["switch_is_set"])


def line(result: dict[str, Any]) -> str:
    """What the look has shown, for people."""
    if result["as_asked"]:
        return "all is as asked, and a completion came back: nothing is installed or started"
    return f"not as asked yet: {'; '.join(result['differs'])}"


def _mentioned(roles: list[str]) -> set[str]:
    """The variables that the files of these roles mention: their own, and those that are shared.

    What they find out themselves is no wish: what they register, and the facts that they set.
    """
    prefixes = (SHARED_PREFIX, *(f"{role}_" for role in roles))
    files = [file for role in roles for file in (ROOT / "roles" / role).glob("*/*.yml")]
    text = "\n".join(file.read_text() for file in files)
    words = {word for word in re.findall(r"\b[a-z]+_\w+", text) if word.startswith(prefixes)}
    found_out = re.findall(rf"^ +register: (\w+)|^ +({SHARED_PREFIX}\w+): ", text, re.MULTILINE)
    words -= {name for names in found_out for name in names}
    return {word for word in words if not NO_WISH.fullmatch(word)}


def _content(value: Any) -> Iterator[bytes]:
    """What a file of the controller holds that a wish names, such as a lock."""
    if not isinstance(value, str) or not value:
        return
    try:
        file = Path(value).expanduser()
        if file.is_file():
            yield file.read_bytes()
    except (OSError, ValueError, RuntimeError):
        return
