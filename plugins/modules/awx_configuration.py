#!/usr/bin/python
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: awx_configuration
short_description: Make AWX or Automation Platform what a configuration says
version_added: "0.1.0"
description:
  - Makes organizations, credential types, credentials, execution environments, notifications,
    projects, inventories and their sources, job templates with surveys, workflows and schedules,
    or changes those that differ. Folder C(awx) of the collection holds such a configuration.
  - The shapes are those of the collection C(infra.aap_configuration), which can apply the same
    files. This module needs nothing beside it, and knows the fields that these files have.
  - What the configuration does not name stays as it is, and so does what somebody has typed into a
    credential. An empty text names nothing, such as the address of a webhook that is not known
    here. Only the ways between nodes of a workflow are exactly those that are given.
  - AWX allows no change to the fields of a credential type of which there are credentials. Such a
    type stays as it is, all else is done, and RV(left) and a warning tell what to do about it.
  - It waits until a project has been fetched, for no job template is possible before.
  - For AWX 24.6.1, and Automation Platform 2.5 and newer, whose gateway makes the organizations.
author:
  - inferops.gpu contributors (@inferops)
extends_documentation_fragment:
  - inferops.gpu.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: N/A
    details: RV(changes) tells which fields differ.
  platform:
    support: full
    platforms: posix
options:
  url:
    description:
      - Address of AWX's web page. Without it, the environment variable E(CONTROLLER_HOST).
      - It has to be https, but for one on the loopback, such as a port that is forwarded.
    type: str
    required: true
  token:
    description:
      - Token of an administrator, with scope Write. Without it, the environment variable
        E(CONTROLLER_OAUTH_TOKEN).
    type: str
    required: true
  validate_certs:
    description: Whether AWX has to show a certificate that is known.
    type: bool
    default: true
  configuration:
    description:
      - The lists of objects, by the variables of C(infra.aap_configuration), such as
        C(controller_templates).
    type: dict
    required: true
  timeout_seconds:
    description: How long AWX may take to answer.
    type: float
    default: 30
  project_timeout_seconds:
    description: How long AWX may take to fetch a project, or to hear of an organization.
    type: float
    default: 600
requirements:
  - requests
notes:
  - Runs on the controller, as in a play over C(localhost).
"""

EXAMPLES = r"""
- name: Read what AWX is to be
  ansible.builtin.include_vars:
    dir: awx
    ignore_files: [bootstrap.yml]
    name: wanted

- name: Make it so, with CONTROLLER_HOST and CONTROLLER_OAUTH_TOKEN of the environment
  inferops.gpu.awx_configuration:
    configuration: "{{ wanted }}"
"""

RETURN = r"""
changes:
  description: What was made or changed, or in check mode would be.
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description: Its path in AWX's API.
      type: str
    name:
      description: Its name; of a node, that of its workflow and its own.
      type: str
    did:
      description: V(made) or V(changed).
      type: str
    fields:
      description: What of it was changed.
      type: list
      elements: str
  sample:
    - {kind: job_templates, name: inferops deploy, did: changed, fields: [survey_spec]}
left:
  description: What differs and stays as it is, because AWX allows no change to it.
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description: Its path in AWX's API.
      type: str
    name:
      description: Its name.
      type: str
    fields:
      description: The fields of the credential type that differ.
      type: list
      elements: str
    why:
      description: Why, and what to do about it.
      type: str
  sample:
    - kind: credential_types
      name: inferops inventory
      fields: [prime_api_key, prime_api_url]
      why: Credential type inferops inventory stays as it is, with what it injects ...
"""

from ansible.module_utils.basic import AnsibleModule, env_fallback

from ansible_collections.inferops.gpu.plugins.module_utils.awx.api import Api, AwxError
from ansible_collections.inferops.gpu.plugins.module_utils.awx.applying import (
    Applying,
    secrets,
)
from ansible_collections.inferops.gpu.plugins.module_utils.common.hiding import hide_passwords


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "url": {
                "type": "str",
                "required": True,
                "fallback": (env_fallback, ["CONTROLLER_HOST"]),
            },
            "token": {
                "type": "str",
                "required": True,
                "no_log": True,
                "fallback": (env_fallback, ["CONTROLLER_OAUTH_TOKEN"]),
            },
            "validate_certs": {"type": "bool", "default": True},
            # The system log is told of all options before anything can be hidden of them.
            "configuration": {"type": "dict", "required": True, "no_log": True},
            "timeout_seconds": {"type": "float", "default": 30.0},
            "project_timeout_seconds": {"type": "float", "default": 600.0},
        },
        supports_check_mode=True,
    )
    hide_passwords(module)
    given = module.params
    # Names are to be shown, and what credentials hold is not.
    hidden = secrets(given["configuration"])
    module.no_log_values = {given["token"], *hidden}
    try:
        api = Api(
            given["url"],
            given["token"],
            given["validate_certs"],
            given["timeout_seconds"],
            secrets=hidden,
        )
        run = Applying(api, module.check_mode, given["project_timeout_seconds"])
        run.apply(given["configuration"])
    except AwxError as error:
        module.fail_json(msg=str(error))
    for one in run.left:
        module.warn(one["why"])
    module.exit_json(changed=bool(run.changes), changes=run.changes, left=run.left)


if __name__ == "__main__":
    main()
