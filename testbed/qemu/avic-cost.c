/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Counts what testbed/cost.h names. Locked operations, calls and returns call these helpers
 * in code that is translated for -icount only, so that nothing is slower without.
 */

#include "qemu/osdep.h"
#include "cpu.h"
#include "exec/helper-proto.h"
#include "avic.h"

void avic_cost(CPUX86State *env, enum cost_kind kind)
{
    if (!(env->hflags & HF_GUEST_MASK)) {
        uint64_t *stat = &avic_state(env)->stat[AVIC_STAT_COST + kind];

        qatomic_set(stat, *stat + 1);
    }
}

void helper_cost_locked(CPUX86State *env)
{
    avic_cost(env, COST_LOCKED);
}

void helper_cost_call(CPUX86State *env, target_ulong behind)
{
    return_stack_call(&avic_state(env)->returns, behind);
}

void helper_cost_return(CPUX86State *env, target_ulong target)
{
    if (return_stack_misses(&avic_state(env)->returns, target)) {
        avic_cost(env, COST_RETURN_MISS);
    }
}
