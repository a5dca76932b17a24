// SPDX-License-Identifier: GPL-2.0-only
//
// Restores and resets the state of a local APIC as a whole.
//
// Source: Intel SDM volume 3, "Advanced Programmable Interrupt Controller (APIC)", there
// "Task and Processor Priorities", "Local APIC State", "Extended XAPIC (x2APIC)", and in
// "Multiple-Processor Management" what INIT and SIPI do;
// AMD64 APM volume 2, "Advanced Programmable Interrupt Controller".
#include <vapic/lapic.h>

#include "register_page.hpp"

using namespace vapic;
using namespace vapic::lapic;
using namespace vapic::hw;

namespace {

RegisterPage &page(void *regs)
{
	return *static_cast<RegisterPage *>(regs);
}

static_assert(VAPIC_LAPIC_IMAGE == RegisterPage::kWords * sizeof(std::uint32_t));

constexpr unsigned kId = RegisterPage::index(ApicRegister::kId);
constexpr unsigned kLdr = RegisterPage::index(ApicRegister::kLdr);
constexpr unsigned kIcrLow = RegisterPage::index(ApicRegister::kIcrLow);
constexpr unsigned kIcrHigh = RegisterPage::index(ApicRegister::kIcrHigh);

// Upper half of x2APIC mode's ICR where that is one 64-bit word, as on Intel hardware.
// AMD hardware keeps the upper half where xAPIC mode has it.
constexpr unsigned kIcrUpper = kIcrLow + 1;

} // namespace

static_assert(static_cast<std::uint32_t>(ApicRegister::kId) == VAPIC_LAPIC_ID);
static_assert(static_cast<std::uint32_t>(ApicRegister::kTpr) == VAPIC_LAPIC_TPR);
static_assert(static_cast<std::uint32_t>(ApicRegister::kTimerDivide) == VAPIC_LAPIC_TIMER_DIVIDE);
static_assert(static_cast<std::uint32_t>(ApicRegister::kPpr) == VAPIC_LAPIC_PPR);
static_assert(static_cast<std::uint32_t>(Bank::kIsr) == VAPIC_LAPIC_ISR);
static_assert(static_cast<std::uint32_t>(Bank::kIrr) == VAPIC_LAPIC_IRR);

void vapic_lapic_restore(void *regs, const vapic_lapic_form *form, void *image)
{
	auto *from = static_cast<std::uint32_t *>(image);
	RegisterPage &to = page(regs);

	// Change the image, not the page, because others look at ID and LDR of the page.
	if (form->x2apic) {
		from[kId] = form->id;
		from[kLdr] = x2apic_ldr(form->id);
		if (!form->icr_split)
			from[kIcrUpper] = from[kIcrHigh];
	}
	to.copy_from(from);
	// The image's PPR follows from its TPR and ISR, or is wrong.
	vapic_lapic_update_ppr(regs);
}

void vapic_lapic_reset(void *regs, const vapic_lapic_initial *how)
{
	using enum ApicRegister;

	constexpr std::uint32_t kDistance = 0x10;
	constexpr Lvt kMasked = Lvt{}.with(Lvt::kMasked, true);
	RegisterPage &to = page(regs);

	for (u32 n = 0; n < how->lvts; ++n) {
		// The seventh was added later, at another place.
		const auto lvt = n == 6 ? kLvtCmci :
					  ApicRegister{static_cast<u32>(kLvtTimer) + n * kDistance};

		to.write(lvt, kMasked.raw());
	}
	if (how->lint0_pic)
		to.write(kLvtLint0, Lvt{}.with(Lvt::kDeliveryMode, Lvt::kExtInt).raw());

	if (how->reset)
		to.write(kId, how->id << 24);
	if (!how->x2apic)
		to.write(kLdr, 0);
	to.write(kDfr, ~std::uint32_t{0});
	to.write(kSpiv, 0xff);
	to.write(kTpr, 0);
	to.write(kPpr, 0);
	to.write(kEsr, 0);
	to.write(kIcrLow, 0);
	to.set_word(kIcrUpper, 0);
	to.write(kIcrHigh, 0);
	to.write(kTimerInitial, 0);
	to.write(kTimerCurrent, 0);
	to.write(kTimerDivide, 0);
	to.clear(Bank::kIrr);
	to.clear(Bank::kIsr);
	to.clear(Bank::kTmr);
}
