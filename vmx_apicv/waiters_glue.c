// SPDX-License-Identifier: GPL-2.0-only
/*
 * Waking vCPUs that sleep while hardware may post to them.
 *
 * Each possible CPU has a list of those that went to sleep on it, since that is where the
 * wakeup vector is sent, whether they move or not. A list must take any vCPU at any time
 * and without allocating, so that all vCPUs of the host fit in each of them: 16 bytes per
 * vCPU and CPU.
 *
 * A CPU that dies takes the wakeup vectors with it that it has not handled, and gets no
 * more, while hardware goes on to name it: so all who sleep on it are woken once it is dead,
 * and those with nothing to do go to sleep on another.
 */
#include <vapic/vmx_hot.h>

#include <linux/cpuhotplug.h>
#include <linux/cpumask.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/spinlock.h>

#include <asm/apic.h>
#include <asm/irq_vectors.h>

#include "../kvm/log.h"
#include "../kvm/hooks.h"
#include "glue.h"
#include "vendor.h"

struct cpu_waiters {
	/*
	 * Taken with interrupts off: inside the scheduler's own lock when a vCPU goes to
	 * sleep, and around a wake-up, which takes that of the sleeper, by the handler.
	 * The two cannot wait for each other: the first is of a task on this CPU, and the
	 * handler cannot run there meanwhile. lockdep does not see that; hence the subclass.
	 */
	raw_spinlock_t lock;
	struct vapic_pi_waiters list; /* without IPI virtualization no room */
};

#define GOING_TO_SLEEP 1

static DEFINE_PER_CPU(struct cpu_waiters, waiters);

/* How many vCPUs there are, and for how many there is room. */
static DEFINE_MUTEX(reserve_lock);
static u32 reserved, room;

/* Room for @capacity on one CPU, with those who wait there. */
static int grow(struct cpu_waiters *w, u32 capacity)
{
	void *memory = NULL;

	/* An earlier attempt may have failed on another CPU. */
	if (w->list.limit - w->list.begin >= capacity)
		return 0;

	if (!vapic_create_should_fail())
		memory = kvmalloc(vapic_pi_waiters_size(capacity), GFP_KERNEL);
	if (!memory)
		return -ENOMEM;

	raw_spin_lock_irq(&w->lock);
	memory = vapic_pi_waiters_move(&w->list, memory, capacity);
	raw_spin_unlock_irq(&w->lock);
	kvfree(memory);
	return 0;
}

static int grow_all(u32 capacity)
{
	int cpu, err;

	for_each_possible_cpu(cpu)
	{
		err = grow(per_cpu_ptr(&waiters, cpu), capacity);
		if (err)
			return err;
	}
	room = capacity;
	return 0;
}

int vapic_vmx_waiters_reserve(void)
{
	int err = 0;

	mutex_lock(&reserve_lock);
	if (reserved == room)
		err = grow_all(room ? 2 * room : 64);
	if (!err)
		reserved++;
	mutex_unlock(&reserve_lock);
	return err;
}

/* The memory stays until exit. */
void vapic_vmx_waiters_release(void)
{
	mutex_lock(&reserve_lock);
	reserved--;
	mutex_unlock(&reserve_lock);
}

void vapic_vmx_stop_waiting(struct vapic_vcpu *vcpu)
{
	/*
	 * Acquire: -1 means that the handler, if it was that, is done with the vCPU, which
	 * may end right now.
	 */
	int cpu = smp_load_acquire(&vcpu->waits_on);
	struct cpu_waiters *w;
	unsigned long flags;

	if (cpu < 0)
		return;

	w = per_cpu_ptr(&waiters, cpu);
	raw_spin_lock_irqsave(&w->lock, flags);
	if (vcpu->waits_on >= 0) {
		vapic_pi_waiters_remove(&w->list, vapic_core(vcpu));
		vcpu->waits_on = -1;
	}
	raw_spin_unlock_irqrestore(&w->lock, flags);
}

/* The vCPU is about to sleep on this CPU with interrupts enabled in the guest. */
static void wait_here(struct vapic_vcpu *vcpu)
{
	struct cpu_waiters *w;
	unsigned long flags;
	bool added;

	local_irq_save(flags);
	w = this_cpu_ptr(&waiters);
	raw_spin_lock_nested(&w->lock, GOING_TO_SLEEP);
	added = vapic_pi_waiters_add(&w->list, vapic_core(vcpu));
	if (added)
		vcpu->waits_on = smp_processor_id();
	raw_spin_unlock(&w->lock);

	/*
	 * The first notification went out by the other vector. A wake-up is not allowed
	 * from inside the scheduler, an interrupt is, and waits until it may be taken.
	 */
	if (added && vapic_pi_vcpu_arm(vapic_on_cpu(vcpu)))
		__apic_send_IPI_self(POSTED_INTR_WAKEUP_VECTOR);
	local_irq_restore(flags);
}

/* The vCPU is no waiter any more. It may go its way, and away, from here. */
static __always_inline void let_go(struct vapic_vcpu *vcpu)
{
	vapic_call(kvm_vcpu_wake_up)(vcpu->common.kvm_vcpu);
	smp_store_release(&vcpu->waits_on, -1);
}

static __always_inline void wake(struct vapic_vcpu *vcpu)
{
	/* ON stays set until the vCPU is back, so nobody needs to tell it again. */
	vcpu->wakeups++;
	let_go(vcpu);
}

/* The vector is stock's too, and may come late: then the list is empty. */
void vapic_vmx_wakeup_handler(void)
{
	struct cpu_waiters *w = this_cpu_ptr(&waiters);

	raw_spin_lock(&w->lock);
	vapic_pi_waiters_wake_due(&w->list, wake);
	raw_spin_unlock(&w->lock);
}

/*
 * @cpu is dead; this runs on another one. Wake all its waiters, whether ON is set or not: a
 * later post would notify the dead CPU too. No vCPU joins the list any more, as they could
 * until the scheduler had emptied the CPU, and each looks at its descriptor once it is awake.
 *
 * Inside the scheduler only a task on @cpu takes this lock, so the wake-up does not deadlock
 * with it.
 */
static int wake_waiters_of_dead(unsigned int cpu)
{
	struct cpu_waiters *w = per_cpu_ptr(&waiters, cpu);
	unsigned long flags;

	raw_spin_lock_irqsave(&w->lock, flags);
	vapic_pi_waiters_wake_all(&w->list, let_go);
	raw_spin_unlock_irqrestore(&w->lock, flags);
	return 0;
}

/* The kernel's number for the step of a CPU's life that ends with the above. */
static int hotplug_state;

int vapic_vmx_waiters_create(void)
{
	int cpu, state;

	for_each_possible_cpu(cpu) raw_spin_lock_init(&per_cpu_ptr(&waiters, cpu)->lock);
	/* Of the steps before a CPU lives, which are undone once it is dead. */
	state = cpuhp_setup_state_nocalls(CPUHP_BP_PREPARE_DYN, "kvm/vapic:dead", NULL,
					  wake_waiters_of_dead);
	if (state < 0) {
		vapic_err("the kernel has no room for one more user of CPU hotplug (error %d)\n",
			  -state);
		return state;
	}
	hotplug_state = state;
	return 0;
}

void vapic_vmx_waiters_destroy(void)
{
	int cpu;

	if (hotplug_state)
		cpuhp_remove_state_nocalls(hotplug_state);
	hotplug_state = 0;
	for_each_possible_cpu(cpu)
	{
		kvfree(vapic_pi_waiters_move(&per_cpu_ptr(&waiters, cpu)->list, NULL, 0));
	}
	room = 0;
}

static noinline void load_elsewhere(struct vapic_vcpu *vcpu, u32 destination)
{
	vapic_vmx_stop_waiting(vcpu);
	vapic_pi_vcpu_load(vapic_on_cpu(vcpu), destination);
	if (unlikely(vcpu->outside))
		vapic_vmx_enter_table(vcpu);
}

/*
 * load and put come from vcpu_load() and vcpu_put(), and from the preemption notifiers,
 * always in the vCPU's task (or its creator's), and load on the CPU that it names.
 */
void vapic_hook_vmx_vcpu_pi_load(struct kvm_vcpu *kvm_vcpu, int cpu)
{
	struct vcpu_vmx *vmx = to_vmx(kvm_vcpu);
	struct vapic_vcpu *vcpu = vapic_vcpu_of(vmx);
	u32 destination = vapic_pi_destination(this_cpu_read(x86_cpu_to_apicid), x2apic_mode);

	if (!vcpu)
		return;
	/* A vCPU that is or was a waiter is armed, so its home is NOWHERE. */
	if (!vapic_pi_vcpu_resume(vapic_on_cpu(vcpu), destination))
		load_elsewhere(vcpu, destination);
}

static noinline void put_blocking(struct kvm_vcpu *kvm_vcpu, struct vapic_vcpu *vcpu)
{
	if (vapic_call(vmx_interrupt_blocked)(kvm_vcpu))
		vapic_pi_vcpu_suppress(vapic_on_cpu(vcpu));
	else
		wait_here(vcpu);
}

/*
 * Hardware posts if IPI virtualization is on, and then to every vCPU of the VM: a post must
 * wake a vCPU that sleeps. Without it only software posts, and software wakes.
 *
 * A preempted vCPU may be away for long, and posts would keep interrupting this CPU, so they
 * are suppressed. A vCPU that goes to user space, or waits in the kernel, is back soon, and
 * mostly on this CPU: it stays loaded.
 */
void vapic_hook_vmx_vcpu_pi_put(struct kvm_vcpu *kvm_vcpu)
{
	struct vcpu_vmx *vmx = to_vmx(kvm_vcpu);
	struct vapic_vcpu *vcpu = vapic_vcpu_of(vmx);

	if (!vcpu || !vapic_vmx_ipiv)
		return;
	if (kvm_vcpu_is_blocking(kvm_vcpu))
		put_blocking(kvm_vcpu, vcpu);
	else if (kvm_vcpu->preempted)
		vapic_pi_vcpu_suppress(vapic_on_cpu(vcpu));
}
