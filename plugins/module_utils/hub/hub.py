# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The model hub's HTTP API, or a mirror's: which files a model has, and their bytes.

The token goes to the hub alone: the hub sends downloads to other servers, and these get none. The
hub gets it only where it lets nobody in without, and never over http.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ..common.addresses import is_closed
from ..common.answers import UnreadableAnswer, parse

PUBLIC = "https://huggingface.co"
USER_AGENT = "inferops.gpu"
#: How a hub says that it gives this to nobody without a token; what is private is not found.
_WANTS_TOKEN = (401, 403, 404)

MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")
COMMIT = re.compile(r"[0-9a-f]{40}")
"""A commit is a folder on the host: nothing else may stand in its place."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
#: A path below the model's folder, without what leads elsewhere or cannot be shown.
_FILE_NAME = re.compile(r"[^\x00-\x1f\x7f\\]{1,500}")
#: Of names that the folder of a copy has for its own use.
_OUR_PREFIX, _OUR_SUFFIXES = ".inferops", (".incomplete", ".incomplete.pieces")
MOST_FILES, MOST_FILE_BYTES = 10_000, 2**50
_MOST_LISTING_BYTES = 32 * 2**20


class HubError(Exception):
    """The hub does not give what was asked for. `kind`: gated, missing, unreachable or refused.

    What is unreachable may answer a moment later; the others will not. One that is `busy` may do so
    when others have their answers.
    """

    busy = False

    def __init__(self, kind: str, cause: str, remedy: str) -> None:
        super().__init__(f"{cause} {remedy}")
        self.kind = kind
        self.cause = cause
        self.remedy = remedy


@dataclass(frozen=True)
class File:
    """One file of a model. Large ones have a SHA-256, the others the id that git gives them; a
    mirror may tell neither.
    """

    name: str
    size: int
    sha256: str | None
    git_id: str | None

    @property
    def checksum(self) -> str | None:
        """By which its bytes can be proven; None where only its size is known."""
        return self.sha256 or self.git_id

    def digest(self) -> Any:
        """Takes in the bytes of the file, from the first on, to compare with its checksum; None
        where that is not known.
        """
        if self.sha256:
            return hashlib.sha256()
        if self.git_id:
            return hashlib.sha1(f"blob {self.size}\0".encode(), usedforsecurity=False)
        return None


@dataclass(frozen=True)
class Listing:
    """A model at one commit."""

    model: str
    commit: str
    gated: bool
    files: list[File]


def default_endpoint() -> str:
    """The hub that this machine's own settings name."""
    return os.environ.get("HF_ENDPOINT") or PUBLIC


class Hub:
    """One hub, as one account sees it."""

    def __init__(
        self, endpoint: str, token: str | None, timeout_seconds: float, token_always: bool = False
    ) -> None:
        """With *token_always* the token goes along with every request, and over http too."""
        self.endpoint = endpoint.rstrip("/")
        self.token = token
        self.timeout_seconds = timeout_seconds
        self.token_always = token_always
        #: Whether something was given for the token's sake alone.
        self.needs_token = False
        self.opener = urllib.request.build_opener(_Redirects(token))

    def listing(self, model: str, revision: str) -> Listing:
        """The files of a model at a branch, tag or commit. Raises HubError."""
        place = urllib.parse.quote(revision, safe="")
        url = f"{self.endpoint}/api/models/{model}/revision/{place}?blobs=true"
        with self._get(lambda: self._ask(url, {}), model, revision) as answer:
            try:
                return _listing(_told(answer))
            except ValueError as error:
                raise HubError(
                    "refused",
                    f"{self.endpoint} does not answer as a model hub does: {error}.",
                    "Set the endpoint to one that does.",
                ) from error

    def probe(self, model: str, commit: str, name: str) -> None:
        """Ask for one byte: a gated model lists its files to everybody. Raises HubError."""
        with self.read(model, commit, name, {"Range": "bytes=0-0"}):
            pass

    @contextmanager
    def read(
        self,
        model: str,
        commit: str,
        name: str,
        headers: Mapping[str, str] | None = None,
        address: str | None = None,
    ) -> Iterator[http.client.HTTPResponse]:
        """A file, or what these headers ask of it. Raises HubError.

        An *address* is where an earlier answer came from. Whoever is there gets no token.
        """
        url = f"{self.endpoint}/{model}/resolve/{commit}/{urllib.parse.quote(name)}"
        asked = headers or {}

        def ask() -> http.client.HTTPResponse:
            return self._open(address, asked) if address else self._ask(url, asked)

        with self._get(ask, model, commit) as answer:
            yield answer

    @contextmanager
    def _get(
        self, ask: Callable[[], http.client.HTTPResponse], model: str, revision: str
    ) -> Iterator[http.client.HTTPResponse]:
        try:
            answer = ask()
        except urllib.error.HTTPError as error:
            with error:
                raise self._refusal(error, model, revision) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self.unreachable(getattr(error, "reason", error)) from error
        with answer:
            yield answer

    def _ask(self, url: str, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        """The answer without the token, or else, where that is refused, with it."""
        if self.token and (self.needs_token or self.token_always):
            return self._open(url, headers, self.token)
        try:
            return self._open(url, headers)
        except urllib.error.HTTPError as error:
            asked = origin(error.url or url) == origin(url)
            if not self.token or error.code not in _WANTS_TOKEN or not asked:
                raise
            self._refuse_http(url)
            answer = self._open(url, headers, self.token)
        self.needs_token = True
        return answer

    def _open(
        self, url: str, headers: Mapping[str, str], token: str = ""
    ) -> http.client.HTTPResponse:
        request = urllib.request.Request(url, headers={"User-Agent": USER_AGENT, **headers})
        if token:
            request.add_unredirected_header("Authorization", f"Bearer {token}")
        answer: http.client.HTTPResponse = self.opener.open(request, timeout=self.timeout_seconds)
        return answer

    def _refuse_http(self, url: str) -> None:
        if not is_closed(url):
            raise HubError(
                "refused",
                f"{self.endpoint} wants a token, which everybody on the way to it could read.",
                "Use its https address, or set inferops_hub_token_always.",
            )

    def unreachable(self, why: object) -> HubError:
        """The error for a hub, or a server that it names, that does not answer properly."""
        return HubError(
            "unreachable",
            f"{self.endpoint} cannot be read: {why}.",
            "Check the network, or set the endpoint to a mirror.",
        )

    def astray(self, name: str, why: str) -> HubError:
        """The error for a server that gives other bytes than it was asked for. It may be one of
        several behind one address, so the next answer may be right.
        """
        return HubError(
            "unreachable",
            f"{self.endpoint} does not give {name} as it lists it: {why}.",
            "Set the endpoint to another mirror, or to the hub itself.",
        )

    def _refusal(self, error: urllib.error.HTTPError, model: str, revision: str) -> HubError:
        code, status = error.headers.get("X-Error-Code", ""), error.code
        page = f"{self.endpoint}/{model}"
        if status >= 500 or status in (408, 429):
            away = self.unreachable(f"it answers {status}")
            away.busy = status in (429, 503)
            return away
        if status == 416:
            return self.astray(f"a file of {model}", "it is shorter there")
        said = error.headers.get("X-Error-Message", "")
        if status == 403 and code != "GatedRepo":
            return self._forbidden(error.url or "", model, said)
        if status == 401 and self.token and "invalid" in said.lower():
            return HubError(
                "refused",
                f"{self.endpoint} does not accept the token: {said}",
                "Set HF_TOKEN to one that is valid, or to none for a public model.",
            )
        if code == "GatedRepo":
            return HubError(
                "gated",
                f"Model {model} is gated, and "
                + ("this token has no access to it." if self.token else "no token is given."),
                f"Ask for access at {page} and set HF_TOKEN to a token of that account.",
            )
        if code == "RevisionNotFound":
            return HubError(
                "missing",
                f"Model {model} has no revision {revision!r}.",
                f"Take one that {page} lists, such as main.",
            )
        if code == "EntryNotFound":
            return HubError("missing", f"A file of {model} is missing on the hub.", "Try again.")
        if status in (401, 404):
            return HubError(
                "missing",
                f"{self.endpoint} has no model {model}"
                + (
                    "."
                    if self.token
                    else ", or it is private: to those without a token it says no."
                ),
                "Check its name, or set HF_TOKEN to a token that may read it.",
            )
        return HubError("refused", f"{page} answers {status}.", "See what that page says.")

    def _forbidden(self, url: str, model: str, said: str) -> HubError:
        """A 403 that is none for want of consent: it stands in the hub's own words, if anywhere."""
        if origin(url) != origin(self.endpoint):
            # A link to where the bytes lie, which is good for a time: the hub gives a new one.
            return self.unreachable("the server that it names answers 403")
        if "gated repositories" in said and "token" in said:
            return HubError(
                "refused",
                f"The token may not read gated models such as {model}, whatever its account may.",
                "Give it the right to read public gated repositories in the hub's token settings, "
                "or set HF_TOKEN to a token of the kind read.",
            )
        if "disabled" in said:
            return HubError(
                "refused", f"Model {model} is disabled on the hub: {said}", "Take another model."
            )
        return HubError(
            "refused",
            f"{self.endpoint} answers 403 for {model}: {said or 'it does not say why'}.",
            "If it is not the token's rights, a firewall or proxy blocks this machine: ask the hub "
            "from another network, or set the endpoint to a mirror.",
        )


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows the hub to where the bytes are; only the hub's own origin gets the token."""

    def __init__(self, token: str | None) -> None:
        self.token = token

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request:
        following = urllib.request.Request(newurl, headers=dict(req.headers))
        if (
            self.token
            and req.has_header("Authorization")
            and origin(newurl) == origin(req.full_url)
        ):
            following.add_unredirected_header("Authorization", f"Bearer {self.token}")
        return following

    http_error_308 = urllib.request.HTTPRedirectHandler.http_error_302


def origin(url: str) -> tuple[str, str]:
    """Who answers at an address."""
    parts = urllib.parse.urlsplit(url)
    return parts.scheme, parts.netloc.lower()


# What follows checks an answer before anything else sees it: names in it become paths on the host.
# Each raises ValueError, whose text says what is wrong.


def _told(answer: http.client.HTTPResponse) -> dict[str, Any]:
    body = answer.read(_MOST_LISTING_BYTES + 1)
    if len(body) > _MOST_LISTING_BYTES:
        raise UnreadableAnswer(f"its listing is longer than {_MOST_LISTING_BYTES >> 20} MiB")
    return _object(parse(body.decode(errors="replace")), "its listing")


def _listing(told: dict[str, Any]) -> Listing:
    rows = told.get("siblings")
    if not isinstance(rows, list) or len(rows) > MOST_FILES:
        raise ValueError(f"it names no list of at most {MOST_FILES} files")
    files = [_file(_object(row, "a file")) for row in rows]
    if len({file.name for file in files}) < len(files):
        raise ValueError("it names a file twice")
    return Listing(
        _text(told.get("id"), MODEL_NAME, "name of a model"),
        _text(told.get("sha"), COMMIT, "commit of 40 hexadecimal digits"),
        bool(told.get("gated")),
        files,
    )


def _file(row: dict[str, Any]) -> File:
    large = _object(row.get("lfs") or {}, "a file")
    name = _text(row.get("rfilename"), _FILE_NAME, "name of a file")
    parts = name.split("/")
    if {"", ".", ".."} & set(parts):
        raise ValueError(f"it names a file outside of the model: {name!r}")
    if parts[0].startswith(_OUR_PREFIX) or name.endswith(_OUR_SUFFIXES):
        raise ValueError(f"a file of it has a name that downloads use themselves: {name!r}")
    size = large.get("size") or row.get("size")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= MOST_FILE_BYTES:
        raise ValueError(f"{size!r} is no size of {name!r}")
    return File(
        name=name,
        size=size,
        sha256=_checksum(large.get("sha256"), _SHA256),
        git_id=None if large else _checksum(row.get("blobId"), COMMIT),
    )


def _checksum(told: Any, pattern: re.Pattern[str]) -> str | None:
    return None if told is None else _text(told, pattern, "checksum")


def _text(told: Any, pattern: re.Pattern[str], what: str) -> str:
    if not isinstance(told, str) or not pattern.fullmatch(told):
        raise ValueError(f"{str(told)[:80]!r} is no {what}")
    return told


def _object(told: Any, what: str) -> dict[str, Any]:
    if not isinstance(told, dict):
        raise ValueError(f"{what} is no JSON object")
    return told
