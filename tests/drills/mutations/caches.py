# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was compiled on one machine is run on another: whose, whether it fits, and what is in it."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import CARRIED, COMMON, HOST, LAUNCHING, SERVING

GRAMMAR = f"{COMMON}/compiled_cache.py"
STORE = "plugins/plugin_utils/cache_store.py"
SHELF = "plugins/plugin_utils/cache_shelf.py"
SHARED = "tests/unit/host/test_shared_caches.py"
ACTION = "plugins/action/compiled_cache.py"
COMPILED = f"{HOST}/server/compiled.py"
_TRUSTED = f"{CARRIED}::test_a_host_runs_only_the_code_of_machines_that_the_user_trusts"

MUTATIONS = (
    Mutation(
        "cache-of-any-machine",
        "a machine's owner runs code on all hosts of the user",
        STORE,
        "        return self.is_of(other) or trust == SCOPE or",
        "        return True or",
        (_TRUSTED,),
        4,
    ),
    Mutation(
        "machine-without-a-name-is-the-same",
        "a machine that nobody names gets what another unnamed one has made",
        STORE,
        "        return bool(self.machine_id) and same\n",
        "        return bool(self.machine_id) or same\n",
        (_TRUSTED,),
    ),
    Mutation(
        "verified-by-another-offer",
        "an unverified machine's code counts as a verified one's",
        STORE,
        '        verified = same and offer.get("verified") is True\n',
        '        verified = offer.get("verified") is True\n',
        (_TRUSTED,),
    ),
    Mutation(
        "cache-of-another-scope",
        "what was compiled for tests runs in production",
        STORE,
        "    ours = [one for one in every if one.origin.scope == here.scope]\n",
        "    ours = list(every)\n",
        (f"{CARRIED}::test_no_other_scopes_cache_is_taken",),
    ),
    Mutation(
        "caches-of-two-machines-under-one-name",
        "a machine replaces what another one has made",
        STORE,
        "    made = [dict(key), origin.scope, origin.provider, origin.machine_id]\n",
        "    made = [dict(key), origin.scope, origin.provider]\n",
        (f"{CARRIED}::test_a_machine_replaces_no_other_machines_cache",),
    ),
    Mutation(
        "given-cache-given-back",
        "one machine's code comes to bear the name of another that more is trusted",
        ACTION,
        '        if seen["was_given"] or not seen["has_own"]:\n',
        '        if not seen["has_own"]:\n',
        (f"{CARRIED}::test_a_host_that_was_given_a_cache_gives_none_back",),
    ),
    Mutation(
        "cache-of-another-driver",
        "a server crashes on kernels of another driver",
        STORE,
        "    fitting = [one for one in ours if one.key == key]\n",
        "    fitting = [one for one in ours if len(differing(key, one.key)) < 2]\n",
        (f"{CARRIED}::test_a_cache_of_another_kind_of_host_is_refused_with_the_difference",),
        3,
    ),
    Mutation(
        "cache-changed-on-the-controller",
        "whoever can write to an archive runs code on the next host",
        ACTION,
        "                require_archive(stream, contents, self._limit())\n",
        "                pass\n",
        (f"{CARRIED}::test_a_cache_that_was_changed_on_the_controller_is_removed_and_not_given",),
    ),
    Mutation(
        "file-that-is-not-as-listed",
        "a file runs that is not the one whose hash is known",
        GRAMMAR,
        "        if digest.hexdigest() != file.sha256:\n",
        "        if not digest.hexdigest():\n",
        (f"{CARRIED}::test_a_file_that_is_not_as_listed_comes_to_no_folder_of_the_engine",),
    ),
    Mutation(
        "path-that-leads-elsewhere",
        "a list writes files anywhere on the next host",
        GRAMMAR,
        '    return bool(fits) and not {".", ".."} & set(path.split("/"))\n',
        "    return bool(fits)\n",
        (f"{CARRIED}::test_a_list_that_is_not_as_we_write_it_is_refused",),
        3,
    ),
    Mutation(
        "path-of-a-host-in-a-command",
        "a host writes a line into what sftp is told",
        ACTION,
        "    if not isinstance(path, str) or not _REMOTE_PATH.fullmatch(path):\n",
        "    if not isinstance(path, str) or not _REMOTE_PATH.match(path):\n",
        (f"{CARRIED}::test_the_path_that_a_host_tells_is_never_a_command",),
    ),
    Mutation(
        "sending-without-end",
        "a host fills the controller's disk",
        ACTION,
        "            with no_file_above(min(contents.archive_bytes, MOST_ARCHIVE_BYTES)):\n",
        "            if True:\n",
        (f"{CARRIED}::test_a_sending_without_end_is_cut_off_and_not_kept",),
    ),
    Mutation(
        "bomb-read-to-its-end",
        "a small archive keeps a host or the controller busy for ever",
        GRAMMAR,
        "                chunk = self._unpacker.decompress(data, most)\n",
        "                chunk = self._unpacker.decompress(data)\n",
        (f"{CARRIED}::test_an_archive_that_unpacks_to_more_than_it_says_is_not_read_to_its_end",),
    ),
    Mutation(
        "cache-unpacked-in-place",
        "a cache that breaks off half-way is believed by the engine",
        COMPILED,
        '    return place.parent / f".{place.name}.inferops"\n',
        "    return place\n",
        (
            f"{CARRIED}::test_a_file_that_is_not_as_listed_comes_to_no_folder_of_the_engine",
            f"{CARRIED}::test_what_is_on_a_host_already_is_not_replaced",
        ),
    ),
    Mutation(
        "link-of-a-host-followed",
        "a secret of a host comes to the controller as a kernel",
        COMPILED,
        "os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK",
        "os.O_RDONLY | os.O_NONBLOCK",
        (f"{CARRIED}::test_links_pipes_and_odd_names_stay_on_their_host",),
    ),
    Mutation(
        "deploy-fails-for-a-cache",
        "a host that serves is released because a disk of the controller is full",
        ACTION,
        "        except _WRONG as error:\n",
        "        except LookupError as error:\n",
        (
            f"{CARRIED}::test_a_store_that_cannot_be_written_to_stops_nothing",
            f"{CARRIED}::test_a_host_that_is_gone_stops_nothing",
        ),
        2,
    ),
    Mutation(
        "start-given-up-for-a-cache",
        "a cache that does not work fails the deploy that it was to speed up",
        "roles/launch/tasks/main.yml",
        "  when: launch_server.blames_caches | default(false)\n",
        "  when: false\n",
        (
            f"{LAUNCHING}::test_a_start_that_fails_with_what_was_carried_is_made_again_without",
            f"{LAUNCHING}::test_a_start_that_fails_without_it_as_well_fails_with_its_cause",
        ),
        2,
    ),
    Mutation(
        "every-start-made-twice",
        "a start that fails for want of memory bills its minutes twice",
        f"{SERVING}/explanation.py",
        'return carried and failure.get("cause_id") in MAY_BE_ITS_CACHES',
        "return carried",
        (
            f"{LAUNCHING}::test_only_what_was_carried_is_blamed_and_only_for_what_it_may_do",
            f"{LAUNCHING}::test_a_start_that_fails_for_another_reason_is_made_once",
        ),
        2,
    ),
    Mutation(
        "nothing-carried-is-blamed",
        "a start that fails on a host that was given nothing is made twice",
        f"{SERVING}/explanation.py",
        'return carried and failure.get("cause_id") in MAY_BE_ITS_CACHES',
        'return failure.get("cause_id") in MAY_BE_ITS_CACHES',
        (f"{LAUNCHING}::test_only_what_was_carried_is_blamed_and_only_for_what_it_may_do",),
    ),
    Mutation(
        "systemd-without-root-believed",
        "a plain user's host has no supervisor when the server is to start, and bills on",
        "plugins/action/model_fit.py",
        'host["init_system"] == "systemd" and host["is_root"]',
        'host["init_system"] == "systemd"',
        (f"{LAUNCHING}::test_supervisord_is_installed_where_systemd_may_not_do",),
    ),
    Mutation(
        "unsealed-list-believed",
        "whoever writes into the store that controllers share runs code on all hosts",
        STORE,
        "        if self.secret and not hmac.compare_digest(",
        "        if False and not hmac.compare_digest(",
        (f"{SHARED}::test_with_a_secret_no_list_counts_that_others_have_written",),
        2,
    ),
    Mutation(
        "mirror-of-an-earlier-archive",
        "a controller never gives again what another one has kept anew, and removes it for all",
        ACTION,
        "        if self.shelf and not self._is_whole(kept):\n",
        "        if self.shelf and not archive.is_file():\n",
        (f"{SHARED}::test_what_was_kept_anew_elsewhere_takes_the_place_of_an_earlier_one",),
        2,
    ),
    Mutation(
        "broken-cache-stays-shared",
        "what breaks a start is given to the next host of every controller",
        ACTION,
        "        self._shared(lambda shelf: shelf.remove([cache_id]))\n",
        "",
        (f"{SHARED}::test_what_breaks_a_start_is_removed_for_all",),
        2,
    ),
    Mutation(
        "other-files-removed",
        "files of others in the same place are deleted",
        SHELF,
        'for name in files), "--exclude=*"]\n',
        "for name in files)]\n",
        (f"{SHARED}::test_other_files_in_the_same_place_are_left_alone",),
    ),
    Mutation(
        "caches-without-a-bound",
        "the controller's disk fills up with caches",
        STORE,
        "        while left and (len(left) > most or _size(left) > most_bytes):\n",
        "        while left and len(left) > most:\n",
        (f"{CARRIED}::test_what_was_used_longest_ago_goes_first",),
    ),
)
