# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that are more than names, as somebody may answer a survey.

Templates in them are not tried: who writes an inventory or a play may run what he likes anyway.
"""

from __future__ import annotations

from typing import Any

from tests.attacks.markets import billing, filled
from tests.attacks.registry import each
from tests.attacks.stage import NAME, PUBLIC_KEY, SCOPE, Stage, key_pair, on_market

RENT = {"image": "some/image", "ssh_public_key": PUBLIC_KEY}


@each(
    "name-of-a-rental-is",
    {
        "the-controller": "localhost",
        "every-host": "all",
        "a-path": "../../precious",
        "an-option": "-oProxyCommand=touch${{IFS}}{owned}",
        "two-lines": "gpu-1\ngpu-2",
        "another-scope": "gpu-1/../of-a-colleague",
        "a-steering-text": "gpu\x1b[2J",
    },
)
def names_a_rental(stage: Stage, name: str) -> None:
    """By the module, and by the variable that the playbooks read."""
    name = filled(name, stage)
    said = ("cannot mark a rental", "means something else to Ansible")
    refused(stage, said, {"name": name}, inferops_name=name)


@each(
    "name-of-a-scope-is",
    {
        "a-path": "../../precious",
        "two-scopes": "mine/of-a-colleague",
        "nothing": "",
        "two-lines": "a\nb",
    },
)
def names_a_scope(stage: Stage, scope: str) -> None:
    scope = filled(scope, stage)
    said = ("cannot mark a rental", "scope is not set")
    refused(stage, said, {"name": NAME, "scope": scope}, inferops_scope=scope)


@each(
    "name-of-a-model-is",
    {
        "a-path": "../../precious",
        "an-option": "--config={precious}/x",
        "a-command": "a/b;touch {owned}",
        "a-substitution": "a/$(touch {owned})",
        "another-address": "http://{stranger}/a/b",
    },
)
def names_a_model(stage: Stage, model: str) -> None:
    simulator = stage.market()
    played = deployed(stage, simulator, inferops_model=filled(model, stage))
    stage.tried(played.status != 0 and "which is no model" in played.text)
    stage.harmed(billing(simulator), "something was rented for that model")


@each(
    "name-of-an-image-is",
    {
        "an-option": "--privileged",
        "a-command": "some/image; touch {owned}",
        "two-lines": "some/image\nENTRYPOINT sh",
    },
)
def names_an_image(stage: Stage, image: str) -> None:
    simulator = stage.market()
    rent = {"inferops.gpu.rental": {**RENT, "name": NAME, "image": filled(image, stage)}}
    played = stage.play(on_market(stage, simulator, rent), simulator=simulator)
    stage.tried(played.status != 0 and "is no container image" in played.text)
    stage.harmed(billing(simulator), "something was rented with that image")


def refused(stage: Stage, said: tuple[str, ...], options: dict[str, Any], **variables: Any) -> None:
    """Both the module and the playbook refuse it for what it is, and nothing is rented."""
    simulator = stage.market()
    rent = {"inferops.gpu.rental": {**RENT, **options}}
    by_module = stage.play(on_market(stage, simulator, rent), simulator=simulator)
    by_playbook = deployed(stage, simulator, **variables)
    both = (by_module, by_playbook)
    stage.tried(all(one.status != 0 and any(text in one.text for text in said) for one in both))
    stage.harmed(billing(simulator), "something was rented by that name")


def deployed(stage: Stage, simulator: Any, **variables: Any) -> Any:
    """What a dry run of deploy says to these variables."""
    if not (stage.home / "id_ed25519").exists():
        key_pair(stage)
    usual = {
        "inferops_model": "inferops/tiny-llama",
        "inferops_ssh_private_key_file": str(stage.home / "id_ed25519"),
        "inferops_scope": SCOPE,
        "rent_vram_gib": 1,
    }
    return stage.play(
        "inferops.gpu.deploy", simulator=simulator, hosts={NAME: {}}, **{**usual, **variables}
    )
