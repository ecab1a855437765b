# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of vLLM before it runs. Each answer is a file beside this one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..knowledge import Admission, Judged, Knowledge, Wish
from . import admission, choosing, estimate, loading
from .models import least_vllm
from .planning import choosable, spelled
from .unknown import unknown_options


class Vllm(Knowledge):
    """It is installed by its release, and all of it differs from release to release."""

    def plan(
        self, host: Mapping[str, Any], accelerator: str, release: str = "auto", least: str = ""
    ) -> dict[str, Any]:
        plan = choosing.plan_for(host, accelerator, release, least_vllm=least)
        return {**plan, "release": plan["vllm_version"]}

    def image_release(
        self, host: Mapping[str, Any], asked: Mapping[str, str]
    ) -> tuple[str, str] | None:
        wish = (asked["accelerator"], asked["release"], asked["least_release"])
        return choosing.release_on(host, *wish)

    def least_release(
        self, config: Mapping[str, Any], arguments: Mapping[str, Any] | None = None
    ) -> str:
        return least_vllm(config, arguments)

    def unknown_options(
        self, arguments: Mapping[str, Any], extra_args: Sequence[str], may_run: Sequence[str]
    ) -> list[str]:
        return list(unknown_options(arguments, extra_args, may_run))

    def judged(self, values: Mapping[str, Any]) -> Judged:
        """Those that no release knows which these variables lead to."""
        arguments = values.get("inferops_server_arguments") or {}
        extra_args = values.get("inferops_server_extra_args") or ()
        version = spelled(values.get("inferops_vllm_version") or "auto")
        of_image = values.get("inferops_image_python") not in (None, "", "auto")
        if of_image and not version[:1].isdigit():
            doubt = (
                "which vLLM the image of inferops_image_python has (inferops_vllm_version tells)"
            )
            return Judged(doubt=doubt if arguments or extra_args else "")
        may_run = choosable(
            values.get("inferops_accelerator") or "cuda",
            version,
            values.get("rent_driver_version"),
            values.get("rent_compute_capability"),
        )
        unknown = unknown_options(arguments, extra_args, may_run)
        complaints = tuple(f"inferops_server_{one}" for one in unknown)
        if complaints and values.get("stack_extra_requirements"):
            doubt = "whether the packages of stack_extra_requirements add options to vLLM"
            return Judged(complaints, doubt)
        return Judged(complaints)

    def fit(
        self,
        config: Mapping[str, Any] | str,
        arguments: Mapping[str, Any] | None = None,
        **known: Any,
    ) -> dict[str, Any]:
        return estimate.estimate(config, arguments, **known)

    def fit_on(self, look: Mapping[str, Any], wish: Wish) -> dict[str, Any]:
        return estimate.on_host(look, wish)

    def reading(self, look: Mapping[str, Any], wish: Wish) -> dict[str, Any]:
        return loading.choose(look, wish)

    def reading_foreseen(self, weights_gib: float, ram_gib: float, wish: Wish) -> dict[str, Any]:
        return loading.foreseen(weights_gib, ram_gib, wish)

    def admission(
        self,
        arguments: Mapping[str, Any],
        extra_args: Sequence[str],
        stack: Mapping[str, Any],
    ) -> Admission:
        return admission.behind_proxy(arguments, extra_args, stack)
