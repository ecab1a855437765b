# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Download a model of the hub, with the environment of the server that will serve it.

python - ENVIRONMENT_FILE MODEL REVISION FOLDER     (the last two may be empty)
"""

from __future__ import annotations

import importlib
import json
import os
import pathlib
import sys

# Formats that vLLM does not read; some models come in all of them.
UNUSED = ["original/*", "metal/*", "*.msgpack", "*.h5", "*.ot", "*.onnx"]

environment_file, model, revision, folder = sys.argv[1:]
os.environ.update(json.loads(pathlib.Path(environment_file).expanduser().read_text()))
os.environ["HF_HUB_OFFLINE"] = "0"

# Its settings are read from the environment when it is imported.
hub = importlib.import_module("huggingface_hub")
print(
    hub.snapshot_download(
        model,
        revision=revision or None,
        cache_dir=folder or None,
        ignore_patterns=UNUSED,
    )
)
