// SPDX-License-Identifier: GPL-2.0-only
/*
 * The gate that VM creation passes.
 *
 * Creation holds gate_lock for reading around the stock vm_init; init and exit hold
 * it for writing.  A creation has a reference on the vendor's module through its open
 * /dev/kvm.  So if only vapic has a reference while the gate is closed, no VM exists
 * and none was past the gate when it closed.
 */
#include "gate.h"

#include <linux/atomic.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/rwsem.h>
#include <linux/wait.h>

#include "../kvm/hooks.h"
#include "../kvm/log.h"
#include "redirect.h"
#include "vendor.h"

#define DEFINE_GATE(vendor, op)                                                                    \
	VAPIC_OP_STOCK(vendor, op)                                                                 \
	struct vapic_op vapic_gate_op = VAPIC_OP_INIT(vendor, op, true);

VAPIC_KVM_TAKEOVERS(VAPIC_SKIP, DEFINE_GATE, VAPIC_SKIP)

static DECLARE_RWSEM(gate_lock);

/* True from the end of init to the gate's removal.  Written under gate_lock. */
static bool in_charge;

/* How many creations are inside vapic_kvm_vm_init(). */
static atomic_t inside = ATOMIC_INIT(0);

/*
 * How many VMs run on vapic.  Each has a reference on vapic.ko too, so that rmmod
 * refuses; but "rmmod -f" removes vapic in spite of references.
 */
static atomic_t vms = ATOMIC_INIT(0);

/* Woken when any of the above changes. */
static DECLARE_WAIT_QUEUE_HEAD(changed);

void vapic_vm_pin_put(void)
{
	/* Keep this order: if no reference is left, no VM is, unless rmmod is forced. */
	if (atomic_dec_and_test(&vms))
		wake_up_all(&changed);
	module_put(THIS_MODULE);
}

/*
 * Vapic is in charge: may it run this VM?  Not if rmmod has decided to remove vapic,
 * which is final.
 *
 * If rmmod was forced, other VMs of vapic may be alive.  Exit waits for them, and nobody
 * can call that off.  Then vapic runs the new VM as well: stock code cannot run it, because
 * ops and functions are vapic's, and to make its creation wait or fail until the last of
 * the other VMs is gone, in hours or weeks, would punish people who have nothing to do
 * with the removal.  Exit then waits longer; whoever forces it and wants it to end soon
 * has to stop VMs.
 */
static bool pin_get(void)
{
	if (try_module_get(THIS_MODULE)) {
		atomic_inc(&vms);
		return true;
	}
	if (!atomic_inc_not_zero(&vms))
		return false;
	__module_get(THIS_MODULE);
	return true;
}

/* Nothing of stock's has to be undone if ours fails, which comes first. */
static int create(struct kvm *kvm, bool pinned)
{
	bool ours = pinned && vapic_vendor->create_vm;
	int ret = ours ? vapic_vendor->create_vm(kvm) : 0;

	if (ret)
		return ret;
	ret = vapic_kvm_stock(vm_init)(kvm);
	if (ret && ours)
		vapic_vendor->cancel_vm(kvm);
	return ret;
}

int vapic_kvm_vm_init(struct kvm *kvm)
{
	bool pinned, leaving;
	int ret = 0;

	atomic_inc(&inside);

	down_read(&gate_lock);
	pinned = in_charge && pin_get();
	leaving = in_charge && !pinned;
	if (!leaving)
		ret = create(kvm, pinned);
	if (ret && pinned)
		vapic_vm_pin_put();
	up_read(&gate_lock);

	/*
	 * rmmod is about to close the gate, and does not wait for VMs any more.  So wait until
	 * stock code is back, instead of failing a creation that has nothing to do with vapic.
	 */
	if (leaving) {
		wait_event(changed, !READ_ONCE(in_charge));
		ret = vapic_kvm_stock(vm_init)(kvm);
	}

	if (atomic_dec_and_test(&inside))
		wake_up_all(&changed);
	return ret;
}

int vapic_gate_install(void)
{
	down_write(&gate_lock);
	vapic_op_swap(&vapic_gate_op);
	return 0;
}

void vapic_gate_remove(void)
{
	vapic_op_restore(&vapic_gate_op);
	WRITE_ONCE(in_charge, false);
	up_write(&gate_lock);
	wake_up_all(&changed);

	/*
	 * A creation may sleep in the gate for long, and Tasks RCU takes a task that sleeps
	 * for one that has left, hence the count.  First wait until creations on their way in
	 * are counted, then until the count is 0, then for all tasks that are on the last
	 * instructions of any hook.
	 */
	synchronize_rcu_tasks();
	wait_event(changed, !atomic_read(&inside));
	vapic_redirect_wait();
}

int vapic_gate_open(void)
{
	WRITE_ONCE(in_charge, true);
	up_write(&gate_lock);
	return 0;
}

void vapic_gate_close(void)
{
	int left;
	bool said = false;

	down_write(&gate_lock);
	while ((left = atomic_read(&vms))) {
		up_write(&gate_lock);
		if (!said)
			vapic_info("unload is forced, but %d virtual machine%s alive: it waits "
				   "until none is left\n",
				   left, left == 1 ? " is" : "s are");
		said = true;
		/* The wait does not block suspend, and does not look like a hung task. */
		___wait_event(changed, !atomic_read(&vms), (TASK_IDLE | TASK_FREEZABLE), 0, 0,
			      schedule());
		down_write(&gate_lock);
	}
}

void vapic_gate_assert_closed(void)
{
	lockdep_assert_held_write(&gate_lock);
}
