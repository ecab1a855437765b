# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a model server."""

from __future__ import annotations

from dataclasses import dataclass

from ..service.records import Record


@dataclass(frozen=True)
class ServerRecord(Record):
    """`completion` is the text that proved that it serves."""

    port: int | None = None
    model: str | None = None
    completion: str | None = None
