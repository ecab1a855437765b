# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes secrets out of text before it leaves the host or is written down: one pure function.

A secret is known by its value, by its look, by where it stands (a header, an address), or by the
name beside it: then words decide, so that `apiKeys`, `HF_TOKEN_2` and `client-secret` count and
`eos_token`, `max_tokens` and `KeyError` do not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from .key_bodies import key_lines
from .plain import plain

REDACTED = "(redacted)"
SHORTEST_SECRET = 4
"""A shorter value would turn up everywhere by chance."""
LONGEST_CHANCE = 11
"""So many letters of a longer secret may stand in a text by chance, such as `https://www`."""

#: Parameters of addresses that are secrets, whose names alone would not tell.
_PARAMETER = r"(?:key|auth|sig|signature|code|policy|X-(?:Amz|Goog)-[A-Za-z-]+)"
SECRET_PARAMETER = re.compile(_PARAMETER, re.I)

#: The block of a private key; its foot may be cut off, and its lines be escaped.
_KEY = re.compile(
    r"-{4,5} ?BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,20}-{4,5}"
    r".*?(?:-{4,5} ?END [A-Z0-9 ]{0,60}-{4,5}|\Z)",
    re.S | re.I,
)
#: Where a word begins: also behind what a text within a text or an address spells of a line break,
#: a blank or a colour.
_BEGINS = (
    r"(?:\b|(?<=\\[bfnrt])|(?<=%[0-9A-Fa-f]{2})|(?<=\\u00[0-9A-Fa-f]{2})|(?<=\\x[0-9A-Fa-f]{2})"
    r"|(?<=[\[;]m)|(?<=[\[;]\dm)|(?<=[\[;]\d\dm))"
)
_LOOKS = tuple(
    re.compile(pattern.replace(r"\b", _BEGINS, 1), flags)
    for pattern, flags in (
        # How a private key begins behind its head: OpenSSH's own, those of RSA and of curves, what
        # is packed once more, and PuTTY's. For what begins later see key_bodies.
        (
            r"()\b(?:b3BlbnNzaC1rZXkt|LS0tLS1CRUdJTi|MII\w{2}(?:QIBADAN|[A-Za-z]IBAAKC)|MHcCAQEE"
            r"|MC4CAQAwBQYDK2Vw|MIGHAgEAMBMG)[A-Za-z0-9+/=]+(?:\s+[A-Za-z0-9+/=]{16,80})*",
            0,
        ),
        (r"(\bPrivate-Lines: \d+)(?:\r?\n[A-Za-z0-9+/=]+)+", 0),
        (r"(-MAC: )[0-9a-f]{32,}", 0),
        (r"()\$(?:[1256y]|2[abxy]|apr1|argon2\w*|scrypt)\$[\w./$=,+-]{16,}", 0),
        # Tokens that are known by their look: model hubs, clouds, marketplaces, code hosts.
        (
            r"()\b(?:hf_|api_org_|gh[opsur]_|github_pat_|npm_|pypi-|rpa_|r8_|do[opr]_v1_|gsk_|"
            r"[spr]k_(?:live|test)_|whsec_|glpat-|ya29\.|GOCSPX-|dckr_pat_|figd_|lin_api_|"
            r"shp(?:at|ca|pa|ss)_|sq0[a-z]{3}-|tgp_v1_|sntry[su]_|rubygems_|PMAK-|NRAK-|ATATT3x)"
            r"\w[\w-]{15,}",
            0,
        ),
        (r"()\b(?:sk|pk|rk|nvapi|xapp|xox[abeoprs])-[A-Za-z0-9_-]{16,}", 0),
        # Words begin so as well, and have no figures.
        (r"()\b(?:tskey-|gl[a-z]{2,5}-|hv[sbr]\.|pplx-|xai-)(?=[\w-]{0,60}\d)[\w-]{16,}", 0),
        (r"()\b(?:fw_|dapi|e?secret_|a[ks]-|ntn_|glsa_|sk_)(?=\w{0,60}\d)\w{20,}(?:\.\w{16,})?", 0),
        (r"()\bSG\.[\w-]{16,}\.[\w-]{16,}", 0),
        (r"()\b(?:AKIA|ASIA)[A-Z0-9]{16}\b", 0),
        (r"()\bAGE-SECRET-KEY-1[A-Z0-9]{16,}", 0),
        (r"()\bAIza[A-Za-z0-9_-]{30,}", 0),
        (r"()\b1//0[\w-]{30,}", 0),
        (r"()\beyJ[A-Za-z0-9_-]{8,1000}(?:\.[A-Za-z0-9_-]*){2,4}", 0),
        (r"()\bv[1-4]\.(?:local|public)\.[\w-]{16,}", 0),
        (r"()\b\d{8,10}:AA[\w-]{30,}", 0),
        (r"()\b\w{3}8Q~[\w.~-]{30,}", 0),
        # Addresses that are secrets themselves.
        (r"(\bhooks\.slack\.com/\w+/)[\w/]{8,}", 0),
        (r"(\bdiscord(?:app)?\.com/api/webhooks/)[\w/-]{8,}", 0),
        (r"(\bapi\.telegram\.org/bot)[\w:-]{8,}", 0),
        # Headers, also in lists, and wrapped.
        (
            r"(\bBearer(?:\s+|,\s*)\\*[\"']?)(?!(?:auth\w*|tokens?|is)\b(?![-.]))"
            r"[A-Za-z0-9._~+/=-]{6,}",
            re.I,
        ),
        (r"(\b(?:Basic|Token|ApiKey)\s+)(?=\S*\d|\S{20})[A-Za-z0-9._~+/=-]{6,}", re.I),
        (r"(\b(?:Set-)?Cookie[\"']?\s*[:=,]\s*[\"']?)[^\"'\r\n]+", re.I),
        (
            r"(\b(?:Proxy-)?Authorization\\*[\"']?\s*[:=,]\s*b?\\*[\"']?"
            r"(?:(?:Bearer|Basic|Token|ApiKey|Digest|Negotiate)\s+|(?![A-Za-z]+\s)"
            r"|[A-Za-z][\w-]{0,30}\s+(?=\S{0,60}\d)(?=\S{16})))(?!\(red)"
            r"[^\s\"',\\]+",
            re.I,
        ),
        (r"(\b(?:Signature|Credential)=)[\w/+=-]{16,}", 0),
        # Addresses: user and password, also one that should have been quoted, as text within a
        # text or an address, and what is named among the parameters.
        (r"(:(?:\\*/){2})[^\s/?#\"'\\<>]{1,500}(?=@)", 0),
        (r"(:(?:\\*/){2})[^\s/?#@:\"'\\<>]{0,100}:(?!\d{1,5}[/?#\s])[^\s\"'\\<>@]{1,200}(?=@)", 0),
        (r"(%3A(?:%2F){2})(?:(?!%2F)[^\s\"'&=]){1,500}?(?=%40)", re.I),
        (r"(proxy\w{0,20}[=:]\s*[\"']?)[\w.%-]{1,100}:[^\s\"'/@]{1,200}(?=@)", re.I),
        (rf"([?&]{_PARAMETER}(?:=|%3D))[^&\s\"']+", re.I),
        # What programs take without a name: curl -u, docker login -p, sshpass -p, netrc.
        (r"(\s(?:-u|--user)[\s=]*[\"']?[\w.@-]+:)(?!\d{1,6}\b)[^\s\"']+", 0),
        (r"(\b(?:docker|podman) login\b[^\n]{0,200}?\s-p[\s=]*[\"']?)[^\s\"']+", 0),
        (r"(\bsshpass\s+-p\s*[\"']?)[^\s\"']+", 0),
        (r"(\blogin\s+\S+\s+(?:account\s+\S+\s+)?password\s+)\S+", 0),
        (r"(\bset\s+api-key\s+)\S+", 0),
        (r"(\bredis-cli\s[^\n]{0,200}?-a\s+)\S+", 0),
        (r"(\s-pass(?:in|out)?\s+pass:)\S+", 0),
        (r"(\bwandb:? login\s+)(?=\w{0,60}\d)\w{20,}", 0),
        # Prose, tables and shells: there a value must look drawn.
        (r"((?:password|passphrase|token|secret|api[ _-]?key)\s+(?:is|was):?\s+[\"'`]?)"
         r"(?=[^\s\"'`]*\d)[^\s\"'`,;]{12,}", re.I),
        (r"((?:password|passphrase|token|secret|api[ _-]?key)"
         r"(?:\s{1,40}provided\b)?[\s:,|\u2502\"'`(\[]{1,40})"
         r"(?=[\w*-]{0,60}\d)(?=[\w*-]{0,60}[A-Za-z])[\w*-]{20,}", re.I),
    )
)  # fmt: skip

#: A word in a name that makes it one of a secret, in the singular.
_SECRET_WORDS = frozenset(
    {
        "password", "passwd", "passphrase", "pwd", "secret", "credential", "cred", "token",
        "apikey", "accesskey", "authkey", "privatekey", "secretkey", "accountkey", "bearer",
        "accesstoken", "authtoken", "identitytoken", "refreshtoken", "sessiontoken",
    }
)  # fmt: skip
#: What a key is of when it is a secret.
_KINDS_OF_KEY = frozenset(
    {
        "api", "access", "secret", "private", "signing", "encryption", "auth", "account", "license",
        "master", "service", "storage", "admin", "shared", "ssh", "session", "server", "deploy",
        "client", "engine", "hub", "user", "app", "preshared",
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
#: A name that may be one of a secret, with what joins it to its value; in lists of variables that
#: is the word "value".
_HEAD = re.compile(
    r"(?P<dashes>(?<![\w-])--?)?(?<![A-Za-z0-9])"
    r"(?P<name>[A-Za-z0-9_.-]{0,48}?(?:pass|pwd|secret|cred|token|key|bearer|auth(?![a-z]))"
    r"[A-Za-z0-9_.-]{0,32}(?![A-Za-z0-9_.])|(?:api|access|secret|private) key)"
    r"(?P<quote>\\{0,8}[\"']?)"
    r"(?P<gap>,?\s{0,40}\\{0,8}[\"']?value\\{0,8}[\"']?[ \t]*[:=][ \t]*"
    r"|[ \t]*(?:[=-]>|:=|==?|:|\uff1a|%(?:25)?3D)[ \t\xa0]*(?:\\\r?\n\s*)?"
    r"(?:(?:&\w{1,40}|!!?\w{1,40})[ \t]+)?|(?:[ \t]|\\\r?\n)+|,\s*|>)",
    re.I,
)
#: Its value: quoted, in the indented lines below, or up to the next gap; see also _in_brackets.
_VALUE = re.compile(
    r"\"{3}[^\"]*\"{3}|'{3}[^']*'{3}"
    r"|[bfru$]?\\{0,8}\"(?:[^\"\\\n]|\\[^\"])*\\{0,8}\"|[bfru$]?'[^'\n]*'(?:'[^'\n]*')*"
    # One that is cut off, or goes on in the next line, has no quote at the end of this one.
    r"|[bfru$]?\\{0,8}[\"'][^\"'\n]*(?:\n[ \t]*[^\s\"']{1,200}(?=[\"']))?"
    r"|(?:[|>][+-]?[ \t]*)?(?:\r?\n[ \t]+(?:- +)?[^\s:=]+(?=\s*(?:\r?\n|\Z)))+"
    r"|[^\s\"',;&|<>(){}\[\]\\]+"
    # A sign that begins nothing else is a part of it.
    r"(?:[;,&|()\\](?:\r?\n)?(?!-|[\w.-]*\s*[=:])[^\s\"',;&|<>(){}\[\]\\]+)*"
)
#: What is left of a secret where a terminal or a file has wrapped it: no word looks so.
_WRAPPED = re.compile(
    rf"{re.escape(REDACTED)}\\{{0,2}}\r?\n[ \t]*"
    r"(?=[\w+/-]{0,199}\d)(?=[\w+/-]{0,199}[A-Za-z])[\w+/-]{12,200}={0,2}(?=[\s\"',)\]}]|\Z)"
)
#: What Python or a shell writes before a quote.
_PREFIXES = "bfru$"
_BRACKETS = re.compile(r"(?P<open>[\[({])|[\])}]|\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*'")
#: By so much of it a value is judged. Else each name that turns out to be none of a secret would
#: have all that follows read once more.
_MOST_JUDGED = 2000
_PIECE = re.compile(r"[^\s\[\](){}\"',:\\|>-][^\s\[\](){}\"',\\]*")
_IS_A_NAME = re.compile(r"[\"']\s*:\s*")
_NO_SECRETS = ("none", "null", "true", "false", "~", "undefined", REDACTED)
#: What stands for a value: a variable of a shell, a template, a format.
_STAND_IN = re.compile(r"\$(?:[A-Z_][A-Z0-9_]*|\{.*|\(.*)|\{\{.*|%\(.*", re.S)
_DRAWN = re.compile(
    r"(?=.*\d)[\w+=~-]+|[A-Za-z0-9+/]{16,}={1,2}|[\w.@-]{1,64}:(?=.*\d)(?=.*[A-Za-z])[\w+=~-]{8,}"
)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
#: Names without gaps in them, such as PGPASSWORD, SSHPASS and HFTOKEN.
_RUN_TOGETHER = re.compile(r"(?i:\w*(?:password|passwd|passphrase))|[A-Z0-9]{2,}(?:PASS|TOKEN)")


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """The text, plain, without the given secrets and without what looks like one.

    What is not shown goes first: within a secret it would hide it here, and nowhere else.
    """
    text = plain(text)
    for secret in sorted(set(secrets), key=len, reverse=True):
        if len(secret) >= SHORTEST_SECRET:
            text = text.replace(secret, REDACTED)
    text = _KEY.sub(REDACTED, text)
    text = _without(text, key_lines(text))
    for pattern in _LOOKS:
        text = pattern.sub(rf"\g<1>{REDACTED}", text)
    return _WRAPPED.sub(REDACTED, _without_named(text))


def _without(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """The text without what stands from *start* to *end* of each of the spans, which are sorted."""
    parts, kept = [], 0
    for start, end in spans:
        if start >= kept:
            parts += [text[kept:start], REDACTED]
        kept = max(kept, end)
    return "".join([*parts, text[kept:]])


def redact_parts(text: str, secrets: Iterable[str]) -> str:
    """The text without the given secrets and without longer parts of them.

    For words of others that may quote the first letters of what they were sent. Nothing is judged
    by its look or its name, so that what they say of it stays.
    """
    hidden = bytearray(len(text))
    for secret in set(secrets):
        # As it is, and as JSON spells it.
        for spelled in (secret, json.dumps(secret)[1:-1]):
            _hide_parts(hidden, text, spelled)
    return _without(text, (found.span() for found in re.finditer(rb"\x01+", hidden)))


def _hide_parts(hidden: bytearray, text: str, secret: str) -> None:
    """Mark where the text has the secret, or a part of it that is no chance."""
    size = min(len(secret), LONGEST_CHANCE + 1)
    if size < SHORTEST_SECRET:
        return
    known = {secret[start : start + size] for start in range(len(secret) - size + 1)}
    for start in range(len(text) - size + 1):
        if text[start : start + size] in known:
            hidden[start : start + size] = b"\x01" * size


def redact_in(value: Any, secrets: Iterable[str] = (), most: int | None = None) -> Any:
    """*value* with every text in it redacted, and cut to *most* letters.

    In a mapping, the name decides as well as the text.
    """
    if isinstance(value, str):
        return redact(value[:most], secrets)
    if isinstance(value, dict):
        return {
            name: REDACTED
            if isinstance(one, str) and is_secret(str(name), one)
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
        # What is known without reading on comes first: a text may be nothing but names.
        if head.start() < end or not _names_secret(head["name"]):
            continue
        value = _judged(head, text)
        if value:
            parts += [text[end : head.end()], _left_out(value)]
            end = head.end() + len(value)
    return "".join([*parts, text[end:]])


def _judged(head: re.Match[str], text: str) -> str:
    """The value beside a name, whole, where it is a secret; else empty."""
    start = head.end()
    value = _value_at(text, start, start + _MOST_JUDGED)
    if not value or not _joins(head, value, text) or not is_secret(head["name"], value):
        return ""
    return value if len(value) < _MOST_JUDGED else _value_at(text, start, len(text))


def _value_at(text: str, start: int, until: int) -> str:
    if text[start : start + 1] in ("[", "(", "{"):
        return _in_brackets(text, start, until)
    found = _VALUE.match(text, start, until)
    return found[0] if found else ""


def _in_brackets(text: str, start: int, until: int) -> str:
    """What the bracket at *start* holds; the rest of the line where it is cut off."""
    depth = 0
    for sign in _BRACKETS.finditer(text, start, min(until, start + _MOST_JUDGED)):
        if len(sign[0]) == 1:
            depth += 1 if sign["open"] else -1
        if not depth:
            return text[start : sign.end()]
    line_end = text.find("\n", start, until)
    return text[start : line_end if line_end >= 0 else until]


def _joins(head: re.Match[str], value: str, text: str) -> bool:
    """Whether a name has a value: a blank or a comma joins an option, or two texts in quotes."""
    gap = head["gap"]
    quoted = value.lstrip(_PREFIXES)[:1] in ("\\", '"', "'")
    if any(sign in gap for sign in "=:%>"):
        return quoted or "==" not in gap
    if value.startswith("-") or _IS_A_NAME.match(text, head.end() + len(value) - 1):
        return False
    return bool(head["dashes"]) or (bool(head["quote"]) and "," in gap and quoted)


def is_secret(name: str, value: str) -> bool:
    """Whether *value* is a secret, by the name that it has."""
    bare = value.strip("\\\"' ")
    if not _names_secret(name) or not bare.strip("-*.") or bare.lower() in _NO_SECRETS:
        return False
    if _STAND_IN.fullmatch(bare):
        return False
    if " " in name and (len(bare) < 8 or not any(sign.isdigit() for sign in bare)):
        # Prose: "the API key: it was refused".
        return False
    words = _words(name)
    if words[-1:] == ["key"]:
        return True
    if "token" in words:
        return not bare.lstrip("-").replace(".", "").isdigit()
    if "auth" in words and not _SECRET_WORDS & set(words):
        # How somebody logs in has a short name, or an address.
        return len(bare) >= 16 and bool(_DRAWN.fullmatch(bare))
    if words == ["pass"]:
        # Of a compiler, or of a test, it is a word.
        has_both = not bare.isdigit() and not bare.isalpha()
        return len(bare) >= 12 and bare.isalnum() and has_both
    if words[-1:] == ["pass"]:
        return not bare.isdigit()
    return not _is_run_together(name) or not bare.isdigit() or not name.endswith("TOKEN")


def _names_secret(name: str) -> bool:
    """Whether anything beside *name* can be a secret."""
    words = _words(name)
    if words[-1:] == ["key"]:
        of_kind = len(words) > 1 and words[-2] in _KINDS_OF_KEY
        return name.isupper() or words[0] == "x" or of_kind
    if "token" in words:
        return not _TEXT_WORDS & set(words)
    if words[-1:] == ["pass"] or "auth" in words or _is_run_together(name):
        return True
    of_key = any(two == "key" and one in _KINDS_OF_KEY for one, two in zip(words, words[1:]))
    return of_key or bool(_SECRET_WORDS & set(words))


def _words(name: str) -> list[str]:
    return [_singular(word.lower()) for word in _WORD.findall(name)]


def _is_run_together(name: str) -> bool:
    return any(_RUN_TOGETHER.fullmatch(part) for part in re.split(r"[^A-Za-z0-9]+", name))


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def _left_out(value: str) -> str:
    """The value with each of its pieces left out; quotes, brackets and names in it stay."""
    if value[0] in "[({|>\r\n":
        return _PIECE.sub(lambda piece: _piece(value, piece), value)
    quote = re.match(r"[bfru$]?\\*(?:\"{3}|'{3}|[\"'])", value)
    edge = quote[0] if quote else ""
    return f"{edge}{REDACTED}{edge.lstrip(_PREFIXES)}"


def _piece(value: str, piece: re.Match[str]) -> str:
    names = _IS_A_NAME.match(value, piece.end())
    return piece[0] if names or piece[0].lower() in _NO_SECRETS else REDACTED
