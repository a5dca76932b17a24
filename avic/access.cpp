// SPDX-License-Identifier: GPL-2.0-only
//
// Exit 402h: a register access that hardware does not carry out by itself. A trap-like
// exit comes after the write, a fault-like one instead of the access. And which MSRs of x2APIC
// mode exit before hardware even looks at them.
#include "state.hpp"

using namespace vapic;
using namespace vapic::avic;
using namespace vapic::hw;

namespace {

// True for writes that hardware completes before it exits, according to the manual's
// register table. Reads never trap.
constexpr bool write_traps(ApicRegister reg)
{
	switch (reg) {
	case ApicRegister::kId:
	case ApicRegister::kEoi:
	case ApicRegister::kRemoteRead:
	case ApicRegister::kLdr:
	case ApicRegister::kDfr:
	case ApicRegister::kSpiv:
	case ApicRegister::kEsr:
	case ApicRegister::kIcrLow:
	case ApicRegister::kLvtTimer:
	case ApicRegister::kLvtThermal:
	case ApicRegister::kLvtPerf:
	case ApicRegister::kLvtLint0:
	case ApicRegister::kLvtLint1:
	case ApicRegister::kLvtError:
	case ApicRegister::kTimerInitial:
	case ApicRegister::kTimerDivide:
		return true;
	default:
		return false;
	}
}

constexpr vapic_access_action action(ApicRegister reg, bool trap)
{
	if (!trap)
		return VAPIC_ACCESS_EMULATE;
	switch (reg) {
	case ApicRegister::kRemoteRead:
		return VAPIC_ACCESS_IGNORE; // read-only
	case ApicRegister::kLdr:
	case ApicRegister::kDfr:
		return VAPIC_ACCESS_LOGICAL;
	default:
		return VAPIC_ACCESS_COMMIT;
	}
}

// The manual leaves all other writes to software, and KVM has to see them at once.
constexpr bool write_is_free(ApicRegister reg)
{
	return reg == ApicRegister::kTpr || reg == ApicRegister::kEoi ||
	       reg == ApicRegister::kIcrLow || reg == ApicRegister::kSelfIpi;
}

// Only KVM's timer knows the current count.
constexpr bool read_is_free(ApicRegister reg)
{
	return reg != ApicRegister::kTimerCurrent;
}

} // namespace

void vapic_avic_x2apic_msrs(u64 readable, bool accelerated, u32 *words)
{
	constexpr unsigned kRegisters = 64;
	constexpr unsigned kMsrsPerWord = 16;

	for (unsigned word = 0; word < VAPIC_X2APIC_MSR_WORDS; ++word)
		words[word] = ~u32{0};
	if (!accelerated)
		return;

	for (unsigned number = 0; number < kRegisters; ++number) {
		const auto reg = ApicRegister{number << 4};
		u32 &word = words[number / kMsrsPerWord];
		const u32 read = u32{1} << 2 * (number % kMsrsPerWord);
		const u32 write = read << 1;

		if ((readable >> number & 1) && read_is_free(reg))
			word &= ~read;
		if (write_is_free(reg))
			word &= ~write;
	}
}

void vapic_avic_vcpu_access(vapic_avic_vcpu *vcpu, u64 info1, u64 info2, vapic_access *access)
{
	const UnacceleratedInfo info{info1};
	const auto reg = ApicRegister{info.get(UnacceleratedInfo::kRegister) << 4};
	const bool write = info.get(UnacceleratedInfo::kWrite);
	const bool trap = write && write_traps(reg);

	*access = {
		.offset = static_cast<std::uint32_t>(reg),
		.vector = static_cast<std::uint8_t>(info2),
		.write = write,
		.trap = trap,
		.action = action(reg, trap),
	};
	(trap ? vcpu->accesses_trap : vcpu->accesses_fault).count_alone();
}
