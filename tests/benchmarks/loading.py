# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long vLLM's own reader takes for weights on the disk of a folder, and in memory.

Run by the Python of a vLLM, with a folder for 2 GiB: ``python tests/benchmarks/loading.py FOLDER``.
The table of ``serving/engines/vllm/loading.py`` has its figures. Tensors are copied once, to
memory: on a GPU the copy goes there.
"""

from __future__ import annotations

import json
import os
import statistics
import struct
import sys
import time
from pathlib import Path
from typing import Any

FILES, TENSORS, TENSOR_BYTES, ROUNDS = 8, 16, 16 * 2**20, 5
STRATEGIES = (None, "prefetch", "eager")


def write(folder: Path) -> list[str]:
    """A model's files, without a model."""
    folder.mkdir(parents=True, exist_ok=True)
    places = {
        f"{number}": {
            "dtype": "U8",
            "shape": [TENSOR_BYTES],
            "data_offsets": [number * TENSOR_BYTES, (number + 1) * TENSOR_BYTES],
        }
        for number in range(TENSORS)
    }
    head = json.dumps(places).encode()
    for number in range(FILES):
        with (folder / f"{number}.safetensors").open("wb") as stream:
            stream.write(struct.pack("<Q", len(head)) + head)
            for _tensor in range(TENSORS):
                stream.write(os.urandom(TENSOR_BYTES))
            os.fsync(stream.fileno())
    return sorted(map(str, folder.glob("*.safetensors")))


def forget(files: list[str]) -> None:
    """Let memory hold nothing of them."""
    for file in files:
        handle = os.open(file, os.O_RDONLY)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


def seconds(read: Any, files: list[str], strategy: str | None) -> float:
    """For all tensors of all files."""
    began = time.perf_counter()
    for _name, tensor in read(files, False, strategy):
        tensor.clone()
    return time.perf_counter() - began


def main() -> None:
    """The medians, from the disk and then from memory."""
    from vllm.model_executor.model_loader.weight_utils import (  # type: ignore[import-not-found]
        safetensors_weights_iterator as read,
    )

    files = write(Path(sys.argv[1]))
    taken: dict[tuple[str | None, str], list[float]] = {}
    for _round in range(ROUNDS):
        for strategy in STRATEGIES:
            forget(files)
            for place in ("disk", "memory"):
                took = seconds(read, files, strategy)
                taken.setdefault((strategy, place), []).append(took)
    for (strategy, place), all_of_it in taken.items():
        middle, least, most = statistics.median(all_of_it), min(all_of_it), max(all_of_it)
        print(f"{strategy or 'default'} from {place}: {middle:.2f} s ({least:.2f} to {most:.2f})")


if __name__ == "__main__":
    main()
