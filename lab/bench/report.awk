#!/usr/bin/awk -f
# SPDX-License-Identifier: GPL-2.0
# Tables from lines "KERNEL OPERATION INSTRUCTIONS NOPS", one for each interval that was counted:
# what each kernel needs for each operation beside the first kernel, and whether the bounds of
# "off is off" are kept. Exit with 1 if one is not.
# usage: lab/bench/report.awk COUNTS

# The least of all intervals: whatever comes from outside only adds.
{
	if (!($1 in column)) { column[$1] = ++columns; name[columns] = $1 }
	if (!($2 in row)) { row[$2] = ++rows; operation[rows] = $2 }
	c = column[$1]
	r = row[$2]
	if (!((c, r) in all) || $3 < all[c, r]) { all[c, r] = $3; nops[c, r] = $4 }
}

function other(c, r) { return all[c, r] - nops[c, r] }

function percent(is, was) { return 100 * (is / was - 1) }

function head(title,    c) {
	printf "\n%s\n\n%-16s", title, ""
	for (c = 1; c <= columns; c++) printf " %12s", name[c]
	print ""
}

# A kernel that claims to cost nothing; the others are there to compare.
function is_off(c) { return name[c] ~ /^(mitosis|after-use|mitosis=off)$/ }

function bound(c, r, what, is, limit) {
	bounds++
	if (is <= limit) return
	broken++
	printf "over the bound: %s, %s: %s %+.3f, allowed %.3f\n", name[c], operation[r], what, is, limit
}

END {
	if (columns < 2) { print "no counts of two kernels" ; exit 1 }

	head("Instructions that are no NOPs: of " name[1] ", and by how much others differ")
	for (r = 1; r <= rows; r++) {
		printf "%-16s %12.2f", operation[r], other(1, r)
		for (c = 2; c <= columns; c++) printf " %+11.2f%%", percent(other(c, r), other(1, r))
		print ""
	}

	head("NOPs: of " name[1] ", and how many more others have")
	for (r = 1; r <= rows; r++) {
		printf "%-16s %12.2f", operation[r], nops[1, r]
		for (c = 2; c <= columns; c++) printf " %+12.2f", nops[c, r] - nops[1, r]
		print ""
	}

	head("All instructions")
	for (r = 1; r <= rows; r++) {
		printf "%-16s %12.2f", operation[r], all[1, r]
		for (c = 2; c <= columns; c++) printf " %+11.2f%%", percent(all[c, r], all[1, r])
		print ""
	}
	print ""

	for (c = 2; c <= columns; c++) {
		if (!is_off(c)) continue
		for (r = 1; r <= rows; r++) {
			bound(c, r, "percent that are no NOPs", percent(other(c, r), other(1, r)), 0.1)
			if (operation[r] ~ /^(mprotect|munmap)/)
				# Those of the call itself count among 2048 pages.
				bound(c, r, "NOPs a page", nops[c, r] - nops[1, r], 2.01)
			else if (operation[r] != "mmap+populate")
				bound(c, r, "percent of all", percent(all[c, r], all[1, r]), 0.5)
		}
	}
	printf "%d of %d bounds kept\n", bounds - broken, bounds
	exit broken > 0
}
