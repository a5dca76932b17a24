/* SPDX-License-Identifier: GPL-2.0-only */
/* Looks at the running kernel's code itself, not at data that describes it. */
#ifndef VAPIC_TAKEOVER_CODE_H
#define VAPIC_TAKEOVER_CODE_H

#include <linux/types.h>

/*
 * Where the call or jump at @address goes, 0 if the instruction there does not begin
 * with @opcode (CALL_INSN_OPCODE, JMP32_INSN_OPCODE).  May sleep.
 */
unsigned long vapic_code_target(unsigned long address, u8 opcode);

#endif
