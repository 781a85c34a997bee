# SPDX-License-Identifier: GPL-2.0
# Tests of lab/boot with a stand-in for QEMU, which ends as a file says.
# shellcheck shell=bash disable=SC2154 # $lab, $work, check(): see run

# The first line of 'ends' is for the first machine: how it ends, and whether the command had
# started.
stand_in() {
	rm -rf "$work/boot"
	mkdir -p "$work/boot"/{guest,build/kernel-plain/arch/x86/boot,bin}
	cp -r "$lab" "$work/boot/lab"
	cp -r "$lab/../guest/machines" "$work/boot/guest"
	: >"$work/boot/build/kernel-plain/arch/x86/boot/bzImage"
	cat >"$work/boot/bin/qemu-system-x86_64" <<-'END'
	#!/bin/bash
	[ "$1" != --version ] || { echo 'QEMU emulator version 10.0.2'; exit; }
	read -r how started <ends
	sed -i 1d ends
	echo 'Linux version' >>run/console.log
	[ -z "$started" ] || : >run/started
	case $how in
	ends) echo 0 >run/status ;;
	aborts) kill -ABRT $$ ;;
	*) exit 1 ;;
	esac
	END
	chmod +x "$work/boot/bin/qemu-system-x86_64"
	cd "$work/boot"
}

boots() { # STATUS NUMBER-OF-BOOTS
	local status=0
	ulimit -c 0
	PATH=$work/boot/bin:$PATH lab/boot -q -t 20 -d "$PWD/run" -- true 2>said || status=$?
	cat said
	test "$status" -eq "$1"
	test "$(awk '$1 == "boots" { print $2 }' run/environment)" -eq "$2"
}

boots_again_after_assertion() {
	stand_in
	printf '%s\n' aborts 'ends started' >ends
	boots 0 2
	grep -q 'ended by an assertion of its own before the command started: booting again' said
	test -s run/console.log.lost
}

twice_is_a_failure() {
	stand_in
	printf '%s\n' aborts aborts >ends
	boots 125 2
}

# Then the command may have made it so.
once_started_is_a_failure() {
	stand_in
	printf '%s\n' 'aborts started' >ends
	boots 125 1
}

for test in boots_again_after_assertion twice_is_a_failure once_started_is_a_failure; do
	check "boot/$test" "$test"
done
