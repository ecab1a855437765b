# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Failures that only llama.cpp shows. The texts are those of b11549 and its older releases."""

from __future__ import annotations

from .entry import Failure

ENGINE = "llama_cpp"
SERVER = "https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md"
ISSUES = "https://github.com/ggml-org/llama.cpp/issues"

LLAMA_CPP = (
    Failure(
        "gguf_no_gpu",
        (r"^llama\.cpp: no GPU is seen", r"ggml_cuda_init: failed to initialize CUDA: "),
        "llama.cpp sees no GPU, and would compute on the CPU.",
        "Look at nvidia-smi and CUDA_VISIBLE_DEVICES on the host, take one with driver 570 or "
        "newer, or set inferops_accelerator to cpu.",
        "host",
        ISSUES,
        engine=ENGINE,
    ),
    Failure(
        "gguf_weights_memory",
        (
            r"error loading model: unable to allocate \w{1,20} buffer",
            r"alloc_tensor_range: failed to allocate \w{1,20} buffer",
        ),
        "The model's weights do not fit the memory that is free.",
        "Take a smaller quantisation (model_cache_include), a larger GPU, or lower gpu_layers, so "
        "that the rest stays in the host's memory.",
        "model",
        SERVER,
        engine=ENGINE,
    ),
    Failure(
        "gguf_context_memory",
        (
            r"failed to allocate buffer for kv cache",
            r"failed to initialize the context: failed to allocate",
            r"graph_reserve: failed to allocate compute buffers",
        ),
        "The KV cache of a context that long does not fit the memory that is left.",
        "Lower ctx_size, or set cache_type_k and cache_type_v to q8_0.",
        "ctx_size",
        SERVER,
        engine=ENGINE,
    ),
    Failure(
        "gguf_missing",
        (r"failed to open GGUF file '",),
        "The model's file is not there, or this user may not read it.",
        "Give inferops_model as on the hub with model_cache_enabled, or the path of a GGUF file on "
        "the host.",
        "model files",
        SERVER,
        engine=ENGINE,
    ),
    Failure(
        "gguf_damaged",
        (
            r"data is not within the file bounds, model is corrupted or incomplete",
            r"invalid magic characters: ",
            r"gguf_init_from_\w{1,20}: failed to read (?:header|magic|key-value pairs|tensor)",
        ),
        "The model's file is cut short, damaged, or no GGUF file.",
        "Delete it and download it again.",
        "model files",
        SERVER,
        engine=ENGINE,
    ),
    Failure(
        "gguf_architecture_unknown",
        (r"unknown model architecture: '(?P<architecture>[\w-]{1,60})'",),
        "This llama.cpp does not know models of the kind {architecture}.",
        "Take a newer build (llama_cpp_version), another model, or vLLM (inferops_engine).",
        "model",
        SERVER,
        engine=ENGINE,
    ),
    Failure(
        "gguf_cache_type",
        (r"\b[KV] cache type \w{1,10} with block size \d{1,5} does not divide",),
        "The model's heads are too small for the KV cache's number format.",
        "Leave cache_type_k and cache_type_v out.",
        "arguments",
        SERVER,
        engine=ENGINE,
    ),
    Failure(
        "llama_cpp_options",
        (r"^llama\.cpp: these options are not taken: (?P<why>[^\n]{1,300})",),
        "llama.cpp does not take its options: {why}",
        "Correct inferops_server_arguments or inferops_server_extra_args; they are those of "
        "llama-server.",
        "arguments",
        SERVER,
        engine=ENGINE,
    ),
    Failure(
        "llama_cpp_missing",
        (r"^llama\.cpp: the library cannot be loaded: ",),
        "The environment has no llama.cpp that loads.",
        "Run the deploy again, which installs it.",
        "stack",
        SERVER,
        engine=ENGINE,
    ),
)
