# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the modules of this collection run: nothing that a rented host answers sets a variable.

The host belongs to somebody else. Ansible takes more from the answer of a module than its result:
facts, which as variables outrank the inventory, and statistics, which AWX hands to later jobs. Its
own modules (stat, slurp, command) keep their facts; where facts are not injected, those stay in
``ansible_facts``, which nothing of this collection reads.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from ansible import constants
from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.parameters import remove_values
from ansible.plugins.action import ActionBase
from ansible.plugins.action.normal import ActionModule as NormalAction
from ansible.utils.display import Display

from ansible_collections.inferops.gpu.plugins.module_utils.common.plain import plain_in, plain_line
from ansible_collections.inferops.gpu.plugins.module_utils.common.redaction import redact

#: By these a result steers the controller. Ansible itself removes add_host, add_group and what
#: begins with _ansible_ from the answers of modules.
STEERING = ("ansible_facts", "ansible_stats")
_PRINTED = ("warnings", "deprecations", "exception")
_MOST_LETTERS, _MOST_WARNINGS = 4000, 20


def refuse_injected_facts() -> None:
    """Raise AnsibleActionFail where Ansible makes variables of the facts that hosts tell."""
    if constants.config.get_config_value("INJECT_FACTS_AS_VARS"):
        raise AnsibleActionFail(
            "Ansible is set to turn facts into variables, so that a rented host could set any "
            "variable, such as the address that the API key is sent to. Set inject_facts_as_vars = "
            "false in section [defaults] of ansible.cfg, or ANSIBLE_INJECT_FACT_VARS=false in the "
            "environment, and run again."
        )


def tell(host: str, text: str) -> None:
    """Show one line about a host, whoever the text comes from."""
    Display().display(f"{host}: {plain_line(text)}")


def _from_outside(result: dict[str, Any]) -> dict[str, Any]:
    """The result of a module as data that steers nothing: not the controller, nor a terminal.

    Ansible prints the message of a failure, its warnings and its exception as they are.
    """
    kept = {key: value for key, value in result.items() if key not in (*STEERING, *_PRINTED)}
    told: dict[str, Any] = plain_in(kept)
    if "msg" in told:
        told["msg"] = _sentence(told["msg"])
    warnings = result.get("warnings")
    if isinstance(warnings, list) and warnings:
        texts = (getattr(getattr(one, "event", None), "msg", one) for one in warnings)
        told["warnings"] = [_sentence(text) for text in texts][:_MOST_WARNINGS]
    return told


def _sentence(text: Any, secrets: Iterable[str] = ()) -> str:
    """*text* as one line without secrets."""
    return redact(plain_line(str(text), _MOST_LETTERS), secrets)


class GuardedAction(ActionBase):
    """What all actions of this collection have in common."""

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Refuse to go on where hosts can set variables."""
        refuse_injected_facts()
        result: dict[str, Any] = super().run(tmp, task_vars)
        return result

    def _execute_module(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The result of a module without what steers the controller."""
        result: dict[str, Any] = super()._execute_module(*args, **kwargs)
        result = _from_outside(result)
        # Ansible's own finding about the host, which it looks for again when it is not kept.
        if self._discovered_interpreter_key:
            found = {self._discovered_interpreter_key: self._discovered_interpreter}
            result["ansible_facts"] = found
        return result


class ModuleAction(GuardedAction, NormalAction):
    """Runs the module of the same name and adds nothing."""


class WorkerAction(GuardedAction):
    """Does its work on the controller, in the process that Ansible has forked for the task anyway.

    Where the task belongs to another machine, :attr:`module` does it there, if there is one.
    """

    _supports_check_mode = True
    _supports_async = False
    _requires_connection = False

    argument_spec: ClassVar[dict[str, Any]] = {}
    required_if: ClassVar[Sequence[tuple[Any, ...]]] = ()
    module: ClassVar[str] = ""

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The result that the documentation promises, without the values that are secret."""
        super().run(tmp, task_vars)
        variables = task_vars or {}
        place = self._task.delegate_to or variables.get("inventory_hostname")
        if self.module and place not in constants.LOCALHOST:
            return self._execute_module(module_name=self.module, task_vars=variables)
        os.environ.update(self._environment())
        _validation, given = self.validate_argument_spec(
            argument_spec=self.argument_spec, required_if=self.required_if
        )
        hidden = {name for name, option in self.argument_spec.items() if option.get("no_log")}
        secrets = {str(given[name]) for name in hidden if given.get(name)}
        try:
            result = self.work(given, variables)
        except AnsibleActionFail as error:
            # Without its cause, whose text Ansible would print as it is.
            raise AnsibleActionFail(_sentence(error, secrets)) from None
        return _from_outside(remove_values(result, secrets))

    def work(self, given: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        """The result, of arguments in the shape of :attr:`argument_spec`."""
        raise NotImplementedError

    def _environment(self) -> dict[str, str]:
        """What the play, the block and the task put into the environment of their modules."""
        found: dict[str, str] = {}
        for given in self._task.environment or ():
            found.update(self._templar.template(given) or {})
        return {name: str(value) for name, value in found.items()}
