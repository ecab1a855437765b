# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for the module of vLLM that loads the kernels when it is imported."""

from __future__ import annotations

from vllm.platforms import current_platform, load_kernels

getattr(current_platform, "import_kernels", load_kernels)()
