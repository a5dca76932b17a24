/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What testbed/cost.h names, where counting takes more than a line. A locked instruction gets
 * another handler when it is decoded, so that the others take no notice.
 */

#define NEED_CPU_REG_SHORTCUTS 1
#include "bochs.h"
#include "cpu.h"
#include "decoder/fetchdecode.h"
#include "vmx-stats.h"

#define LOG_THIS BX_CPU_THIS_PTR

struct return_stack return_stacks[VMX_STATS_CPUS];

extern struct bxIAOpcodeTable BxOpcodesTable[];

/* Of an instruction with an operand in memory. */
bool cost_is_locked(const bxInstruction_c *i)
{
  switch (i->getIaOpcode()) {
  case BX_IA_XCHG_EbGb:
  case BX_IA_XCHG_EwGw:
  case BX_IA_XCHG_EdGd:
  case BX_IA_XCHG_EqGq:
    return true;
  default:
    return i->getLock();
  }
}

void BX_CPP_AttrRegparmN(1) BX_CPU_C::CountLocked(bxInstruction_c *i)
{
  COST_COUNT(COST_LOCKED);
  BX_CPU_CALL_METHOD(BxOpcodesTable[i->getIaOpcode()].execute1, (i));
}
