# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that runs on a rented host: standard library only, Python 3.9 or newer, Linux.

The same files serve twice: inside the modules, and shipped to the host as the package
`inferops_host`, where the launcher runs from them. Hence only relative imports in here.
"""
