// SPDX-License-Identifier: GPL-2.0-only
//
// The register page as C sees it.
#include "register_page.hpp"

#include <vapic/avic.h>

void vapic_lapic_set_irr(void *regs, u8 vector)
{
	static_cast<vapic::lapic::RegisterPage *>(regs)->set_irr(vapic::hw::Vector{vector});
}
