#!/usr/bin/python
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: fleet_monitoring
short_description: Write what Prometheus and Grafana need to watch a fleet
version_added: "0.1.0"
description:
  - Internal. Used by role P(inferops.gpu.monitoring#role); its options and results may change.
  - Writes C(prometheus.yml), the same jobs alone as C(scrape.yml), C(rules.yml),
    C(dashboard.json), a file of targets for each server, and what the fleet costs, when it ends and
    how it does as figures in Prometheus' text format.
  - Targets of an earlier run that are none any more are removed, with their keys.
  - Each file is replaced in one step. The folder is made when it is missing, for its owner alone. A
    folder of another user is refused. No key is in any of the files.
  - This is an action plugin. It runs on the controller, without a process of its own.
author:
  - inferops.gpu contributors (@inferops)
extends_documentation_fragment:
  - inferops.gpu.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: N/A
    details: Most of it are figures, which are others with each look.
  platform:
    support: full
    platforms: posix
options:
  folder:
    description: The folder of all files. An absolute path, for Prometheus is told of it.
    type: path
    required: true
  figures_file:
    description: The file of the figures, which a node exporter publishes.
    type: path
    required: true
  public_figures:
    description: Whether other users of the controller may read O(figures_file).
    type: bool
    default: false
  report:
    description: The report of the fleet, RV(inferops.gpu.fleet_status#filter:_value) at C(report).
    type: dict
    required: true
  targets:
    description: What M(inferops.gpu.scrape_targets) has returned, by host.
    type: dict
    required: true
  rules:
    description: The alert rules, as text.
    type: str
    required: true
  dashboard:
    description: The dashboard, as text.
    type: str
    required: true
  node_exporter:
    description: Address of the node exporter that publishes O(figures_file). Empty for none.
    type: str
    default: 127.0.0.1:9100
  alertmanagers:
    description: Addresses of Alertmanagers that get the alerts, with their ports.
    type: list
    elements: str
    default: []
  interval_seconds:
    description: How often everything is read and every rule is judged.
    type: int
    default: 15
  report_dir:
    description: Where deploys leave their reports. Without it their phases are no figures.
    type: path
  prometheus_url:
    description:
      - Address of a Prometheus that runs. It is told to read its configuration again when that has
        changed, which it does where it was started with C(--web.enable-lifecycle).
    type: str
"""

EXAMPLES = r"""
- name: Write what Prometheus needs
  inferops.gpu.fleet_monitoring:
    folder: /home/user/.ansible/inferops/monitoring/prod
    figures_file: /home/user/.ansible/inferops/monitoring/prod/figures/inferops-prod.prom
    report: "{{ (found | combine({'scope': 'prod'}) | inferops.gpu.fleet_status).report }}"
    targets: {gpu-1: "{{ ways.targets }}"}
    rules: "{{ lookup('ansible.builtin.file', 'rules.yml') }}"
    dashboard: "{{ lookup('ansible.builtin.file', 'dashboard.json') }}"
"""

RETURN = r"""
prometheus_file:
  description: The whole configuration, with which a Prometheus can be started.
  returned: success
  type: str
  sample: /home/user/.ansible/inferops/monitoring/prod/prometheus.yml
watched:
  description: The names of all that Prometheus reads beside the fleet's figures.
  returned: success
  type: list
  elements: str
  sample: [gpu-1.vllm]
needs_reload:
  description: Whether a Prometheus that runs has to read its configuration again.
  returned: success
  type: bool
  sample: false
"""
