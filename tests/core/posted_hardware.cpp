// SPDX-License-Identifier: GPL-2.0-only
//
// See posted_hardware.hpp.
#define SEAM_NO_REDIRECTION
#include "posted_hardware.hpp"

namespace posted::hardware {

std::uint64_t deliver(Memory &m, std::uint64_t)
{
	if (!m[kRvi])
		return 0;
	m[kTaken] |= m[kIrr];
	m[kIrr] = 0;
	m[kRvi] = 0;
	return 0;
}

std::uint64_t inject(Memory &m, std::uint64_t)
{
	m[kTaken] |= m[kIrr];
	m[kIrr] = 0;
	return 0;
}

std::uint64_t store_rvi(Memory &m, std::uint64_t pending)
{
	m[kRvi] = pending;
	return 0;
}

std::uint64_t interrupts_off(Memory &m, std::uint64_t cpu)
{
	m[kGuestOn] = 1 + cpu;
	return 0;
}

std::uint64_t interrupts_on(Memory &m, std::uint64_t)
{
	m[kGuestOn] = 0;
	m[kSignal] = 0;
	return 0;
}

std::uint64_t process_on(Memory &m, std::uint64_t)
{
	m[kControl] &= ~kOn;
	return 0;
}

std::uint64_t process_pir(Memory &m, std::uint64_t)
{
	// The vectors are in the upper half of their PIR word, which is one IRR register.
	const std::uint64_t posted = m[kPir] >> 32;

	m[kPir] = 0;
	m[kIrr] |= posted;
	if (posted)
		m[kRvi] = 1;
	return deliver(m, 0);
}

std::uint64_t post_pir(Memory &m, std::uint64_t vector)
{
	m[kPir] |= std::uint64_t{1} << vector % 64;
	return 0;
}

std::uint64_t post_on(Memory &m, std::uint64_t)
{
	if (m[kControl] & (kOn | kSn))
		return 0;
	m[kControl] |= kOn;
	return m[kControl];
}

std::uint64_t notify(Memory &m, std::uint64_t control)
{
	const std::uint64_t cpu = (control >> 32) - host_id(0);

	if ((control >> 16 & 0xff) == kVectors.wakeup)
		m[cpu ? kWakeup1 : kWakeup0] = 1;
	else if (m[kGuestOn] == 1 + cpu)
		m[kSignal] |= kNotified;
	return 0;
}

std::uint64_t notify_cpu(Memory &m, std::uint64_t cpu)
{
	if (m[kGuestOn] == 1 + cpu)
		m[kSignal] |= kNotified;
	return 0;
}

std::uint64_t interrupt(Memory &m, std::uint64_t)
{
	if (m[kGuestOn])
		m[kSignal] |= kKicked;
	return 0;
}

std::uint64_t wakeup_to_self(Memory &m, std::uint64_t cpu)
{
	m[cpu ? kWakeup1 : kWakeup0] = 1;
	return 0;
}

std::uint64_t wake_waiter(Memory &m, std::uint64_t)
{
	if (m[kWaiter])
		m[kWoken] = 1;
	return 0;
}

std::uint64_t wakeup_handler(Memory &m, std::uint64_t cpu)
{
	if (m[kWaitsOn] != 1 + cpu || !(m[kControl] & kOn))
		return 0;
	m[kWaitsOn] = 0;
	return wake_waiter(m, 0);
}

} // namespace posted::hardware
