#!/usr/bin/python
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: model_info
short_description: Ask a model hub whether a model can be had, and how large it is
version_added: "0.1.0"
description:
  - Fails when the hub says that the model is gated, private or missing, with what to change. So a
    deploy can be refused before a host is rented.
  - A hub that does not answer is no failure. RV(reachable) is then false and RV(note) says why.
author:
  - inferops.gpu contributors (@inferops)
extends_documentation_fragment:
  - inferops.gpu.attributes
  - inferops.gpu.hub
attributes:
  check_mode:
    support: full
  diff_mode:
    support: N/A
    details: Nothing is changed.
  platform:
    support: full
    platforms: posix
options:
  model:
    description: Name of the model on the hub.
    type: str
    required: true
seealso:
  - module: inferops.gpu.model_cache
"""

EXAMPLES = r"""
- name: Can the model be had?
  inferops.gpu.model_info:
    model: Qwen/Qwen3-8B
    timeout_seconds: 4
  delegate_to: localhost
"""

RETURN = r"""
reachable:
  description: Whether the hub has answered.
  returned: success
  type: bool
  sample: true
note:
  description: Why nothing is known, null when the hub has answered.
  returned: success
  type: str
  sample: null
commit:
  description: The commit of the revision, null when nothing is known.
  returned: success
  type: str
  sample: b968826d9c46dd6066d109eabc6255188de91218
gated:
  description: Whether the model needs the consent of its owner, null when nothing is known.
  returned: success
  type: bool
  sample: false
size_gib:
  description: Size of the files that a server needs, null when nothing is known.
  returned: success
  type: float
  sample: 15.26
files:
  description: These files.
  returned: success
  type: list
  elements: str
  sample: [config.json, model.safetensors, tokenizer.json]
"""

import threading
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.inferops.gpu.plugins.module_utils.host.models.files import needed
from ansible_collections.inferops.gpu.plugins.module_utils.host.models.store import gib
from ansible_collections.inferops.gpu.plugins.module_utils.hub.hub import (
    File,
    Hub,
    HubError,
    Listing,
)
from ansible_collections.inferops.gpu.plugins.module_utils.hub.options import (
    HUB_OPTIONS,
    MODEL_NAME,
    make_hub,
)

#: A listing and a byte, each with its own timeout.
REQUESTS = 2


def ask(hub: Hub, given: dict[str, Any]) -> tuple[Listing, list[File]]:
    """The model and the files of it that a server needs. Raises HubError and ValueError."""
    listing = hub.listing(given["model"], given["revision"])
    files = needed(listing.files, given["include"], given["exclude"])
    if listing.gated and files:
        # The weights: what describes a model may be open while they are not.
        hub.probe(listing.model, listing.commit, max(files, key=lambda file: file.size).name)
    return listing, files


def ask_in_time(hub: Hub, given: dict[str, Any]) -> tuple[Listing, list[File]]:
    """The same, given up in time whatever hangs: name servers know no timeout of ours."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(ask(hub, given))
        except (HubError, ValueError) as error:
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(REQUESTS * given["timeout_seconds"])
    if not outcome:
        raise hub.unreachable("it does not answer in time")
    if isinstance(outcome[0], Exception):
        raise outcome[0]
    listing, files = outcome[0]
    return listing, files


def main() -> None:
    module = AnsibleModule(
        argument_spec={"model": {"type": "str", "required": True}, **HUB_OPTIONS},
        supports_check_mode=True,
    )
    given = module.params
    if not MODEL_NAME.fullmatch(given["model"]):
        module.fail_json(msg=f"model: {given['model']!r} is not organisation/name of a hub.")
    hub = make_hub(given)
    try:
        listing, files = ask_in_time(hub, given)
    except HubError as error:
        if error.kind == "unreachable":
            unknown = dict.fromkeys(("commit", "gated", "size_gib"))
            module.exit_json(reachable=False, note=str(error), files=[], **unknown)
        module.fail_json(
            msg=str(error),
            failure={"kind": error.kind, "cause": error.cause, "remedy": error.remedy},
        )
    except ValueError as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        reachable=True,
        note=None,
        commit=listing.commit,
        gated=listing.gated,
        size_gib=gib(sum(file.size for file in files)),
        files=[file.name for file in files],
    )


if __name__ == "__main__":
    main()
