# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Failures of the options given."""

from __future__ import annotations

from .entry import ENGINE_ARGUMENTS, Failure

# Of vLLM's own objects, all but these two are made of options alone; these hold the model as well.
_OF_OPTIONS = r"(?!Model|Vllm)[A-Z]\w{1,30}Config"
# Options by their names in Python, and as they are typed.
_NAMES = (
    r"(?:max_(?:model_len|num_\w{3,20}|loras?\w{0,8}|cpu_loras|logprobs|cudagraph_\w{4,14})"
    r"|(?:tensor|pipeline|data|(?:de|pre)\w{2,5}_context)_parallel_\w{4,10}"
    r"|(?:enable|disable|limit|cudagraph|mamba)_\w{3,30}|gpu_memory_utilization"
    r"|mm_(?:processor|encoder|tensor|shm)_\w{2,30}|(?:kv|ec)_(?:role|connector|transfer_config)"
    r"|(?:moe|all2all|attention|distributed_executor|structured_outputs)_backend|kv_cache_dtype"
    r"|(?:config|load|tokenizer)[ _](?:format|mode)|num_speculative_tokens|speculative_config"
    r"|collect_detailed_traces|otlp_traces_endpoint|compile_sizes|splitting_ops|custom_ops)"
)
_TYPED = r"--[a-z][a-z\d-]{1,50}[a-z\d]"
_REFUSES = (
    r"(?:must|should|cannot|requires?\b|can only"
    r"|only (?:be |valid|supports?\b|supported|available|applicable)"
    r"|(?:do(?:es)? |is |are )(?:currently )?not |incompatible|exclusive|exceeds|is smaller"
    r"|is larger|invalid)"
)
# Behind it stand places in a list, and the types that it was tried as.
_TRIED = r"(?:literal|is|int|str|float|bool|constrained|function|list|dict|tuple|json|nullable)\b"
_FIELD = (
    rf"(?P<option>[a-z]\w{{1,60}}(?:\.(?!{_TRIED})[a-z]\w{{1,60}}){{0,3}})(?:[.\[]\S{{0,400}})?"
)
_OF_A_FIELD = (
    r"(?:Input should be|Field required|Extra inputs are not permitted|Unexpected keyword argument"
    r"|(?:String|List|Value|Tuple|Dictionary) should (?:have|be|match))"
)
_SAYS = r"(?:Error: |Value error, |exceptions\.\w{1,40}: )"

OPTIONS = (
    Failure(
        "option_unknown",
        (
            r"error: unrecognized arguments: (?P<option>\S+)",
            r"EngineArgs\.__init__\(\) got an unexpected keyword argument "
            r"'(?P<option>[\w-]{1,60})'",
        ),
        "This vLLM version has no option {option}.",
        "Correct or remove it in arguments.",
        "arguments",
        ENGINE_ARGUMENTS,
        shapes=(
            rf"TypeError: __init__\(\) got an unexpected keyword argument '(?P<option>{_NAMES})'",
        ),
    ),
    Failure(
        "option_value",
        (
            r"error: argument (?P<option>\S+): ",
            r"KeyError: .invalid (?P<option>(?:tool call|reasoning) parser)",
            r"(?P<option>(?:[Tt]ool(?: call)?|[Rr]easoning) parser) '[^']{0,100}' not found",
            r"(?P<option>\w{0,40}(?:[Tt]ool|[Rr]easoning) ?[Pp]arser)\w{0,10} could not locate ",
            r"Invalid value '.{0,100}' (?:for|in) (?P<option>VLLM_\w{2,60})",
            r"Number of experts in the model must be .{0,40} when (?P<option>expert parallelism)",
            r"\b(?:Unknown|Load) (?P<option>load[_ ]format)\b.{0,80}(?: not supported|:)",
            r"(?P<option>[Hh]ybrid KV cache manager) (?:is|was) (?:dis|explicitly en)abled but ",
        ),
        "The option {option} does not take that value, or goes not with the model or the others.",
        "Correct it in arguments.",
        "arguments",
        ENGINE_ARGUMENTS,
        shapes=(
            # What an object of options says of a field, and one of options alone of an option, or
            # at all. A field may be a part of another, or tried as several types.
            rf"validation errors? for [A-Z]\w{{1,30}}Config {_FIELD} {_OF_A_FIELD}",
            rf"validation errors? for {_OF_OPTIONS}\b.{{0,20}}? Value error, .{{0,200}}?"
            rf"(?P<option>{_TYPED}|\b{_NAMES})\b",
            rf"validation errors? for (?P<option>{_OF_OPTIONS})\b.",
            rf"validation errors? for [A-Z]\w{{1,30}}Config (?P<option>{_NAMES})\b",
            # Of whatever refuses, where it names an option and says what it wants of it.
            rf"{_SAYS}(?=.{{0,300}}?\b{_REFUSES}).{{0,200}}?(?P<option>{_TYPED})\b",
            rf"(?<!Assertion){_SAYS}(?=.{{0,300}}?\b{_REFUSES}).{{0,60}}?\b(?P<option>{_NAMES})\b",
            r"Error: .{0,60}?\b(?P<option>(?:[Ff][Pp]8\w{0,8}|[Nn][Vv][Ff][Pp]4|quantized) "
            r"[Kk][Vv][ -][Cc]ache)\b.{0,60}(?:not (?:yet )?supported|only (?:supports?|with)\b)",
            rf"{_SAYS}(?P<option>VLLM_\w{{2,60}})=\S{{1,40}} (?:is|does|cannot|requires)\b",
            rf"{_SAYS}.{{0,80}}\bexplicitly requested (?P<option>{_NAMES})=",
            rf"(?:{_SAYS}|^)(?P<option>{_NAMES}) is set to -\d+\b",
        ),
    ),
)
