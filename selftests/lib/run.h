/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Running a VM: a thread for each vCPU, which the host starts, watches, pauses and moves.
 */
#ifndef SELFTESTS_LIB_RUN_H
#define SELFTESTS_LIB_RUN_H

#include "host.h"
#include "vm.h"

/* Pins each vCPU to a processor of its own if there are enough, and starts them. */
void vm_start(struct vm *vm);

/* The same, but those of the first 32 vCPUs whose bit is in @held wait for vcpu_resume(). */
void vm_start_held(struct vm *vm, uint32_t held);

/* Waits until every vCPU's function returned. */
void vm_join(struct vm *vm);

/*
 * Wait for a condition.  After the deadline, print the condition and fail the test.
 * vm_wait_slowly() polls only a hundred times a second, so that it does not disturb
 * measurements.
 */
#define vm_wait_every(vm, us, cond, what) do {				\
	uint64_t deadline_ = patience_us() + vm_timeout_us();		\
	while (!(cond)) {						\
		if (patience_us() > deadline_)				\
			vm_fail(vm, "timed out waiting until %s", what); \
		sleep_us(us);						\
	}								\
} while (0)
#define vm_wait(vm, cond, what) vm_wait_every(vm, 20, cond, what)
#define vm_wait_slowly(vm, cond, what) vm_wait_every(vm, 10000, cond, what)

/* Take a vCPU out of KVM_RUN for ioctls and let it go on. */
void vcpu_pause(struct vcpu *vcpu);
void vcpu_resume(struct vcpu *vcpu);

/* Like vcpu_pause(), but gives up after a time, because a vCPU may hang inside the kernel. */
bool vcpu_try_pause(struct vcpu *vcpu);

/* Ends the vCPU's thread, if it has one, and waits for it. */
void vcpu_stop(struct vcpu *vcpu);

void vm_pause(struct vm *vm);
void vm_resume(struct vm *vm);

/* Whether the vCPU has halted and its thread has given up the processor. */
bool vcpu_is_blocked(struct vcpu *vcpu);

/*
 * Inhibits acceleration of the whole VM by a debugger that blocks the interrupts of this vCPU,
 * which must not run; ends the inhibit.
 */
void vcpu_block_irqs(struct vcpu *vcpu, bool on);

/* Move a vCPU's thread; -1 lets it run anywhere. */
void vcpu_pin(struct vcpu *vcpu, int pcpu);

#endif
