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

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from ansible import constants
from ansible.errors import (
    AnsibleAction,
    AnsibleActionFail,
    AnsibleConnectionFailure,
    AnsibleError,
)
from ansible.plugins.action import ActionBase
from ansible.plugins.action.normal import ActionModule as NormalAction
from ansible.utils.display import Display

from ansible_collections.inferops.gpu.plugins.module_utils.common.checks import Problem
from ansible_collections.inferops.gpu.plugins.module_utils.common.hiding import (
    passwords_in,
    secrets_in,
)
from ansible_collections.inferops.gpu.plugins.module_utils.common.known import as_written, without
from ansible_collections.inferops.gpu.plugins.module_utils.common.plain import (
    plain,
    plain_in,
    plain_line,
)
from ansible_collections.inferops.gpu.plugins.module_utils.common.ranges import beyond
from ansible_collections.inferops.gpu.plugins.module_utils.common.redaction import (
    redact,
    redact_in,
)
from ansible_collections.inferops.gpu.plugins.plugin_utils import screen
from ansible_collections.inferops.gpu.plugins.plugin_utils.bounds import bounded, refuse_length
from ansible_collections.inferops.gpu.plugins.plugin_utils.fleet_secrets import (
    OF_THE_CONTROLLER,
    SECRET_VARIABLES,
    fleet_secrets,
)

#: By these a result steers the controller. Ansible itself removes add_host and add_group, and after
#: one that is called unreachable nothing is rescued.
STEERING = ("ansible_facts", "ansible_stats", "unreachable")
#: What begins so is for Ansible's own use. It removes it too, and prints what it has removed.
_INTERNAL = "_ansible_"
_HEADERS = ("before_header", "after_header")
_PRINTED = ("warnings", "deprecations", "exception")
_MOST_LETTERS, _MOST_WARNINGS = 4000, 20
_MOST_FAILED_LETTERS = 2**18
#: What reading an answer raises that has other keys or types than a module of ours gives.
_ODD_SHAPE = (LookupError, TypeError, ValueError, AttributeError)
_UNREADABLE = (
    "What the host has answered is not what this collection's module answers ({}). Something on "
    "the host changes it: look there, or take another host. On a host of your own that is a "
    "defect of inferops.gpu: please report it, with the output of -vvv."
)


_INJECTED_FACTS = Problem(
    "Ansible is set to turn facts into variables, so that a rented host could set any variable, "
    "such as the address that the API key is sent to.",
    "Set inject_facts_as_vars = false in section [defaults] of ansible.cfg, or "
    "ANSIBLE_INJECT_FACT_VARS=false in the environment, and run again.",
)


def injected_facts() -> Problem | None:
    """What is wrong where Ansible makes variables of the facts that hosts tell."""
    injects = constants.config.get_config_value("INJECT_FACTS_AS_VARS")
    return _INJECTED_FACTS if injects else None


def refuse_injected_facts() -> None:
    """Raise AnsibleActionFail where Ansible makes variables of the facts that hosts tell."""
    if problem := injected_facts():
        raise AnsibleActionFail(str(problem))


def shown(text: str) -> str:
    """*text*, whoever it comes from, as one line for people."""
    return redact(plain_line(text))


def _from_outside(result: dict[str, Any]) -> dict[str, Any]:
    """The result of a module as data that steers nothing: not the controller, nor a terminal.

    Ansible prints the message of a failure, its warnings and its exception as they are.
    """
    kept = {key: value for key, value in result.items() if key not in (*STEERING, *_PRINTED)}
    told: dict[str, Any] = plain_in(kept)
    if "diff" in told:
        told["diff"] = _diff(told["diff"])
    if result.get("warnings"):
        told["warnings"] = _sentences(result["warnings"])
    return told


def _as_data(answer: dict[str, Any], secrets: Iterable[str]) -> dict[str, Any]:
    """What a command has answered; of a module no more than its result, whose warnings are plain.

    As it reads it, Ansible prints warnings and deprecations, and what stands around the JSON.
    """
    text = str(answer.get("stdout"))
    try:
        result, _end = json.JSONDecoder().raw_decode(text, max(0, text.find("{")))
    except (ValueError, RecursionError):
        return answer
    if not isinstance(result, dict):
        return answer
    kept = {
        key: value
        for key, value in result.items()
        if key not in _PRINTED and not key.startswith(_INTERNAL)
    }
    if result.get("warnings"):
        kept["warnings"] = _sentences(result["warnings"], secrets)
    told = json.dumps(kept)
    return {**answer, "stdout": told, "stdout_lines": [told]}


def _diff(told: Any) -> Any:
    """What --diff shows: two states to compare. Text that is prepared it would print as it is."""
    if isinstance(told, list):
        return [_diff(one) for one in told]
    if not isinstance(told, dict):
        return {}
    headers = {name: _sentence(told[name]) for name in _HEADERS if name in told}
    return {name: told[name] for name in ("before", "after") if name in told} | headers


def _sentences(warnings: Any, secrets: Iterable[str] = ()) -> list[str]:
    """Warnings as a module tells them: texts, or the events that newer ones tell."""
    told = []
    for one in (warnings if isinstance(warnings, list) else [warnings])[:_MOST_WARNINGS]:
        event = one.get("event") if isinstance(one, dict) else getattr(one, "event", None)
        text = event.get("msg") if isinstance(event, dict) else getattr(event, "msg", one)
        told.append(_sentence(text, secrets))
    return told


def _shown(result: dict[str, Any], secrets: Iterable[str]) -> dict[str, Any]:
    """The result of an action as it may be printed: a failed one is, with all that it holds."""
    told: dict[str, Any] = without(_from_outside(result), secrets)
    if "msg" in told:
        told["msg"] = _sentence(told["msg"])
    if not told.get("failed"):
        return told
    if len(repr(told)) > _MOST_FAILED_LETTERS:
        told = {name: told[name] for name in ("changed", "failed", "msg", "rc") if name in told}
    shortened: dict[str, Any] = redact_in(told, most=_MOST_LETTERS)
    return shortened


def _sentence(text: Any, secrets: Iterable[str] = ()) -> str:
    """*text* as one line without secrets. Half of one that is cut would not be known any more."""
    return redact(plain_line(without(str(text), secrets), _MOST_LETTERS), secrets)


def _detail(text: Any, secrets: Iterable[str]) -> str:
    """*text* as lines without secrets, as many as people read."""
    return redact(plain(without(str(text), secrets)[:_MOST_FAILED_LETTERS]), secrets)


@contextmanager
def _discreet(secrets: Iterable[str]) -> Iterator[None]:
    """Let Ansible's details, such as all that a host has answered, show no secret and be plain."""
    display = Display()
    usual = {"verbose": display.verbose, "debug": display.debug}

    def verbose(msg: str, host: str | None = None, caplevel: int = 2) -> None:
        # A log may be told more than a terminal.
        if max(display.verbosity, getattr(display, "log_verbosity", 0)) > caplevel:
            usual["verbose"](_detail(msg, secrets), host=host, caplevel=caplevel)

    def debug(msg: str, host: str | None = None) -> None:
        if constants.DEFAULT_DEBUG:
            usual["debug"](_detail(msg, secrets), host=host)

    display.verbose, display.debug = verbose, debug
    try:
        yield
    finally:
        del display.verbose, display.debug


class GuardedAction(ActionBase):
    """What all actions of this collection have in common. Each does its own in :meth:`act`."""

    #: How long one answer of a host may take: nothing that has no limit of its own takes as long.
    most_seconds: ClassVar[int] = 1800
    #: Whether it does nothing where hosts can set variables. Who says False asks nobody then.
    refuses_injected_facts: ClassVar[bool] = True
    #: Whether the module has something to tell the system log.
    logs: ClassVar[bool] = False
    #: What is shown nowhere: secrets among the options, by their names and by where they stand.
    secrets: set[str] | frozenset[str] = frozenset()

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """The result, without secrets; nothing is done where hosts can set variables."""
        if self.refuses_injected_facts:
            refuse_injected_facts()
        ActionBase.run(self, tmp, task_vars)
        self.secrets = self._known_secrets(task_vars or {})
        if wrong := [*beyond(self._task.args)]:
            raise AnsibleActionFail(" ".join(wrong))
        try:
            with _discreet(self.secrets):
                result = self.act(task_vars or {})
        except AnsibleConnectionFailure as error:
            raise AnsibleConnectionFailure(_sentence(error, self.secrets)) from None
        except AnsibleError as error:
            if isinstance(error, AnsibleAction) and not isinstance(error, AnsibleActionFail):
                raise  # It is skipped.
            # Without its cause, whose text Ansible would print as it is.
            raise AnsibleActionFail(_sentence(error, self.secrets)) from None
        except _ODD_SHAPE as error:
            if not self._is_elsewhere():
                raise
            reason = f"{type(error).__name__}: {error}"
            raise AnsibleActionFail(_sentence(_UNREADABLE.format(reason), self.secrets)) from None
        return self._with_interpreter(_shown(result, self.secrets))

    def act(self, variables: dict[str, Any]) -> dict[str, Any]:
        """The result. What it adds to :attr:`secrets` is shown nowhere."""
        raise NotImplementedError

    def tell(self, host: str, text: str) -> None:
        """Show one line about a host, whoever the text comes from."""
        screen.tell(host, _sentence(text, self.secrets))

    def _update_module_args(
        self, module_name: str, module_args: dict[str, Any], *args: Any, **kwargs: Any
    ) -> None:
        """Keep the options out of the system log: an address or an environment may hold a secret.

        What a module asks for by itself (no_log=True) does not count: Ansible overrules it.
        """
        super()._update_module_args(module_name, module_args, *args, **kwargs)
        if not self.logs or passwords_in(module_args):
            module_args["_ansible_no_log"] = True

    def _execute_module(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The result of a module without what steers the controller."""

        def ask() -> dict[str, Any]:
            result: dict[str, Any] = super(GuardedAction, self)._execute_module(*args, **kwargs)
            # Before anything of it is cut: half a secret is not known by its value any more.
            told: dict[str, Any] = without(_from_outside(result), self.secrets)
            return told

        return bounded(self.most_seconds, ask) if self._is_elsewhere() else ask()

    def _low_level_execute_command(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """What a command has printed, if that is not too much."""

        def ask() -> dict[str, Any]:
            answer: dict[str, Any] = super(GuardedAction, self)._low_level_execute_command(
                *args, **kwargs
            )
            return answer

        answer = bounded(self.most_seconds, ask) if self._is_elsewhere() else ask()
        refuse_length(answer)
        return _as_data(answer, self.secrets)

    def _known_secrets(self, variables: dict[str, Any]) -> set[str]:
        """What a host may say back: those of this task, and those that others give it."""
        given = passwords_in(self._task.args) | secrets_in(self._task.args)
        names = SECRET_VARIABLES - OF_THE_CONTROLLER
        return as_written(given) | self._secrets_of_the_fleet(variables, names)

    def _secrets_of_the_fleet(
        self, variables: dict[str, Any], names: Iterable[str] = SECRET_VARIABLES
    ) -> set[str]:
        """What the variables of this collection hold, as far as it can be known here."""

        def render(given: Any) -> Any:
            return self._templar.template(given)

        return as_written(fleet_secrets(variables, render, names))

    def _is_elsewhere(self) -> bool:
        """Whether somebody else may answer. A process of this machine would inherit the limits."""
        return bool(self._connection.transport != "local")

    def _with_interpreter(self, result: dict[str, Any]) -> dict[str, Any]:
        """The result with Ansible's own finding about the host.

        It looks for it again when it is not kept.
        """
        if not self._discovered_interpreter_key:
            return result
        found = {self._discovered_interpreter_key: self._discovered_interpreter}
        found = without(found, self.secrets)
        return {**result, "ansible_facts": found}


class ModuleAction(GuardedAction, NormalAction):
    """Runs the module of the same name and adds nothing."""

    def act(self, variables: dict[str, Any]) -> dict[str, Any]:
        """The result of the module."""
        result: dict[str, Any] = NormalAction.run(self, None, variables)
        return result


class WorkerAction(GuardedAction):
    """Does its work on the controller, in the process that Ansible has forked for the task anyway.

    Where the task belongs to another machine, :attr:`module` does it there, if there is one.
    """

    _supports_check_mode = True
    _supports_async = False
    _requires_connection = False

    argument_spec: ClassVar[dict[str, Any]] = {}
    required_if: ClassVar[Sequence[tuple[Any, ...]]] = ()
    required_by: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    module: ClassVar[str] = ""

    def act(self, variables: dict[str, Any]) -> dict[str, Any]:
        """The result that the documentation promises, without the values that are secret."""
        place = self._task.delegate_to or variables.get("inventory_hostname")
        if self.module and place not in constants.LOCALHOST:
            return self._execute_module(module_name=self.module, task_vars=variables)
        os.environ.update(self._environment())
        _validation, given = self.validate_argument_spec(
            argument_spec=self.argument_spec,
            required_if=self.required_if,
            required_by=self.required_by,
        )
        hidden = {name for name, option in self.argument_spec.items() if option.get("no_log")}
        self.secrets |= {str(given[name]) for name in hidden if given.get(name)}
        return self.work(given, variables)

    def work(self, given: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        """The result, of arguments in the shape of :attr:`argument_spec`."""
        raise NotImplementedError

    def _environment(self) -> dict[str, str]:
        """What the play, the block and the task put into the environment of their modules."""
        found: dict[str, str] = {}
        for given in self._task.environment or ():
            found.update(self._templar.template(given) or {})
        return {name: str(value) for name, value in found.items()}
