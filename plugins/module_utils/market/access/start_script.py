# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What travels with the rental request: who may log in, the host's key, and the dead-man switch.

A provider runs the script as root at every start of the container, before or after sshd starts.
It can run any number of times. No secret appears in an argument list.
"""

from __future__ import annotations

import base64
import gzip
import re
import shlex
import string
from dataclasses import dataclass

from ..mark import PREFIX
from ..model import HostKey

#: The least that a provider takes of a script (docs.vast.ai, api-reference).
MOST_CHARACTERS = 4048
#: Where the host keeps the switch.
FOLDER = "/var/lib/inferops-rental"
HOST_KEY_FILE = "/etc/ssh/ssh_host_ed25519_key"
#: While this file is there, the host key is not the one that came with the rental request.
_REPLACED = f"{FOLDER}/host_key_replaced"
#: Who changes the host key, or lets sshd read it, holds this lock.
_LOCK = f"{FOLDER}/host_key_lock"

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

# A container that was recreated has lost its deadline, and begins with that of the rental request.
_SWITCH = _Shell(
    r"""
cd @{folder}
if [ ! -s switch.sh ]; then
  cat >switch.new <<'END'
original=@{deadline}
key_variable=@{key_variable}
@{switch}
END
  mv switch.new switch.sh
fi
setsid nohup sh @{folder}/switch.sh </dev/null >/dev/null 2>&1 &
"""
)

#: One process, by its lock, compares the clock with the file ``deadline`` until the host is gone.
#: A file that does not hold ten digits counts as the original deadline. At its start, every hour
#: and before it ends anything it asks the provider for the rental's own row. A later deadline in
#: the mark counts, so that one that was moved holds although nobody could tell the host. So does
#: the time of the answer, for the host's clock may be wrong.
#: What was written down before any answer told the time is a guess, which the first one corrects.
#: What it waits for does not hold its lock: it outlives a switch that is killed.
_SWITCH_LOOP = _Shell(
    r"""
cd @{folder}
exec 9>lock
flock -n 9 || exit
for name in @{variables}; do
  eval "$name=\${$name:-\$(tr '\\0' '\\n' </proc/1/environ | sed -n s/^$name=//p)}"
done
url="@{url}"
key=$@{key_variable}
echo $$ >pid
call() {
  printf 'url="%s"\nrequest=%s\ndata="{}"\nheader="Content-Type: application/json"
header="Authorization: Bearer %s"' "$url" $2 "$key" | curl -q${1}sSm60 -K - ||
  printf '%s %s' "$url" "$key" | python3 -c 'import sys, urllib.request as web
url, key = sys.stdin.read().split()
headers = {"Content-Type": "application/json", "Authorization": "Bearer " + key}
request = web.Request(url, b"{}", headers, method=sys.argv[1])
told = web.build_opener().open(request, timeout=60)
print(told.headers, told.read().decode())' $2
}
offset=0 guess=
current() {
  deadline=
  read -r deadline <deadline
  case $deadline in
    *[!0-9]*|0*) deadline=;;
    ??????????) ;;
    *) deadline=;;
  esac
  : ${deadline:=$((original-offset))}
}
look() {
  row=$(exec 9>&-; call i @{read_method} | tr -d '\r')
  now=$(echo "$row" | sed -n 's/^[Dd]ate: *//p' | head -n 1)
  [ "$now" ] && now=$(date -d "$now" +%s) && offset=$((now-$(date +%s)))
  [ "$now" ] && [ "$guess" ] && {
    [ "$(cat deadline)" = $guess ] && rm deadline
    guess=
  }
  at=$(echo "$row" |
    sed -n 's|.*@{mark}/[^/" ]*/[^/" ]*/[^/" ]*/[^/" ]*/\([0-9a-z]*\)/.*|\1|p' |
    awk '{for(n=0;$0!="";$0=substr($0,2))n=n*36+index("@{digits}",substr($0,1,1));printf "%.0f",n}')
  [ "$at" = 0 ] && at=9000000000
  current
  [ ${#at} = 10 ] && [ $((at-offset)) -gt $deadline ] && echo $((at-offset)) >deadline
  [ -e deadline ] || { echo $deadline >deadline; [ "$now" ] || guess=$deadline; }
}
due() {
  current
  [ $(date +%s) -ge $deadline ]
}
tick=0
while :; do
  pause=5
  {
    [ $((tick%720)) = 0 ] && look
    tick=$((tick+1))
    if due && { look; due; }; then
      date
      (exec 9>&-; call f @{method})
      pause=30
    fi
  } 2>log >&2
  sleep $pause 9>&-
done"""
)
#: The digits of a mark's numbers, but for the 0: what is not among them counts 0.
_DIGITS = "123456789abcdefghijklmnopqrstuvwxyz"

# Longer than a provider takes, which a long SSH key makes it.
PACKED = _Shell("#!/bin/sh\necho @{text} | base64 -d | gzip -dc | sh\n")


@dataclass(frozen=True)
class SelfRelease:
    """How a host ends its own rental, and reads its own row, by another ``method`` of HTTP.

    ``url`` is shell text that the host expands. The variables in it and ``key_variable``, whose
    key is good for this rental only, come from the container's environment. ``mark_field`` of the
    row has the mark.
    """

    method: str
    read_method: str
    url: str
    key_variable: str
    mark_field: str = "label"


def start_script(
    ssh_public_key: str,
    host_key: HostKey | None,
    deadline: int,
    release: SelfRelease | None,
    before: str = "",
) -> str:
    """The POSIX script for one rental request; *deadline* is in epoch seconds, 0 is none.

    *before* is run first, before anybody of ours can log in.
    Raises ValueError when it is longer than a provider takes.
    """
    script = before + _LOGIN.substitute(folder=FOLDER, public_key=shlex.quote(ssh_public_key))
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
            key_variable=release.key_variable,
            switch=_switch_loop(release),
        )
    if len(script) > MOST_CHARACTERS:
        packed = base64.b64encode(gzip.compress(script.encode(), 9, mtime=0)).decode()
        script = PACKED.substitute(text=packed)
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
        read_method=release.read_method,
        mark=f'"{release.mark_field}": *"[^"]*{PREFIX}',
        digits=_DIGITS,
    ).strip()
