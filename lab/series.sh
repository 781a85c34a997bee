# SPDX-License-Identifier: GPL-2.0
# The project as changes to Debian's source: kernel/overlay holds new files at
# their kernel paths, kernel/patches the changes to existing files, in order.
# shellcheck shell=bash

source=$BUILD/source
tree=$BUILD/tree
overlay=$TOP/kernel/overlay
patches=$TOP/kernel/patches
# What the tree held when it was last composed: "SHA256  PATH" of each own or patched file.
manifest=$BUILD/tree.manifest

# The version of the kernel that the patches were made for.
made_for=$patches/version

# fuzz: how far patch may look away from what a patch says. Not at all on the source
# that the series was made for; as far as is usual on another point release.
fuzz() {
	local recorded found
	recorded=$(cat "$made_for" 2>/dev/null) || return 0
	found=$(awk '$2 == "=" && /^(VERSION|PATCHLEVEL|SUBLEVEL) / { print $3 }' "$source/Makefile" | paste -sd.)
	if [ "$found" = "$recorded" ]; then
		echo 0
	else
		say "kernel/patches were made for Linux $recorded, this is $found: taking what fits nearly; see CONTRIBUTING.md"
		echo 2
	fi
}

series() { find "$patches" -maxdepth 1 -name '[0-9][0-9][0-9][0-9]-*.patch' | sort; }

# touched PATCH...: the files that patches change.
touched() { [ $# -eq 0 ] || sed -n 's|^+++ b/\([^\t]*\).*|\1|p' "$@" | sort -u; }

# What editors, patch and compilers leave behind is no part of the project.
without_leftovers() { grep -vE '(\.(orig|rej|o|d|cmd|sw[a-p])|~|(^|/)(\.gitkeep|tags|cscope\.out))$' || :; }

# files DIRECTORY: the files below it.
files() { (cd "$1" && find . -type f -printf '%P\n' | without_leftovers | sort); }

# copy_files FROM TO: copy the files named on standard input.
copy_files() { rsync -a --files-from=- "$1/" "$2/"; }

# stack DIRECTORY: lay the series out as DIRECTORY/0000 (Debian's files) and one
# directory for each patch with what the files are after it.
stack() {
	local list last=$1/0000 patch next
	mapfile -t list < <(series)
	mkdir -p "$last"
	touched "${list[@]}" | copy_files "$source" "$last"
	[ -n "${fuzz-}" ] || fuzz=$(fuzz)
	for patch in "${list[@]}"; do
		next=$1/$(basename "$patch" .patch)
		cp -a "$last" "$next"
		patch -d "$next" -p1 -F"${fuzz:-0}" -N -s --no-backup-if-mismatch -i "$patch" >&2 ||
			die "${patch#"$TOP"/} does not fit Debian's source and the patches before it: adapt it by hand"
		last=$next
	done
}

# compose DIRECTORY: every own and every patched file as it has to be in the tree.
# Callers hold the lock of the tree: what lies about is of a run that failed.
compose() {
	local stack last
	rm -rf "$BUILD"/stack.*
	stack=$(mktemp -d "$BUILD/stack.XXXXXX")
	stack "$stack"
	last=$(find "$stack" -mindepth 1 -maxdepth 1 | sort | tail -n 1)
	mkdir -p "$1"
	cp -a "$last/." "$1/"
	files "$overlay" | copy_files "$overlay" "$1"
	rm -rf "$stack"
}

# diff_trees: the difference between the directories a and b as git shows it, for any user.
diff_trees() {
	GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null \
		git diff --no-index --no-prefix --no-color --no-renames --abbrev=12 --no-ext-diff a b || [ $? -eq 1 ]
}
