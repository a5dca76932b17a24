// SPDX-License-Identifier: GPL-2.0-only
//
// Exit 402h: a register access that hardware does not carry out by itself. A trap-like
// exit comes after the write, a fault-like one instead of the access. And which MSRs of x2APIC
// mode exit before hardware even looks at them.
#include "../lapic/x2apic.hpp"
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

constexpr vapic_avic_access_action action(ApicRegister reg, bool trap)
{
	if (!trap)
		return VAPIC_AVIC_ACCESS_EMULATE;
	switch (reg) {
	case ApicRegister::kRemoteRead:
		return VAPIC_AVIC_ACCESS_IGNORE; // read-only
	case ApicRegister::kLdr:
	case ApicRegister::kDfr:
		return VAPIC_AVIC_ACCESS_LOGICAL;
	default:
		return VAPIC_AVIC_ACCESS_COMMIT;
	}
}

// The bit of MSR 800h + `number` in its word; that of writes is the next.
constexpr unsigned kMsrsPerWord = 16;

constexpr u32 read_bit(unsigned number)
{
	return u32{1} << 2 * (number % kMsrsPerWord);
}

constexpr u32 write_bit(unsigned number)
{
	return read_bit(number) << 1;
}

static_assert(read_bit(0x08) == 0x00010000 && write_bit(0x08) == 0x00020000);
static_assert(read_bit(0x3f) == 0x40000000 && write_bit(0x3f) == 0x80000000);

} // namespace

void vapic_avic_x2apic_msrs(u64 readable, bool accelerated, u32 *words)
{
	using I = X2apicIntercepts;

	constexpr unsigned kRegisters = 64;
	constexpr I kAll{~std::uint64_t{0}};
	// The manual leaves all other writes to software, and KVM has to see them at once.
	constexpr I kWrites = kAll.with(I::kTpr, false)
				      .with(I::kEoi, false)
				      .with(I::kIcr, false)
				      .with(I::kSelfIpi, false);
	const u64 read = (accelerated ? lapic::x2apic_read_intercepts(readable) : kAll).raw();
	const u64 write = (accelerated ? kWrites : kAll).raw();

	for (unsigned word = 0; word < VAPIC_AVIC_MSR_WORDS; ++word)
		words[word] = ~u32{0};
	for (unsigned number = 0; number < kRegisters; ++number) {
		if (!(read >> number & 1))
			words[number / kMsrsPerWord] &= ~read_bit(number);
		if (!(write >> number & 1))
			words[number / kMsrsPerWord] &= ~write_bit(number);
	}
}

// Each vCPU that is accelerated may write its TPR, whatever its model of APIC lets it read.
bool vapic_avic_x2apic_msrs_pass(const u32 *words)
{
	constexpr unsigned kTpr = static_cast<unsigned>(ApicRegister::kTpr) >> 4;

	return !(words[kTpr / kMsrsPerWord] & write_bit(kTpr));
}

void vapic_avic_vcpu_access(vapic_avic_vcpu *vcpu, u64 info1, u64 info2, vapic_avic_access *access)
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
