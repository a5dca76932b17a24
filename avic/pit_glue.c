// SPDX-License-Identifier: GPL-2.0-only
/*
 * A PIT whose missed ticks KVM makes up for ("reinjection"): QEMU's default.
 *
 * KVM counts the ticks that are due (pending) and delivers one when the last one has been
 * acknowledged (irq_ack), which it learns from the EOI.  With AVIC that does not exit, so stock
 * inhibits AVIC for the VM's whole life.  Here the PIT inhibits nothing at first:
 *
 * - When a tick is due and KVM has seen no EOI of the last one, look for that one in the IRR and
 *   ISR of the vCPUs that it went to.  It is in neither: the guest has taken it, and this is the
 *   acknowledgement.
 *
 * - If it is still there, the guest is behind, and the ticks that are due have to follow one
 *   another at the guest's pace.  Only now inhibit the VM, so that EOIs exit and stock's
 *   accounting works.  A second later, look whether the guest has caught up.
 *
 * - A tick that comes by the PIC needs none of this: KVM emulates the PIC's ports.
 *
 * A tick is acknowledged once: by whoever changes irq_ack from 0 to 1.  But while a vCPU is outside
 * of the guest, its task may be on its way from clearing the ISR to the acknowledgement, and must not
 * acknowledge the next tick in place of this one.  So a work item waits (SRCU) and looks again;
 * the PIT's thread cannot wait, since a vCPU that writes to the PIT's ports waits for that thread.
 * The work item must not do so either, so it acknowledges only if no tick has come since it was
 * queued.  A tick comes, and the work item looks, with the lock held.
 *
 * tests/model/pit.pml is a model of this.
 */
#include <linux/kthread.h>
#include <linux/srcu.h>
#include <linux/workqueue.h>

#include <asm/apicdef.h>

#include <vapic/lapic_hot.h>

#include "../kvm/hooks.h"
#include "glue.h"

#define PIT_GSI 0
/* After this time in which the guest was not behind, AVIC is on again. */
#define CALM_DOWN HZ

/* The fields of an entry of the IOAPIC's table. */
#define IOAPIC_VECTOR(entry) ((u8)(entry))
#define IOAPIC_LOGICAL BIT_ULL(11)
#define IOAPIC_MASKED BIT_ULL(16)
#define IOAPIC_DESTINATION(entry) ((entry) >> 56)

static bool is_of_ioapic(const struct kvm_kernel_irq_routing_entry *route)
{
	return route->type == KVM_IRQ_ROUTING_IRQCHIP &&
	       route->irqchip.irqchip == KVM_IRQCHIP_IOAPIC;
}

/* The entry of the IOAPIC that ticks go through; false if none does. */
static bool find_entry(struct kvm *kvm, u64 *entry)
{
	struct kvm_kernel_irq_routing_entry *route;
	struct kvm_irq_routing_table *routes;
	bool found = false;
	int idx;

	if (!kvm->arch.vioapic)
		return false;
	idx = srcu_read_lock(&kvm->irq_srcu);
	routes = srcu_dereference(kvm->irq_routing, &kvm->irq_srcu);
	if (routes->nr_rt_entries > PIT_GSI) {
		hlist_for_each_entry(route, &routes->map[PIT_GSI], link)
		{
			if (!is_of_ioapic(route))
				continue;
			*entry = READ_ONCE(kvm->arch.vioapic->redirtbl.entries[route->irqchip.pin]);
			found = !(*entry & IOAPIC_MASKED);
		}
	}
	srcu_read_unlock(&kvm->irq_srcu, idx);
	return found;
}

/* In the order in which hardware moves the bit. */
static bool waits_in(const void *regs, u8 vector)
{
	bool requested = vapic_lapic_test(regs, VAPIC_LAPIC_IRR, vector);

	smp_rmb();
	return requested || vapic_lapic_test(regs, VAPIC_LAPIC_ISR, vector);
}

enum last_tick {
	WAITS,		 /* in the IRR or ISR of a vCPU that is accelerated */
	WAITS_INHIBITED, /* or of one that is not: its EOI will exit */
	TAKEN,
	TAKEN_OR_ON_ITS_WAY, /* the exit for an EOI may be under way */
};

/* False if it is in the guest or has blocked: all earlier exits are then complete. */
static bool may_be_exiting(struct kvm_vcpu *kvm_vcpu)
{
	/* Pairs with KVM's release when it enters the guest. */
	return smp_load_acquire(&kvm_vcpu->mode) != IN_GUEST_MODE &&
	       !kvm_vcpu_is_blocking(kvm_vcpu);
}

/*
 * What the vCPU does is read after the bits: an exit that cleared the ISR before has told KVM of it
 * before the vCPU is in the guest again.  And the bits once more after that: KVM takes a vector out
 * of the IRR before it sets the ISR.  Then what the vCPU does again, as the first time: it may have
 * entered the guest with the vector, and be in the exit for its EOI.
 */
static enum last_tick last_tick(struct kvm *kvm, u64 entry)
{
	int mode = entry & IOAPIC_LOGICAL ? APIC_DEST_LOGICAL : APIC_DEST_PHYSICAL;
	enum last_tick found = TAKEN;
	struct kvm_vcpu *kvm_vcpu;
	unsigned long i;

	kvm_for_each_vcpu(i, kvm_vcpu, kvm) {
		struct kvm_lapic *apic = kvm_vcpu->arch.apic;
		bool waits, exiting;

		if (!vapic_call(kvm_apic_match_dest)(kvm_vcpu, NULL, 0, IOAPIC_DESTINATION(entry),
						     mode))
			continue;
		waits = waits_in(apic->regs, IOAPIC_VECTOR(entry));
		smp_rmb();
		exiting = may_be_exiting(kvm_vcpu);
		if (waits || waits_in(apic->regs, IOAPIC_VECTOR(entry)))
			return vapic_apicv_active(apic) ? WAITS : WAITS_INHIBITED;
		smp_rmb();
		if (exiting || may_be_exiting(kvm_vcpu))
			found = TAKEN_OR_ON_ITS_WAY;
	}
	return found;
}

/* As kvm_pit_ack_irq(). True if more ticks are due. */
static bool acknowledge(struct kvm_kpit_state *state)
{
	return !atomic_cmpxchg(&state->irq_ack, 0, 1) &&
	       atomic_dec_if_positive(&state->pending) > 0;
}

static void inhibit(struct vapic_vm *vm, struct kvm *kvm, bool on)
{
	lockdep_assert_held(&vm->pit.lock);
	if (vm->pit.inhibits == on)
		return;
	vm->pit.inhibits = on;
	vapic_kvm_change_inhibit(kvm, APICV_INHIBIT_REASON_PIT_REINJ, on);
}

static void begin_inhibit(struct vapic_vm *vm)
{
	if (vm->pit.inhibits)
		return;
	inhibit(vm, vm->pit.pit->kvm, true);
	vm->pit.backlog = INT_MAX;
	schedule_delayed_work(&vm->pit.calm_down, CALM_DOWN);
}

/* End the inhibit once the guest is not behind and the backlog is gone, or does not shrink. */
static void calm_down(struct work_struct *work)
{
	struct vapic_vm *vm = container_of(to_delayed_work(work), struct vapic_vm, pit.calm_down);
	struct kvm_pit *pit;
	int backlog;

	guard(mutex)(&vm->pit.lock);
	if (!vm->pit.inhibits)
		return;
	pit = vm->pit.pit;
	backlog = atomic_read(&pit->pit_state.pending);
	if (vm->pit.behind || (backlog > 1 && backlog < vm->pit.backlog)) {
		vm->pit.behind = false;
		vm->pit.backlog = backlog;
		/* A tick that was taken before the inhibit has no EOI that would go on. */
		kthread_queue_work(pit->worker, &pit->expired);
		schedule_delayed_work(&vm->pit.calm_down, CALM_DOWN);
		return;
	}
	inhibit(vm, pit->kvm, false);
}

/*
 * False too if another tick has come since then: the next one that is due has it looked for.  While
 * the PIT reinjects, it exists.
 */
static bool still_taken(struct vapic_vm *vm, u64 suspect)
{
	u64 entry;

	guard(mutex)(&vm->pit.lock);
	return vm->pit.reinjects && vm->pit.ticks == suspect &&
	       find_entry(vm->pit.pit->kvm, &entry) && last_tick(vm->pit.pit->kvm, entry) >= TAKEN;
}

/*
 * Wait twice for exits that were under way: during the first wait KVM may have moved the tick from the
 * IRR to the ISR, and the guest may have ended it since then.
 */
static void look_again(struct work_struct *work)
{
	struct vapic_vm *vm = container_of(work, struct vapic_vm, pit.look_again);
	struct kvm *kvm = NULL;
	struct kvm_pit *pit;
	u64 suspect;

	/* Later it may be that of another tick, for which this runs once more. */
	mutex_lock(&vm->pit.lock);
	suspect = vm->pit.suspect;
	if (vm->pit.reinjects)
		kvm = vm->pit.pit->kvm;
	mutex_unlock(&vm->pit.lock);
	if (!kvm)
		return;
	synchronize_srcu(&kvm->srcu);
	if (!still_taken(vm, suspect))
		return;
	synchronize_srcu(&kvm->srcu);
	guard(mutex)(&vm->pit.lock);
	pit = vm->pit.pit;
	if (vm->pit.reinjects && vm->pit.ticks == suspect && acknowledge(&pit->pit_state))
		kthread_queue_work(pit->worker, &pit->expired);
}

/* A tick is due, and KVM knows of no acknowledgement of the last one. */
static void look_for_last_tick(struct vapic_vm *vm, struct kvm_pit *pit)
{
	u64 entry;

	guard(mutex)(&vm->pit.lock);
	/* KVM may have ended reinjection. */
	if (!vm->pit.reinjects || !find_entry(pit->kvm, &entry))
		return;
	vm->pit.pit = pit;
	switch (last_tick(pit->kvm, entry)) {
	case WAITS:
		begin_inhibit(vm);
		fallthrough;
	case WAITS_INHIBITED:
		vm->pit.behind = true;
		break;
	case TAKEN:
		acknowledge(&pit->pit_state);
		/* More than this tick is due: the others follow at their EOIs. */
		if (atomic_read(&pit->pit_state.pending) > 1)
			begin_inhibit(vm);
		break;
	case TAKEN_OR_ON_ITS_WAY:
		vm->pit.suspect = vm->pit.ticks;
		schedule_work(&vm->pit.look_again);
		break;
	}
}

static __always_inline int source_of(const struct kvm_pit *pit)
{
#if VAPIC_HAS_kvm_pit__irq_source_id
	return pit->irq_source_id;
#else
	return KVM_PIT_IRQ_SOURCE_ID;
#endif
}

/* False if the tick has to wait for the acknowledgement of the last one. */
static bool tick(struct vapic_vm *vm, struct kvm_pit *pit)
{
	struct kvm_kpit_state *state = &pit->pit_state;

	/* Between irq_ack and the IRR, the new tick would seem to be taken. */
	guard(mutex)(&vm->pit.lock);
	if (atomic_read(&state->reinject) && !atomic_xchg(&state->irq_ack, 0))
		return false;
	vm->pit.ticks++;
	vapic_call(kvm_set_irq)(pit->kvm, source_of(pit), PIT_GSI, 1, false);
	vapic_call(kvm_set_irq)(pit->kvm, source_of(pit), PIT_GSI, 0, false);
	return true;
}

/* Runs in the PIT's kernel thread when a tick is due, or when the last one was acknowledged. */
void vapic_hook_pit_do_work(struct kthread_work *work)
{
	struct kvm_pit *pit = container_of(work, struct kvm_pit, expired);
	struct kvm_kpit_state *state = &pit->pit_state;
	struct vapic_vm *vm = vapic_vm_of(pit->kvm);
	struct kvm_vcpu *kvm_vcpu;
	unsigned long i;

	if (atomic_read(&state->reinject)) {
		/* A VM that is never accelerated has no tables, and each EOI exits. */
		if (!atomic_read(&state->irq_ack) && vapic_avic_vm_at_load(&vm->core))
			look_for_last_tick(vm, pit);
	}
	if (!tick(vm, pit))
		return;

	/* A watchdog by NMI: LVT0 of some vCPU takes ticks as NMIs. */
	if (atomic_read(&pit->kvm->arch.vapics_in_nmi_mode) > 0)
		kvm_for_each_vcpu(i, kvm_vcpu, pit->kvm)
			vapic_call(kvm_apic_nmi_wd_deliver)(kvm_vcpu);
}

/*
 * KVM ends reinjection before it destroys the PIT, if user space has not.  Nothing may wait for
 * vCPUs here, as look_again() does: the ioctl holds pit_state.lock, for which a vCPU may be waiting that
 * writes to the PIT's ports.  From here on the work items leave the PIT alone.
 */
void vapic_avic_pit_set_reinject(struct kvm *kvm, bool on)
{
	struct vapic_vm *vm = vapic_vm_of(kvm);

	guard(mutex)(&vm->pit.lock);
	vm->pit.reinjects = on;
	if (!on)
		inhibit(vm, kvm, false);
}

/* Before the VM's SRCU goes, which is after its vCPUs and the PIT have gone. */
void vapic_avic_pit_end_vm(struct vapic_vm *vm)
{
	cancel_work_sync(&vm->pit.look_again);
	cancel_delayed_work_sync(&vm->pit.calm_down);
}

void vapic_avic_pit_init(struct vapic_vm *vm)
{
	mutex_init(&vm->pit.lock);
	INIT_WORK(&vm->pit.look_again, look_again);
	INIT_DELAYED_WORK(&vm->pit.calm_down, calm_down);
}
