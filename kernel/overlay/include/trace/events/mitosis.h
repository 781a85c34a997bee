/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM mitosis

#if !defined(_TRACE_MITOSIS_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_MITOSIS_H

#include <linux/mm_types.h>
#include <linux/tracepoint.h>

/* Level 1 is the PTE table.  Address spaces are told apart by their context. */
DECLARE_EVENT_CLASS(mitosis_table,
	TP_PROTO(struct mm_struct *mm, int level, int nid),
	TP_ARGS(mm, level, nid),
	TP_STRUCT__entry(
		__field(u64, ctx_id)
		__field(int, level)
		__field(int, nid)
	),
	TP_fast_assign(
		__entry->ctx_id = mm ? mm->context.ctx_id : 0;
		__entry->level = level;
		__entry->nid = nid;
	),
	TP_printk("ctx=%llu level=%d node=%d", __entry->ctx_id, __entry->level,
		  __entry->nid)
);

/* A copy of a table was made on a node. */
DEFINE_EVENT(mitosis_table, mitosis_grow,
	TP_PROTO(struct mm_struct *mm, int level, int nid),
	TP_ARGS(mm, level, nid));

/* A copy was taken away. */
DEFINE_EVENT(mitosis_table, mitosis_shrink,
	TP_PROTO(struct mm_struct *mm, int level, int nid),
	TP_ARGS(mm, level, nid));

/* No memory on the node: the primary serves instead. */
DEFINE_EVENT(mitosis_table, mitosis_fallback,
	TP_PROTO(struct mm_struct *mm, int level, int nid),
	TP_ARGS(mm, level, nid));

/* Somebody wrote a policy; for all nodes, the number of possible ones. */
TRACE_EVENT(mitosis_policy,
	TP_PROTO(struct mm_struct *mm, int mode, int nodes),
	TP_ARGS(mm, mode, nodes),
	TP_STRUCT__entry(
		__field(u64, ctx_id)
		__field(int, mode)
		__field(int, nodes)
	),
	TP_fast_assign(
		__entry->ctx_id = mm->context.ctx_id;
		__entry->mode = mode;
		__entry->nodes = nodes;
	),
	TP_printk("ctx=%llu mode=%s nodes=%d", __entry->ctx_id,
		  __print_symbolic(__entry->mode, { 0, "default" },
				   { 1, "none" }, { 2, "bind" },
				   { 3, "replicate" }),
		  __entry->nodes)
);

#endif /* _TRACE_MITOSIS_H */

#include <trace/define_trace.h>
