# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a server was stopped: the words that its record, its observers and the remedies share."""

from __future__ import annotations

REQUESTED = "requested"
NOT_READY = "not ready in time"
HUNG = "hung at its start"
"""Why a server was stopped: somebody wanted it, its start took longer than it may, or it answered
one check and then not the next."""
