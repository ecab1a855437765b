# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the tiny language model that the rig serves: Llama layers that know one sentence.

``python -m tests.rig.tiny_model DIR`` writes a whole model folder in under a second, without
torch. The numbers are seeded noise, but every completion is visible text: see ``weights``.
``--layers`` makes it as deep as a real one: what vLLM compiles grows with the depth.
``--truncated`` cuts the weight file short, which is how a broken download looks.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

HIDDEN, LAYERS, HEADS, HEAD_SIZE, FEED_FORWARD = 64, 2, 2, 32, 128
VOCABULARY, CONTEXT, SEED = 330, 2048, 7
NOISE, LAYER_NOISE, CERTAINTY, MEMORY = 0.1, 0.02, 10.0, 3.0
BEGIN, END = "<s>", "</s>"
SENTENCE = (  # each word once: the model knows which word follows which, round and round
    "the server that answers here is real and every word of this sentence was learned "
    "from a tiny model on one rented machine"
)
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "attention_bias": False,
    "bos_token_id": 0,
    "dtype": "float32",
    "eos_token_id": 1,
    "head_dim": HEAD_SIZE,
    "hidden_act": "silu",
    "hidden_size": HIDDEN,
    "intermediate_size": FEED_FORWARD,
    "max_position_embeddings": CONTEXT,
    "mlp_bias": False,
    "num_attention_heads": HEADS,
    "num_key_value_heads": HEADS,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
    "vocab_size": VOCABULARY,
}
GENERATION = {"bos_token_id": 0, "eos_token_id": 1}
TOKENIZER_CONFIG = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "bos_token": BEGIN,
    "eos_token": END,
    "model_max_length": CONTEXT,
    "clean_up_tokenization_spaces": False,
    "chat_template": CHAT_TEMPLATE,
}


def write(folder: Path, *, truncated: bool = False, layers: int = LAYERS) -> None:
    """Write the model into ``folder``, which is made when missing."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    for name, content in (
        ("config.json", {**CONFIG, "num_hidden_layers": layers}),
        ("generation_config.json", GENERATION),
        ("tokenizer_config.json", TOKENIZER_CONFIG),
    ):
        (folder / name).write_text(json.dumps(content, indent=2) + "\n")
    file = folder / "model.safetensors"
    tensors = weights(tokenizer.get_vocab(), layers)
    save_file(tensors, str(file), metadata={"format": "pt"})
    if truncated:
        whole = file.read_bytes()
        file.write_bytes(whole[: len(whole) // 2])


def train_tokenizer() -> Tokenizer:
    """Return a byte-level tokenizer that knows every byte and the words of the sentence."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[BEGIN, END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator([f" {SENTENCE}"], trainer)
    return tokenizer


def weights(vocabulary: dict[str, int], layers: int) -> dict[str, numpy.ndarray]:
    """Return the model's tensors: seeded noise, and two things that are no noise.

    Dimension 0 of the hidden state is 1 for every token and no layer writes to it. The output
    layer reads it with a plus for the sentence's words and a minus for all other tokens, far above
    the noise: no prompt makes this model end at once or answer with half a character.
    The output row of each word also holds the embedding of the word before it.
    """
    chance = numpy.random.default_rng(SEED)

    def matrix(rows: int, columns: int, noise: float = NOISE) -> numpy.ndarray:
        return chance.normal(0, noise, (rows, columns)).astype(numpy.float32)

    def into_hidden(columns: int) -> numpy.ndarray:
        made = matrix(HIDDEN, columns, LAYER_NOISE)
        made[0, :] = 0
        return made

    ones = numpy.ones(HIDDEN, numpy.float32)
    embedding, output = matrix(VOCABULARY, HIDDEN), matrix(VOCABULARY, HIDDEN)
    words = [vocabulary[f"Ġ{word}"] for word in SENTENCE.split()]  # Ġ is this tokenizer's space
    for before, word in zip([words[-1], *words], words, strict=False):
        output[word] = MEMORY * embedding[before]
    embedding[:, 0] = 1
    output[:, 0] = -CERTAINTY
    output[words, 0] = CERTAINTY
    tensors = {
        "model.embed_tokens.weight": embedding,
        "model.norm.weight": ones,
        "lm_head.weight": output,
    }
    attention = HEADS * HEAD_SIZE
    for layer in range(layers):
        prefix = f"model.layers.{layer}"
        tensors |= {
            f"{prefix}.input_layernorm.weight": ones.copy(),
            f"{prefix}.post_attention_layernorm.weight": ones.copy(),
            f"{prefix}.self_attn.q_proj.weight": matrix(attention, HIDDEN),
            f"{prefix}.self_attn.k_proj.weight": matrix(attention, HIDDEN),
            f"{prefix}.self_attn.v_proj.weight": matrix(attention, HIDDEN),
            f"{prefix}.self_attn.o_proj.weight": into_hidden(attention),
            f"{prefix}.mlp.gate_proj.weight": matrix(FEED_FORWARD, HIDDEN),
            f"{prefix}.mlp.up_proj.weight": matrix(FEED_FORWARD, HIDDEN),
            f"{prefix}.mlp.down_proj.weight": into_hidden(FEED_FORWARD),
        }
    return tensors


def main() -> int:
    """Write the model where the command line says."""
    parser = argparse.ArgumentParser(description="write the rig's tiny random language model")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--truncated", action="store_true", help="cut the weight file short")
    parser.add_argument("--layers", type=int, default=LAYERS, help="how deep it is")
    given = parser.parse_args()
    write(given.folder, truncated=given.truncated, layers=given.layers)
    return 0


if __name__ == "__main__":
    sys.exit(main())
