#!/usr/bin/env bash
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# A deployment by hand, as fast as it goes: one SSH call brings this folder and runs this script.
# Arguments: uv's version, uv's options, `--`, the engine's options.
set -euo pipefail
cd "$(dirname "$0")"

. ./lap.sh

uv_version=$1
shift
sources=()
while [ "$1" != "--" ]; do
    sources+=("$1")
    shift
done
shift

python3 -m venv bootstrap
bootstrap/bin/pip install --quiet "uv==$uv_version"
lap uv
bootstrap/bin/uv venv --quiet --python /usr/bin/python3 venv
bootstrap/bin/uv pip sync --quiet --require-hashes --python venv/bin/python "${sources[@]}" lock.txt
lap install

# The three proofs in one process: each library is imported once.
venv/bin/python prove.py torch numpy vllm
lap prove

nohup venv/bin/python -m vllm.entrypoints.openai.api_server "$@" >server.log 2>&1 </dev/null &
python3 complete.py 8000 "$!" || { tail -50 server.log; exit 1; }
lap serve
