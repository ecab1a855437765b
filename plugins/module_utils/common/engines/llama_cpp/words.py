# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of llama-server that can be asked for, and what each is to the library that serves.

They are written as llama.cpp documents its own server (tools/server/README.md), for that is what
people know. Here is all of it that concerns one model on one host; what opens the host to clients
(tools, MCP servers, files to serve) has no word.
"""

from __future__ import annotations

import argparse
import difflib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

CHOICES = {
    "switch": ("on", "off"),
    "ggml_type": ("f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1"),
    "llama_flash_attn_type": ("on", "off", "auto"),
    "llama_load_mode": ("auto", "none", "mmap", "mlock", "mmap+mlock", "dio"),
    "llama_lazy_mode": ("on", "auto", "off"),
    "llama_pooling_type": ("none", "mean", "cls", "last", "rank"),
    "llama_rope_scaling_type": ("none", "linear", "yarn"),
    "llama_split_mode": ("none", "layer", "row", "tensor"),
    "common_reasoning_format": ("none", "auto", "deepseek", "deepseek-legacy"),
    "ggml_numa_strategy": ("distribute", "isolate", "numactl"),
    "reasoning": ("on", "off", "auto"),
}
"""What kinds of one word take. All but the first and the last are enumerations of the library."""

FLAGS = ("flag", "unless")
"""Turned on by their name and off by `--no-` before it; `unless` sets what turns it off."""

# Name, short name, kind, place in the library's parameters.
_TABLE = """
alias                     -a     texts                    model_alias
batch-size                -b     int                      n_batch
cache-idle-slots          -      flag                     cache_idle_slots
cache-prompt              -      flag                     cache_prompt
cache-ram                 -cram  int                      cache_ram_mib
cache-reuse               -      int                      n_cache_reuse
cache-type-k              -ctk   ggml_type                cache_type_k
cache-type-v              -ctv   ggml_type                cache_type_v
chat-template             -      text                     chat_template
chat-template-file        -      file                     chat_template
chat-template-kwargs      -      json                     default_template_kwargs
check-tensors             -      flag                     check_tensors
checkpoint-min-step       -cms   int                      checkpoint_min_step
cont-batching             -cb    flag                     cont_batching
context-shift             -      flag                     ctx_shift
cors-origins              -      text                     cors_origins
ctx-checkpoints           -ctxcp int                      n_ctx_checkpoints
ctx-size                  -c     int                      n_ctx
embedding                 -      flag                     embedding
fit                       -fit   switch                   fit_params
fit-ctx                   -fitc  int                      fit_params_min_ctx
flash-attn                -fa    llama_flash_attn_type    flash_attn_type
frequency-penalty         -      float                    sampling.penalty_freq
gpu-layers                -ngl   layers                   n_gpu_layers
host                      -      texts                    hostnames
image-max-tokens          -      int                      image_max_tokens
image-min-tokens          -      int                      image_min_tokens
jinja                     -      flag                     use_jinja
keep                      -      int                      n_keep
kv-offload                -kvo   unless                   no_kv_offload
kv-unified                -kvu   flag                     kv_unified
lazy-mode                 -lzm   llama_lazy_mode          lazy_mode
load-mode                 -lm    llama_load_mode          load_mode
main-gpu                  -mg    int                      main_gpu
min-p                     -      float                    sampling.min_p
mmproj                    -mm    text                     mmproj.path
mmproj-offload            -      flag                     mmproj_use_gpu
model                     -m     text                     model.path
n-predict                 -n     int                      n_predict
no-host                   -      flag                     no_host
numa                      -      ggml_numa_strategy       numa
op-offload                -      unless                   no_op_offload
override-tensor           -ot    text                     tensor_buft_overrides
parallel                  -np    int                      n_parallel
pooling                   -      llama_pooling_type       pooling_type
port                      -      int                      port
prefill-assistant         -      flag                     prefill_assistant
presence-penalty          -      float                    sampling.penalty_present
reasoning                 -rea   reasoning                enable_reasoning
reasoning-budget          -      int                      sampling.reasoning_budget_tokens
reasoning-format          -      common_reasoning_format  reasoning_format
repack                    -      unless                   no_extra_bufts
repeat-last-n             -      int                      sampling.penalty_last_n
repeat-penalty            -      float                    sampling.penalty_repeat
rope-freq-base            -      float                    rope_freq_base
rope-freq-scale           -      float                    rope_freq_scale
rope-scaling              -      llama_rope_scaling_type  rope_scaling_type
seed                      -s     seed                     sampling.seed
sleep-idle-seconds        -      int                      sleep_idle_seconds
slot-prompt-similarity    -sps   float                    slot_prompt_similarity
slots                     -      flag                     endpoint_slots
special                   -sp    flag                     special
split-mode                -sm    llama_split_mode         split_mode
sse-ping-interval         -      int                      sse_ping_interval
swa-full                  -      flag                     swa_full
temp                      -      float                    sampling.temp
tensor-split              -ts    numbers                  tensor_split
threads                   -t     int                      cpuparams.n_threads
threads-batch             -tb    int                      cpuparams_batch.n_threads
threads-http              -      int                      n_threads_http
top-k                     -      int                      sampling.top_k
top-p                     -      float                    sampling.top_p
ubatch-size               -ub    int                      n_ubatch
ui                        -      flag                     ui
verbosity                 -lv    int                      verbosity
warmup                    -      flag                     warmup
yarn-attn-factor          -      float                    yarn_attn_factor
yarn-beta-fast            -      float                    yarn_beta_fast
yarn-beta-slow            -      float                    yarn_beta_slow
yarn-ext-factor           -      float                    yarn_ext_factor
yarn-orig-ctx             -      int                      yarn_orig_ctx
"""

ALSO = {
    "embeddings": "embedding",
    "log-verbosity": "verbosity",
    "n-gpu-layers": "gpu-layers",
    "predict": "n-predict",
    "swa-checkpoints": "ctx-checkpoints",
    "temperature": "temp",
    "webui": "ui",
}
"""Other names that llama.cpp has for the same."""

OWN = {
    "alias": "served_model_name",
    "host": "host",
    "model": "model",
    "port": "port",
}
"""Options that the server's own wish has a place for, and that place."""

LAYERS = {"auto": -1, "all": -2}
"""What llama.cpp takes for the number of layers on the GPU (common/arg.cpp)."""

TRUTHS = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}
"""What says that something is turned on or off, in a play or to llama.cpp."""

_ONE_FILE = "name the model in inferops_model, and its file by model_cache_include"
INSTEAD = {
    "api-key-file": "the key is inferops_server_api_key",
    "docker-repo": _ONE_FILE,
    "hf-file": _ONE_FILE,
    "lora": "adapters are not taken: merge it into the GGUF file",
    "lora-scaled": "adapters are not taken: merge it into the GGUF file",
    "metrics": "they are always published",
    "mlock": "set load_mode to mlock",
    "mmap": "set load_mode to mmap",
    "model-url": _ONE_FILE,
    "no-mmap": "set load_mode to none",
}
"""What people know of llama-server's options that have no word here, and what to do instead."""

_MOST_DEVICES = 128
_INT32, _UINT32 = range(-(2**31), 2**31), range(-1, 2**32)
"""What the library has place for; a seed of -1 is one by chance, as llama-server's help says."""


class Option(NamedTuple):
    """An option by its long name without dashes; `short` has its dash, or is empty. `place` is
    where the library has it, with dots between its objects."""

    name: str
    short: str
    kind: str
    place: str


class Setting(NamedTuple):
    """What is asked of one option: a number, a text, a list, or a truth, as its kind is."""

    option: Option
    value: Any


OPTIONS = {
    row[0]: Option(row[0], row[1].strip("-") and row[1], row[2], row[3])
    for row in (line.split() for line in _TABLE.strip().splitlines())
}


def find(name: str) -> Option:
    """The option of this long name, with or without dashes. Raises ValueError."""
    bare = name.strip("-").replace("_", "-")
    option = OPTIONS.get(ALSO.get(bare, bare))
    if option is None:
        raise ValueError(f"there is no option --{bare}{_instead(bare)}")
    return option


def words(name: str, value: Any) -> list[str]:
    """An argument of a mapping as words of the command line. Raises ValueError."""
    option = find(name)
    if value is None:
        return []
    if option.kind in FLAGS:
        return [f"--{'' if _truth(option, value) else 'no-'}{option.name}"]
    if "on" in CHOICES.get(option.kind, ()):
        # YAML reads on and off as truths.
        said = TRUTHS.get(str(value).lower())
        value = value if said is None else "on" if said else "off"
    if option.kind == "json":
        value = value if isinstance(value, str) else json.dumps(value)
    if isinstance(value, (list, tuple)):
        value = ",".join(map(str, value))
    # What begins with a dash would be taken for a name.
    text = str(value)
    return [f"--{option.name}={text}"] if text.startswith("-") else [f"--{option.name}", text]


def spelled(arguments: Mapping[str, Any]) -> list[str]:
    """Arguments of a mapping as words of the command line. Raises ValueError."""
    return [word for name, value in sorted(arguments.items()) for word in words(name, value)]


def complaints(arguments: Mapping[str, Any], extra_args: Iterable[str]) -> Iterator[str]:
    """What of these llama.cpp does not take, one clause each."""
    yield from _complaints("arguments", lambda: spelled(arguments))
    yield from _complaints("extra_args", lambda: list(map(str, extra_args)))


def misnamed(names: Iterable[str]) -> Iterator[str]:
    """Which of these it would not serve a model under, one clause each: it divides at commas."""
    for name in names:
        if "," in name:
            yield f"{name!r} has a comma, at which llama.cpp divides names: give one without"


def _complaints(where: str, command: Callable[[], list[str]]) -> Iterator[str]:
    try:
        given = [setting.option.name for setting in read(command())]
    except ValueError as error:
        yield f"{where}: {error}"
        return
    yield from (f"{where}: set {OWN[name]}, not --{name}" for name in given if name in OWN)


def read(command: Iterable[str]) -> list[Setting]:
    """What these words ask for, as llama-server reads them. Raises ValueError."""
    given = list(command)
    known, unknown = _parser().parse_known_args(given)
    for word in unknown:
        if word.startswith("-"):
            find(word.partition("=")[0])
        raise ValueError(f"{word!r} belongs to no option")
    return [
        Setting(OPTIONS[name], not value if OPTIONS[name].kind == "unless" else value)
        for name, value in vars(known).items()
    ]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="llama.cpp",
        add_help=False,
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    for option in OPTIONS.values():
        names = [*_names(option)]
        if option.kind in FLAGS:
            parser.add_argument(*names, dest=option.name, action="store_const", const=True)
            negative = [f"--no-{name}" for name in _long_names(option)]
            parser.add_argument(*negative, dest=option.name, action="store_const", const=False)
        else:
            kind, choices = _READERS.get(option.kind, str), CHOICES.get(option.kind)
            parser.add_argument(*names, dest=option.name, type=kind, choices=choices)
    return parser


def _names(option: Option) -> Iterator[str]:
    if option.short:
        yield option.short
    yield from (f"--{name}" for name in _long_names(option))


def _long_names(option: Option) -> Sequence[str]:
    return [option.name, *(name for name, meant in ALSO.items() if meant == option.name)]


def _truth(option: Option, value: Any) -> bool:
    said = TRUTHS.get(str(value).lower())
    if said is None:
        raise ValueError(f"{option.name} is true or false, not {value!r}")
    return said


def _instead(name: str) -> str:
    """What to write for a name that is no option, where that is known or can be guessed."""
    if name in INSTEAD:
        return f": {INSTEAD[name]}"
    turned_on = OPTIONS.get(name.removeprefix("no-"))
    if turned_on and turned_on.kind in FLAGS:
        return f": set {turned_on.name.replace('-', '_')} to false"
    for option in OPTIONS.values():
        # What the library calls it, as programs that use it do.
        if option.place.rpartition(".")[2].replace("_", "-") == name:
            return f": it is --{option.name}"
    close = difflib.get_close_matches(name, [*OPTIONS, *ALSO], n=3)
    return f"; meant may be {', '.join(f'--{one}' for one in close)}" if close else ""


def _whole(text: str, possible: range = _INT32) -> int:
    """A whole number that the library has place for; a sum in Jinja ends with .0."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not number.is_integer() or int(number) not in possible:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no whole number from {possible[0]} to {possible[-1]}"
        )
    return int(number)


def _seed(text: str) -> int:
    return _whole(text, _UINT32) % 2**32


def _layers(text: str) -> int:
    return LAYERS[text] if text in LAYERS else _whole(text)


def _each_as_json(text: str) -> dict[str, str]:
    """A mapping whose values are JSON once more, as the library has it (common/arg.cpp)."""
    try:
        given = json.loads(text)
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise argparse.ArgumentTypeError(
            f'{text!r} is no JSON of a mapping, such as {{"enable_thinking": false}}'
        )
    return {name: json.dumps(value) for name, value in given.items()}


def _list(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _numbers(text: str) -> list[float]:
    numbers = [float(part) for part in _list(text)]
    if len(numbers) > _MOST_DEVICES:
        raise argparse.ArgumentTypeError(f"there are no more than {_MOST_DEVICES} devices")
    return numbers


_READERS: dict[str, Callable[[str], Any]] = {
    "int": _whole,
    "float": float,
    "json": _each_as_json,
    "layers": _layers,
    "numbers": _numbers,
    "seed": _seed,
    "texts": _list,
}
