// SPDX-License-Identifier: GPL-2.0-only
//
// The two tables that IPI hardware reads. A vCPU has its entries from the time when KVM has
// accepted it until before its backing page is freed. residency.cpp writes IsRunning.
#include "state.hpp"

using namespace vapic;
using namespace vapic::avic;
using namespace vapic::hw;

namespace {

PageFrame frame(std::uint64_t pa)
{
	if (pa & 0xfff)
		broken(Broken::kMisalignedTable);
	return PageFrame{pa >> 12};
}

LogicalIdEntry logical_entry(const vapic_avic_vcpu &vcpu)
{
	return LogicalIdEntry{}
		.with(LogicalIdEntry::kGuestApicId, vcpu.id)
		.with(LogicalIdEntry::kValid, true);
}

// ORDERING logical-change
//   writers:  every vCPU of the VM, around each change of the logical table
//   order:    begun is counted before the table changes, done after it, both by locked
//             operations
//   pairs:    Round::visit_logical(), which reads the table, then done, then begun
//   barrier:  here
//   if lost:  hardware delivers an IPI by the old table, the exit wakes the vCPUs that are in
//             the new one, and the vCPU with the interrupt sleeps on
//   checked:  ipi_test (VcpuThatLeftTheLogicalTableMeanwhileIsNotMissed)
class LogicalChange {
public:
	explicit LogicalChange(vapic_avic_vm &vm) : vm_(vm) { vm_.logical_begun.count(); }
	~LogicalChange() { vm_.logical_done.count(); }

	LogicalChange(const LogicalChange &) = delete;
	LogicalChange &operator=(const LogicalChange &) = delete;

private:
	vapic_avic_vm &vm_;
};

// ORDERING logical-entry
//   writers:  every vCPU of the VM writes the entry that its LDR names; two vCPUs write the
//             same one when a guest gives both one logical ID
//   order:    a locked compare-exchange; a plain store could erase the entry that another
//             vCPU wrote in between
//   pairs:    IPI hardware, which reads one entry per destination bit
//   barrier:  here
//   if lost:  logical IPIs to the other vCPU exit or go astray until its LDR changes
//   checked:  tables_history_test; selftest ipi_logical
void withdraw(vapic_avic_vcpu &vcpu)
{
	if (vcpu.logical_index == lapic::kNoLogicalIndex)
		return;

	const LogicalChange change(*vcpu.vm);

	// On failure another vCPU has taken over the index, and the entry belongs to it.
	static_cast<void>(vcpu.vm->logical->entries[vcpu.logical_index].try_replace(
		logical_entry(vcpu), LogicalIdEntry{}));
	vcpu.logical_index = lapic::kNoLogicalIndex;
}

} // namespace

// The object of a VM and, behind it, its two arrays: the pointers, then the bytes.
u32 vapic_avic_vm_size(u32 ids)
{
	return static_cast<u32>(sizeof(vapic_avic_vm) + ids * (sizeof(*vapic_avic_vm::vcpus) +
							       sizeof(*vapic_avic_vm::attention)));
}

u32 vapic_avic_vcpu_size()
{
	return sizeof(vapic_avic_vcpu);
}

void vapic_avic_vm_init(vapic_avic_vm *vm, const vapic_avic_tables *tables)
{
	vm->vcpus = reinterpret_cast<Cell<vapic_avic_vcpu *> *>(vm + 1);
	vm->attention = reinterpret_cast<Slot<Attention> *>(vm->vcpus + tables->ids);
	vm->physical = static_cast<Slot<PhysicalIdEntry> *>(tables->physical);
	vm->logical = static_cast<LogicalIdTable *>(tables->logical);
	vm->physical_pa = tables->physical_pa;
	vm->logical_pa = tables->logical_pa;
	vm->ids = tables->ids;
	vm->hide_running = tables->hide_running;
}

bool vapic_avic_vcpu_init(vapic_avic_vcpu *vcpu, vapic_avic_vm *vm, vapic_vcpu *glue, u32 id,
			  void *regs, u64 regs_pa)
{
	if (id >= vm->ids)
		return false;

	vcpu->vm = vm;
	set_attention_at(*vcpu, vcpu->own_attention);
	set_slot_at(*vcpu, vcpu->own_slot);
	vcpu->regs = static_cast<lapic::RegisterPage *>(regs);
	vcpu->glue = glue;
	vcpu->id = GuestApicId{id};
	vcpu->resident = PhysicalIdEntry{}
				 .with(PhysicalIdEntry::kBackingPage, frame(regs_pa))
				 .with(PhysicalIdEntry::kIsRunning, !vm->hide_running)
				 .with(PhysicalIdEntry::kValid, true);
	vcpu->parked = vcpu->resident.with(PhysicalIdEntry::kIsRunning, false)
			       .with(PhysicalIdEntry::kHostApicId, kNoHostApicId);
	vcpu->logical_index = lapic::kNoLogicalIndex;
	attention(*vcpu).publish(
		Attention{}.with(Attention::kInactive, true).with(Attention::kOutside, true));
	slot(*vcpu).publish(vcpu->parked);
	return true;
}

// ORDERING enter
//   writers:  the vCPU's own task, once
//   order:    the table's attention byte, then the pointer to it by a release store; the entry
//             last, because from then on hardware sends to the vCPU and names it in exits
//   pairs:    a software sender: sets IRR, full barrier, then reads the pointer and the byte.
//             If it gets own_attention, which no longer says whether the vCPU sleeps, it read
//             the pointer before the change, so the vCPU sees the IRR bit before it sleeps.
//             IPI hardware reads the entry, and the handler of its exit then reads the byte
//   barrier:  in vapic_avic_vcpu_block(), between this and the vCPU's look at the IRR
//   if lost:  a sender does not wake the vCPU, which sleeps with an interrupt in its IRR
//   checked:  residency_history_test (CreationShowsTheEntryLast); threads_test
//
// ORDERING vcpus
//   writers:  enter_tables(), once, and vapic_avic_vcpu_retire()
//   order:    a locked compare-exchange: the vCPU is complete before a sender finds it, and
//             does not replace a vCPU that is already there
//   pairs:    Round::visit(), which reads the pointer with acquire order and then the vCPU. The
//             caller of vapic_avic_vcpu_ipi() keeps the vCPU alive
//   barrier:  here
//   if lost:  a sender wakes the vCPU by its glue pointer before that is set
//   checked:  residency_history_test (CreationShowsTheEntryLast); threads_test
//
// ORDERING id-end
//   writers:  every vCPU of the VM, when it enters the tables; the value only grows
//   order:    a locked compare-exchange, so that no vCPU undoes what another has written
//   pairs:    Round::visit_everybody(), relaxed: a stale value misses only a vCPU that was not
//             in the tables when the IPI was sent
//   barrier:  here, before the entry in the physical table
//   if lost:  a broadcast does not wake the vCPU with the largest ID
//   checked:  ipi_test; threads_test
void vapic::avic::enter_tables(vapic_avic_vcpu &vcpu)
{
	vapic_avic_vm &vm = *vcpu.vm;
	const std::uint32_t id = vcpu.id.raw();

	// From here on a sender may find the vCPU, so it must be complete.
	if (!vm.vcpus[id].try_replace(nullptr, &vcpu)) {
		// KVM never accepts two vCPUs with the same ID.
		broken(Broken::kEntryForeign);
		return;
	}

	vm.attention[id].publish(attention(vcpu).load().with(Attention::kOutside, false));
	set_attention_at(vcpu, vm.attention[id]);

	for (;;) {
		const std::uint32_t end = vm.id_end.load();

		// On failure another vCPU has raised it meanwhile: look again.
		if (end > id || vm.id_end.try_replace(end, id + 1))
			break;
	}

	vm.physical[id].publish(vcpu.parked);
	set_slot_at(vcpu, vm.physical[id]);
}

bool vapic_avic_vcpu_retire(vapic_avic_vcpu *vcpu)
{
	if (vcpu->retired)
		return false;
	vcpu->retired = true;
	if (attention(*vcpu).load().get(Attention::kOutside))
		return false;

	withdraw(*vcpu);

	const PhysicalIdEntry last = slot(*vcpu).exchange(PhysicalIdEntry{});

	if (last.get(PhysicalIdEntry::kBackingPage) !=
	    vcpu->parked.get(PhysicalIdEntry::kBackingPage))
		broken(Broken::kEntryForeign);

	attention(*vcpu).publish(Attention{});
	vcpu->vm->vcpus[vcpu->id.raw()].publish(nullptr);
	return true;
}

void vapic_avic_vcpu_sync_logical(vapic_avic_vcpu *vcpu, bool x2apic)
{
	// LDR is as RESET left it and names nobody: whatever changes LDR loads the vCPU first.
	if (attention(*vcpu).load().get(Attention::kOutside))
		return;

	const Ldr ldr{vcpu->regs->read(ApicRegister::kLdr)};
	const Dfr dfr{vcpu->regs->read(ApicRegister::kDfr)};
	// KVM emulates LDR writes of an inactive vCPU, unseen by vapic. An old entry would name
	// the wrong vCPU to a sender that becomes active before this vCPU does.
	const bool inactive = attention(*vcpu).load().get(Attention::kInactive);
	// An entry has 8 bits for the ID. A vCPU with a larger one gets logical IPIs only from KVM.
	const bool unnamed = vcpu->id.raw() >= kXapicIds;
	const std::uint32_t index = x2apic || inactive || unnamed ? lapic::kNoLogicalIndex :
								    lapic::logical_index(ldr, dfr);

	if (index != vcpu->logical_index)
		withdraw(*vcpu);
	if (index == lapic::kNoLogicalIndex)
		return;

	Slot<LogicalIdEntry> &entry = vcpu->vm->logical->entries[index];

	vcpu->logical_index = index;
	// Check the entry even if the index is the same: another vCPU may have had the index
	// meanwhile and left the entry empty when it moved on.
	if (entry.load() == logical_entry(*vcpu))
		return;

	const LogicalChange change(*vcpu->vm);

	entry.publish(logical_entry(*vcpu));
}
