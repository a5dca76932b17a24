// SPDX-License-Identifier: GPL-2.0-only
//
// The VMX controls that make up APICv, and the qualifications of its three exits.
//
// Source: Intel SDM, volume 3, "VM-Execution Control Fields" and "APIC Virtualization and
// Virtual Interrupts".
#pragma once

#include <vapic/hw/units.hpp>
#include <vapic/hw/word.hpp>

namespace vapic::hw {

// VMCS 4000h
struct PinControls : Word<PinControls, std::uint32_t> {
	using Word::Word;

	static constexpr At<bool, 7, 1> kPostedInterrupts{};
};

static_assert(PinControls::kPostedInterrupts.kMask == 0x00000080u);

// VMCS 401Eh
struct SecondaryControls : Word<SecondaryControls, std::uint32_t> {
	using Word::Word;

	static constexpr At<bool, 0, 1> kVirtualizeApicAccesses{};
	static constexpr At<bool, 4, 1> kVirtualizeX2apicMode{};
	static constexpr At<bool, 8, 1> kApicRegisterVirtualization{};
	static constexpr At<bool, 9, 1> kVirtualInterruptDelivery{};
};

static_assert(SecondaryControls::kVirtualizeApicAccesses.kMask == 0x00000001u);
static_assert(SecondaryControls::kVirtualizeX2apicMode.kMask == 0x00000010u);
static_assert(SecondaryControls::kApicRegisterVirtualization.kMask == 0x00000100u);
static_assert(SecondaryControls::kVirtualInterruptDelivery.kMask == 0x00000200u);
static_assert(disjoint(SecondaryControls::kVirtualizeApicAccesses.kMask,
		       SecondaryControls::kVirtualizeX2apicMode.kMask,
		       SecondaryControls::kApicRegisterVirtualization.kMask,
		       SecondaryControls::kVirtualInterruptDelivery.kMask));

// VMCS 2034h
struct TertiaryControls : Word<TertiaryControls, std::uint64_t> {
	using Word::Word;

	static constexpr At<bool, 4, 1> kIpiVirtualization{};
};

static_assert(TertiaryControls::kIpiVirtualization.kMask == 0x0000000000000010ull);

// Exit 44. Types above the first four are accesses by physical address.
struct ApicAccessInfo : Word<ApicAccessInfo, std::uint64_t> {
	using Word::Word;

	enum class Type : std::uint32_t { kRead = 0, kWrite = 1, kFetch = 2, kEvent = 3 };

	static constexpr At<std::uint32_t, 0, 12> kOffset{};
	static constexpr At<Type, 12, 4> kType{};
};

static_assert(ApicAccessInfo::kOffset.kMask == 0x0fffull);
static_assert(ApicAccessInfo::kType.kMask == 0xf000ull);
static_assert(disjoint(ApicAccessInfo::kOffset.kMask, ApicAccessInfo::kType.kMask));

// Exit 56: the register that was written, without the low bits of its address.
struct ApicWriteInfo : Word<ApicWriteInfo, std::uint64_t> {
	using Word::Word;

	static constexpr At<std::uint32_t, 4, 8> kRegister{};
};

static_assert(ApicWriteInfo::kRegister.kMask == 0x0ff0ull);

// Exit 45
struct EoiInducedInfo : Word<EoiInducedInfo, std::uint64_t> {
	using Word::Word;

	static constexpr At<Vector, 0, 8> kVector{};
};

static_assert(EoiInducedInfo::kVector.kMask == 0xffull);

} // namespace vapic::hw
