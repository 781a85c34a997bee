# SPDX-License-Identifier: GPL-2.0
# Tests of lab/check on tables of host commands.
# shellcheck shell=bash

# The runner's last line and status for a table on standard input.
runs() { # EXPECTED-LAST-LINE EXPECTED-STATUS
	rm -rf "$work/runner"
	mkdir "$work/runner"
	cp -r "$lab" "$work/runner/lab"
	[ -z "${boot-}" ] || cp "$boot" "$work/runner/lab/boot"
	cat >"$work/runner/table"
	cd "$work/runner"
	status=0
	lab/check table >out || status=$?
	cat out
	test "$(tail -n 1 out)" = "$1"
	test "$status" -eq "$2"
}

counts_statuses() {
	runs '1 passed, 1 failed, 1 skipped' 1 <<-'END'
	good   host - 10 - true
	bad    host - 10 - exit 3
	absent host - 10 - exit 4
	END
	grep -qx 'fail    bad: bad (exit status 3)' out
	grep -qx '        build/check/bad/output' out
}

counts_ktap() {
	runs '2 passed, 1 failed, 1 skipped' 1 <<-'END'
	first  host - 10 - printf 'KTAP version 1\n1..2\nok 1 a\nok 2 b # SKIP c\n'
	second host - 10 - printf 'KTAP version 1\n1..2\nok 1 a\n'
	END
	grep -qx 'crashed second: test 2 of 2' out
}

# What the test said is shown, and nothing of others; long lines are cut.
shows_last_words() {
	runs '1 passed, 3 failed, 0 skipped' 1 <<-'END'
	subs host - 10 - printf '1..1\n    # Subtest: p\n    1..1\n    # of sub\n    not ok 1 s\nnot ok 1 p\n'; exit 1
	ktap host - 10 - printf '1..2\n# of a\nok 1 a\n# of b\nnot ok 2 b # why\n# later\n'; exit 1
	bare host - 10 - seq 100; printf '%01000d\n' 5; exit 3
	END
	grep -A 2 -x 'fail    ktap: b (why)' out | grep -qx '        | # of b'
	grep -A 6 -x 'fail    subs: p.s' out | grep -qx '        |     # of sub'
	grep -A 2 -x 'fail    bare: bare (exit status 3)' out | grep -qx '        | 90'
	fails grep -qE '# (of a|later)|^ +[|] 89$|.{200}' out
}

status_beats_ktap() {
	runs '1 passed, 1 failed, 0 skipped' 1 <<-'END'
	lies host - 10 - printf '1..1\nok 1 a\n'; exit 1
	END
}

skip_never_hides_failure() {
	runs '0 passed, 1 failed, 0 skipped' 1 <<-'END'
	lies host - 10 - printf '1..1\nnot ok 1 a # SKIP b\n'; exit 4
	END
}

time_runs_out() {
	runs '0 passed, 1 failed, 0 skipped' 1 <<-'END'
	slow host - 1 - sleep 20
	END
	grep -q 'ran out of time' out
}

nothing_passed_is_failure() {
	runs '0 passed, 0 failed, 1 skipped' 1 <<-'END'
	absent host - 10 - exit 4
	END
}

unexpected_skips_are_shown() {
	printf '# one\n\nabs* absent\nother gone\n' >"$work/skips.list"
	export SKIPS=$work/skips.list
	runs '1 passed, 0 failed, 2 skipped' 0 <<-'END'
	good   host - 10 - true
	absent host - 10 - exit 4
	gone   host - 10 - echo why; exit 4
	END
	grep -qx 'skipped gone: gone (why)' out
	fails grep -q 'skipped absent' out
}

success() {
	runs '3 passed, 0 failed, 0 skipped' 0 <<-'END'
	# a comment

	one   host - 10 - true
	two   host - 10 - true
	three host - 10 - true
	END
}

must_fail() {
	runs '1 passed, 2 failed, 0 skipped' 1 <<-'END'
	found    host - 10 - must-fail a printf '1..1\nnot ok 1 a\n'; exit 1
	unnoted  host - 10 - must-fail a printf '1..1\nok 1 a\n'
	another  host - 10 - must-fail a printf '1..2\nok 1 a\nnot ok 2 b\n'; exit 1
	END
}

# A planted bug that was found is not waited for.
must_fail_ends() {
	runs '1 passed, 0 failed, 0 skipped' 0 <<-'END'
	spins host - 20 - must-fail a printf '1..2\nnot ok 1 a\n'; sleep 30
	END
	fails grep -qE ' [0-9]{2} s$' out
}

must_crash() {
	runs '1 passed, 1 failed, 0 skipped' 1 <<-'END'
	dies  host - 10 - must-crash dies exit 125
	fails host - 10 - must-crash fails exit 1
	END
}

# A machine that QEMU refuses has died of nothing that was tested.
never_started() {
	boot=$work/refused-boot
	printf '#!/bin/sh\nexit 125\n' >"$boot"
	chmod +x "$boot"
	runs '0 passed, 1 failed, 0 skipped' 1 <<<'dies n4 - 10 - must-crash dies true'
}

# One that nobody knows fails its own row, and no other.
unknown_machine() {
	runs '1 passed, 1 failed, 0 skipped' 1 <<-'END'
	wrong none - 10 - lab/check
	good  host - 10 - true
	END
}

# A machine that loses an interrupt so many times before all is well.
losing_machine() { # TIMES
	boot=$work/losing-boot
	cat >"$boot" <<-END
	#!/bin/bash
	while [ "\$1" != -d ]; do shift; done
	echo >>tries
	: >"\$2/console.log"
	rm -f "\$2/lost-interrupt"
	[ "\$(wc -l <tries)" -gt $1 ] || { echo 2 >"\$2/lost-interrupt"; exit 126; }
	END
	chmod +x "$boot"
}

lost_interrupt_runs_again() {
	losing_machine 1
	runs '1 passed, 0 failed, 0 skipped' 0 <<<'guest n4 - 10 - true'
	grep -q '^1 machines were started twice' out
}

lost_interrupt_twice_fails() {
	losing_machine 2
	runs '0 passed, 1 failed, 0 skipped' 1 <<<'guest n4 - 10 - true'
	grep -q 'the emulator lost an interrupt, twice' out
}

selects() {
	export ONLY='t*'
	runs '2 passed, 0 failed, 0 skipped' 0 <<-'END'
	one   host - 10 - false
	two   host - 10 - true
	three host - 10 - true
	END
}

# What lies beside a table gets what its rows need; if it cannot, nothing is run.
prepares() {
	runs '0 passed, 1 failed, 0 skipped' 1 <<<'needs host - 10 - test -e got'
	printf '#!/bin/sh\ntouch got\n' >prepare
	chmod +x prepare
	lab/check table
	echo 'exit 1' >>prepare
	fails lab/check table >out
	fails grep -q passed out
}

# TERM ends the groups, also what they started in process groups of their own.
signal_ends_groups() {
	runs '1 passed, 0 failed, 0 skipped' 0 <<<'quick host - 10 - true'
	echo 'slow host - 60 - setsid sleep 54321 & echo $! >pid; wait' >table
	rm -f pid
	lab/check table &
	until [ -s pid ]; do sleep 0.1; done
	kill $!
	fails wait $!
	# A process that was killed may need a moment to go.
	for ((i = 0; i < 100; i++)); do
		grep -qs '^State:.[^Z]' "/proc/$(cat pid)/status" || return 0
		sleep 0.1
	done
	return 1
}

runs_one_after_the_other() {
	runs '1 passed, 0 failed, 0 skipped' 0 <<<'quick host - 10 - true'
	echo 'slow host - 60 - echo $PPID >>ran; sleep 1; test "$(wc -l <ran)" = 1; rm ran' >table
	lab/check table &
	lab/check table
	wait $!
}

# With -k, what has passed is not run again unless something that decides it has changed.
keeps_what_passed() {
	runs '1 passed, 0 failed, 0 skipped' 0 <<<'quick host - 10 - true'
	printf '%s host - 10 - sh ./%s\n' good good bad bad >table
	local again=(lab/check -k -d kept table)
	echo 'echo >>good.ran' >good
	echo 'echo >>bad.ran; exit 1' >bad
	fails "${again[@]}"
	fails "${again[@]}" >out
	grep -qx 'kept   good' out
	test "$(tail -n 1 out)" = '1 passed, 1 failed, 0 skipped'
	test "$(wc -l <good.ran) $(wc -l <bad.ran)" = '1 2'
	echo '# another script' >>good
	sed -i s/bad$/good/ table
	"${again[@]}"
	test "$(wc -l <good.ran)" = 3
}

# Of a command that names no file, nobody knows what decides how it ends.
keeps_nothing_unknown() {
	runs '1 passed, 0 failed, 0 skipped' 0 <<<'unknown host - 10 - echo >>ran'
	lab/check -k table
	test "$(wc -l <ran)" = 2
}

limit_leaves_groups() {
	runs '3 passed, 0 failed, 0 skipped' 0 <<-'END'
	one   host - 10 - sleep 3
	two   host - 10 - true
	three host - 10 - true
	END
	fails env JOBS=1 lab/check -l 2 table >out
	grep -qx '2 groups are left: the same command goes on with them' out
	test "$(tail -n 1 out)" = '1 passed, 0 failed, 0 skipped'
}

for test in prepares counts_statuses counts_ktap shows_last_words status_beats_ktap skip_never_hides_failure time_runs_out \
	nothing_passed_is_failure unexpected_skips_are_shown success must_fail must_fail_ends must_crash never_started unknown_machine selects \
	lost_interrupt_runs_again lost_interrupt_twice_fails signal_ends_groups runs_one_after_the_other keeps_what_passed \
	keeps_nothing_unknown limit_leaves_groups; do
	check "runner/$test" "$test"
done
