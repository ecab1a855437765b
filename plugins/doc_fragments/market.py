# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the options that say which marketplace, and under which credential.

What differs between providers is read from them.
"""

from __future__ import annotations

from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.registry import (
    DEFAULT_PROVIDER,
    PROVIDERS,
)


def _credentials() -> str:
    """An option for each thing that some provider logs in with."""
    read_from: dict[str, list[str]] = {}
    for kind in PROVIDERS.values():
        for credential in kind.credentials:
            variables = " or ".join(f"E({name})" for name in credential.environment)
            read_from.setdefault(credential.option, []).append(f"{variables} for V({kind.name})")
    return "".join(
        f"""
  {option}:
    description:
      - What the account logs in with.
      - Without it, the environment variable of the provider is read on the controller,
        {", ".join(variables)}.
    type: str"""
        for option, variables in read_from.items()
    )


def _addresses() -> str:
    return ", ".join(f"E({kind.url_env}) for V({kind.name})" for kind in PROVIDERS.values())


class ModuleDocFragment:
    """Fragment ``inferops.gpu.market``."""

    DOCUMENTATION = f"""
options:
  provider:
    description: The marketplace.
    type: str
    choices: [{", ".join(sorted(PROVIDERS))}]
    default: {DEFAULT_PROVIDER}{_credentials()}
  api_url:
    description:
      - Address of the provider's API, for a simulator or a proxy.
      - Without it, the environment variable of the provider is read, {_addresses()},
        and then its public address is used.
    type: str
  controller_dir:
    description:
      - Folder in which the processes of this controller share listings, searches, rate limits and
        claims on machines. It may be lost at any time.
    type: path
    default: ~/.ansible/inferops
requirements:
  - requests
notes:
  - Runs on the controller. In plays over rented hosts use C(delegate_to=localhost).
"""
