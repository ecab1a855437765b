#!/usr/bin/env bash
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Prepares a Debian or Ubuntu machine: the system packages that are missing, then .venv with the
# tools that requirements-dev.txt pins. Safe to run again. `make setup` calls it. With the word
# `browser` it installs what `make report-drill` and `make screenshots` need beyond that, with `java` what
# `make rulebook` needs, with `prometheus` what `make monitoring` needs, and no more.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

say() { printf 'setup: %s\n' "$*"; }
fail() {
  printf 'setup: %s\n' "$*" >&2
  exit 1
}

# Installs those of the named packages that are missing.
install_packages() {
  local missing package state as_root unit
  missing=()
  for package in "$@"; do
    state=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
    [[ $state == installed ]] || missing+=("$package")
  done
  if ((${#missing[@]})); then
    command -v apt-get >/dev/null || fail "this machine has no apt-get. Install by hand what matches" \
      "these Debian packages, then run it again: ${missing[*]}"
    as_root=()
    if ((EUID != 0)); then
      command -v sudo >/dev/null || fail "these packages are missing, and installing them needs root" \
        "or sudo: ${missing[*]}"
      as_root=(sudo)
    fi
    say "installing ${missing[*]}"
    # A unit that is masked is started neither by its package nor at boot; systemctl unmask haproxy gives
    # it back. A HAProxy that is there already stays as it is.
    for package in haproxy prometheus prometheus-node-exporter; do
      unit=/etc/systemd/system/$package.service
      if [[ " ${missing[*]} " == *" $package "* && ! -e $unit ]]; then
        "${as_root[@]}" mkdir -p "${unit%/*}"
        "${as_root[@]}" ln -s /dev/null "$unit"
      fi
    done
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
      apt-get install -qq --yes --no-install-recommends "${missing[@]}" >/dev/null
  fi
}

if [[ ${1:-} == browser ]]; then
  # Debian's browser with the driver of the same version, and letters to write with.
  command -v chromium >/dev/null && command -v chromedriver >/dev/null && exit 0
  install_packages chromium chromium-driver fonts-liberation
  exit 0
fi

if [[ ${1:-} == java ]]; then
  # What ansible-rulebook's engine of rules runs on.
  command -v java >/dev/null || install_packages default-jre-headless
  exit 0
fi

if [[ ${1:-} == prometheus ]]; then
  # The distribution's own, which tests start themselves.
  command -v promtool >/dev/null && command -v prometheus-node-exporter >/dev/null && exit 0
  install_packages prometheus prometheus-node-exporter
  exit 0
fi

# Rented hosts are containers here: podman with runc and a bridge network, on an image that
# mmdebstrap makes from Debian packages.
# The proxy is the real HAProxy, which tests start themselves.
packages=(aardvark-dns debian-archive-keyring git haproxy iptables mmdebstrap netavark openssh-client
  podman rsync runc shellcheck)
# Without root, user namespaces stand in for it.
if ((EUID != 0)); then
  packages+=(dbus-user-session fuse-overlayfs slirp4netns uidmap)
fi

# The first interpreter that is new enough. A command may exist and still not run (pyenv's shims).
find_python() {
  local candidate
  for candidate in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      "$candidate" -c 'import sys; print(sys.executable)'
      return
    fi
  done
  return 1
}

python=$(find_python) || fail "no Python 3.11 or newer found. Install one (Debian 12 and" \
  "Ubuntu 24.04 have it as python3), or name it: make setup PYTHON=/path/to/python3.12"
if ! "$python" -c 'import ensurepip' 2>/dev/null; then
  packages+=("$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')")
fi

install_packages "${packages[@]}"

say "installing the pinned tools into .venv ($("$python" --version))"
[[ -x .venv/bin/python ]] || "$python" -m venv .venv
export PIP_DISABLE_PIP_VERSION_CHECK=1
.venv/bin/python -m pip install --quiet --require-hashes --requirement requirements-dev.txt
say "done"
