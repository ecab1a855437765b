# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What variables the collection has and what they may be.

Names, types and choices are those of the roles' argument specifications, which have no place for
ranges: those are in ``ranges``.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.yaml import yaml_load

from ansible_collections.inferops.gpu.plugins.module_utils.common.alike import did_you_mean
from ansible_collections.inferops.gpu.plugins.module_utils.common.plain import fits_header
from ansible_collections.inferops.gpu.plugins.module_utils.common.proxy_keys import hashed
from ansible_collections.inferops.gpu.plugins.module_utils.common.proxy_options import DEFAULTS
from ansible_collections.inferops.gpu.plugins.module_utils.common.proxy_options import (
    check as check_proxy,
)
from ansible_collections.inferops.gpu.plugins.module_utils.common.ranges import range_of
from ansible_collections.inferops.gpu.plugins.module_utils.common.server_words import (
    CHECKS_SECONDS,
    NAME,
    port_of,
    refused,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.border import check_versions
from ansible_collections.inferops.gpu.plugins.module_utils.market.countries import country_code
from ansible_collections.inferops.gpu.plugins.module_utils.market.errors import MarketError
from ansible_collections.inferops.gpu.plugins.module_utils.market.mark import check_name, check_word
from ansible_collections.inferops.gpu.plugins.module_utils.market.model import check_image
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.options import (
    ACCOUNT_OPTIONS,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.wish import compiled
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.knowledge import (
    Judged,
    PlanImpossible,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.registry import (
    DEFAULT,
    SPELLINGS,
    knowledge,
    spelling,
)

_ROOT = Path(__file__).resolve().parents[2]
SHARED = "inferops_"
#: How alike a name must be to count as meant. Role names are common words, so that a variable of
#: the user's own such as ``stack_owner`` must pass.
_ALIKE = 0.85
_MODEL = re.compile(r"/[^\0]+|[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")
_KINDS = {
    "str": "text",
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "list": "a list",
    "dict": "a dictionary",
}


#: What a specification has to call raw, for Ansible reads no list of dictionaries in a text.
_SHAPES = {
    **{
        name: {"type": "list", "elements": "dict"}
        for name in (
            "gateway_listeners",
            "recover_ladder",
            "proxy_listeners",
            "proxy_servers",
            "proxy_routes",
        )
    },
    "inferops_accounts": {
        name: ACCOUNT_OPTIONS["accounts"][name] for name in ("type", "elements", "options")
    },
}


@cache
def options() -> dict[str, dict[str, Any]]:
    """Every variable, by name: those that a role's argument specification documents.

    Which providers and engines there are, and what providers log in with, their registries know.
    """
    found: dict[str, dict[str, Any]] = {}
    for file in sorted(_ROOT.glob("roles/*/meta/argument_specs.yml")):
        for entry in yaml_load(file.read_text(encoding="utf-8"))["argument_specs"].values():
            found.update(entry.get("options") or {})
    for option, rules in ACCOUNT_OPTIONS.items():
        found[SHARED + option] = {**rules, **found.get(SHARED + option, {})}
    found["inferops_engine"] |= {"choices": list(SPELLINGS)}
    return found


def is_secret(name: str) -> bool:
    """Whether the value of a variable must not be shown."""
    rules = options().get(name, {})
    inner = rules.get("options") or {}
    return bool(rules.get("no_log") or any(one.get("no_log") for one in inner.values()))


def ours(variables: Mapping[str, Any]) -> list[str]:
    """The names among *variables* that begin like those of the collection."""
    prefixes = tuple(f"{part}_" for part in _mentioned())
    return sorted(name for name in variables if name.startswith(prefixes))


def unknown(name: str) -> str | None:
    """What is wrong with a name that begins like ours, or None."""
    if name in options():
        return None
    shared = _shared(name)
    # What a role works out for itself may look like one; as an extra variable it is refused.
    if shared and name not in _set_by_roles():
        return (
            f"{name} is not a variable of inferops.gpu: use {shared}, or rename it where it is one "
            "of your own."
        )
    if any(name in names for names in _mentioned().values()):
        return None
    meant = _meant(name)
    if meant:
        return f"{name} is not a variable of inferops.gpu: did you mean {meant}?"
    if name.startswith(SHARED):  # ours alone
        return f"{name} is not a variable of inferops.gpu: see the README of its roles."
    return None


def taken(name: str) -> str | None:
    """What is wrong with an extra variable that the roles set themselves, or None."""
    # What they mention is known already; to find out what they set takes longer.
    mentioned = any(name in names for names in _mentioned().values())
    # Whoever names the connection of all hosts knows better than a role that takes the usual one.
    mentioned = mentioned and name != "ansible_connection"
    if name in options() or not mentioned or name not in _set_by_roles():
        return None
    return (
        f"{name} is what the roles find out or work out themselves, and an extra variable (-e) "
        "would outrank that: leave it out, or rename it where it is one of your own."
    )


def coerce(name: str, value: Any) -> tuple[Any, str | None]:
    """The value as the type that it is documented with, and what is wrong with it or None."""
    option = {**options().get(name, {"type": "raw"}), **_SHAPES.get(name, {})}
    rules = {
        key: option[key] for key in ("type", "choices", "elements", "options") if key in option
    }
    if value is None:
        # Left empty in an inventory, or null: a role would take it for a wish.
        return value, f"{name} is empty: leave it out, or give it a value."
    kind, opening = rules.get("type"), value.lstrip()[:1] if isinstance(value, str) else ""
    if opening == "[" and kind == "list" and rules.get("elements") != "dict":
        return value, (
            f"{name} is text: write it without brackets, as in a,b, or give all variables as "
            f"JSON, as in -e '{{\"{name}\": [...]}}'."
        )
    # A dictionary's option reads JSON by itself.
    if opening in ("[", "{") and kind in ("list", "raw"):
        try:
            value = json.loads(value)
        except ValueError as error:
            return value, f"{name} is no JSON: {error}."
    if kind == "str" and isinstance(value, (Mapping, list)):
        # Ansible would take it as the text that Python writes for it.
        if "choices" in option:
            return value, f"{name} must be one of: {', '.join(option['choices'])}, not {value!r}."
        return value, _complaint(name, option, value, ["it is no text"])
    result = ArgumentSpecValidator({name: rules}).validate({name: value})
    if result.error_messages:
        return value, _complaint(name, option, value, result.error_messages)
    good = result.validated_parameters[name]
    if "options" in rules:
        # What an entry leaves out is not there.
        good = [{key: one[key] for key in one if one[key] is not None} for one in good]
    allowed = range_of(name)
    if allowed and not all(number in allowed for number in _numbers(good)):
        return good, f"{name} must be {allowed}, not {good}."
    return good, None


def impossible(values: Mapping[str, Any]) -> Iterator[str]:
    """What no host can serve, of variables that are each well-formed."""
    model = values.get("inferops_model")
    if model and not _MODEL.fullmatch(model):
        yield (
            f"inferops_model is {json.dumps(model)}, which is no model: write organisation/name as "
            "on the hub, such as Qwen/Qwen3-0.6B, or an absolute path on the host."
        )
    yield from _no_word(_NAMES, values)
    yield from _no_server(values)
    engine, accelerator = (
        values.get("inferops_engine") or DEFAULT,
        values.get("inferops_accelerator"),
    )
    release = values.get(spelling(engine).release_variable)
    if accelerator and release:
        try:
            knowledge(engine).plan({}, accelerator, release)
        except PlanImpossible as error:
            yield str(error)


#: Folders on a host, where nobody knows from which one a relative path would count.
_HOMES = ("inferops_home", "inferops_model_home")
#: By the end of a name, what is the address of a service.
_ADDRESSES = ("_url", "_endpoint")
_ADDRESS = re.compile(r"https?://[^/\s]|file:/")
#: A name with extras, versions and a marker, as pip writes them: no address, no path and no option.
_VERSIONS = r"(?:===|[=!~<>]=|<|>) ?[A-Za-z0-9.*+!_-]{1,64}"
_REQUIREMENT = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?(?: ?\[[A-Za-z0-9._, -]{0,200}\])?"
    + rf"(?: ?{_VERSIONS}(?: ?, ?{_VERSIONS}){{0,9}})?"
    + r"(?: ?;[\w .<>=!~'\"()]{1,200})?"
)


def _check_gateway(name: str) -> None:
    """It names a service on its host."""
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} may hold only letters, digits, - and _.")


#: What marks rentals, and what is a word of the marketplace's: how each is checked there.
_NAMES: dict[str, Callable[[Any], Any]] = {
    "inferops_scope": lambda scope: check_word("Scope", scope),
    "inferops_gateway": _check_gateway,
}
_WORDS: dict[str, Callable[[Any], Any]] = {
    # Plays on the controller alone have its name.
    "inferops_name": check_name,
    "rent_image": check_image,
    "rent_filter": compiled,
    "rent_countries": lambda words: [country_code(word) for word in words if word.strip()],
    "rent_driver_version": check_versions,
    "rent_compute_capability": check_versions,
}


#: What is sent in headers. What the provider is logged in to with is checked there.
_SENT = ("inferops_hub_token", "inferops_server_api_key")


def _no_word(
    checks: Mapping[str, Callable[[Any], Any]], values: Mapping[str, Any]
) -> Iterator[str]:
    for name, check in checks.items():
        try:
            if values.get(name):
                check(values[name])
        except MarketError as error:
            yield f"{name}: {error.cause} {error.remedy}"
        except ValueError as error:
            yield f"{name}: {error}"


def unrentable(values: Mapping[str, Any]) -> Iterator[str]:
    """What the market, or a host, would refuse later. It must keep nobody from ending a rental."""
    yield from _no_word(_WORDS, values)
    for name in _SENT:
        if not fits_header(str(values.get(name) or "")):
            yield (
                f"{name} has a blank or a line break at its end, or a sign in it that no key has: "
                "set it again without."
            )
    yield from _no_ports(values)
    if values.get("inferops_proxy"):
        yield from _unproxied(values)
    elif values.get("inferops_gateway"):
        yield (
            "inferops_gateway leads to the proxies before servers, and inferops_proxy is not true: "
            "set it, or leave inferops_gateway out."
        )
    if values.get("rent_deadline_hours") == 0 and not (
        values.get("rent_budget_usd") or values.get("rent_no_deadline")
    ):
        yield (
            "A rental without a deadline bills until somebody remembers it: set "
            "rent_deadline_hours or rent_budget_usd, or say rent_no_deadline: true."
        )
    for name in _HOMES:
        if name in values and not str(values[name]).startswith(("/", "~", "$")):
            yield f"{name} is {values[name]!r}: on a host it has to be an absolute path, or ~/name."
    if values.get("inferops_model") and values.get("inferops_served_model_name") == "":
        yield "inferops_served_model_name is empty: leave it out, or give the model a name."
    for name, value in values.items():
        if name.endswith(_ADDRESSES) and value and not _ADDRESS.match(value):
            # It may hold a password.
            yield f"{name} is no address: it has to begin like https://mirror.example."
    yield from _no_packages(values.get("stack_extra_requirements") or ())


def _no_ports(values: Mapping[str, Any]) -> Iterator[str]:
    """What no server, and no proxy before it, could listen on."""
    asked: dict[str, int | None] = {}
    for name in ("inferops_server_port", "inferops_engine_port"):
        try:
            asked[name] = port_of(values.get(name, "auto"))
        except ValueError as error:
            yield f"{name}: {error}."
            continue
        if asked[name] == 22:
            yield f"{name} is 22, where the host's SSH server listens: take another one."
    port, engine_port = asked.get("inferops_server_port"), asked.get("inferops_engine_port")
    if values.get("inferops_proxy") and port is not None and port == engine_port:
        yield (
            f"inferops_engine_port is {engine_port}, which inferops_server_port gives to the "
            "proxy: take another one, or auto."
        )


def _no_packages(lines: Iterable[str]) -> Iterator[str]:
    """What a lock cannot hold, which a host would find out. An address may hold a password."""
    for number, line in enumerate(lines, 1):
        if not _REQUIREMENT.fullmatch(line.strip()):
            yield (
                f"stack_extra_requirements, entry {number}, is no package by name and version, "
                "such as pandas[excel]>=2,<3 in a list: an address, a path or an option has no "
                "hash to hold it against. An index is inferops_index_url, and a folder or a page "
                "with wheels inferops_find_links."
            )


#: What a deploy works out of its own variables for the proxy before its server.
_OF_THE_PROXY = ("proxy_name", "proxy_listeners", "proxy_servers", "proxy_engine_key")


def _unproxied(values: Mapping[str, Any]) -> Iterator[str]:
    """Why no proxy could stand before the server."""
    key = values.get("inferops_server_api_key")
    if not key and values.get("inferops_server_keyless"):
        yield (
            "inferops_server_keyless lets clients in without a key, and the proxy of "
            "inferops_proxy asks all of them for one: leave one of the two out."
        )
    yield from _no_keys_of_a_proxy(values)
    yield from _no_options_of_a_proxy(values)
    for name in _OF_THE_PROXY:
        if values.get(name):
            yield (
                f"{name} is set, which deploy works out itself where inferops_proxy is true: leave "
                "it out. It is for plays of your own with role proxy."
            )


#: Where a refusal of the proxy's names one of its options.
_ITS_OPTIONS = re.compile(rf"^routes(?=:)|\b(?:{'|'.join(set(DEFAULTS) - {'routes'})})\b")


def _no_options_of_a_proxy(values: Mapping[str, Any]) -> Iterator[str]:
    """What the proxy would refuse of its options once the server runs."""
    given = ((name, usual, values.get(f"proxy_{name}")) for name, usual in DEFAULTS.items())
    try:
        check_proxy(**{name: usual if told is None else told for name, usual, told in given})
    except ValueError as error:
        told = _ITS_OPTIONS.sub(r"proxy_\g<0>", str(error))
        yield f"{told}. So no proxy of inferops_proxy could be made."


#: By this name role proxy gives the key of the server's clients to the proxy.
_OWN_CLIENTS = "inferops"


def _no_keys_of_a_proxy(values: Mapping[str, Any]) -> Iterator[str]:
    """What the proxy would refuse of its keys once the server runs."""
    clients, metrics = (
        {str(name): key for name, key in (values.get(f"proxy_{kind}_keys") or {}).items()}
        for kind in ("client", "metrics")
    )
    if _OWN_CLIENTS in clients:
        yield (
            f"proxy_client_keys names {_OWN_CLIENTS!r}, by which the proxy knows the key of the "
            "server's clients: take another name, or set inferops_server_api_key."
        )
    if values.get("inferops_server_api_key"):
        clients[_OWN_CLIENTS] = str(values["inferops_server_api_key"])
    try:
        hashed({"keys": clients, "metrics_keys": metrics})
    except ValueError as error:
        yield (
            f"The proxy of inferops_proxy takes no such keys (proxy_client_keys, "
            f"proxy_metrics_keys, and inferops_server_api_key as {_OWN_CLIENTS!r}): {error}."
        )


#: What says in a play what a server's option would say.
_OWN_VARIABLES = {
    "model": "inferops_model",
    "host": "no address (a tunnel leads to the server, which stays on the loopback)",
    "port": "inferops_server_port",
    "served-model-name": "inferops_served_model_name",
    "api-key": "inferops_server_api_key",
    "hf-repo": "inferops_model",
}


def _no_server(values: Mapping[str, Any]) -> Iterator[str]:
    """What a server cannot be called or told, which its host would refuse as well."""
    name = values.get("inferops_server")
    if name is not None and not NAME.fullmatch(name):
        yield f"inferops_server is {name!r}: it may hold only letters, digits, - and _."
    arguments = values.get("inferops_server_arguments") or {}
    extra_args = values.get("inferops_server_extra_args") or ()
    for refusal in refused(arguments, extra_args, _OWN_VARIABLES):
        yield f"inferops_server_{refusal}"
    checks = values.get("inferops_check_timeouts_seconds") or {}
    for check in sorted(set(checks) - set(CHECKS_SECONDS)):
        yield (
            f"inferops_check_timeouts_seconds has {check!r}, which is no check: there are "
            f"{', '.join(CHECKS_SECONDS)}."
        )


def judged_options(values: Mapping[str, Any]) -> Judged:
    """What the engine would refuse of these variables, above all options that no release knows
    which they lead to."""
    return knowledge(values.get("inferops_engine") or DEFAULT).judged(values)


def _complaint(name: str, option: Mapping[str, Any], value: Any, told: list[str]) -> str:
    """Why a value is refused. It is not shown where it is a secret, or may have one in it."""
    if "choices" in option:
        words = value if isinstance(value, list) else [value]
        odd = [one for one in words if isinstance(one, str) and one not in option["choices"]]
        asked = (did_you_mean(one, map(str, option["choices"])) for one in odd)
        return " ".join(filter(None, ("; ".join(told) + ".", *asked)))
    kind = _KINDS.get(option.get("type", "str"), option.get("type"))
    if option.get("elements", "str") != "str":
        kind = f"{kind}, each of its entries {_KINDS[option['elements']]}"
    hidden = is_secret(name) or option.get("type") in ("dict", "raw")
    return f"{name} must be {kind}" + ("." if hidden else f", not {value!r}.")


def _numbers(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value
    elif value is not None:
        yield value


def _shared(name: str) -> str | None:
    """The shared variable that a name of one role or playbook stands for, or None.

    What several of them go by has one name, whichever it is wanted for, or seems to be.
    """
    parts = (part for part in sorted(_mentioned(), key=len) if name.startswith(f"{part}_"))
    part = next(parts, None)
    if part is None:
        return None
    rest = name.removeprefix(f"{part}_")
    subject = part.partition("_")[0]  # as in model_cache_home, which is inferops_model_home
    own = [f"{SHARED}{name}", f"{SHARED}{subject}_{rest}", f"{SHARED}{rest}"]
    used = [one for one in (*own, f"{SHARED}server_{rest}") if one in _mentioned()[part]]
    return next((one for one in used + own if one in options()), None)


def _meant(name: str) -> str | None:
    """The variable that somebody probably meant by a name that the collection does not have."""
    # Units come last in a name, so they are the first to be forgotten.
    longer = [option for option in sorted(options()) if option.startswith(f"{name}_")]
    alike = difflib.get_close_matches(name, options(), n=1, cutoff=_ALIKE)
    return next(iter(longer + alike), None)


@cache
def _mentioned() -> dict[str, set[str]]:
    """What each role or playbook mentions, its internal variables too.

    Who goes by a variable that follows from others goes by those.
    """
    derived = {
        name: _names(str(value))
        for name, value in yaml_load(
            (_ROOT / "roles" / "inferops" / "vars" / "main.yml").read_text(encoding="utf-8")
        ).items()
    }
    account = {SHARED + option for option in ACCOUNT_OPTIONS}
    derived |= {"inferops_account": account, "inferops_key_source": account}
    found: dict[str, set[str]] = {}
    for file in [*_ROOT.glob("roles/*/*/*.yml"), *_ROOT.glob("playbooks/*.yml")]:
        part = file.parent.parent.name if file.parent.name != "playbooks" else file.stem
        found.setdefault(part, set()).update(_names(file.read_text(encoding="utf-8")))
    for file in _ROOT.glob("playbooks/tasks/*.yml"):
        found.setdefault("deploy", set()).update(_names(file.read_text(encoding="utf-8")))
    for names in found.values():
        names |= {base for name in names & set(derived) for base in derived[name]}
    return found


def _names(text: str) -> set[str]:
    return set(re.findall(r"\b[a-z]+_\w+", text))


@cache
def _set_by_roles() -> frozenset[str]:
    """What the tasks of roles and playbooks set, and what follows from other variables."""
    found: set[str] = set()
    for file in _ROOT.glob("roles/*/vars/*.yml"):
        found.update(yaml_load(file.read_text(encoding="utf-8")))
    for folder in ("roles/*/tasks", "playbooks", "playbooks/tasks"):
        for file in _ROOT.glob(f"{folder}/*.yml"):
            found.update(_set_in(yaml_load(file.read_text(encoding="utf-8"))))
    return frozenset(found)


def _set_in(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for one in node:
            yield from _set_in(one)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key == "register":
                yield value
            elif key in ("vars", "ansible.builtin.set_fact"):
                yield from value
            yield from _set_in(value)
