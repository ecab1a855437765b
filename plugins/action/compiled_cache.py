# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action for compiled_cache: between the store on the controller and the folders on a host.

A cache is a help: whatever goes wrong here is told, and nothing fails for it.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from ansible.errors import AnsibleActionFail, AnsibleError

from ansible_collections.inferops.gpu.plugins.module_utils.common.compiled_cache import (
    MOST_ARCHIVE_BYTES,
    CacheError,
    Contents,
    Limit,
    TooSlow,
    read,
    read_key,
    require_archive,
    unpack,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.options import (
    given_secret,
)
from ansible_collections.inferops.gpu.plugins.plugin_utils.bounds import bounded, no_file_above
from ansible_collections.inferops.gpu.plugins.plugin_utils.cache_shelf import (
    Shelf,
    files_of,
    shelf_of,
)
from ansible_collections.inferops.gpu.plugins.plugin_utils.cache_store import (
    GIB,
    ID,
    MACHINE,
    SCOPE,
    VERIFIED,
    Kept,
    Origin,
    Store,
    choose,
    id_of,
)
from ansible_collections.inferops.gpu.plugins.plugin_utils.guarded_action import GuardedAction

Answer = TypeVar("Answer")

MODULE = "inferops.gpu.compiled_cache"
MIB = 2**20
#: What must stay free on either side.
RESERVE_BYTES = 2**30
#: What may stand in a command of sftp as it is. A host says where its archive lies.
_REMOTE_PATH = re.compile(r"(?:/\.?[A-Za-z0-9_][A-Za-z0-9._-]{0,99}){1,30}")
_WRONG = (AnsibleError, OSError, LookupError, TypeError, ValueError, AttributeError)
_DICT: dict[str, Any] = {"type": "dict", "default": {}}

ARGUMENTS: dict[str, Any] = {
    "state": {"type": "str", "choices": ["given", "kept", "withdrawn"], "required": True},
    "store": {"type": "str", "default": ""},
    "mirror": {"type": "path", "default": ""},
    "trust": {"type": "str", "choices": [MACHINE, VERIFIED, SCOPE], "default": MACHINE},
    "scope": {"type": "str", "default": ""},
    "scope_secret": {"type": "str", "no_log": True},
    "rental": _DICT,
    "offer": _DICT,
    "max_gib": {"type": "float", "default": 20},
    "max_count": {"type": "int", "default": 50},
    "timeout_seconds": {"type": "int", "default": 120},
    "cache_id": {"type": "str", "default": ""},
    "server_runs": {"type": "bool", "default": False},
}
#: What the host need not know.
_OF_THE_CONTROLLER = set(ARGUMENTS) - {"state", "timeout_seconds"}
_OF_THE_HOST: dict[str, Any] = {
    **{name: {"type": "str"} for name in ("home", "python", "engine", "model")},
    **{name: {"type": "dict"} for name in ("arguments", "suggested_arguments", "environment")},
    "extra_args": {"type": "list", "elements": "str"},
}


class ActionModule(GuardedAction):
    """Asks the host what it has, and carries what suits."""

    _supports_check_mode = True

    def act(self, variables: dict[str, Any]) -> dict[str, Any]:
        _valid, given = self.validate_argument_spec({**ARGUMENTS, **_OF_THE_HOST})
        self.given, self.variables = given, variables
        if self._task.check_mode or not given["store"]:
            return _done("no caches are carried")
        if not is_wanted(given["state"], given["server_runs"], given["cache_id"]):
            return _done("nothing was compiled anew, and nothing will be", given["cache_id"])
        self.here = Origin.of(given["scope"], given["rental"], given["offer"])
        try:
            self.shelf = shelf_of(given["store"])
            self.store = Store(self._folder(), given_secret(given))
            self.store.open()
            if self.shelf:
                self._shared(lambda shelf: shelf.bring_lists(self.store.folder))
            done: dict[str, Any] = getattr(self, f"_{given['state']}")()
        except _WRONG as error:
            done = _done(f"what was compiled is not {given['state']}: {error}")
        self.tell(variables.get("inventory_hostname", "host"), done["told"])
        return done

    def _folder(self) -> Path:
        """The store, or the controller's mirror of one that is shared."""
        if self.shelf is None:
            return Path(self.given["store"]).expanduser().absolute()
        if not self.given["mirror"]:
            raise CacheError("A store that is shared needs a folder for its mirror.")
        named = hashlib.sha256(self.given["store"].encode()).hexdigest()[:16]
        return Path(self.given["mirror"], named)

    def _shared(self, act: Callable[[Shelf], None]) -> None:
        """Act on the store that is shared, if it is, for no longer than a step may take."""
        shelf = self.shelf
        if shelf is not None:
            bounded(self.given["timeout_seconds"], lambda: act(shelf))

    def _forget(self, cache_id: str) -> None:
        self.store.forget(cache_id)
        self._shared(lambda shelf: shelf.remove([cache_id]))

    def _touch(self, cache_id: str) -> None:
        self.store.touch(cache_id)
        name = files_of(cache_id)[1]
        self._shared(lambda shelf: shelf.put([name], self.store.folder))

    def _given(self) -> dict[str, Any]:
        """Give the host what fits and may run there."""
        seen = self._host("look")
        key = read_key(seen["key"])
        if seen["has_own"]:
            return _done("what was compiled is here already")
        choice = choose(self.store.every(), key, self.here, self.given["trust"])
        if (kept := choice.kept) is None:
            return _done(f"no cache of what was compiled elsewhere is given: {choice.reason}")
        contents, archive = kept.contents, self.store.archive(kept)
        if self.shelf and not self._is_whole(kept):
            archive.unlink(missing_ok=True)
            self._shared(lambda shelf: shelf.bring_archive(kept.id, self.store.folder))
        try:
            with archive.open("rb") as stream:
                require_archive(stream, contents, self._limit())
        except TooSlow:
            raise
        except (CacheError, FileNotFoundError) as error:
            self._forget(kept.id)
            return _done(f"a cache that fits was changed in its store and is removed: {error}")
        if seen["free_bytes"] < contents.archive_bytes + contents.bytes + RESERVE_BYTES:
            return _done("a cache fits, and this host's disk has no room for it")
        self._within(lambda: self._transfer_file(str(archive), _remote(seen["incoming"])))
        try:
            self._host("unpack", contents=contents.to_dict())
        except AnsibleError as error:
            # The host may go on unpacking, so a start that fails may fail by it.
            return _done(f"a cache was sent, and may be there: {error}", kept.id)
        self._touch(kept.id)
        whose = "this machine itself" if kept.origin.is_of(self.here) else "a host of the same kind"
        told = f"carried {_mib(contents)} MiB of what {whose} has compiled"
        return {**_done(told, kept.id), "changed": True}

    def _is_whole(self, kept: Kept) -> bool:
        """Whether the mirror has the archive of this list, and not that of an earlier one."""
        try:
            with self.store.archive(kept).open("rb") as stream:
                require_archive(stream, kept.contents, self._limit())
        except TooSlow:
            raise
        except (CacheError, FileNotFoundError):
            return False
        return True

    def _kept(self) -> dict[str, Any]:
        """Keep what the host has compiled itself."""
        seen = self._host("look")
        key = read_key(seen["key"])
        if seen["was_given"] or not seen["has_own"]:
            return _done("nothing new was compiled that could be kept")
        if self.store.has(id_of(key, self.here)):
            self._touch(id_of(key, self.here))
            return _done("what was compiled is kept already")
        try:
            packed = self._host("pack")
            kept = Kept(key, self.here, read(packed["contents"]))
            self._fetch(packed["outgoing"], kept)
        finally:
            with suppress(*_WRONG):
                self._host("tidy")
        told = f"kept {_mib(kept.contents)} MiB of what was compiled, for hosts of the same kind"
        return _done(told, kept.id)

    def _withdrawn(self) -> dict[str, Any]:
        """Put away what was given, and may be why a start has failed."""
        if ID.fullmatch(self.given["cache_id"]):
            self._forget(self.given["cache_id"])
        self._host("clear")
        return {**_done("the start failed with what was carried: it is removed"), "changed": True}

    def _fetch(self, remote: str, kept: Kept) -> None:
        """Bring an archive from the host, and keep it if it is what its list says."""
        contents, draft = kept.contents, self.store.incoming()
        if shutil.disk_usage(self.store.folder).free < contents.archive_bytes + RESERVE_BYTES:
            raise CacheError("The controller's disk has no room for it.")
        try:
            with no_file_above(min(contents.archive_bytes, MOST_ARCHIVE_BYTES)):
                self._within(lambda: self._connection.fetch_file(_remote(remote), str(draft)))
            with draft.open("rb") as archive:
                limit = self._limit()
                require_archive(archive, contents, limit)
                unpack(archive, contents, limit)
            most_bytes = self.given["max_gib"] * GIB
            gone = self.store.add(draft, kept, most_bytes, self.given["max_count"])
            self._shared(lambda shelf: shelf.put(files_of(kept.id), self.store.folder))
            self._shared(lambda shelf: shelf.remove(gone))
        finally:
            draft.unlink(missing_ok=True)

    def _host(self, step: str, **more: Any) -> dict[str, Any]:
        """What the host answers to one step."""
        asked = self._task.args.items()
        mine = {name: one for name, one in asked if name not in _OF_THE_CONTROLLER}
        arguments = {**mine, "step": step, **more}
        result = self._within(
            lambda: self._execute_module(
                module_name=MODULE, module_args=arguments, task_vars=self.variables
            )
        )
        if result.get("failed"):
            raise CacheError(str(result.get("msg")))
        return result

    def _within(self, ask: Callable[[], Answer]) -> Answer:
        """What *ask* returns. The host's step has the same limit, so it may say so first."""
        seconds = self.given["timeout_seconds"] + 30
        return bounded(seconds, ask) if self._is_elsewhere() else ask()

    def _limit(self) -> Limit:
        return Limit.of(self.given["timeout_seconds"])


def is_wanted(state: str, server_runs: bool, cache_id: str) -> bool:
    """Whether the host has to be asked: a server that ran before has compiled what it needs.

    A host that was given the cache *cache_id* has nothing new to keep.
    """
    if state == "given":
        return not server_runs
    if state == "kept":
        return not server_runs and not cache_id
    return True


def _remote(path: Any) -> str:
    """A path that a host has told. Raises AnsibleActionFail for one that could be a command."""
    if not isinstance(path, str) or not _REMOTE_PATH.fullmatch(path):
        raise AnsibleActionFail(
            "The place of the cache on the host has letters that no path of ours has."
        )
    return path


def _mib(contents: Contents) -> int:
    return round(contents.archive_bytes / MIB)


def _done(told: str, cache_id: str = "") -> dict[str, Any]:
    return {"changed": False, "carried": bool(cache_id), "cache_id": cache_id, "told": told}
