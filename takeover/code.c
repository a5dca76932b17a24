// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reading instructions that the kernel patches.
 */
#include "code.h"

#include <linux/mutex.h>
#include <linux/string.h>

#include <asm/text-patching.h>

#include "../kvm/symbols.h"

unsigned long vapic_code_target(unsigned long address, u8 opcode)
{
	struct {
		u8 opcode;
		s32 offset;
	} __packed insn;

	static_assert(sizeof(insn) == CALL_INSN_SIZE && sizeof(insn) == JMP32_INSN_SIZE);

	/* Whoever patches code holds the mutex until the instruction is complete. */
	mutex_lock(&vapic_data(text_mutex));
	memcpy(&insn, (void *)address, sizeof(insn));
	mutex_unlock(&vapic_data(text_mutex));

	return insn.opcode == opcode ? address + sizeof(insn) + insn.offset : 0;
}
