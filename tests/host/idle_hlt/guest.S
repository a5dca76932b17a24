/* SPDX-License-Identifier: GPL-2.0-only */
/* The guest of idle_hlt: begins at either of the first two labels. */
#include <linux/linkage.h>
#include <linux/objtool.h>
#include <asm/unwind_hints.h>

/* Where it may not unwind; older kernels have no hint of its own for that. */
#ifdef UNWIND_HINT_TYPE_UNDEFINED
#define HINT UNWIND_HINT_UNDEFINED
#else
#define HINT UNWIND_HINT_EMPTY
#endif

	.text
SYM_CODE_START(guest_sti)
	HINT
	ANNOTATE_NOENDBR
	sti
SYM_INNER_LABEL(guest_hlt, SYM_L_GLOBAL)
	ANNOTATE_NOENDBR
	hlt
SYM_INNER_LABEL(guest_end, SYM_L_GLOBAL)
	ANNOTATE_NOENDBR
	vmmcall
	int3
SYM_CODE_END(guest_sti)
