// SPDX-License-Identifier: GPL-2.0-only
//
// The PID-pointer table that IPI hardware looks targets up in: who has which entry, from
// when KVM has accepted the vCPU until before its descriptor is freed.
#include "state.hpp"

using namespace vapic;
using namespace vapic::vmx;
using namespace vapic::hw;

// ORDERING pid-entry
//   writers:  the first load of a vCPU that KVM has accepted, and its end; no two of one ID
//             are accepted
//   order:    a locked compare-exchange; a plain store would take the entry from another, if
//             there were one, and leave it dangling when this one is freed
//   pairs:    IPI hardware, which reads one entry per IPI
//   barrier:  here: the descriptor is complete before hardware finds it
//   if lost:  hardware writes to a descriptor that is not set up, or is freed
//   checked:  pid_table_test
bool vapic_pi_vcpu_enter_table(vapic_pi_vcpu *vcpu, void *table, u32 entries, u32 id)
{
	auto *slot = static_cast<Slot<PidTableEntry> *>(table) + id;

	// Failure: another vCPU of this ID has it, and keeps it.
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
