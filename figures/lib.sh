# SPDX-License-Identifier: GPL-2.0
# What the scripts that measure share. A figure is a folder:
#
#   about.md   the title in the first line, then what is shown and how to read it
#   measure    calls piece() for each thing that is measured
#   table      makes a table of what the pieces printed (figures/Tables.pm)
#   plot.gp    draws the table
#
# shellcheck shell=bash
. "$(dirname "${BASH_SOURCE[0]}")/../lab/lib.sh"

FIGURE=$(basename "$(dirname "$0")")
OUT=$RESULTS/$FIGURE
SELF=$FIGURE

# quick QUICK FULL: one of two words.
quick() { [ -n "$QUICK" ] && echo "$1" || echo "$2"; }

# piece NAME COMMAND...: what COMMAND prints, as NAME.
piece() { kept "$OUT/$1" "${@:2}"; }

# modelled NAME MODEL-OPTION... -- COMMAND...: a piece that is a report of lab/model in JSON.
modelled() {
	local name=$1
	shift
	piece "$name" lab/model -j -d "$OUT/$name.run" "$@"
}
