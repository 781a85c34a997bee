# SPDX-License-Identifier: GPL-2.0
# Tests of lab/fortress and its report on shards of host commands.
# shellcheck shell=bash

# fortress [OPTION...] [SHARD...]: in a project that has the shards 'one' and 'two'.
fortress() {
	(cd "$work/fortress" && lab/fortress "$@")
}

shards() {
	rm -rf "$work/fortress"
	mkdir -p "$work/fortress/fortress"/{one,two} "$work/fortress/docs"
	cp -r "$lab" "$work/fortress/lab"
	cd "$work/fortress"
	cp "$lab"/../fortress/{report,Page.pm} fortress
	printf '# comment\n\none\ntwo\n' >fortress/list
	printf 'First things\n\nWhat they are.\n' >fortress/one/about.md
	printf 'Second\n\nWhat it is.\n' >fortress/two/about.md
	echo "good host - 10 - printf '1..2\\nok 1 a\\nok 2 b # SKIP no|thing\\n'" >fortress/one/tests.list
	printf 'bad host - 10 - exit 3\nlate host - 10 - sh ./late\n' >fortress/two/tests.list
	echo true >late
	printf '#!/bin/sh\nhead -n 1 "$1/bad/verdicts"\n' >fortress/two/table
	chmod +x fortress/two/table
}

reports_all() {
	shards
	fails fortress
	diff -u - <(sed -n '/^| shard/,/^## /p' build/fortress/report.md | sed 's/ [0-9]* s |/ N s |/') <<-'END'
	| shard | rows | passed | failed | skipped | not run | took |
	| --- | --- | --- | --- | --- | --- | --- |
	| [First things](#first-things) | 1 | 1 | 0 | 1 | 0 | N s |
	| [Second](#second) | 2 | 1 | 1 | 0 | 0 | N s |

	## First things
	END
	grep -qx 'What they are.' build/fortress/report.md
	grep -qx '| good: b | no\\|thing |' build/fortress/report.md
	grep -qx '| bad: bad | exit status 3 |' build/fortress/report.md
	grep -qx 'fail	bad	exit status 3' build/fortress/report.md
	fails test -e docs/reliability.md
}

goes_on() {
	shards
	fails fortress -l 0
	grep -q '| bad .* not run |' build/fortress/report.md
	fails fortress -p two
	grep -q '| good .* not run |' docs/reliability.md
	echo 'bad host - 10 - true' >fortress/two/tests.list
	ONLY='g*' fortress -p
	grep -q '| good | host | - | 1 | 0 | 1 |' docs/reliability.md
	grep -q '| bad | host | - | 0 | 1 | 0 |' docs/reliability.md
	fortress -p
	grep -q '| bad | host | - | 1 | 0 | 0 |' docs/reliability.md
}

# build_kernel WORD, good_ran_on WORD: a kernel is a word here.
build_kernel() {
	mkdir -p build/kernel-plain/arch/x86/boot
	echo "$1" >build/kernel-plain/arch/x86/boot/bzImage
}

good_ran_on() {
	printf 'good n4 plain 10 - true\n' >fortress/one/tests.list
	echo "kernel $(echo "$1" | sha256sum)" >build/fortress/one/good/environment
}

report_of_earlier_kernel() {
	shards
	fails fortress
	build_kernel new
	good_ran_on old
	fortress -r
	grep -q '^| good .* \* |$' build/fortress/report.md
	good_ran_on new
	fortress -r
	fails grep -q '^| good .* \* |$' build/fortress/report.md
}

# A machine that has run little publishes: what the page says of the rest stays in it.
page_of_another_machine() {
	shards
	printf '#!/bin/sh\ncat "$1"/*/verdicts\n' >fortress/two/table
	fails fortress -p
	cp docs/reliability.md before.md
	rm -r build/fortress
	fortress -r -p
	diff -u before.md docs/reliability.md

	ONLY='late' fortress -p
	fails grep -q 'not run |$' docs/reliability.md
	grep -qx '| good: b | no\\|thing |' docs/reliability.md
	grep -qx '| bad: bad | exit status 3 |' docs/reliability.md
	grep -qx "Of rows run on $(date -u +%F): late." docs/reliability.md
	grep -qx "Of rows run on $(date -u +%F): bad late." docs/reliability.md
	grep -qx 'fail	bad	exit status 3' docs/reliability.md
	cp docs/reliability.md before.md
	fortress -r -p
	diff -u before.md docs/reliability.md

	# The last row that the older block is of.
	echo 'bad host - 10 - true' >fortress/two/tests.list
	fortress -p two
	fails grep -q -e 'exit status 3' -e '^Of rows' docs/reliability.md
	grep -qx '<!-- of bad -->' docs/reliability.md

	# Without -p only what was run here counts.
	rm -r build/fortress
	fortress -r
	grep -q '| bad .* not run |' build/fortress/report.md
}

page_of_another_kernel() {
	shards
	fails fortress
	build_kernel old
	good_ran_on old
	fortress -r -p
	grep -q "^Kernels: .plain $(echo old | sha256sum | head -c 12)" docs/reliability.md
	rm -r build/fortress
	fortress -r -p
	grep -q '^| good .*[0-9] |$' docs/reliability.md
	build_kernel new
	fortress -r -p
	grep -q '^| good .* \* |$' docs/reliability.md
	rm -r build/kernel-plain
	fortress -r -p
	grep -q '^| good .* \* |$' docs/reliability.md
}

# A kernel that nobody built here: only its sources can be compared.
page_of_another_source() {
	shards
	fails fortress
	mkdir kernel
	echo old >kernel/patch
	build_kernel old
	good_ran_on old
	fortress -r -p
	rm -r build/fortress build/kernel-plain
	fortress -r -p
	grep -q '^| good .*[0-9] |$' docs/reliability.md
	echo new >kernel/patch
	fortress -r -p
	grep -q '^| good .* \* |$' docs/reliability.md
	grep -q '^| late .*[0-9] |$' docs/reliability.md
}

bad_shard() {
	shards
	fails fortress three 2>out
	grep -q "no shard 'three': there are one two" out
}

table_that_fails() {
	shards
	echo false >>fortress/two/table
	fails fortress 2>out
	grep -q 'fortress/two/table failed' out
}

for test in reports_all goes_on report_of_earlier_kernel \
	page_of_another_machine page_of_another_kernel page_of_another_source bad_shard table_that_fails; do
	check "fortress/$test" "$test"
done
