# SPDX-License-Identifier: GPL-2.0
# Tests of the workloads that run in workload.c; tests/run sources this.
# shellcheck shell=sh disable=SC2154,SC2317 # bin and work are set there, and so are functions

answer() { # COMMAND...: its answer, and its output in the log
	timeout 60 "$@" >"$work/log" 2>&1 && sed -n 's/^answer *//p' "$work/log"
}

# Aliased memory is a matter of memory only: answers are those of real memory.
test_same_answers() { # NAME OPTION...
	program=$1
	shift
	aliased=$(answer "$bin/$program" "$@")
	real=$(answer "$bin/$program" "$@" --real)
	echo "aliased $aliased, real $real" >>"$work/log"
	[ -n "$aliased" ] && [ "$aliased" = "$real" ]
	result $? "$program: the same answer from aliased and real memory"
}

# Sum up what smaps says of the mappings of PID for which PATTERN stands in the first line:
# KB of address space, KB that are mapped, KB in huge pages, mappings that may get huge pages.
mapped() { # PID PATTERN
	awk -v pattern="$2" '
		/^[0-9a-f]+-[0-9a-f]+ / { ours = $0 ~ pattern }
		!ours { next }
		/^Size:/ { size += $2 }
		/^Rss:/ { rss += $2 }
		/^(ShmemPmdMapped|FilePmdMapped|AnonHugePages):/ { huge += $2 }
		/^VmFlags:/ && !/ nh( |$)/ { may++ }
		END { print size + 0, rss + 0, huge + 0, may + 0 }' "/proc/$1/smaps"
}

# Before the region all pages are touched, no more are mapped, and none is huge.
test_pages() { # NAME KB OPTION...
	program=$1 kb=$2
	shift 2
	: >"$work/hold"
	"$bin/$program" "$@" --hold "$work/hold" >"$work/log" 2>&1 &
	wait_for_line "^ready $!$" "$work/log" &&
		mapped $! memfd:workload >"$work/mapped"
	rm -f "$work/hold"
	wait $!
	status=$?
	echo "mapped $(cat "$work/mapped"), expected $kb $kb 0 0" >>"$work/log"
	[ $status -eq 0 ] && [ "$(cat "$work/mapped")" = "$kb $kb 0 0" ]
	result $? "$program: $kb KB of small pages, all touched"
}

# AutoNUMA leaves a process alone that has a policy of its own, as numa_maps shows.
test_balancing() {
	if [ ! -e /proc/self/numa_maps ]; then
		skip "gups: AutoNUMA is kept off" "no NUMA here"
		return
	fi
	: >"$work/hold"
	"$bin/gups" --size 16M --backing 1M --hold "$work/hold" >"$work/log" 2>&1 &
	wait_for_line "^ready $!$" "$work/log" && grep memfd:workload /proc/$!/numa_maps >"$work/maps"
	rm -f "$work/hold"
	wait $!
	cat "$work/maps" >>"$work/log"
	[ "$(grep -c ' local ' "$work/maps")" -eq 16 ]
	result $? "gups: AutoNUMA is kept off"
}

test_huge() {
	if grep -q '\[\(never\|deny\)\]' /sys/kernel/mm/transparent_hugepage/shmem_enabled; then
		expect "gups: huge pages of aliased memory need permission" 2 'allows them' \
			"$bin/gups" --size 8M --backing 4M --huge
	else
		expect "gups: aliased huge pages" 0 '^verified$' "$bin/gups" --size 8M --backing 4M --huge
	fi
	expect "gups: less than a huge page" 2 'page of 2097152 bytes' "$bin/gups" --size 1M --huge
	for program in gups btree hashjoin xsbench; do
		expect "$program: huge pages of real memory" 0 'huge pages$' \
			"$bin/$program" --size 400M --backing 100M --huge --real
	done
}

test_measured() { # NAME OPERATIONS MULTIPLE-OF THREADS OPTION...
	program=$1 operations=$2 unit=$3 threads=$4
	shift 4
	expect "$program: verified" 0 '^verified$' "$bin/$program" "$@"
	expect "$program: without warm-up" 0 '^verified$' "$bin/$program" "$@" --warmup 0
	expect "$program: one false datum is seen" 1 '^wrong$' "$bin/$program" "$@" --spoil 1
	expect "$program: the filling is measured" 0 '^rate .* pages/s$' \
		"$bin/$program" "$@" --real --threads 1 --measure-fill
	expect "$program: first touch by node 0" 0 'first touch by node 0$' "$bin/$program" "$@" --init-node 0
	expect "$program: help names its operations" 0 "^  --$operations NR" "$bin/$program" --help
	expect "$program: not a number of bytes" 2 "'12Q' is not a number of bytes" "$bin/$program" --size 12Q
	expect "$program: no room" 2 '^[a-z]*: --size' "$bin/$program" --size 100
	expect "$program: an argument is refused" 2 "unexpected argument 'x'" "$bin/$program" x
	if [ "$threads" -gt 1 ]; then
		expect "$program: $threads threads" 0 '^verified$' "$bin/$program" "$@" --threads "$threads"
	else
		expect "$program: two threads are refused" 2 "'2' is not a number from 1 to 1" "$bin/$program" --threads 2
	fi
	[ "$unit" -eq 1 ] ||
		expect "$program: part of a unit is refused" 2 "not a multiple of $unit" \
			"$bin/$program" "--$operations" $((unit + 1))
}

test_gups() {
	set -- --size 16M --backing 256K --updates 65536 --warmup 1280
	test_measured gups updates 128 1 "$@"
	test_same_answers gups "$@"
	test_pages gups 16384 "$@"
	test_balancing
	test_huge
	expect "gups: the filling of aliased memory is not measured" 2 'use it with --real' \
		"$bin/gups" "$@" --measure-fill
	expect "gups: as many updates as the benchmark" 0 '^verified$' \
		"$bin/gups" --size 64K --warmup 0 --updates 32768
	expect "gups: more are refused" 2 'has at most 32768$' \
		"$bin/gups" --size 64K --warmup 128 --updates 32768
}

# In 64 KB a split period has leaves at height 5: 364 nodes and 32 of the trunk of 48, 16 and 32
# bytes, and 486 records of 16: 20 + 8 + 16 + 8 KB, in whole pages. 8 MB have room for 157; the
# largest tree above them has 16 * 9 = 144. Joint they have height 4: 121 + 32 of 128 bytes and 162
# records of 32: 20 + 8 KB. Of 292 the largest tree has 32 * 9 = 288.
test_btree() {
	for layout in split joint; do
		expect "tree: nodes and records, $layout" 0 'each at its place$' "$bin/tests/tree" $layout
		set -- --layout $layout --size 8M --backing 64K --lookups 20000 --warmup 1000
		test_measured btree lookups 1 3 "$@"
		test_same_answers btree "$@"
		[ $layout = split ] && test_pages btree $((144 * 52)) "$@"
		[ $layout = joint ] && test_pages btree $((288 * 28)) "$@"
	done
	expect "btree: an unknown layout is refused" 2 "'x' is not one of split, joint" \
		"$bin/btree" --layout x
}

# 1 MB has room for 8,192 buckets of 64 bytes and as many outer tuples of 16; 16 MB for 16 such
# periods of buckets, and the rest for 64 chunks of the outer relation.
test_hashjoin() {
	set -- --size 16M --backing 1M --lookups 50000 --warmup 5000
	test_measured hashjoin lookups 1 3 "$@"
	test_same_answers hashjoin "$@"
	test_pages hashjoin $((16 * 512 + 64 * 128)) "$@"
	expect "hashjoin: the outer relation over again" 0 '^verified$' \
		"$bin/hashjoin" --size 1M --lookups 50000
}

# A point of each of 68 nuclides takes 68 * (72 * 4 + 8 + 48) bytes: 16 MB have room for 512.
test_xsbench() {
	set -- --problem small --size 16M --backing 4M --lookups 3400 --warmup 340
	test_measured xsbench lookups 34 3 "$@"
	test_same_answers xsbench "$@"
	test_pages xsbench $((512 * 68 * 344 / 1024)) "$@"
	expect "xsbench: 355 nuclides" 0 '^verified$' "$bin/xsbench" --size 300M --lookups 340
	expect "xsbench: an unknown problem is refused" 2 "'x' is not one of small, large" \
		"$bin/xsbench" --problem x
	expect "xsbench: too little behind it is refused" 2 'needs at least 71249920 bytes' \
		"$bin/xsbench" --backing 64M
	expect "xsbench: huge pages of aliased memory are refused" 2 'use --real with it' \
		"$bin/xsbench" --huge
}

test_pagerank() {
	expect "kronecker: names and quadrants" 0 'all there, quadrants as specified$' "$bin/tests/kronecker"
	test_measured pagerank iterations 1 7 --size 2M --iterations 3
	expect "pagerank: threads agree on the first vertex" 0 "^answer   $(answer "$bin/pagerank" --size 2M)" \
		"$bin/pagerank" --size 2M --threads 3
	expect "pagerank: its data cannot repeat" 2 'only 0 is allowed' "$bin/pagerank" --backing 1M
}

test_hog() {
	expect "hog: verified" 0 '^verified$' "$bin/hog" --size 1M --threads 2 --seconds 1
	expect "hog: one false number is seen" 1 '^wrong$' "$bin/hog" --size 1M --seconds 1 --spoil
	expect "hog: too little memory is refused" 2 '12288 bytes, are the least' "$bin/hog" --size 8K
	"$bin/hog" --size 1M >"$work/log" 2>&1 &
	wait_for_line "^ready $!$" "$work/log" && kill $! && wait $! && grep -q '^verified$' "$work/log"
	result $? "hog: SIGTERM ends it well"
}

test_vmops() {
	expect "vmops: verified" 0 '^verified$' "$bin/vmops"
	expect "vmops: shared memory" 0 '^verified$' "$bin/vmops" --shared --pages 5000 --calls 2
	expect "vmops: one page" 0 '^verified$' "$bin/vmops" --pages 1 --calls 100
	for call in mmap mprotect munmap; do
		expect "vmops: a page that $call() did not change is seen" 1 '^wrong    3 pages$' \
			"$bin/vmops" --warmup 1 --calls 2 --spoil $call
	done
	expect "vmops: regions are named" 0 '^region   6 mprotect 7 3$' \
		"$bin/vmops" --region 5 --pages 7 --calls 3
	expect "vmops: three regions have to fit" 2 "'254' is not a number from 0 to 253" "$bin/vmops" --region 254
	expect "vmops: an unknown call is refused" 2 "'x' is not one of mmap, mprotect, munmap" \
		"$bin/vmops" --spoil x
	expect "vmops: an argument is refused" 2 "unexpected argument 'x'" "$bin/vmops" x
	expect "vmops: help names its calls" 0 '^  --calls NR' "$bin/vmops" --help
}

test_gups
test_btree
test_hashjoin
test_xsbench
test_pagerank
test_hog
test_vmops
