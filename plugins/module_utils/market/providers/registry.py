# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The marketplaces that there are, by name."""

from __future__ import annotations

from .lambda_cloud import LambdaCloud
from .prime import PrimeIntellect
from .provider import Provider
from .runpod import RunPod
from .shadeform import Shadeform
from .shopper import GpuShopper
from .tensordock import TensorDock
from .vastai import VastAI
from .verda import Verda

PROVIDERS: dict[str, type[Provider]] = {
    kind.name: kind
    for kind in (
        GpuShopper,
        LambdaCloud,
        PrimeIntellect,
        RunPod,
        Shadeform,
        TensorDock,
        VastAI,
        Verda,
    )
}
#: Which one is asked when nobody says.
DEFAULT_PROVIDER = VastAI.name
