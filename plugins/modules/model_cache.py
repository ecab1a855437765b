#!/usr/bin/python
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: model_cache
short_description: Download a model to a host, or check one that is there
version_added: "0.1.0"
description:
  - Downloads the files that a server needs from the model hub or a mirror of it, large ones in
    pieces of 64 MiB, by at most eight connections. Pieces are checked while others arrive.
  - A download that broke, or whose process or host ended, goes on with the pieces that it lacks.
    Each file is proven by its checksum.
  - A mirror that knows no ranges gives each file by one connection, four files at once. One that
    sends other bytes than it was asked for, or files of other sizes than it lists, is refused.
  - A mirror may name no checksums. Such files count as complete by their size and not as proven,
    and RV(unproven_files) and a warning name them.
  - A copy that is complete is kept, and the hub is not asked again.
  - A model that is gated, private or missing is refused with what to change, and so is a disk that
    is too small, before anything is downloaded.
  - The token never stands in a command line, is never shown, and goes to no other server than the
    hub, not even to those to which the hub sends a download.
  - While it waits for a download that runs already, such as one started with C(async), its progress
    is shown.
author:
  - inferops.gpu contributors (@inferops)
extends_documentation_fragment:
  - inferops.gpu.attributes
  - inferops.gpu.hub
attributes:
  check_mode:
    support: full
    details: Asks the hub for sizes and access, and downloads nothing.
  diff_mode:
    support: full
  platform:
    support: full
    platforms: linux
options:
  home:
    description: Folder on the host in which the collection keeps everything.
    type: path
    default: ~/.inferops
  model:
    description:
      - Name of the model on the hub, or an absolute path on the host, of a folder or of a GGUF
        file. A path is only checked for completeness.
    type: str
    required: true
  update:
    description: Whether the hub is asked for a newer commit of the revision when a copy is there.
    type: bool
    default: false
  reserve_gib:
    description: How much of the disk must stay free.
    type: float
    default: 1
  installing_gib:
    description:
      - How much else will come to the same disk meanwhile, such as the stack.
    type: float
    default: 0
  watch_seconds:
    description:
      - When another process downloads this model, return after so many seconds with
        RV(complete=false). V(0) waits for its end.
    type: float
    default: 0
seealso:
  - module: inferops.gpu.model_info
  - module: inferops.gpu.model_server
"""

EXAMPLES = r"""
- name: Download a model
  inferops.gpu.model_cache:
    model: Qwen/Qwen3-8B
  register: cached

- name: Serve it
  inferops.gpu.model_server:
    name: main
    python: /opt/vllm/bin/python
    model: "{{ cached.path }}"
    served_model_name: Qwen/Qwen3-8B
"""

RETURN = r"""
path:
  description: Folder of the model on the host, or its file with O(weights_format=gguf).
  returned: success
  type: str
  sample: /root/.inferops/models/Qwen--Qwen3-8B/b968826d9c46dd6066d109eabc6255188de91218
commit:
  description: The commit of the model, null for a path.
  returned: success
  type: str
  sample: b968826d9c46dd6066d109eabc6255188de91218
complete:
  description: Whether the whole model is there.
  returned: success
  type: bool
  sample: true
size_gib:
  description: Size of the model's files, null for a path.
  returned: success
  type: float
  sample: 15.26
proven_by:
  description:
    - V(checksums) where each file has the one that the hub names, V(sizes) where the hub names none
      for RV(unproven_files). Null for a path. In check mode, what could be proven.
  returned: success
  type: str
  sample: checksums
unproven_files:
  description: Files of which the hub names no checksum, so that only their sizes were compared.
  returned: success
  type: list
  elements: str
  sample: []
download_gib:
  description: How much was downloaded, or in check mode would be.
  returned: success
  type: float
  sample: 15.26
files:
  description: The files that were downloaded, or in check mode would be.
  returned: success
  type: list
  elements: str
  sample: [model-00001-of-00005.safetensors]
progress:
  description: How far the download of another process is.
  returned: when O(watch_seconds) has passed
  type: dict
  sample:
    bytes_done: 3221225472
    bytes_total: 16381470720
    bytes_per_second: 98000000
    bytes_checked: 3154116608
"""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.inferops.gpu.plugins.module_utils.common.hiding import hide_passwords
from ansible_collections.inferops.gpu.plugins.module_utils.host.machine.files import own_home
from ansible_collections.inferops.gpu.plugins.module_utils.host.models.errors import StoreError
from ansible_collections.inferops.gpu.plugins.module_utils.host.models.files import problems
from ansible_collections.inferops.gpu.plugins.module_utils.host.models.patience import patiently
from ansible_collections.inferops.gpu.plugins.module_utils.host.models.store import (
    MODELS,
    Copy,
    Store,
    download,
    gib,
    require_space,
    without_checksum,
)
from ansible_collections.inferops.gpu.plugins.module_utils.hub.hub import (
    MODEL_NAME,
    Hub,
    HubError,
)
from ansible_collections.inferops.gpu.plugins.module_utils.hub.options import (
    HUB_OPTIONS,
    make_hub,
)
from ansible_collections.inferops.gpu.plugins.module_utils.hub.selection import (
    GGUF,
    SAFETENSORS,
    model_file,
    needed,
    unusable,
)

LOOK_EVERY_SECONDS = 0.5


class Run:
    """One call of the module."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.params: dict[str, Any] = module.params
        self.patterns = [self.params["include"], self.params["exclude"]]
        if self.params["weights_format"] != SAFETENSORS:
            # A copy that was chosen as another engine loads it has other files.
            self.patterns.append([self.params["weights_format"]])

    def path_of(self, copy: Copy, names: Iterable[str]) -> str:
        """What an engine is given of a copy with these files. Raises ValueError where it takes one
        file, and they are several models.
        """
        if self.params["weights_format"] != GGUF:
            return str(copy.folder)
        return str(copy.folder / model_file(names))

    def exit(self, copy: Copy | None, commit: str | None, **result: Any) -> None:
        """End well. What the result does not say was not done."""
        unproven = result.setdefault("unproven_files", copy.unproven() if copy else [])
        if unproven:
            self.module.warn(
                f"The hub names no checksum for {len(unproven)} files of {self.params['model']}, "
                f"such as {unproven[0]}: only their sizes were compared, so damage and changes on "
                "the way go unnoticed. Take a hub that names checksums, or compare them yourself."
            )
        usual = {
            "changed": False,
            "complete": True,
            "path": self.params["model"],
            "commit": commit,
            "size_gib": gib(copy.size()) if copy else None,
            "proven_by": ("sizes" if unproven else "checksums") if copy else None,
            "download_gib": 0.0,
            "files": [],
        }
        self.module.exit_json(**{**usual, **result})

    def require_whole(self, folder: Path) -> None:
        found = problems(folder)
        if found:
            self.module.fail_json(
                msg=f"{' '.join(found)} Bring the whole model there, or delete the folder and "
                "download it again.",
                problems=found,
            )

    def by_path(self) -> None:
        """A model that the user has put on the host."""
        self.require_whole(Path(self.params["model"]))
        self.exit(None, None)

    def by_name(self) -> None:
        """A model of the hub."""
        store = Store.of(own_home(self.module, MODELS), self.params["model"])
        self.exit_if_complete(store)
        hub = make_hub(self.params)
        if self.module.check_mode:
            self.obtain(hub, store)
        limit = time.monotonic() + self.params["watch_seconds"]
        while True:
            with store.locked() as ours:
                if ours:
                    # Whoever had it before has done the work, perhaps.
                    self.exit_if_complete(store)
                    self.obtain(hub, store)
            if self.params["watch_seconds"] and time.monotonic() > limit:
                self.exit(None, None, complete=False, progress=store.progress())
            time.sleep(LOOK_EVERY_SECONDS)

    def exit_if_complete(self, store: Store) -> None:
        if self.params["update"]:
            return
        commit = store.commit_of(self.params["revision"])
        if commit and store.copy(commit).intact(self.patterns):
            copy = store.copy(commit)
            self.require_whole(copy.folder)
            self.exit(copy, commit, path=self.path_of(copy, copy.manifest()))

    def obtain(self, hub: Hub, store: Store) -> None:
        """Ask the hub, and download what is lacking unless this is a dry run."""
        model, revision = self.params["model"], self.params["revision"]
        listing = patiently(lambda: hub.listing(model, revision))
        include, weights_format = self.params["include"], self.params["weights_format"]
        files = needed(listing.files, include, self.params["exclude"], weights_format)
        refusal = unusable(listing.model, files, include, weights_format)
        if refusal:
            raise StoreError(refusal)
        copy = store.copy(listing.commit)
        path = self.path_of(copy, [file.name for file in files])
        lacking = copy.lacking(files)
        if lacking and listing.gated:
            largest = max(lacking, key=lambda file: file.size).name
            patiently(lambda: hub.probe(listing.model, listing.commit, largest))
        size = sum(file.size for file in lacking)
        missing_bytes = size - copy.bytes_here(lacking)
        reserve, installing = (
            int(self.params[name] * 1024**3) for name in ("reserve_gib", "installing_gib")
        )
        require_space(copy.folder, size - copy.disk_bytes(lacking), reserve, installing)
        if not self.module.check_mode:
            download(hub, listing, files, store)
            self.require_whole(copy.folder)
            copy.note(files, self.patterns)
            store.remember(revision, listing.commit)
        names = [file.name for file in lacking]
        self.exit(
            copy,
            listing.commit,
            path=path,
            changed=bool(lacking),
            complete=not (self.module.check_mode and lacking),
            size_gib=gib(sum(file.size for file in files)),
            download_gib=gib(missing_bytes),
            files=names,
            unproven_files=without_checksum(files),
            diff={"before": {"files": []}, "after": {"files": names}},
        )


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "home": {"type": "path", "default": "~/.inferops"},
            "model": {"type": "str", "required": True},
            "update": {"type": "bool", "default": False},
            "reserve_gib": {"type": "float", "default": 1.0},
            "installing_gib": {"type": "float", "default": 0.0},
            "watch_seconds": {"type": "float", "default": 0.0},
            **HUB_OPTIONS,
        },
        supports_check_mode=True,
    )
    hide_passwords(module)
    run = Run(module)
    model = module.params["model"]
    try:
        if model.startswith("/"):
            run.by_path()
        if not MODEL_NAME.fullmatch(model):
            raise StoreError(f"{model!r} is neither organisation/name of a hub nor a path.")
        run.by_name()
    except HubError as error:
        module.fail_json(
            msg=str(error),
            failure={"kind": error.kind, "cause": error.cause, "remedy": error.remedy},
        )
    except (StoreError, ValueError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
