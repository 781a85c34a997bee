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

# ran OPERATIONS CYCLES WALK-CYCLES LOCAL REMOTE: a program's word, and the model's of two CPUs.
ran() {
	cat <<-END
	$1 after 5
	{
	  "mhz": 2000,
	  "lanes": [{"name": "real"}],
	  "total": {"lanes": [{"cycles": $2, "walk_cycles": $3, "walk_local": $4, "walk_remote": $5}]},
	  "cpus": [{}, {}]
	}
	END
}

# 4,000 GETs in 2,200,000 cycles of each CPU at 2,000 MHz, 1.1 ms, are 3,636.4 thousand a second. What is
# published of memcached: 157.31/134.07 = 1.173, 146.88/130.49 = 1.126, 140.36/123.17 = 1.140;
# of XSBench: 83.98/74.86 = 1.122, 82.51/73.97 = 1.116, 81.96/74.24 = 1.104.
counts_throughput() {
	local placement
	pieces
	for placement in F F-A I; do
		ran 'gets     4000' 4400000 1100000 25 75 >"$work/pieces/Memcached.$placement"
		ran 'gets     4000' 4000000 400000 100 0 >"$work/pieces/Memcached.$placement+M"
		ran 'lookups  30' 120000 60000 0 0 >"$work/pieces/XSBench.$placement"
		ran 'lookups  30' 150000 37500 1 3 >"$work/pieces/XSBench.$placement+M"
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

# calls LINE...: a piece of runs 'POLICY PAGES CALLS' and what the model counted in the regions of
# their mmap(), mprotect() and munmap(): INSTRUCTIONS CYCLES of each.
calls() {
	printf '%s\n' "$@" | awk '
		BEGIN { split("mmap mprotect munmap", call, " ") }
		{
			printf "policy   %s\r\n", $1
			for (i = 1; i <= 3; i++) {
				printf "region   %d %s %d %d\r\n", region, call[i], $2, $3
				json = json sprintf("%s{\"region\": %d, \"events\": {\"instructions\": %d}, \"lanes\": [{\"cycles\": %d}]}",
						    region ? "," : "", region++, $(2 + 2 * i), $(3 + 2 * i))
			}
			printf "verified\r\n"
		}
		END { printf "{\n\"regions\": [%s]}\n", json }'
}

some_calls() {
	pieces
	calls 'none 1 10  1000 2000  100 200  400 1000' 'none 2048 2  4000 8000  200 400  600 800' \
		'replicate=0-1 1 10  1100 2200  200 300  400 1000' 'replicate=0-1 2048 2  4000 8800  300 500  600 900' \
		'replicate=0-3 1 10  1200 2500  300 500  500 1100' 'replicate=0-3 2048 2  5000 9000  500 1700  900 1200' \
		'replicate=0-7 1 10  1500 3000  400 800  600 1200' 'replicate=0-7 2048 2  6000 10000  900 3000  990 2000' \
		>"$work/pieces/policies"
	calls 'off 1 10  1000 2010  100 200  400 1000' 'off 2048 2  4000 8000  200 398  600 800' >"$work/pieces/off"
}

# What is published for 4 KB: 2701/2522 = 1.071, 1144/939 = 1.218, 2282/2134 = 1.069; for 8 MB:
# 3436461/3153672 = 1.090, 527486/123479 = 4.272, 968732/636638 = 1.522.
counts_calls() {
	some_calls
	prints vmops <<-END
	# Cycles over those of none
	call	off	2 replicas	4 replicas	8 replicas	published, 4
	mmap 4 KB	1.005	1.100	1.250	1.500	1.071
	mmap 8 MB	1.000	1.100	1.125	1.250	1.090
	mprotect 4 KB	1.000	1.500	2.500	4.000	1.218
	mprotect 8 MB	0.995	1.250	4.250	7.500	4.272
	munmap 4 KB	1.000	1.000	1.100	1.200	1.069
	munmap 8 MB	1.000	1.125	1.500	2.500	1.522


	# Instructions over those of none
	call	off	2 replicas	4 replicas	8 replicas
	mmap 4 KB	1.000	1.100	1.200	1.500
	mmap 8 MB	1.000	1.000	1.250	1.500
	mprotect 4 KB	1.000	2.000	3.000	4.000
	mprotect 8 MB	1.000	1.500	2.500	4.500
	munmap 4 KB	1.000	1.000	1.250	1.500
	munmap 8 MB	1.000	1.000	1.500	1.650


	# Cycles a call
	call	off	none	2	4	8	published, none	published, 4
	mmap 4 KB	201	200	220	250	300	2522	2701
	mmap 8 MB	4000	4000	4400	4500	5000	3153672	3436461
	mprotect 4 KB	20	20	30	50	80	939	1144
	mprotect 8 MB	199	200	250	850	1500	123479	527486
	munmap 4 KB	100	100	100	110	120	2134	2282
	munmap 8 MB	400	400	450	600	1000	636638	968732


	# Instructions a call
	call	off	none	2	4	8
	mmap 4 KB	100	100	110	120	150
	mmap 8 MB	2000	2000	2000	2500	3000
	mprotect 4 KB	10	10	20	30	40
	mprotect 8 MB	100	100	150	250	450
	munmap 4 KB	40	40	40	50	60
	munmap 8 MB	300	300	300	450	495
	END
}

misses_a_policy() {
	some_calls
	calls 'off 1 10  1 1  1 1  1 1' >"$work/pieces/off"
	fails "$figures/vmops/table" "$work/pieces" 2>&1 | grep '() of 2048 pages was not measured with off$'
}

# shown SIZE NODES TABLES REPLICA-BYTES FALLBACKS: as mitosis show prints it; NODES null for none.
shown() {
	printf 'size %s\r\n{"schema":1,"processes":[{"nodes":%s,"tables":%d,"replicas":%d,"fallbacks":%d}]}\r\n' "$@"
}

# 600 tables of 4096 bytes are 2.34 MB, 0.229 % of 1 GB; on two nodes twice that. Then descriptors
# of 65,536 pages in 1,024 and in 1,152 pages: 64 bytes each and 72.
some_tables() { # FALLBACKS
	pieces
	{
		printf '%s\r\n' 'pages 65536' 'nr_memmap_boot_pages 1024'
		shown 1G null 600 0 0
		shown 1G '"0-1"' 600 2457600 "$1"
		shown 1G '"0-3"' 600 7372800 0
		shown 1G '"0-7"' 600 17203200 0
		shown 512M null 300 0 0
		shown 512M '"0-1"' 300 1228800 0
		shown 512M '"0-3"' 300 3686400 0
		shown 512M '"0-7"' 300 9830400 0
	} >"$work/pieces/mitosis"
}

counts_tables() { # STOCK-ROW...
	some_tables 0
	[ $# -eq 0 ] || printf '%s\n' 'pages 65536' 'nr_memmap_boot_pages 1152' >"$work/pieces/stock"
	prints memory <<-END
	# Page tables with their replicas, percent of the footprint
	footprint	none	2 nodes	4 nodes	8 nodes
	1G	0.229	0.458	0.916	1.831
	512M	0.229	0.458	0.916	2.060


	# Page tables with their replicas, MB
	footprint	none	2 nodes	4 nodes	8 nodes
	1G	2.3	4.7	9.4	18.8
	512M	1.2	2.3	4.7	10.5


	# Over those of none
	footprint	2 nodes	4 nodes	8 nodes
	1G	2.000	4.000	8.000
	512M	2.000	4.000	9.000


	# Bytes of a page descriptor
	kernel	bytes
	$(printf '%s\n' "$@" 'mitosis	64.00')
	END
}

refuses_fallbacks() {
	some_tables 3
	fails "$figures/memory/table" "$work/pieces" 2>&1 | grep 'of 1G were not all replicated on nodes 0-1'
}

# 120/100 is a gain of 1.2; a call of 200 cycles over one of 100, and 16 sets of tables over one.
scales() {
	local nodes last
	pieces
	for nodes in 1 2 4 8 16; do
		ran 'lookups  30' 120000 60000 25 75 >"$work/pieces/$nodes"
		ran 'lookups  30' 100000 25000 10 0 >"$work/pieces/$nodes+M"
	done
	calls 'none 2048 2  1 200  1 400  1 600' 'replicate=0-1 2048 2  1 210  1 800  1 660' \
		'replicate=0-3 2048 2  1 230  1 1600  1 780' 'replicate=0-7 2048 2  1 270  1 3200  1 1020' \
		'replicate=0-15 2048 2  1 350  1 6400  1 1500' >"$work/pieces/calls"
	{
		shown 1G null 600 0 0
		for last in 1 3 7 15; do
			shown 1G "\"0-$last\"" 600 $((last * 2457600)) 0
		done
	} >"$work/pieces/memory"
	prints scaling <<-END
	# BTree with a thread on each node
	nodes	walks %	remote walk reads %	walks % with Mitosis	remote walk reads % with Mitosis	gain
	1	50.0	75.0	25.0	0.0	1.200
	2	50.0	75.0	25.0	0.0	1.200
	4	50.0	75.0	25.0	0.0	1.200
	8	50.0	75.0	25.0	0.0	1.200
	16	50.0	75.0	25.0	0.0	1.200


	# What page tables on so many nodes cost, over one set of them
	nodes	memory	mmap	mprotect	munmap
	1	1.000	1.000	1.000	1.000
	2	2.000	1.050	2.000	1.100
	4	4.000	1.150	4.000	1.300
	8	8.000	1.350	8.000	1.700
	16	16.000	1.750	16.000	2.500
	END
	calls 'none 2048 2  1 200  1 400  1 600' >"$work/pieces/calls"
	fails "$figures/scaling/table" "$work/pieces" 2>&1 | grep 'mmap was not measured with 2$'
}

check figures/pagerank dumps_two
check figures/pagerank/one-dump dumps_one
check figures/multisocket counts_throughput
check figures/scaling scales
check figures/vmops counts_calls
check figures/vmops/policy misses_a_policy
check figures/memory counts_tables
check figures/memory/stock counts_tables 'stock	72.00'
check figures/memory/fallbacks refuses_fallbacks
