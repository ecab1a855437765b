# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Failures to fetch the model."""

from __future__ import annotations

from .entry import GATED, HUB_VARIABLES, MODELS, Failure

DOWNLOAD = (
    Failure(
        "model_gated",
        (
            r"You are trying to access a gated repo",
            r"GatedRepoError",
            r"Cannot access gated repo for url",
            r"Access to model \S+ is restricted",
            r"is not in the authorized list",
            r"\b403 (?:Client Error: )?Forbidden\b.{0,20} for url:? .{0,3}https?://\S{1,200}/resolve/",
            r"Please enable access to public gated repositories",
        ),
        "The model's owner wants its licence accepted before it can be downloaded.",
        "Accept the licence on the model's page and put a token of that account into HF_TOKEN.",
        "HF_TOKEN",
        GATED,
    ),
    Failure(
        "hub_token_invalid",
        (r"^Invalid (?:credentials in Authorization header|user token)\b",),
        "The hub does not know the token that was given, or it is no longer good.",
        "Put a valid token into HF_TOKEN, or none for a model that needs none.",
        "HF_TOKEN",
        HUB_VARIABLES,
    ),
    Failure(
        "model_path_missing",
        (
            r"HFValidationError: Repo id must be in the form",
            r"No adapter found for /",
            r"Incorrect path_or_model_id: '",
        ),
        "The folder of the model, or of the adapter, does not exist on the host.",
        "Correct model, or bring the files to that folder.",
        "model",
        MODELS,
    ),
    Failure(
        "model_files_missing",
        (
            r"does not appear to have (?:a file|files) named \(?'?(?P<file>[\w./-]{1,120})",
            r"Failed to load mistral '(?P<file>[\w.]{1,60})' config",
            r"Weight files referenced in index but missing: (?P<file>.{1,120})",
            r"Can't load .{1,60}'[^']{1,200}'\. If you were trying.{1,500}containing an? "
            r"(?P<file>[\w.]{1,60}) file",
            r"Unrecognized model in .{1,200}Should have a (?P<file>`?model_type`? key)",
        ),
        "The model comes without {file}, which is needed.",
        "Download the model completely, or name one that is made for vLLM: not an adapter, not a "
        "folder with nothing but weights.",
        "model files",
        MODELS,
        shapes=(
            r"Error: No supported (?P<file>config) format found in",
            r"FileNotFoundError: .{0,40}No such file or directory: .{0,200}?"
            r"(?P<file>[\w.-]{1,100}\.(?:safetensors|bin|gguf|json|model))\b",
            r"Invalid type of HuggingFace (?P<file>processor)\b",
        ),
    ),
    Failure(
        "model_not_found",
        (
            r"RepositoryNotFoundError",
            r"is not a valid model identifier",
            r"Invalid repository ID or local directory specified",
            r"Could not detect config format for no config file found",
            r"Entry Not Found for url|RevisionNotFoundError",
        ),
        "There is no such model, or it is private and no token was given.",
        "Correct model, or set HF_TOKEN to a token that may read it.",
        "model",
        MODELS,
    ),
    Failure(
        "model_not_cached",
        (
            r"Cannot find an appropriate cached snapshot folder",
            r"outgoing traffic has been disabled",
            r"OfflineModeIsEnabled",
        ),
        "The model is not on the host and downloads are switched off (HF_HUB_OFFLINE).",
        "Download the model first, with the same HF_HOME, or remove HF_HUB_OFFLINE.",
        "HF_HUB_OFFLINE",
        HUB_VARIABLES,
    ),
    Failure(
        "disk_full",
        (r"No space left on device", r"\[Errno 28\]", r"StorageFull", r"Disk quota exceeded"),
        "The disk of the host is full.",
        "Rent a larger disk, move HF_HOME to a larger one, or delete models and caches.",
        "disk",
        HUB_VARIABLES,
    ),
    Failure(
        "disk_failing",
        (
            # Of a disk, of a network volume whose server is gone, and of one that was unmounted.
            r"\[Errno (?:5|107|108|116)\] "
            r"(?:Input/output error|Transport endpoint|Cannot send after|Stale file)",
        ),
        "The disk or the network volume of the host fails.",
        "Rent another host, or keep models on its own disk instead of a volume (inferops_home).",
        "host",
        HUB_VARIABLES,
        shapes=(r"Input/output error \(os error 5\)|Stale file handle|Transport endpoint is not",),
    ),
    Failure(
        "hub_rate_limit",
        (
            r"429 Client Error",
            r"HTTP status client error \(429",
            r"^429 Too Many Requests\b|[Cc]lient error '429\b",
            r"you have reached your '.{1,40}' rate limit",
        ),
        "The place that the model is downloaded from answers that it is asked too often.",
        "Put a token into HF_TOKEN, wait some minutes, or download once and copy to the hosts.",
        "HF_TOKEN",
        HUB_VARIABLES,
    ),
    Failure(
        "hub_unreachable",
        (
            r"We couldn't connect to 'https?://\S+' to load",
            r"An error happened while trying to locate the file(?:s)? on the Hub",
            r"Max retries exceeded with url",
            r"ConnectError: .{0,500}Name or service not known",
            r"Temporary failure in name resolution",
            r"Network is unreachable",
            r"\b50[0234] Server Error: .{0,80} for url|[Ss]erver error '50[0234]\b",
            r"httpx\.(?:Connect|Read)(?:Error|Timeout)\b",
            r"Connection broken: IncompleteRead|ChunkedEncodingError: |httpx\.RemoteProtocolError",
            r"HTTPSConnectionPool\(host='[^']{0,40}(?:hugging|hf)[^']{0,40}', port=443\): Read ti",
        ),
        "The host cannot reach the place that the model is downloaded from.",
        "Check the host's network and name service, or set HF_ENDPOINT to a mirror.",
        "network",
        HUB_VARIABLES,
    ),
    Failure(
        "xet_download",
        (
            r"\b(?:Data processing|File reconstruction) error: ",
            r"\bCAS (?:service|[Cc]lient) [Ee]rror",
        ),
        "The download service of the model hub failed.",
        "Try again, with HF_HUB_DISABLE_XET=1 in the environment.",
        "HF_HUB_DISABLE_XET",
        HUB_VARIABLES,
    ),
)
