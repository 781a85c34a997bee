# SPDX-License-Identifier: GPL-2.0
# The sources of events: traces and the program that replays them (trace/), the plugin of QEMU and
# what it stands on (qemu/).

# CAPSTONE=DIRECTORY: the usr of an unpacked libcapstone-dev, if it is not installed.
CAPSTONE ?=
CAPSTONE_LIBS := $(if $(CAPSTONE),-L$(CAPSTONE)/lib/x86_64-linux-gnu) -lcapstone

MAINS := replay plugin check-options
SOURCES := $(filter-out $(MAINS),$(basename $(notdir $(wildcard trace/*.c qemu/*.c))))
SOURCE_TESTS := decode pace placement source trace
TESTS += $(SOURCE_TESTS)

source_test = $(SOURCE_TESTS:%=$(1)/tests/%)

$(B)/libsources.a: $(SOURCES:%=$(B)/%.o)
$(B)/sanitized/libsources.a: $(SOURCES:%=$(B)/sanitized/%.o)
%/libsources.a:
	rm -f $@
	$(AR) rcs $@ $^

$(B)/decode.o $(B)/sanitized/decode.o: CPPFLAGS += $(if $(CAPSTONE),-I$(CAPSTONE)/include)
$(call source_test, $(B)): $(B)/libsources.a
$(call source_test, $(B)/sanitized): $(B)/sanitized/libsources.a
$(B)/tests/trace $(B)/sanitized/tests/trace: tests/fake.c
$(call source_test, $(B)) $(call source_test, $(B)/sanitized): LDLIBS += $(CAPSTONE_LIBS)

all: $(B)/model.so $(B)/replay $(B)/check-options

# QEMU's own functions would come before those of the archives, where names are the same.
$(B)/model.so: $(B)/plugin.o $(B)/libsources.a $(B)/libmodel.a sources.mk
	$(CC) $(CFLAGS) $(LDFLAGS) -shared -Wl,--exclude-libs,ALL -o $@ $< $(call archives, $^) \
		$(CAPSTONE_LIBS) -lm -pthread

$(B)/replay $(B)/check-options: $(B)/%: $(B)/%.o $(B)/libsources.a $(B)/libmodel.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< $(call archives, $^) -lm

# Runs in a guest, for lab/tests/model.
all: $(B)/tests/marks
$(B)/tests/marks: tests/marks.c mark.h
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< -pthread
