# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A log begins and ends anywhere: of a private key that it shows a part of, nothing is left."""

from __future__ import annotations

import hashlib
import json
import random
from base64 import b64encode
from collections.abc import Callable

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.common.redaction import redact

FOOT = "-----END OPENSSH PRIVATE KEY-----"


def body(width: int, size: int = 1100) -> list[str]:
    """Lines of a key that is *size* bytes long, without what keys begin with."""
    text = b64encode(random.Random(width).randbytes(size)).decode()
    return [text[start : start + width] for start in range(0, len(text), width)]


def plain(lines: list[str]) -> str:
    return "\n".join(lines)


def stamped(lines: list[str]) -> str:
    """As `docker logs --timestamps` and compose write it."""
    said = enumerate(lines)
    return "\n".join(f"2026-11-30T17:00:{n:02}.123456789Z vllm-1  | {line}" for n, line in said)


WRITTEN: dict[str, Callable[[list[str]], str]] = {
    "plain": plain,
    "crlf": lambda lines: "\r\n".join(lines),
    "stamped": stamped,
    "barred": lambda lines: "\n".join(f"| {line}" for line in lines),
    "leveled": lambda lines: "\n".join(f"INFO 11-30 17:00:01 [app.py:12] {one}" for one in lines),
    "logfmt": lambda lines: "\n".join(f'level=info msg="{line}"' for line in lines),
    "json": lambda lines: json.dumps({"log": plain(lines)}),
    "json-in-json": lambda lines: json.dumps({"log": json.dumps({"log": plain(lines)})}),
    "json-crlf": lambda lines: json.dumps({"log": "\r\n".join(lines)}),
    "json-lines": lambda lines: "\n".join(json.dumps({"log": f"{one}\n"}) for one in lines),
    "list": repr,
    "blanks": lambda lines: " ".join(lines),
    "indented": lambda lines: plain([f"      {line}" for line in lines]),
}


@pytest.mark.parametrize("written", WRITTEN)
@pytest.mark.parametrize("width", [64, 70, 72, 76])
def test_of_a_key_whose_edges_are_cut_off_no_line_is_left(width: int, written: str) -> None:
    lines, write = body(width), WRITTEN[written]
    for part in (
        lines[3:],
        lines[3:7],
        [lines[3][20:], *lines[4:7]],
        [*lines[3:6], lines[6][:40]],
        [*lines[4:], FOOT],
        [*lines[-1:], FOOT],
        [*lines[-2:], FOOT],
    ):
        told = redact(write(part))
        assert not [line for line in part if line != FOOT and line in told]


@pytest.mark.parametrize("written", WRITTEN)
@pytest.mark.parametrize("width", [64, 70, 72, 76])
def test_a_text_that_begins_and_ends_within_a_line_shows_nothing_of_it(
    width: int, written: str
) -> None:
    lines = body(width)[3:9]
    whole = WRITTEN[written](lines)
    begin, end = whole.index(lines[0]) + width - 9, whole.index(lines[-1]) + 20
    told = redact(whole[begin:end])
    assert not [line for line in (lines[0][-9:], *lines[1:-1], lines[-1][:20]) if line in told]


@pytest.mark.parametrize("written", WRITTEN)
def test_what_stands_around_such_lines_stays(written: str) -> None:
    around = "starting 7\n", "\nlast words of\nvllm-0.19.1 done\n"
    told = redact(WRITTEN[written](body(64)[3:]).join(around))
    assert told.startswith(around[0])
    assert told.endswith(around[1])


def sums(algorithm: str) -> list[str]:
    return [hashlib.new(algorithm, bytes([n])).hexdigest() for n in range(8)]


def in_base64(algorithm: str) -> list[str]:
    return [b64encode(hashlib.new(algorithm, bytes([n])).digest()).decode() for n in range(8)]


@pytest.mark.parametrize(
    "lines",
    [
        sums("sha1"),
        sums("sha256"),
        [one.upper() for one in sums("sha256")],
        [f"{one}  model-{n:05}-of-00008.safetensors" for n, one in enumerate(sums("sha256"))],
        [f"    --hash=sha256:{one} \\" for one in sums("sha256")],
        [f'"integrity": "sha512-{one}",' for one in in_base64("sha512")],
        [f'"integrity": "sha384-{one}",' for one in in_base64("sha384")],
        [f"SHA256:{one[:-1]} root@host (ED25519)" for one in in_base64("sha256")],
        [f"commit {one}" for one in sums("sha1")],
        [f"Digest: sha256:{one}" for one in sums("sha256")],
        [f"Layer {one[:12]} pulled" for one in sums("sha256")],
        ["-----BEGIN CERTIFICATE-----", *body(64), "-----END CERTIFICATE-----"],
        [*body(64)[3:], "-----END CERTIFICATE-----"],
        ["-----BEGIN PUBLIC KEY-----", *body(64, 290), "-----END PUBLIC KEY-----"],
        ["a" * 64, "B" * 64, "/usr/lib/python3/dist/packages/torch/nn/modules/module/Linear1"],
    ],
    ids=lambda lines: lines[0][:24],
)
def test_sums_names_and_certificates_stay(lines: list[str]) -> None:
    for write in (plain, WRITTEN["json"], stamped):
        assert redact(write(lines)) == write(lines)


def test_a_key_below_a_certificate_is_taken_and_the_certificate_stays() -> None:
    certificate = ["-----BEGIN CERTIFICATE-----", *body(64), "-----END CERTIFICATE-----"]
    key = body(70)
    told = redact(plain([*certificate, *key[3:], FOOT, *certificate]))
    assert not [line for line in key[3:] if line in told]
    assert told.count(plain(certificate)) == 2
