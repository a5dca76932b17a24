/* SPDX-License-Identifier: GPL-2.0-only */
/* Whether a VM that was restored holds what was saved. */
#ifndef SELFTESTS_LIB_STATE_CHECK_H
#define SELFTESTS_LIB_STATE_CHECK_H

#include "state.h"

/*
 * Stock KVM computes PPR from what it remembered of ISR before the new state came: nothing, in
 * a new VM without acceleration.  The next VM entry mends it.
 */
bool ppr_is_known_to_be_wrong(void);

/* Fails, naming what it is and the vCPU, if the two differ. */
void expect_same(struct vm *vm, unsigned int vcpu, const char *what, uint64_t saved, uint64_t now);

/*
 * The same for all of a vCPU's state, whose timer has gone on for so long at most.  True, but
 * for a PPR that is wrong and known to be.
 */
bool expect_vcpu_same(struct vm *vm, unsigned int vcpu, const struct vcpu_state *saved,
		      const struct vcpu_state *now, uint64_t passed_ns);

#endif
