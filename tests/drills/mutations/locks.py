# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is installed is what the plan needs and the own package indexes give."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import COMMON, GRAMMAR, HOST, TAKEN

MUTATIONS = (
    Mutation(
        "lock-line-with-a-tail",
        "a lock that one host resolved brings a file of its choice to the next",
        f"{COMMON}/lock.py",
        "            found = _PIN.fullmatch(words[0])\n",
        "            found = _PIN.match(words[0])\n",
        (f"{GRAMMAR}::test_a_line_that_is_no_pin_is_refused_by_its_number",),
        3,
    ),
    Mutation(
        "lock-line-with-options",
        "options behind a pin reach the installer",
        f"{COMMON}/lock.py",
        "                raise _refused(number, word)\n",
        "                continue\n",
        (f"{GRAMMAR}::test_a_line_that_is_no_pin_is_refused_by_its_number",),
        3,
    ),
    Mutation(
        "lock-with-more-names",
        "a lock that one host resolved brings a package that nothing needs to the next",
        f"{COMMON}/lock.py",
        "given.keys() - both),",
        "set()),",
        (f"{TAKEN}::test_a_lock_brings_nothing_that_the_host_s_own_indexes_would_not_give",),
    ),
    Mutation(
        "lock-with-foreign-hashes",
        "a file that the package index does not have is installed because a lock names its hash",
        f"{COMMON}/lock.py",
        "        common = pin.hashes & own[name].hashes\n",
        "        common = pin.hashes\n",
        (
            f"{TAKEN}::test_of_a_lock_s_hashes_those_are_taken_that_the_own_index_tells_too",
            f"{TAKEN}::test_a_lock_brings_nothing_that_the_host_s_own_indexes_would_not_give",
        ),
        2,
    ),
    Mutation(
        "lock-believed",
        "a lock that was given is installed without asking the host's own indexes",
        f"{HOST}/stack/stack.py",
        "return lock.agreed(held, pins) if given else pins",
        "return held or pins",
        (f"{TAKEN}::test_a_lock_brings_nothing_that_the_host_s_own_indexes_would_not_give",),
        2,
    ),
    Mutation(
        "lock-file-sent-unread",
        "an edited lock file reaches every host",
        "plugins/action/stack_lock.py",
        '            given = lock.read(str(asked.get("lock") or ""))\n',
        "            given: dict[str, lock.Pin] = {}\n",
        (f"{GRAMMAR}::test_a_lock_file_that_is_no_lock_reaches_no_host",),
    ),
    Mutation(
        "returned-lock-kept-unread",
        "what a host calls its lock is kept for all others",
        "plugins/action/stack_lock.py",
        '            pins = _read(result["lock"], asked)\n',
        "            pins = given\n",
        (f"{GRAMMAR}::test_a_lock_that_a_host_returns_and_that_does_not_fit_fails_that_host",),
        6,
    ),
    Mutation(
        "no-hashes-by-default",
        "any file of a version is installed",
        "plugins/modules/stack_lock.py",
        '"hashes": {"type": "bool", "default": True},',
        '"hashes": {"type": "bool", "default": False},',
        (f"{TAKEN}::test_hashes_are_there_by_default_and_who_does_without_them_is_warned",),
    ),
    Mutation(
        "any-index-for-any-name",
        "a higher version of a public name is taken from an index that is not its own",
        f"{HOST}/stack/installers.py",
        "        if self._chooses_pytorch:\n",
        '        variables["UV_INDEX"] = " ".join(self.beside().values())\n'
        '        variables["UV_INDEX_STRATEGY"] = "unsafe-best-match"\n'
        "        if self._chooses_pytorch:\n",
        (f"{TAKEN}::test_no_name_is_taken_from_an_index_that_is_not_its_own",),
    ),
    Mutation(
        "family-from-any-index",
        "what torch needs of PyTorch's family is taken from the public index",
        f"{HOST}/stack/installers.py",
        "            if not sought & found.keys():\n",
        "            if True:\n",
        (f"{TAKEN}::test_no_name_is_taken_from_an_index_that_is_not_its_own",),
    ),
    Mutation(
        "any-index-for-pip",
        "pip takes the highest version of all indexes",
        f"{HOST}/stack/installers.py",
        "        if wanted.sources.beside_of_pip():\n",
        "        if False:\n",
        (f"{TAKEN}::test_pip_takes_no_name_from_an_index_that_is_not_its_own",),
    ),
    Mutation(
        "any-file-of-a-tool",
        "whatever an index calls uv or supervisor runs as root",
        f"{HOST}/stack/tools.py",
        "    known = HASHES.get(requirement)\n",
        "    known = ()\n",
        (f"{TAKEN}::test_a_tool_with_other_files_than_the_known_ones_is_not_installed",),
        2,
    ),
    Mutation(
        "resolved-in-place",
        "a plan that cannot be had empties the environment of a server that runs",
        f"{HOST}/stack/stack.py",
        'draft = self._folder / "draft"',
        "draft = self._folder",
        (f"{TAKEN}::test_another_plan_without_a_network_leaves_all_that_is_there",),
    ),
    Mutation(
        "environment-by-the-link",
        "a server that runs loads its next library from another environment",
        f"{HOST}/stack/stack.py",
        "        return Path(os.path.realpath(self._link))\n",
        "        return self._link\n",
        (f"{TAKEN}::test_a_server_keeps_the_environment_that_it_runs_from",),
    ),
    Mutation(
        "used-environment-removed",
        "the files of a server that runs are removed after two changes of the plan",
        f"{HOST}/stack/stack.py",
        "if environment.name not in kept and not self._is_used(environment):",
        "if environment.name not in kept:",
        (f"{TAKEN}::test_a_server_keeps_the_environment_that_it_runs_from",),
    ),
)
