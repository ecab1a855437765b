# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Prometheus is told of a fleet: true figures, each server with its key, nobody's labels."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation

_FIGURES = "plugins/plugin_utils/monitoring/figures.py"
_SCRAPING = "plugins/plugin_utils/monitoring/scraping.py"
_TARGETS = "plugins/action/scrape_targets.py"
_WRITTEN = "plugins/action/fleet_monitoring.py"
_TESTS = "tests/unit/plugins/test_monitoring.py::test_"


def _mutation(
    name: str, breaks: str, file: str, text: str, replacement: str, test: str
) -> Mutation:
    return Mutation(f"monitoring-{name}", breaks, file, text, replacement, (f"{_TESTS}{test}",))


MUTATIONS = (
    _mutation(
        "label-ends-itself",
        "a name that a market writes ends its label and begins another figure",
        _FIGURES,
        ".replace('\"', '\\\\\"')",
        "",
        "what_hosts_and_markets_write_is_a_label_and_nothing_else",
    ),
    _mutation(
        "label-has-lines",
        "a name that a market writes begins a line of its own",
        _FIGURES,
        "plain_line(text, _MOST_LETTERS)",
        "text",
        "what_hosts_and_markets_write_is_a_label_and_nothing_else",
    ),
    _mutation(
        "label-has-secrets",
        "a token that a host tells is published",
        _FIGURES,
        "told = redact(plain_line(text, _MOST_LETTERS))",
        "told = plain_line(text, _MOST_LETTERS)",
        "what_hosts_and_markets_write_is_a_label_and_nothing_else",
    ),
    _mutation(
        "untold-is-nothing",
        "a rental whose price nobody tells is published as free",
        _FIGURES,
        "value = None if told is None or isinstance(told, bool) else float(told)",
        "value = 0.0 if told is None or isinstance(told, bool) else float(told)",
        "what_nobody_tells_is_left_out",
    ),
    _mutation(
        "yes-is-a-price",
        "a price that is no number is published as one dollar",
        _FIGURES,
        " or isinstance(told, bool) else",
        " else",
        "what_is_no_number_is_no_figure",
    ),
    _mutation(
        "price-without-end",
        "a price that is no number is published",
        _FIGURES,
        "value is not None and math.isfinite(value)",
        "value is not None",
        "what_is_no_number_is_no_figure",
    ),
    _mutation(
        "deadline-by-another-clock",
        "a deadline is told by the market's clock",
        _FIGURES,
        "None if left is None else at + left",
        'None if left is None else rental["mark"]["deadline"]',
        "money_and_ends_follow_from_the_time_of_the_look",
    ),
    _mutation(
        "no-budget-is-a-budget",
        "a host without a budget is over it at once",
        _FIGURES,
        "budget or None",
        "budget",
        "what_nobody_tells_is_left_out",
    ),
    _mutation(
        "gpus-are-told-twice",
        "what a look saw long ago stands beside what a dcgm-exporter tells",
        _FIGURES,
        "if host not in own_gpus:",
        "if host:",
        "a_host_with_a_dcgm_exporter_tells_of_its_gpus_itself",
    ),
    _mutation(
        "first-finding-alone",
        "a second thing that is wrong with a host is not told",
        _FIGURES,
        '(verdict, *verdict["notes"])',
        "(verdict,)",
        "findings_are_told_once_each",
    ),
    _mutation(
        "host-names-itself",
        "a host sets the labels by which others are known",
        _SCRAPING,
        '"honor_labels": False',
        '"honor_labels": True',
        "each_server_is_a_job_with_its_own_key_and_a_file_of_targets",
    ),
    _mutation(
        "no-key",
        "a server is read without its key",
        _SCRAPING,
        'if target["key_file"]:\n        job',
        'if target["key_file"] is None:\n        job',
        "each_server_is_a_job_with_its_own_key_and_a_file_of_targets",
    ),
    _mutation(
        "key-of-clients-for-engines",
        "an engine behind a proxy is sent the key of clients",
        _TARGETS,
        'given["engine_key" if spec.get("proxy_port") else "client_key"]',
        'given["client_key"]',
        "an_engine_behind_a_proxy_is_read_itself_with_the_key_that_no_client_has",
    ),
    _mutation(
        "key-for-nobody",
        "a server that asks for no key is sent one",
        _TARGETS,
        'key or "" if spec.get("needs_key", True) else ""',
        'key or ""',
        "a_server_that_asks_for_no_key_is_sent_none",
    ),
    _mutation(
        "stopped-is-watched",
        "a server that was stopped on purpose is told to be down",
        _TARGETS,
        'server["phase"] == "stopped" or server.get("port") is None',
        'server.get("port") is None',
        "what_was_stopped_is_read_no_more_and_leaves_no_key",
    ),
    _mutation(
        "key-of-the-stopped-stays",
        "the key of a server that was stopped stays on the controller",
        _TARGETS,
        '(Path(given["keys_folder"]) / source.name).unlink(missing_ok=True)',
        "pass",
        "what_was_stopped_is_read_no_more_and_leaves_no_key",
    ),
    _mutation(
        "crashed-is-forgotten",
        "nobody is told of a server that has crashed",
        _TARGETS,
        'server["phase"] == "stopped" or',
        'server["phase"] != "running" or',
        "a_server_that_crashed_is_still_read_so_that_somebody_is_told",
    ),
    _mutation(
        "dry-run-opens",
        "a dry run opens tunnels",
        _TARGETS,
        "tunnel.keep(way, dry_run=dry)",
        "tunnel.keep(way)",
        "a_dry_run_opens_nothing_and_writes_no_key",
    ),
    _mutation(
        "name-is-a-path",
        "what a host calls a server is a path of the controller",
        _TARGETS,
        "if not _NAME.fullmatch(name):",
        "if not name:",
        "what_a_host_says_of_a_server_becomes_no_path_and_no_port",
    ),
    _mutation(
        "any-number-is-a-port",
        "what a host says of a port becomes a word for ssh",
        _TARGETS,
        "if not 0 < port < 2**16:",
        "if port == 0:",
        "what_a_host_says_of_a_server_becomes_no_path_and_no_port",
    ),
    _mutation(
        "tunnels-without-number",
        "a host has the controller start as many processes as it likes",
        _TARGETS,
        'given["servers"][:_MOST_SERVERS]',
        'given["servers"]',
        "a_host_that_tells_of_servers_without_number_has_few_tunnels",
    ),
    _mutation(
        "keys-stay",
        "the key of a server that is gone stays on the controller",
        _WRITTEN,
        '*(folder / "keys").glob("*")',
        "",
        "what_is_read_no_more_leaves_no_target_and_no_key",
    ),
    _mutation(
        "keys-of-all-go",
        "the key of a server that is read is removed",
        _WRITTEN,
        "sorted(found - files - keys)",
        "sorted(found - files)",
        "what_is_read_no_more_leaves_no_target_and_no_key",
    ),
    _mutation(
        "dry-run-removes",
        "a dry run removes keys",
        _WRITTEN,
        "for path in () if dry else gone:",
        "for path in gone:",
        "what_is_read_no_more_leaves_no_target_and_no_key",
    ),
    _mutation(
        "figures-are-a-change",
        "each look counts as a change",
        _WRITTEN,
        '"changed": bool(gone) or any(changed.values()),',
        '"changed": True,',
        "a_second_look_changes_figures_and_nothing_else",
    ),
    _mutation(
        "reloads-each-time",
        "a Prometheus reads all of its files again with each look",
        _WRITTEN,
        'if needs_reload and given["prometheus_url"]',
        'if given["prometheus_url"]',
        "a_prometheus_that_runs_reads_its_configuration_again_when_that_has_changed",
    ),
    _mutation(
        "all-is-for-others",
        "other users of the controller read all files",
        _WRITTEN,
        "keep_file(folder / name, text, dry)[",
        "keep_file(folder / name, text, dry, _PUBLIC_MODE)[",
        "files_are_for_their_owner_alone_but_figures_that_others_are_to_publish",
    ),
)
