# SPDX-License-Identifier: GPL-2.0
# Tests of lab/tree and lab/refresh, on a project whose source has three files.
# shellcheck shell=bash

project=$work/project
unset BUILD ONLY

new_project() {
	rm -rf "$project"
	mkdir -p "$project"/{kernel/patches,kernel/overlay/mm,build/source/mm}
	cp -r "$lab" "$project/lab"
	seq 1 60 >"$project/build/source/mm/memory.c"
	seq 1 60 >"$project/build/source/mm/rmap.c"
	echo root >"$project/build/source/Makefile"
	find "$project/build/source" -type f -exec touch -d 2020-01-01 {} +
	echo 1 >"$project/build/source.version"
	echo own >"$project/kernel/overlay/mm/mitosis.c"
	cat >"$project/kernel/patches/0001-first.patch" <<-'END'
	Subject: mm: first

	Why the first.

	--- a/mm/memory.c
	+++ b/mm/memory.c
	@@ -8,5 +8,5 @@
	 8
	 9
	-10
	+ten
	 11
	 12
	END
	cat >"$project/kernel/patches/0002-second.patch" <<-'END'
	Subject: mm: second

	--- a/mm/memory.c
	+++ b/mm/memory.c
	@@ -38,5 +38,5 @@
	 38
	 39
	-40
	+forty
	 41
	 42
	END
	cd "$project"
	lab/tree
}

composes() {
	new_project
	grep -qx ten build/tree/mm/memory.c
	grep -qx forty build/tree/mm/memory.c
	cmp kernel/overlay/mm/mitosis.c build/tree/mm/mitosis.c
}

keeps_times() {
	new_project
	find build/tree -type f -printf '%p %T@\n' | sort >before
	sleep 0.1
	lab/tree
	find build/tree -type f -printf '%p %T@\n' | sort | diff before -
}

forgets() {
	new_project
	rm kernel/overlay/mm/mitosis.c kernel/patches/0002-second.patch
	lab/tree
	test ! -e build/tree/mm/mitosis.c
	fails grep -qx forty build/tree/mm/memory.c
	rm kernel/patches/0001-first.patch
	lab/tree
	cmp build/source/mm/memory.c build/tree/mm/memory.c
}

protects_edits() {
	new_project
	echo edit >>build/tree/mm/mitosis.c
	echo newer >>kernel/overlay/mm/mitosis.c
	fails lab/tree
	grep -qx edit build/tree/mm/mitosis.c
	lab/tree --discard
	cmp kernel/overlay/mm/mitosis.c build/tree/mm/mitosis.c
}

# Another release makes another tree: what was edited in the old one is named first.
protects_edits_from_release() {
	new_project
	echo edit >>build/tree/Makefile
	echo 2 >build/source.version
	fails lab/tree 2>said
	grep -qx Makefile said
	grep -qx edit build/tree/Makefile
	lab/tree --discard
	cmp build/source/Makefile build/tree/Makefile
}

# What could not be written is no edit of somebody's.
fails_on_full_disk() {
	new_project
	mkdir bin
	cat >bin/rsync <<-END
	#!/bin/sh
	case "\$*" in *--checksum*) exit 11 ;; esac
	exec $(command -v rsync) "\$@"
	END
	chmod +x bin/rsync
	echo newer >>kernel/overlay/mm/mitosis.c
	fails env PATH="$PWD/bin:$PATH" lab/tree
	lab/tree
	cmp kernel/overlay/mm/mitosis.c build/tree/mm/mitosis.c
}

# A patch of which nothing is left goes.
refreshes_nothing() {
	new_project
	sed -i 's/^ten$/10/' build/tree/mm/memory.c
	lab/refresh 0001-first
	test ! -e kernel/patches/0001-first.patch
	lab/tree
	grep -qx 10 build/tree/mm/memory.c
	grep -qx forty build/tree/mm/memory.c
}

refuses_misfit() {
	new_project
	sed -i 's/^10$/X/' build/source/mm/memory.c
	fails lab/tree
}

# Context that has changed: refused on the release that the series was made for,
# taken on another one, and then written anew.
tolerates_point_release() {
	new_project
	printf '%s = %s\n' VERSION 6 PATCHLEVEL 12 SUBLEVEL 2 >build/source/Makefile
	sed -i 's/^8$/eight/' build/source/mm/memory.c
	echo 2 >build/source.version
	echo 6.12.2 >kernel/patches/version
	fails lab/tree
	echo 6.12.1 >kernel/patches/version
	lab/tree 2>said
	test "$(grep -c 'made for Linux 6.12.1, this is 6.12.2' said)" = 1
	grep -qx ten build/tree/mm/memory.c
	lab/refresh --all
	echo 6.12.2 >kernel/patches/version
	lab/tree
	grep -qx ten build/tree/mm/memory.c
	grep -qx forty build/tree/mm/memory.c
	grep -qx 'Why the first.' kernel/patches/0001-first.patch
}

refreshes_overlay() {
	new_project
	echo edit >>build/tree/mm/mitosis.c
	echo new >build/tree/mm/new.c
	echo junk >build/tree/mm/new.c.orig
	lab/refresh
	grep -qx edit kernel/overlay/mm/mitosis.c
	grep -qx new kernel/overlay/mm/new.c
	test ! -e kernel/overlay/mm/new.c.orig
	rm build/tree/mm/new.c
	lab/refresh
	test ! -e kernel/overlay/mm/new.c
}

refreshes_last_owner() {
	new_project
	sed -i 's/^20$/twenty/' build/tree/mm/memory.c
	lab/refresh
	fails grep -q twenty kernel/patches/0001-first.patch
	grep -q '^+twenty$' kernel/patches/0002-second.patch
	grep -qx 'Subject: mm: second' kernel/patches/0002-second.patch
}

refreshes_named_owner() {
	new_project
	sed -i 's/^20$/twenty/' build/tree/mm/memory.c
	lab/refresh 0001-first
	grep -q '^+twenty$' kernel/patches/0001-first.patch
	fails grep -q '^+twenty$' kernel/patches/0002-second.patch
	grep -qx 'Why the first.' kernel/patches/0001-first.patch
	grep -qx forty build/tree/mm/memory.c
	lab/tree
	grep -qx twenty build/tree/mm/memory.c
}

refreshes_new_patch() {
	new_project
	sed -i 's/^20$/twenty/' build/tree/mm/rmap.c
	fails lab/refresh
	lab/refresh 0003-third
	grep -q '^+twenty$' kernel/patches/0003-third.patch
	grep -q '^Subject: ' kernel/patches/0003-third.patch
	fails grep -q memory.c kernel/patches/0003-third.patch
	lab/tree
}

# Before the last patch, which stays as it is.
refreshes_new_patch_between() {
	new_project
	mv kernel/patches/0002-second.patch kernel/patches/0099-second.patch
	lab/tree
	cp kernel/patches/0099-second.patch before
	sed -i 's/^20$/twenty/' build/tree/mm/rmap.c
	lab/refresh 0002-third
	grep -q '^+twenty$' kernel/patches/0002-third.patch
	fails grep -q memory.c kernel/patches/0002-third.patch
	grep -q '^+forty$' kernel/patches/0099-second.patch
	fails grep -q twenty kernel/patches/0099-second.patch
	lab/tree
	grep -qx forty build/tree/mm/memory.c
}

refresh_round_trip() {
	new_project
	lab/refresh
	cp -r kernel before
	sed -i 's/^20$/twenty/' build/tree/mm/memory.c
	lab/refresh
	sed -i 's/^twenty$/20/' build/tree/mm/memory.c
	lab/refresh
	lab/tree
	grep -qx 20 build/tree/mm/memory.c
	grep -q '^+forty$' kernel/patches/0002-second.patch
}

refresh_respects_newer() {
	new_project
	echo newer >>kernel/overlay/mm/mitosis.c
	echo new >kernel/overlay/mm/new.c
	sed -i 's/^+forty$/+FORTY/' kernel/patches/0002-second.patch
	sed -i 's/^20$/twenty/' build/tree/mm/rmap.c
	lab/refresh 0003-third
	grep -qx newer kernel/overlay/mm/mitosis.c
	grep -qx newer build/tree/mm/mitosis.c
	grep -qx new kernel/overlay/mm/new.c
	grep -qx FORTY build/tree/mm/memory.c
}

refresh_refuses_conflict() {
	new_project
	echo newer >>kernel/overlay/mm/mitosis.c
	echo edit >>build/tree/mm/mitosis.c
	fails lab/refresh
	grep -qx newer kernel/overlay/mm/mitosis.c
	grep -qx edit build/tree/mm/mitosis.c
}

for test in composes keeps_times forgets protects_edits protects_edits_from_release fails_on_full_disk refreshes_nothing refuses_misfit tolerates_point_release \
	refreshes_overlay refreshes_last_owner refreshes_named_owner refreshes_new_patch refreshes_new_patch_between \
	refresh_round_trip refresh_respects_newer refresh_refuses_conflict; do
	check "series/$test" "$test"
done
