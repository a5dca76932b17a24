// SPDX-License-Identifier: GPL-2.0-only
//
// The register page: images of KVM_SET_LAPIC, RESET and INIT, banks of vectors, priorities. The
// oracle is an array of words, sets of vectors, and the manual's tables.
#include <vapic/lapic.h>
#include <vapic/lapic_hot.h>

#include <bitset>
#include <cstring>
#include <vector>

#include "fuzz.hpp"
#include "machine.hpp"

namespace {

constexpr u32 kIsr = 0x100, kTmr = 0x180, kIrr = 0x200;
constexpr u32 kImageWords = 0x400 / 4;

using Words = std::vector<u32>;
using Vectors = std::bitset<256>;

// A page of zeros, or of words that all differ, but for some of the input's choice.
Words chosen(fuzz::Input &in, u32 count)
{
	Words words(count);

	if (in.flag()) {
		const u32 first = in.word();

		for (u32 n = 0; n < count; ++n)
			words[n] = first + n * 0x9e3779b1;
	}
	for (u32 n = in.below(24); n > 0 && in.more(); --n) {
		const u32 at = in.half();

		// A register, or any word.
		words[(at & 0x8000 ? at : at * 4) % count] = in.word();
	}
	return words;
}

Vectors bank(const Words &words, u32 offset)
{
	Vectors vectors;

	for (u32 n = 8; n-- > 0;)
		vectors = vectors << 32 | Vectors(words[(offset + n * 16) / 4]);
	return vectors;
}

u32 highest(const Vectors &vectors)
{
	for (u32 vector = 256; vector-- > 0;)
		if (vectors[vector])
			return vector;
	return VAPIC_NO_VECTOR;
}

// "Processor Priority Register": PPR[7:4] is the greater of TPR[7:4] and the class of the highest
// vector in service; PPR[3:0] is TPR[3:0] if TPR[7:4] is not less, else 0.
u32 ppr(const Words &words)
{
	const u32 tpr = words[0x080 / 4] & 0xff;
	const u32 vector = highest(bank(words, kIsr));
	const u32 service = vector == VAPIC_NO_VECTOR ? 0 : vector / 16;

	return tpr / 16 >= service ? tpr : service * 16;
}

class Page {
public:
	explicit Page(const Words &words) : block_(4096, 4096)
	{
		std::memcpy(get(), words.data(), 4096);
	}

	void *get() const { return block_.get(); }
	Words words() const
	{
		Words words(1024);

		std::memcpy(words.data(), get(), 4096);
		return words;
	}

private:
	Block block_;
};

// Each register that differs is a finding.
void same(const Words &found, const Words &expected)
{
	for (u32 n = 0; n < expected.size(); ++n)
		HOLDS(found[n] == expected[n]);
}

void restore(fuzz::Input &in, const Words &before)
{
	const u8 flags = in.byte();
	const vapic_lapic_form form = {
		.x2apic = (flags & 1) != 0,
		.icr_split = (flags & 2) != 0,
		.x2apic_ids = (flags & 4) != 0,
		.id = in.below(4096),
	};
	const Words image = chosen(in, kImageWords);
	Words given = image;
	Words expected = before;
	const Page page(before);

	HOLDS(vapic_lapic_image_fits(image.data(), &form) ==
	      (!(form.x2apic && form.x2apic_ids) || image[0x020 / 4] == form.id));
	vapic_lapic_restore(page.get(), &form, given.data());

	std::memcpy(expected.data(), image.data(), sizeof(u32) * kImageWords);
	if (form.x2apic) {
		// In x2APIC mode ID and LDR are not the guest's to choose.
		expected[0x020 / 4] = form.id;
		expected[0x0d0 / 4] = form.id / 16 * 0x10000 + (1u << form.id % 16);
		// Intel's page has ICR as one word of 64 bits at 300h.
		if (!form.icr_split)
			expected[0x304 / 4] = image[0x310 / 4];
	}
	expected[0x0a0 / 4] = ppr(image);
	same(page.words(), expected);

	// What is saved and restored again is the same.
	alignas(8) u32 saved[kImageWords];
	const Page again(before);

	vapic_lapic_copy(saved, page.get());
	HOLDS(vapic_lapic_image_fits(saved, &form) || !form.x2apic);
	vapic_lapic_restore(again.get(), &form, saved);
	same(again.words(), expected);
}

// "Local APIC State After Power-Up or Reset", and after INIT.
void reset(fuzz::Input &in, const Words &before)
{
	const u8 flags = in.byte();
	const vapic_lapic_initial how = {
		.x2apic = (flags & 1) != 0,
		.reset = (flags & 2) != 0,
		.lint0_pic = (flags & 4) != 0,
		.id = in.byte(),
		.lvts = flags & 8 ? 7u : 6u,
	};
	const Page page(before);
	Words expected = before;

	for (u32 offset = 0; offset < 0x400; offset += 4) {
		u32 &to = expected[offset / 4];

		// The register's other words are nobody's, but for the upper half of ICR.
		if (offset == 0x304)
			to = 0;
		if (offset % 16)
			continue;
		if (offset >= kIsr && offset < kIrr + 0x80)
			to = 0;
		switch (offset) {
		case 0x020:
			if (how.reset)
				to = how.id << 24;
			break;
		case 0x0d0:
			if (!how.x2apic)
				to = 0;
			break;
		case 0x0e0:
			to = 0xffffffff;
			break;
		case 0x0f0:
			to = 0xff;
			break;
		case 0x350:
			to = how.lint0_pic ? 0x700 : 0x10000;
			break;
		case 0x2f0:
			if (how.lvts == 7)
				to = 0x10000;
			break;
		case 0x320:
		case 0x330:
		case 0x340:
		case 0x360:
		case 0x370:
			to = 0x10000;
			break;
		case 0x080:
		case 0x0a0:
		case 0x280:
		case 0x300:
		case 0x310:
		case 0x380:
		case 0x390:
		case 0x3e0:
			to = 0;
			break;
		}
	}
	vapic_lapic_reset(page.get(), &how);
	same(page.words(), expected);
}

void banks(fuzz::Input &in, Words before)
{
	const u8 near = in.byte();

	// The task's priority is often of the class in service, or of one beside it.
	if (near & 1)
		before[0x080 / 4] = (highest(bank(before, kIsr)) & 0xf0) + near - 0x80u;

	const Page page(before);
	Words expected = before;
	const Vectors irr = bank(before, kIrr), isr = bank(before, kIsr), tmr = bank(before, kTmr);
	const u8 vector = in.byte();
	const u32 service = highest(isr);
	const u32 tpr = before[0x080 / 4] & 0xff;

	HOLDS(vapic_lapic_highest(page.get(), kIrr) == highest(irr));
	HOLDS(vapic_lapic_highest(page.get(), kIsr) == service);
	HOLDS(vapic_lapic_count(page.get(), kIsr) == isr.count());
	HOLDS(vapic_lapic_count(page.get(), kTmr) == tmr.count());
	HOLDS(vapic_lapic_test(page.get(), kTmr, vector) == tmr[vector]);
	HOLDS(vapic_lapic_ppr(page.get(), service) == ppr(before));
	// An interrupt is taken if its class is above the processor's priority.
	HOLDS(vapic_lapic_takes(page.get(), vector, service == VAPIC_NO_VECTOR ? 0 : service) ==
	      (vector / 16 > ppr(before) / 16));
	HOLDS(vapic_lapic_above(vector, tpr) == (vector / 16 > tpr / 16));

	// "Divide Configuration Register": 111b divides by 1.
	static constexpr u32 kDivisors[] = {2, 4, 8, 16, 32, 64, 128, 1};
	const u32 divide = before[0x3e0 / 4];

	HOLDS(vapic_lapic_timer_divisor(page.get()) ==
	      kDivisors[(divide & 8 ? 4 : 0) + (divide & 2 ? 2 : 0) + (divide & 1 ? 1 : 0)]);
	same(page.words(), expected);

	vapic_lapic_update_ppr(page.get());
	expected[0x0a0 / 4] = ppr(before);
	same(page.words(), expected);

	vapic_lapic_set_irr(page.get(), vector);
	Vectors with = irr;
	with[vector] = true;
	HOLDS(bank(page.words(), kIrr) == with);
	expected[(kIrr + vector / 32 * 16) / 4] |= 1u << vector % 32;
	same(page.words(), expected);
}

} // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t *bytes, std::size_t size)
{
	fuzz::Input in(bytes, size);
	const u32 what = in.below(3);
	const Words before = chosen(in, 1024);

	if (what == 0)
		restore(in, before);
	else if (what == 1)
		reset(in, before);
	else
		banks(in, before);
	return 0;
}
