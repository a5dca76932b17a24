// SPDX-License-Identifier: GPL-2.0-only
//
// Residency: telling IPI hardware on which CPU a vCPU is, and senders when they must
// wake it. The argument that no interrupt is lost is in Documentation/ordering.rst.
#include <vapic/host.h>

#include "state.hpp"

using namespace vapic;
using namespace vapic::avic;
using namespace vapic::hw;

namespace {

// The vCPU's own task alone writes its attention byte, so read, change, publish.
void set_asleep(vapic_avic_vcpu &vcpu, bool on, OnCpu)
{
	vcpu.attention->publish(vcpu.attention->load().with(Attention::kAsleep, on));
}

void set_inactive(vapic_avic_vcpu &vcpu, bool on, OnCpu)
{
	vcpu.attention->publish(vcpu.attention->load().with(Attention::kInactive, on));
}

// ORDERING running-set
//   writers:  the vCPU's own task alone; hardware only reads
//   order:    release: nothing of the vCPU's last host CPU may follow. The full
//             barrier that orders it before VMRUN's look at the IRR is not here
//   pairs:    IPI hardware: sets IRR, then reads the entry
//   barrier:  vcpu_enter_guest(), after it sets vcpu->mode and before VMRUN
//   if lost:  a sender sees IsRunning=0 and exits, VMRUN misses the IRR bit, and the
//             sender, told that the vCPU is awake, leaves it alone
//   checked:  residency_history_test; selftest ipi_lost
void run_on(vapic_avic_vcpu &vcpu, HostApicId host, OnCpu)
{
	vcpu.slot->publish(vcpu.resident.with(PhysicalIdEntry::kHostApicId, host));
}

// The entry of the vCPU once it does not run, with the CPU that it was on: a software sender
// that has seen it in guest mode rings that one, and no other.
PhysicalIdEntry left(const vapic_avic_vcpu &vcpu)
{
	return vcpu.slot->load().with(PhysicalIdEntry::kIsRunning, false);
}

// ORDERING running-clear
//   writers:  as above
//   order:    a locked exchange. A plain store could be passed by the caller's read of
//             the IRR, which follows
//   pairs:    IPI hardware: sets IRR, then reads the entry. It sees IsRunning=0 and
//             exits, or the caller sees the IRR bit
//   barrier:  here
//   if lost:  the vCPU sleeps with an interrupt in its IRR, until something else wakes it
//   checked:  residency_history_test; selftest ipi_blocked
void run_nowhere(vapic_avic_vcpu &vcpu, OnCpu)
{
	vcpu.slot->exchange(left(vcpu));
}

// ORDERING far-set
//   writers:  the vCPU's own task alone
//   order:    release, as running-set: IsRunning stays clear, and the attention byte says
//             that the vCPU may be in the guest all the same
//   pairs:    the exit of an IPI that saw IsRunning=0: IRR is set, then it reads the
//             attention byte, then vcpu->mode. A software sender reads vcpu->mode, then
//             that the entry names no CPU
//   barrier:  vcpu_enter_guest(), as there
//   if lost:  the vCPU runs on in the guest without looking at its IRR
//   checked:  residency_history_test (LoadOnACpuThatNoEntryCanNameSaysSo)
void run_far(vapic_avic_vcpu &vcpu, OnCpu)
{
	vcpu.attention->publish(Attention{}.with(Attention::kFar, true));
	vcpu.slot->publish(vcpu.parked);
}

// Something speaks against showing where the vCPU is, or did so on the CPU it was on before.
[[gnu::noinline]] void load_rarely(vapic_avic_vcpu &vcpu, std::uint32_t host_id, OnCpu token)
{
	if (vcpu.attention->load().get(Attention::kOutside)) {
		if (!vapic_host_vcpu_stays(vcpu.glue))
			return;
		enter_tables(vcpu);
	}

	const Attention attention = vcpu.attention->load();

	// Asleep: unblock() will say where it runs. Inactive: activate() comes first.
	if (attention.get(Attention::kAsleep) || attention.get(Attention::kInactive) ||
	    attention.get(Attention::kOutside))
		return;
	if (host_id > kMaxHostApicId)
		return run_far(vcpu, token);
	vcpu.attention->publish(Attention{});
	run_on(vcpu, HostApicId{host_id}, token);
}

} // namespace

void vapic_avic_vcpu_load(vapic_avic_vcpu *vcpu, u32 host_id)
{
	if (vcpu->attention->load() != Attention{} || host_id > kMaxHostApicId)
		return load_rarely(*vcpu, host_id, OnCpu{});
	run_on(*vcpu, HostApicId{host_id}, OnCpu{});
}

void vapic_avic_vcpu_put(vapic_avic_vcpu *vcpu)
{
	// No barrier: whoever still sees IsRunning=1 rings a CPU that ignores it, and the
	// VMRUN that follows the next load() finds the interrupt.
	vcpu->slot->publish(left(*vcpu));
}

void vapic_avic_vcpu_block(vapic_avic_vcpu *vcpu)
{
	// Asleep first: a sender that sees IsRunning=0 must find out why.
	set_asleep(*vcpu, true, OnCpu{});
	run_nowhere(*vcpu, OnCpu{});
}

void vapic_avic_vcpu_unblock(vapic_avic_vcpu *vcpu, u32 host_id)
{
	set_asleep(*vcpu, false, OnCpu{});
	vapic_avic_vcpu_load(vcpu, host_id);
}

void vapic_avic_vcpu_activate(vapic_avic_vcpu *vcpu)
{
	set_inactive(*vcpu, false, OnCpu{});
}

void vapic_avic_vcpu_deactivate(vapic_avic_vcpu *vcpu)
{
	set_inactive(*vcpu, true, OnCpu{});
	run_nowhere(*vcpu, OnCpu{});
}
