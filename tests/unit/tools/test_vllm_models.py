# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The architectures of a release follow from its registry, and the table has the first of each."""

from __future__ import annotations

from tests.tools.vllm_models import architectures, table, written

REGISTRY = """
_TEXT_GENERATION_MODELS = {"LlamaForCausalLM": ("llama", "LlamaForCausalLM")}
_EMBEDDING_MODELS: dict[str, tuple] = {"BertModel": ("bert", "BertEmbeddingModel")}
_SPECULATIVE_DECODING_MODELS = {"EagleModel": ("eagle", "EAGLE")}
_TRANSFORMERS_BACKEND_MODELS = {"TransformersForCausalLM": ("transformers", "X")}
_PREVIOUSLY_SUPPORTED_MODELS = {"MotifForCausalLM": "0.10.2"}
_VLLM_MODELS = {**_TEXT_GENERATION_MODELS, **_EMBEDDING_MODELS}
"""


def test_what_a_release_registers_as_its_own_is_read() -> None:
    path = "vllm/model_executor/models/registry.py"
    assert architectures({path: REGISTRY}) == {"LlamaForCausalLM", "BertModel"}


def test_the_table_names_each_architecture_with_its_first_release() -> None:
    by_release = {"0.10.0": {"A", "B"}, "0.9.2": {"A"}, "0.11.0": {"B"}}
    assert table(by_release) == "0.9.2: A\n0.10.0: B"
    text = 'FIRST = """\\\n0.1: Old\n"""\nrest\n'
    assert written(text, by_release) == 'FIRST = """\\\n0.9.2: A\n0.10.0: B\n"""\nrest\n'
