# SPDX-License-Identifier: GPL-2.0
# The sources of events: decoding, traces, the plugin of QEMU and the program that replays.
# Of the Makefile that includes this: B is where things are built.

# CAPSTONE=DIRECTORY: where libcapstone-dev was unpacked, if it is not installed.
CAPSTONE ?=
CAPSTONE_CFLAGS := $(if $(CAPSTONE),-I$(CAPSTONE)/include)
CAPSTONE_LIBS := $(if $(CAPSTONE),-L$(CAPSTONE)/lib/x86_64-linux-gnu) -lcapstone

source = $(addprefix $(B)/source/, $(1))
TRACE_OBJECTS := $(call source, entries.o layout.o pagetable.o trace_format.o trace_read.o trace_write.o)
SOURCE_TESTS := $(addprefix $(B)/tests/, decode pace placement trace)

$(B)/source/decode.o: CFLAGS += $(CAPSTONE_CFLAGS)

$(B)/source/%.o: %.c $(wildcard *.h)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -fPIC -c -o $@ $<

$(B)/tests/decode: $(call source, decode.o)
$(B)/tests/decode: LDLIBS += $(CAPSTONE_LIBS)
$(B)/tests/pace: $(call source, pace.o)
$(B)/tests/placement: $(call source, lanes.o layout.o)
$(B)/tests/trace: tests/fake.c $(TRACE_OBJECTS)

$(SOURCE_TESTS): $(B)/tests/%: tests/%.c $(wildcard *.h tests/*.h)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.c %.o, $^) $(LDLIBS)
