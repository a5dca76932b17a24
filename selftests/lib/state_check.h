/* SPDX-License-Identifier: GPL-2.0-only */
/* Checks that a restored VM holds the state that was saved. */
#ifndef SELFTESTS_LIB_STATE_CHECK_H
#define SELFTESTS_LIB_STATE_CHECK_H

#include "state.h"

/*
 * Stock KVM computes PPR from the ISR that it knew before the new state arrived; in a new VM
 * without acceleration, that is an empty one.  The next VM entry corrects PPR.
 */
bool ppr_is_known_to_be_wrong(void);

/* Fails and prints @what and the vCPU if @saved and @now differ. */
void expect_same(struct vm *vm, unsigned int vcpu, const char *what, uint64_t saved, uint64_t now);

/*
 * The same for all of a vCPU's state; its timer may have run for @passed_ns at most.  Returns
 * false if only PPR is wrong, in the way that is known of stock KVM, otherwise true.
 */
bool expect_vcpu_same(struct vm *vm, unsigned int vcpu, const struct vcpu_state *saved,
		      const struct vcpu_state *now, uint64_t passed_ns);

#endif
