# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Failures of the model: its number format, its files, its code, its context."""

from __future__ import annotations

from .entry import ENGINE_ARGUMENTS, MODELS, OF_VLLM, QUANTIZATION, VLLM, Failure

MODEL = (
    # Number formats and quantisation
    Failure(
        "bfloat16_unsupported",
        (
            r"Bfloat16 is only supported on GPUs with compute capability of at least",
            r"torch\.bfloat16 is not supported for quantization method",
        ),
        "This GPU, or the model's quantisation, cannot compute in bfloat16.",
        "Set dtype to half.",
        "dtype",
        ENGINE_ARGUMENTS,
        engine=OF_VLLM,
    ),
    Failure(
        "float16_unsupported",
        (
            r"The model type '?[\w-]{1,60}'? does not support float16",
            r"torch\.float16 is not supported for quantization method",
        ),
        "This model, or its quantisation, cannot compute in float16.",
        "Leave dtype out, or set it to bfloat16; on a GPU that lacks it, to float32.",
        "dtype",
        ENGINE_ARGUMENTS,
        engine=OF_VLLM,
    ),
    Failure(
        "quantization_unsupported_gpu",
        (
            r"\b[Qq]uantization (?:method|scheme)\b.{0,60} is not supported for the current GPU",
            r"quantization config '\w+' requires GPU compute capability >=",
            r"\bfp8e4nv\b.{0,40}\bnot supported (?:in|on)\b",
            r"^RuntimeError: Error Internal$",
            r"FP8 KV cache (?:is not supported by|needs native)",
            r"No \w{1,20} MoE backend supports the deployment configuration",
            r"\bkernel does not support current device\b",
            r"MoE backend '\w{1,40}' does not support the deployment configuration",
            r"Failed to find a kernel that can implement the \w{1,20} \w{1,20} layer",
            r"\bno (?:compiled )?\w{1,60} (?:kernel )?for (?:a compute|CUDA device) capability",
            r"\bNo compiled \w{1,60}\b.{0,80}\bcapability",
        ),
        "This vLLM version has no kernel for the model's quantisation on this GPU.",
        "Take a model (or a kv_cache_dtype) with another quantisation, another GPU, or a newer "
        "vLLM.",
        "model",
        QUANTIZATION,
        engine=OF_VLLM,
    ),
    Failure(
        "quantized_block_not_divisible",
        (
            r"is not divisible by (?:weight quantization block_\w|min_thread_\w)",
            r"\bsize_[kmn] = \d{1,9},? is not divisible by [\w.()]{1,40} = \d",
            r"\bsize_[kmn] must (?:be )?divisible by",
            r"Group size should be a multiple of \d",
            r"in features size is not multiple of 16",
            r"(?:in|out)put size is not aligned with the quantized weight shape",
        ),
        "A block of the model's quantised weights cannot be divided among that many GPUs.",
        "Lower tensor_parallel_size, or take pipeline_parallel_size instead.",
        "tensor_parallel_size",
        QUANTIZATION,
        shapes=(
            r"\b(?:in|out)put_(?:size|partition)\w{0,20}\b.{0,80}"
            r"(?:divisible|multiple of|% \w{0,20}(?:group|block|tile|min_thread))",
            r"\b(?:group_size|block_[nk]|min_thread_[nk]|tile_size|pack_factor)\b.{0,60}"
            r"(?:not divi|must divide|multiple of)",
        ),
        engine=OF_VLLM,
    ),
    Failure(
        "quantization_mismatch",
        (
            r"Quantization method specified in the model config \(\S+\) does not match",
            r"Cannot find the config file for (?:awq|gptq|\w+)",
            r"Cannot find any of \[.{1,200}\] in the model's quantization config",
            r"Model quantization method is not specified in the config",
        ),
        "The option quantization does not fit what the model contains.",
        "Leave quantization out: the model says itself how it is quantised.",
        "quantization",
        QUANTIZATION,
        engine=OF_VLLM,
    ),
    Failure(
        "quantization_unknown",
        (
            r"Unknown quantization method:",
            r"No compressed-tensors compatible scheme was found",
            r"Unsupported quantization config(?:: bits=| found for)|Unsupported num_bits = \d",
            r"Unknown ModelOpt quant algo|Found unknown quantization='",
        ),
        "This vLLM version does not know that quantisation.",
        "Correct quantization, or leave it out; what the model itself says needs a newer vLLM.",
        "quantization",
        QUANTIZATION,
        shapes=(
            r"Error: .{0,100}\bdoes not (?:yet )?support (?:(?!output|KV)[\w-]{2,30} )?"
            r"[Qq]uantization(?: yet)?\b(?! fusion)",
            r"Error: .{0,20}\bBits?[Aa]nd[Bb]ytes\b.{0,60} not (?:yet )?supported\b",
            r"\b[Oo]nline quantization\b.{0,80} is not supported\b",
            # What speaks of a quantiser or of a form, and not of the cache.
            r"Error: .{0,40}\b(?:INC|Quark|ModelOpt|[Cc]ompressed-?[Tt]ensors|GPTQ|AWQ|WNA16"
            r"|Auto(?:AWQ|GPTQ)\w{0,20}|(?:NV|MX)FP[48]"
            r"|(?:[Aa]symmetric|block-wise) quantization)\b"
            r"(?!.{0,40}\b(?:KV|cache)\b).{0,100}\b"
            r"(?:only support(?:s|ed)?|not (?:currently )?supported|does not support"
            r"|unsupported)\b",
        ),
        engine=OF_VLLM,
    ),
    # The model and its files
    Failure(
        "weights_truncated",
        (
            r"Error while deserializing header: (?:incomplete metadata|header too (?:small|large)|"
            r"invalid header|metadata incomplete)",
            r"SafetensorError: Error while deserializing",
            r"Consistency check failed: file should be of size",
            r"PytorchStreamReader failed",
            # The v is that of "version", with which a pointer of Git LFS begins.
            r"UnpicklingError: invalid load key, 'v'",
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
        "weights_mismatch",
        (
            r"There is no module or parameter named '",
            r"Following weights were not initialized from checkpoint",
            r"Attempted to load (?:nested )?weight .{0,80} into",
            r"^assert param_data\.shape == loaded_weight\.shape",
            r"\bsize mismatch for [\w.]{1,200}: copying a param with shape",
            r"\bKeyError: '(?:[a-z_]{1,40}\.)?(?:model|layers|blocks|visual|vision_\w{1,9}|lm_head)"
            r"\.[\w.]{1,200}'$",
            r"\bKeyError: '[a-z]\w{0,40}\.[\w.]{0,160}\b\w{0,30}"
            r"(?:weight|bias|scales?|q?zeros|g_idx)(?:_\w{1,20})?'$",
        ),
        "The model's files hold other weights than this vLLM's code for it expects.",
        "Take a vLLM version that supports this very model, or an unchanged copy of the model.",
        "engine version",
        MODELS,
        engine=OF_VLLM,
    ),
    Failure(
        "config_unexpected",
        (),
        "The model's configuration has not the fields that this vLLM's code for it expects.",
        "Take a vLLM version that supports this very model, with the transformers it asks for.",
        "engine version",
        MODELS,
        # Of transformers' objects; vLLM's own fail so when a plugin is of another version.
        shapes=(
            r"^AttributeError: 'dict' object has no attribute 'model_type'",
            r"\bconfig\.json found but missing '",
            r"^KeyError: '(?:rope_type|rope_theta|model_type|num_hidden_layers|hidden_size)'$",
            r"Error: (?:Unknown|Unsupported|Unrecognized|Invalid) .{0,40}"
            r"\b(?:[Rr]o[Pp][Ee]|rope_\w{1,20}|hidden_act|activation|norm(?:alization)?) ",
            r"Error: Activation function .{1,60} is not supported",
            r"AttributeError: '(?!Vllm|Model|Scheduler|Cache|Parallel|LoRA|Speculative|Compilation"
            r"|Load|Device|Decoding)[A-Z]\w{2,40}Config' object has no attribute '",
        ),
        engine=OF_VLLM,
    ),
    Failure(
        "architecture_unnamed",
        (r"No model architectures are specified",),
        "The model's config.json names no architecture.",
        "Take a model that vLLM supports, or another copy of it.",
        "model",
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
            r"Found conflicts between 'rope_type=",
        ),
        "The model's config.json contradicts itself.",
        "Take an unchanged copy of the model, or correct its config.json.",
        "model files",
        MODELS,
    ),
    Failure(
        "tokenizer_missing",
        (
            r"Couldn't instantiate the backend tokenizer from one of",
            r"Can't load tokenizer for",
            r"Unable to load vocabulary from",
            r"No tokenizer file found in directory",
        ),
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
        "engine version",
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
        "multimodal_item_too_large",
        (),
        "One picture or film takes {tokens} tokens, more than one step computes.",
        "Set max_num_batched_tokens to at least that number.",
        "max_num_batched_tokens",
        ENGINE_ARGUMENTS,
        shapes=(
            r"max_tokens_per_mm_item \((?P<tokens>\d{1,9})\) is larger than max_num_batched_tokens",
        ),
        engine=OF_VLLM,
    ),
    Failure(
        "lora_rank",
        (r"LoRA rank (?P<rank>\d{1,9}) is greater than max_lora_rank",),
        "The adapter has rank {rank}, more than max_lora_rank allows.",
        "Set max_lora_rank to the rank in the message.",
        "max_lora_rank",
        ENGINE_ARGUMENTS,
        engine=OF_VLLM,
    ),
    Failure(
        "lora_unsupported",
        (
            r"is unsupported LoRA weight",
            r"does not support LoRA\b|is not supported for LoRA\b",
        ),
        "The adapter changes parts of the model that vLLM does not adapt.",
        "Merge the adapter into the model, or train one for the layers that vLLM supports.",
        "model",
        f"{ENGINE_ARGUMENTS}",
        shapes=(
            r"Error: .{0,80}\b(?:LoRA|lora)\b.{0,80}(?:(?:not|isn't) (?:yet )?support|unsupported)",
            r"Error: .{0,40}\bLoRA\b.{0,60}\b(?:must be consistent|only supports?)\b",
            r"Error: .{0,80}expected target modules in|No supported LoRA modules found in",
        ),
        engine=OF_VLLM,
    ),
    Failure(
        "speculation_unsupported",
        (
            r"Speculative decoding with draft model is not supported yet",
            r"does not yet support: .{0,40}(?:speculative|drafting)",
            r"num_speculative_tokens\W{1,3}\d{1,4} must be divisible by n_predict",
        ),
        "This vLLM version cannot speculate in that way with this model.",
        "Take another method in speculative_config, or leave it out.",
        "speculative_config",
        f"{VLLM}/features/spec_decode/",
        shapes=(
            r"(?:Error: |Value error, ).{0,60}\b(?:[Ss]peculat(?:ive|ion)|[Dd]raft(?:ing| model)?"
            r"|EAGLE\d?|[Nn]gram|MTP|[Mm]edusa)\b.{0,100}"
            r"(?:not (?:yet )?(?:been )?(?:support|implement)|unsupported|only supports?\b"
            r"|requires? )",
            r"Error: (?:Unsupported|Unknown) speculative method",
            r"Error: .{0,20}\b(?:prompt_lookup_m\w{2}|draft_\w{3,30}|use_heterogeneous_vocab)\b"
            r".{0,60}\b(?:must|only|is not)\b",
            r"Error: .{0,80}\b[Dd]raft(?: model)?\b.{0,80}\b(?:must|should) (?:match|be|have) ",
        ),
        engine=OF_VLLM,
    ),
    Failure(
        "chat_template_missing",
        (
            r"The supplied chat template .{0,500}appears path-like, but doesn't exist",
            r"The supplied chat template .{0,500}looks like a file path, but",
        ),
        "The chat template file is not on the host.",
        "Correct the path in chat_template, or copy the file to the host first.",
        "chat_template",
        ENGINE_ARGUMENTS,
        engine=OF_VLLM,
    ),
)
