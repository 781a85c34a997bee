# SPDX-License-Identifier: GPL-2.0
# Thin verbs: each stage is a script in lab/ that can be called alone.

FLAVOUR ?= plain
MACHINE ?= n4
export FLAVOUR MACHINE

# What the user typed goes to the guest's shell, not through make's expansion.
export APPEND PATCH
run: export GUEST_COMMAND = $(value CMD)

.PHONY: help deps source tree kernel bin run shell demo test fortress protocol bench-off placements figures refresh patches clean

help:
	@lab/help

deps:
	@lab/deps
	@lab/qemu

source: deps
	@lab/source

tree: source
	@lab/tree

kernel: tree
	@lab/kernel $(FLAVOUR)

bin: tree
	@lab/bin

run: kernel
	@lab/boot -- sh -c "$$GUEST_COMMAND"

# Before the kernel is built, which takes a while.
ifeq ($(filter run,$(MAKECMDGOALS))$(value CMD),run)
$(error make run needs a command, as in: make run CMD='numactl -H')
endif

shell: kernel
	@lab/boot

demo: tree bin
	@lab/demo

test: tree bin
	@lab/check lab/tests.list

fortress: tree bin
	@lab/fortress $(SHARDS)

protocol: deps
	@protocol/check

bench-off: tree bin
	@lab/bench-off

placements: kernel bin
	@lab/placements $(WORKLOADS)

figures: kernel bin
	@lab/figures $(FIGURES)

refresh:
	@lab/refresh $(PATCH)

patches: tree
	@lab/patches

clean:
	rm -rf build
