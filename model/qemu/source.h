/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Between what executes a guest and the model: knows which CPUs are in a region, tells the model
 * and the trace, checks that the guest's memory is what it is taken for, and refuses what would be
 * measured wrongly. After a refusal, nothing more is measured and nothing is reported.
 *
 * Not thread-safe.
 */
#ifndef MODEL_SOURCE_H
#define MODEL_SOURCE_H

#include "options.h"

struct source;

/* @root: CR3 of the CPU whose event is being told; of no other is it asked for. */
struct source *source_new(const struct options *options,
			  uint64_t (*root)(void *context, unsigned int cpu), void *context,
			  FILE *errors);
void source_free(struct source *source);

/* How a CPU translates when its region begins. */
struct paging {
	int levels;
	bool pcid;
};

/*
 * Marks (mark.h), with the number of the region and the CPU that the program says it is on.
 * @identity is something that each CPU has its own of and that never changes.
 */
void source_warm(struct source *source, uint64_t cpu, uint64_t identity, struct paging paging);
void source_begin(struct source *source, unsigned int region, uint64_t cpu, uint64_t identity,
		  struct paging paging);
void source_end(struct source *source, unsigned int region, uint64_t cpu, uint64_t identity);

#define NO_CPU	(-1)

/* The CPU of that identity, or NO_CPU if it never was in a region: then nobody has to know. */
int source_cpu(const struct source *source, uint64_t identity);
/* Whether any CPU is in a region, and its blocks and accesses are wanted. */
bool source_active(const struct source *source);
bool source_in_region(const struct source *source, unsigned int cpu);

/* Whether a CPU has to wait for others, that it did not, and whether others may go on. See pace.h. */
bool source_ahead(struct source *source, unsigned int cpu);
void source_went_on(struct source *source, unsigned int cpu);
bool source_advanced(struct source *source);
void source_idle(struct source *source, unsigned int cpu);
void source_resume(struct source *source, unsigned int cpu);

/* As in system.h; those of a CPU that is not in a region are dropped. */
void source_block(struct source *source, unsigned int cpu, const struct block *block);
void source_access(struct source *source, unsigned int cpu, const struct insn *insn,
		   uint64_t virtual, uint64_t physical, unsigned int size, bool store);
void source_flush(struct source *source, unsigned int cpu, enum flush what, uint64_t virtual);
void source_page_freed(struct source *source, uint64_t physical);

/* A word of the guest's memory, as the CPU sees it. Returns false where there is none. */
bool source_read(struct source *source, unsigned int cpu, uint64_t virtual, uint64_t *value);

/* Refuse for a reason that only the caller knows. */
__attribute__((format(printf, 2, 3)))
void source_refuse(struct source *source, const char *format, ...);

/* The guest ended: write the report. */
void source_finish(struct source *source);

#endif
