# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2034 # $failed is for who sources this
# KTAP, for scripts that run in a guest: a plan, a line for each test, and comments.

number=0 failed=0
# Each line at once; a sed that does not know how (busybox) may do without.
unbuffered=-u
sed -u '' </dev/null 2>/dev/null || unbuffered=

plan() { # NUMBER-OF-TESTS
	echo 'KTAP version 1'
	echo "1..$1"
}

# result STATUS NAME [FILE]: a test's verdict; if it failed, what FILE has of it as well.
result() {
	number=$((number + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $number $2"
	else
		failed=1
		[ -z "${3-}" ] || sed 's/^/# /' "$3"
		echo "not ok $number $2 # exit status $1"
	fi
}

comments() { sed $unbuffered 's/^/# /'; }

# What the command before a pipe has left: with memory gone its shell may be killed, too.
status_of_last() {
	read -r status 2>/dev/null </tmp/status || status=137
	echo "$status"
}

# report NAME COMMAND...: a test that is a command, and what it prints as comments.
report() {
	name=$1
	shift
	rm -f /tmp/status
	{ "$@" 2>&1 </dev/null; echo $? >/tmp/status; } | comments
	result "$(status_of_last)" "$name"
}

# subtests NAME COMMAND...: a test program, whose own KTAP becomes subtests. With 4 it skips.
subtests() {
	name=$1
	shift
	echo "    # Subtest: $name"
	rm -f /tmp/status
	{ "$@"; echo $? >/tmp/status; } | sed $unbuffered 's/^/    /'
	status=$(status_of_last)
	if [ "$status" -eq 4 ]; then
		number=$((number + 1))
		echo "ok $number $name # SKIP"
	else
		result "$status" "$name"
	fi
}
