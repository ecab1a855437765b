# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters over pure knowledge: whether the engine may be in an image already."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.inferops.gpu.plugins.module_utils.serving.prebuilt import (
    Wish,
    is_looked_for,
    is_rented,
    refusal,
)

DOCUMENTATION = r"""
name: prebuilt_engine
short_description: Say whether an image with the engine is rented, and a host looked at for it
version_added: "0.1.0"
description:
  - Internal. Used by the roles and playbooks of this collection.
positional: _input
options:
  _input:
    description:
      - What is asked of the environment of the C(engine), as the variable
        C(inferops_environment_wish).
    type: dict
    required: true
  installs:
    description: Whether nobody got the image that has it, as M(inferops.gpu.rental_attempt) tells.
    type: bool
    default: false
  rental:
    description: The rental, as M(inferops.gpu.rental) returns it; empty where there is none.
    type: dict
    default: {}
  offer:
    description: The offer that this run has rented it by; empty where it was found.
    type: dict
    default: {}
  image:
    description: The image that the user asks for, if any.
    type: str
    default: ""
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: Is there anything to look for?
  ansible.builtin.debug:
    msg: "{{ (inferops_environment_wish | inferops.gpu.prebuilt_engine).looked_for }}"
"""

RETURN = r"""
_value:
  description:
    - C(rented), whether an offer is ranked and rented with an image that has the engine;
      C(looked_for), whether the host is looked at for an environment with it; and C(refusal), why
      the environment that somebody names cannot be taken, empty when it can.
  type: dict
  sample: {rented: true, looked_for: true, refusal: ""}
"""


def prebuilt_engine(
    wish: Mapping[str, Any],
    installs: bool = False,
    rental: Mapping[str, Any] | None = None,
    offer: Mapping[str, Any] | None = None,
    image: str = "",
) -> dict[str, Any]:
    """See DOCUMENTATION."""
    asked = Wish(**wish)
    return {
        "rented": is_rented(asked, bool(installs)),
        "looked_for": is_looked_for(asked, rental or {}, offer or {}, image),
        "refusal": refusal(asked),
    }


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by name."""
        return {"prebuilt_engine": prebuilt_engine}
