// SPDX-License-Identifier: GPL-2.0-only
//
// The PID-pointer table, in which IPI hardware looks up targets. A vCPU has its entry from the
// time when KVM has accepted it until before its descriptor is freed.
#include "state.hpp"

using namespace vapic;
using namespace vapic::vmx;
using namespace vapic::hw;

// ORDERING pid-entry
//   writers:  the vCPU's own task in its first load after KVM has accepted the vCPU, and the
//             task that frees it; KVM never accepts two vCPUs with the same ID
//   order:    a locked compare-exchange; a plain store would take the entry from another vCPU,
//             if there were one, which would have none once this vCPU is freed
//   pairs:    IPI hardware, which reads one entry per IPI
//   barrier:  here: the descriptor is complete before hardware finds it
//   if lost:  hardware writes to a descriptor that is not set up, or is freed
//   checked:  pid_table_test
bool vapic_pi_vcpu_enter_table(vapic_pi_vcpu *vcpu, void *table, u32 entries, u32 id)
{
	auto *slot = static_cast<Slot<PidTableEntry> *>(table) + id;

	// On failure another vCPU with this ID has the entry and keeps it.
	if (id >= entries || !slot->try_replace(PidTableEntry{}, vcpu->entry))
		return false;
	vcpu->slot = slot;
	return true;
}

void vapic_pi_vcpu_leave_table(vapic_pi_vcpu *vcpu)
{
	if (!vcpu->slot)
		return;

	const PidTableEntry last = vcpu->slot->exchange(PidTableEntry{});

	if (!(last == vcpu->entry))
		broken(Broken::kEntryForeign);
	vcpu->slot = nullptr;
}
