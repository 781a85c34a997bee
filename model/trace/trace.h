/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A file of what a source told the model, for calibration: replayed on the same machine it gives
 * the same counters, and on another machine (other TLBs, caches, latencies, lanes) what a run of
 * the same instructions would have given there. It holds the page-table entries that a walk of
 * any page touched needs, whether or not the model's own TLB missed when it was recorded.
 *
 * The writer stands beside the model, not before it: tell each event to the model first and to
 * the writer then. The model is given the writer's guest, so that all it reads is recorded.
 */
#ifndef MODEL_TRACE_H
#define MODEL_TRACE_H

#include "layout.h"
#include "system.h"

struct trace_writer;

/* NULL after a sentence to @errors. @guest and @layout must outlive the writer. */
struct trace_writer *trace_create(const char *path, const struct guest *guest,
				  const struct layout *layout, FILE *errors);
const struct guest *trace_writer_guest(struct trace_writer *writer);

void trace_warm(struct trace_writer *writer, unsigned int cpu);
void trace_begin(struct trace_writer *writer, unsigned int cpu, unsigned int region);
void trace_end(struct trace_writer *writer, unsigned int cpu);
void trace_resume(struct trace_writer *writer, unsigned int cpu);
void trace_block(struct trace_writer *writer, unsigned int cpu, const struct block *block);
void trace_access(struct trace_writer *writer, unsigned int cpu, unsigned int index,
		  uint64_t virtual, uint64_t physical, unsigned int size, bool store);
void trace_flush(struct trace_writer *writer, unsigned int cpu, enum flush what, uint64_t virtual);
void trace_page_freed(struct trace_writer *writer, uint64_t physical);

/* Returns false after a sentence to @errors if the trace is not whole: the disk was full. */
bool trace_finish(struct trace_writer *writer, FILE *errors);

struct trace_reader;

/* NULL after a sentence to @errors. */
struct trace_reader *trace_open(const char *path, FILE *errors);
const struct guest *trace_reader_guest(const struct trace_reader *reader);
const struct layout *trace_reader_layout(const struct trace_reader *reader);

/* Tell all events. Returns false after a sentence to @errors if the trace is damaged. */
bool trace_replay(struct trace_reader *reader, struct system *sys, FILE *errors);
void trace_close(struct trace_reader *reader);

#endif
