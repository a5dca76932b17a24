/* SPDX-License-Identifier: GPL-2.0-only */
/* The guest of idle_hlt: begins at either of the first two labels. */
#include <linux/linkage.h>
#include <linux/objtool.h>
#include <asm/unwind_hints.h>

	.text
SYM_CODE_START(guest_sti)
	UNWIND_HINT_UNDEFINED
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
