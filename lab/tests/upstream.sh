# SPDX-License-Identifier: GPL-2.0
# Results of the kernel's own tests on three kernels, and what is made of them.
# shellcheck shell=bash disable=SC2154 # $lab, $work, check(): see run

upstream=$lab/../fortress/upstream

# A run in which all is well; each test changes the last column.
recorded() {
	cat <<-'RECORDED'
		@test cow -x
		TAP version 13
		1..5
		# [RUN] exit ... with base page
		ok 5 No leak
		ok 1 fork
		ok 2 # SKIP no THP
		ok 3 pin # SKIP no io_uring
		ok 4 unpin # XFAIL known
		@end 0 1
		@test plain
		[OK]	fine
		Testing move on anon... done
		Testing minor on file... skipped [reason: no feature]
		@end 0 1
		@test slow
		ok 1 soon
		not ok 2 late

		@again 1
		ok 1 soon
		ok 2 late
		@end 0 1
		@test died
		@end 139 0
		@test root
		must be root, skipping
		@end 4 1
		@complete
	RECORDED
}

# judged EXPRESSION: what the comparison says when sed has changed the last column so.
judged() {
	local column
	for column in stock off all; do
		recorded >"$work/output"
		: >"$work/complaints"
		if [ $column = all ]; then
			sed -i "$1" "$work/output"
			[ $# -eq 1 ] || echo "$2" >"$work/complaints"
		fi
		"$upstream/results" "$work"/{output,complaints} >"$work/$column"
	done
	echo 'mm:died* for a reason' >"$work/fails"
	"$upstream/compare" fails="$work/fails" stock="$work/stock" off="$work/off" all="$work/all" mm
}

# A test that goes round fewer times is the same; one that fails in a round is not.
rounds() { sed 's/^@test cow -x/@test test_stress.sh/; s/^ok 4 unpin.*/ok 4 fork/; s/^ok 3 pin.*/ok 3 fork/'; }
goes_round() {
	: >"$work/complaints"
	recorded | rounds >"$work/output"
	"$upstream/results" "$work"/{output,complaints} >"$work/rounds"
	grep -qx 'test_stress.sh: fork	pass	' "$work/rounds"
	test "$(grep -c 'stress.sh: fork' "$work/rounds")" = 1
	recorded | rounds | sed 's/^ok 3/not ok 3/' >"$work/output"
	"$upstream/results" "$work"/{output,complaints} >"$work/rounds"
	grep -qx 'test_stress.sh: fork	fail	' "$work/rounds"
}

all_as_it_is() {
	judged '' >"$work/judged"
	diff -u - "$work/judged" <<-'EXPECTED'
		pass	cow -x: exit ... with base page	pass	pass	pass	
		pass	cow -x: fork	pass	pass	pass	
		same	cow -x: no THP	skip	skip	skip	no THP
		same	cow -x: pin	skip	skip	skip	no io_uring
		same	cow -x: unpin	xfail	xfail	xfail	known
		pass	cow -x	pass	pass	pass	
		pass	plain: move on anon	pass	pass	pass	
		same	plain: minor on file	skip	skip	skip	no feature
		pass	plain	pass	pass	pass	
		pass	slow: soon	pass	pass	pass	
		pass	slow: late	pass	pass	pass	
		again	slow	pass	pass	pass	run 2 times
		same	died	crashed	crashed	crashed	for a reason
		same	root	skip	skip	skip	must be root, skipping
		pass	the collection came to its end	pass	pass	pass	
	EXPECTED
}

# A status above that of the last signal is the program's own.
assertion() {
	: >"$work/complaints"
	printf '%s\n' '@test debug_regs' '==== Test Assertion Failure ====' '  lib/x.c:7: a != b' '  pid=1' \
		'@end 254 0' >"$work/output"
	"$upstream/results" "$work"/{output,complaints} >"$work/assertion"
	grep -qx 'debug_regs	fail	exit status 254: lib/x.c:7: a != b' "$work/assertion"
}

differs() { # NAME EXPRESSION [COMPLAINT]
	judged "${@:2}" | grep '^differs' | tee /dev/stderr | cut -f 2 | grep -qFx -e "$1"
}

check 'upstream: the same on all kernels' all_as_it_is
check 'upstream: rounds of one test' goes_round
check 'upstream: a failed assertion' assertion
check 'upstream: a test inside of a test fails' differs 'cow -x: fork' 's/^ok 1/not ok 1/'
check 'upstream: a part of a test fails' differs 'plain: move on anon' 's/done/failed [reason: x]/'
check 'upstream: a test fails' differs 'cow -x' '/^@test cow/,/^@end/s/^@end 0/@end 1/'
check 'upstream: a pass becomes a skip' differs 'cow -x: fork' 's/fork/fork # SKIP/'
check 'upstream: a skip becomes a pass' differs 'root' 's/^@end 4/@end 0/'
check 'upstream: a test ran out of time' differs 'cow -x' '/^@test cow/,/^@end/s/^@end 0/@end 124/'
check 'upstream: a test inside of a test is missing' differs 'cow -x: fork' '/^ok 1/d'
check 'upstream: a test is missing' differs 'root' '/^@test root/,/^@end/d'
check 'upstream: a test died' differs 'cow -x' '/^@test cow/,/^@end/s/^@end 0/@end 139/'
check 'upstream: the machine died' differs 'root' '/^@end 4/,$d'
check 'upstream: the end is missing' differs 'the collection came to its end' '/^@complete/d'
check 'upstream: not the kernel of the column' differs 'the kernel is as the column says' '$a @wrong no replicas'
check 'upstream: the kernel complains' differs 'log: WARNING: at mm/memory.c zap' '' \
	'console.log:1:[    1.234] WARNING: CPU: 1 PID: 22 at mm/memory.c:12 zap+0x1/0x2'
check 'upstream: a test that died dies no more' differs 'died' 's/^@end 139/@end 0/'
