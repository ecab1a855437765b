# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What travels with the rental request: who may log in, the host's key, and the dead-man switch.

A provider runs the script as root at every start of the container, before or after sshd starts.
It can run any number of times. No secret appears in an argument list.
"""

from __future__ import annotations

import re
import shlex
import string
from dataclasses import dataclass

from ..model import HostKey

#: The least that a provider takes of a script.
MOST_CHARACTERS = 4096
#: Where the host keeps the switch.
FOLDER = "/var/lib/inferops-rental"
HOST_KEY_FILE = "/etc/ssh/ssh_host_ed25519_key"
#: While this file is there, the host key is not the one that came with the rental request.
_REPLACED = f"{FOLDER}/host_key_replaced"
#: Who changes the host key, or lets sshd read it, holds this lock.
_LOCK = f"{FOLDER}/host_key_lock"

#: A clock that shows another time than this at the first start of a host is wrong.
_CLOCK_EARLY_SECONDS = 300
_CLOCK_LATE_SECONDS = 7200

#: Shell function: lets the listening sshd read its keys again, and tells whether there was one.
#: Sessions live on. A sshd that does not catch the signal, because it starts or still reads its
#: keys, would die of it: so it is left out, and one who signals waits until the next one may.
_RELOAD_SSHD = rf"""
catches() {{ grep -q 'SigCgt:.*[13579bdf]$' $1/status; }}
reload_sshd() (
  flock 8
  reloaded=1
  for p in /proc/[0-9]*; do
    read -r name <$p/comm && [ "$name" = sshd ] && catches $p || continue
    case $(tr '\0' ' ' <$p/cmdline) in
      sshd:*listener*|/*)
        kill -HUP ${{p#/proc/}} && reloaded=0
        for second in 1 2 3 4 5; do sleep 1; catches $p && break; done;;
    esac
  done 2>/dev/null
  exit $reloaded
) 8>{_LOCK}
"""


class _Shell(string.Template):
    """Shell text with ``@{name}`` where a value goes."""

    delimiter = "@"


_LOGIN = _Shell(
    r"""#!/bin/sh
# inferops.gpu: login, host key and dead-man switch of this rental
umask 077
mkdir -p @{folder} ~root/.ssh
chmod 700 @{folder}
touch ~root/.no_auto_tmux
keys=~root/.ssh/authorized_keys
key=@{public_key}
grep -qxF "$key" $keys || printf '\n%s\n' "$key" >>$keys
"""
)

# ssh-keygen -A may be making keys at this very moment, and sshd may have read them. So the key is
# put in place before sshd starts, and once more when it listens.
_HOST_KEY = _Shell(
    r"""
file=@{file}
replaced=@{replaced}
put_key() (
  flock 8
  [ ! -e $replaced ] || exit
  mkdir -pm755 ${file%/*}
  cat >$file.new <<'END'
@{private}
END
  mv $file.new $file
  echo '@{public}' >$file.pub
) 8>@{lock}
@{reload}
put_key
(
  tries=0
  while [ $((tries+=1)) -lt 600 ] && [ ! -e $replaced ]; do
    put_key
    reload_sshd && break
    sleep 1
  done
) </dev/null >/dev/null 2>&1 &
"""
)

# The mark comes before the key: without it, a start of the container would put the old key back.
# Half a key never replaces a whole one.
_REPLACE_HOST_KEY = _Shell(
    r"""set -eu
umask 077
mkdir -p @{folder}
@{reload}
(
  flock 8
  touch @{replaced}
  cat >@{file}.new
  tail -n 1 @{file}.new | grep -q END
  mv @{file}.new @{file}
  echo '@{public}' >@{file}.pub
) 8>@{lock}
reload_sshd
"""
)

# Only at its first start can a host's clock be compared with the rental request, so that is kept.
_SWITCH = _Shell(
    r"""
cd @{folder}
if [ ! -s switch.sh ]; then
  deadline=@{deadline}
  now=$(date +%s)
  [ $now -ge @{earliest} ] && [ $now -le @{latest} ] || deadline=$((now+@{lifetime}))
  {
    echo original=$deadline
    cat <<'END'
key_variable=@{key_variable}
@{switch}
END
  } >switch.new &&
  mv switch.new switch.sh
  [ -e deadline ] || echo $deadline >deadline
fi
setsid nohup sh @{folder}/switch.sh </dev/null >/dev/null 2>&1 &
"""
)

#: One process, by its lock, compares the clock with the file ``deadline`` until the host is gone.
#: A file that does not hold ten digits counts as the original deadline.
_SWITCH_LOOP = _Shell(
    r"""
cd @{folder}
exec 9>lock
flock -n 9 || exit
echo $$ >pid
release() {
  for name in @{variables}; do
    eval "$name=\${$name:-\$(tr '\\0' '\\n' </proc/1/environ | sed -n s/^$name=//p)}"
  done
  url="@{url}"
  key=$@{key_variable}
  printf 'url="%s"\nrequest=@{method}\ndata="{}"\nheader="Content-Type: application/json"
header="Authorization: Bearer %s"' "$url" "$key" | curl -qfsSm60 -K - ||
  printf '%s %s' "$url" "$key" | python3 -c 'import sys, urllib.request as web
url, key = sys.stdin.read().split()
headers = {"Content-Type": "application/json", "Authorization": "Bearer " + key}
web.build_opener().open(web.Request(url, b"{}", headers, method="@{method}"), timeout=60)'
}
while :; do
  deadline=
  read -r deadline <deadline
  case $deadline in
    *[!0-9]*|0*) deadline=;;
    ??????????) ;;
    *) deadline=;;
  esac
  pause=5
  if [ $(date +%s) -ge ${deadline:-$original} ]; then
    { date; release; } >log 2>&1
    pause=30
  fi 9>&-
  sleep $pause 9>&-
done"""
)


@dataclass(frozen=True)
class SelfRelease:
    """How a host ends its own rental.

    ``url`` is shell text that the host expands. The variables in it and ``key_variable``, whose
    key is good for this rental only, come from the container's environment.
    """

    method: str
    url: str
    key_variable: str


def start_script(
    ssh_public_key: str,
    host_key: HostKey | None,
    created_at: int,
    deadline: int,
    release: SelfRelease | None,
) -> str:
    """The POSIX script for one rental request; times are epoch seconds, a deadline of 0 is none.

    Raises ValueError when it is longer than a provider takes.
    """
    script = _LOGIN.substitute(folder=FOLDER, public_key=shlex.quote(ssh_public_key))
    if host_key:
        script += _HOST_KEY.substitute(
            file=HOST_KEY_FILE,
            replaced=_REPLACED,
            lock=_LOCK,
            private=host_key.private.strip(),
            public=host_key.public,
            reload=_RELOAD_SSHD.strip(),
        )
    if deadline and release:
        script += _SWITCH.substitute(
            folder=FOLDER,
            deadline=deadline,
            earliest=created_at - _CLOCK_EARLY_SECONDS,
            latest=created_at + _CLOCK_LATE_SECONDS,
            lifetime=deadline - created_at,
            key_variable=release.key_variable,
            switch=_switch_loop(release),
        )
    if len(script) > MOST_CHARACTERS:
        raise ValueError(
            f"The start script of the host has {len(script)} characters, which is more than the "
            f"{MOST_CHARACTERS} that providers take: use a shorter SSH key, such as ssh-ed25519."
        )
    return script


def replacement_script(public: str) -> str:
    """The script that replaces the host key; it reads the private half from its standard input.

    It fails when the key is incomplete, or no sshd could be made to show it.
    """
    return _REPLACE_HOST_KEY.substitute(
        folder=FOLDER,
        file=HOST_KEY_FILE,
        replaced=_REPLACED,
        lock=_LOCK,
        public=public,
        reload=_RELOAD_SSHD.strip(),
    )


def _switch_loop(release: SelfRelease) -> str:
    variables = [*re.findall(r"\$\{?(\w+)", release.url), release.key_variable]
    return _SWITCH_LOOP.substitute(
        folder=FOLDER,
        variables=" ".join(dict.fromkeys(variables)),
        url=release.url,
        key_variable=release.key_variable,
        method=release.method,
    ).strip()
