# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait until the server on a port of this host completes a text: ``complete.py PORT PID``."""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.request
from pathlib import Path

MOST_SECONDS, LOOK_EVERY_SECONDS = 300, 0.25


def alive(pid: int) -> bool:
    """Whether the process runs; what has ended and waits for its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def complete(port: int, key: str) -> str:
    """The completion of a server that wants *key*; raises OSError while there is no server."""
    base = f"http://127.0.0.1:{port}/v1"
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    question = urllib.request.Request(f"{base}/models", headers=headers)
    with urllib.request.urlopen(question, timeout=60) as answer:
        model = json.load(answer)["data"][0]["id"]
    wish = {"model": model, "prompt": "Hello", "max_tokens": 16, "temperature": 0}
    request = urllib.request.Request(f"{base}/completions", json.dumps(wish).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return str(json.load(answer)["choices"][0]["text"])


def main() -> int:
    port, pid = map(int, sys.argv[1:])
    give_up_at = time.monotonic() + MOST_SECONDS
    while alive(pid) and time.monotonic() < give_up_at:
        try:
            if complete(port, os.environ["VLLM_API_KEY"]).strip():
                return 0
        except OSError:
            time.sleep(LOOK_EVERY_SECONDS)
    print("the server does not serve", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
