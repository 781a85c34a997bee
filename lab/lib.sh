# SPDX-License-Identifier: GPL-2.0
# What every stage shares: paths, messages, and a way to show each command it runs.
# shellcheck shell=bash
set -euo pipefail

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=${BUILD:-$TOP/build}
JOBS=${JOBS:-$(nproc)}
SELF=${0##*/}
DRY_RUN=${DRY_RUN:-}

# Stages call other programs named make: flags meant for the outer one must not reach them.
unset MAKEFLAGS MAKEOVERRIDES MFLAGS MAKELEVEL
# One language for tool output that gets parsed or stored.
export LC_ALL=C.UTF-8

PWD_BEFORE=$PWD
cd "$TOP"

say() { printf '%s: %s\n' "$SELF" "$*" >&2; }

die() {
	say "$*"
	exit 1
}

# alone NAME: wait until no other stage works on build/NAME. Stages of one make
# and of another may meet there.
alone() {
	mkdir -p "$BUILD"
	exec {lock}>"$BUILD/$1.lock"
	flock "$lock"
}

# show COMMAND...: print a command in a form that can be pasted into a shell.
show() {
	local word line=
	for word; do
		case $word in
		'' | *[!A-Za-z0-9_./:=,+@%^-]*) line+=" '${word//\'/\'\\\'\'}'" ;;
		*) line+=" $word" ;;
		esac
	done
	printf '  $%s\n' "$line" >&2
}

# run COMMAND...: print a command, then run it unless -n was given.
run() {
	show "$@"
	[ -n "$DRY_RUN" ] || "$@"
}

# logged LOG COMMAND...: as run(), output to LOG. Print a sign of life every
# 15 s, the time taken, and the end of LOG when the command fails.
logged() {
	local log=$1 start=$SECONDS pid status=0
	shift
	show "$@"
	[ -z "$DRY_RUN" ] || return 0
	mkdir -p "${log%/*}"
	"$@" >"$log" 2>&1 &
	pid=$!
	while [ -d "/proc/$pid" ]; do
		sleep 0.2
		[ $(((SECONDS - start) % 15)) -eq 0 ] && [ "$SECONDS" -ne "${beat:-$start}" ] || continue
		local beat=$SECONDS
		printf '    %4ds  %.100s\n' $((SECONDS - start)) "$(tail -n 1 "$log")" >&2
	done
	wait "$pid" || status=$?
	if [ "$status" -ne 0 ]; then
		tail -n 25 "$log" >&2
		die "'$1' failed with status $status; the whole log is ${log#"$TOP"/}"
	fi
	printf '    done in %d s, log %s\n' $((SECONDS - start)) "${log#"$TOP"/}" >&2
}
