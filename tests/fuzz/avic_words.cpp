// SPDX-License-Identifier: GPL-2.0-only
//
// AVIC's words one at a time: both exits' information, the permission map of the MSRs, the words of
// a VMCB, and the tags of the IOMMU's log. The oracle is typed from the AMD64 manual's tables.
#include <vapic/avic.h>

#include <algorithm>
#include <iterator>

#include "fuzz.hpp"
#include "host.hpp"
#include "machine.hpp"

namespace {

// "Guest vAPIC Register Access Behavior": writes after which the processor exits. Other accesses
// exit instead of taking place.
constexpr u32 kTraps[] = {0x020, 0x0b0, 0x0c0, 0x0d0, 0x0e0, 0x0f0, 0x280, 0x300,
			  0x320, 0x330, 0x340, 0x350, 0x360, 0x370, 0x380, 0x3e0};

void access(fuzz::Input &in, Vcpu &vcpu)
{
	const u64 info1 = in.quad(), info2 = in.quad();
	const u32 offset = static_cast<u32>(info1) & 0xff0;
	const bool write = info1 >> 32 & 1;
	const bool trap = write && std::count(std::begin(kTraps), std::end(kTraps), offset);
	const vapic_avic_access_action action = !trap		? VAPIC_AVIC_ACCESS_EMULATE :
						offset == 0x0c0 ? VAPIC_AVIC_ACCESS_IGNORE :
						(offset == 0x0d0 || offset == 0x0e0) ?
								  VAPIC_AVIC_ACCESS_LOGICAL :
								  VAPIC_AVIC_ACCESS_COMMIT;
	const vapic_avic_counts before = vcpu.counts();
	vapic_avic_access found;

	vapic_avic_vcpu_access(vcpu.core(), info1, info2, &found);
	HOLDS(found.offset == offset && found.write == write && found.trap == trap);
	HOLDS(found.vector == (info2 & 0xff));
	HOLDS(found.action == action);
	HOLDS(vcpu.counts().accesses_trap == before.accesses_trap + trap);
	HOLDS(vcpu.counts().accesses_fault == before.accesses_fault + !trap);
}

// "AVIC IPI Delivery Not Completed": what each failure leaves to do, if it sends nothing.
void failure(fuzz::Input &in, Vcpu &vcpu)
{
	const u64 icr = in.quad();
	const u32 id = in.flag() ? in.below(8) : in.word();
	const bool busy = icr >> 12 & 1;
	const vapic_avic_counts before = vcpu.counts();
	host::ExpectBroken broken;

	if (id == 1)
		return;

	const vapic_avic_ipi_exit exit = {icr, u64{id} << 32 | in.word(), in.flag(), in.flag()};
	const vapic_avic_ipi_action found = vapic_avic_vcpu_ipi(vcpu.core(), &exit);

	if (id == 0 || id == 2)
		HOLDS(found == (busy ? VAPIC_AVIC_IPI_REWRITE : VAPIC_AVIC_IPI_EMULATE));
	else
		HOLDS(found == (id > 4 ? VAPIC_AVIC_IPI_UNKNOWN : VAPIC_AVIC_IPI_DONE));
	HOLDS((broken.take() == std::vector{vapic::Broken::kBackingPageInvalid}) == (id == 3));
	for (u32 n = 0; n < 5; ++n)
		HOLDS(vcpu.counts().ipi_exits[n] == before.ipi_exits[n] + (n == id));
	HOLDS(host::take_targets().empty());
}

// "MSR Intercepts": bit 2n is a read of MSR 800h + n, bit 2n + 1 a write.
void msrs(fuzz::Input &in)
{
	const u64 readable = in.quad();
	const bool accelerated = in.flag();
	u32 words[VAPIC_AVIC_MSR_WORDS];

	for (u32 &word : words)
		word = in.word();
	vapic_avic_x2apic_msrs(readable, accelerated, words);
	for (u32 msr = 0x800; msr < 0x900; ++msr) {
		const u32 bit = 2 * (msr - 0x800);
		// TPR, EOI, ICR and SELF IPI.
		const bool writes = msr == 0x808 || msr == 0x80b || msr == 0x830 || msr == 0x83f;
		// The current count, 839h, is KVM's to compute.
		const bool reads = msr < 0x840 && msr != 0x839 && (readable >> (msr - 0x800) & 1);

		HOLDS((words[bit / 32] >> bit % 32 & 1) == !(accelerated && reads));
		HOLDS((words[bit / 32] >> (bit % 32 + 1) & 1) == !(accelerated && writes));
	}
	HOLDS(vapic_avic_x2apic_msrs_pass(words) == accelerated);
}

// "VMCB Changes for AVIC".
void vmcb(fuzz::Input &in, const Machine &machine, const Vcpu &vcpu)
{
	const u32 int_ctl = in.word();
	const auto mode = static_cast<vapic_avic_mode>(in.below(3));
	// Bit 31 enables AVIC, bit 30 x2AVIC, which needs bit 31.
	const u32 bits[] = {0, 0x80000000, 0xc0000000};
	// In xAPIC mode VMRUN refuses a last index above FEh.
	const u32 most = mode == VAPIC_AVIC_X2APIC ? 4096 : 255;
	const u32 last = mode == VAPIC_AVIC_OFF ? 0 : std::min(machine.ids(), most) - 1;
	vapic_avic_vmcb words;

	vapic_avic_vcpu_vmcb_words(vcpu.core(), int_ctl, mode, &words);
	HOLDS(words.apic_bar == 0xfee00000);
	HOLDS(words.backing_page == vcpu.regs_pa());
	HOLDS(words.logical_table == Machine::kLogicalPa);
	HOLDS(words.physical_table == Machine::kPhysicalPa + last);
	HOLDS(words.int_ctl == ((int_ctl & 0x3fffffff) | bits[mode]));
}

void tags(fuzz::Input &in, const Machine &machine, const Vcpu &vcpu)
{
	const u32 vm = 1 + in.word() % VAPIC_AVIC_GA_TAG_VMS;
	const u32 tag = vapic_avic_ga_tag(vm, vcpu.core());

	HOLDS(tag);
	HOLDS(vapic_avic_ga_tag_vm(tag) == vm);
	HOLDS(vapic_avic_ga_tag_vcpu(tag) == vcpu.id());

	// The log may hold anything; no two tags mean the same.
	const u32 any = in.word();
	const u32 id = vapic_avic_ga_tag_vcpu(any);

	HOLDS((any == tag) == (vapic_avic_ga_tag_vm(any) == vm && id == vcpu.id()));
	HOLDS(vapic_avic_vm_find(machine.core(), any) ==
	      (any == vcpu.id() ? vcpu.host() : nullptr));
	HOLDS(vapic_avic_vm_find(machine.core(), id) == (id == vcpu.id() ? vcpu.host() : nullptr));
}

} // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t *bytes, std::size_t size)
{
	static constexpr u32 kIds[] = {255, 512, 4096, 1, 256};
	fuzz::Input in(bytes, size);
	Machine machine(in.flag(), kIds[in.below(5)]);
	Vcpu &vcpu = machine.add_active(in.below(machine.ids()));

	while (in.more()) {
		switch (in.below(5)) {
		case 0:
			access(in, vcpu);
			break;
		case 1:
			failure(in, vcpu);
			break;
		case 2:
			msrs(in);
			break;
		case 3:
			vmcb(in, machine, vcpu);
			break;
		default:
			tags(in, machine, vcpu);
		}
	}
	return 0;
}
