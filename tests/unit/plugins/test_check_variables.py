# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one gate before every playbook: names, values as text, ranges, and what it never shows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.inferops.gpu.plugins.module_utils.common import proxy_options
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.options import (
    MARKET_OPTIONS,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.spelling import Spelling
from ansible_collections.inferops.gpu.plugins.modules import proxy
from ansible_collections.inferops.gpu.plugins.plugin_utils import variables
from ansible_collections.inferops.gpu.plugins.plugin_utils.gate import no_key
from tests.simulator.app import Simulator
from tests.tools.tree import REPOSITORY
from tests.unit import sampled
from tests.unit.plays import on_the_host, play, role

PLAYBOOKS = sorted(
    path for path in REPOSITORY.glob("playbooks/*.yml") if path.stem not in ("hosts",)
)
MARKETS = ", ".join(MARKET_OPTIONS["provider"]["choices"])
#: What a server may be called and told.
EXAMPLES = {
    "inferops_server": "vllm",
    "inferops_server_arguments": {"max_model_len": 8192, "--seed": 1},
    "inferops_server_extra_args": ["--seed", "1", "--lora-modules", "model=/path"],
    "inferops_check_timeouts_seconds": {"health": 5},
}
#: With nothing at it that says what it is.
PLANTED = "zzPLANTEDzz1234"
SECRETS = {
    "inferops_api_key": "secret-of-the-account",
    "inferops_scope_secret": "secret-of-the-scope",
    "inferops_server_api_key": "secret-of-the-server",
    "inferops_hub_token": "hf_secret-of-the-hub",
    "inferops_hub_endpoint": "https://user:secret-of-the-mirror@hub.example",
    "inferops_index_url": "https://user:secret-of-the-index@index.example/simple",
    "inferops_find_links": ["https://secret-of-the-wheels@wheels.example"],
    "inferops_server_environment": {"HF_TOKEN": "hf_secret-of-the-environment"},
    "rent_speed_url": "https://user:secret-of-the-file@files.example/large",
    "stack_torch_index_url": "https://user:secret-of-torch@torch.example",
}


def shown(output: str) -> list[str]:
    """The secrets that an output shows."""
    return re.findall(r"secret-of-[a-z-]+", output)


def playbook(name: str) -> Path:
    return REPOSITORY / "playbooks" / f"{name}.yml"


def as_text(**given: str) -> list[str]:
    """Variables as a survey or a command line gives them."""
    return [word for name, value in given.items() for word in ("-e", f"{name}='{value}'")]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("rent_name", "inferops_name"),
        ("connect_name", "inferops_name"),
        ("teardown_name", "inferops_name"),
        ("endpoint_name", "inferops_name"),
        ("extend_name", "inferops_name"),
        ("reap_name", "inferops_name"),
        ("rent_scope", "inferops_scope"),
        ("teardown_scope", "inferops_scope"),
        ("connect_provider", "inferops_provider"),
        ("teardown_api_url", "inferops_api_url"),
        ("reap_api_key", "inferops_api_key"),
        ("launch_arguments", "inferops_server_arguments"),
        ("launch_environment", "inferops_server_environment"),
        ("stack_vllm_version", "inferops_vllm_version"),
        ("recover_api_key", "inferops_server_api_key"),
        ("stop_name", "inferops_name"),
        ("evidence_name", "inferops_name"),
        ("stack_name", "inferops_name"),
        ("deploy_provider", "inferops_provider"),
        ("model_cache_name", "inferops_name"),
        ("model_cache_home", "inferops_model_home"),
        ("evidence_dir", "inferops_evidence_dir"),
    ],
)
def test_a_shared_fact_under_the_name_of_a_role_is_refused_with_its_own(
    name: str, meant: str
) -> None:
    assert variables.unknown(name) == (
        f"{name} is not a variable of inferops.gpu: use {meant}, or rename it where it is one of "
        "your own."
    )


#: What is a variable of the role's own, or what the role works out by itself and nobody sets.
OF_THE_ROLE = {
    "connect_host_keys",
    "endpoint_server_port",
    "gateway_host_keys",
    "gateway_proxy",
    "launch_hub_token",
    "launch_model",
    "launch_server",
    "llama_cpp_index_url",
    "proxy_name",
    "rent_engine",
    "rent_host_keys",
    "teardown_server",
}


def test_no_shared_fact_passes_under_the_name_of_any_role_or_playbook() -> None:
    parts = {path.name for path in REPOSITORY.glob("roles/*") if path.name != "inferops"}
    parts |= {path.stem for path in PLAYBOOKS}
    facts = [name for name in variables.options() if name.startswith(variables.SHARED)]
    named = {
        f"{part}_{fact.removeprefix(variables.SHARED)}": fact for part in parts for fact in facts
    }
    told = {name: variables.unknown(name) for name in named}
    assert {name for name in told if told[name] is None} == OF_THE_ROLE
    for name, text in told.items():
        # Where a role has to do with the server alone, its key is meant, and not the account's;
        # where with gateways, their group.
        right = [
            named[name],
            *(named[name].replace("_", f"_{of}_", 1) for of in ("server", "model", "gateway")),
        ]
        assert text is None or any(f": use {one}, or rename" in text for one in right), text
    for name in sorted(OF_THE_ROLE - set(variables.options())):
        assert variables.taken(name), name


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("inferops_modle", "inferops_model"),
        ("rent_max_price", "rent_max_price_usd_per_hour"),
        ("extend_hour", "extend_hours"),
    ],
)
def test_a_name_that_is_not_ours_is_refused_with_the_one_that_was_meant(
    name: str, meant: str
) -> None:
    assert variables.unknown(name) == (
        f"{name} is not a variable of inferops.gpu: did you mean {meant}?"
    )


@pytest.mark.parametrize(
    "name", ["stack_owner", "status_page", "rent_per_month", "driver_license", "ansible_host"]
)
def test_a_variable_of_the_users_own_passes(name: str) -> None:
    assert variables.unknown(name) is None


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("recover_apply", "true", True),
        ("launch_ignore_fit", "no", False),
        ("rent_gpu_count", "1", 1),
        ("rent_max_price_usd_per_hour", "0.6", 0.6),
        ("inferops_hosts", "gpu-1", ["gpu-1"]),
        ("rent_countries", "SE,DE", ["SE", "DE"]),
        ("inferops_server_port", "auto", "auto"),
        ("inferops_server_arguments", '{"max_model_len": 8192}', {"max_model_len": 8192}),
        ("recover_ladder", '[{"model": "a/b"}]', [{"model": "a/b"}]),
        ("inferops_check_timeouts_seconds", '{"health": 5}', {"health": 5}),
    ],
)
def test_text_becomes_what_is_meant(name: str, text: str, value: Any) -> None:
    assert variables.coerce(name, text) == (value, None)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("rent_gpu_count", "two", "rent_gpu_count must be a whole number, not 'two'."),
        ("rent_gpu_count", "0", "rent_gpu_count must be at least 1, not 0."),
        ("rent_deadline_hours", "-1", "must be from 0 to 87600, not -1.0."),
        ("rent_max_price_usd_per_hour", "nan", "must be from 0 to 10000000, not nan."),
        ("rent_min_reliability", 95, "must be from 0 to 1, not 95.0."),
        ("extend_hours", "0", "extend_hours must be from 0.05 to 87600, not 0.0."),
        ("inferops_server_port", "70000", "must be auto or from 1 to 65535, not 70000."),
        ("rent_ports", "8000,0", "must be from 1 to 65535, not [8000, 0]."),
        ("inferops_check_timeouts_seconds", {"health": -5}, "must be from 0 to"),
        ("inferops_server_arguments", "5", "must be a dictionary."),
        ("rent_deadline_hours", "inf", "rent_deadline_hours must be from 0 to 87600, not inf."),
        ("rent_deadline_hours", "1e9", "must be from 0 to 87600, not 1000000000.0."),
        ("rent_budget_usd", "1e12", "must be from 0 to 10000000, not 1000000000000.0."),
        ("rent_gpu_names", None, "rent_gpu_names is empty: leave it out, or give it a value."),
        ("rent_countries", '["SE"]', "write it without brackets, as in a,b"),
        ("inferops_provider", "vast", f"must be one of: {MARKETS}"),
        ("inferops_provider", "vast", "Did you mean vastai?"),
        ("inferops_provider", "Run-Pod", "Did you mean runpod?"),
        ("inferops_provider", "tensor dock", "Did you mean tensordock?"),
        ("inferops_engine", "vvlm", "Did you mean vllm?"),
        ("inferops_engine", "llama.cpp", "Did you mean llama_cpp?"),
        (
            "inferops_provider",
            ["vastai"],
            f"inferops_provider must be one of: {MARKETS}, not ['vastai'].",
        ),
        ("inferops_api_key", {"a": "b"}, "inferops_api_key must be text."),
        ("inferops_home", ["~"], "inferops_home must be text, not ['~']."),
        (
            "recover_ladder",
            "a/b",
            "recover_ladder must be a list, each of its entries a dictionary",
        ),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_what_can(name: str, value: Any, said: str) -> None:
    _value, complaint = variables.coerce(name, value)
    assert (said or "") in (complaint or "")
    assert bool(complaint) == bool(said)


def test_the_values_are_handed_back_as_their_types_and_without_secrets(tmp_path: Path) -> None:
    tasks = on_the_host(
        {"inferops.gpu.check_variables": {}, "register": "checked"},
        {"ansible.builtin.debug": {"msg": "{{ checked['values'] | to_json }}"}},
    )
    text = as_text(
        rent_gpu_count="2", inferops_server_arguments='{"seed": 1}', rent_countries="SE,DE"
    )
    status, output = play(tmp_path, tasks, "-vvv", *text, **SECRETS)
    assert status == 0, output
    assert '"rent_gpu_count": 2' in output
    assert '"inferops_server_arguments": {"seed": 1}' in output
    assert '"rent_countries": ["SE", "DE"]' in output
    assert shown(output) == []


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("inferops_server_environment", "HF_TOKEN hf_secret-of-the-environment"),
        ("inferops_server_environment", "{{ 'secret-of-the-template' | nothing }}"),
        ("inferops_find_links", "[https://user:secret-of-the-wheels@wheels.example"),
    ],
)
def test_a_value_that_may_hold_a_password_is_refused_without_being_shown(
    tmp_path: Path, name: str, wrong: str
) -> None:
    tasks = on_the_host({"inferops.gpu.check_variables": {}})
    status, output = play(tmp_path, tasks, **{name: wrong})
    assert status != 0
    assert f"{name} " in output
    assert shown(output) == []


@pytest.mark.parametrize("file", sampled.playbooks(PLAYBOOKS), ids=lambda path: path.stem)
def test_one_wrong_value_shows_no_secret_in_any_playbook(tmp_path: Path, file: Path) -> None:
    wrong = {"inferops_provider": "vast", "inferops_model": "a/b", "extend_hours": 1}
    secrets = {name: f"{{{{ {value!r} }}}}" for name, value in SECRETS.items()}
    kept = tmp_path / "secrets.json"
    kept.write_text(json.dumps(secrets))
    status, output = play(tmp_path, file, "-vvv", "-e", f"@{kept}", **wrong)
    assert status != 0
    assert f"value of inferops_provider must be one of: {MARKETS}, got: vast" in output
    assert shown(output) == []


@pytest.mark.parametrize(
    "name", [name for name in variables.options() if variables.is_secret(name)]
)
def test_a_secret_in_a_wrong_shape_is_refused_without_being_shown(name: str) -> None:
    for secret in (PLANTED, "zz:" + PLANTED, {"vastai": PLANTED}, [["vastai", PLANTED]], [PLANTED]):
        for value in (secret, json.dumps(secret)):
            _value, wrong = variables.coerce(name, value)
            assert PLANTED not in str(wrong), value


def test_accounts_in_a_wrong_shape_show_no_key(tmp_path: Path) -> None:
    accounts = {"inferops_accounts": {"vastai": PLANTED}}
    status, output = play(tmp_path, playbook("teardown"), "-vvv", **accounts)
    assert status != 0
    assert "inferops_accounts must be a list" in output
    # The command line itself, as -vvv shows it, is the test's own.
    assert PLANTED not in output.partition("PLAY [")[2]


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("rent", {"rent_gpu_count": "two"}),
        ("launch", {"launch_timeout_seconds": "soon"}),
        ("model_cache", {"model_cache_enabled": "perhaps"}),
        ("reap", {"reap_release": "perhaps"}),
        ("endpoint", {"endpoint_max_tokens": "many"}),
    ],
)
def test_one_wrong_value_shows_no_secret_in_a_play_of_the_users_own(
    tmp_path: Path, name: str, wrong: dict[str, str]
) -> None:
    tasks = on_the_host(role(name, "main"))
    status, output = play(tmp_path, tasks, "-vvv", inferops_model="a/b", **wrong, **SECRETS)
    assert status != 0
    assert "argument_spec_data" in output
    assert shown(output) == []


def test_a_scope_that_renders_to_nothing_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("INFEROPS_SCOPE", raising=False)
    empty = "{{ lookup('ansible.builtin.env', 'INFEROPS_SCOPE') }}"
    status, output = play(tmp_path, playbook("teardown"), inferops_scope=empty)
    assert status != 0
    assert "inferops_scope is not set: it is the set of rentals" in output


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("inferops_server", "a server", "inferops_server is 'a server': it may hold only letters"),
        ("inferops_server_arguments", {"port": 1}, "set inferops_server_port, not 'port'"),
        ("inferops_server_arguments", {"hf_token": "x"}, "would show the token to everybody"),
        ("inferops_server_arguments", {"max model len": 1}, "is not the name of an engine option"),
        ("inferops_server_arguments", {"seed=1": True}, "is not the name of an engine option"),
        (
            "inferops_server_extra_args",
            ["--api-key=x"],
            "set inferops_server_api_key, not '--api-key'",
        ),
        ("inferops_server_extra_args", ["--hf-t", "x"], "would show the token to everybody"),
        ("inferops_check_timeouts_seconds", {"heatlh": 5}, "which is no check: there are health"),
    ],
)
def test_what_a_host_would_refuse_is_refused_before_one_is_rented(
    name: str, value: Any, said: str
) -> None:
    assert said in " ".join(variables.impossible({name: value}))
    assert not list(variables.impossible({name: EXAMPLES[name]}))


def test_options_that_no_vllm_knows_are_refused_before_the_market_is_asked(tmp_path: Path) -> None:
    given = {
        "inferops_model": "a/b",
        "inferops_vllm_version": "0.32.0",
        "inferops_server_arguments": {"max_modle_len": 8192},
        "inferops_server_extra_args": ["--swap-space", "4"],
    }
    status, output = play(tmp_path, playbook("deploy"), "--limit", "gpu-1", "--check", **given)
    assert status != 0
    assert (
        "inferops_server_arguments: vLLM 0.32.0 has no option --max-modle-len. The nearest that it "
        "has is --max-model-len. inferops_server_extra_args: vLLM 0.32.0 has no option "
        "--swap-space, which 0.6.0 to 0.17.1 had."
    ) in output
    assert "127.0.0.1:9" not in output


UNKNOWN = {"inferops_accelerator": "cpu", "inferops_server_arguments": {"max_modle_len": 1}}


def test_only_what_is_sure_is_refused_of_the_options() -> None:
    (told,) = variables.judged_options(UNKNOWN).complaints
    assert told.startswith("inferops_server_arguments: vLLM 0.32.0 has no option")
    plugin = variables.judged_options({**UNKNOWN, "stack_extra_requirements": ["vllm-plugin"]})
    assert plugin.complaints == (told,)
    assert "stack_extra_requirements add options" in plugin.doubt
    image = {**UNKNOWN, "inferops_image_python": "/usr/bin/python3"}
    assert variables.judged_options(image).complaints == ()
    assert "which vLLM the image" in variables.judged_options(image).doubt
    assert variables.judged_options({**image, "inferops_vllm_version": "0.32.0"}).complaints


def test_an_option_that_a_release_has_which_may_be_chosen_passes() -> None:
    swap = {"inferops_server_arguments": {"rope_scaling": {}, "max_model_len": 1}}
    assert "rope-scaling" in variables.judged_options(swap).complaints[0]
    old = {**swap, "inferops_vllm_version": "0.8.5"}
    assert variables.judged_options(old) == variables.Judged()


@pytest.fixture
def two_credentials(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As of a provider that logs in with a second one, which no role names."""
    rules = {"type": "str", "no_log": True}
    monkeypatch.setitem(variables.ACCOUNT_OPTIONS, "account_secret", rules)
    for known in (variables.options, variables._mentioned):
        known.cache_clear()
    yield
    for known in (variables.options, variables._mentioned):
        known.cache_clear()


@pytest.mark.usefixtures("two_credentials")
def test_whatever_a_provider_logs_in_with_is_a_variable_and_a_secret() -> None:
    name = "inferops_account_secret"
    assert variables.unknown(name) is None
    assert variables.is_secret(name)
    assert variables.coerce(name, "a-word") == ("a-word", None)
    assert "a-word" not in str(variables.coerce(name, ["a-word"])[1])
    told = variables.unknown("rent_account_secret")
    assert told is not None
    assert told.startswith(f"rent_account_secret is not a variable of inferops.gpu: use {name}, ")


def test_options_of_another_engine_are_not_looked_up_in_the_tables_of_vllm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(variables.SPELLINGS, "other", Spelling())
    given = {"inferops_server_arguments": {"max_modle_len": 1}}
    assert variables.judged_options(given).complaints
    assert variables.judged_options({**given, "inferops_engine": "other"}) == variables.Judged()


@pytest.mark.parametrize(
    "file",
    # Doctor tells it beside all else.
    sampled.playbooks(file for file in PLAYBOOKS if file.stem != "doctor"),
    ids=lambda path: path.stem,
)
def test_a_missing_key_is_one_sentence_before_anything_is_asked_for(
    tmp_path: Path, file: Path
) -> None:
    given = {"inferops_model": "a/b", "extend_hours": 1}
    status, output = play(tmp_path, file, "--limit", "gpu-1", key="", **given)
    assert status != 0
    # As Ansible shows each failure: as an error, and as the result of the task.
    assert output.count("Provider vastai needs api_key. Set the environment variable") == 2
    assert "variable inferops_api_key" in output
    assert "rescued=0" in output


def test_two_hosts_cannot_be_one_rental(tmp_path: Path, simulator: Simulator) -> None:
    given = {"inferops_name": "gpu-2", "inferops_api_url": simulator.url}
    status, output = play(tmp_path, playbook("teardown"), **given)
    assert status != 0
    assert "inferops_name is gpu-2 for gpu-1 and for gpu-2: each host needs a rental" in output


def rented(tmp_path: Path, simulator: Simulator, name: str) -> str:
    """The id of a rental that a play of the user's own has made."""
    task = {
        "inferops.gpu.rental": {"name": name, "ssh_public_key": "ssh-ed25519 AAAA user"},
        "delegate_to": "localhost",
        "module_defaults": {"group/inferops.gpu.market": "{{ inferops_account }}"},
    }
    own = [{**on_the_host(task)[0], "roles": ["inferops.gpu.inferops"]}]
    status, output = play(tmp_path, own, inferops_api_url=simulator.url)
    assert status == 0, output
    (rental,) = simulator.control.state()["rentals"]
    return str(rental["id"])


@pytest.mark.parametrize(
    "named",
    [
        {"rent_name": "other"},
        {"teardown_name": "other"},
        {"rent_name": "other", "connect_name": "other", "teardown_name": "other"},
        {"rent_scope": "other", "teardown_api_url": "http://127.0.0.1:9"},
    ],
    ids="+".join,
)
def test_no_name_of_one_role_makes_deploy_and_teardown_look_at_different_rentals(
    tmp_path: Path, simulator: Simulator, named: dict[str, str]
) -> None:
    for name in ("deploy", "teardown"):
        status, output = play(
            tmp_path,
            playbook(name),
            *as_text(**named),
            inferops_model="a/b",
            inferops_api_url=simulator.url,
        )
        assert status != 0
        assert f"{next(iter(named))} is not a variable of inferops.gpu: use inferops_" in output
    assert simulator.journal.entries() == []


@pytest.mark.long
def test_the_name_of_a_rental_is_the_same_for_all_roles(
    tmp_path: Path, simulator: Simulator
) -> None:
    rental = rented(tmp_path, simulator, "other")
    fleet = tmp_path / "fleet.yml"
    fleet.write_text("gpu_hosts: {hosts: {gpu-1: {inferops_name: other}}}\n")
    options = ("--check", "-i", str(fleet))
    given = {"inferops_api_url": simulator.url, "inferops_model": ""}
    given |= {"inferops_ssh_private_key_file": str(tmp_path / "key")}
    shown = {"ansible.builtin.debug": {"msg": "rental {{ inferops_rental.id }}"}}
    for tasks in (
        on_the_host(role("connect", "lookup"), shown),
        on_the_host(role("rent", "main"), shown),
    ):
        status, output = play(tmp_path, tasks, *options, **given)
        assert status == 0, output
        assert f"rental {rental}" in output
    for name, said in (
        ("reap", "adopted: 1"),
        ("teardown", f"Would release rental {rental}"),
        ("teardown", "Nothing is rented under the name gpu-2"),
    ):
        status, output = play(tmp_path, playbook(name), *options, **given)
        assert status == 0, output
        assert said in output


def test_answers_of_a_survey_work_as_meant(tmp_path: Path, simulator: Simulator) -> None:
    config = json.loads((REPOSITORY / "tests/unit/serving/fixtures/models.json").read_text())[0][
        "config"
    ]
    text = as_text(
        inferops_hosts="gpu-9",
        inferops_group="survey",
        inferops_model="a/b",
        inferops_model_config=json.dumps(config),
        inferops_server_arguments='{"max_model_len": 4096}',
        inferops_server_extra_args="--seed,1",
        inferops_server_environment='{"CUDA_VISIBLE_DEVICES": "0"}',
        inferops_disk_reserve_gib="2",
        inferops_stop_timeout_seconds="60",
        inferops_controller_hub_endpoint="",
        rent_gpu_count="1",
        rent_exclude_machines="1,2",
        rent_ready_timeout_seconds="0",
        rent_deadline_hours="12",
        rent_wait_usd_per_hour="7.5",
        rent_verified="false",
        launch_ignore_fit="true",
    )
    status, output = play(
        tmp_path,
        playbook("deploy"),
        "--check",
        *text,
        inferops_api_url=simulator.url,
        inferops_ssh_private_key_file=str(tmp_path / "key"),
    )
    assert status == 0, output
    assert "KV cache for 4096 tokens" in output
    assert "Would rent offer" in output
    assert "First token: expected " in output
    assert "7.5 for each hour (rent_wait_usd_per_hour)" in output
    assert "Runner-up: offer " in output
    assert "in 12.0 hours, enforced by host" in output
    assert "gpu-9 : ok=" in output


def test_a_dry_run_refuses_options_that_the_vllm_of_its_offer_does_not_know(
    tmp_path: Path, simulator: Simulator
) -> None:
    given: dict[str, Any] = {
        "inferops_model": "a/b",
        "inferops_controller_hub_endpoint": "",
        "inferops_api_url": simulator.url,
        "inferops_ssh_private_key_file": str(tmp_path / "key"),
        "rent_vram_gib": 1,
    }
    options = ("--check", "--limit", "gpu-1")
    status, output = play(tmp_path, playbook("deploy"), *options, **given)
    assert status == 0, output
    assert "Plan: its weights are read by default: nobody knows what memory will hold" in output
    (planned,) = re.findall(r"Plan: vLLM (\S+) with torch", output)
    # Hosts with another driver get the other one, and each has an option that the other lacks.
    unknown = {"0.19.1": "cohere_format", "0.33.0": "override_attention_dtype"}[planned]
    given["inferops_server_arguments"] = {unknown: "x"}
    status, output = play(tmp_path, playbook("deploy"), *options, **given)
    assert status != 0
    name = unknown.replace("_", "-")
    assert f"inferops_server_arguments: vLLM {planned} has no option --{name}" in output


@pytest.mark.long
def test_a_dry_run_tells_of_the_llama_cpp_that_is_asked_for(
    tmp_path: Path, simulator: Simulator
) -> None:
    given: dict[str, Any] = {
        "inferops_engine": "llama_cpp",
        "inferops_model": "a/b",
        "inferops_accelerator": "cpu",
        "inferops_controller_hub_endpoint": "",
        "inferops_api_url": simulator.url,
        "inferops_ssh_private_key_file": str(tmp_path / "key"),
        "llama_cpp_version": "2026.9.11063",
        "rent_vram_gib": 1,
    }
    options = ("--check", "--limit", "gpu-1")
    status, output = play(tmp_path, playbook("deploy"), *options, **given)
    assert status == 0, output
    assert "Plan: llama.cpp b11063" in output
    given["llama_cpp_version"] = "b11063"
    status, output = play(tmp_path, playbook("deploy"), *options, **given)
    assert status != 0
    assert "llama_cpp_version is 'b11063', which is no release of xllamacpp" in output


def test_a_rental_without_a_deadline_is_refused_by_the_names_of_the_variables() -> None:
    (said,) = variables.unrentable({"rent_deadline_hours": 0.0, "rent_budget_usd": 0.0})
    assert "set rent_deadline_hours or rent_budget_usd, or say rent_no_deadline: true" in said
    for more in ({"rent_no_deadline": True}, {"rent_budget_usd": 2.0}):
        assert not list(variables.unrentable({"rent_deadline_hours": 0.0, **more}))


def test_a_wrong_value_is_told_and_not_what_is_made_of_it(tmp_path: Path) -> None:
    given = {"inferops_model": "a/b", "inferops_vllm_version": "9.9.9"}
    status, output = play(tmp_path, playbook("deploy"), "--limit", "gpu-1", "--check", **given)
    assert status != 0
    assert "vLLM 9.9.9 on cuda is not in the compatibility table" in output
    assert "cannot be rendered" not in output
    given = {"inferops_model": "a/b", "inferops_server_port": "http"}
    status, output = play(tmp_path, playbook("deploy"), "--limit", "gpu-1", "--check", **given)
    assert status != 0
    assert "inferops_server_port must be auto or from 1 to 65535, not http." in output
    assert "endpoint_server_port" not in output


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("inferops_scope", "my fleet", "inferops_scope: Scope 'my fleet' cannot mark a rental"),
        ("inferops_name", "gpu/1", "inferops_name: Name 'gpu/1' cannot mark a rental"),
        ("inferops_server_port", "22", "where the host's SSH server listens"),
        ("inferops_api_url", "console.vast.ai", "inferops_api_url is no address"),
        ("inferops_api_url", "http://", "inferops_api_url is no address"),
        ("inferops_index_url", "mirror.example/simple", "inferops_index_url is no address"),
        ("inferops_hub_endpoint", "hub", "inferops_hub_endpoint is no address"),
        ("rent_image", "Ubuntu:22.04", "'Ubuntu:22.04' is no container image"),
        ("rent_image", "https://ghcr.io/a/b", "is no container image"),
        ("rent_filter", "country = 'SE'", "is not a JMESPath expression"),
        ("rent_countries", ["Germny"], "such as DE for Germany"),
        ("rent_countries", ["XX"], "countries has 'XX', which is not the code of a country"),
        ("inferops_home", "work", "inferops_home is 'work': on a host it has to be an absolute"),
        ("inferops_model_home", "", "inferops_model_home is '': on a host"),
        ("rent_driver_version", "new", "rent_driver_version: 'new' is not a version"),
        ("rent_compute_capability", "hopper", "'hopper' is not a version"),
        ("inferops_hub_token", "hf_token\n", "inferops_hub_token has a blank or a line break"),
        ("inferops_server_api_key", "kéy", "inferops_server_api_key has a blank or a line break"),
    ],
)
def test_what_the_market_or_the_host_would_refuse_later_is_refused_at_the_gate(
    name: str, value: Any, said: str
) -> None:
    """Once, in the words of the variables, and before anybody is asked."""
    given = {name: value}
    (told,) = (*variables.impossible(given), *variables.unrentable(given))
    assert said in told
    assert told.startswith((name, "rent_"))


@pytest.mark.parametrize(
    "line",
    [
        "ray",
        "ray==2.9.0",
        " pandas[excel, html] >=2,<3 ",
        "a.b-c_d~=1.0",
        "torch===2.0+cu128",
        "ray==2.*",
        "x!=1; python_version < '3.12' and sys_platform == \"linux\"",
    ],
)
def test_a_package_by_name_and_version_passes_the_gate(line: str) -> None:
    assert not list(variables.unrentable({"stack_extra_requirements": [line]}))


@pytest.mark.parametrize(
    "line",
    [
        "ray @ https://me:p4ssword@h/ray.whl",
        "ray@file:///tmp/ray.whl",
        "git+https://me:p4ssword@h/ray",
        "./ray.whl",
        "/tmp/ray.whl",
        "ray.whl/",
        "--index-url https://me:p4ssword@h/simple",
        "-r other.txt",
        "ray --hash=sha256:0",
        "ray==1\nevil",
        "ray; -r",
        "{{ ray }}",
        "<3",
        "",
    ],
)
def test_what_no_lock_can_hold_is_refused_before_anything_is_rented_and_not_shown(
    line: str,
) -> None:
    """The host would refuse it, after it has begun to bill."""
    (told,) = variables.unrentable({"stack_extra_requirements": ["ray", line]})
    assert told.startswith("stack_extra_requirements, entry 2, is no package by name and version")
    assert "p4ssword" not in told


def test_the_login_in_a_variable_that_is_no_secret_is_not_shown(tmp_path: Path) -> None:
    """By the gate of a play that rents nothing, at -v."""
    given = {"stack_extra_requirements": ["git+https://me:p4ssword-of-git@h/ray"]}
    gate = on_the_host({"inferops.gpu.check_variables": {"required": {}}})
    status, output = play(tmp_path, gate, "-v", **given)
    assert status == 0, output
    assert "git+https://" in output
    assert "p4ssword-of-git" not in output


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"inferops_server_keyless": True}, "leave one of the two out"),
        ({"inferops_server_api_key": "seven77"}, "the key of 'inferops' must be 8 to 512"),
        ({"proxy_client_keys": {"alice": "seven77"}}, "the key of 'alice' must be 8 to 512"),
        ({"proxy_metrics_keys": {"a b": "a-key-of-mine"}}, "'a b' names no key"),
        ({"proxy_client_keys": {"inferops": "a-key-of-mine"}}, "take another name, or set"),
        (
            {f"proxy_{kind}_keys": {7: "a-key-of-mine"} for kind in ("client", "metrics")},
            "the same",
        ),
        (
            {
                "proxy_client_keys": {"al": "a-key-of-mine"},
                "inferops_server_api_key": "a-key-of-mine",
            },
            "client 'inferops' and client al have the same key",
        ),
        ({"inferops_server_port": "auto", "inferops_engine_port": "22"}, "inferops_engine_port is"),
        ({"inferops_server_port": "9", "inferops_engine_port": "9"}, "gives to the proxy"),
        ({"inferops_server_port": "9", "inferops_engine_port": "009"}, "gives to the proxy"),
        ({"proxy_client_keys": {"al": ["a-key-of-mine"]}}, "the key of 'al' is no text"),
        ({"proxy_metrics_keys": {"al": {"a-key-of-mine": 1}}}, "the key of 'al' is no text"),
        ({"proxy_client_keys": {"al": 1234567890}}, "the key of 'al' is no text"),
        ({"proxy_routes": [{"method": "POST", "path": "/sleep"}]}, "proxy_routes: /sleep can stop"),
        ({"proxy_routes": [{"method": "post", "path": "/a"}]}, "'post' is none of GET, POST"),
        ({"proxy_routes": [{"method": "POST"}]}, "proxy_routes: a route of them has no path"),
        ({"proxy_routes": [{"method": "POST", "path": "/a/"}]}, "'/a/' is no path of words"),
        ({"proxy_routes": [{"method": "GET", "path": "/a", "repeat": 1}]}, "the name 'repeat'"),
        (
            {"proxy_routes": [{"method": "GET", "path": "/a", "repeatable": "maybe"}]},
            "repeatable: 'maybe' is neither true nor false",
        ),
        ({"proxy_max_body_kib": 100_000}, "proxy_max_body_kib: 100000 is not between 1 and 65536"),
        ({"proxy_hung_seconds": 5.0}, "proxy_stalled_seconds <= proxy_hung_seconds must hold"),
        (
            {"proxy_silence_seconds": 11.0},
            "<= proxy_silence_seconds <= proxy_stalled_seconds <= proxy_hung_seconds must hold",
        ),
        ({"proxy_engine_key": "a-key-of-mine"}, "proxy_engine_key is set"),
        ({"proxy_name": "a"}, "proxy_name is set"),
    ],
)
def test_a_server_that_no_proxy_can_stand_before_is_refused_with_what_to_change(
    given: dict[str, Any], told: str
) -> None:
    (complaint,) = variables.unrentable({"inferops_proxy": True, **given})
    assert told in complaint
    assert "a-key-of-mine" not in complaint
    without = {name: value for name, value in given.items() if value != "22"}
    assert list(variables.unrentable({"inferops_proxy": False, **without})) == []


def test_what_a_proxy_takes_is_not_refused_and_its_usual_options_are_the_same_everywhere() -> None:
    routes = [{"method": "POST", "path": "/v1/load_lora_adapter", "repeatable": False}]
    given = {"proxy_routes": routes, "proxy_max_body_kib": 65536, "proxy_silence_seconds": 10.0}
    assert list(variables.unrentable({"inferops_proxy": True, **given})) == []
    of_role = yaml.safe_load((REPOSITORY / "roles/proxy/defaults/main.yml").read_text())
    of_module = yaml.safe_load(proxy.DOCUMENTATION)["options"]
    for name, usual in proxy_options.DEFAULTS.items():
        assert [of_role[f"proxy_{name}"], of_module[name]["default"]] == [
            list(usual) if name == "routes" else usual
        ] * 2


@pytest.mark.parametrize("port", ["8000.0", "+8000", "8_000", "\u0668000"])
def test_a_port_that_its_host_would_not_read_is_refused(port: str) -> None:
    for name in ("inferops_server_port", "inferops_engine_port"):
        (complaint,) = variables.unrentable({name: port})
        assert complaint == f"{name}: {port} is neither a number from 1 to 65535 nor auto."


def test_a_key_of_ones_own_needs_no_other_choice_before_a_proxy() -> None:
    given = {"inferops_server_api_key": "a-key-of-mine", "inferops_server_keyless": True}
    given["proxy_client_keys"] = {"alice": "a-key-of-alice"}
    ports = {"inferops_server_port": "auto", "inferops_engine_port": "auto"}
    assert list(variables.unrentable({"inferops_proxy": True, **given, **ports})) == []


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        ({"inferops_provider": "ssh"}, True),
        ({"inferops_provider": "local", "inferops_server_api_key": "a-key-of-mine"}, True),
        ({"inferops_provider": "ssh", "inferops_scope_secret": "twenty-letters-and-more"}, False),
        ({"inferops_provider": "vastai", "inferops_api_key": "a-key"}, False),
    ],
)
def test_an_engines_key_that_follows_from_nothing_is_refused(
    given: dict[str, Any], refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("INFEROPS_SCOPE_SECRET", raising=False)
    told = " ".join(map(str, no_key({"inferops_proxy": True, **given})))
    assert ("Make one with openssl rand -base64 30, or set inferops_proxy: false" in told) == (
        refused
    )
    assert bool(told) == refused


@pytest.mark.parametrize("provider", ["ssh", "vastai"])
def test_a_gateway_without_a_secret_is_refused_before_anything_is_rented(
    provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("INFEROPS_SCOPE_SECRET", raising=False)
    given = {"inferops_provider": provider, "inferops_gateway": "main", "inferops_api_key": "a-key"}
    (told,) = map(str, no_key({"inferops_proxy": True, **given}))
    assert "The key of gateway main follows from inferops_scope_secret" in told
    assert not [*no_key({**given, "inferops_scope_secret": "twenty-letters-and-more"})]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"inferops_gateway": "main"}, "inferops_proxy is not true"),
        ({"inferops_gateway": "main", "inferops_proxy": True}, ""),
    ],
)
def test_a_gateway_needs_the_proxies_before_its_servers(given: dict[str, Any], told: str) -> None:
    ports = {"inferops_server_port": "auto", "inferops_engine_port": "auto"}
    assert told in " ".join(variables.unrentable({**given, **ports}))
    assert bool([*variables.unrentable({**given, **ports})]) == bool(told)


def test_what_is_usual_passes_the_gate() -> None:
    usual = {
        "inferops_scope": "prod",
        "inferops_name": "gpu-1",
        "inferops_server_port": "auto",
        "inferops_home": "~/.inferops",
        "inferops_model_home": "/models",
        "inferops_api_url": "",
        "inferops_index_url": "https://user:password@mirror.example/simple",
        "inferops_hub_endpoint": "http://127.0.0.1:8080",
        "rent_filter": "",
        "rent_countries": [],
        "rent_driver_version": "535.86.05",
        "rent_compute_capability": "7.5",
        "rent_deadline_hours": 24.0,
        "inferops_hub_token": "",
        "inferops_server_api_key": "two words",
    }
    assert not [*variables.impossible(usual), *variables.unrentable(usual)]
    for image in ("ubuntu", "vllm/vllm-openai:v0.32.0", "ghcr.io/a/b@sha256:0a", "r.io:5000/A/b"):
        refused = list(variables.unrentable({"rent_image": image}))
        assert bool(refused) == (image == "r.io:5000/A/b")


@pytest.mark.long
def test_a_wish_that_cannot_be_fulfilled_keeps_nobody_from_ending_a_rental(
    tmp_path: Path, simulator: Simulator
) -> None:
    given = {"rent_image": "Ubuntu:22.04", "rent_countries": ["XX"], "rent_min_reliability": None}
    status, output = play(
        tmp_path,
        playbook("teardown"),
        "--limit",
        "gpu-1",
        inferops_api_url=simulator.url,
        **given,
    )
    assert status == 0, output
    assert "Nothing is rented under the name gpu-1" in output
