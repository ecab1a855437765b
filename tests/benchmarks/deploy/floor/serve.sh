#!/usr/bin/env bash
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The same as deploy.sh where the image has vLLM already. Arguments: its interpreter, the engine's options.
set -euo pipefail
cd "$(dirname "$0")"

. ./lap.sh

python=$1
shift
"$python" prove.py torch numpy vllm
lap prove

nohup "$python" -m vllm.entrypoints.openai.api_server "$@" >server.log 2>&1 </dev/null &
python3 complete.py 8000 "$!" || { tail -50 server.log; exit 1; }
lap serve
