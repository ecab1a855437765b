# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the options that say which marketplace, and under which credential.

A unit test holds it against the providers that there are.
"""

from __future__ import annotations


class ModuleDocFragment:
    """Fragment ``inferops.gpu.market``."""

    DOCUMENTATION = """
options:
  provider:
    description:
      - The marketplace.
      - V(ssh) and V(local) stand for none, but for hosts of your own, which the inventory says how
        to reach, and for this machine. Nothing is rented there, and nothing ends.
      - What a wish leaves open is as usual at each marketplace.
      - For V(lambda), image C(lambda-stack-24-04), a family of its machine images whose boot takes
        as long as if 10 GiB were fetched, 40 GiB of disk, and verified hosts alone, which all are.
      - For V(prime), image C(ubuntu_22_cuda_12) of 5 GiB, 40 GiB of disk, and verified hosts alone,
        which are those of secure clouds.
      - For V(runpod), image C(runpod/pytorch:1.0.2-cu1281-torch280-ubuntu2404) of 9 GiB, 40 GiB of
        disk, and verified hosts alone, which are those of its secure cloud.
      - For V(shadeform), image C(shade_os), which stands for the newest operating system of a
        machine that has drivers and boots for as long as an image of 10 GiB takes, 40 GiB of disk,
        and verified hosts alone, which all are.
      - For V(shopper), image C(nvidia/cuda:12.6.3-runtime-ubuntu22.04), the only one that it
        starts, of 1.2 GiB, 50 GiB of disk, and reliability 0.95.
      - For V(tensordock), image C(ubuntu2404_ml_pytorch) whose boot takes as long as if 10 GiB were
        fetched, 40 GiB of disk, and verified hosts alone, which are those of its locations of tier
        3 and more.
      - For V(vastai), image C(vastai/base-image:@vastai-automatic-tag) of 8 GiB, 40 GiB of disk,
        reliability 0.95, verified hosts alone, and a line that fetches all within 1 hour.
      - For V(verda), image C(ubuntu-24.04-cuda-13.0-open-docker) of 2 GiB, 60 GiB of disk, and
        verified hosts alone, which are all it has.
    type: str
    choices: [lambda, local, prime, runpod, shadeform, shopper, ssh, tensordock, vastai, verda]
    default: vastai
  api_key:
    description:
      - What the account logs in with, where that is one key.
      - Without it, the environment variable of the provider is read on the controller,
        E(LAMBDA_API_KEY) for V(lambda), E(PRIME_API_KEY) for V(prime), E(RUNPOD_API_KEY) for
        V(runpod), E(SHADEFORM_API_KEY) for V(shadeform), E(TENSORDOCK_API_TOKEN) for V(tensordock),
        E(VAST_API_KEY) for V(vastai).
      - V(shopper) needs none. E(GPU_SHOPPER_API_KEY) is for a proxy that guards it, as a bearer
        token.
    type: str
  client_id:
    description:
      - What the account logs in with, where those are a name and O(client_secret).
      - Without it, the environment variable of the provider is read on the controller,
        E(VERDA_CLIENT_ID) for V(verda).
    type: str
  client_secret:
    description:
      - The secret of O(client_id).
      - Without it, the environment variable of the provider is read on the controller,
        E(VERDA_CLIENT_SECRET) for V(verda).
    type: str
  api_url:
    description:
      - Address of the provider's API, which begins with C(https://) or is on this machine, for
        a simulator or a proxy.
      - Without it, the environment variable of the provider is read, E(LAMBDA_CLOUD_BASE_URL) for
        V(lambda), E(PRIME_API_BASE_URL) for V(prime), E(RUNPOD_API_BASE_URL) for V(runpod),
        E(SHADEFORM_API_URL) for V(shadeform), E(GPU_SHOPPER_URL) for V(shopper),
        E(TENSORDOCK_BASE_URL) for V(tensordock), E(VAST_URL) for V(vastai), E(VERDA_BASE_URL) for
        V(verda), and then its public address is used, or C(http://localhost:8080) for V(shopper).
    type: str
  accounts:
    description:
      - The accounts at several marketplaces, each of which may have what is looked for. The best
        offer of all is rented. Then O(api_key) and the like count for nothing, and O(provider) only
        where it is V(ssh) or V(local), for which nothing is rented.
      - All are asked at once. Keys follow from the scope's secret, so several need one.
    type: list
    elements: dict
    default: []
    suboptions:
      provider:
        description: The marketplace, which no other account has.
        type: str
        choices: [lambda, prime, runpod, shadeform, shopper, tensordock, vastai, verda]
        required: true
      api_key:
        description: As O(api_key), with the provider's own variable of the environment.
        type: str
      client_id:
        description: As O(client_id).
        type: str
      client_secret:
        description: As O(client_secret).
        type: str
      api_url:
        description: As O(api_url), with the provider's own variable of the environment.
        type: str
  controller_dir:
    description:
      - Folder in which the processes of this controller share listings, searches, rate limits and
        claims on machines. It may be lost at any time.
    type: path
    default: ~/.ansible/inferops
requirements:
  - requests
notes:
  - Runs on the controller. In plays over rented hosts use C(delegate_to=localhost).
"""
