# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Evidence may be passed on: no secret is in it, and what explains the failure still is."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.common.plain import plain
from ansible_collections.inferops.gpu.plugins.module_utils.common.redaction import (
    redact,
    redact_parts,
)
from tests.growth import grows_with_its_text

SECRET = "Xy12" + "abcd" * 6
#: A line of a private key.
PEM = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtz"
SHAPES = [
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
    f'{{"api_key": "{SECRET}", "x": 1}}',
    f'{{"apiKey":"{SECRET}"}}',
    f'{{"accessToken": "{SECRET}"}}',
    f'{{"client_secret":"{SECRET}"}}',
    f'{{"clientSecret" : "{SECRET}"}}',
    f'{{"password": "two words {SECRET}"}}',
    f'{{\\"api_key\\": \\"{SECRET}\\"}}',
    f'{{"tokens": ["{SECRET}", "other"]}}',
    f'{{"api_keys": ["{SECRET}"]}}',
    f'{{"credentials": {{"user": "me", "pass": "{SECRET}"}}}}',
    f'{{"secrets": {{"db": "{SECRET}"}}}}',
    f"{{'hub_token': '{SECRET}'}}",
    f'{{"refreshToken": "{SECRET}"}}',
    f'{{"secretAccessKey": "{SECRET}"}}',
    f'{{"headers": {{"X-Api-Key": "{SECRET}"}}}}',
    f'{{"privateKey": "{SECRET}"}}',
    f'{{"ssh_key": "{SECRET}"}}',
    f"['--hf-token', '{SECRET}']",
    f'["--api-key", "{SECRET}"]',
    f"--api-key,{SECRET}",
    f"('Authorization', 'Bearer {SECRET}')",
    f'["X-Api-Key", "{SECRET}"]',
    f"('password', '{SECRET}')",
    f'["HF_TOKEN={SECRET}", "A=b"]',
    f"-e HF_TOKEN={SECRET}",
    f"--env VLLM_API_KEY={SECRET}",
    f"tokens:\n  - {SECRET}\n  - other",
    f"api_keys: [{SECRET}, b]",
    f"{PEM}\n{PEM}\n{SECRET}\n-----END OPENSSH PRIVATE KEY-----",
    f"-----BEGIN OPENSSH PRIVATE KEY-----\\n{SECRET}\\n-----END OPENSSH PRIVATE KEY-----\\n",
    f"-----BEGIN PRIVATE KEY-----\n{SECRET}",
    f"-----BEGIN PGP PRIVATE KEY BLOCK-----\n{SECRET}\n-----END PGP PRIVATE KEY BLOCK-----",
    f"-----BEGIN ENCRYPTED PRIVATE KEY-----\r\n{SECRET}\r\n-----END ENCRYPTED PRIVATE KEY-----",
    f"{PEM}\\n{SECRET}\\n-----END RSA PRIVATE KEY-----",
    f"API_KEYS={SECRET}",
    f"API_KEY_2={SECRET}",
    f"TOKEN2={SECRET}",
    f"HF_TOKENS={SECRET}",
    f"SECRET_1={SECRET}",
    f"passwords: {SECRET}",
    f"db_password2={SECRET}",
    f"MY_SECRETS='{SECRET}'",
    f"AWS_KEYS={SECRET}",
    f"KEY1={SECRET}",
    f"HF_TOKEN=\\\n  {SECRET}",
    f"--api-key \\\n  {SECRET}",
    f"Authorization: Bearer\n  {SECRET}",
    f"api_key: >-\n  {SECRET}",
    f"token: |\n  {SECRET}\nnext: 1",
    f"password:\n  {SECRET}\nport: 1",
    f"ghp_{SECRET}",
    f"github_pat_{SECRET}",
    f"glpat-{SECRET}",
    f"AKIA{'A1B2C3D4E5F6G7H8'}",
    f"AIza{SECRET}{SECRET[:8]}",
    f"xoxb-{SECRET}",
    f"eyJ{SECRET}.eyJ{SECRET}.{SECRET}",
    f"nvapi-{SECRET}",
    f"rpa_{SECRET}",
    f"r8_{SECRET}",
    f"Proxy-Authorization: Basic {SECRET}",
    f"Set-Cookie: session={SECRET}; Path=/",
    f"Cookie: sid={SECRET}",
    f"Authorization: Token {SECRET}",
    f"Authorization: ApiKey {SECRET}",
    f"X-Auth-Token: {SECRET}",
    f"Api-Key: {SECRET}",
    f"Authorization: Digest username={SECRET}",
    f"curl -u me:{SECRET} https://x",
    f"docker login -u me -p {SECRET} ghcr.io",
    f"machine x login me password {SECRET}",
    f"sshpass -p {SECRET} ssh x",
    f"vastai set api-key {SECRET}",
    f"<password>{SECRET}</password>",
    f"api_key%3D{SECRET}",
    f"url?token={SECRET}#x",
    f"passphrase: {SECRET}",
    f"pwd={SECRET}",
    f"DB_PASS={SECRET}",
    f"token => {SECRET}",
    f"api key: {SECRET}",
    f"--token={SECRET}",
    f"password is {SECRET}",
    f"redis://:{SECRET}@host:1/0",
    f"access_key_id: {SECRET}",
    f"signing_key: {SECRET}",
    # Texts in texts, and what programs print of them.
    json.dumps({"a": json.dumps({"log": json.dumps({"api_key": SECRET})})}),
    json.dumps({"a": json.dumps({"log": json.dumps({"Authorization": SECRET})})}),
    f"[(b'x-api-key', b'{SECRET}')]",
    f"(b'authorization', b'{SECRET}')",
    f"api_key=b'{SECRET}'",
    f'token = """{SECRET}"""',
    f"api_key='''{SECRET}'''",
    f"password='it''s{SECRET}'",
    f"\x1b[1mapi_key\x1b[0m: \x1b[31m{SECRET}\x1b[0m",
    f"if hf_token == '{SECRET}'",
    f"api_key -> {SECRET}",
    f"token%253D{SECRET}",
    # Names and values that are apart.
    f"env:\n- name: HF_TOKEN\n  value: {SECRET}\n",
    json.dumps([{"name": "HF_TOKEN", "value": SECRET}]),
    json.dumps({"key": "api_key", "value": SECRET}),
    # Lists that are long, deep or cut off.
    f"api_keys: [{', '.join(f'{n:04}' for n in range(300))}, '{SECRET}']",
    f"api_keys: [['a'], ['{SECRET}']]",
    f"credentials: {{'a': {{'u': 'x'}}, 'b': {{'v': '{SECRET}'}}}}",
    f'{{"api_keys": ["a", "{SECRET}", "and the log ends he',
    # Passwords have signs in them.
    *(f"password=a{sign}{SECRET}" for sign in ";,&(|\\"),
    f"password=-{SECRET}",
    f"password=${SECRET}",
    f"password: '$2b$12${SECRET}'",
    f"me:$6$salt${SECRET}",
    # Addresses.
    *(f"https://me:a{sign}{SECRET}@mirror.example/simple" for sign in "/?#"),
    quote(f"https://me:{SECRET}@mirror.example/simple", safe=""),
    f"https:\\/\\/me:{SECRET}@mirror.example\\/simple",
    f"http_proxy=me:{SECRET}@proxy:3128",
    f"?X-Goog-Signature={SECRET}",
    f"https://hooks.slack.com/services/T000/B000/{SECRET}",
    f"https://discord.com/api/webhooks/123456/{SECRET}",
    f"https://api.telegram.org/bot123456789:{SECRET}/sendMessage",
    # Tokens by their look.
    *(
        f"{prefix}{SECRET}"
        for prefix in (
            *("sk-ant-api03-", "sk-proj-", "sk_live_", "rk_live_", "gsk_", "xai-", "pplx-", "fw_"),
            *("hvs.", "tskey-auth-", "glrt-", "gldt-", "doo_v1_", "api_org_", "ya29.", "GOCSPX-"),
            *("xapp-1-", "dapi", "ak-", "v4.local."),
        )
    ),
    f"SG.{SECRET}.{SECRET}",
    f"eyJhbGciOiJIUzI1NiJ9.{SECRET}.{SECRET}.{SECRET}.{SECRET}",
    f"Authorization: AWS4-HMAC-SHA256 Credential=A/2020/us, Signature={SECRET}",
    f"authorization: Bearer token-{SECRET}",
    f'Bearer "{SECRET}"',
    f"Bearer, {SECRET}",
    f'{{"auths": {{"ghcr.io": {{"auth": "{SECRET}"}}}}}}',
    f'"identitytoken": "{SECRET}"',
    f"machine x login me account y password {SECRET}",
    f"wandb login {SECRET}",
    f"with API key {SECRET}",
    f"Incorrect API key provided: {SECRET}.",
    # Keys.
    f"---- BEGIN SSH2 PRIVATE KEY ----\n{SECRET}\n---- END SSH2 PRIVATE KEY ----",
    f"-----begin private key-----\n{SECRET}\n-----end private key-----",
    f"{PEM}\n{SECRET}",
    f"Private-Lines: 1\n{SECRET}\n",
    f"LS0tLS1CRUdJTiBPUEVOU1NI{SECRET}",
    f"MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7\n{SECRET}",
    f"MIIEpAIBAAKCAQEA0Z3VS5JJcds3xfn/ygWyF8PbnGy0\n{SECRET}",
    f"PresharedKey = {SECRET}=",
    # Names that have no gaps, and those of a single word.
    f"PGPASSWORD={SECRET} psql",
    f"SSHPASS={SECRET}",
    f"HFTOKEN={SECRET}",
    f"X-Vast-Key: {SECRET}",
    json.dumps({"user": "me", "pass": SECRET}),
    f"GRADIO_AUTH=me:{SECRET}",
    # What shells, tables and people put between a name and what they have drawn.
    f"set -x HF_TOKEN {SECRET}",
    f"setenv HF_TOKEN {SECRET}",
    f"ENV HF_TOKEN {SECRET}",
    f"| HF_TOKEN | {SECRET} |",
    f"\u2502 api_key \u2502 {SECRET} \u2502",
    f"name,value\nHF_TOKEN,{SECRET}",
    f"HF_TOKEN\n{SECRET}",
    f"ngrok authtoken {SECRET}",
    f"token was: {SECRET}",
    *(f"invalid token {opened}{SECRET}" for opened in "([`"),
    f"API key:\n{SECRET}",
    # Cut off, or wrapped, before the quote at the end.
    f'api_key="{SECRET}',
    f"api_key=b'{SECRET}",
    f'{{\\"api_key\\": \\"{SECRET}',
    f'password: "two words {SECRET}',
    f'"""\ntoken="{SECRET}\n"""',
    f'"api_key": "{SECRET[::-1]}\n{SECRET}", \'x\': 1',
    f"'api_key': '{SECRET[::-1]}\n  {SECRET}'",
    f"--api-key {SECRET[::-1]}\\\n{SECRET}",
    f"HF_TOKEN=hf_{SECRET[::-1]}\n{SECRET}",
    f"Authorization: Bearer {SECRET[::-1]}\n{SECRET}",
    f'-H "Authorization: Bearer {SECRET[::-1]}\\\n{SECRET}"',
    # Other ways to write a value.
    f"HF_TOKEN=$'{SECRET}'",
    f"{{u'api_key': u'{SECRET}'}}",
    f"token=f'{SECRET}'",
    f"token: &anchor {SECRET}",
    f"token: !!str {SECRET}",
    f"api_key:\xa0{SECRET}",
    f"Authorization: Custom {SECRET}",
    f"redis-cli -h db -a {SECRET}",
    f"openssl rsa -passin pass:{SECRET}",
    *(
        f"{prefix}{SECRET}"
        for prefix in (
            *("dckr_pat_", "figd_", "lin_api_", "shpat_", "sq0atp-", "tgp_v1_", "sntrys_", "PMAK-"),
            *("rubygems_", "NRAK-", "ATATT3x", "ntn_", "glsa_", "esecret_", "123456789:AAabcdef"),
        )
    ),
]
#: What stands before a secret where a text is spelled within a text, or comes from a terminal.
SPELLED = [
    "\\n",
    "\\t",
    "\\r\\n",
    "\\\\n",
    "%20",
    "%3D",
    "\\u001b[31m",
    "\\x1b[1;31m",
    "\\u001b[0m",
]
SHOWN = [
    "\x1b[31m",
    "\x1b[1;31m",
    "\x1b(B",
    "\x1b]8;;x\x1b\\",
    "\x1bP1$r\x1b\\",
    "\x9b31m",
    "\x1b7",
]
BEGUN = [
    f"hf_{SECRET}",
    f"sk-{SECRET}",
    f"ghp_{SECRET}",
    f"AKIA{'A1B2C3D4E5F6G7H8'}",
    f"Bearer {SECRET}",
    f"Authorization: {SECRET}",
    f"eyJ{SECRET}.eyJ{SECRET}.{SECRET}",
    f"{PEM}\n{SECRET}",
]
HARMLESS = [
    "max_num_batched_tokens=2048, tokenizer='a/b', tokenizer_mode=auto",
    "eos_token='</s>', bos_token_id=1, pad_token: <pad>",
    "non-default args: {'model': 'a/b', 'hf_overrides': {}, 'api_key': None}",
    "KeyError: 'model.layers.0.weight'",
    "SafetensorError: Error while deserializing header: incomplete metadata",
    "GPU KV cache size: 2,097,152 tokens",
    "POST /v1/completions?stream=true HTTP/1.1 200",
    "Loading https://hub.example/org/model/resolve/main/config.json",
    "--tokenizer a/b --max-model-len 512 --kv-cache-dtype fp8",
    "Set HF_TOKEN to a token of that account.",
    "The API key was refused.",
    "Checking the API key: the provider refused it",
    "The token may not read gated models",
    "num_key_value_heads: 8",
    "tokens per second: 812.5",
    "Avg prompt throughput: 10.0 tokens/s",
    "keys: ['a', 'b']",
    "missing keys: ['lm_head.weight']",
    "unexpected key(s) in state_dict: 'x'",
    "token_ids=[1, 2, 3]",
    "key=model.layers.1",
    "SSH key pair at /root/.ssh/id",
    "passed: 12, failed: 3",
    "compass: north",
    "bypass=true",
    "--passthrough x",
    "author: me",
    "the password is required",
    "a token is needed",
    "--enable-prefix-caching --disable-log-requests",
    "num_tokens: 12",
    "logprobs.token=the",
    "RuntimeError: secrets are not supported",
    "keyboard: us",
    "monkey: banana",
    "known_hosts: [203.0.113.7]:33526 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINkmoC",
    "Basic usage of the server",
    "Bearer authentication is required",
    "host key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINkmoC",
    "nonce 9f2c41aa",
    "total_tokens=100 prompt_tokens=20",
    "{'stop_token_ids': [1], 'tokens': 5}",
    "Token 5 of 10",
    "cookie jar",
    "https://unpkg.com/pkg@1.0/file",
    "pip install git+https://github.com/a/b.git@v1",
    "http://127.0.0.1:8000/v1@x",
    "image vllm/vllm-openai:v0.6@sha256:0123456789abcdef",
    "http_proxy=http://proxy:3128",
    "auth: none",
    "auth_url=https://login.example/oauth2",
    "if token == eos_token_id: break",
    "docker run -u 1000:1000 image",
    "token, value: 5",
    '{"field": "api_key", "reason": "missing"}',
    "rope_scaling: {'type': 'x'}",
    "--as-needed-2024-01-01-thing",
    "xai-grok-2, sk-learn",
    "torch.Size([1, 2])",
    "token: -1",
    "if a: return token",
    "api_key -> None",
    "pass: 3",
    "pass: true, pass = step_2",
    "PASS=12 FAIL=0",
    "MAXTOKENS=4096",
    "the API key is in the environment, or a token",
    "token (see https://docs.example/tokens)",
    "set -x; echo token",
    "| eos_token | </s> |",
    "tokenizer\nQwen2ForCausalLM2026RopeScaling",
    "Authorization: required by this server",
    "auth_host=server.example.com:8000",
    "MIIDXTCCAkWgAwIBAgIJAJC1HiIAZAiIMA0GCSqGSIb3DQEB",
    "running pass:noop_elimination_for_v1",
]
#: What a pattern could need forever for.
LONG = [
    "A" * 200_000,
    "a_" * 50_000,
    "token" * 20_000,
    "key " * 30_000,
    "password=" * 10_000,
    '"' * 50_000,
]
LONG += [
    "sk-" * 20_000,
    "\\" * 40_000,
    'token="\\' * 5_000,
    "://a:b" * 10_000,
    "token=a" + ";a" * 20_000,
]
LONG += [
    "api_key: [\n" * 3_000,
    "%3A%2F%2F" * 5_000,
    "token\x1b[0m" * 4_000,
    "token," + " " * 40_000,
]
#: Names beside which nothing is one, and what a pattern begins with anew at each place.
LONG += [name * 30_000 for name in ("key=", "key,", "key.", "auth:", "pass:")]
LONG += [word * 20_000 for word in ("token\\\n", "proxy", "a_proxy:", "eyJaaaaaaaa-", "Bearer ")]
LONG += ["token" + "\x1b[0m" * 30_000, "-----BEGIN " + "PRIVATE KEY" * 15_000, "----END " * 20_000]
LONG += [f"{PEM[:64]} {shut}" * 2_500 for shut in ("", "----")]
LONG += ["api_key: [" * 10_000, "\n  x" * 30_000, f"{PEM}\n" * 3_000, "docker login " * 10_000]


@pytest.mark.parametrize("text", SHAPES)
def test_what_looks_like_a_secret_is_taken_out(text: str) -> None:
    assert SECRET not in redact(text)
    assert "A1B2C3D4E5F6G7H8" not in redact(text)
    assert "(redacted)" in redact(text)


@pytest.mark.parametrize("before", [*SPELLED, *SHOWN], ids=repr)
@pytest.mark.parametrize("text", BEGUN)
def test_a_secret_is_taken_out_whatever_stands_before_it(before: str, text: str) -> None:
    told = redact(f"a word {before}{text}{before} and more")
    assert SECRET not in told
    assert "A1B2C3D4E5F6G7H8" not in told
    assert told.endswith(" and more")


@pytest.mark.parametrize(
    "unseen", ["\x1b[0m", "\u200b", "\x00", "\u202e", "\x1b(B", "\ufe0f", "\u3164", "\U000e0100"]
)
def test_nothing_unseen_hides_a_secret(unseen: str) -> None:
    """Whoever made the text plain afterwards would put it together."""
    for text in (f"hf_{unseen}{SECRET}", f"h{unseen}f_{SECRET}", f"api{unseen}_key={SECRET}"):
        assert redact(text) == plain(redact(text))
        assert SECRET not in redact(text)
    known = f"it said open {unseen}sesame!"
    assert redact(known, ["open sesame"]) == "it said (redacted)!"


def test_what_is_joined_to_a_secret_stays() -> None:
    assert redact(f"'api_key': '{SECRET}', 'port': 8000") == "'api_key': '(redacted)', 'port': 8000"
    assert redact(f"--api-key {SECRET} --port 8000") == "--api-key (redacted) --port 8000"
    assert redact(f"token: |\n  {SECRET}\nnext: 1").endswith("\nnext: 1")


@pytest.mark.parametrize("text", HARMLESS)
def test_what_explains_a_failure_stays(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize("text", LONG, ids=range(len(LONG)))
def test_a_log_that_says_one_thing_for_ever_is_read_in_a_time_that_grows_with_it(text: str) -> None:
    assert grows_with_its_text(redact, text)


def test_what_stands_in_the_line_behind_a_secret_stays() -> None:
    for line in (
        "CUDA_VISIBLE_DEVICES=0",
        "2026-11-29 01:00:00 INFO",
        "vllm-0.19.1",
        "next: 1",
        "INFO 11-29 started",
        '"port": 8000',
        "    --max-model-len 4096",
    ):
        told = redact(f"HF_TOKEN={SECRET}\n{line}\nlast")
        assert told == f"HF_TOKEN=(redacted)\n{line}\nlast"


def test_known_values_are_taken_out_wherever_they_stand_and_short_ones_are_not() -> None:
    assert redact("it said open sesame!", ["open sesame"]) == "it said (redacted)!"
    assert redact("port 80", ["80"]) == "port 80"


def test_a_value_that_holds_another_is_taken_out_whole() -> None:
    assert redact("abcdefgh", ["abcd", "abcdefgh"]) == "(redacted)"


@pytest.mark.parametrize(
    ("said", "left"),
    [
        (f"bad key: {SECRET}.", "bad key: (redacted)."),
        (f"bad key: {SECRET[:16]}...", "bad key: (redacted)..."),
        (f"twice: {SECRET[4:20]}, {SECRET}", "twice: (redacted), (redacted)"),
        (f"begins with {SECRET[:8]}", f"begins with {SECRET[:8]}"),
        ("the password is wrong", "the password is wrong"),
        ("token: pin-7", "token: (redacted)"),
    ],
)
def test_of_a_given_secret_not_even_a_part_is_left_and_all_else_is(said: str, left: str) -> None:
    assert redact_parts(said, [SECRET, "pin-7", "ab"]) == left


def test_a_part_of_a_secret_is_known_in_json_too() -> None:
    secret = f'{PEM}\n"{SECRET}"\n'
    said = json.dumps({"detail": secret[: len(PEM) + 14]})
    assert redact_parts(said, [secret]) == '{"detail": "(redacted)"}'


def test_parts_of_a_long_secret_are_looked_for_in_time() -> None:
    assert grows_with_its_text(lambda text: redact_parts(text, [PEM * 40]), "abc " * 20000)


def test_a_secret_without_end_is_taken_out_whole() -> None:
    for value in ("x1" * 5_000, f'"{"x1" * 5_000}"', f"[{'x1, ' * 5_000}"):
        assert "x1" not in redact(f"HF_TOKEN={value}\nlast")
        assert redact(f"HF_TOKEN={value}\nlast").endswith("\nlast")
