# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files and folders that nobody else may read, change or have planted, on either side.

A path may lead through a folder where others write, such as /tmp: whoever is there first could put
a link or a folder of their own in its place. So no link of a stranger is followed, nothing of a
stranger is used, and what is made is private whatever the umask says.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from pathlib import Path

FOLDER_MODE, FILE_MODE = 0o700, 0o600
_MOST_LINKS = 40
_LOOK_EVERY_SECONDS = 0.05


class NotOurs(OSError):
    """Somebody else could change it. The text names it and says what to do."""


def place_of(path: Path) -> Path:
    """Where a path leads to, over links of ours and of root alone. Raises NotOurs."""
    pending = list(reversed(path.expanduser().absolute().parts[1:]))
    place, links = Path("/"), 0
    while pending:
        part = pending.pop()
        if part == "..":
            place = place.parent
            continue
        status = _status(place / part)
        if status is None or not stat.S_ISLNK(status.st_mode):
            place /= part
            continue
        _require_ours(place / part, status)
        links += 1
        if links > _MOST_LINKS:
            raise NotOurs(f"{path} leads in a circle of links: delete them.")
        target = Path(os.readlink(place / part))
        place = Path("/") if target.is_absolute() else place
        pending += reversed([name for name in target.parts if name != "/"])
    return place


def require_ours(folder: Path) -> Path:
    """Where a folder lies, after it and what lies in it were seen not to be a stranger's.

    One that is not there is nobody's, and one like /tmp is for all: there only what is used counts.
    Raises NotOurs.
    """
    place = place_of(folder)
    status = _status(place)
    if status is not None:
        _require_ours(place, status)
        if stat.S_ISDIR(status.st_mode) and not status.st_mode & stat.S_ISVTX:
            for entry in os.scandir(place):
                _require_ours(place / entry.name, entry.stat(follow_symlinks=False))
    return place


def make_folders(folder: Path) -> Path:
    """Where a folder of ours lies, however open it is; what is missing of its path is made, for its
    owner alone. Raises NotOurs.
    """
    place = place_of(folder)
    for missing in [path for path in reversed([place, *place.parents]) if _status(path) is None]:
        try:
            os.mkdir(missing, FOLDER_MODE)
        except FileExistsError:
            continue  # somebody was faster
    _require_ours(place, os.lstat(place))
    return place


def private_folder(folder: Path) -> Path:
    """Where a folder lies that is ours alone; it is made, or closed to others. Raises NotOurs."""
    place = make_folders(folder)
    handle = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        status = os.fstat(handle)
        _require_ours(place, status)
        if status.st_mode & stat.S_ISVTX:
            raise NotOurs(f"{place} is for all users of this machine: take a folder below it.")
        mode = stat.S_IMODE(status.st_mode)
        # Through what lies directly below / others have to pass, as through /etc: they only write
        # there no more.
        wanted = mode & ~0o022 if place.parent == Path("/") else FOLDER_MODE
        if status.st_uid == os.geteuid() and mode != wanted:
            os.fchmod(handle, wanted)
    finally:
        os.close(handle)
    return place


def open_private(path: Path, flags: int) -> int:
    """A descriptor of a file of ours, which is made for its owner alone. Raises NotOurs, also for
    any link in its place.
    """
    place = place_of(path.parent) / path.name
    # Not to wait for whoever reads a pipe.
    flags |= os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    cut, flags = flags & os.O_TRUNC, flags & ~os.O_TRUNC
    try:
        handle = os.open(place, flags, FILE_MODE)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise NotOurs(f"{place} is a link: look who made it, and delete it.") from None
        raise
    try:
        status = os.fstat(handle)
        _require_ours(place, status)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
            raise NotOurs(f"{place} is no plain file of its own: delete it.")
        if status.st_uid == os.geteuid() and status.st_mode & 0o077:
            os.fchmod(handle, FILE_MODE)
        if cut:
            os.ftruncate(handle, 0)
    except OSError:
        os.close(handle)
        raise
    return handle


def lock(descriptor: int, patience_seconds: float) -> None:
    """Hold an open file until it is closed, as one process at a time can.

    Whoever holds it for longer is stuck: TimeoutError after so many real seconds.
    """
    limit = time.monotonic() + patience_seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() >= limit:
                raise TimeoutError(f"held by another process for {patience_seconds:g} s") from error
            time.sleep(_LOOK_EVERY_SECONDS)


def holds(path: Path, text: str, mode: int = FILE_MODE) -> bool:
    """Whether a file of ours has this text and this mode."""
    try:
        status = os.lstat(path)
        _require_ours(path, status)
        whole = stat.S_ISREG(status.st_mode) and stat.S_IMODE(status.st_mode) == mode
        return whole and path.read_text(encoding="utf-8") == text
    except (OSError, UnicodeDecodeError):
        return False


def replace(path: Path, text: str, mode: int = FILE_MODE) -> None:
    """Put a text in the place of a file, or of a link, in one step.

    Whoever reads it sees the old text or the new one. Raises OSError, as on a full disk: then the
    old text stays.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, FILE_MODE)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            os.fchmod(stream.fileno(), mode)
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def write_private(path: Path, text: str) -> bool:
    """Replace a file in a folder that is ours alone. Returns whether something changed."""
    path = private_folder(path.parent) / path.name
    if holds(path, text):
        return False
    replace(path, text)
    return True


def _status(path: Path) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except FileNotFoundError:
        return None


def _require_ours(path: Path, status: os.stat_result) -> None:
    """Root's own is no danger, nor what belongs to the user who became root."""
    trusted = {0, os.geteuid()}
    if os.geteuid() == 0:
        trusted.add(int(os.environ.get("SUDO_UID") or 0))
    if status.st_uid not in trusted:
        what = "link" if stat.S_ISLNK(status.st_mode) else "file or folder"
        raise NotOurs(
            f"{path} is a {what} of another user (uid {status.st_uid}; this is uid "
            f"{os.geteuid()}), who could change what is kept there. Look who made it, then delete "
            "it or change its owner, or name another folder."
        )
