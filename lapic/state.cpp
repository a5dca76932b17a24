// SPDX-License-Identifier: GPL-2.0-only
//
// The state of a local APIC as a whole: saved, restored, and what is derived from it.
//
// Source: Intel SDM volume 3, "Advanced Programmable Interrupt Controller (APIC)", there
// "Divide Configuration Register", "Task and Processor Priorities", "Local APIC State",
// "Extended XAPIC (x2APIC)", and in "Multiple-Processor Management" what INIT and SIPI do;
// AMD64 APM volume 2, "Advanced Programmable Interrupt Controller".
#include <vapic/lapic.h>

#include "register_page.hpp"

using namespace vapic;
using namespace vapic::lapic;
using namespace vapic::hw;

namespace {

const RegisterPage &page(const void *regs)
{
	return *static_cast<const RegisterPage *>(regs);
}

RegisterPage &page(void *regs)
{
	return *static_cast<RegisterPage *>(regs);
}

static_assert(VAPIC_LAPIC_IMAGE == RegisterPage::kWords * sizeof(std::uint32_t));

constexpr unsigned kId = RegisterPage::index(ApicRegister::kId);
constexpr unsigned kLdr = RegisterPage::index(ApicRegister::kLdr);
constexpr unsigned kPpr = RegisterPage::index(ApicRegister::kPpr);
constexpr unsigned kIcrLow = RegisterPage::index(ApicRegister::kIcrLow);
constexpr unsigned kIcrHigh = RegisterPage::index(ApicRegister::kIcrHigh);
constexpr unsigned kTimerCurrent = RegisterPage::index(ApicRegister::kTimerCurrent);

// Upper half of the ICR of x2APIC mode where that is a word of 64 bits, as Intel's
// hardware has it. AMD's keeps it where xAPIC mode does.
constexpr unsigned kIcrUpper = kIcrLow + 1;

} // namespace

static_assert(static_cast<std::uint32_t>(ApicRegister::kTpr) == VAPIC_HOT_TPR);
static_assert(static_cast<std::uint32_t>(Bank::kIsr) == VAPIC_HOT_ISR);
static_assert(VAPIC_NO_VECTOR == RegisterPage::kNone);

u32 vapic_lapic_highest_irr(const void *regs)
{
	return page(regs).highest(Bank::kIrr);
}

u32 vapic_lapic_highest_isr(const void *regs)
{
	return page(regs).highest(Bank::kIsr);
}

u32 vapic_lapic_count_isr(const void *regs)
{
	return page(regs).count(Bank::kIsr);
}

u32 vapic_lapic_deliverable(const void *regs)
{
	const std::uint32_t vector = page(regs).highest(Bank::kIrr);

	if (vector == RegisterPage::kNone || !vapic_hot_above(vector, page(regs).priority().raw()))
		return VAPIC_NO_VECTOR;
	return vector;
}

// ORDERING pir-taken
//   writers:  whoever posts sets bits, IPI hardware and the IOMMU among them; this clears them
//   order:    each word is taken by an exchange, then merged by a locked OR: a bit is in one
//             of the two, or on its way in this CPU, whose task is the only one to look
//   pairs:    none visible: who posts tells by ON, which the caller has cleared before
//   barrier:  here
//   if lost:  a plain store of 0 would erase a bit that was set after the read
//   checked:  lapic_state_test (Posted)
vapic_lapic_irr vapic_lapic_take_posted(void *pir, void *regs)
{
	auto *words = static_cast<std::uint64_t *>(pir);
	std::uint64_t posted[4];
	std::uint32_t newest = VAPIC_NO_VECTOR;

	// All are read before the first is taken, as in vapic_pi_vcpu_sync().
	for (unsigned i = 0; i < 4; ++i)
		posted[i] = __atomic_load_n(&words[i], __ATOMIC_RELAXED);
	for (unsigned i = 0; i < 4; ++i) {
		if (!posted[i])
			continue;

		const std::uint64_t added = page(regs).merge_irr(
			i, __atomic_exchange_n(&words[i], std::uint64_t{0}, __ATOMIC_SEQ_CST));

		if (added)
			newest = 64 * i + (63 ^ static_cast<unsigned>(__builtin_clzll(added)));
	}
	return {page(regs).highest(Bank::kIrr), newest};
}

void vapic_lapic_update_ppr(void *regs)
{
	page(regs).write(ApicRegister::kPpr, page(regs).priority().raw());
}

void vapic_lapic_save(const void *regs, const vapic_lapic_form *form, u32 timer_current,
		      void *image)
{
	auto *to = static_cast<std::uint32_t *>(image);

	page(regs).copy_to(to);
	to[kPpr] = page(regs).priority().raw();
	to[kTimerCurrent] = timer_current;
	if (!form->x2apic)
		return;

	to[kId] = form->x2apic_ids ? form->id : form->id << 24;
	if (!form->icr_split) {
		to[kIcrHigh] = to[kIcrUpper];
		to[kIcrUpper] = 0;
	}
}

bool vapic_lapic_image_fits(const void *image, const vapic_lapic_form *form)
{
	return !form->x2apic || !form->x2apic_ids ||
	       static_cast<const std::uint32_t *>(image)[kId] == form->id;
}

void vapic_lapic_restore(void *regs, const vapic_lapic_form *form, void *image)
{
	auto *from = static_cast<std::uint32_t *>(image);
	RegisterPage &to = page(regs);

	// In the image, since others look at ID and LDR of the page.
	if (form->x2apic) {
		from[kId] = form->id;
		from[kLdr] = x2apic_ldr(form->id);
		if (!form->icr_split)
			from[kIcrUpper] = from[kIcrHigh];
	}
	to.copy_from(from);
	// What an image says follows from its TPR and ISR, or is wrong.
	to.set_word(kPpr, to.priority().raw());
}

void vapic_lapic_reset(void *regs, const vapic_lapic_initial *how)
{
	using enum ApicRegister;

	constexpr std::uint32_t kDistance = 0x10;
	constexpr Lvt kMasked = Lvt{}.with(Lvt::kMasked, true);
	RegisterPage &to = page(regs);

	for (u32 n = 0; n < how->lvts; ++n) {
		// The seventh came later, elsewhere.
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

vapic_lapic_event vapic_lapic_next_event(u32 pending, bool blocked, bool waiting)
{
	const bool sipi = pending >> VAPIC_LAPIC_SIPI & 1;

	if (blocked)
		return sipi ? VAPIC_EVENT_DROP : VAPIC_EVENT_NONE;
	if (pending >> VAPIC_LAPIC_INIT & 1)
		return VAPIC_EVENT_RESET;
	if (!sipi)
		return VAPIC_EVENT_NONE;
	return waiting ? VAPIC_EVENT_START : VAPIC_EVENT_DROP;
}

u32 vapic_lapic_timer_current(const vapic_lapic_timer *timer)
{
	if (!timer->period || !timer->tick)
		return 0;
	return static_cast<u32>(timer->remaining % timer->period / timer->tick);
}

u32 vapic_lapic_timer_divisor(const void *regs)
{
	return TimerDivide{page(regs).read(ApicRegister::kTimerDivide)}.divisor();
}
