# SPDX-License-Identifier: GPL-2.0
# Tests of the tables that shards of fortress/ print of their rows, on made-up output.
# shellcheck shell=bash

# output ROW: what a row said, from stdin.
output() {
	mkdir -p "$work/tables/$1"
	cat >"$work/tables/$1/output"
}

# prints TABLE LINE...: the table has each of these lines.
prints() {
	local table=$lab/../fortress/$1/table line
	shift
	"$table" "$work/tables" >"$work/table"
	cat "$work/table"
	for line; do
		grep -qxF "$line" "$work/table"
	done
}

load_adds_up() {
	output load.vm <<-'END'
	# ran stress-ng 0.15
	ok 1 stress
	# seconds 160
	# entries 1234567
	# differing 12
	# swapped 1000
	END
	output load.redis <<-'END'
	# ran redis 7
	# entries 1000000
	END
	output load.pgbench </dev/null
	prints load \
		'| load.vm | stress-ng 0.15 | 160 | 0 | 1,234,567 | 0 | 12 | 0 | 0 | 0 |' \
		'| load.redis | redis 7 | 0 | 0 | 1,000,000 | 0 | 0 | 0 | 0 | 0 |' \
		'| load.pgbench | did not come to its end | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 0 |' \
		'| all |  | 160 | 0 | 2,234,567 | 0 | 12 | 0 | 0 | 0 |' \
		'| load.vm | 1,000 | 0 | 0 | 0 | 0 | 0 | 0 | 0 |'
}

# A site that has two calls of one allocator; places differ from kernel to kernel.
failing_names_sites() {
	output failing.sites <<-'END'
	# injected 101 grow+0x20 __kmalloc, 3 errors of files
	# injected 102 grow+0x40 __kmalloc, 0 errors of files
	END
	output failing.sites.debug <<-'END'
	# injected 103 grow+0x22 __kmalloc, 3 errors of files
	# injected 104 grow+0x44 __kmalloc, 0 errors of files
	# injected 105 open+0x10 __alloc_pages, 0 errors of files
	END
	# shellcheck disable=SC2016 # no commands
	prints failing '| `grow()` | `__kmalloc()` | 101 | 103 |' '| `grow()` | `__kmalloc()` | 102 | 104 |' \
		'| `open()` | `__alloc_pages()` | - | 105 |'
}

failing_counts_programs() {
	output failing.sites </dev/null
	output failing.programs <<-'END'
	ok 1 memcached
	not ok 2 anon # exit status 1
	# # injected 10 for copies, 20 for states
	ok 3 injected
	# # fallbacks 30
	ok 4 fallbacks
	# # all tables are local after 4 s
	END
	output failing.full_node <<-'END'
	# brim: node 1 at 8 of 9 looks below its low watermark
	ok 1 memcached
	# # all tables are local after 1 s
	# # all tables are local after 2 s
	END
	prints failing '| failing.programs | 1 | 1 | 10 | 20 | 30 | - | 4 s |' \
		'| failing.full_node | 1 | 0 | - | - | - | node 1 at 8 of 9 looks below its low watermark | 1 s, 2 s |'
}

sanitised_counts() {
	output leaks <<-'END'
	# processes 1000 in 9 s
	# node 0 before 10 after 10
	# owners 1 before 20 after 21
	END
	output races.live <<-'END'
	ok 1 a
	# reports 3 own 0
	END
	prints sanitised '| leaks | 1000 | 9 | page-table pages of node 0 | 10 | 10 |' \
		'| leaks | 1000 | 9 | pages by their owners | 20 | 21 |' '| races.live | 1 | 0 | 3 | 0 |'
}

for test in load_adds_up failing_names_sites failing_counts_programs sanitised_counts; do
	rm -rf "$work/tables"
	check "tables/$test" "$test"
done
