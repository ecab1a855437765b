# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a marketplace answers is data, whichever provider it is: no field of it leads anywhere."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import MARKET, UNIT

HOSTILE = f"{UNIT}/conformance/test_hostile_answers.py"
OFFERS = f"{HOSTILE}::test_a_hostile_field_leaves_an_offer_out_or_as_it_is"
RENTALS = f"{HOSTILE}::test_a_hostile_field_hides_no_rental_and_leads_nowhere"
BORDER = f"{MARKET}/border.py"

MUTATIONS = (
    Mutation(
        "id-is-a-path",
        "an id of a marketplace leads out of its folder, or is an option",
        BORDER,
        '_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")',
        '_ID = re.compile(r"[^\\s]{1,100}")',
        (OFFERS, RENTALS),
        least_red=9,
    ),
    Mutation(
        "host-is-an-option",
        "the address of a rental is an option of ssh, or a second line of a file of host keys",
        f"{MARKET}/model.py",
        "        check_host(self.host)\n",
        "",
        (RENTALS,),
        least_red=10,
    ),
    Mutation(
        "port-is-none",
        "a rental is asked for at a port that no host has",
        f"{MARKET}/model.py",
        "        check_port(self.port)\n",
        "",
        (RENTALS,),
        least_red=6,
    ),
    Mutation(
        "version-is-a-command",
        "a version of a driver goes where commands are read",
        BORDER,
        '            _check(_VERSION, value, "a version")',
        "            check_texts(value)",
        (OFFERS, RENTALS),
    ),
    Mutation(
        "price-below-nothing",
        "an offer that pays whoever rents it ranks first",
        BORDER,
        '            raise ValueError(f"{value} is not a price")',
        "            continue",
        (OFFERS, RENTALS),
    ),
    Mutation(
        "fewer-than-no-gpus",
        "an offer has fewer than no GPUs, and its price for each is below nothing",
        f"{MARKET}/model.py",
        "        check_count(self.gpu_count)\n",
        "        check_numbers(self.gpu_count)\n",
        (OFFERS,),
        least_red=4,
    ),
    Mutation(
        "prime-disk-that-pays",
        "what is odd about a disk makes its offer the cheapest",
        f"{MARKET}/providers/prime.py",
        "    check_prices(*(numeric(told, name) for name in _COUNTED))\n",
        "",
        (f"{OFFERS}[prime]",),
    ),
    Mutation(
        "prime-anything-is-in-the-price",
        "a word where yes or no belongs makes a disk cost nothing",
        f"{MARKET}/providers/prime.py",
        'if told.get("defaultIncludedInPrice") is True else None',
        'if told.get("defaultIncludedInPrice") else None',
        (f"{OFFERS}[prime]",),
    ),
)
