# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a real vLLM has compiled on one host is there on the next, before its server starts."""

from __future__ import annotations

from tests.integration import engine_image
from tests.integration.plays import Controller

#: On a CPU it compiles as well, with the host's own compiler.
COMPILING = {
    "dtype": "float32",
    "enforce_eager": False,
    "max_model_len": 512,
    "max_num_seqs": 4,
}


def test_a_fresh_host_starts_with_what_another_one_has_compiled(controller: Controller) -> None:
    engine_image.ensure()
    settings = {
        "rent_image": engine_image.NAME,
        "inferops_server_arguments": COMPILING,
        "inferops_cache_home": str(controller.folder / "caches"),
        "inferops_cache_trust": "scope",
    }
    first = controller.play("deploy", **settings)
    assert first.status == 0, first.output[-5000:]
    assert "none is kept yet" in first.message()
    assert "of what was compiled, for hosts of the same kind" in first.message()
    assert controller.play("teardown").status == 0
    print(first.output)
    second = controller.play("deploy", **settings)
    print(second.output)
    assert second.status == 0, second.output[-5000:]
    assert "of what a host of the same kind has compiled" in second.message()
    assert controller.play("teardown").status == 0
