# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a dry run would install and serve on the offer that it would rent, and what it refuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .before_installing import unknown_to
from .engines.knowledge import Wish, read_line
from .engines.registry import DEFAULT, knowledge
from .prebuilt import AUTO
from .prebuilt import Wish as Environment

#: The variable that names the Python of an image.
_WISH = "inferops_image_python"


@dataclass(frozen=True)
class Serving:
    """What would be served. ``weights_gib`` is that of the model's files, 0 where nobody knows."""

    model: str
    port: int | str
    accelerator: str = "cuda"
    release: str = "auto"
    least_release: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    extra_args: Sequence[str] = ()
    weights_gib: float = 0.0


def deploy_plan(
    offer: Mapping[str, Any], serving: Serving, environment: Environment
) -> dict[str, Any]:
    """Filter deploy_plan documents it. Raises PlanImpossible."""
    plan = knowledge(environment.engine).plan(
        offer, serving.accelerator, serving.release, serving.least_release
    )
    image = (offer.get("engine_image") or {}).get("name") or ""
    served = {
        "weights_gib": serving.weights_gib,
        "ram_gib": offer.get("ram_gib"),
        "arguments": serving.arguments,
        "extra_args": serving.extra_args,
        "engine": environment.engine,
    }
    shown = plan_lines(plan, serving.model, serving.port, environment.python, image, served)
    return {
        "refusal": _refusal(plan, serving, environment),
        "lines": shown,
        "artifact": _artifact(offer, serving.model),
    }


#: What of an offer counts for whoever approves it. No date: the same wish is the same plan.
_OF_THE_OFFER = ("provider", "gpu_count", "price_usd_per_hour")


def _artifact(offer: Mapping[str, Any], model: str) -> dict[str, Any]:
    """What would be rented, and for which model."""
    return {
        **{name: offer.get(name) for name in _OF_THE_OFFER},
        "offer": offer.get("id"),
        "gpu": offer.get("gpu_name"),
        "first_token_seconds": (offer.get("first_token") or {}).get("total_seconds"),
        "model": model,
    }


def _refusal(plan: Mapping[str, Any], serving: Serving, environment: Environment) -> str:
    """Which options the release that would run does not know; empty where it is not sure.

    The gate refuses what no release knows; here the offer tells which one it would be, unless
    somebody names an environment, whose release only its host tells, or adds packages, which may
    add options.
    """
    if environment.given:
        return ""
    said = (serving.arguments, serving.extra_args, environment.extra_requirements)
    return unknown_to(environment.engine, plan["release"], *said)


def plan_lines(
    plan: Mapping[str, Any],
    model: str,
    port: int | str,
    image_python: str = "",
    engine_image: str = "",
    served: Mapping[str, Any] | None = None,
) -> list[str]:
    """Plain lines for people about a plan that was made before anything is rented.

    *engine_image* is the image that would be rented because it has the stack already, and *served*
    says how the weights are read: ``weights_gib``, ``ram_gib``, ``arguments``, ``extra_args`` and
    ``engine``, each of which may be left out or None.
    """
    if image_python == AUTO and engine_image:
        image = f"take what the image {engine_image} has, or install it where that fails a proof"
    elif image_python not in ("", AUTO):
        image = f"take what {image_python} of the image has, and install nothing"
    elif plan["image"]:
        image = f"the same is prebuilt in the image {plan['image']} (rent_image, with {_WISH})"
    else:
        image = "no prebuilt image"
    packages = " and ".join(plan["requirements"])
    return [
        f"Plan: {plan['why']}" + (f", from {packages}" if packages else ""),
        f"Plan: {image}",
        f"Plan: serve {model} on the host's loopback, port {port}, reached by an SSH tunnel",
        f"Plan: its {read_line(_reading(plan, served or {}))}",
        "Nothing was rented and nothing was changed. Run again without --check to do it.",
    ]


def _reading(plan: Mapping[str, Any], served: Mapping[str, Any]) -> dict[str, Any]:
    """How the weights are read, as far as an offer tells it."""
    engine = served.get("engine") or DEFAULT
    wish = Wish(
        engine,
        served.get("arguments") or {},
        served.get("extra_args") or (),
        accelerator=plan.get("accelerator", "cuda"),
        stack=plan,
    )
    weights_gib, ram_gib = (float(served.get(name) or 0) for name in ("weights_gib", "ram_gib"))
    return knowledge(engine).reading_foreseen(weights_gib, ram_gib, wish)
