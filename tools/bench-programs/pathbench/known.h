/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Code of which is known what it costs, to see that the emulator counts it. A vCPU is loaded
 * while it runs, which VMREAD and VMWRITE need.
 */
#ifndef KNOWN_H
#define KNOWN_H

#include <linux/linkage.h>
#include <linux/objtool.h>

#include <asm/msr.h>
#include <asm/nospec-branch.h>
#include <asm/vmx.h>

#include "pathbench.h"

/* Nothing of its value matters to a host that is in no system call of 32 bits. */
#define HARMLESS_MSR MSR_IA32_SYSENTER_CS

/* Tells objtool of the next call. Some kernels have a macro for it. */
#ifdef ANNOTATE_INTRA_FUNCTION_CALL
#define CALL_TO_NO_FUNCTION ANNOTATE_INTRA_FUNCTION_CALL
#else
#define CALL_TO_NO_FUNCTION                                                                        \
	"0:	.pushsection .discard.intra_function_calls\n"                                       \
	"	.long 0b\n"                                                                         \
	"	.popsection"
#endif

/*
 * known_return() returns as it should, whatever return thunks the kernel uses elsewhere.
 * known_return_miss() makes a call whose return goes elsewhere, to known_return(), which
 * returns from both: that one return is mispredicted, and no other.
 */
void known_return(void);
void known_return_miss(void);

asm(".pushsection .text\n"
    ".globl known_return, known_return_miss\n"
    ".type known_return, @function\n"
    ".type known_return_miss, @function\n"
    "known_return:\n"
    ANNOTATE_NOENDBR "\n"
    ANNOTATE_RETPOLINE_SAFE "\n"
    "	ret\n"
    "	int3\n"
    ".size known_return, . - known_return\n"
    "known_return_miss:\n"
    ANNOTATE_NOENDBR "\n"
    CALL_TO_NO_FUNCTION "\n"
    "	call 1f\n"
    "	int3\n"
    "1:	movq $known_return, (%rsp)\n"
    UNWIND_HINT(UNWIND_HINT_TYPE_FUNC, ORC_REG_SP, 8, 0) "\n"
    ANNOTATE_RETPOLINE_SAFE "\n"
    "	ret\n"
    "	int3\n"
    ".size known_return_miss, . - known_return_miss\n"
    ".popsection\n");

static bool known_is_possible(u32 kind)
{
	if (kind == KNOWN_VMREAD || kind == KNOWN_VMWRITE)
		return boot_cpu_has(X86_FEATURE_VMX);
	return kind < KNOWNS;
}

static __always_inline void known_once(u32 kind)
{
	static u64 word;
	u64 value = 0;
	u32 low, high;

	switch (kind) {
	case KNOWN_LOCK:
		asm volatile("lock incq %0" : "+m"(word) : : "cc");
		break;
	case KNOWN_XCHG:
		asm volatile("xchgq %0, %1" : "+m"(word), "+r"(value));
		break;
	case KNOWN_VMREAD:
		asm volatile("vmread %1, %0" : "=r"(value) : "r"((u64)GUEST_DR7) : "cc");
		break;
	case KNOWN_VMWRITE:
		/* What stands there already, or the guest would see it. */
		asm volatile("vmwrite %1, %0" : : "r"((u64)CR3_TARGET_COUNT), "r"(value) : "cc");
		break;
	case KNOWN_RDMSR:
		asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(HARMLESS_MSR));
		break;
	case KNOWN_WRMSR:
		asm volatile("wrmsr" : : "c"(HARMLESS_MSR), "a"(__KERNEL_CS), "d"(0));
		break;
	case KNOWN_RETURN_MISS:
		asm volatile("call known_return_miss" : ASM_CALL_CONSTRAINT : : "memory");
		break;
	case KNOWN_RETURN:
		asm volatile("call known_return" : ASM_CALL_CONSTRAINT : : "memory");
		break;
	}
}

static noinline void known_run(u32 kind)
{
	u32 i;

	for (i = 0; i < KNOWN_TIMES; i++)
		known_once(kind);
}

#endif
