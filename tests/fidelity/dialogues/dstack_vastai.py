# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""dstack's client for Vast.ai."""

from __future__ import annotations

from typing import Any

from tests.fidelity.books import for_rent, vastai_port
from tests.fidelity.dialogues.vastai_cli import books, picked
from tests.fidelity.talk import Talk

ORDER: dict[str, Any] = {"image_name": "img:1", "onstart": "sleep infinity", "disk_size": 50}


def hold(talk: Talk) -> None:
    """Rent, read, be refused, destroy."""
    talk.say("auth_test", want=True)
    offer = for_rent(talk, gpu_name="RTX 3090", num_gpus=1)[0]["id"]
    talk.say("create_instance", "mk-1", offer, **ORDER, want=lambda: talk.newest().id)
    rental = talk.newest()
    number = rental.id
    talk.say("get_instance", number, told=picked(talk, number), want=books(talk, number))
    port = talk.row(rental)["ports"]["22/tcp"]
    talk.say("get_instance", number, told=vastai_port, want=port)
    talk.refused("create_instance", "mk-2", offer, **ORDER, says="no_such_ask")
    talk.say("get_instance", number + 1, want=None)
    talk.refused_to_strangers("get_instance", number, says="401")
    talk.refused_to_strangers("destroy_instance", number, says="auth_error")
    talk.say("destroy_instance", number, told=lambda _said: talk.state()["rentals"], want=[])
    talk.say("get_instance", number, want=None)
    # It takes "no_such_instance" for an end.
    talk.say("destroy_instance", number, told=lambda _said: talk.state()["rentals"], want=[])
