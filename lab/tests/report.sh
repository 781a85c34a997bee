# SPDX-License-Identifier: GPL-2.0
# Tests of lab/bench/report.awk on made-up counts.
# shellcheck shell=bash

# What it says at the end of two kernels that differ in one operation.
reports() { # EXPECTED-LAST-LINE EXPECTED-STATUS KERNEL OPERATION INSTRUCTIONS NOPS
	status=0
	printf '%s\n' "stock $4 1000 10" "stock $4 1020 10" "$3 $4 $5 $6" >"$work/counts"
	"$lab/bench/report.awk" "$work/counts" >"$work/report" || status=$?
	cat "$work/report"
	test "$(tail -n 1 "$work/report")" = "$1"
	test "$status" -eq "$2"
}

takes_the_least() { reports '2 of 2 bounds kept' 0 mitosis fork+exit 1000 10; }
allows_a_little() { reports '2 of 2 bounds kept' 0 after-use exec 1004.5 14; }
refuses_too_many_nops() { reports '1 of 2 bounds kept' 1 mitosis=off munmap 1003 13; }
allows_two_nops() { reports '2 of 2 bounds kept' 0 mitosis munmap 1002 12; }
refuses_other_instructions() { reports '1 of 2 bounds kept' 1 mitosis switch 1002 10; }
refuses_too_many_in_all() { reports '1 of 2 bounds kept' 1 mitosis pipe 1006 16; }
leaves_others_alone() { reports '0 of 0 bounds kept' 0 4-replicas munmap 5000 12; }
needs_two_kernels() {
	echo 'stock exec 1 1' >"$work/counts"
	fails "$lab/bench/report.awk" "$work/counts"
}

for test in takes_the_least allows_a_little refuses_too_many_nops allows_two_nops \
	refuses_other_instructions refuses_too_many_in_all leaves_others_alone needs_two_kernels; do
	check "report/$test" "$test"
done
