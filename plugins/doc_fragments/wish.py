# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the options that say what an offer must fulfil."""

from __future__ import annotations


class ModuleDocFragment:
    """Fragment ``inferops.gpu.wish``."""

    DOCUMENTATION = r"""
options:
  gpu_names:
    description:
      - Accepted GPU names, such as V(RTX 4090); any name when empty.
      - V(NVIDIA GeForce RTX_4090), V(rtx4090) and V(4090) are the same, whatever the provider
        writes; so are V(H100 SXM) and V(H100-SXM5).
    type: list
    elements: str
    default: []
  gpu_count:
    description: Number of GPUs of the offer.
    type: int
    default: 1
  vram_gib:
    description: Least memory of each GPU in GiB, as the card is sold (V(24) finds RTX 4090).
    type: float
  least_vram_gib:
    description: What each GPU needs of memory, in GiB, whatever O(vram_gib) says.
    type: float
    default: 0
  disk_gib:
    description:
      - Disk to rent in GiB. Prices include it.
      - Without it what is usual at the provider (O(provider) tells), or O(least_disk_gib) where
        that is more.
    type: int
  least_disk_gib:
    description: What the host will need of disk, in GiB, where O(disk_gib) is left open.
    type: float
    default: 0
  compute_capability:
    description: Least compute capability, such as V(8.0).
    type: str
  driver_version:
    description: Least driver version, such as V(580) or V(580.65.06).
    type: str
  least_driver_version:
    description: What will run needs this driver or a newer one, whatever O(driver_version) says.
    type: str
  older_driver_will_do:
    description:
      - Whether the image brings what makes an older driver do, so that O(driver_version) counts as
        it is given.
    type: bool
    default: false
  max_price_usd_per_hour:
    description: Highest price of the whole offer, disk included, in dollars per hour.
    type: float
  min_reliability:
    description:
      - Least reliability as the provider states it, from 0 to 1.
      - Without it what is usual at the provider (O(provider) tells).
    type: float
  min_download_mbit_per_second:
    description:
      - Least advertised download speed.
      - Without it what fetches O(image_gib) and O(download_gib) within the longest time that is
        usual at the provider, yet never more than 500.
    type: float
  countries:
    description: Accepted countries as two-letter codes; any when empty.
    type: list
    elements: str
    default: []
  verified:
    description:
      - Whether only hosts that the provider has verified are accepted.
      - Without it what is usual at the provider (O(provider) tells).
    type: bool
  duration_hours:
    description: Least time for which the offer can be rented.
    type: float
  least_duration_hours:
    description: How long the rental is to live, whatever O(duration_hours) says.
    type: float
    default: 0
  filter:
    description:
      - A JMESPath expression over one offer as M(inferops.gpu.offer_info) shows it.
      - Offers for which it is false or null are left out. Needs the Python library jmespath.
    type: str
  exclude_machines:
    description: Machines, by their C(machine_id), that must not be taken.
    type: list
    elements: str
    default: []
  expected_hours:
    description: How long the rental will live. Traffic and set-up weigh less in a longer one.
    type: float
    default: 24
  download_gib:
    description: How much will be downloaded, model and packages, in GiB.
    type: float
    default: 10
  model_gib:
    description:
      - How much of O(download_gib) is the model, in GiB.
      - Without it all but 3.5 GiB, which are the packages of a stack for CUDA.
    type: float
  compiles:
    description:
      - Whether the engine compiles the model and captures graphs before it serves, which takes CPU
        time. vLLM does, unless C(enforce_eager) is set.
    type: bool
    default: true
  wait_usd_per_hour:
    description:
      - What an hour of waiting for the first token is worth to you, in dollars. Nobody bills it; an
        offer may cost so much more for each hour that it saves.
      - With V(0) offers are ranked by what will be billed alone.
    type: float
    default: 5
  image_gib:
    description:
      - Size of the host's image in GiB, as far as a host has to fetch it.
      - Without it that of the image that is usual at the provider.
    type: float
  engine:
    description:
      - What will be served with. Then each offer is counted with the provider's image that has this
        engine already, where that is expected to serve sooner than an installation.
      - Without it, and with an image or O(image_gib) of your own, the engine is installed.
    type: dict
    suboptions:
      name:
        description: The engine, as M(inferops.gpu.model_server) names it.
        type: str
        required: true
      accelerator:
        description: What the server runs on.
        type: str
        choices: [cuda, cpu]
        default: cuda
      release:
        description: The release, as filter P(inferops.gpu.engine_plan#filter) takes it.
        type: str
        default: auto
      least_release:
        description: The oldest release that will do; any when empty.
        type: str
        default: ""
  history_path:
    description:
      - A file on the controller that keeps what became of earlier attempts.
      - The ranking learns from it. Losing it changes rankings, never safety.
    type: path
"""
