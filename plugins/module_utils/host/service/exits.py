# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The launcher's exit statuses: what they tell the supervisor to do next."""

from __future__ import annotations

EXIT_STOPPED = 0
EXIT_RESTART = 75
EXIT_FINAL = 78
EXIT_BROKEN = 1
"""Stopped on request; start it again; never start it again (sysexits.h), neither when Python itself
gives up, as it does where the launcher's own files are damaged."""
