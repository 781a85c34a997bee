# SPDX-License-Identifier: GPL-2.0
# Tests of lab/placements-table on made-up runs.
# shellcheck shell=bash

# What lab/placements keeps of a run, with two lanes; a guest's lines end as a terminal's.
placements_log() { # NAME BYTES OPERATIONS CYCLES WALK-CYCLES CYCLES WALK-CYCLES
	printf '%s\r\n' "memory   $2 bytes, backed by 4096, 4 KB pages" "probes   $3 after 7" >"$work/$1"
	cat >>"$work/$1" <<-END
	{
	 "lanes": [{"name": "LP-LD"}, {"name": "RP-LD"}],
	 "total": {"lanes": [{"cycles": $4, "walk_cycles": $5}, {"cycles": $6, "walk_cycles": $7}]}
	}
	END
}

# A page takes 2,000 cycles to fill, 500 of them with walks; 3,000 and 1,000 if tables are
# remote. A probe takes 100 and 80; 200 and 180. A million pages are filled in 2 G cycles; to the
# 10 G of the whole 80 million probes are missing. So RP-LD is 3 + 16 = 19 G, with 1 + 14.4 of
# walks, and 3 of 19 are the filling; LP-LD has 0.5 + 6.4 of walks.
made_up() {
	placements_log operations 4096000000 50 5000 4000 10000 9000
	placements_log fill 40960 10 20000 5000 30000 10000
	cat >"$work/published" <<-END
	# made up
	workload,placement,run_time,walk_share,cycles
	Other,LP-LD,1.000,0.100,1000
	Probe,LP-LD,1.000,0.500,10000000000
	Probe,RP-LD,2.000,0.800,20000000000
	${1-}
	END
}

table() { "$lab/placements-table" Probe "$work/published" "$work/operations" "$work/fill" "$@" | tee "$work/table"; }

row() { [ "$(awk -v name="$1" '$1 == name { $1 = $1; print }' "$work/table")" = "$*" ]; } # PLACEMENT CELL...

adds_up() {
	made_up
	table
	row LP-LD 1.00 1.00 set 69 50 +19 20
	row RP-LD 1.90 2.00 -5% 81 80 +1 16
	grep -q '2000 cycles for each 4 KB, then 80 million probes at 100 cycles$' "$work/table"
}

# Huge pages: a million pages of 4 KB in 1 G cycles, and again 80 million probes, at 30 cycles.
huge_is_as_long() {
	made_up Probe,TLP-LD,0.500,0.100,5000000000000
	placements_log huge-operations 4096000000 10 300 150 1 1
	placements_log huge-fill 409600 10 100000 0 1 1
	table "$work/huge-operations" "$work/huge-fill"
	row TLP-LD 0.34 0.50 -32% 35 10 +25 29
	fails grep -q TRP-LD "$work/table"
}

needs_time_to_operate() {
	made_up
	sed -i 's/,10000000000$/,1999999999/' "$work/published"
	fails "$lab/placements-table" Probe "$work/published" "$work/operations" "$work/fill" 2>"$work/said"
	grep -q '^Probe: filling alone takes 2000000000 cycles in LP-LD, and the whole run took 1999999999$' "$work/said"
}

for test in adds_up huge_is_as_long needs_time_to_operate; do
	check "placements/$test" "$test"
done
