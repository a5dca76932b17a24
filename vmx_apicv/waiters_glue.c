// SPDX-License-Identifier: GPL-2.0-only
/*
 * Wakes vCPUs that sleep while hardware may post to them.
 *
 * Each possible CPU has a list of the vCPUs that went to sleep on it, because hardware sends
 * the wakeup vector there, whether the vCPU's task moves or not. A list must take any vCPU at
 * any time without allocating, so each list has room for all vCPUs of the host: 16 bytes per
 * vCPU and CPU.
 *
 * A CPU that dies loses the wakeup vectors that it has not handled, and gets no more, while
 * descriptors still name it. So all vCPUs that sleep on it are woken once it is dead, and those
 * with nothing to do go to sleep on another CPU.
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
	 * Taken with interrupts off: inside the scheduler's lock when a vCPU goes to sleep,
	 * and by the handler around a wake-up, which takes the scheduler's lock for the sleeper.
	 * The two cannot wait for each other: the first is in a task on this CPU, and the
	 * handler cannot run there meanwhile. lockdep does not see that, hence the subclass.
	 */
	raw_spinlock_t lock;
	struct vapic_pi_waiters list; /* has no room without IPI virtualization */
};

#define GOING_TO_SLEEP 1

static DEFINE_PER_CPU(struct cpu_waiters, waiters);

/* How many vCPUs there are, and for how many there is room. */
static DEFINE_MUTEX(reserve_lock);
static u32 reserved, room;

/* Make room for @capacity vCPUs on one CPU, and keep those that wait there. */
static int grow(struct cpu_waiters *w, u32 capacity)
{
	void *memory = NULL;

	/* An earlier attempt may have grown this list and failed on another CPU. */
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

	for_each_possible_cpu(cpu) {
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

/* The lists keep their memory until exit. */
void vapic_vmx_waiters_release(void)
{
	mutex_lock(&reserve_lock);
	reserved--;
	mutex_unlock(&reserve_lock);
}

void vapic_vmx_stop_waiting(struct vapic_vcpu *vcpu)
{
	int cpu = vapic_vmx_waits_on_load_first(&vcpu->waits_on);
	struct cpu_waiters *w;
	unsigned long flags;

	if (cpu < 0)
		return;

	w = per_cpu_ptr(&waiters, cpu);
	raw_spin_lock_irqsave(&w->lock, flags);
	if (vapic_vmx_waits_on_load(&vcpu->waits_on) >= 0) {
		vapic_pi_waiters_remove(&w->list, vapic_core(vcpu));
		vapic_vmx_waits_on_store(&vcpu->waits_on, -1);
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
		vapic_vmx_waits_on_store(&vcpu->waits_on, smp_processor_id());
	raw_spin_unlock(&w->lock);

	/*
	 * If something was posted, its notification went out by the other vector. A wake-up
	 * is not allowed inside the scheduler; an interrupt is, and waits until it can be taken.
	 */
	if (added && vapic_pi_vcpu_arm(vapic_on_cpu(vcpu)))
		vapic_send_ipi_self(POSTED_INTR_WAKEUP_VECTOR);
	local_irq_restore(flags);
}

/* Wake a vCPU that is no waiter any more. Once -1 is stored, it may be freed. */
static __always_inline void let_go(struct vapic_vcpu *vcpu)
{
	vapic_call(kvm_vcpu_wake_up)(vcpu->common.kvm_vcpu);
	vapic_vmx_waits_on_publish(&vcpu->waits_on, -1);
}

/* Hardware has told nobody else what it has posted. */
static noinline void trace_woken(struct vapic_vcpu *vcpu)
{
	struct kvm_vcpu *kvm_vcpu = vcpu->common.kvm_vcpu;
	struct vapic_pi_descriptor *descriptor = vapic_descriptor(to_vmx(kvm_vcpu));
	u64 left;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(descriptor->pir); i++) {
		left = vapic_pi_requests_load(&descriptor->pir[i]);
		for (; left; left &= left - 1) {
			trace_vapic_interrupt(kvm_vcpu, 64 * i + __ffs64(left),
					      VAPIC_SOURCE_HARDWARE, -1);
			vapic_trace_announced(kvm_vcpu, 64 * i + __ffs64(left),
					      VAPIC_ANNOUNCED_BY_WAKEUP);
		}
	}
}

static __always_inline void wake(struct vapic_vcpu *vcpu)
{
	/* ON stays set until the vCPU runs again, so no sender needs to notify it again. */
	vapic_count_add(&vcpu->wakeups, 1);
	if (vapic_interrupt_is_traced())
		trace_woken(vcpu);
	let_go(vcpu);
}

/* Stock uses the vector too. It may also come late: then the list is empty. */
void vapic_vmx_wakeup_handler(void)
{
	struct cpu_waiters *w = this_cpu_ptr(&waiters);

	raw_spin_lock(&w->lock);
	vapic_pi_waiters_wake_due(&w->list, wake);
	raw_spin_unlock(&w->lock);
}

/*
 * @cpu is dead; this runs on another CPU. Wake all its waiters, whether ON is set or not: a
 * later post would notify the dead CPU too. vCPUs could join the list until the scheduler had
 * emptied the CPU, but none joins it any more. Each looks at its descriptor once it is awake.
 *
 * Inside the scheduler only a task on @cpu takes this lock, so the wake-up cannot deadlock.
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

/* The kernel's number of the hotplug state whose teardown is wake_waiters_of_dead(). */
static int hotplug_state;

int vapic_vmx_waiters_create(void)
{
	int cpu, state;

	for_each_possible_cpu(cpu)
		raw_spin_lock_init(&per_cpu_ptr(&waiters, cpu)->lock);
	/* A state that comes before a CPU is alive is torn down once the CPU is dead. */
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
		kvfree(vapic_pi_waiters_move(&per_cpu_ptr(&waiters, cpu)->list, NULL, 0));
	room = 0;
}

static noinline void load_elsewhere(struct vapic_vcpu *vcpu, u32 cpu)
{
	vapic_vmx_stop_waiting(vcpu);
	vapic_pi_vcpu_load(vapic_on_cpu(vcpu), cpu,
			   vapic_pi_destination(this_cpu_read(x86_cpu_to_apicid), x2apic_mode));
	if (unlikely(vcpu->outside))
		vapic_vmx_enter_table(vcpu);
}

/*
 * load and put run in vcpu_load(), vcpu_put() and the preemption notifiers, always in the
 * vCPU's task (or its creator's). load runs on @cpu.
 */
void vapic_hook_vmx_vcpu_pi_load(struct kvm_vcpu *kvm_vcpu, int cpu)
{
	struct vcpu_vmx *vmx = to_vmx(kvm_vcpu);
	struct vapic_vcpu *vcpu = vapic_vcpu_of(vmx);

	if (!vcpu)
		return;
	/* A vCPU that is or was a waiter is armed, so its home is NOWHERE. */
	if (!vapic_pi_vcpu_resume(vapic_on_cpu(vcpu), cpu))
		load_elsewhere(vcpu, cpu);
}

static noinline void put_blocking(struct kvm_vcpu *kvm_vcpu, struct vapic_vcpu *vcpu)
{
	if (vapic_call(vmx_interrupt_blocked)(kvm_vcpu))
		vapic_pi_vcpu_suppress(vapic_on_cpu(vcpu));
	else
		wait_here(vcpu);
}

/*
 * Hardware posts to every vCPU of a VM if IPI virtualization is on, or a device is assigned to
 * the VM and the IOMMU posts. A vCPU that sleeps while a device is assigned is woken for that by
 * stock's op pi_start_assignment or pi_start_bypass, and comes here again.
 */
static bool hardware_posts_to(struct kvm *kvm)
{
	return vapic_vmx_ipiv || (vapic_vmx_iommu_posts && vapic_kvm_has_devices(kvm));
}

/*
 * Where hardware posts, a post must wake a vCPU that sleeps. Where only software posts, software
 * wakes.
 *
 * A preempted vCPU may be away for long, and posts would keep interrupting this CPU, so they
 * are suppressed. It need not be woken, even if it was about to sleep. A vCPU that goes to user
 * space, or waits in the kernel, is back soon, and mostly on this CPU: it stays loaded.
 */
void vapic_hook_vmx_vcpu_pi_put(struct kvm_vcpu *kvm_vcpu)
{
	struct vcpu_vmx *vmx = to_vmx(kvm_vcpu);
	struct vapic_vcpu *vcpu = vapic_vcpu_of(vmx);

	if (!vcpu || !hardware_posts_to(kvm_vcpu->kvm))
		return;
	if (kvm_vcpu->preempted)
		vapic_pi_vcpu_suppress(vapic_on_cpu(vcpu));
	else if (kvm_vcpu_is_blocking(kvm_vcpu))
		put_blocking(kvm_vcpu, vcpu);
}
