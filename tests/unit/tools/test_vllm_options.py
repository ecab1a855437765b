# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a release follow from its sources, however that release writes them."""

from __future__ import annotations

from tests.tools.vllm_options import Option, options, table, written

CONFIG = """
from typing import Literal, Optional, Union
Overrides = Union[dict, str]
@config
class ModelConfig:
    model: str = ""
    max_model_len: Optional[int] = None
    enforce_eager: bool = False
    hf_overrides: Overrides = None
    hf_token: bool | str | None = None
    names: list[str] | None = None
    mode: Literal["a", "b"] = "a"
"""
ARGUMENTS = """
class EngineArgs:
    @staticmethod
    def add_cli_args(parser):
        model_kwargs = get_kwargs(ModelConfig)
        group = parser.add_argument_group("ModelConfig")
        group.add_argument("--model", **model_kwargs["model"])
        group.add_argument("--max-model-len", "-mml", **{**model_kwargs["max_model_len"]})
        group.add_argument("--enforce-eager", **model_kwargs["enforce_eager"])
        overrides = model_kwargs["hf_overrides"]
        group.add_argument("--hf-overrides", **overrides)
        group.add_argument("--hf-token", **get_kwargs(ModelConfig)["hf_token"])
        group.add_argument("--names", **model_kwargs["names"])
        parser.add_argument('--swap-space', type=float, default=4)
        parser.add_argument('--disable-log-stats', action='store_true')
        parser.add_argument('--enable-chunked-prefill', action=StoreBoolean, nargs="?")
        parser.add_argument("--device-ids", type=lambda s: s.split(","))
        for arg, type in [("--guided-one", str), ("--guided-two", bool)]:
            parser.add_argument(arg, type=type)
def _engine_args_parser():
    parser.add_argument("--for-documentation")
"""
FRONTEND = """
@config
class FrontendArgs:
    allowed_origins: list[str] = None
    middleware: list[str] = None
    disable_fastapi_docs: bool = False
    @staticmethod
    def add_cli_args(parser):
        frontend_kwargs = get_kwargs(FrontendArgs)
        del frontend_kwargs["allowed_origins"]["nargs"]
        frontend_kwargs["middleware"]["action"] = "append"
        for key, value in frontend_kwargs.items():
            frontend_group.add_argument(f"--{key.replace('_', '-')}", **value)
def make_arg_parser(parser):
    parser.add_argument("model_tag", nargs="?")
    parser.add_argument("--headless", action="store_true")
"""
SOURCES = {
    "vllm/config/model.py": CONFIG,
    "vllm/engine/arg_utils.py": ARGUMENTS,
    "vllm/entrypoints/openai/cli_args.py": FRONTEND,
}


def test_every_way_to_add_an_option_is_read() -> None:
    found = {option.name: (option.short, option.kind) for option in options(SOURCES)}
    assert found == {
        "model": ("", "value"),
        "max-model-len": ("-mml", "value"),
        "enforce-eager": ("", "boolean"),
        "hf-overrides": ("", "json"),
        "hf-token": ("", "perhaps"),
        "names": ("", "list"),
        "swap-space": ("", "value"),
        "disable-log-stats": ("", "flag"),
        "enable-chunked-prefill": ("", "word"),
        "device-ids": ("", "commas"),
        "guided-one": ("", "value"),
        "guided-two": ("", "value"),
        "allowed-origins": ("", "json"),
        "middleware": ("", "repeated"),
        "disable-fastapi-docs": ("", "boolean"),
        "headless": ("", "flag"),
    }


def test_a_release_whose_booleans_are_switches_is_seen() -> None:
    more = {"vllm/utils/argparse_utils.py": "class EnableDisableAction: pass"}
    kinds = {option.name: option.kind for option in options({**SOURCES, **more})}
    assert (kinds["enforce-eager"], kinds["headless"]) == ("switch", "flag")


def test_the_table_has_the_first_and_the_last_release_of_each_option() -> None:
    one, other, changed = (
        Option("a", "", "flag"),
        Option("b", "-b", "value"),
        Option("a", "", "word"),
    )
    by_release = {
        "0.10.0": [changed],
        "0.9.0": [one, other],
        "0.8.5.post1": [one],
        "0.8.5": [other],
    }
    assert table(by_release).splitlines() == [
        "a - flag 0.8.5.post1 0.9.0",
        "a - word 0.10.0 -",
        "b -b value 0.8.5 0.8.5",
        "b -b value 0.9.0 0.9.0",
    ]
    text = 'RELEASES = """\\\nold\n"""\nOPTIONS = """\\\nold\n"""\n'
    assert "0.8.5 0.8.5.post1 0.9.0 0.10.0" in written(text, by_release)
    assert "old" not in written(text, by_release)
