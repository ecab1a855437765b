# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A GGUF model of some hundred kilobytes, which real llama.cpp loads and generates with.

A Llama of two layers with random weights, whose words are all that it can say. Written by hand, for
the format is a header, key-value pairs and tensors: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import array
import random
import struct
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

WORDS = [
    "the",
    "quick",
    "brown",
    "fox",
    "jumps",
    "over",
    "lazy",
    "dog",
    "once",
    "upon",
    "a",
    "time",
    "there",
    "was",
    "and",
    "it",
    "said",
]
CONTEXT_TOKENS, EMBEDDING, HEADS, KEY_HEADS, FEED_FORWARD, LAYERS = 2048, 64, 4, 2, 128, 2
ALIGNMENT_BYTES, VERSION, SEED = 32, 3, 7
_NORMAL, _UNKNOWN, _CONTROL, _BYTE = 1, 2, 3, 6
_UINT32, _INT32, _FLOAT32, _TEXT, _ARRAY = 4, 5, 6, 8, 9
_F32 = 0

#: Special tokens, all bytes, and the words.
TOKENS = [
    ("<unk>", _UNKNOWN),
    ("<s>", _CONTROL),
    ("</s>", _CONTROL),
    *((f"<0x{byte:02X}>", _BYTE) for byte in range(256)),
    *((f"\u2581{word}", _NORMAL) for word in WORDS),
]


def write(path: Path, architecture: str = "llama") -> Path:
    """Write the model, which is the same each time. llama.cpp refuses an unknown *architecture*."""
    pairs, tensors = _pairs(architecture), _tensors()
    head = b"GGUF" + struct.pack("<IQQ", VERSION, len(tensors), len(pairs))
    head += b"".join(_text(key) + value for key, value in pairs.items())
    offset = 0
    for name, shape, content in tensors:
        head += _text(name) + struct.pack("<I", len(shape))
        head += struct.pack(f"<{len(shape)}QIQ", *shape, _F32, offset)
        offset += len(_padded(content))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_padded(head) + b"".join(_padded(content) for *_other, content in tensors))
    return path


def _pairs(architecture: str) -> dict[str, bytes]:
    texts, kinds = [text for text, _kind in TOKENS], [kind for _text, kind in TOKENS]
    counts = {
        "context_length": CONTEXT_TOKENS,
        "embedding_length": EMBEDDING,
        "block_count": LAYERS,
        "feed_forward_length": FEED_FORWARD,
        "rope.dimension_count": EMBEDDING // HEADS,
        "attention.head_count": HEADS,
        "attention.head_count_kv": KEY_HEADS,
    }
    return {
        "general.architecture": _value(_TEXT, architecture),
        "general.name": _value(_TEXT, "tiny"),
        **{f"{architecture}.{name}": _value(_UINT32, count) for name, count in counts.items()},
        f"{architecture}.attention.layer_norm_rms_epsilon": _value(_FLOAT32, 1e-5),
        "tokenizer.ggml.model": _value(_TEXT, "llama"),
        "tokenizer.ggml.tokens": _list(_TEXT, texts),
        "tokenizer.ggml.scores": _list(_FLOAT32, [0.0] * len(TOKENS)),
        "tokenizer.ggml.token_type": _list(_INT32, kinds),
        "tokenizer.ggml.bos_token_id": _value(_UINT32, 1),
        "tokenizer.ggml.eos_token_id": _value(_UINT32, 2),
        "tokenizer.ggml.unknown_token_id": _value(_UINT32, 0),
    }


def _tensors() -> list[tuple[str, tuple[int, ...], bytes]]:
    """Name, shape and content of each; the first of a shape is the one that lies together."""
    chance = random.Random(SEED)

    def some(count: int) -> list[float]:
        return [chance.gauss(0, 0.3) for _each in range(count)]

    keys = EMBEDDING * KEY_HEADS // HEADS
    shapes: dict[str, tuple[int, ...]] = {"token_embd": (EMBEDDING, len(TOKENS))}
    for layer in range(LAYERS):
        shapes |= {
            f"blk.{layer}.attn_norm": (EMBEDDING,),
            f"blk.{layer}.attn_q": (EMBEDDING, EMBEDDING),
            f"blk.{layer}.attn_k": (EMBEDDING, keys),
            f"blk.{layer}.attn_v": (EMBEDDING, keys),
            f"blk.{layer}.attn_output": (EMBEDDING, EMBEDDING),
            f"blk.{layer}.ffn_norm": (EMBEDDING,),
            f"blk.{layer}.ffn_gate": (EMBEDDING, FEED_FORWARD),
            f"blk.{layer}.ffn_up": (EMBEDDING, FEED_FORWARD),
            f"blk.{layer}.ffn_down": (FEED_FORWARD, EMBEDDING),
        }
    contents = {
        name: [1.0] * shape[0] if len(shape) == 1 else some(shape[0] * shape[1])
        for name, shape in shapes.items()
    }
    # No word is as likely as nothing, so it is never a byte or an end that it says.
    silent = len(TOKENS) - len(WORDS)
    shapes |= {"output_norm": (EMBEDDING,), "output": (EMBEDDING, len(TOKENS))}
    contents["output_norm"] = [1.0] * EMBEDDING
    contents["output"] = [0.0] * (EMBEDDING * silent) + some(EMBEDDING * len(WORDS))
    return [
        (f"{name}.weight", shape, array.array("f", contents[name]).tobytes())
        for name, shape in shapes.items()
    ]


def _padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % ALIGNMENT_BYTES)


def _text(text: str) -> bytes:
    content = text.encode()
    return struct.pack("<Q", len(content)) + content


def _bare(kind: int, value: Any) -> bytes:
    letters = {_UINT32: "I", _INT32: "i", _FLOAT32: "f"}
    return _text(value) if kind == _TEXT else struct.pack(f"<{letters[kind]}", value)


def _value(kind: int, value: Any) -> bytes:
    return struct.pack("<I", kind) + _bare(kind, value)


def _list(kind: int, values: Iterable[Any]) -> bytes:
    parts = [_bare(kind, value) for value in values]
    return struct.pack("<IIQ", _ARRAY, kind, len(parts)) + b"".join(parts)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
