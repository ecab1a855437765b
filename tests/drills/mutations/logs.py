# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The log of a rental that let nobody in: it must hold up no release, and lead nowhere."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import MARKET, UNIT

FILE = f"{MARKET}/rentals/logs.py"
TRANSPORT = f"{MARKET}/providers/transport.py"
ANSWERS = "plugins/module_utils/common/answers.py"
VASTAI = f"{MARKET}/providers/vastai.py"
RUNPOD = f"{MARKET}/providers/runpod.py"
LOGS = f"{UNIT}/test_logs.py"
STREAMS = f"{UNIT}/test_transport.py"
CONTRACT = "tests/unit/simulator/test_runpod_contract.py"

MUTATIONS = (
    Mutation(
        "log-holds-up-the-release",
        "a log that never comes keeps a rental billing that nobody can use",
        FILE,
        "within(_MOST_SECONDS, lambda: provider.log(rental_id, _PROVIDERS_SECONDS))\n",
        "provider.log(rental_id, _PROVIDERS_SECONDS)\n",
        (f"{LOGS}::test_a_log_that_hangs_holds_nobody_up",),
    ),
    Mutation(
        "log-that-breaks-is-the-failure",
        "an odd log takes the place of what the host did, and the next offer is never tried",
        FILE,
        "    except Exception as error:\n",
        "    except MarketError as error:\n",
        (f"{LOGS}::test_whatever_breaks_a_log_is_told_and_no_error",),
    ),
    Mutation(
        "log-with-its-secrets",
        "what a container prints is shown and kept with the secrets in it",
        FILE,
        "_part(head, redact(text, known))]",
        "_part(head, text)]",
        (f"{LOGS}::test_people_see_the_end_of_each_part_plain_and_without_secrets",),
    ),
    Mutation(
        "log-of-a-container-judges",
        "a container ends the run with a few words, and its machine is not even shunned",
        FILE,
        "    newest_first = log.machine.splitlines()[::-1]\n",
        "    newest_first = (log.machine + log.container).splitlines()[::-1]\n",
        (f"{LOGS}::test_what_a_container_prints_judges_nobody",),
    ),
    Mutation(
        "log-of-a-host-that-ran-judges",
        "an image that was fetched in the end is told to be nowhere",
        FILE,
        'not isinstance(fault, HostFault) or fault.stage != "boot"',
        "not isinstance(fault, HostFault)",
        (f"{LOGS}::test_a_container_that_ran_has_its_image",),
    ),
    Mutation(
        "stream-floods",
        "a stream fills the controller's memory for as long as it is read",
        ANSWERS,
        "                if is_over.is_set() or len(body) >= most_bytes:\n",
        "                if is_over.is_set():\n",
        (f"{STREAMS}::test_a_stream_that_floods_ends_the_reading",),
    ),
    Mutation(
        "stream-drips",
        "a stream that goes on and on is read for as long as it likes",
        ANSWERS,
        "        left = end - time.monotonic()\n",
        "        left = seconds\n",
        (f"{STREAMS}::test_a_stream_that_drips_is_cut",),
    ),
    Mutation(
        "stream-that-breaks-off-is-nothing",
        "what a log has told is lost where its connection ends badly",
        ANSWERS,
        "        with contextlib.suppress(Exception):\n            for chunk in chunks:\n",
        "        with contextlib.suppress(Exception):\n            for chunk in list(chunks):\n",
        (f"{STREAMS}::test_of_a_stream_that_goes_silent_what_came_is_told",),
    ),
    Mutation(
        "log-from-anywhere",
        "an answer has the controller ask any server, those of its own network among them",
        VASTAI,
        "        found = _BUCKET.fullmatch(text) or re.fullmatch(own, text)\n",
        '        found = re.fullmatch(r"(\\w+://[^/]+)(/\\S+)", text) or re.fullmatch(own, text)\n',
        (f"{UNIT}/test_vastai.py::test_a_log_that_is_said_to_lie_anywhere_is_not_fetched",),
    ),
    Mutation(
        "log-costs-the-key",
        "where a log lies, the account's key is sent along",
        VASTAI,
        "            found = bucket.beginning(",
        "            bucket._session.auth = self._transport._session.auth\n"
        "            found = bucket.beginning(",
        (
            f"{UNIT}/test_vastai.py"
            "::test_a_log_is_looked_for_until_it_is_there_and_its_place_gets_no_key_of_ours",
        ),
    ),
    Mutation(
        "runpod-odd-event-is-the-log",
        "one odd event hides what a pod says",
        RUNPOD,
        '        if isinstance(event, dict) and isinstance(event.get("line"), str):\n',
        "        if event:\n",
        (f"{CONTRACT}::test_an_event_that_is_none_is_no_line_and_hides_no_other",),
    ),
    Mutation(
        "log-of-the-host-before",
        "a failure is explained by the log of a host that was released before it",
        "roles/rent/tasks/attempt.yml",
        "        rent_ready: {}\n",
        "",
        (f"{UNIT}/test_failed_deploys.py::test_the_log_of_one_host_explains_no_later_failure",),
    ),
)
