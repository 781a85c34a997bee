# SPDX-License-Identifier: GPL-2.0
# What every stage shares: paths, messages, and a way to show each command it runs.
# shellcheck shell=bash
set -euo pipefail

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=${BUILD:-$TOP/build}
JOBS=${JOBS:-$(nproc)}
SELF=${0##*/}
DRY_RUN=${DRY_RUN:-}
export LAB_START=${LAB_START:-$EPOCHSECONDS}	# of the outermost stage

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
	flock -n "$lock" && return
	say "waiting for another run that works on ${BUILD#"$TOP"/}/$1"
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

# Print the last line of LOG every 15 s until killed, or until the stage has died.
# A pipe that never ends is the clock: a sleep would outlive its shell.
heartbeat() {
	local log=$1 start=$SECONDS never
	exec {never}<> <(:)
	while read -rt 15 -u "$never" || [ -d /proc/$$ ]; do
		printf '    %4d s  %.100s\n' $((SECONDS - start)) "$(tail -n 1 "$log")" >&2
	done
}

# logged LOG COMMAND...: as run(), output to LOG. Print a sign of life, the time
# taken, and the errors and the end of LOG when the command fails.
logged() {
	local log=$1 start=$SECONDS status=0 pulse
	shift
	show "$@"
	[ -z "$DRY_RUN" ] || return 0
	mkdir -p "${log%/*}"
	: >"$log"
	heartbeat "$log" &
	pulse=$!
	"$@" >"$log" 2>&1 || status=$?
	kill "$pulse"
	wait "$pulse" 2>/dev/null || :
	if [ "$status" -ne 0 ]; then
		{ grep -E 'error:|undefined reference' "$log" | head -n 10 || :; tail -n 10 "$log"; } >&2
		die "'$1' failed with status $status; the whole log is ${log#"$TOP"/}"
	fi
	printf '    done in %d s, log %s\n' $((SECONDS - start)) "${log#"$TOP"/}" >&2
}

# rows TABLE...: the rows of tables like lab/tests.list, those whose names match ONLY.
rows() {
	local row
	sed '/^#/d; /^$/d' "$@" | while read -r row; do
		# shellcheck disable=SC2053 # ONLY is a pattern
		[[ ${row%%[[:blank:]]*} != ${ONLY:-*} ]] || printf '%s\n' "$row"
	done
}

# kept FILE COMMAND...: run COMMAND and keep what it prints as FILE, unless the same
# command has made it before: so long work goes on where it stopped.
kept() {
	local file=$1 name=${1##*/} start=$SECONDS command
	shift
	command=$(show "$@" 2>&1)
	command=${command//"$TOP/"/}
	if [ -s "$file" ] && [ "$command" = "$(cat "$file.command" 2>/dev/null)" ]; then
		return
	fi
	say "$name, $((EPOCHSECONDS - LAB_START)) s so far"
	rm -f "$file"
	echo "$command" >"$file.command"
	"$@" >"$file.part" 2>"$file.log" || {
		tail -n 5 "$file.log" >&2
		die "$name failed, see ${file#"$TOP"/}.log; call it again to go on from here"
	}
	mv "$file.part" "$file"
	say "$name took $((SECONDS - start)) s"
}

# sound_threads QEMU: may its TCG run each CPU on a thread of its own? Before 8.1
# one CPU may translate code while another patches it, and keep a stale int3.
sound_threads() {
	local version
	version=$("$1" --version 2>/dev/null) || return
	[[ $version =~ version\ ([0-9.]+) ]] && printf '%s\n' 8.1 "${BASH_REMATCH[1]}" | sort -VC
}

# emulator: the QEMU to run: the system's as soon as it will do, otherwise the one
# that lab/qemu fetched, if it did.
emulator() {
	if [ -x "$BUILD/qemu/qemu-system-x86_64" ] && ! sound_threads qemu-system-x86_64; then
		echo "$BUILD/qemu/qemu-system-x86_64"
	else
		echo qemu-system-x86_64
	fi
}
