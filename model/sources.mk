# SPDX-License-Identifier: GPL-2.0
# The sources of events: decoding, traces, the plugin of QEMU and the program that replays.
# Of the Makefile that includes this: B is where things are built.

# CAPSTONE=DIRECTORY: where libcapstone-dev was unpacked, if it is not installed.
CAPSTONE ?=
CAPSTONE_CFLAGS := $(if $(CAPSTONE),-I$(CAPSTONE)/include)
CAPSTONE_LIBS := $(if $(CAPSTONE),-L$(CAPSTONE)/lib/x86_64-linux-gnu) -lcapstone

SOURCE_TESTS := $(B)/tests/decode

$(B)/decode.o: decode.c decode.h insn.h
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(CAPSTONE_CFLAGS) -fPIC -c -o $@ $<

$(B)/tests/decode: tests/decode.c $(B)/decode.o
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(CAPSTONE_LIBS)
