# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Look whether all is there that a deploy needs. The module of the same name documents it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any, ClassVar

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure

from ansible_collections.inferops.gpu.plugins.module_utils.common.checks import (
    FAILED,
    OK,
    UNKNOWN,
    Check,
    Problem,
    judged,
)
from ansible_collections.inferops.gpu.plugins.module_utils.hub.asking import MODEL_INFO_OPTIONS
from ansible_collections.inferops.gpu.plugins.module_utils.market.clock import Clock
from ansible_collections.inferops.gpu.plugins.module_utils.market.errors import MarketError
from ansible_collections.inferops.gpu.plugins.module_utils.market.own import OWN
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.checkup import (
    CHECKUP_OPTIONS,
    market_checks,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.options import accounts_of
from ansible_collections.inferops.gpu.plugins.plugin_utils import checkup
from ansible_collections.inferops.gpu.plugins.plugin_utils import variables as known
from ansible_collections.inferops.gpu.plugins.plugin_utils.controller import here
from ansible_collections.inferops.gpu.plugins.plugin_utils.gate import Gate, no_key
from ansible_collections.inferops.gpu.plugins.plugin_utils.guarded_action import (
    WorkerAction,
    injected_facts,
)
from ansible_collections.inferops.gpu.plugins.plugin_utils.package_index import index_checks

#: By which variable an option is known whose name does not follow from it.
_VARIABLES = {
    "no_deadline": "rent_no_deadline",
    "revision": "model_cache_revision",
    "include": "model_cache_include",
    "exclude": "model_cache_exclude",
    "endpoint": "inferops_controller_hub_endpoint",
    "token": "inferops_hub_token",
    "token_always": "inferops_hub_token_always",
}
_KEY, _INDEX = "inferops_ssh_private_key_file", "inferops_index_url"
_CORRECT = "Correct it where it is set: in the inventory, in group_vars or host_vars, or with -e."


class ActionModule(WorkerAction):
    """Looks at the controller first: what is wrong there is not asked of others."""

    argument_spec: ClassVar = {"timeout_seconds": {"type": "float", "default": 10.0}}
    # It tells of them as of all else, and asks nobody where they are.
    refuses_injected_facts = False
    most_seconds = 120

    def work(self, given: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        """The result that the documentation promises."""
        self.secrets |= self._secrets_of_the_fleet(variables)
        gate = Gate(self._templar, self._loader, variables, {}, True)
        self._gate, self._seconds = gate, given["timeout_seconds"]
        self._values = {name: one for name, one in gate.values.items() if name not in gate.wrong}
        checks = [*checkup.ansible_checks(), *self._variables()]
        checks += checkup.library_checks(self._values, _interpreter(variables))
        checks += [*checkup.ssh_checks(), *checkup.place_checks(self._with_defaults())]
        if _KEY not in gate.wrong:
            checks += checkup.key_checks(self._value(_KEY))
        checks += self._others(variables)
        return {"changed": False, "checks": [asdict(one) for one in checks]}

    def _variables(self) -> Iterator[Check]:
        """What the gate before every playbook complains of. The account is looked at by itself."""
        complaints = self._gate.complaints(for_all=False, login=False)
        if not complaints:
            options = known.judged_options(self._gate.values)
            complaints += () if options.doubt else options.complaints
        problems = [Problem(one, _CORRECT) for one in complaints]
        yield from judged("variables", problems, f"{len(self._gate.names)} are well-formed.")

    def _others(self, variables: dict[str, Any]) -> Iterator[Check]:
        """What marketplace, hub, index and the host of one's own say."""
        if injected_facts():
            told = "Nobody is asked while hosts could set the addresses and what is sent there."
            yield Check("others", UNKNOWN, told, "See settings above.")
            return
        # Without role inferops a play has no variable for it.
        self._values.setdefault("inferops_name", variables["inventory_hostname"])
        yield from self._unless_wrong("market", CHECKUP_OPTIONS, self._market)
        yield from self._unless_wrong("model", MODEL_INFO_OPTIONS, self._model)
        if _INDEX not in self._gate.wrong and not self._value("inferops_offline"):
            yield from index_checks(self._value(_INDEX) or "", self._seconds)
        provider = self._values.get("inferops_provider")
        if provider in OWN or self._value("inferops_proxy"):
            yield from judged("server key", no_key(self._values), "The server will have one.")
        if provider in OWN:
            yield self._host(provider, variables)

    def _unless_wrong(self, name: str, options: Any, look: Any) -> Iterator[Check]:
        """What *look* finds, unless a variable is wrong that one of its options comes from."""
        wrong = sorted({*map(_variable, options)} & self._gate.wrong)
        if wrong:
            told = f"Not looked at: {', '.join(wrong)} is wrong."
            yield Check(name, UNKNOWN, told, "See variables above.")
        else:
            yield from look()

    def _market(self) -> Iterator[Check]:
        given = self._options(CHECKUP_OPTIONS)
        given["controller_dir"] = str(here(str(given["controller_dir"])))
        try:
            accounts = accounts_of(given)
        except MarketError as error:
            yield Check("accounts", FAILED, error.cause, error.remedy)
            return
        for account in accounts:
            for one in market_checks(account, Clock.from_environment()):
                where = f" ({account['provider']})" if len(accounts) > 1 else ""
                yield replace(one, name=f"{one.name}{where}")

    def _model(self) -> Iterator[Check]:
        given = {**self._options(MODEL_INFO_OPTIONS), "timeout_seconds": self._seconds}
        yield from checkup.model_checks(given)

    def _host(self, provider: str, variables: dict[str, Any]) -> Check:
        """Whether a host of the user's own lets Ansible in, and has a Python for its modules."""
        if OWN[provider] == "local":
            return Check("host", OK, "It is this machine.")
        try:
            said = self._execute_module(module_name="ansible.builtin.ping", task_vars=variables)
        except (AnsibleConnectionFailure, AnsibleActionFail) as error:
            said = {"failed": True, "msg": str(error)}
        if said.get("ping") == "pong" and not said.get("failed"):
            return Check("host", OK, "It answers, and runs modules.")
        return Check(
            "host",
            FAILED,
            f"It cannot be used: {said.get('msg') or said.get('module_stderr') or 'no answer'}",
            "Try ssh by hand, and set ansible_host, ansible_user and what else it takes in the "
            "inventory. The host's key has to be among your known hosts.",
        )

    def _options(self, spec: dict[str, Any]) -> dict[str, Any]:
        """The options of a module, of the variables that roles give them of."""
        found = {}
        for option, rules in spec.items():
            value = self._value(_variable(option))
            found[option] = rules.get("default") if value is None else value
        return found

    def _value(self, name: str) -> Any:
        """A variable, or else its documented default."""
        return self._values.get(name, known.options().get(name, {}).get("default"))

    def _with_defaults(self) -> dict[str, Any]:
        """The variables that are set, and the defaults of the shared ones that are not."""
        names = (name for name in known.options() if name not in self._gate.wrong)
        return {name: self._value(name) for name in names}


def _variable(option: str) -> str:
    return _VARIABLES.get(option, f"{known.SHARED}{option}")


def _interpreter(variables: dict[str, Any]) -> str | None:
    """What modules on localhost run with; None where Ansible looks for it by itself."""
    told = variables["hostvars"].get("localhost", {}).get("ansible_python_interpreter")
    if told and not str(told).startswith("auto"):
        return str(told)
    listed = "localhost" in variables["groups"]["all"]
    return None if listed else sys.executable
