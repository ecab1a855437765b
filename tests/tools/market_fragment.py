# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes what each provider says of itself into the documentation of the market's options."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator

from ansible_collections.inferops.gpu.plugins.module_utils.market.own import OWN
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.provider import (
    Credential,
    Provider,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.registry import (
    PROVIDERS,
)
from tests.tools.tree import REPOSITORY

FILE = REPOSITORY / "plugins" / "doc_fragments" / "market.py"
WIDTH = 100
KEY = "api_key"
LOCAL = "http://localhost"


def kinds() -> list[type[Provider]]:
    """Every provider, by its name."""
    return [PROVIDERS[name] for name in sorted(PROVIDERS)]


def credentials() -> dict[str, list[tuple[str, Credential]]]:
    """By option: the providers that log in with it, each with its credential."""
    found: dict[str, list[tuple[str, Credential]]] = {KEY: []}
    for kind in kinds():
        for credential in kind.credentials:
            found.setdefault(credential.option, []).append((kind.name, credential))
    return found


def line(text: str) -> str:
    """One line of a description, wrapped."""
    return "\n".join(
        textwrap.wrap(
            text,
            WIDTH,
            initial_indent="      - ",
            subsequent_indent="        ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    )


def usual() -> str:
    """What is usual at each."""
    return "\n".join(line(f"For V({kind.name}), {kind.usual_in_words}.") for kind in kinds())


def read(uses: Iterable[tuple[str, Credential]]) -> Iterator[str]:
    """Where a credential comes from without its option, and who needs none."""
    needed = [(name, one) for name, one in uses if one.required]
    if needed:
        told = ", ".join(f"{_names(one.environment)} for V({name})" for name, one in needed)
        what = "the environment variable of the provider is read on the controller"
        yield line(f"Without it, {what}, {told}.")
    for name, one in uses:
        if not one.required:
            purpose = one.description[:1].lower() + one.description[1:]
            yield line(f"V({name}) needs none. {_names(one.environment)} is {purpose}")


def _names(variables: Iterable[str]) -> str:
    return " or ".join(f"E({name})" for name in variables)


def own_options() -> str:
    """What some log in with that is no key alone."""
    found = ""
    for option, uses in credentials().items():
        if option != KEY:
            description = "\n".join([line(uses[0][1].description), *read(uses)])
            found += f"  {option}:\n    description:\n{description}\n    type: str\n"
    return found


def own_suboptions() -> str:
    """The same, of one among several accounts."""
    return "".join(
        f"      {option}:\n        description: As O({option}).\n        type: str\n"
        for option in credentials()
        if option != KEY
    )


def addresses() -> str:
    """Where the address of each one's API comes from."""
    read_from = ", ".join(f"E({kind.url_env}) for V({kind.name})" for kind in kinds())
    here = [kind for kind in kinds() if kind.default_url.startswith(LOCAL)]
    told = "".join(f", or C({kind.default_url}) for V({kind.name})" for kind in here)
    return line(
        f"Without it, the environment variable of the provider is read, {read_from}, and then its "
        f"public address is used{told}."
    )


def written(text: str) -> str:
    """The file with what the providers say today."""
    names = ", ".join(sorted(PROVIDERS))
    parts = (
        (r"(usual at each marketplace\.\n).*?(\n    type: str\n)", usual()),
        (r"(\n    choices: )\[.*?\]()", f"[{', '.join(sorted((*PROVIDERS, *OWN)))}]"),
        (r"(\n        choices: )\[.*?\]()", f"[{names}]"),
        (r"(where that is one key\.\n).*?(\n    type: str\n)", "\n".join(read(credentials()[KEY]))),
        (r"(\n  api_key:\n.*?\n    type: str\n).*?(  api_url:\n)", own_options()),
        (r"(\n      api_key:\n.*?\n        type: str\n).*?(      api_url:\n)", own_suboptions()),
        (r"(a simulator or a proxy\.\n).*?(\n    type: str\n)", addresses()),
    )
    for place, said in parts:
        text, count = re.subn(
            place,
            lambda found, said=said: found[1] + said + found[2],
            text,
            count=1,
            flags=re.DOTALL,
        )
        assert count == 1, f"{place} is not in {FILE.name}"
    return text


if __name__ == "__main__":
    FILE.write_text(written(FILE.read_text()))
