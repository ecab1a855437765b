# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nobody gets through a proxy without a key, and no engine in trouble takes clients with it."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import COMMON, FLEET, GUARDED, HOST, LOOK, MODULES

CLIENTS = "tests/unit/host/test_proxy.py"
OPERATOR = "tests/unit/host/test_proxy_module.py"
PARTS = "tests/unit/host/test_proxy_parts.py"
CONFIGURATION = f"{HOST}/proxy/configuration.py"
AGENT = f"{HOST}/proxy/agent.py"
LIFECYCLE = f"{HOST}/proxy/lifecycle.py"
ASKED = f"{HOST}/proxy/asked.py"
DOORS = "plugins/module_utils/endpoint/doors.py"
CLOSED = "tests/unit/plugins/test_closed_doors.py"
RUNPOD = "tests/unit/simulator/test_runpod_contract.py"
EXPOSURE = "tests/unit/host/test_host_exposure.py"
MODULE = "tests/unit/host/test_proxy_module.py"
DEPLOY = "tests/unit/plugins/test_proxied_deploy.py"
SERVER = "tests/unit/host/test_proxied_server.py"
CHANGED = (
    "tests/unit/host/test_proxy_look.py::test_whatever_was_changed_at_a_proxy_is_told_in_words"
)
GATE = "tests/unit/plugins/test_check_variables.py"
BEFORE = f"{DEPLOY}::test_clients_reach_the_proxy_and_the_engine_knows_the_proxys_key_alone"

MUTATIONS = (
    Mutation(
        "proxy-options-without-key",
        "a browser's question is answered to everybody",
        CONFIGURATION,
        '"hdr www-authenticate Bearer if !is_client !reads_metrics"',
        '"hdr www-authenticate Bearer if !is_client !reads_metrics !METH_OPTIONS"',
        (f"{CLIENTS}::test_without_a_key_no_route_answers_in_any_method",),
    ),
    Mutation(
        "proxy-keys-as-they-are",
        "whoever reads a file of the host has the keys of all clients",
        f"{COMMON}/proxy_keys.py",
        "    return hashlib.sha256(key.encode()).hexdigest()\n",
        "    return key\n",
        (f"{CLIENTS}::test_an_engine_gets_the_key_of_the_proxy_and_never_that_of_a_client",),
    ),
    Mutation(
        "proxy-any-route",
        "a client puts the engine to sleep",
        CONFIGURATION,
        'closed = "!{ var(txn.route) -m found }"',
        'closed = "FALSE"',
        (f"{CLIENTS}::test_with_a_key_the_routes_of_inference_are_open_and_no_others",),
    ),
    Mutation(
        "proxy-route-by-its-beginning",
        "what lies below a route that is open is open too",
        CONFIGURATION,
        '(("str", plain), ("reg", patterns))',
        '(("beg", plain), ("reg", patterns))',
        (f"{CLIENTS}::test_no_other_spelling_of_a_path_opens_anything",),
    ),
    Mutation(
        "proxy-denied-route-added",
        "a variable opens what stops the engine",
        f"{COMMON}/proxy_routes.py",
        'if route.path == denied or route.path.startswith(f"{denied}/"):',
        "if False:",
        (f"{OPERATOR}::test_what_cannot_be_is_refused_with_what_to_change",),
    ),
    Mutation(
        "proxy-metrics-for-clients",
        "every client reads what all others do",
        CONFIGURATION,
        'f"if reads_metrics {{ method GET }}',
        'f"if {{ method GET }}',
        (f"{CLIENTS}::test_figures_are_for_keys_of_their_own_kind_which_open_nothing_else",),
    ),
    Mutation(
        "proxy-key-of-the-client-sent-on",
        "an engine sees the keys of clients",
        CONFIGURATION,
        'key = _key_header(spec, "set-header authorization")',
        'key = _key_header(spec, "set-header x-authorization")',
        (f"{CLIENTS}::test_an_engine_gets_the_key_of_the_proxy_and_never_that_of_a_client",),
    ),
    Mutation(
        "proxy-query-logged",
        "a key in an address is in the log",
        CONFIGURATION,
        '"    http-request set-var(txn.path) path"',
        '"    http-request set-var(txn.path) pathq"',
        (f"{CLIENTS}::test_no_key_is_in_a_command_line_a_log_or_a_file_that_others_may_read",),
    ),
    Mutation(
        "proxy-socket-for-all",
        "any user of the host adds a key of their own",
        CONFIGURATION,
        "mode 600 level admin",
        "mode 666 level admin",
        (f"{CLIENTS}::test_no_key_is_in_a_command_line_a_log_or_a_file_that_others_may_read",),
    ),
    Mutation(
        "proxy-streams-in-pieces",
        "tokens are held back",
        CONFIGURATION,
        '    yield "    option http-no-delay"\n',
        "",
        (f"{CLIENTS}::test_a_stream_comes_as_it_is_made",),
    ),
    Mutation(
        "proxy-short-streams",
        "an engine that thinks for seconds loses its stream",
        CONFIGURATION,
        'f"    timeout server {STREAM_HOURS}h"',
        '"    timeout server 5s"',
        (f"{CLIENTS}::test_a_silence_in_a_stream_ends_nothing",),
    ),
    Mutation(
        "proxy-body-cut",
        "a body that could be sent once only is taken all the same",
        CONFIGURATION,
        "{{ req.body_size gt {spec.max_body_kib * 1024} }}",
        "{{ req.body_size gt {spec.max_body_kib * 1048576} }}",
        (f"{CLIENTS}::test_a_body_that_could_not_be_sent_twice_is_refused_with_its_limit",),
    ),
    Mutation(
        "proxy-fallback-as-backup",
        "what a full engine refuses is refused, with a fallback beside it",
        CONFIGURATION,
        '    return " ".join([*words, "on-marked-down',
        '    words += ["backup"] * upstream.fallback\n    return " ".join([*words, "on-marked-down',
        (f"{CLIENTS}::test_what_a_full_engine_refuses_is_served_by_the_fallback",),
    ),
    Mutation(
        "proxy-repeats-anything",
        "what changes something is done twice",
        CONFIGURATION,
        'f"    http-request disable-l7-retry if !{is_inference}"',
        'f"    http-request disable-l7-retry if FALSE {is_inference}"',
        (f"{CLIENTS}::test_what_changes_something_is_not_sent_a_second_time",),
    ),
    Mutation(
        "proxy-computes-for-nobody",
        "an engine goes on for a client that has gone",
        CONFIGURATION,
        '    yield "    option abortonclose"\n',
        "",
        (f"{CLIENTS}::test_who_went_away_is_not_computed_for",),
    ),
    Mutation(
        "proxy-hiccup-cuts-streams",
        "an engine that is silent for a moment loses all it was writing",
        AGENT,
        "    if verdict.state == State.STUCK and others_take_requests:\n        return DRAIN\n",
        "    if verdict.state == State.STUCK and others_take_requests:\n        return DOWN\n",
        (f"{CLIENTS}::test_a_frozen_engine_is_left_and_its_streams_survive",),
    ),
    Mutation(
        "proxy-leaves-the-last-engine",
        "clients get errors where waiting a moment would have done",
        AGENT,
        "    if verdict.state == State.STUCK and others_take_requests:\n",
        "    if verdict.state == State.STUCK:\n",
        (f"{PARTS}::test_haproxy_is_told_to_end_streams_only_of_an_engine_that_hangs",),
    ),
    Mutation(
        "proxy-odd-figures-are-silence",
        "an engine whose figures cannot be read is taken for a dead one",
        AGENT,
        "            self.complain(error)\n            sample = Sample()\n",
        "            self.complain(error)\n            return\n",
        (f"{PARTS}::test_figures_that_cannot_be_read_take_no_clients_away",),
    ),
    Mutation(
        "proxy-waits-for-ever",
        "what waits for an engine that hangs is never told",
        AGENT,
        "    if verdict.state == State.HUNG:\n        return DOWN\n",
        "    if verdict.state == State.HUNG:\n        return DRAIN\n",
        (f"{PARTS}::test_haproxy_is_told_to_end_streams_only_of_an_engine_that_hangs",),
        2,
    ),
    Mutation(
        "proxy-checks-cut-streams",
        "slow checks end streams long before an engine is called hung",
        CONFIGURATION,
        "    fall = max(LEAST_FALL, math.ceil(spec.hung_after_seconds(upstream)))\n",
        "    fall = max(LEAST_FALL, math.ceil(0))\n",
        (f"{PARTS}::test_slow_checks_do_not_end_streams_before_an_engine_is_called_hung",),
    ),
    Mutation(
        "proxy-believes-health",
        "an engine that answers and writes nothing gets all requests",
        f"{HOST}/proxy/liveness.py",
        "        if idle or sample.progress != self.progress:\n",
        "        if True:\n",
        (f"{PARTS}::test_an_engine_that_answers_and_writes_nothing_is_stuck_and_then_hung",),
    ),
    Mutation(
        "proxy-keys-in-memory-alone",
        "after a restart a key that was taken away opens the door again",
        LIFECYCLE,
        "    write_keys(proxy, secrets)\n    try:\n",
        "    try:\n",
        (f"{OPERATOR}::test_changed_keys_alone_are_taken_over_without_a_restart",),
    ),
    Mutation(
        "proxy-keys-in-the-file-alone",
        "a key that was taken away opens the door until the next restart",
        f"{HOST}/proxy/runtime.py",
        '            self.ask(f"del map {file} {key}")\n'
        "        if self.entries(file) != dict(wanted):\n",
        "            pass\n        if False:\n",
        (f"{OPERATOR}::test_changed_keys_alone_are_taken_over_without_a_restart",),
    ),
    Mutation(
        "proxy-reload-unchecked",
        "a configuration that HAProxy refuses takes the place of the one that works",
        LIFECYCLE,
        "    check(proxy, spec)\n    before, text",
        "    before, text",
        (f"{OPERATOR}::test_what_haproxy_refuses_changes_nothing",),
    ),
    Mutation(
        "proxy-private-key-for-all",
        "the private key of a certificate may be read by any user of the host",
        f"{MODULES}/proxy.py",
        "        if stat.S_IMODE(mode) & 0o077:\n",
        "        if False:\n",
        (f"{OPERATOR}::test_a_listener_with_a_certificate_speaks_tls",),
    ),
    Mutation(
        "proxy-keys-left-behind",
        "a host that no longer has the proxy still has its keys",
        f"{HOST}/proxy/ending.py",
        "    lifecycle.forget_keys(proxy)\n",
        "",
        (f"{OPERATOR}::test_its_end_leaves_no_process_and_no_key",),
    ),
    Mutation(
        "proxy-left-open",
        "one that was never seen to turn strangers away goes on running",
        f"{MODULES}/proxy.py",
        "            # One that nobody has seen to turn strangers away is not left running.\n"
        "            self.end()\n",
        "",
        (f"{OPERATOR}::test_one_that_does_not_start_is_explained_and_not_left_running",),
    ),
    Mutation(
        "proxy-open-door-unnoticed",
        "whoever answers without a key is taken for a proxy that is closed",
        f"{HOST}/proxy/proxy.py",
        "        if status != 401:\n",
        "        if status >= 500:\n",
        (f"{PARTS}::test_an_open_listener_is_noticed",),
    ),
    Mutation(
        "engine-key-of-clients",
        "the engine is started with the key of its clients, who go past the proxy",
        "roles/launch/tasks/start.yml",
        "inferops_engine_key if inferops_proxy | inferops.gpu.as_type('bool')",
        "inferops_client_key if inferops_proxy | inferops.gpu.as_type('bool')",
        (BEFORE,),
    ),
    Mutation(
        "engine-key-derived-as-that-of-clients",
        "whoever has the key of one rental's clients has that of an engine",
        "plugins/module_utils/market/access/client_key.py",
        'return _key("engine", secret, scope, name)',
        'return _key("client", secret, scope, name)',
        (
            "tests/unit/plugins/test_client_key.py"
            "::test_the_engines_key_is_of_the_same_secret_and_never_that_of_any_client",
        ),
    ),
    Mutation(
        "keyless-behind-a-proxy",
        "a server without a key is rented, and nobody gets in",
        "plugins/plugin_utils/variables.py",
        'if not key and values.get("inferops_server_keyless"):',
        "if False:",
        (
            f"{GATE}::test_a_server_that_no_proxy_can_stand_before_is_refused_with_what_to_change",
            f"{DEPLOY}::test_what_no_proxy_can_stand_before_is_refused_before_anything_is_rented",
        ),
        2,
    ),
    Mutation(
        "proxy-keys-refused-too-late",
        "minutes of a start are paid for keys that no proxy takes",
        "plugins/plugin_utils/variables.py",
        '        hashed({"keys": clients, "metrics_keys": metrics})\n',
        "        pass\n",
        (f"{GATE}::test_a_server_that_no_proxy_can_stand_before_is_refused_with_what_to_change",),
        4,
    ),
    Mutation(
        "engine-key-of-nothing",
        "an engine is started without a key, which everybody on its host reaches",
        "plugins/plugin_utils/gate.py",
        'if values.get("inferops_proxy") and _has_no_secret(account(values)):',
        "if False:",
        (f"{GATE}::test_an_engines_key_that_follows_from_nothing_is_refused",),
    ),
    Mutation(
        "server-ends-before-proxy",
        "clients are let in to a server that ends",
        "plugins/modules/model_server.py",
        "            proxied = self.end_proxy()\n"
        "            # Another run may have ended it while this one waited for its turn.\n"
        "            present = service_lifecycle.is_present(server)\n"
        '            ended = self.end(self.params["reason"])\n',
        "            present = service_lifecycle.is_present(server)\n"
        '            ended = self.end(self.params["reason"])\n'
        "            proxied = self.end_proxy()\n",
        (f"{SERVER}::test_the_proxy_ends_before_the_server_and_both_are_proven",),
    ),
    Mutation(
        "proxy-outlives-teardown",
        "a proxy stays on a host of one's own after its teardown",
        "roles/teardown/tasks/serving.yml",
        "ends_proxy: true",
        "ends_proxy: false",
        ("tests/unit/plugins/test_proxied_deploy.py::test_a_teardown_ends_the_proxy_as_well",),
    ),
    Mutation(
        "proxy-keeps-server-alive",
        "a proxy that cannot be ended leaves the server running",
        f"{HOST}/proxy/ending.py",
        "except (SupervisorError, locks.Busy, OSError) as error:",
        "except (SupervisorError, locks.Busy) as error:",
        (f"{SERVER}::test_a_proxy_that_cannot_be_ended_keeps_no_server_alive",),
    ),
    Mutation(
        "look-past-changed-keys",
        "a key that somebody added to a proxy stays",
        ASKED,
        '    if not _has_keys(proxy, asked.get("keys_sha256")):\n',
        "    if False:\n",
        (CHANGED,),
    ),
    Mutation(
        "look-past-the-keys-of-the-process",
        "a key that a running proxy was given by hand stays",
        ASKED,
        "return _digest(secrets) == digest and lifecycle.knows(proxy, secrets)",
        "return _digest(secrets) == digest",
        (CHANGED,),
    ),
    Mutation(
        "look-past-changed-settings",
        "a configuration that lets everybody in waits for the next restart",
        ASKED,
        "return lifecycle.holds(proxy, configuration.render(spec))",
        "return True",
        (CHANGED,),
    ),
    Mutation(
        "look-past-the-proxy",
        "a deploy says that all is as asked while no proxy is there",
        "plugins/modules/host_look.py",
        'told = told or differing_before(proxy, before, seen, given["wishes"])',
        "told = told or []",
        (f"{LOOK}::test_a_proxy_before_the_server_is_looked_at_with_it",),
    ),
    Mutation(
        "one-port-for-both",
        "the engine takes the port that clients know",
        f"{HOST}/server/lifecycle.py",
        "kept = reserved | ({ways} if ways else set())",
        "kept = reserved",
        (f"{SERVER}::test_neither_takes_a_port_of_the_other_or_of_a_neighbour",),
    ),
    Mutation(
        "old-haproxy-found-too-late",
        "minutes of a start are paid for an HAProxy that is too old to stand before it",
        "roles/proxy/tasks/provide.yml",
        "    state: provided\n",
        "    state: absent\n",
        (BEFORE,),
    ),
    Mutation(
        "port-of-clients-lost-with-the-proxy",
        "clients find nothing where the proxy was that is not asked for any more",
        f"{HOST}/server/lifecycle.py",
        "of_clients = (spec.proxy_port if spec else None) or known",
        "of_clients = known",
        (f"{SERVER}::test_a_proxy_that_is_asked_for_later_gets_the_port_that_clients_know",),
    ),
    Mutation(
        "port-of-the-proxy-of-long-ago",
        "recover puts the proxy back to the port that it had once",
        "plugins/modules/model_server.py",
        "            self.note_proxy_port(spec)\n",
        "",
        (f"{SERVER}::test_a_proxy_that_moves_replaces_no_server_and_is_found_at_its_new_port",),
    ),
    Mutation(
        "proxy-port-found-taken-too-late",
        "minutes of a start are paid for a proxy that cannot listen",
        "plugins/modules/model_server.py",
        "        self.require_free_proxy_port(spec)\n",
        "",
        (f"{SERVER}::test_a_port_that_the_proxy_cannot_have_is_refused_before_the_server_starts",),
    ),
    Mutation(
        "closed-server-called-serving",
        "nobody is told that clients do not get in to a server whose proxy has ended",
        "plugins/plugin_utils/fleet_verdicts.py",
        "*_of_host(told), *_of_proxies(told), *_of_flaws(told)",
        "*_of_host(told), *_of_flaws(told)",
        (
            f"{FLEET}::test_a_server_that_clients_do_not_get_in_to_needs_somebody",
            f"{FLEET}::test_a_server_that_stands_alone_where_a_proxy_was_meant_needs_somebody",
        ),
        4,
    ),
    Mutation(
        "open-route-passes",
        "a deploy ends well whose server answers to everybody",
        DOORS,
        "        if status not in REFUSED:\n",
        "        if status == 500:\n",
        (f"{CLOSED}::test_an_open_route_is_named",),
    ),
    Mutation(
        "wrong-key-not-tried",
        "a way that takes any key is called closed",
        DOORS,
        '("with a wrong key", secrets.token_hex(16))',
        '("with a wrong key", "")',
        (f"{CLOSED}::test_an_open_route_is_named",),
    ),
    Mutation(
        "routes-of-clients-alone-tried",
        "a client's key opens what stops an engine, and nobody tries",
        DOORS,
        'yield Question("with a client\'s key", api_key, "GET", path)',
        'yield Question("with a client\'s key", "", "GET", path)',
        (f"{CLOSED}::test_an_open_route_is_named",),
    ),
    Mutation(
        "silence-is-closed",
        "a way of which nobody could tell is called closed",
        DOORS,
        "        raise NotTold(str(error) or type(error).__name__) from error\n",
        "        return []\n",
        (f"{CLOSED}::test_a_way_that_does_not_answer_is_not_called_closed",),
    ),
    Mutation(
        "hidden-process-reaches-out",
        "a listener of another user is overlooked",
        f"{HOST}/machine/ports.py",
        "seen.get((address, port))) for address, port in places]",
        "seen[address, port]) for address, port in places if (address, port) in seen]",
        (f"{EXPOSURE}::test_a_process_that_may_not_be_seen_counts_all_the_same",),
    ),
    Mutation(
        "unread-table-is-closed",
        "a host that hides what listens is called closed",
        f"{HOST}/machine/ports.py",
        "            Path(table).read_bytes()\n",
        "            pass\n",
        (f"{EXPOSURE}::test_a_host_that_does_not_tell_is_not_called_closed",),
    ),
    Mutation(
        "deploy-looks-at-no-door",
        "a deploy with a proxy ends without a look at what is open",
        "roles/endpoint/tasks/main.yml",
        'closed: "{{ endpoint_closed }}"',
        "closed: false",
        (BEFORE,),
    ),
    Mutation(
        "keys-of-clients-shown",
        "what a host says back shows the keys of clients",
        "plugins/action/proxy.py",
        "        self.secrets |= {\n            key for",
        "        self.unused = {\n            key for",
        (
            "tests/unit/plugins/test_guarded_actions.py"
            "::test_the_keys_of_a_proxys_clients_are_secrets_whatever_their_names",
        ),
    ),
    Mutation(
        "nginx-of-the-image-started",
        "an image of RunPod's leads past the proxy, and a deploy with one fails when all is paid",
        "plugins/module_utils/market/providers/runpod.py",
        "nginx) ;; *) command service",
        "*) command service",
        (f"{RUNPOD}::test_the_nginx_of_its_images_is_not_started_and_all_else_is",),
    ),
    Mutation(
        "open-ports-found-when-all-is-paid",
        "minutes of an installation are paid for a host that is refused at the end",
        "playbooks/tasks/serve.yml",
        "  ansible.builtin.include_tasks: closed.yml\n",
        "  ansible.builtin.meta: noop\n",
        (
            f"{DEPLOY}"
            "::test_what_an_image_opens_by_itself_is_refused_before_anything_is_put_on_the_host",
        ),
    ),
    Mutation(
        "unreachable-is-closed",
        "a host that did not answer is called closed",
        "playbooks/tasks/closed.yml",
        "  when: closed_look.unreachable | default(false)\n",
        "  when: false\n",
        (f"{DEPLOY}::test_a_host_that_does_not_tell_what_it_has_open_is_not_called_closed",),
    ),
    Mutation(
        "any-ssh-port-is-expected",
        "a stranger at port 22 passes where SSH is elsewhere, and SSH itself is refused",
        f"{MODULES}/host_exposure.py",
        "ports.of_this_login() or SSH_PORT",
        "SSH_PORT",
        (f"{EXPOSURE}::test_the_port_of_the_ssh_server_is_the_one_that_this_login_came_by",),
    ),
    Mutation(
        "ssh-port-unknown-behind-sudo",
        "a deploy with become refuses the way that it came in by",
        f"{HOST}/machine/ports.py",
        "pid = process.ppid if process else 0",
        "pid = 0",
        (f"{EXPOSURE}::test_the_login_is_known_to_who_has_become_root_by_sudo",),
    ),
    Mutation(
        "keys-sent-as-they-are",
        "the owner of a rented host has the keys of all clients",
        "plugins/action/proxy.py",
        "asked = {**self._task.args, **self._hashed}",
        "asked = {**self._task.args}",
        (f"{GUARDED}::test_a_host_is_sent_no_key_of_a_proxys_clients",),
    ),
    Mutation(
        "key-that-is-a-list",
        "a user's key opens nothing, and the deploy says that all is well",
        f"{COMMON}/proxy_keys.py",
        "    if not isinstance(key, str):\n        raise",
        "    key = str(key)\n    if False:\n        raise",
        (
            f"{GUARDED}::test_a_key_that_is_no_text_is_refused_by_its_name_and_without_itself",
            f"{GATE}::test_a_server_that_no_proxy_can_stand_before_is_refused_with_what_to_change",
        ),
        2,
    ),
    Mutation(
        "options-of-the-proxy-found-out-last",
        "a host is rented and installed for an option that no proxy takes",
        "plugins/plugin_utils/variables.py",
        "    yield from _no_options_of_a_proxy(values)\n",
        "",
        (f"{GATE}::test_a_server_that_no_proxy_can_stand_before_is_refused_with_what_to_change",),
    ),
    Mutation(
        "port-read-otherwise-than-its-host-does",
        "a host is rented for a port that it cannot read",
        f"{COMMON}/server_words.py",
        "not (text.isascii() and text.isdigit())",
        "not text.strip('+')[:1].isdigit()",
        (f"{GATE}::test_a_port_that_its_host_would_not_read_is_refused",),
    ),
    Mutation(
        "proxy-ended-for-a-server-that-is-refused",
        "a server runs and bills, and nobody has a way in",
        f"{MODULES}/model_server.py",
        '        self.require_free_port(spec, own=bool(seen["processes"]), with_proxy=True)\n',
        "        self.without_proxy()\n"
        '        self.require_free_port(spec, own=bool(seen["processes"]), with_proxy=True)\n',
        (f"{SERVER}::test_a_proxy_is_not_ended_for_a_server_that_is_refused",),
    ),
    Mutation(
        "proxy-left-before-a-server-that-runs",
        "a proxy that nobody asks for any more lets clients in for ever",
        f"{MODULES}/model_server.py",
        "            return self.without_proxy()\n",
        "            return {}\n",
        (f"{SERVER}::test_a_server_that_runs_as_asked_loses_a_proxy_that_is_not",),
    ),
    Mutation(
        "proven-at-another-port",
        "a server is proven by what somebody else has at its usual port",
        "playbooks/prove.yml",
        "(prove_look.proxies + prove_look.servers) | map(attribute='port') | first",
        "inferops_server_port",
        (
            "tests/unit/plugins/test_prove.py"
            "::test_a_server_is_proven_where_it_is_and_with_all_that_a_deploy_proves_there",
        ),
    ),
    Mutation(
        "proxy-left-at-the-old-port",
        "a server is called mended that no client reaches",
        "plugins/module_utils/serving/recovery.py",
        "return bool(case.proxies) or bool(",
        "return bool(",
        (
            f"{DEPLOY}"
            "::test_recover_leads_the_proxy_that_is_there_to_the_port_that_the_server_has_now",
        ),
    ),
    Mutation(
        "keys-lost-with-a-move",
        "every client but one is locked out by a recover that knows no keys",
        "playbooks/recover.yml",
        "'redirect' if recover_report.proxied else 'server'",
        "'server'",
        (
            f"{DEPLOY}"
            "::test_recover_leads_the_proxy_that_is_there_to_the_port_that_the_server_has_now",
        ),
    ),
    Mutation(
        "new-keys-lock-everybody-out",
        "clients are refused from the moment on in which somebody makes new keys",
        "plugins/modules/proxy.py",
        'if not self.params["keep_keys"]:\n            return asked',
        "if True:\n            return asked",
        (f"{MODULE}::test_new_keys_are_let_in_beside_the_old_ones_and_then_alone",),
    ),
    Mutation(
        "old-keys-for-ever",
        "a key that somebody has lost opens the server for ever",
        "plugins/modules/proxy.py",
        'if not self.params["keep_keys"]:\n            return asked',
        "if False:\n            return asked",
        (f"{MODULE}::test_new_keys_are_let_in_beside_the_old_ones_and_then_alone",),
    ),
    Mutation(
        "new-keys-without-the-engine-s",
        "whoever changes keys has the engine refuse the proxy",
        "plugins/modules/proxy.py",
        "wanted = self.beside_kept(self.secrets(kept.upstream))",
        "wanted = self.beside_kept(self.secrets(None))",
        (f"{MODULE}::test_new_keys_are_let_in_beside_the_old_ones_and_then_alone",),
    ),
    Mutation(
        "lost-key-of-the-engine-is-taken-away",
        "whoever changes keys on a host that has lost a file locks everybody out",
        "plugins/modules/proxy.py",
        "if not kept.clients or (spec.sends_key and kept.upstream is None):",
        "if not kept.clients:",
        (f"{MODULE}::test_keys_that_cannot_be_are_refused_and_the_old_ones_stay",),
    ),
    Mutation(
        "forgotten-file-of-keys",
        "a variable that is left out locks every team out",
        "playbooks/keys.yml",
        "          - proxy_client_keys is defined\n",
        "",
        (
            "tests/unit/plugins/test_keys_play.py"
            "::test_a_file_of_keys_that_was_forgotten_lets_nobody_out",
        ),
    ),
    Mutation(
        "half-a-fleet-has-the-old-keys",
        "no single key opens all hosts of a fleet, one of which has failed",
        "playbooks/keys.yml",
        "  any_errors_fatal: true\n",
        "",
        (
            "tests/unit/plugins/test_keys_play.py"
            "::test_where_one_host_fails_no_old_key_is_let_out_on_any",
        ),
    ),
    Mutation(
        "old-keys-go-first",
        "a new key that opens nothing is found out once the old one is gone",
        "playbooks/keys.yml",
        "        proxy_keep_keys: true\n",
        "        proxy_keep_keys: false\n",
        (
            "tests/unit/plugins/test_keys_play.py"
            "::test_new_keys_are_let_in_and_proven_before_the_old_ones_are_let_in_no_more",
        ),
    ),
)
