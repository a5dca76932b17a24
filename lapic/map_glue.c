// SPDX-License-Identifier: GPL-2.0-only
/*
 * The map by which KVM finds vCPUs by their APIC IDs, and what it says of acceleration.
 *
 * Hardware finds one vCPU for an ID. If several vCPUs have the ID, or one has an ID that is not its
 * own, KVM must deliver, so the VM is inhibited. Newer kernels notice that when they make the map.
 * This is for those that do not: it makes the map in place of KVM, in the form that KVM reads.
 */
#include <linux/log2.h>
#include <linux/lockdep.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/overflow.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include <asm/apicdef.h>

#include "glue.h"

#if !VAPIC_HAS_aliased_ids

/* Values of kvm.arch.apic_map_dirty. */
enum map_state {
	MAP_CLEAN,
	MAP_BEING_MADE,
	MAP_DIRTY,
};

/* A mode that KVM does not know: it then compares each vCPU's registers with a logical ID. */
#define MODE_UNKNOWN (KVM_APIC_MODE_XAPIC_FLAT | KVM_APIC_MODE_XAPIC_CLUSTER)

/* What the IDs of a VM are like. */
struct verdict {
	bool physical_aliased; /* or there is no memory for a map, which comes to the same */
	bool logical_aliased;
	bool modified;
};

/* The APIC of a vCPU, if the guest has not disabled it by its base register. */
static struct kvm_lapic *present(struct kvm_vcpu *kvm_vcpu)
{
	struct kvm_lapic *apic = kvm_vcpu->arch.apic;

	return apic && kvm_vcpu->arch.apic_base & MSR_IA32_APICBASE_ENABLE ? apic : NULL;
}

static bool in_x2apic_mode(const struct kvm_lapic *apic)
{
	return apic->vcpu->arch.apic_base & X2APIC_ENABLE;
}

static u8 xapic_id(const struct kvm_lapic *apic)
{
	return vapic_lapic_read(apic->regs, APIC_ID) >> 24;
}

/* The APIC gets the place unless another one has it; false then. */
static bool place(struct kvm_lapic **where, struct kvm_lapic *apic)
{
	if (*where)
		return false;
	*where = apic;
	return true;
}

static void add_physical(struct kvm_apic_map *map, struct kvm_lapic *apic, struct verdict *verdict)
{
	u32 id = apic->vcpu->vcpu_id;

	if (!in_x2apic_mode(apic) && xapic_id(apic) != (u8)id)
		verdict->modified = true;

	/*
	 * With KVM_CAP_X2APIC_API, interrupts find a vCPU by an ID beyond those of xAPICs even
	 * before it is in x2APIC mode, and an ID that it has there besides names nobody.
	 */
	if (apic->vcpu->kvm->arch.x2apic_format) {
		if (in_x2apic_mode(apic) || id > 0xff)
			map->phys_map[id] = apic;
		if (!in_x2apic_mode(apic))
			place(&map->phys_map[xapic_id(apic)], apic);
	} else if (!place(&map->phys_map[in_x2apic_mode(apic) ? id : xapic_id(apic)], apic)) {
		verdict->physical_aliased = true;
	}
}

/* Where the map has APICs of the logical ID @ldr, and in @mask the bits that name them there. */
static struct kvm_lapic **cluster_of(struct kvm_apic_map *map, u8 ldr, u8 *mask)
{
	if (map->mode == KVM_APIC_MODE_XAPIC_FLAT) {
		*mask = ldr;
		return map->xapic_flat_map;
	}
	*mask = ldr & 0xf;
	return map->xapic_cluster_map[ldr >> 4];
}

static void add_logical(struct kvm_apic_map *map, struct kvm_lapic *apic, struct verdict *verdict)
{
	u32 ldr = vapic_lapic_read(apic->regs, APIC_LDR);
	struct kvm_lapic **cluster;
	u8 mode, mask;

	if (!apic->sw_enabled || !ldr || verdict->logical_aliased)
		return;

	if (in_x2apic_mode(apic))
		mode = KVM_APIC_MODE_X2APIC;
	else if (vapic_lapic_read(apic->regs, APIC_DFR) == APIC_DFR_FLAT)
		mode = KVM_APIC_MODE_XAPIC_FLAT;
	else
		mode = KVM_APIC_MODE_XAPIC_CLUSTER;
	if (map->mode && map->mode != mode)
		goto aliased;
	map->mode = mode;

	/* These follow from the physical ID, and KVM finds them by that. */
	if (mode == KVM_APIC_MODE_X2APIC)
		return;

	cluster = cluster_of(map, GET_APIC_LOGICAL_ID(ldr), &mask);
	if (!mask || (is_power_of_2(mask) && place(&cluster[ilog2(mask)], apic)))
		return;
aliased:
	verdict->logical_aliased = true;
}

static struct kvm_apic_map *allocate(struct kvm *kvm)
{
	u32 max_id = 0xff;
	struct kvm_apic_map *map;
	struct kvm_vcpu *kvm_vcpu;
	unsigned long i;

	kvm_for_each_vcpu(i, kvm_vcpu, kvm)
		max_id = max_t(u32, max_id, kvm_vcpu->vcpu_id);
	map = kvzalloc(struct_size(map, phys_map, (size_t)max_id + 1), GFP_KERNEL_ACCOUNT);
	if (map)
		map->max_apic_id = max_id;
	return map;
}

/* NULL if KVM has to compare each vCPU's registers with any ID. */
static struct kvm_apic_map *make(struct kvm *kvm, struct verdict *verdict)
{
	struct kvm_apic_map *map = allocate(kvm);
	struct kvm_lapic *apic;
	struct kvm_vcpu *kvm_vcpu;
	unsigned long i;

	if (!map)
		verdict->physical_aliased = true;
	kvm_for_each_vcpu(i, kvm_vcpu, kvm) {
		apic = present(kvm_vcpu);
		/* A vCPU that has come since the allocation makes the map anew once it is ready. */
		if (!apic || !map || kvm_vcpu->vcpu_id > map->max_apic_id)
			continue;
		add_physical(map, apic, verdict);
		add_logical(map, apic, verdict);
	}

	if (verdict->physical_aliased) {
		verdict->logical_aliased = true;
		kvfree(map);
		return NULL;
	}
	if (verdict->logical_aliased)
		map->mode = MODE_UNKNOWN;
	return map;
}

static void inhibit(struct kvm *kvm, enum kvm_apicv_inhibit reason, bool set)
{
	/* Only here it changes, with the map's lock held. */
	if (!!(READ_ONCE(kvm->arch.apicv_inhibit_reasons) & BIT(reason)) == set)
		return;
	vapic_kvm_change_inhibit(kvm, reason, set);
}

/*
 * KVM calls this when it has changed registers, most often ones that the map does not depend on.
 *
 * ORDERING apic-map
 *   writers:  whoever changes a register that the map depends on marks it dirty (map_changed(),
 *             and KVM's functions); this says when it is being made, and when it is clean
 *   order:    acquire before the registers are read; release when it is clean, after the map and
 *             the inhibits
 *   pairs:    the release in map_changed(); another caller of this, who returns at once if the map
 *             is clean and then relies on map and inhibits
 *   barrier:  here
 *   if lost:  an IPI does not get to a vCPU whose ID has changed
 *   checked:  selftest ipi_aliased
 */
void vapic_hook_kvm_recalculate_apic_map(struct kvm *kvm)
{
	struct kvm_apic_map *old = NULL, *new;
	struct verdict verdict = {};

	if (likely(atomic_read_acquire(&kvm->arch.apic_map_dirty) == MAP_CLEAN))
		return;

	mutex_lock(&kvm->arch.apic_map_lock);
	if (atomic_cmpxchg_acquire(&kvm->arch.apic_map_dirty, MAP_DIRTY, MAP_BEING_MADE) ==
	    MAP_CLEAN) {
		mutex_unlock(&kvm->arch.apic_map_lock);
		return;
	}

	new = make(kvm, &verdict);
	inhibit(kvm, APICV_INHIBIT_REASON_PHYSICAL_ID_ALIASED, verdict.physical_aliased);
	inhibit(kvm, APICV_INHIBIT_REASON_LOGICAL_ID_ALIASED, verdict.logical_aliased);
	inhibit(kvm, APICV_INHIBIT_REASON_APIC_ID_MODIFIED, verdict.modified);

	old = rcu_replace_pointer(kvm->arch.apic_map, new,
				  lockdep_is_held(&kvm->arch.apic_map_lock));
	/* If somebody has marked it meanwhile, it stays dirty, and that one comes here next. */
	atomic_cmpxchg_release(&kvm->arch.apic_map_dirty, MAP_BEING_MADE, MAP_CLEAN);
	mutex_unlock(&kvm->arch.apic_map_lock);

	if (old)
		kvfree_rcu(old, rcu);
	/* Which EOIs have to exit depends on where interrupts go. */
	vapic_call(kvm_make_all_cpus_request)(kvm, KVM_REQ_SCAN_IOAPIC);
}

#endif
