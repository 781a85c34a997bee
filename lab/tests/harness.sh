# SPDX-License-Identifier: GPL-2.0
# What the tests of the lab share. Needs $work, a directory; counts in $number and $failed.
# shellcheck shell=bash

number=0 failed=0

# check NAME COMMAND...: one test; what a failing one says becomes comments.
# The shell heeds 'set -e' only outside of conditions.
check() {
	local name=$1 status
	shift
	number=$((number + 1))
	(set -e; "$@") >"$work/log" 2>&1
	status=$?
	if [ "$status" -eq 0 ]; then
		echo "ok $number $name"
	else
		failed=1
		sed 's/^/# /' "$work/log"
		echo "not ok $number $name"
	fi
}

# fails COMMAND...: '!' that 'set -e' heeds.
fails() { if "$@"; then return 1; fi; }
