// SPDX-License-Identifier: GPL-2.0-only
//
// The VMX controls of APICv, the MSR bitmap and the qualifications of exits. The oracle is typed
// from the Intel manual's tables of bits.
#include <vapic/vmx.h>

#include "fuzz.hpp"

namespace {

bool bit(u64 word, u32 n)
{
	return word >> n & 1;
}

// "VM-Execution Control Fields": pin 7, secondary 8 and 9, tertiary 4.
void activate(fuzz::Input &in)
{
	const vapic_vmx_controls before = {in.word(), in.word(), in.quad()};
	const bool active = in.flag(), ipiv = in.flag();
	vapic_vmx_controls after = before;

	vapic_vmx_activate(&after, active, ipiv);
	for (u32 n = 0; n < 32; ++n) {
		HOLDS(bit(after.pin, n) == (n == 7 ? active : bit(before.pin, n)));
		HOLDS(bit(after.secondary, n) ==
		      (n == 8 || n == 9 ? active : bit(before.secondary, n)));
	}
	for (u32 n = 0; n < 64; ++n)
		HOLDS(bit(after.tertiary, n) ==
		      (n == 4 ? active && ipiv : bit(before.tertiary, n)));
}

// Secondary 0 (APIC accesses) and 4 (x2APIC mode), never both.
void mode(fuzz::Input &in)
{
	const vapic_vmx_controls before = {in.word(), in.word(), in.quad()};
	const auto now = static_cast<vapic_apic_mode>(in.below(4));
	const u32 may = in.word();
	vapic_vmx_controls after = before;

	vapic_vmx_set_mode(&after, now, may);
	for (u32 n = 0; n < 32; ++n)
		HOLDS(bit(after.secondary, n) == (n == 0 ? now == VAPIC_APIC_XAPIC && bit(may, 0) :
						  n == 4 ? now == VAPIC_APIC_X2APIC && bit(may, 4) :
							   bit(before.secondary, n)));
	HOLDS(after.pin == before.pin && after.tertiary == before.tertiary);
}

// "Virtualizing MSR-Based APIC Accesses": what the processor does by itself, given the controls.
void msrs(fuzz::Input &in)
{
	const vapic_vmx_controls controls = {in.word(), in.word(), in.quad()};
	const u64 readable = in.quad();
	const bool x2apic = bit(controls.secondary, 4), registers = bit(controls.secondary, 8),
		   ipis = bit(controls.tertiary, 4);
	const vapic_vmx_msrs found = vapic_vmx_x2apic_msrs(&controls, readable);

	for (u32 msr = 0x800; msr < 0x840; ++msr) {
		const bool tpr = msr == 0x808, icr = msr == 0x830;
		const bool read = tpr || (icr && ipis) ||
				  (registers && msr != 0x839 && bit(readable, msr - 0x800));
		const bool write = tpr || (icr && ipis) ||
				   (registers && (msr == 0x80b || msr == 0x83f));

		HOLDS(bit(found.read, msr - 0x800) == !(x2apic && read));
		HOLDS(bit(found.write, msr - 0x800) == !(x2apic && write));
	}
}

// "Exit Qualification for APIC-Access VM Exits from Linear Accesses", "APIC-Write VM Exits" and
// "EOI-Induced VM Exits".
void exits(fuzz::Input &in)
{
	const u64 qualification = in.quad();

	HOLDS(vapic_vmx_is_eoi_write(qualification) ==
	      ((qualification & 0xfff) == 0x0b0 && (qualification >> 12 & 0xf) == 1));
	HOLDS(vapic_vmx_written(qualification) == (qualification & 0xff0));
	HOLDS(vapic_vmx_ended(qualification) == (qualification & 0xff));
}

} // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t *bytes, std::size_t size)
{
	fuzz::Input in(bytes, size);

	switch (in.below(4)) {
	case 0:
		activate(in);
		break;
	case 1:
		mode(in);
		break;
	case 2:
		msrs(in);
		break;
	default:
		exits(in);
	}
	return 0;
}
