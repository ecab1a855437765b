# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check the variables of a host. The module of the same name documents it."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.inferops.gpu.plugins.plugin_utils.guarded_action import GuardedAction

_ROOT = Path(__file__).resolve().parents[2]
_SHARED_PREFIX = "inferops_"
#: How alike a name must be to count as meant. Role names are common words, so that a variable of
#: the user's own such as ``stack_name`` must pass.
_ALIKE = 0.85


class ActionModule(GuardedAction):
    """Looks at names first, then at values."""

    _supports_check_mode = True
    _supports_async = False
    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The result that the documentation promises."""
        super().run(tmp, task_vars)
        _validation, options = self.validate_argument_spec(
            argument_spec={"required": {"type": "dict", "default": {}}}
        )
        variables = task_vars or {}
        specs = _role_options(self._loader)
        prefixes = (_SHARED_PREFIX, *(f"{role.name}_" for role in (_ROOT / "roles").iterdir()))
        ours = sorted(name for name in variables if name.startswith(prefixes))
        complaints = [
            f"{name} is not set: it is {meaning}."
            for name, meaning in options["required"].items()
            if not variables.get(name)
        ]
        complaints += [text for name in ours if (text := _unknown(name, set(specs)))]
        complaints += [
            text for name in ours if name in specs and (text := self._ill(name, specs[name]))
        ]
        if complaints:
            raise AnsibleActionFail(" ".join(complaints))
        return {"changed": False, "checked": ours}

    def _ill(self, name: str, spec: dict[str, Any]) -> str | None:
        """What is wrong with the value of an option, or None."""
        value = self._templar.resolve_variable_expression(name)
        rules = {key: spec[key] for key in ("type", "choices", "elements") if key in spec}
        result = ArgumentSpecValidator({name: rules}).validate({name: value})
        return "; ".join(result.error_messages) + "." if result.error_messages else None


def _unknown(name: str, options: set[str]) -> str | None:
    """What is wrong with a name that the collection does not know, or None."""
    known = _mentioned_names()
    if name in known:
        return None
    settable = options | {other for other in known if other.startswith(_SHARED_PREFIX)}
    # Units come last in a name, so they are the first to be forgotten.
    alike = [option for option in sorted(settable) if option.startswith(f"{name}_")]
    alike += difflib.get_close_matches(name, settable, n=1, cutoff=_ALIKE)
    if alike:
        return f"{name} is not a variable of inferops.gpu: did you mean {alike[0]}?"
    if name.startswith(_SHARED_PREFIX):  # ours alone
        return f"{name} is not a variable of inferops.gpu: see the README of its roles."
    return None


def _mentioned_names() -> set[str]:
    """Every variable that a role or playbook of this collection mentions, its internal ones too."""
    files = [*_ROOT.glob("roles/*/*/*.yml"), *_ROOT.glob("playbooks/**/*.yml")]
    return {name for file in files for name in re.findall(r"\b[a-z]+_\w+", file.read_text())}


def _role_options(loader: Any) -> dict[str, dict[str, Any]]:
    """The options of the main entry points of all roles, by name."""
    options: dict[str, dict[str, Any]] = {}
    for file in sorted(_ROOT.glob("roles/*/meta/argument_specs.yml")):
        options.update(loader.load_from_file(str(file))["argument_specs"]["main"]["options"])
    return options
