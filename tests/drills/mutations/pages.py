# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What status says of a fleet and shows in a browser: nobody's script runs, no host is left out."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import FLEET

_PAGE = "plugins/plugin_utils/fleet_page"
_TESTS = "tests/unit/plugins/test_fleet_page.py"
_VERDICTS = "plugins/plugin_utils/fleet_verdicts.py"

MUTATIONS = (
    Mutation(
        "page-not-escaped",
        "what a host writes becomes a part of the page",
        f"{_PAGE}/page.py",
        "autoescape=True",
        "autoescape=False",
        (f"{_TESTS}::test_what_hosts_and_markets_write_is_text_and_nothing_else",),
    ),
    Mutation(
        "page-data-not-escaped",
        "a name that a market writes ends the data and begins a script",
        f"{_PAGE}/page.py",
        'htmlsafe_json_dumps(shown["plots"])',
        'Markup(str(htmlsafe_json_dumps(shown["plots"])).replace("\\\\u003c", "<"))',
        (f"{_TESTS}::test_data_for_the_script_cannot_end_it",),
    ),
    Mutation(
        "page-runs-any-script",
        "a browser runs whatever script stands in the page",
        f"{_PAGE}/page.py",
        "f\"script-src {' '.join(map(_hash, scripts))}\"",
        "\"script-src 'unsafe-inline'\"",
        (f"{_TESTS}::test_a_browser_may_run_the_two_scripts_of_the_page_and_load_nothing",),
    ),
    Mutation(
        "page-loads-anything",
        "the page may load from any address, and so tell it who looks",
        f"{_PAGE}/page.py",
        "\"default-src 'none'\"",
        '"default-src *"',
        (f"{_TESTS}::test_a_browser_may_run_the_two_scripts_of_the_page_and_load_nothing",),
    ),
    Mutation(
        "page-shows-secrets",
        "a token that a host tells stands on the page",
        f"{_PAGE}/figures.py",
        "redact(plain_line(str(value), most))",
        "plain_line(str(value), most)",
        (f"{_TESTS}::test_no_secret_is_on_the_page",),
    ),
    Mutation(
        "page-tells-untold-as-nothing",
        "a host whose price nobody tells is shown to cost nothing",
        f"{_PAGE}/figures.py",
        "rate = None if None in rates else sum(",
        "rate = sum(",
        (f"{_TESTS}::test_what_nobody_tells_is_said_to_be_not_told",),
    ),
    Mutation(
        "orphan-not-told",
        "a rental that the inventory does not name bills unseen",
        _VERDICTS,
        "else [_ORPHAN]",
        "else []",
        (f"{FLEET}::test_a_rental_that_the_inventory_does_not_name_is_an_orphan",),
    ),
    Mutation(
        "nobody-ends-it-not-told",
        "a rental that nobody ends at its deadline counts as well",
        _VERDICTS,
        'rental["enforced_by"] == "nobody" and not reaper',
        "False",
        (f"{FLEET}::test_a_deadline_that_nobody_enforces_needs_somebody",),
    ),
    Mutation(
        "liar-takes-all-lines-away",
        "one host that answers oddly takes the status of all others away",
        "plugins/filter/fleet_status.py",
        "    except _ODD_SHAPE:\n",
        "    except NotImplementedError:\n",
        (f"{FLEET}::test_a_host_that_answers_oddly_takes_no_other_line_away",),
    ),
)
