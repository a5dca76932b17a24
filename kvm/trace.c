// SPDX-License-Identifier: GPL-2.0-only
/*
 * The events of trace.h, and what has to be found out for them. Nothing here runs while they are
 * off.
 */
#include <linux/preempt.h>
#include <linux/sched.h>

#include <asm/apicdef.h>

#include <vapic/lapic_hot.h>

#include "objects.h"
#include "symbols.h"

#define CREATE_TRACE_POINTS
#include "tracing.h"

DEFINE_STATIC_KEY_FALSE(vapic_interrupt_traced);

int vapic_interrupt_trace_begin(void)
{
	static_branch_inc(&vapic_interrupt_traced);
	return 0;
}

void vapic_interrupt_trace_end(void)
{
	static_branch_dec(&vapic_interrupt_traced);
}

/* The vCPU's APIC timer interrupts by this vector. */
static bool is_timer_vector(struct kvm_vcpu *kvm_vcpu, u32 vector)
{
	u32 lvtt = vapic_lapic_read(kvm_vcpu->arch.apic->regs, APIC_LVTT);

	return !(lvtt & APIC_LVT_MASKED) && (lvtt & APIC_VECTOR_MASK) == vector;
}

/*
 * KVM does not say where an interrupt comes from, but it delivers each kind in a context of its own.
 * @running is the vCPU in whose task this runs, or NULL.
 */
static enum vapic_source source_of(struct kvm_vcpu *running, struct kvm_vcpu *target, u32 vector,
				   bool level)
{
	/* A device's handler signals an eventfd, as all do that have an irqfd. */
	if (current->in_eventfd)
		return in_hardirq() ? VAPIC_SOURCE_DEVICE : VAPIC_SOURCE_IRQFD;
	if (!in_task())
		return is_timer_vector(target, vector) ? VAPIC_SOURCE_TIMER : VAPIC_SOURCE_OTHER;
	if (running == target && is_timer_vector(target, vector))
		return VAPIC_SOURCE_TIMER;
	/* An IOAPIC that interrupts once more after the guest's EOI also runs there. */
	if (running)
		return level ? VAPIC_SOURCE_OTHER : VAPIC_SOURCE_IPI;
	/* An irqfd whose interrupt has to wait for a lock, and the PIT's own thread. */
	if (current->flags & PF_WQ_WORKER)
		return VAPIC_SOURCE_IRQFD;
	return current->flags & PF_KTHREAD ? VAPIC_SOURCE_TIMER : VAPIC_SOURCE_USER;
}

void vapic_trace_handed_over(struct kvm_vcpu *target, u32 vector, bool level)
{
	struct kvm_vcpu *running;

	if (!trace_vapic_interrupt_enabled())
		return;
	running = in_task() ? vapic_call(kvm_get_running_vcpu)() : NULL;
	trace_vapic_interrupt(target, vector, source_of(running, target, vector, level),
			      running ? running->vcpu_id : -1);
}

void vapic_trace_announced(struct kvm_vcpu *target, u32 vector, enum vapic_announcement how)
{
	trace_vapic_announce(target, vector, how, READ_ONCE(target->cpu));
}

void vapic_trace_logical(struct kvm_vcpu *kvm_vcpu)
{
	trace_vapic_table(kvm_vcpu, VAPIC_TABLE_LOGICAL,
			  vapic_lapic_read(kvm_vcpu->arch.apic->regs, APIC_LDR));
}

struct vapic_traced_irr vapic_trace_irr(struct kvm_vcpu *kvm_vcpu)
{
	const struct vapic_lapic_word *bank = kvm_vcpu->arch.apic->regs + APIC_IRR;
	struct vapic_traced_irr irr;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(irr.bits); i++)
		irr.bits[i] = vapic_lapic_bits(bank, i);
	return irr;
}

void vapic_trace_found(struct kvm_vcpu *kvm_vcpu, const struct vapic_traced_irr *before,
		       enum vapic_place by)
{
	struct vapic_traced_irr irr = vapic_trace_irr(kvm_vcpu);
	u32 i, left;

	for (i = 0; i < ARRAY_SIZE(irr.bits); i++)
		for (left = irr.bits[i] & ~(before ? before->bits[i] : 0); left; left &= left - 1)
			trace_vapic_found(kvm_vcpu, 32 * i + __ffs(left), by);
}
