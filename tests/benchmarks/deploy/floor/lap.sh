# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
# Tells what each step took: "lap NAME SECONDS".
since=$EPOCHREALTIME
lap() {
    awk -v now="$EPOCHREALTIME" -v since="$since" "BEGIN { printf \"lap $1 %.1f\\n\", now - since }"
    since=$EPOCHREALTIME
}
