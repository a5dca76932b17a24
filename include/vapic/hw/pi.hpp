// SPDX-License-Identifier: GPL-2.0-only
//
// Intel's words in memory: the posted-interrupt descriptor and the PID-pointer table.
//
// Source: Intel SDM, volume 3, "Posted-Interrupt Processing", "IPI Virtualization" and
// "Guest Interrupt Status"; Intel Virtualization Technology for Directed I/O, "Posted
// Interrupt Descriptor (PID)".
#pragma once

#include <vapic/hw/atomic.hpp>
#include <vapic/hw/units.hpp>
#include <vapic/hw/word.hpp>

namespace vapic::hw {

// NDST as the descriptor holds it, which depends on the mode of the host's APICs.
using NotificationDestination = Unit<struct NotificationDestinationTag, std::uint32_t>;

// Bits 319:256 of a descriptor, the only part besides PIR. Whoever posts sets ON and whoever
// takes PIR clears it, hardware or software; only software writes the rest.
struct PiControl : Word<PiControl, std::uint64_t> {
	using Word::Word;

	static constexpr At<bool, 0, 1> kOn{}; // outstanding notification
	static constexpr At<bool, 1, 1> kSn{}; // suppress notifications
	static constexpr At<Vector, 16, 8> kNv{};
	static constexpr At<NotificationDestination, 32, 32> kNdst{};
};

static_assert(sizeof(PiControl) == 8);
static_assert(PiControl::kOn.kMask == 0x0000000000000001ull);
static_assert(PiControl::kSn.kMask == 0x0000000000000002ull);
static_assert(PiControl::kNv.kMask == 0x0000000000ff0000ull);
static_assert(PiControl::kNdst.kMask == 0xffffffff00000000ull);
static_assert(disjoint(PiControl::kOn.kMask, PiControl::kSn.kMask, PiControl::kNv.kMask,
		       PiControl::kNdst.kMask));

// A quarter of the posted-interrupt requests: bit n of word w is vector 64 * w + n.
struct PirWord : Word<PirWord, std::uint64_t> {
	using Word::Word;
};

constexpr unsigned kPirWords = 4;

// What IPI hardware, the IOMMU and notification processing read and write. It is part of KVM's
// vcpu_vmx, because the VMCS names the descriptor there.
struct alignas(64) PiDescriptor {
	// ORDERING post, on-clear, sn-clear.
	Slot<PirWord> pir[kPirWords];
	// ORDERING pi-control, post, on-clear.
	Slot<PiControl> control;
	std::uint64_t reserved[3];
};

static_assert(sizeof(PiDescriptor) == 64);
static_assert(__builtin_offsetof(PiDescriptor, control) == 32);

// Address of a descriptor in units of its alignment.
using DescriptorNumber = Unit<struct DescriptorNumberTag, std::uint64_t>;

// Entry of the PID-pointer table, indexed by guest APIC ID. Read by IPI hardware.
struct PidTableEntry : Word<PidTableEntry, std::uint64_t> {
	using Word::Word;

	static constexpr At<bool, 0, 1> kValid{};
	static constexpr At<DescriptorNumber, 6, 46> kDescriptor{};
};

static_assert(sizeof(PidTableEntry) == 8);
static_assert(PidTableEntry::kValid.kMask == 0x0000000000000001ull);
static_assert(PidTableEntry::kDescriptor.kMask == 0x000fffffffffffc0ull);
static_assert(disjoint(PidTableEntry::kValid.kMask, PidTableEntry::kDescriptor.kMask));

// VMCS 0810h: highest requested and highest in-service virtual interrupt.
struct GuestInterruptStatus : Word<GuestInterruptStatus, std::uint16_t> {
	using Word::Word;

	static constexpr At<Vector, 0, 8> kRvi{};
	static constexpr At<Vector, 8, 8> kSvi{};
};

static_assert(GuestInterruptStatus::kRvi.kMask == 0x00ff);
static_assert(GuestInterruptStatus::kSvi.kMask == 0xff00);
static_assert(disjoint(GuestInterruptStatus::kRvi.kMask, GuestInterruptStatus::kSvi.kMask));

} // namespace vapic::hw
