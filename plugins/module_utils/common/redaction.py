# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes secrets out of text before it leaves the host or is written down: one pure function.

A secret is known by its value, by its look, by where it stands (a header, an address), or by the
name beside it: then words decide, so that `apiKeys`, `HF_TOKEN_2` and `client-secret` count and
`eos_token`, `max_tokens` and `KeyError` do not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

REDACTED = "(redacted)"
SHORTEST_SECRET = 4
"""A shorter value would turn up everywhere by chance."""

_LOOKS = tuple(
    re.compile(pattern, flags)
    for pattern, flags in (
        # The block of a private key; its head or its foot may be cut off, and its lines be escaped.
        (r"()-----BEGIN [A-Z ]*PRIVATE KEY[A-Z ]*-----.*?(?:-----END [A-Z ]*-----|\Z)", re.S),
        (
            r"()(?<![A-Za-z0-9+/=])(?:[A-Za-z0-9+/=]{16,80}(?:\s|\\n){1,20}){1,60}"
            r"-----END [A-Z ]*PRIVATE KEY[A-Z ]*-----",
            0,
        ),
        # Tokens that are known by their look: model hubs, clouds, marketplaces, code hosts.
        (r"()\b(?:hf_|gh[opsur]_|github_pat_|glpat-|npm_|pypi-|rpa_|r8_|dop_v1_)\w[\w-]{15,}", 0),
        (r"()\b(?:sk|pk|rk|nvapi|xox[abeoprs])-[A-Za-z0-9_-]{16,}", 0),
        (r"()\b(?:AKIA|ASIA)[A-Z0-9]{16}\b", 0),
        (r"()\bAIza[A-Za-z0-9_-]{30,}", 0),
        (r"()\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*", 0),
        # Headers, also in lists, and wrapped.
        (r"(\bBearer\s+)(?!auth|token|is\b)[A-Za-z0-9._~+/=-]{6,}", re.I),
        (r"(\b(?:Basic|Token|ApiKey)\s+)(?=\S*\d|\S{20})[A-Za-z0-9._~+/=-]{6,}", re.I),
        (r"(\b(?:Set-)?Cookie[\"']?\s*[:=,]\s*[\"']?)[^\"'\r\n]+", re.I),
        (
            r"(\b(?:Proxy-)?Authorization\\?[\"']?\s*[:=,]\s*\\?[\"']?"
            r"(?:(?:Bearer|Basic|Token|ApiKey|Digest|Negotiate)\s+|(?![A-Za-z]+\s)))(?!\(red)"
            r"[^\s\"',\\]+",
            re.I,
        ),
        # Addresses: user and password, and what is named among the parameters.
        (r"(://)[^\s/?#\"'\\<>]{1,500}(?=@)", 0),
        (r"([?&](?:key|auth|sig|signature|code|X-Amz-[A-Za-z-]+)(?:=|%3D))[^&\s\"']+", re.I),
        # What programs take without a name: curl -u, docker login -p, sshpass -p, netrc.
        (r"(\s(?:-u|--user)[\s=]+[\"']?[\w.@-]+:)[^\s\"']+", 0),
        (r"(\b(?:docker|podman) login\b[^\n]{0,200}?\s-p[\s=]*[\"']?)[^\s\"']+", 0),
        (r"(\bsshpass\s+-p\s*[\"']?)[^\s\"']+", 0),
        (r"(\blogin\s+\S+\s+password\s+)\S+", 0),
        (r"(\bset\s+api-key\s+)\S+", 0),
        (r"(\b(?:password|passphrase|token|secret|api[ _-]?key)\s+(?:is|was)\s+[\"']?)"
         r"(?=[^\s\"']*\d)[^\s\"',;]{12,}", re.I),
    )
)  # fmt: skip

#: A word in a name that makes it one of a secret, in the singular.
_SECRET_WORDS = frozenset(
    {
        "password", "passwd", "passphrase", "pwd", "secret", "credential", "cred", "token",
        "apikey", "accesskey", "authkey", "privatekey", "accesstoken", "authtoken", "bearer",
    }
)  # fmt: skip
#: What a key is of when it is a secret.
_KINDS_OF_KEY = frozenset(
    {
        "api", "access", "secret", "private", "signing", "encryption", "auth", "account", "license",
        "master", "service", "storage", "admin", "shared", "ssh", "session", "server", "deploy",
        "client", "hub", "user", "app",
    }
)  # fmt: skip
#: Beside these a token is a piece of text for a model, or a count of them.
_TEXT_WORDS = frozenset(
    {
        "eos", "bos", "pad", "unk", "sep", "cls", "mask", "image", "audio", "video", "vision",
        "max", "min", "num", "new", "prompt", "completion", "total", "special", "stop", "id", "ids",
        "per", "batched", "type", "count", "usage", "budget", "length", "len", "input", "output",
        "cached",
        "draft", "next", "top", "first", "reasoning", "chat", "forced", "begin", "end", "start",
        "decoder", "vocab", "added", "extra", "kv", "size", "rate", "second", "logprob", "mode",
        "n", "ratio", "limit", "thinking", "window",
    }
)  # fmt: skip
#: A name that may be one of a secret, with what joins it to its value.
_HEAD = re.compile(
    r"(?P<dashes>(?<![\w-])--?)?(?<![A-Za-z0-9])"
    r"(?P<name>[A-Za-z0-9_.-]{0,48}?(?:pass|pwd|secret|cred|token|key|bearer)[A-Za-z0-9_.-]{0,32}"
    r"|(?:api|access|secret|private) key)"
    r"(?P<quote>\\?[\"']?)"
    r"(?P<gap>[ \t]*(?:=>|:=|[=:]|%3D)[ \t]*(?:\\\r?\n\s*)?|(?:[ \t]|\\\r?\n)+|,\s*|>)",
    re.I,
)
#: Its value: quoted, in brackets, in the indented lines below, or up to the next gap.
_VALUE = re.compile(
    r"\\?\"(?:[^\"\\\n]|\\[^\"])*\\?\"|'[^'\n]*'|[\[({][^\])}]{0,2000}[\])}]"
    r"|(?:[|>][+-]?[ \t]*)?(?:\r?\n[ \t]+(?:- +)?[^\s:=]+(?=\s*(?:\r?\n|\Z)))+"
    r"|[^\s\"',;&|<>(){}\[\]\\]+"
)
_PIECE = re.compile(r"[^\s\[\](){}\"',:\\|>-][^\s\[\](){}\"',\\]*")
_IS_A_NAME = re.compile(r"[\"']\s*:\s*")
_NO_SECRETS = ("none", "null", "true", "false", "~", "undefined", REDACTED)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """The text without the given secrets and without what looks like one."""
    for secret in sorted(set(secrets), key=len, reverse=True):
        if len(secret) >= SHORTEST_SECRET:
            text = text.replace(secret, REDACTED)
    for pattern in _LOOKS:
        text = pattern.sub(rf"\g<1>{REDACTED}", text)
    return _without_named(text)


def redact_in(value: Any, secrets: Iterable[str] = (), most: int | None = None) -> Any:
    """*value* with every text in it redacted, and cut to *most* letters.

    In a mapping, the name decides as well as the text.
    """
    if isinstance(value, str):
        return redact(value[:most], secrets)
    if isinstance(value, dict):
        return {
            name: REDACTED
            if isinstance(one, str) and _is_secret(str(name), one)
            else redact_in(one, secrets, most)
            for name, one in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [redact_in(one, secrets, most) for one in value]
    return value


def _without_named(text: str) -> str:
    """The text without the values beside names of secrets."""
    parts, end = [], 0
    for head in _HEAD.finditer(text):
        value = _VALUE.match(text, head.end()) if head.start() >= end else None
        if value and _joins(head, value[0]) and _is_secret(head["name"], value[0]):
            parts += [text[end : head.end()], _left_out(value[0])]
            end = value.end()
    return "".join([*parts, text[end:]])


def _joins(head: re.Match[str], value: str) -> bool:
    """Whether a name has a value: a blank or a comma joins an option, or two texts in quotes."""
    gap = head["gap"]
    if any(sign in gap for sign in "=:%>"):
        return True
    return bool(head["dashes"]) or (bool(head["quote"]) and "," in gap and value[0] in "\\\"'")


def _is_secret(name: str, value: str) -> bool:
    bare = value.strip("\\\"' ")
    if not bare or bare.lower() in _NO_SECRETS or bare.startswith(("-", "$", "{{", "%(")):
        return False
    if " " in name and (len(bare) < 8 or not any(sign.isdigit() for sign in bare)):
        # Prose: "the API key: it was refused".
        return False
    words = [_singular(word.lower()) for word in _WORD.findall(name)]
    if words[-1:] == ["key"]:
        return name.isupper() or (len(words) > 1 and words[-2] in _KINDS_OF_KEY)
    if "token" in words:
        return not _TEXT_WORDS & set(words) and not bare.replace(".", "").isdigit()
    if words[-1:] == ["pass"]:
        return len(words) > 1 and not bare.isdigit()
    pairs = zip(words, words[1:])
    of_key = any(second == "key" and first in _KINDS_OF_KEY for first, second in pairs)
    return of_key or bool(_SECRET_WORDS & set(words))


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def _left_out(value: str) -> str:
    """The value with each of its pieces left out; quotes, brackets and names in it stay."""
    if value[0] in "[({|>\r\n":
        return _PIECE.sub(lambda piece: _piece(value, piece), value)
    quote = re.match(r"\\?[\"']", value)
    edge = quote[0] if quote else ""
    return f"{edge}{REDACTED}{edge}"


def _piece(value: str, piece: re.Match[str]) -> str:
    names = _IS_A_NAME.match(value, piece.end())
    return piece[0] if names or piece[0].lower() in _NO_SECRETS else REDACTED
