# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated fleet of fleet.yml, in the shapes that status and deploy have it in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

DATA = Path(__file__).with_name("fleet.yml")

#: What tries to run in the browser of whoever looks at the page, by each way that leads there.
PLANTED = (
    "<script>window.planted = 1</script>",
    "</script><script>window.planted = 2</script>",
    "</style><img src=x onerror='window.planted = 3'>",
    "\"><svg onload='window.planted = 4'>",
    "' onmouseover='window.planted = 5' autofocus onfocus='window.planted = 6",
    "--><iframe srcdoc='<script>parent.planted = 7</script>'></iframe><!--",
    "javascript:window.planted=8",
    "{{ 7 * 7 }}{% raw %}\\u003cscript>",
)
#: A secret that stands in what hosts, markets and deploys tell, and on no page.
SECRET = "hf_abcdefghijklmnopqrstuvwxyz0123"


def fleet() -> dict[str, Any]:
    """What filter fleet_status takes, and by host the reports of deploys under `deploys`."""
    data = yaml.safe_load(DATA.read_text())
    hosts, rentals, deploys = {}, [], {}
    for name, told in data["hosts"].items():
        rental = _rental(data, name, told)
        rentals += [rental] if rental.get("mark") else []
        hosts[name] = {
            "name": name,
            "rental": rental,
            "found": _found(data, told),
            "limits": told.get("limits", {}),
        }
        if "deploy" in told:
            deploys[name] = _deploy(told["deploy"])
    rentals += [_rental(data, name, told) for name, told in data["orphans"].items()]
    asked = {key: data[key] for key in ("scope", "now", "warn_hours")}
    return {
        **asked,
        "rentals": rentals,
        "unasked": [],
        "hosts": hosts,
        "named": list(hosts),
        "deploys": deploys,
    }


def names() -> list[str]:
    """All hosts that the page has to show."""
    data = yaml.safe_load(DATA.read_text())
    return [*data["hosts"], *data["orphans"]]


def hostile() -> dict[str, Any]:
    """The same fleet, where each text that somebody else writes tries to run in a browser."""
    told, planted = fleet(), "".join(PLANTED)
    for number, rental in enumerate(told["rentals"]):
        own = PLANTED[number % len(PLANTED)]
        rental.update(provider=own, id=f"{number}{own}", gpu_name=planted, status_text=planted)
        rental["console_url"] = f"https://console.example/?token={SECRET}"
    for number, host in enumerate(told["hosts"].values()):
        host["found"]["msg"] = f"{planted} {SECRET}"
        for server in host["found"].get("servers", ()):
            own = PLANTED[number % len(PLANTED)]
            server.update(model=f"{own}/model {SECRET}", name=own)
            server["health"]["reason"] = f"{planted} {SECRET}"
            server["health"]["tokens_per_second"] = float("nan")
            for gpu in server["health"].get("gpus", ()):
                gpu.update(throttled_by=[planted])
    # One that answers with other types than our module does.
    told["hosts"]["qwen-2"]["found"]["servers"][0]["health"]["gpus"][0]["utilization_percent"] = "9"
    # The names of hosts are the user's, those of rentals are the market's.
    told["rentals"][-1]["mark"]["name"] = planted
    for deploy in told["deploys"].values():
        deploy.update(endpoint=f"{planted} {SECRET}", completion=SECRET, command=SECRET)
    return told


def keep_deploys(told: dict[str, Any], folder: Path) -> None:
    """Put the reports of deploys where status looks for them."""
    for name, deploy in told["deploys"].items():
        (folder / f"{name}.json").write_text(json.dumps(deploy))


def _rental(data: dict[str, Any], name: str, told: dict[str, Any]) -> dict[str, Any]:
    if told.get("own"):
        return {"provider": "ssh", "id": name, "own": True, "status": "running"}
    if not told["rental"]:
        return {}
    return {**data["usual_rental"], "mark": {"name": name}, **told["rental"]}


def _found(data: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
    if "unreachable" in told:
        return {"unreachable": True, "msg": told["unreachable"]}
    if "servers" not in told:
        return {"skipped": True}
    servers = [{**data["usual_server"], **server} for server in told["servers"]]
    return {
        "servers": [
            {**server, "ready_at": data["now"] - server["up_seconds"]} for server in servers
        ]
    }


def _deploy(told: dict[str, Any]) -> dict[str, Any]:
    phases = told.get("phases", {})
    keys = ("expected_seconds", "happened_seconds")
    measured = {name: dict(zip(keys, pair, strict=True)) for name, pair in phases.items()}
    return {
        "endpoint": told["endpoint"],
        "rental": told["rental"],
        "attempts": told.get("attempts", []),
        "seconds": told.get("seconds", {}),
        "first_token": {"phases": measured} if measured else {},
    }
