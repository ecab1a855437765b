# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A screen for people: a line for each host and phase, what failed, and how to go on."""

from __future__ import annotations

DOCUMENTATION = r"""
name: phases
type: stdout
short_description: Shows a deploy on one screen, by phases instead of tasks
version_added: "0.1.0"
author:
  - inferops.gpu contributors (@inferops)
description:
  - Of the playbooks and roles of this collection it shows a line for each host and phase, with its
    seconds, those that were expected, and the dollars that the rental has cost by then. Many hosts
    that end a phase at once share a line, and a phase that lasts has a line now and then.
  - What these tasks have to say to people, such as the priced plan of C(--check) or an offer that
    failed and what it has cost, is shown as plain lines.
  - After Ansible's own recap come the hosts that serve, each with its endpoint, a command to paste,
    cost, deadline and how to stop it; and last the hosts that failed, with the cause and what to
    change. A failure that a play has mended by itself is no more than a line.
  - Everything else, such as tasks of plays of your own, differences with C(--diff), warnings and
    deprecations, is shown as the callback P(ansible.builtin.default#callback) shows it.
  - With C(-v) all tasks are shown as it does, and the hosts that serve or failed behind them.
  - Who interrupts the run is told which rentals may bill, and which playbook ends them.
extends_documentation_fragment:
  - default_callback
  - result_format_callback
notes:
  - The lines are plain text of whole lines, so that they also read well in log files. Colours are
    Ansible's own, and off where it has none, such as with E(NO_COLOR).
requirements:
  - chosen in C(ansible.cfg) by C(stdout_callback = inferops.gpu.phases), or by
    E(ANSIBLE_STDOUT_CALLBACK)
options:
  first_after_seconds:
    description: A phase that lasts longer than this has its first line by then.
    type: float
    default: 10
    env:
      - name: INFEROPS_PHASES_FIRST_AFTER_SECONDS
    ini:
      - section: callback_inferops_phases
        key: first_after_seconds
  repeat_every_seconds:
    description: The longest time between two such lines. Until then each takes twice as long.
    type: float
    default: 80
    env:
      - name: INFEROPS_PHASES_REPEAT_EVERY_SECONDS
    ini:
      - section: callback_inferops_phases
        key: repeat_every_seconds
"""

import threading
import time
from collections.abc import Mapping
from typing import Any

import yaml
from ansible import constants, context
from ansible.plugins.callback.default import CallbackModule as Default

from ansible_collections.inferops.gpu.plugins.module_utils.common.plain import plain, plain_line
from ansible_collections.inferops.gpu.plugins.module_utils.common.redaction import redact
from ansible_collections.inferops.gpu.plugins.plugin_utils import phase_table, screen
from ansible_collections.inferops.gpu.plugins.plugin_utils.bills import (
    Bills,
    expected_seconds,
    is_number,
)
from ansible_collections.inferops.gpu.plugins.plugin_utils.interruption import (
    explain_interruption,
    say_what_bills,
)
from ansible_collections.inferops.gpu.plugins.plugin_utils.phase_lines import (
    Card,
    Done,
    Phase,
    Said,
    Timeline,
    card_lines,
    entry_lines,
    failure_lines,
    host_list,
    seconds_words,
)

_LOOK_EVERY_SECONDS = 0.5
#: A line may be as long as a command to paste, and a message as a cause with its remedy.
_MOST_LETTERS = 4000
_MOST_LINES = 200
_DEBUG = "ansible.builtin.debug"
_ASSERT = "ansible.builtin.assert"


class _Running:
    """What a host is doing since when, and when that gets its next line (monotonic seconds)."""

    def __init__(self, label: str, since: float, gap: float) -> None:
        self.label = label
        self.since = since
        self.gap = gap
        self.next_line_at = since + gap
        self.detail = ""


class CallbackModule(Default):
    """Ansible calls it in its main process; a daemon thread there shows what lasts."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "inferops.gpu.phases"

    def __init__(self) -> None:
        super().__init__()
        # Guards everything below, which both the thread and Ansible's own calls touch.
        self._guard = threading.RLock()
        self._bills = Bills()
        self._timeline = Timeline()
        self._running: dict[str, _Running] = {}
        #: Those that have done a task of their phase and wait for the next one.
        self._resting: dict[str, _Running] = {}
        #: Those in a task that is shown by itself, as are the lines that it tells meanwhile.
        self._in_the_open: set[str] = set()
        #: What is still to be shown: hosts that tell the same at once share a line.
        self._entries: list[Done | Said] = []
        self._width = 0
        self._shown_of: dict[str, list[str]] = {}
        self._cards: dict[str, Card] = {}
        #: Why each host failed, and the name to show it by: "" where a task speaks for all hosts.
        self._failures: dict[str, tuple[str, list[str]]] = {}
        self._places: dict[str, str] = {}
        self._play_is_ours = False
        self._channel = None if self._display.verbosity else screen.open_channel()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    # What is ours, and whether it is shown by phases.

    def _place(self, task: Any) -> str:
        """Where in this collection a task stands; empty for tasks of others."""
        if task._uuid not in self._places:
            place = phase_table.place_of(task.get_path() or "")
            # Ansible's own look at a role's options stands where the role was included.
            role = task._role._role_path if task._role else ""
            self._places[task._uuid] = place or phase_table.place_of(f"{role}/tasks:1")
        return self._places[task._uuid]

    def _hides(self, task: Any) -> bool:
        """Whether a task is ours, so that people need not see it by itself."""
        return bool(self._channel and self._place(task))

    # Lines.

    def _say(self, host: str, message: Any) -> None:
        """Lines for people from *message*, whoever it comes from."""
        if isinstance(message, str):
            told = [message]
        elif isinstance(message, list) and all(isinstance(one, str) for one in message):
            told = message
        else:
            told = _as_yaml(message)
        lines = tuple(filter(None, map(_plain, told[:_MOST_LINES])))
        if lines:
            self._entries.append(Said(plain_line(host), lines))

    def _close(self, phase: Phase | None, failed: bool = False) -> None:
        """Show a phase that is over. In check mode nobody waits for anything."""
        if phase is None or context.CLIARGS.get("check"):
            return
        offer = self._bills.offer(phase.host)
        note = ""
        if phase.name == "rent" and offer and not failed:
            note = _plain(f"offer {offer.get('id')} of {offer.get('provider')}: {_offered(offer)}")
        self._entries.append(
            Done(
                host=plain_line(phase.host),
                phase=phase.name,
                seconds=phase.ended - phase.began,
                expected_seconds=expected_seconds(offer, phase_table.EXPECTED.get(phase.name, "-")),
                spent_usd=self._bills.spent_usd([phase.host]),
                failed=failed,
                note=note,
            )
        )

    def _flush(self) -> None:
        with self._guard:
            entries, self._entries = self._entries, []
            for line, is_failure in entry_lines(entries, self._width):
                self._display.display(line, color=constants.COLOR_ERROR if is_failure else None)

    # The thread.

    def _watch(self) -> None:
        while not self._over.wait(_LOOK_EVERY_SECONDS):
            with self._guard:
                self._flush()
                self._hear()
                for line in self._due_lines(time.monotonic()):
                    self._display.display(line)

    def _hear(self) -> None:
        """What tasks tell while they run: the last word of a phase, or a line of its own."""
        for host, text in self._channel.take() if self._channel else ():
            if host in self._running:
                self._running[host].detail = text
            elif host in self._in_the_open:
                self._display.display(f"{plain_line(host)}: {text}")

    def _due_lines(self, now: float) -> list[str]:
        """One line for each phase that lasts, with all its hosts, when its time has come."""
        due: dict[str, list[str]] = {}
        for host, one in self._running.items():
            due.setdefault(one.label, []).append(host)
        return [
            self._lasting_line(label, sorted(hosts), now)
            for label, hosts in due.items()
            if self._is_due(hosts, now)
        ]

    def _is_due(self, hosts: list[str], now: float) -> bool:
        """Whether the first of them has waited long enough; then all of them have their line."""
        lasting = [self._running[host] for host in hosts]
        if now < min(one.next_line_at for one in lasting):
            return False
        for one in lasting:
            one.gap = min(2 * one.gap, self.get_option("repeat_every_seconds"))
            one.next_line_at = now + one.gap
        return True

    def _lasting_line(self, label: str, hosts: list[str], now: float) -> str:
        seconds = now - min(self._running[host].since for host in hosts)
        expected = max(self._expected(host, label) for host in hosts)
        spent = self._bills.spent_usd(hosts)
        detail = next(
            (one.detail for one in map(self._running.get, hosts) if one and one.detail), ""
        )
        took = seconds_words(seconds)
        return "".join(
            (
                f"… {host_list([plain_line(host) for host in hosts])}: {label}, {took}",
                f" of about {seconds_words(expected)}" if expected else "",
                f", ${spent:.4f} so far" if spent is not None else "",
                f" ({detail})" if detail else "",
            )
        )

    def _expected(self, host: str, phase: str) -> float:
        name = phase_table.EXPECTED.get(phase, "-")
        return expected_seconds(self._bills.offer(host), name)

    # Hosts entering and leaving tasks.

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        """A host enters a task."""
        if not self._hides(task):
            super().v2_runner_on_start(host, task)
        name, now = host.get_name(), time.monotonic()
        if self._place(task):
            explain_interruption()
        with self._guard:
            self._bills.begin(name, task)
            if self._hides(task):
                self._enter(name, task, now)
            else:
                self._resting.pop(name, None)
                self._in_the_open.add(name)
        if self._channel and self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="phases", daemon=True)
            self._thread.start()

    def _enter(self, host: str, task: Any, now: float) -> None:
        """A host enters a task that is shown as a part of its phase."""
        self._width = max(self._width, len(host))
        phase = phase_table.phase_of(self._place(task))
        if phase and task.action not in phase_table.THINKING:
            self._close(self._timeline.enter(host, phase, now))
        self._run(host, phase or plain_line(task.get_name().rpartition(" : ")[2]), now)

    def _run(self, host: str, label: str, now: float) -> None:
        rested = self._resting.pop(host, None)
        if rested is None or rested.label != label:
            rested = _Running(label, now, self.get_option("first_after_seconds"))
        self._running[host] = rested

    def _leave(self, result: Any) -> str:
        """What is common to all ends of a task; the host's name."""
        name: str = result.host.get_name()
        self._bills.hear(result)
        self._hear()
        self._in_the_open.discard(name)
        if name in self._running:
            self._resting[name] = self._running.pop(name)
        return name

    def v2_runner_on_ok(self, result: Any) -> None:
        """A host leaves a task: done."""
        task = result.task
        with self._guard:
            name = self._leave(result)
            self._keep_card(name, result)
            if self._hides(task):
                phase = phase_table.phase_of(self._place(task))
                if task.action not in phase_table.THINKING:
                    self._timeline.work(name, phase, time.monotonic())
                self._show_told(name, result)
                self._handle_warnings(result.result)
                return
        super().v2_runner_on_ok(result)

    def _show_told(self, host: str, result: Any) -> None:
        """What a task of ours has for people."""
        task, message = result.task, result.result.get("msg")
        if task.action == _ASSERT:
            message = message if task.args.get("success_msg") else None
        elif task.action != _DEBUG:
            message = None
        when = phase_table.SHOWN.get(task.name)
        if not message or when in (phase_table.NEVER, phase_table.LAST):
            return
        if when == phase_table.IN_CHECK_MODE and not context.CLIARGS.get("check"):
            return
        if when == phase_table.AFTER:
            self._close(self._timeline.leave(host))
        self._say("" if task.run_once else host, message)

    def _keep_card(self, host: str, result: Any) -> None:
        """What is known of a host that serves, for the end."""
        if not self._place(result.task):
            return
        message = result.result.get("msg")
        if phase_table.SHOWN.get(result.task.name) == phase_table.LAST and isinstance(
            message, list
        ):
            self._shown_of[host] = [_plain(str(one)) for one in message]
        report = (result.result.get("ansible_facts") or {}).get("inferops_report")
        if isinstance(report, Mapping) and result.task.action == "ansible.builtin.set_fact":
            self._cards[host] = _card(report)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """A host leaves a task: failed. Whether that ends its play is known at the end."""
        with self._guard:
            name = self._leave(result)
            if not ignore_errors:
                self._fail(name, result)
            if self._hides(result.task):
                self._handle_warnings(result.result)
                return
        super().v2_runner_on_failed(result, ignore_errors=ignore_errors)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """A host leaves a task: not reachable."""
        with self._guard:
            name = self._leave(result)
            if not result.task.ignore_unreachable:
                self._fail(name, result)
            if self._hides(result.task):
                return
        super().v2_runner_on_unreachable(result)

    def _fail(self, host: str, result: Any) -> None:
        """Keep why a host failed, and show the phase that it failed in."""
        if not self._place(result.task):
            self._failures.pop(host, None)
            return
        name = "" if result.task.run_once else plain_line(host)
        self._failures[host] = (name, _reasons(result.result))
        current = self._timeline.now_in.get(host)
        phase = phase_table.phase_of(self._place(result.task))
        is_in_it = current is not None and current.name == phase
        # The last word about a host that has failed before.
        is_in_it = is_in_it and result.task.action != phase_table.LAST_WORD
        if current is not None and is_in_it:
            current.worked, current.ended = True, time.monotonic()
        self._close(self._timeline.leave(host), failed=is_in_it)
        self._resting.pop(host, None)

    def v2_runner_on_skipped(self, result: Any) -> None:
        """A host leaves a task: skipped."""
        with self._guard:
            self._leave(result)
        if not self._hides(result.task):
            super().v2_runner_on_skipped(result)

    # The items of loops, retries and jobs.

    def v2_runner_item_on_ok(self, result: Any) -> None:
        """One item of a loop: done."""
        if self._hides(result.task):
            self._handle_warnings(result.result)
        else:
            super().v2_runner_item_on_ok(result)

    def v2_runner_item_on_failed(self, result: Any) -> None:
        """One item of a loop: failed. The task tells why."""
        if not self._hides(result.task):
            super().v2_runner_item_on_failed(result)

    def v2_runner_item_on_skipped(self, result: Any) -> None:
        """One item of a loop: skipped."""
        if not self._hides(result.task):
            super().v2_runner_item_on_skipped(result)

    def v2_runner_retry(self, result: Any) -> None:
        """A task is tried again."""
        if not self._hides(result.task):
            super().v2_runner_retry(result)

    def v2_runner_on_async_poll(self, result: Any) -> None:
        """A job still runs."""
        if not self._hides(result.task):
            super().v2_runner_on_async_poll(result)

    def v2_runner_on_async_ok(self, result: Any) -> None:
        """A job is done."""
        if not self._hides(result.task):
            super().v2_runner_on_async_ok(result)

    def v2_runner_on_async_failed(self, result: Any) -> None:
        """A job has failed."""
        if not self._hides(result.task):
            super().v2_runner_on_async_failed(result)

    def v2_on_file_diff(self, result: Any) -> None:
        """What --diff shows is shown of every task."""
        self._flush()
        super().v2_on_file_diff(result)

    # Plays and tasks.

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """The run begins."""
        say_what_bills(self._bills.lines)
        super().v2_playbook_on_start(playbook)

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """A play begins."""
        self._leave_phases()
        self._play_is_ours = bool(phase_table.place_of(play.get_path() or ""))
        if self._play_is_ours and self._channel:
            self._play = play
        else:
            super().v2_playbook_on_play_start(play)

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """The play goes on to another task."""
        if not self._hides(task):
            self._flush()
            super().v2_playbook_on_task_start(task, is_conditional)
        else:
            # Should --diff show it, then under its own name.
            self._last_task_name = None

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        """The play goes on to a handler."""
        if not self._hides(task):
            self._flush()
            super().v2_playbook_on_handler_task_start(task)

    def v2_playbook_on_include(self, included_file: Any) -> None:
        """A file or role was included."""
        if not self._hides(included_file._task):
            super().v2_playbook_on_include(included_file)

    def v2_playbook_on_no_hosts_matched(self) -> None:
        """A play has no hosts: ours that need some say so themselves."""
        if not (self._play_is_ours and self._channel):
            super().v2_playbook_on_no_hosts_matched()

    def v2_playbook_on_no_hosts_remaining(self) -> None:
        """All hosts have failed: each is told at the end."""
        if not (self._play_is_ours and self._channel):
            super().v2_playbook_on_no_hosts_remaining()

    def _leave_phases(self) -> None:
        with self._guard:
            for host in [*self._timeline.now_in]:
                self._close(self._timeline.leave(host))
            self._running.clear()
            self._resting.clear()
            self._flush()

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """The run is over: the recap, the hosts that serve, and those that do not."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        self._leave_phases()
        super().v2_playbook_on_stats(stats)
        failed = [host for host in sorted(stats.processed) if _has_failed(stats, host)]
        cards = {host: card for host, card in sorted(self._cards.items()) if host not in failed}
        for line in card_lines(cards, self._shown_of):
            self._display.display(line)
        reasons = dict(self._failures[host] for host in failed if host in self._failures)
        for line in failure_lines(reasons, self._display.columns):
            self._display.display(line, color=constants.COLOR_ERROR)


def _has_failed(stats: Any, host: str) -> bool:
    told = stats.summarize(host)
    return bool(told["failures"] or told["unreachable"])


def _plain(text: str) -> str:
    """*text*, whoever it comes from, as one line for people; columns stay columns."""
    return " ".join(plain(text[:_MOST_LETTERS]).split("\n")).expandtabs().rstrip()


def _as_yaml(message: Any) -> list[str]:
    """What is told as data, with a line for each that has only plain values."""
    text: str = yaml.safe_dump(
        message, default_flow_style=None, allow_unicode=True, width=_MOST_LETTERS
    )
    return text.splitlines()


def _without_secrets(text: Any) -> str:
    """What a task has failed with: not every module that may fail is one of ours."""
    return redact(_plain(str(text)))


def _reasons(result: Mapping[str, Any]) -> list[str]:
    """Why a task failed: the parts of its message, or its message, or those of a loop's items."""
    told = result.get("parts")
    if isinstance(told, list) and told:
        return [*map(_without_secrets, told)]
    items = [one for one in result.get("results") or () if isinstance(one, Mapping)]
    failed = [one["msg"] for one in items if one.get("failed") and one.get("msg")]
    return [*map(_without_secrets, failed or [result.get("msg") or "no message"])]


def _offered(offer: Mapping[str, Any]) -> str:
    price = offer.get("price_usd_per_hour")
    words = f"{offer.get('gpu_count') or '?'} x {offer.get('gpu_name') or 'GPU not told'}"
    return f"{words} for ${price:.4f} an hour" if is_number(price) else words


def _card(report: Mapping[str, Any]) -> Card:
    rental = report.get("rental") or {}
    price, spent = rental.get("price_per_hour"), report.get("cost")
    return Card(
        endpoint=_plain(str(report.get("endpoint"))),
        model=_plain(str(report.get("model"))),
        command=_plain(str(report.get("command") or "")),
        usd_per_hour=float(price) if price is not None and is_number(price) else None,
        spent_usd=float(spent) if spent is not None and is_number(spent) else 0.0,
    )
