# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
# Failing allocations, for the scripts beside it, by the kernel's fault injection.

top=$(cd "${BASH_SOURCE%/*}/../.." && pwd)
# shellcheck source=guest/ktap.sh
. "$top/guest/ktap.sh"
stats=/sys/kernel/mm/mitosis
many=1000000000

die() { echo "# $*"; exit 1; }

# sites FLAVOUR: where the project's code, but for its unit tests and what runs once at
# boot, calls an allocator: the address behind the call, which the stack of a failing
# allocation shows; function and allocator. The addresses are those in the objects, moved to
# where this kernel has one of the object's symbols.
sites() {
	local objects=$top/build/kernel-$1/arch/x86/mm/mitosis object start base
	local units=$top/kernel/overlay/arch/x86/mm/mitosis/tests
	local symbols=/tmp/kallsyms
	grep ' [tT] ' /proc/kallsyms >$symbols
	for object in "$objects"/*.o; do
		# A function whose name is in this kernel once.
		read -r start base < <(objdump -t "$object" | awk '
			FNR == NR { count[$3]++; at[$3] = $1; next }
			$3 == "F" && $4 == ".text" && count[$6] == 1 { print "0x" $1, "0x" at[$6]; exit }
			' "$symbols" -) || continue
		base=$((base - start))
		objdump -dr --no-show-raw-insn -j .text "$object" | awk '
			/^[0-9a-f]+ <.*>:$/ { at = $1; name = substr($2, 2, length($2) - 3) }
			called { print "0x" $1, "0x" at, name, called; called = "" }
			/R_X86_64_P(LT|C)32/ && call && match($3, /^_*(k[vmz]*[cm]?alloc|kmem_cache_alloc|k?v?mem_?dup|v[mz]alloc|alloc_pages|get_(free|zeroed)_page|seq_open_private)/) {
				called = $3
				sub(/-0x4$/, "", called)
			}
			{ call = $2 == "call" }' | tr -d : |
		while read -r after start name called; do
			! grep -qE "^(static )?.*\b$name\(" "$units"/*.h || continue
			printf '0x%x %s+0x%x %s\n' $((base + after)) "$name" $((after - start)) "${called%_noprof}"
		done
	done
}

# fail PERCENT ADDRESS INJECTOR...: let so many of the allocations fail that were called from
# there. What is injected is counted down from $many.
fail() {
	local percent=$1 address=$2 injector knobs
	shift 2
	for injector; do
		knobs=/sys/kernel/debug/$injector
		echo 0 >"$knobs/probability"
		echo N >"$knobs/task-filter"
		echo N >"$knobs/ignore-gfp-wait"
		[ "$injector" = failslab ] || echo 0 >"$knobs/min-order"
		echo 0 >"$knobs/verbose"
		echo 1 >"$knobs/interval"
		echo 0 >"$knobs/space"
		echo 16 >"$knobs/stacktrace-depth"
		printf '0x%x\n' "$address" >"$knobs/require-start"
		printf '0x%x\n' $((address + 1)) >"$knobs/require-end"
		echo $many >"$knobs/times"
		echo "$percent" >"$knobs/probability"
	done
}

# injected INJECTOR...: the number of failures since fail().
injected() {
	local injector sum=0
	for injector; do
		sum=$((sum + many - $(</sys/kernel/debug/"$injector"/times)))
	done
	echo $sum
}

stop_failing() {
	echo 0 >/sys/kernel/debug/failslab/probability
	echo 0 >/sys/kernel/debug/fail_page_alloc/probability
}

# verdict FIELD PID: a number of the checker's report.
verdict() {
	local report name value status=1
	exec {report}<>/sys/kernel/debug/mitosis/verify || return
	if { echo "$2" >&"$report"; } 2>/dev/null; then
		while read -ru "$report" name value; do
			[ "$name" != "$1" ] || { echo "$value"; status=0; break; }
		done
	fi
	exec {report}>&-
	return $status
}

# elsewhere: tables of all processes that lie on another node than they should.
elsewhere() {
	local process sum=0 tables
	for process in /proc/[0-9]*; do
		tables=$(verdict nonlocal "${process#/proc/}") || continue
		sum=$((sum + tables))
	done
	echo $sum
}

# recovers COMMAND...: what COMMAND counts goes to zero in 20 s, with nobody's help.
recovers() {
	local before=$SECONDS left
	until left=$("$@") && [ "$left" -eq 0 ]; do
		[ $((SECONDS - before)) -lt 20 ] || { echo "# $left tables still lie elsewhere"; return 1; }
		sleep 0.2
	done
	echo "# all tables are local after $((SECONDS - before)) s"
}

no_findings() {
	local found
	found=$(</sys/kernel/debug/mitosis/findings)
	[ "$found" -eq 0 ] || { echo "# the checker has $found findings"; return 1; }
}
