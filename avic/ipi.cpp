// SPDX-License-Identifier: GPL-2.0-only
//
// Exit 401h: an IPI that hardware could not complete by itself.
//
// For "target not running", hardware has already set the IRR bit in every valid target and
// rung those it saw running. Software must act for targets that sleep, are inactive, or may run
// unseen; a vCPU that is merely preempted finds the bit at its next VMRUN.
#include <vapic/host.h>

#include "state.hpp"

using namespace vapic;
using namespace vapic::avic;
using namespace vapic::hw;

namespace {

// One round over the destinations of one IPI.
class Round {
public:
	Round(vapic_avic_vcpu &sender, const vapic_avic_ipi_exit &exit)
		: sender_(sender), vm_(*sender.vm), icr_(exit.info1), x2apic_(exit.x2apic),
		  visit_all_(exit.visit_all)
	{
	}

	void visit_destinations()
	{
		using Shape = lapic::Destination::Shape;

		const Dfr dfr{sender_.regs->read(ApicRegister::kDfr)};
		const lapic::Destination dest = lapic::destination(icr_, x2apic_, dfr);

		switch (dest.shape) {
		case Shape::kSelf:
			visit(sender_.id);
			break;
		case Shape::kAll:
			visit_everybody(true);
			break;
		case Shape::kAllButSelf:
			visit_everybody(false);
			break;
		case Shape::kOne:
			visit(GuestApicId{dest.first});
			break;
		case Shape::kLogical:
			visit_logical(dest.first, dest.bits);
			break;
		case Shape::kCluster:
			visit_cluster(dest.first, dest.bits);
			break;
		}
	}

private:
	void visit_everybody(bool sender_too)
	{
		const std::uint32_t end = vm_.id_end.load();

		for (std::uint32_t id = 0; id < end; ++id) {
			if (sender_too || GuestApicId{id} != sender_.id)
				visit(GuestApicId{id});
		}
	}

	void visit_cluster(std::uint32_t first, std::uint16_t bits)
	{
		for (std::uint32_t left = bits; left; left &= left - 1)
			visit(GuestApicId{first + static_cast<std::uint32_t>(__builtin_ctz(left))});
	}

	void visit_logical(std::uint32_t first, std::uint16_t bits)
	{
		GuestApicId named[8];
		unsigned count = 0;

		for (std::uint32_t left = bits; left; left &= left - 1) {
			const std::uint32_t index =
				first + static_cast<std::uint32_t>(__builtin_ctz(left));
			const LogicalIdEntry entry = vm_.logical->entries[index].load_first();

			if (entry.get(LogicalIdEntry::kValid))
				named[count++] = entry.get(LogicalIdEntry::kGuestApicId);
		}
		// Hardware may have read the table before a change and set the IRR of a vCPU that
		// has left it, so visit every vCPU. A needless visit costs a vCPU little time.
		if (logical_table_changed())
			return visit_everybody(true);
		for (unsigned i = 0; i < count; ++i)
			visit(named[i]);
	}

	// True if the table is changing, or has changed since the sender last found it at rest.
	// If false, no change has begun since then, and all earlier changes were done.
	// Ordering: LogicalChange in tables.cpp.
	bool logical_table_changed()
	{
		const std::uint32_t done = vm_.logical_done.load_first();
		const std::uint32_t begun = vm_.logical_begun.load();

		if (begun == done && begun == sender_.logical_seen)
			return false;
		if (begun == done)
			sender_.logical_seen = begun;
		return true;
	}

	void visit(GuestApicId id)
	{
		if (id.raw() >= vm_.ids)
			return;

		const Attention seen = vm_.attention[id.raw()].load();
		vapic_avic_ipi_target target = VAPIC_AVIC_TARGET_AWAKE;

		// It may run although IsRunning does not show it.
		if (seen.get(Attention::kFar) || vm_.hide_running)
			target = VAPIC_AVIC_TARGET_UNSEEN;
		else if (seen == Attention{} && !visit_all_)
			return;

		vapic_avic_vcpu *vcpu = vm_.vcpus[id.raw()].load_first();

		if (!vcpu)
			return;
		if (seen.get(Attention::kInactive)) {
			target = VAPIC_AVIC_TARGET_INACTIVE;
			sender_.ipi_inactive.count_alone();
		} else if (seen.get(Attention::kAsleep)) {
			target = VAPIC_AVIC_TARGET_ASLEEP;
			sender_.ipi_woken.count_alone();
		}
		vapic_host_avic_ipi_target(vcpu->glue, icr_.get(Icr::kLow), target);
	}

	vapic_avic_vcpu &sender_;
	vapic_avic_vm &vm_;
	const Icr icr_;
	const bool x2apic_;
	const bool visit_all_;
};

} // namespace

vapic_avic_ipi_action vapic_avic_vcpu_ipi(vapic_avic_vcpu *vcpu, const vapic_avic_ipi_exit *exit)
{
	const Icr icr{exit->info1};
	const IpiFailure failure = IncompleteIpiInfo{exit->info2}.get(IncompleteIpiInfo::kFailure);

	if (failure > IpiFailure::kInvalidVector)
		return VAPIC_AVIC_IPI_UNKNOWN;
	vcpu->ipi_exits[static_cast<unsigned>(failure)].count_alone();

	switch (failure) {
	case IpiFailure::kTargetNotRunning:
		Round(*vcpu, *exit).visit_destinations();
		return VAPIC_AVIC_IPI_DONE;
	case IpiFailure::kInvalidType:
	case IpiFailure::kInvalidTarget:
		// One invalid destination fails the whole IPI. ICR has been written and the
		// instruction has retired, but some processors leave the busy bit set.
		return icr.get(Icr::kBusy) ? VAPIC_AVIC_IPI_REWRITE : VAPIC_AVIC_IPI_EMULATE;
	case IpiFailure::kInvalidBackingPage:
		// No guest can cause it: every valid entry names a register page.
		broken(Broken::kBackingPageInvalid);
		return VAPIC_AVIC_IPI_DONE;
	case IpiFailure::kInvalidVector:
		// Vectors below 16 are never delivered.
		return VAPIC_AVIC_IPI_DONE;
	}
	return VAPIC_AVIC_IPI_UNKNOWN;
}

void vapic_avic_vcpu_counts(const vapic_avic_vcpu *vcpu, vapic_avic_counts *counts)
{
	for (unsigned i = 0; i < 5; ++i)
		counts->ipi_exits[i] = vcpu->ipi_exits[i].load();
	counts->ipi_woken = vcpu->ipi_woken.load();
	counts->ipi_inactive = vcpu->ipi_inactive.load();
	counts->accesses_trap = vcpu->accesses_trap.load();
	counts->accesses_fault = vcpu->accesses_fault.load();
}
