# SPDX-License-Identifier: GPL-2.0
# Tests of lab/stuck on what a QEMU said that had lost an interrupt, made short.
# shellcheck shell=bash

# stuck HLT ISR: what lab/stuck says of a CPU 2 in that state, beside an idle one.
stuck() {
	rm -f "$work/qmp"
	HLT=$1 ISR=$2 perl -MIO::Socket::UNIX -e '
		my $listen = IO::Socket::UNIX->new(Local => shift, Listen => 1) or die;
		my $qmp = $listen->accept or die;
		$qmp->autoflush(1);
		print $qmp "{\"QMP\": {}}\r\n";
		while (<$qmp>) {
			my $text = "";
			$text = "\nCPU#0\nRIP=b RFL=00000212 HLT=1\n\nCPU#2\nRIP=a RFL=00000212 HLT=$ENV{HLT}\n" if /registers/;
			$text = "IRR\t (none)\nISR\t " . (/lapic 2/ ? $ENV{ISR} : "(none)") . "\n" if /lapic/;
			$text =~ s/\n/\\r\\n/g;
			$text =~ s/\t/\\t/g;
			print $qmp "{\"timestamp\": {}, \"event\": \"NONE\"}\r\n{\"return\": \"$text\"}\r\n";
		}' "$work/qmp" &
	until [ -S "$work/qmp" ]; do sleep 0.1; done
	status=0
	"$lab/stuck" "$work/qmp" >"$work/said" || status=$?
	wait
	cat "$work/said"
}

names_lost_cpu() {
	stuck 1 '236 '
	test "$status $(cat "$work/said")" = '0 2'
}

leaves_idle_alone() {
	stuck 1 '(none)'
	test "$status" = 1
}

leaves_busy_alone() {
	stuck 0 '236 '
	test "$status" = 1
}

needs_an_answer() {
	status=0
	"$lab/stuck" "$work/no-such-socket" || status=$?
	test "$status" = 2
}

for test in names_lost_cpu leaves_idle_alone leaves_busy_alone needs_an_answer; do
	check "stuck/$test" "$test"
done
