# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Failures of the model: its number format, its files, its code, its context."""

from __future__ import annotations

from .entry import ENGINE_ARGUMENTS, MODELS, OF_VLLM, QUANTIZATION, Failure

MODEL = (
    # Number formats and quantisation
    Failure(
        "bfloat16_unsupported",
        (r"Bfloat16 is only supported on GPUs with compute capability of at least",),
        "This GPU cannot compute in bfloat16.",
        "Set dtype to half.",
        "dtype",
        ENGINE_ARGUMENTS,
        engine=OF_VLLM,
    ),
    Failure(
        "quantization_unsupported_gpu",
        (
            r"The quantization method \S+ is not supported for the current GPU",
            r"quantization config '\w+' requires GPU compute capability >=",
        ),
        "This GPU is too old for the model's quantisation.",
        "Take a model with another quantisation, or a newer GPU.",
        "model",
        QUANTIZATION,
        engine=OF_VLLM,
    ),
    Failure(
        "quantization_mismatch",
        (
            r"Quantization method specified in the model config \(\S+\) does not match",
            r"Cannot find the config file for (?:awq|gptq|\w+)",
        ),
        "The option quantization does not fit what the model contains.",
        "Leave quantization out: the model says itself how it is quantised.",
        "quantization",
        QUANTIZATION,
        engine=OF_VLLM,
    ),
    Failure(
        "quantization_unknown",
        (r"Unknown quantization method:",),
        "This vLLM version does not know that quantisation.",
        "Correct quantization, or leave it out.",
        "quantization",
        QUANTIZATION,
        engine=OF_VLLM,
    ),
    # The model and its files
    Failure(
        "weights_truncated",
        (
            r"Error while deserializing header: (?:incomplete metadata|header too (?:small|large)|"
            r"invalid header|metadata incomplete)",
            r"SafetensorError: Error while deserializing",
        ),
        "A weight file is incomplete or damaged.",
        "Delete the model's files on the host and download them again.",
        "model files",
        "https://huggingface.co/docs/safetensors/",
    ),
    Failure(
        "weights_missing",
        (r"Cannot find any model weights with",),
        "The model's folder holds no weight files.",
        "Download the model completely, or correct model.",
        "model files",
        MODELS,
        engine=OF_VLLM,
    ),
    Failure(
        "model_config_damaged",
        (r"It looks like the config file at .{0,500} is not a valid JSON file",),
        "The model's config.json is damaged.",
        "Delete the model's files on the host and download them again.",
        "model files",
        MODELS,
    ),
    Failure(
        "model_config_inconsistent",
        (
            r"The hidden size \(\d+\) is not a multiple of the number of attention heads",
            r"Class validation error for validator",
        ),
        "The model's config.json contradicts itself.",
        "Take an unchanged copy of the model, or correct its config.json.",
        "model files",
        MODELS,
    ),
    Failure(
        "tokenizer_missing",
        (r"Couldn't instantiate the backend tokenizer from one of", r"Can't load tokenizer for"),
        "The model comes without a usable tokenizer.",
        "Download the tokenizer files too, or name another tokenizer with the option tokenizer.",
        "tokenizer",
        ENGINE_ARGUMENTS,
    ),
    Failure(
        "remote_code",
        (
            r"contains custom code which must be executed to correctly load the model",
            r"Please pass the argument `trust_remote_code=True`",
            r"requires you to execute the \w+ file in that repo",
        ),
        "The model brings Python code of its own, which is not run without consent.",
        "Read that code, then set trust_remote_code to true, or take another model.",
        "trust_remote_code",
        ENGINE_ARGUMENTS,
    ),
    Failure(
        "model_type_unknown",
        (r"has model type `(?P<type>[^`]{1,200})` but Transformers does not recognize",),
        "The installed transformers does not know the model type {type}.",
        "Install a vLLM version that supports this model, with the transformers it asks for.",
        "vllm version",
        MODELS,
    ),
    Failure(
        "context_exceeds_model",
        (r"User-specified max_model_len \((?P<asked>\d+)\) is greater than the derived",),
        "max_model_len is {asked}, more than the model was made for.",
        "Lower max_model_len to the value in the message.",
        "max_model_len",
        ENGINE_ARGUMENTS,
        engine=OF_VLLM,
    ),
    Failure(
        "chat_template_missing",
        (r"The supplied chat template .{0,500}appears path-like, but doesn't exist",),
        "The chat template file is not on the host.",
        "Correct the path in chat_template, or copy the file to the host first.",
        "chat_template",
        ENGINE_ARGUMENTS,
        engine=OF_VLLM,
    ),
)
