# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tiny model is the same everywhere, and its truncated variant is really broken."""

from __future__ import annotations

import json
from pathlib import Path

import numpy
import pytest
from safetensors import SafetensorError
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from tests.rig import tiny_model


def test_two_runs_write_the_same_bytes(tmp_path: Path) -> None:
    tiny_model.write(tmp_path / "a")
    tiny_model.write(tmp_path / "b")
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert "model.safetensors" in names
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_tensors_fit_the_configuration(tmp_path: Path) -> None:
    tiny_model.write(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    tensors = load_file(tmp_path / "model.safetensors")
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert tokenizer.get_vocab_size() == config["vocab_size"]
    assert tensors["lm_head.weight"].shape == (config["vocab_size"], config["hidden_size"])
    assert sum(name.endswith("q_proj.weight") for name in tensors) == config["num_hidden_layers"]


def test_every_likely_token_is_a_word_of_the_sentence(tmp_path: Path) -> None:
    tiny_model.write(tmp_path)
    output = load_file(tmp_path / "model.safetensors")["lm_head.weight"]
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    likely = {tokenizer.decode([int(token)]) for token in numpy.flatnonzero(output[:, 0] > 0)}
    assert likely == {f" {word}" for word in tiny_model.SENTENCE.split()}


def test_text_survives_the_tokenizer(tmp_path: Path) -> None:
    tiny_model.write(tmp_path)
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    text = "the server said: 1 + 1 = 2, ça va? 日本"
    assert tokenizer.decode(tokenizer.encode(text).ids) == text


def test_a_truncated_weight_file_cannot_be_read(tmp_path: Path) -> None:
    tiny_model.write(tmp_path, truncated=True)
    with pytest.raises(SafetensorError, match="incomplete metadata"):
        load_file(tmp_path / "model.safetensors")
