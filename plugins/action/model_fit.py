# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does a model fit on the host? The module of the same name documents it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail

from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.knowledge import (
    Wish,
    read_line,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.registry import (
    DEFAULT,
    SPELLINGS,
    knowledge,
)
from ansible_collections.inferops.gpu.plugins.plugin_utils.guarded_action import GuardedAction

LOOK = "inferops.gpu.host_look"
AUTO = "auto"
SUPERVISORD = "supervisord"
ARGUMENTS: dict[str, Any] = {
    "home": {"type": "str", "default": "~/.inferops"},
    "server": {"type": "str", "default": DEFAULT},
    "model": {"type": "str", "required": True},
    "hub_dir": {"type": "str", "default": "~/.cache/huggingface/hub"},
    "model_config": {"type": "raw"},
    "arguments": {"type": "dict", "default": {}},
    "extra_args": {"type": "list", "elements": "str", "default": []},
    "environment": {"type": "dict", "default": {}},
    "engine": {"type": "str", "choices": list(SPELLINGS), "default": DEFAULT},
    "accelerator": {"type": "str", "choices": ["cuda", "cpu"], "default": "cuda"},
    "stack": {"type": "dict", "default": {}},
    "proxied": {"type": "bool", "default": False},
    "refuse": {"type": "bool", "default": True},
    "supervisor": {"type": "str", "default": AUTO},
}


class ActionModule(GuardedAction):
    """Looks once, and decides here."""

    _supports_check_mode = True

    def act(self, variables: dict[str, Any]) -> dict[str, Any]:
        _validation, given = self.validate_argument_spec(argument_spec=ARGUMENTS)
        asked = {name: given[name] for name in ("home", "server", "model", "hub_dir")}
        look = self._execute_module(module_name=LOOK, module_args=asked, task_vars=variables)
        if "gpu" not in look:  # it failed, or the host does not answer
            return look
        known = knowledge(given["engine"])
        wish = Wish(
            given["engine"],
            given["arguments"],
            given["extra_args"],
            given["environment"],
            given["accelerator"],
            _config(given["model_config"]),
            given["stack"],
        )
        try:
            fit, reads = known.fit_on(look, wish), known.reading(look, wish)
            chosen = {**fit["arguments"], **reads["arguments"]}
            asked = {**chosen, **given["arguments"]}
            admitted = known.admission(asked, given["extra_args"], given["stack"])
        except ValueError as error:
            raise AnsibleActionFail(f"Options of the engine: {error}") from error
        result = {
            **fit,
            "arguments": {**chosen, **(admitted.arguments if given["proxied"] else {})},
            "max_connections": admitted.max_connections,
            "loading": read_line(reads),
            "changed": False,
            "needs_supervisord": needs_supervisord(given["supervisor"], look["host"]),
        }
        shown = f"; chosen: {json.dumps(fit['arguments'])}" if fit["arguments"] else ""
        host = variables.get("inventory_hostname", "host")
        self.tell(host, f"Fit: {fit['fits']}, {fit['why']}{shown}")
        self.tell(host, f"Its {read_line(reads)}")
        if fit["fits"] == "no" and given["refuse"]:
            message = (
                f"{given['model']} does not fit on this host: {fit['why']}. "
                "If you know better, set launch_ignore_fit."
            )
            return {**result, "failed": True, "msg": message}
        return result


def needs_supervisord(asked: str, host: Mapping[str, Any]) -> bool:
    """Whether supervisord has to be on the host before a server is started there.

    A plain user's systemd is taken where lingering can be had, which only the start finds out.
    """
    has_systemd = host["init_system"] == "systemd" and host["is_root"]
    return asked == SUPERVISORD or (asked == AUTO and not has_systemd)


def _config(given: Any) -> Mapping[str, Any] | str:
    """The config that was given, as data or as JSON text, or else the file that it names."""
    if not given or isinstance(given, Mapping):
        return given or ""
    if str(given).lstrip().startswith("{"):
        return str(given)
    try:
        return Path(str(given)).expanduser().read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise AnsibleActionFail(f"The model's config cannot be read: {error}.") from error
