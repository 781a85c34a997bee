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

# piece NAME COMMAND...: run COMMAND, and keep what it prints as NAME; unless that is
# there already, by the same command.
piece() {
	local name=$1 start=$SECONDS command
	shift
	command=$(show "$@" 2>&1)
	command=${command//"$TOP/"/}
	if [ -s "$OUT/$name" ] && [ "$command" = "$(cat "$OUT/$name.command" 2>/dev/null)" ]; then
		return
	fi
	say "$name, $((EPOCHSECONDS - LAB_START)) s so far"
	rm -f "$OUT/$name"
	echo "$command" >"$OUT/$name.command"
	"$@" >"$OUT/$name.part" 2>"$OUT/$name.log" || {
		tail -n 5 "$OUT/$name.log" >&2
		die "$name failed, see ${OUT#"$TOP"/}/$name.log; call it again to go on from here"
	}
	mv "$OUT/$name.part" "$OUT/$name"
	say "$name took $((SECONDS - start)) s"
}

# modelled NAME MODEL-OPTION... -- COMMAND...: a piece that is a report of lab/model in JSON.
modelled() {
	local name=$1
	shift
	piece "$name" lab/model -j -d "$OUT/$name.run" "$@"
}
