# SPDX-License-Identifier: GPL-2.0
# Tests of the tables of figures/ on made-up pieces.
# shellcheck shell=bash

figures=$lab/../figures

# prints FIGURE: its table of the pieces in $work/pieces, compared with what is expected.
prints() {
	"$figures/$1/table" "$work/pieces" >"$work/table"
	diff -u - "$work/table"
}

pieces() {
	rm -rf "$work/pieces"
	mkdir "$work/pieces"
}

# dump SECOND MIGRATIONS LEAVES-ON-0 LEAVES-ON-2: as mitosis dump prints it of nodes 0 and 2.
# LEAVES are: tables, added, removed, entries that point to node 0 and to node 2.
dump() {
	perl -e '
		my ($time, $migrations, @on) = @ARGV;
		my @leaves = map { [split /,/] } @on;
		my $all = $leaves[0][0] + $leaves[1][0];
		my $level1 = join ",", map {
			my ($tables, $added, $removed, @entries) = @{$leaves[$_]};
			qq({"tree":"primary","level":1,"node":@{[2 * $_]},"tables":$tables,"added":$added,"removed":$removed,"entries":[$entries[0],$entries[1]]})
		} 0, 1;
		my $share = join ",", map { qq({"node":@{[2 * $_]},"tables":$all,"local_tables":$leaves[$_][0]}) } 0, 1;
		my $no = $leaves[0][1] eq "null" ? "null" : 0;
		print qq({"schema":1,"time":$time,"levels":2,"nodes":[0,2],"tables":[),
			qq({"tree":"primary","level":2,"node":2,"tables":1,"added":$no,"removed":$no,"entries":[3,1]},$level1,),
			qq({"tree":"0","level":1,"node":0,"tables":9,"added":9,"removed":9,"entries":[9,9]}],),
			qq("mapped":[{"size":"4K","code":5,"data":55,"hint":2}],"migrations":$migrations,"share":[$share]}\n);
	' "$@"
}

dumps_two() {
	pieces
	{
		dump 1000 0 3,null,null,10,30 1,null,null,0,10
		dump 1030 7 3,2,1,30,10 2,1,0,20,0
		echo verified
	} >"$work/pieces/default"
	cp "$work/pieces/default" "$work/pieces/replicate"
	with() { # WITH-OR-WITHOUT
		printf '# %s Mitosis: leaf tables that are local, and where data lie, in percent\n' "$1"
		printf '%s\t' s 'N0 local' 'N2 local' 'data on N0' 'data on N2' tables added removed
		echo migrations
		printf '%s\t' 0 75.0 25.0 20.0 80.0 4 '' ''
		echo 0
		printf '%s\t' 30 60.0 40.0 83.3 16.7 5 3 1
		echo 7
		printf '\n\n# %s Mitosis: the last dump, of primary tables\n\tN0\tN2\tall\n' "$1"
		printf 'Level 1\t3 [30 10] (+2, -1)\t2 [20 0] (+1, -0)\t5\n'
		printf 'Level 2\t\t1 [3 1] (+0, -0)\t1\n'
		printf '\n\n# %s Mitosis: the last dump, mapped pages\n' "$1"
		printf 'size\tcode\tdata\thinting\n4K\t5\t55\t2\n'
	}
	{ with without; printf '\n\n'; with with; } | prints pagerank
}

dumps_one() {
	pieces
	dump 1000 0 3,null,null,10,30 1,null,null,0,10 | tee "$work/pieces/default" >"$work/pieces/replicate"
	fails "$figures/pagerank/table" "$work/pieces" 2>&1 | grep 'no two dumps'
}

# ran OPERATIONS ELAPSED CYCLES WALK-CYCLES LOCAL REMOTE: a program's word, and the model's.
ran() {
	cat <<-END
	$1 after 5
	{
	  "mhz": 2000,
	  "lanes": [{"name": "real"}],
	  "total": {"lanes": [{"elapsed": $2, "cycles": $3, "walk_cycles": $4, "walk_local": $5, "walk_remote": $6}]}
	}
	END
}

# 4,000 GETs in 2,200,000 cycles of 2,000 MHz, 1.1 ms, are 3,636.4 thousand a second. What is
# published of memcached: 157.31/134.07 = 1.173, 146.88/130.49 = 1.126, 140.36/123.17 = 1.140;
# of XSBench: 83.98/74.86 = 1.122, 82.51/73.97 = 1.116, 81.96/74.24 = 1.104.
counts_throughput() {
	local placement
	pieces
	for placement in F F-A I; do
		ran 'gets     4000' 2200000 8000000 2000000 25 75 >"$work/pieces/Memcached.$placement"
		ran 'gets     4000' 2000000 7000000 700000 100 0 >"$work/pieces/Memcached.$placement+M"
		ran 'lookups  30' 60000 200000 100000 0 0 >"$work/pieces/XSBench.$placement"
		ran 'lookups  30' 75000 200000 50000 1 3 >"$work/pieces/XSBench.$placement+M"
	done
	columns='placement	throughput	with Mitosis	gain	published gain	walks %	with Mitosis	published walks %	with Mitosis	remote walk reads %	with Mitosis'
	prints multisocket <<-END
	# Memcached: thousand gets in a second of the machine
	$columns
	first touch	3636.4	4000.0	1.100	1.173	25.0	10.0	31.8	26.2	75.0	0.0
	balanced	3636.4	4000.0	1.100	1.126	25.0	10.0	31.2	26.3	75.0	0.0
	interleaved	3636.4	4000.0	1.100	1.140	25.0	10.0	31.7	27.2	75.0	0.0


	# XSBench: thousand lookups in a second of the machine
	$columns
	first touch	1000.0	800.0	0.800	1.122	50.0	25.0	40.8	38.7	0.0	75.0
	balanced	1000.0	800.0	0.800	1.116	50.0	25.0	40.1	37.9	0.0	75.0
	interleaved	1000.0	800.0	0.800	1.104	50.0	25.0	40.8	38.7	0.0	75.0
	END
}

check figures/pagerank dumps_two
check figures/pagerank/one-dump dumps_one
check figures/multisocket counts_throughput
