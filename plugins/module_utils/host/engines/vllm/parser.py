# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Would the installed engine accept these options? Its own parser says, before anything is stopped.

The parser takes about ten seconds to load, so what was accepted once is remembered.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...machine.files import read_json, write_json
from ..engine import Verdict
from .installed import installed_version

MARK = "inferops-verdict:"
MOST_SECONDS = 120.0
#: Gives a script vLLM's parser, which raises Refused, and the module that makes it.
THE_PARSER = """
import importlib, importlib.util, json, sys

class Refused(Exception):
    pass

def refuse(message):
    raise Refused(message)

def is_there(name):
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False

def the_parser():
    # vLLM moves this module. What is in it has kept its names.
    places = ("common", "launchers", "openai")
    names = [f"vllm.entrypoints.{place}.cli_args" for place in places]
    cli_args = importlib.import_module(next(filter(is_there, names), names[-1]))
    parser = cli_args.make_arg_parser(cli_args.FlexibleArgumentParser())
    parser.error = refuse
    return parser, cli_args
"""
SCRIPT = (
    THE_PARSER
    + """
def verdict(words):
    try:
        parser, cli_args = the_parser()
    except BaseException as error:
        return {"skipped": f"{type(error).__name__}: {error}"}
    try:
        parsed = parser.parse_args(words)
        validate = getattr(cli_args, "validate_parsed_serve_args", None)
        if validate is not None:
            validate(parsed)
    except (Refused, TypeError, ValueError, KeyError) as error:
        return {"refused": str(error), "options": sorted(parser._option_string_actions)}
    except SystemExit:
        return {"refused": "an option that prints something and starts no server", "options": []}
    except Exception as error:
        return {"skipped": f"{type(error).__name__}: {error}"}
    return {}

print("MARK" + json.dumps(verdict(json.load(sys.stdin))))
""".replace("MARK", MARK)
)


def check(command: list[str], environment: Mapping[str, str], memory: Path, keep: bool) -> Verdict:
    """Ask the engine of this command line: interpreter, -m, module, options."""
    python, words = command[0], command[3:]
    version = installed_version(python)
    content = json.dumps([python, version, words])
    key = hashlib.sha256(content.encode()).hexdigest()
    if version and (read_json(memory) or {}).get("key") == key:
        return Verdict(None, f"accepted before by vLLM {version}")
    answer = _ask(python, words, environment, memory.parent)
    if "skipped" in answer:
        return Verdict(None, f"not checked: {answer['skipped']}")
    if "refused" in answer:
        meant = _meant(words, answer["options"])
        return Verdict(f"{answer['refused'].rstrip('.')}.{meant}", "refused")
    if version and keep:
        write_json(memory, {"key": key})
    return Verdict(None, f"accepted by vLLM {version or 'of an unknown version'}")


def _ask(
    python: str, words: list[str], environment: Mapping[str, str], folder: Path
) -> dict[str, Any]:
    try:
        done = subprocess.run(
            [python, "-c", SCRIPT],
            input=json.dumps(words),
            # The server would see the same: some choices depend on it.
            env={**os.environ, **environment},
            cwd=folder if folder.is_dir() else "/",
            capture_output=True,
            text=True,
            check=False,
            timeout=MOST_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return {"skipped": str(error)}
    for line in reversed(done.stdout.splitlines()):
        if line.startswith(MARK):
            answer: dict[str, Any] = json.loads(line[len(MARK) :])
            return answer
    last = (done.stderr.strip().splitlines() or ["no output"])[-1]
    return {"skipped": f"its parser ended with status {done.returncode}: {last}"}


def _meant(words: list[str], options: list[str]) -> str:
    """Options that are spelled alike, for each that the parser does not know."""
    known = set(options)
    hints = []
    for word in words:
        # --option=value, or --option.key for a value that is a mapping
        name = word.partition("=")[0].partition(".")[0].replace("_", "-")
        if name.startswith("--") and known and name not in known:
            close = difflib.get_close_matches(name, options, n=3)
            if close:
                hints.append(f" Instead of {name}: {', '.join(close)}?")
    return "".join(hints)
