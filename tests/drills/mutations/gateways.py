# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A gateway gets to its servers and nowhere else, and leaves those that do not serve."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import COMMON, HOST, MODULES

ACCESS = "tests/unit/host/test_gateway_access.py"
PROXIES = "tests/unit/host/test_gateway_proxy.py"
PARTS = "tests/unit/host/test_proxy_parts.py"
FILTERS = "tests/unit/plugins/test_gateway_filters.py"
GATE = "tests/unit/plugins/test_check_variables.py"
LAUNCHER = "tests/unit/host/test_launcher.py"
TUNNEL = f"{HOST}/tunnel/tunnel.py"
CONFIGURATION = f"{HOST}/proxy/configuration.py"
BELIEVES = f"{PROXIES}::test_a_tunnel_believes_one_key_and_no_setting_of_anybodys"
ONE_PORT = f"{ACCESS}::test_a_gateway_gets_one_port_and_no_shell"
NO_LINE = f"{ACCESS}::test_what_would_write_another_line_is_refused"
FOR_EVER = f"{LAUNCHER}::test_what_waits_for_another_machine_is_started_again_for_ever"
WAY = "plugins/filter/gateway_way.py"

MUTATIONS = (
    Mutation(
        "gateway-key-opens-any-port",
        "who has a gateway's key reaches the engine without its proxy",
        f"{HOST}/tunnel/access.py",
        "        f'permitopen=\"127.0.0.1:{port}\"',\n",
        "",
        (ONE_PORT,),
    ),
    Mutation(
        "gateway-key-opens-a-shell",
        "who has a gateway's key works on the host",
        f"{HOST}/tunnel/access.py",
        '        "restrict",\n        "port-forwarding",\n',
        "",
        (ONE_PORT,),
    ),
    Mutation(
        "gateway-stays-let-in",
        "a gateway that was taken away gets in for ever",
        f"{HOST}/tunnel/access.py",
        "if each not in known]",
        "if each not in wanted]",
        (f"{ACCESS}::test_just_the_gateways_that_are_asked_for_are_let_in",),
    ),
    Mutation(
        "gateway-key-of-two-lines",
        "a gateway that somebody has taken lets another key in at every server",
        f"{COMMON}/ssh_words.py",
        "    return isinstance(value, str) and bool(_PUBLIC_KEY.fullmatch(value))",
        "    return isinstance(value, str) and bool(_PUBLIC_KEY.match(value))",
        (NO_LINE,),
    ),
    Mutation(
        "lines-of-others-are-rewritten",
        "the operator's own keys are cut where a gateway is let in",
        f"{HOST}/tunnel/access.py",
        'others = [each for each in text.split("\\n")',
        "others = [each for each in text.splitlines()",
        (f"{ACCESS}::test_lines_of_others_stay_as_they_are",),
    ),
    Mutation(
        "tunnel-to-any-host",
        "another machine at the address gets the prompts",
        TUNNEL,
        '    "StrictHostKeyChecking": "yes",\n',
        '    "StrictHostKeyChecking": "no",\n',
        (BELIEVES,),
    ),
    Mutation(
        "tunnel-for-everybody",
        "any user of the gateway reaches the servers",
        TUNNEL,
        '    "StreamLocalBindMask": "0177",\n',
        '    "StreamLocalBindMask": "0111",\n',
        (BELIEVES,),
    ),
    Mutation(
        "tunnel-with-the-operators-settings",
        "ssh runs what the settings of the user say",
        TUNNEL,
        'command = [spec.executable, "-F", "/dev/null", "-N", "-T"]',
        'command = [spec.executable, "-N", "-T", "-o", "ForwardAgent=yes"]',
        (BELIEVES,),
    ),
    Mutation(
        "tunnel-gives-up",
        "a host that is away for an hour is never reached again",
        f"{HOST}/service/launcher.py",
        "failure = self.failure() if self.service.gives_up else None",
        "failure = self.failure()",
        (FOR_EVER,),
        2,
    ),
    Mutation(
        "tunnel-refused-after-many-starts",
        "the same, after a week",
        f"{HOST}/service/launcher.py",
        "if self.service.gives_up and restarts > MAX_RESTARTS:",
        "if restarts > MAX_RESTARTS:",
        (FOR_EVER,),
    ),
    Mutation(
        "tunnel-waits-without-end",
        "a pause that cannot be computed ends the launcher",
        f"{HOST}/service/launcher.py",
        "2 ** min(restarts - 1, MOST_DOUBLED)",
        "2 ** (restarts - 1)",
        (FOR_EVER,),
    ),
    Mutation(
        "tunnel-hangs",
        "a host that vanished while ssh logged in is waited for for ever",
        f"{HOST}/service/launcher.py",
        "if most_seconds is not None and time.monotonic() - began >= most_seconds:",
        "if False:",
        (f"{LAUNCHER}::test_what_hangs_on_its_way_is_ended_and_tried_again",),
    ),
    Mutation(
        "tunnel-cannot-be-run-once",
        "a disk that was full for a moment closes a tunnel for good",
        f"{HOST}/service/launcher.py",
        "        if self.service.gives_up:\n            return EXIT_FINAL\n",
        "        return EXIT_FINAL\n",
        (f"{LAUNCHER}::test_what_cannot_be_run_now_is_tried_again_later",),
    ),
    Mutation(
        "gateway-watches-nothing",
        "a frozen engine behind its own proxy keeps its clients",
        CONFIGURATION,
        '"reads_metrics": (proxy_keys.METRICS, proxy_keys.GATEWAY),',
        '"reads_metrics": (proxy_keys.METRICS,),',
        (f"{PROXIES}::test_a_gateways_key_reads_the_figures_that_it_watches",),
    ),
    Mutation(
        "gateway-is-no-client",
        "a gateway gets no answer",
        CONFIGURATION,
        '"is_client": (proxy_keys.CLIENT, proxy_keys.GATEWAY),',
        '"is_client": (proxy_keys.CLIENT,),',
        (f"{PROXIES}::test_a_gateway_sends_its_own_key_and_names_the_server",),
    ),
    Mutation(
        "looks-fill-the-log",
        "nobody finds the requests of people in the log",
        CONFIGURATION,
        '    yield "    http-request set-log-level silent if is_gateway is_look"\n',
        "",
        (f"{PROXIES}::test_looks_of_a_gateway_are_not_written_down",),
    ),
    Mutation(
        "closed-counts-as-alive",
        "clients get 401 for a key that is right",
        f"{HOST}/engines/client.py",
        "    return TurnedAway if status in _TURNED_AWAY else NotYet",
        "    return NotYet",
        (f"{PARTS}::test_an_answer_that_turns_away_is_told_from_one_without_figures",),
    ),
    Mutation(
        "turned-away-is-a-sign-of-life",
        "the same",
        f"{HOST}/proxy/agent.py",
        '            self.progress.refused(" ".join(str(error).split()[:3]))\n            return\n',
        "            sample = Sample()\n",
        (f"{PARTS}::test_who_is_turned_away_by_an_engine_is_sent_no_client",),
    ),
    Mutation(
        "stranger-fills-the-gateway",
        "one rented host takes the gateway's memory",
        WAY,
        'min(_whole(proxy["max_connections"]), _MOST_CONNECTIONS)',
        '_whole(proxy["max_connections"])',
        (f"{FILTERS}::test_what_a_strangers_host_says_of_itself_is_held_to_its_bounds",),
    ),
    Mutation(
        "gateway-loses-who-is-away",
        "a host that is away for a minute is taken out for good",
        "plugins/filter/gateway_ways.py",
        "    if missing:\n",
        "    servers = [name for name in servers if name not in missing]\n    if False:\n",
        (f"{FILTERS}::test_a_gateway_that_would_lose_servers_stays_as_it_is",),
    ),
    Mutation(
        "keys-in-the-clear",
        "whoever is on the way reads keys and prompts",
        "plugins/filter/gateway_listeners.py",
        'if not each.get("certificate") and not _is_loopback(address):',
        "if False:",
        (f"{FILTERS}::test_beyond_the_loopback_a_gateway_listens_with_a_certificate_alone",),
    ),
    Mutation(
        "gateway-key-of-an-account",
        "servers of another account turn the gateway away",
        "plugins/filter/engine_key.py",
        'if whose == "gateway" and not given_secret(source):',
        "if False:",
        (f"{FILTERS}::test_a_gateways_key_follows_from_the_secret_that_all_of_its_servers_share",),
    ),
    Mutation(
        "gateway-key-stays-by-another-name",
        "a gateway that was renamed gets in for ever",
        f"{MODULES}/proxy.py",
        '            if who in gateways or not who.startswith(f"{proxy_keys.GATEWAY}:")\n',
        "",
        ("tests/unit/host/test_proxy_module.py::test_keys_of_gateways_that_are_not_named_go",),
    ),
    Mutation(
        "gateway-found-out-last",
        "a host is rented and installed before it is said that the gateway has no secret",
        "plugins/plugin_utils/gate.py",
        '    if values.get("inferops_gateway"):\n',
        "    if False:\n",
        (f"{GATE}::test_a_gateway_without_a_secret_is_refused_before_anything_is_rented",),
    ),
)
