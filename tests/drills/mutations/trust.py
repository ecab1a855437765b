# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host, a hub and other users of a machine are not trusted."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import (
    HOST,
    HOSTILE_HUB,
    HOSTILE_LOGS,
    HUB,
    MARKET,
    PRIVATE,
    PRIVATELY,
    RECOVERY,
    SERVING,
)

MUTATIONS = (
    Mutation(
        "pattern-without-end",
        "a host that says one word for ever holds the controller up for minutes",
        f"{SERVING}/failures/endings.py",
        'OURS + r".{0,40}: segfault at"',
        'OURS + r".*: segfault at"',
        (
            f"{HOSTILE_LOGS}::test_no_pattern_of_the_catalogue_can_be_held_up_by_one_word_said"
            "_for_ever",
        ),
        2,
    ),
    Mutation(
        "log-read-to-its-end",
        "a host that answers with millions of lines holds the controller up",
        f"{SERVING}/messages.py",
        "    if len(lines) > MOST_LINES:\n",
        "    if False:\n",
        (f"{HOSTILE_LOGS}::test_of_a_log_without_end_its_begin_and_its_end_are_read",),
    ),
    Mutation(
        "unknown-xid-silent",
        "an error of the GPU that is new is not told",
        f"{SERVING}/failures/endings.py",
        "(?!45\\b)\\d{1,9}",
        "(?:154)",
        (f"{HOSTILE_LOGS}::test_an_xid_that_nobody_knows_is_explained_as_one",),
        4,
    ),
    Mutation(
        "value-of-the-host-advised",
        "a host writes into the user's inventory by way of what recover tells to put there",
        f"{SERVING}/recovery.py",
        'for name, value in done["arguments"].items()\n        if _text(now',
        'for name, value in now["arguments"].items()\n        if _text(now',
        (f"{RECOVERY}::test_the_host_brings_no_name_and_no_value_of_its_own_into_the_inventory",),
        4,
    ),
    Mutation(
        "undone-step-advised",
        "the inventory is to hold what did not help",
        f"{SERVING}/recovery.py",
        "if now[name] == done[name] != first[name]",
        "if done[name] != first[name]",
        (f"{RECOVERY}::test_a_step_that_does_not_hold_is_not_advised",),
    ),
    Mutation(
        "template-to-paste",
        "what is pasted into the inventory runs on the controller",
        f"{SERVING}/recovery.py",
        'any(mark in text for mark in ("{{", "{%", "{#"))',
        "False",
        (f"{RECOVERY}::test_a_template_is_never_to_be_pasted",),
        4,
    ),
    Mutation(
        "commit-may-be-a-path",
        "a hub chooses which folder of the host a model is written to",
        HUB,
        '_text(told.get("sha"), COMMIT, "commit of 40 hexadecimal digits")',
        'str(told.get("sha"))',
        (f"{HOSTILE_HUB}::test_a_commit_is_forty_digits_and_never_a_path",),
        4,
    ),
    Mutation(
        "file-outside-of-the-model",
        "a hub writes wherever it likes on the host",
        HUB,
        '    if {"", ".", ".."} & set(parts):\n',
        "    if False:\n",
        (f"{HOSTILE_HUB}::test_a_file_lies_within_the_model_under_a_name_of_its_own",),
        3,
    ),
    Mutation(
        "manifest-from-the-hub",
        "a hub writes itself what was proven of its files",
        HUB,
        "    if parts[0].startswith(_OUR_PREFIX) or name.endswith(_OUR_SUFFIX):\n",
        "    if name.endswith(_OUR_SUFFIX):\n",
        (f"{HOSTILE_HUB}::test_a_file_lies_within_the_model_under_a_name_of_its_own",),
        2,
    ),
    Mutation(
        "files-without-number",
        "a hub fills the host's disk with empty files",
        HUB,
        "or len(rows) > MOST_FILES:",
        "or False:",
        (f"{HOSTILE_HUB}::test_an_odd_listing_is_refused_wherever_it_is_asked_for",),
    ),
    Mutation(
        "size-taken-for-proof",
        "what a mirror names no checksum for is told as proven",
        "plugins/modules/model_cache.py",
        '("sizes" if unproven else "checksums") if copy else None',
        '"checksums" if copy else None',
        (f"{HOSTILE_HUB}::test_what_has_no_checksum_is_complete_and_not_proven",),
    ),
    Mutation(
        "old-file-of-the-same-size-kept",
        "a file that was changed on the host is taken for the model's",
        "plugins/module_utils/host/models/store.py",
        "file.checksum and _size(path) ==",
        "_size(path) ==",
        (f"{HOSTILE_HUB}::test_a_file_that_was_touched_is_not_believed_without_a_checksum",),
    ),
    Mutation(
        "workers-on-the-hosts-address",
        "neighbours of the host talk to the workers of a server, which ask for no key",
        f"{HOST}/engines/vllm/environment.py",
        "        environment.update(WITHIN_THE_HOST)\n",
        "        pass\n",
        (
            "tests/unit/host/test_model_server.py"
            "::test_the_workers_of_a_server_listen_on_the_loopback",
            "tests/unit/host/test_launcher.py"
            "::test_the_processes_of_a_server_meet_on_the_loopback_unless_the_user_says_otherwise",
        ),
        2,
    ),
    Mutation(
        "open-worker-not-told",
        "nobody learns that a worker listens beyond the loopback",
        f"{HOST}/machine/ports.py",
        "if entry.state == LISTEN and not _address(entry.address).is_loopback",
        "if False",
        (
            "tests/unit/host/test_model_server.py"
            "::test_a_worker_that_listens_beyond_the_loopback_is_told",
        ),
    ),
    Mutation(
        "links-of-strangers-followed",
        "another user of the machine chooses where keys and records are written",
        PRIVATE,
        "        _require_ours(place / part, status)\n        links += 1\n",
        "        links += 1\n",
        (f"{PRIVATELY}::test_a_link_that_a_stranger_planted_is_not_followed",),
        2,
    ),
    Mutation(
        "folder-of-a-stranger-used",
        "another user who was faster may exchange what is kept in the folder",
        PRIVATE,
        "    _require_ours(place, os.lstat(place))\n    return place",
        "    return place",
        (f"{PRIVATELY}::test_a_folder_that_a_stranger_made_first_is_refused_with_what_to_do",),
    ),
    Mutation(
        "planted-file-opened",
        "a lock or a log is written over a file that another user has chosen",
        PRIVATE,
        "or status.st_nlink != 1:",
        "or False:",
        (f"{PRIVATELY}::test_a_file_that_was_put_in_the_way_is_not_written_to[hard link]",),
    ),
    Mutation(
        "last-link-followed",
        "a lock or a log is written over a file that another user has chosen",
        PRIVATE,
        "flags |= os.O_CREAT | os.O_NOFOLLOW |",
        "flags |= os.O_CREAT |",
        (f"{PRIVATELY}::test_a_file_that_was_put_in_the_way_is_not_written_to[link]",),
    ),
    Mutation(
        "folders-by-the-umask",
        "where the umask is open, everybody may write into the collection's folders",
        PRIVATE,
        "            os.mkdir(missing, FOLDER_MODE)\n",
        "            os.mkdir(missing)\n",
        (f"{PRIVATELY}::test_what_is_made_is_private_under_any_umask",),
        6,
    ),
    Mutation(
        "open-folder-left-open",
        "a folder that an older version left open to everybody stays so",
        PRIVATE,
        "stat.S_IMODE(status.st_mode) != FOLDER_MODE:",
        "False:",
        (f"{PRIVATELY}::test_what_an_older_version_left_open_is_closed",),
        2,
    ),
    Mutation(
        "home-of-a-stranger-read",
        "what another user has put into the collection's folder on the host is run",
        f"{HOST}/machine/files.py",
        'home = require_ours(Path(module.params["home"]))',
        'home = Path(module.params["home"])',
        ("tests/unit/host/test_foreign_home.py::test_a_home_of_a_stranger_is_refused_by_name",),
        8,
    ),
    Mutation(
        "server-without-a-key",
        "whoever reaches the port of a server uses it",
        "plugins/filter/client_key.py",
        "        return derived(scope_secret(source), str(scope), str(name))\n",
        '        return ""\n',
        (
            "tests/unit/plugins/test_client_key.py"
            "::test_a_server_asks_for_a_key_unless_that_is_switched_off[derived]",
        ),
    ),
    Mutation(
        "one-key-for-all-servers",
        "who may use one server may use all of the scope",
        f"{MARKET}/access/client_key.py",
        'salt = f"inferops client key/{scope}/{name}"',
        'salt = f"inferops client key/{scope}"',
        (
            "tests/unit/plugins/test_client_key.py"
            "::test_each_server_has_a_key_that_each_controller_of_the_scope_knows",
        ),
    ),
    Mutation(
        "key-file-outlives-the-tunnel",
        "keys of servers that are gone stay on the controller",
        "plugins/module_utils/endpoint/tunnel.py",
        "        self._note.unlink(missing_ok=True)\n        self._header.unlink",
        "        self._note.unlink(missing_ok=True)\n        self._note.unlink",
        (
            "tests/unit/plugins/test_client_key.py"
            "::test_clients_find_the_header_in_a_private_file_that_goes_with_the_tunnel",
        ),
    ),
)
