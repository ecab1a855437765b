# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is taken out of a host's text: keys whose edges are cut off, in a time that the host does
not choose.
"""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import COMMON, KNOWN

REDACTION = "tests/unit/host/test_redaction.py"
IN_TIME = "test_a_log_that_says_one_thing_for_ever_is_read_in_a_time_that_grows_with_it"
SUMMARY = "test_a_summary_shows_what_a_host_says_as_text_on_its_line"
KEY_LINES = "tests/unit/host/test_key_bodies.py"

MUTATIONS = (
    Mutation(
        "unseen-letters-hide-a-secret",
        "a secret with a colour in it passes, and is put together by whoever makes the text plain",
        f"{COMMON}/redaction.py",
        "    text = plain(text)\n",
        "",
        (
            f"{REDACTION}::test_a_secret_is_taken_out_whatever_stands_before_it",
            f"{REDACTION}::test_nothing_unseen_hides_a_secret",
        ),
        30,
    ),
    Mutation(
        "secret-behind-a-spelled-line-break",
        "a token at the beginning of a line is shown where a log is JSON",
        f"{COMMON}/redaction.py",
        'pattern.replace(r"\\b", _BEGINS, 1)',
        "pattern",
        (f"{REDACTION}::test_a_secret_is_taken_out_whatever_stands_before_it",),
        20,
    ),
    Mutation(
        "headings-of-a-host-in-the-summary",
        "a host writes a remedy into the page that people open of a failure",
        "roles/evidence/templates/summary.md.j2",
        ".split() | join(' ') | replace",
        " | replace",
        (f"{KNOWN}::{SUMMARY}",),
    ),
    Mutation(
        "html-of-a-host-in-the-summary",
        "a host's script runs for who opens the summary in a browser",
        "roles/evidence/templates/summary.md.j2",
        "join(' ') | replace('<', '&lt;')",
        "join(' ')",
        (f"{KNOWN}::{SUMMARY}",),
    ),
    Mutation(
        "sets-of-letters-stay",
        "what `tput sgr0` ends with stands in each line, and joins what follows",
        f"{COMMON}/plain.py",
        '    r"|\\x1b[ -/]+[0-~]|\\x1b[0-~]"\n',
        "",
        ("tests/unit/plugins/test_plain.py",),
        2,
    ),
    Mutation(
        "value-judged-as-long-as-it-is",
        "a host that repeats a name holds the controller for as long as it likes",
        f"{COMMON}/redaction.py",
        "_value_at(text, start, start + _MOST_JUDGED)",
        "_value_at(text, start, len(text))",
        (f"{REDACTION}::{IN_TIME}[18]",),
    ),
    Mutation(
        "long-value-shown-from-where-it-is-judged",
        "of a secret longer than what is judged the rest is shown",
        f"{COMMON}/redaction.py",
        "    return value if len(value) < _MOST_JUDGED else _value_at(text, start, len(text))\n",
        "    return value\n",
        (f"{REDACTION}::test_a_secret_without_end_is_taken_out_whole",),
    ),
    Mutation(
        "proxy-login-without-bounds",
        "a host that says nothing but proxy holds the controller for as long as it likes",
        f"{COMMON}/redaction.py",
        "(proxy\\w{0,20}[=:]",
        "(\\b\\w*proxy\\w*[=:]",
        (f"{REDACTION}::{IN_TIME}[21]",),
    ),
    Mutation(
        "key-lines-without-head-shown",
        "a log that begins within a private key shows the rest of it",
        f"{COMMON}/redaction.py",
        "    text = _without(text, key_lines(text))\n",
        "",
        (f"{KEY_LINES}::test_of_a_key_whose_edges_are_cut_off_no_line_is_left",),
        30,
    ),
    Mutation(
        "key-lines-behind-what-logs-write",
        "the last line of a key is shown where each line has a time before it",
        f"{COMMON}/key_bodies.py",
        "(?P<ahead>[^\\r\\n\\\\]{{1,{_MOST_BETWEEN}}}?[\\s|:=\\\"'])??",
        "(?P<ahead>a)??",
        (f"{KEY_LINES}::test_of_a_key_whose_edges_are_cut_off_no_line_is_left",),
        4,
    ),
    Mutation(
        "sums-taken-for-keys",
        "the sums of files and certificates are taken out of evidence",
        f"{COMMON}/key_bodies.py",
        "        if len(found[0]) not in _LENGTHS or not _is_drawn(found[0]):\n",
        "        if len(found[0]) not in _LENGTHS:\n",
        (f"{KEY_LINES}::test_sums_names_and_certificates_stay",),
        2,
    ),
    Mutation(
        "certificates-taken-for-keys",
        "a certificate in a log is taken out as a private key",
        f"{COMMON}/key_bodies.py",
        '        if any(of and "PRIVATE" not in of for of in (before, behind)):\n',
        "        if False:\n",
        (f"{KEY_LINES}::test_sums_names_and_certificates_stay",),
        2,
    ),
)
