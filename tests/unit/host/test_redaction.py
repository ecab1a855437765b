# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Evidence may be passed on: no secret is in it, and what explains the failure still is."""

from __future__ import annotations

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.common.redaction import redact

SECRET = "Xy12" + "abcd" * 6


@pytest.mark.parametrize(
    "text",
    [
        f"using hf_{SECRET} for the hub",
        f"key sk-{SECRET}",
        f"curl -H 'Authorization: Bearer {SECRET}' http://127.0.0.1:8000",
        f'{{"Authorization": "Basic {SECRET}"}}',
        f"Authorization: {SECRET}",
        f"x-api-key: {SECRET}",
        f"GET https://host/api?api_key={SECRET}&page=2",
        f"https://user:{SECRET}@mirror.example/simple",
        f"https://{SECRET}@mirror.example/simple",
        f"https://bucket/file?X-Amz-Signature={SECRET}",
        f"VLLM_API_KEY={SECRET}",
        f"export AWS_SECRET_ACCESS_KEY='{SECRET}'",
        f'"HF_TOKEN": "{SECRET}"',
        f"'api_key': '{SECRET}', 'port': 8000",
        f"api_key={SECRET}",
        f"python -m server --api-key {SECRET} --port 8000",
        f"['--api-key', '{SECRET}', '--port']",
        f"--hf-token={SECRET}",
        f"password: {SECRET}",
        f"-----BEGIN OPENSSH PRIVATE KEY-----\n{SECRET}\n-----END OPENSSH PRIVATE KEY-----",
        f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET} and the log ends here",
    ],
)
def test_what_looks_like_a_secret_is_taken_out(text: str) -> None:
    assert SECRET not in redact(text)
    assert "(redacted)" in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "max_num_batched_tokens=2048, tokenizer='a/b', tokenizer_mode=auto",
        "eos_token='</s>', bos_token_id=1, pad_token: <pad>",
        "non-default args: {'model': 'a/b', 'hf_overrides': {}, 'api_key': None}",
        "KeyError: 'model.layers.0.weight'",
        "SafetensorError: Error while deserializing header: incomplete metadata",
        "GPU KV cache size: 2,097,152 tokens",
        "POST /v1/completions?stream=true HTTP/1.1 200",
        "Loading https://hub.example/org/model/resolve/main/config.json",
        "--tokenizer a/b --max-model-len 512 --kv-cache-dtype fp8",
    ],
)
def test_what_explains_a_failure_stays(text: str) -> None:
    assert redact(text) == text


def test_known_values_are_taken_out_wherever_they_stand_and_short_ones_are_not() -> None:
    assert redact("it said open sesame!", ["open sesame"]) == "it said (redacted)!"
    assert redact("port 80", ["80"]) == "port 80"


def test_a_value_that_holds_another_is_taken_out_whole() -> None:
    assert redact("abcdefgh", ["abcd", "abcdefgh"]) == "(redacted)"
