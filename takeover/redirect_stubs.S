/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One stub for each redirected function, called from its ftrace site instead of
 * running its body.
 *
 * On entry the stack holds the return address into the stock function, then the one
 * into its caller, and the arguments are untouched.  The hook runs with them.
 * Afterwards the stub must return to the caller without running the stock body.
 * Dropping the inner return address would leave the processor's return-stack buffer
 * off by one entry for every return up the call chain.  Instead the stub overwrites
 * that address with vapic_bare_return and lets both returns happen: one return is
 * mispredicted, and none after it.
 *
 * For the unwinder this is an ordinary function called from the stock one, before
 * the overwrite and after it alike.
 *
 * The stub reaches the hook by a static call, which is as direct as any other call, so
 * that a stub that ftrace goes on calling after exit can be turned into one that does
 * nothing: vapic_pass_through() then takes the place of the hook.  It also returns for
 * the stub, and the stock body runs with the arguments untouched.
 */
#include <linux/linkage.h>
#include <linux/objtool.h>
#include <asm/alternative.h>
#include <asm/nospec-branch.h>
#include <asm/unwind_hints.h>

#include "../kvm/takeovers.h"

/* A kernel without padding in front of functions */
#ifndef SYM_F_ALIGN
#define SYM_F_ALIGN SYM_A_ALIGN
#endif

#if !VAPIC_HAS_call_depth
.macro CALL_DEPTH_ACCOUNT
.endm
#endif

	.text

/* Reached by a return only, hence without ENDBR. */
SYM_START(vapic_bare_return, SYM_L_LOCAL, SYM_F_ALIGN)
	ANNOTATE_NOENDBR
	RET
SYM_FUNC_END(vapic_bare_return)

/* Addresses of the rest are taken. Not every kernel's SYM_FUNC_START() has the ENDBR for that. */
.macro vapic_func_start name
SYM_START(\name, SYM_L_GLOBAL, SYM_F_ALIGN)
	ENDBR
.endm

vapic_func_start vapic_pass_through
	addq	$8, %rsp
	/* From here on the stack is as if the stub had been reached by a jump. */
	UNWIND_HINT_FUNC
	RET
SYM_FUNC_END(vapic_pass_through)

.macro vapic_redirect_stub name
vapic_func_start vapic_stub_\name
	/* Nobody has accounted for the call from the ftrace site. */
	CALL_DEPTH_ACCOUNT
	call	__SCT__vapic_run_\name
	movq	$vapic_bare_return, (%rsp)
	RET
SYM_FUNC_END(vapic_stub_\name)
	/* Where objtool looks at each object alone, it takes a key not named there for another's. */
	.pushsection .discard.addressable, "aw"
	.quad	__SCK__vapic_run_\name
	.popsection
.endm

#define STUB(module, name, ret, args) vapic_redirect_stub name;

VAPIC_KVM_TAKEOVERS(STUB, VAPIC_SKIP, VAPIC_SKIP)
VAPIC_SVM_TAKEOVERS(STUB, VAPIC_SKIP, VAPIC_SKIP, VAPIC_SKIP)
VAPIC_VMX_TAKEOVERS(STUB, VAPIC_SKIP, VAPIC_SKIP, VAPIC_SKIP)
