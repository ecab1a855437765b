# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every variable of every README, as JSON and as text: both mean the same to gate and roles."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.inferops.gpu.plugins.module_utils.common.ranges import range_of
from ansible_collections.inferops.gpu.plugins.plugin_utils import variables
from tests.simulator.app import Simulator
from tests.tools.tree import REPOSITORY
from tests.unit.plays import on_the_host, play

OPTIONS = variables.options()
READMES = sorted(REPOSITORY.glob("roles/*/README.md"))
SPECS = sorted(REPOSITORY.glob("roles/*/meta/argument_specs.yml"))
LLAMA = json.loads((REPOSITORY / "tests/unit/serving/fixtures/models.json").read_text())[0]
#: What only some values suit, of variables whose type says nothing about it.
SUITABLE: dict[str, Any] = {
    "inferops_group": "gpu_hosts",
    "inferops_name": "gpu-7",
    "inferops_accounts": [
        {"provider": "vastai", "api_key": "a-key", "api_url": "http://127.0.0.1:9"}
    ],
    "inferops_scope_secret": "twenty-characters-at-least",
    "inferops_model": "a/b",
    "inferops_model_home": "/models",
    "inferops_model_config": LLAMA["config"],
    "inferops_server_arguments": {"max_model_len": 4096, "enforce_eager": True},
    "inferops_check_timeouts_seconds": {"health": 5.5},
    "inferops_server_environment": {"CUDA_VISIBLE_DEVICES": "0"},
    "inferops_server_extra_args": ["--seed", "1"],
    "inferops_server_port": "8001",
    "inferops_vllm_version": "0.10.2",
    "inferops_accelerator": "cuda",
    "rent_compute_capability": "8.0",
    "rent_countries": ["US", "CA", "DE"],
    "rent_driver_version": "535",
    "rent_filter": "cpu_cores >= `1`",
    "rent_ports": [8080, 9090],
    "rent_gpu_count": 1,
    "rent_gpu_names": ["RTX 4090", "RTX 3090", "RTX A6000"],
    "gateway_listeners": [{"port": 8443, "address": "0.0.0.0", "certificate": "/own.pem"}],
    "proxy_listeners": [{"port": 8443, "address": "0.0.0.0", "certificate": "/own.pem"}],
    "proxy_servers": [{"name": "vllm", "port": 8001, "engine": "vllm"}],
    "proxy_routes": [{"method": "POST", "path": "/v1/load_lora_adapter"}],
    "proxy_client_keys": {"alice": "key-of-alice"},
    "proxy_metrics_keys": {"prometheus": "key-of-prometheus"},
    "recover_ladder": [{"model": "a/b", "arguments": {"max_model_len": 4096}}],
}
#: By kind, for all others.
USUAL: dict[tuple[str, str], Any] = {
    ("str", ""): "a-word",
    ("raw", ""): "a-word",
    ("list", "str"): ["one", "two"],
    ("list", "int"): [1, 2],
    ("dict", ""): {"one": 1},
}


def example(name: str, option: dict[str, Any]) -> Any:
    """A value that this variable may have, and not its default where there is another."""
    if name in SUITABLE:
        return SUITABLE[name]
    kind, default = option.get("type", "str"), option.get("default")
    if "choices" in option:
        return [option["choices"][-1]] if kind == "list" else option["choices"][-1]
    if kind == "bool":
        return default is not True
    if kind in ("int", "float"):
        allowed = range_of(name)
        assert allowed is not None, f"{name} has no range"
        number = min(max(allowed.low, 3.0), allowed.high)
        return int(number) if kind == "int" else number / 2
    if kind == "str" and default:
        return default
    if name.endswith(("_url", "_endpoint")):
        return "https://example.org/simple"
    return USUAL[kind, option.get("elements", "")]


def as_text(value: Any) -> str:
    """A value as an answer to a survey, as the documentation tells people to write it."""
    if isinstance(value, dict) or (isinstance(value, list) and isinstance(value[0], dict)):
        return json.dumps(value)
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


EXAMPLES = {name: example(name, option) for name, option in OPTIONS.items()}
TEXTS = {name: as_text(value) for name, value in EXAMPLES.items()}


def given(tmp_path: Path, form: str, names: list[str]) -> list[str]:
    """These variables on the command line, in one of the two forms."""
    if form == "text":
        return [word for name in names for word in ("-e", f"{name}='{TEXTS[name]}'")]
    file = tmp_path / "given.json"
    file.write_text(json.dumps({name: EXAMPLES[name] for name in names}))
    return ["-e", f"@{file}"]


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.parent.name)
def test_no_readme_names_a_variable_that_is_not_tried_here(readme: Path) -> None:
    """But for the facts that a role sets."""
    text, _heading, _set = readme.read_text().partition("\n## Variables that it sets\n")
    tables = re.findall(r"^\| `([a-z]+_\w+)` \|", text, re.MULTILINE)
    assert set(tables) <= set(EXAMPLES)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_text_and_json_are_the_same_value(name: str) -> None:
    value, complaint = variables.coerce(name, EXAMPLES[name])
    assert complaint is None
    assert variables.coerce(name, TEXTS[name]) == (value, None)
    assert value == EXAMPLES[name]


def test_the_gate_and_every_role_take_every_variable_in_both_forms(tmp_path: Path) -> None:
    specs = {
        f"{file.parent.parent.name} {entry}": spec["options"]
        for file in SPECS
        for entry, spec in yaml.safe_load(file.read_text())["argument_specs"].items()
        if spec.get("options")
    }
    (tmp_path / "specs.json").write_text(json.dumps(specs))
    tasks = on_the_host(
        {"inferops.gpu.check_variables": {}, "register": "checked"},
        {
            "ansible.builtin.validate_argument_spec": {"argument_spec": "{{ specs[item] }}"},
            "vars": {"specs": f"{{{{ lookup('file', '{tmp_path}/specs.json') | from_json }}}}"},
            "loop": sorted(specs),
        },
        {
            "ansible.builtin.copy": {
                "content": "{{ checked['values'] | to_json }}",
                "dest": f"{tmp_path}/values.json",
            },
            "delegate_to": "localhost",
        },
    )
    found = {}
    for form in ("json", "text"):
        status, output = play(
            tmp_path,
            tasks,
            *("--limit", "gpu-1"),
            *given(tmp_path, form, sorted(EXAMPLES)),
        )
        assert status == 0, output
        found[form] = json.loads((tmp_path / "values.json").read_text())
    shown = {name: value for name, value in EXAMPLES.items() if not variables.is_secret(name)}
    assert found["json"] == shown
    assert found["text"] == shown


#: What would make a deploy that only pretends do something else than to pretend.
_NOT_FOR_A_PLAN = (
    "inferops_hosts",
    "inferops_provider",
    "inferops_accounts",
    "inferops_image_python",
    "rent_no_deadline",
    # Refused beside inferops_proxy.
    "inferops_server_keyless",
    # The examples of options are those of the usual one.
    "inferops_engine",
)
_OF_THE_MACHINE = ("_dir", "_file", "_path", "_url", "_endpoint", "_key")


@pytest.mark.long
def test_a_deploy_plans_the_same_from_text_as_from_json(
    tmp_path: Path, simulator: Simulator
) -> None:
    names = [
        name
        for name in sorted(EXAMPLES)
        if name.startswith(("inferops_", "rent_", "launch_", "model_cache_", "stack_", "endpoint_"))
        and name not in _NOT_FOR_A_PLAN
        and not name.endswith(_OF_THE_MACHINE)
    ]
    plans = []
    for form in ("json", "text"):
        status, output = play(
            tmp_path,
            REPOSITORY / "playbooks" / "deploy.yml",
            *("--check", "--limit", "gpu-1"),
            *given(tmp_path, form, names),
            inferops_api_url=simulator.url,
            inferops_controller_hub_endpoint="http://127.0.0.1:9",
            inferops_ssh_private_key_file=str(tmp_path / "key"),
        )
        assert status == 0, output
        assert "Would rent offer" in output
        # Behind it stands how long each part has taken.
        plans.append(output.partition("PLAY RECAP")[0])
    assert plans[0] == plans[1]
