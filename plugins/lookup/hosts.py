# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The hosts of a play, refused where there are none."""

from __future__ import annotations

DOCUMENTATION = r"""
name: hosts
short_description: The hosts of a play, or a failure where a run would do nothing
version_added: "0.1.0"
description:
  - For the keyword C(hosts) of a play. Gives the pattern back, or fails where a run would end
    well without having done anything, because no host of the pattern is within C(--limit),
    because there is no such group, or because tags, C(--start-at-task) or C(--step) leave tasks
    out.
  - Every host that is named has to be reached, or nothing is done. It fails where a host of
    C(inferops_hosts) is not within C(--limit), and where a part of C(--limit) is no host and no
    group. Otherwise a run that ends rentals would end well while one of them bills on.
  - A host whose name cannot be the name of a rental is refused, too.
  - A run that is interrupted (Ctrl-C) ends with a word on what goes on billing.
  - Ansible looks at C(hosts) on the controller before it looks for hosts, so that this holds
    whatever hosts, limits and tags there are.
author:
  - inferops.gpu contributors (@inferops)
options:
  _terms:
    description: Patterns of hosts, groups most of all.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: A play that fails when it has no host
  hosts: "{{ query('inferops.gpu.hosts', inferops_group | default('gpu_hosts')) }}"
  gather_facts: false
  tasks: []
"""

RETURN = r"""
_raw:
  description: The patterns, as they were given.
  type: list
  elements: str
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible import context
from ansible.errors import AnsibleLookupError
from ansible.inventory.manager import InventoryManager, split_host_pattern
from ansible.plugins.loader import filter_loader
from ansible.plugins.lookup import LookupBase

from ansible_collections.inferops.gpu.plugins.filter.as_type import as_type
from ansible_collections.inferops.gpu.plugins.module_utils.market.mark import check_name
from ansible_collections.inferops.gpu.plugins.plugin_utils import own_code
from ansible_collections.inferops.gpu.plugins.plugin_utils.interruption import explain_interruption

CONTROLLER = "localhost"
#: The variable that names hosts. It counts as an extra variable alone, so it is known by now.
_NAMED = "inferops_hosts"
#: Runs that only show or check the playbook: no play before this one has added hosts.
_SHOWING = ("syntax", "listhosts", "listtags", "listtasks")


class LookupModule(LookupBase):
    """Judges the run before Ansible looks for hosts."""

    def run(
        self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any
    ) -> list[str]:
        """The patterns, when a play over them would do something."""
        if any(context.CLIARGS.get(mode) for mode in _SHOWING):
            return terms
        explain_interruption()
        _load_for_all_hosts()
        variables = variables or {}
        _refuse_parts(variables)
        groups, limit = variables["groups"], variables.get("ansible_limit")
        hosts = _within(_inventory(groups, self._loader), terms, limit)
        if not hosts:
            raise AnsibleLookupError(_nothing_to_do(terms, limit, groups))
        if limit:
            named = as_type(self._templar.template(variables.get(_NAMED)), "list")
            # The first play is judged before it adds them.
            added = {**groups, _NAMED: named}
            _refuse_unreached(_inventory(added, self._loader), named, limit)
        for pattern in terms:
            if pattern in groups and pattern in groups["all"]:
                raise AnsibleLookupError(
                    f"A host is called {pattern}, as a group is, so that Ansible takes this host "
                    "for the group. Rename it, or end the rental of this name at its provider."
                )
        if CONTROLLER not in terms:
            _refuse_odd_names(hosts)
        return terms


def _load_for_all_hosts() -> None:
    """Spare every task of every host its share of a second.

    Each is run in a process of its own, and the first filter that it takes of a collection makes
    Ansible load all of the collection's. What is loaded here is there in each of them, as is the
    digest of our own code, which a deploy compares for each host.
    """
    filter_loader.get("inferops.gpu.as_type")
    own_code.digest()


def _refuse_parts(variables: dict[str, Any]) -> None:
    run, skipped = variables.get("ansible_run_tags", ()), variables.get("ansible_skip_tags", ())
    if [*run] != ["all"] or skipped:
        raise AnsibleLookupError(
            "The playbooks of inferops.gpu have no tags: with --tags or --skip-tags they would do "
            "nothing, or a part, and call it a success. Run them without."
        )
    if context.CLIARGS.get("start_at_task"):
        raise AnsibleLookupError(
            "The playbooks of inferops.gpu are run as a whole: from --start-at-task on they would "
            "do nothing, or a part without its checks, and call it a success. Run them without."
        )
    if context.CLIARGS.get("step"):
        raise AnsibleLookupError(
            "The playbooks of inferops.gpu are run as a whole: whoever leaves a task out by --step "
            "may rent without what ends it. Run them without; --check shows what they would do."
        )


def _inventory(groups: dict[str, list[str]], loader: Any) -> InventoryManager:
    """What Ansible knows of hosts, with these groups of them."""
    manager = InventoryManager(loader, parse=False)
    for group, hosts in groups.items():
        manager.add_group(group)
        for host in hosts:
            manager.add_host(host, group=group)
    return manager


def _within(inventory: InventoryManager, patterns: list[str], limit: str | None) -> list[str]:
    """The names that Ansible would find for these patterns, by its own rules."""
    inventory.subset(limit)
    return [host.name for host in inventory.get_hosts(patterns)]


def _refuse_unreached(inventory: InventoryManager, named: list[str], limit: str) -> None:
    """Fail where somebody is named whom the run would not reach: it would end well without."""
    reached = _within(inventory, [_NAMED], limit)
    missed = [name for name in named if name not in reached]
    if missed:
        raise AnsibleLookupError(
            f"{_NAMED} names {', '.join(missed)}, and --limit {limit} leaves that out, so that it "
            "would stay as it is, and bill. Hosts that a variable names cannot be limited: leave "
            "--limit out, or name fewer hosts."
        )
    unknown = [part for part in _parts(limit) if not _within(inventory, [part], None)]
    if unknown:
        raise AnsibleLookupError(
            f"--limit names {', '.join(unknown)}, and no host and no group is called so. Nothing "
            "was done: correct the name, or leave it out."
        )


def _parts(limit: str) -> Iterator[str]:
    """The patterns of a limit, without what says whether they are taken or left out."""
    for part in split_host_pattern(limit):
        listed = Path(part[1:]).read_text().split() if part.startswith("@") else [part]
        yield from (one.lstrip("!&") for one in listed)


def _refuse_odd_names(hosts: list[str]) -> None:
    """Names are parts of paths on the controller, and what rentals are found by."""
    try:
        for host in hosts:
            check_name(host)
    except ValueError as error:
        # Without its cause, which Ansible would say a second time.
        raise AnsibleLookupError(f"{error} Rename the host.") from None


def _nothing_to_do(patterns: list[str], limit: str | None, groups: dict[str, list[str]]) -> str:
    wanted = [pattern for pattern in patterns if pattern != CONTROLLER]
    there = [host for pattern in wanted for host in groups.get(pattern, ())]
    if there:
        advice = f"Name one of its hosts in --limit ({', '.join(there)}), or leave --limit out."
    else:
        advice = (
            "Put hosts into this group of the inventory, or name them: "
            '-e \'{"inferops_hosts": ["gpu-1"]}\'.'
        )
        if limit:
            advice += " Hosts that a variable names cannot be limited: leave --limit out."
    within = f" within --limit {limit}" if limit else ""
    return f"There is no host in group {' or '.join(wanted)}{within}. {advice}"
