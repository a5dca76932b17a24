// SPDX-License-Identifier: GPL-2.0-only
/* Compares the state of a vCPU before and after, register by register. */
#include "state_check.h"

#include <stdio.h>

#include "accel.h"
#include "lapic.h"

bool ppr_is_known_to_be_wrong(void)
{
	return !vapic_takes_over("kvm_apic_set_state");
}

void expect_same(struct vm *vm, unsigned int vcpu, const char *what, uint64_t saved, uint64_t now)
{
	if (saved != now)
		vm_fail(vm, "%s of vcpu %u was saved as %llx and reads back as %llx", what, vcpu,
			(unsigned long long)saved, (unsigned long long)now);
}

static const char *register_name(uint32_t reg)
{
	static char text[16];
	static const struct { uint32_t first, last; const char *name; } names[] = {
		{ APIC_TPR, APIC_TPR, "TPR" },
		{ APIC_ISR, APIC_ISR + 0x70, "ISR" },
		{ APIC_TMR, APIC_TMR + 0x70, "TMR" },
		{ APIC_IRR, APIC_IRR + 0x70, "IRR" },
	};

	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (reg >= names[i].first && reg <= names[i].last)
			return names[i].name;
	snprintf(text, sizeof(text), "register %03x", reg);
	return text;
}

/* Checks the current count of a timer that has run for at most passed_ns. */
static void check_timer(struct vm *vm, unsigned int i, const struct vcpu_state *saved,
			const struct vcpu_state *now, uint64_t passed_ns)
{
	/* Bits 3, 1 and 0 of TDCR, plus one: the power of two, and 7 is the undivided clock. */
	uint32_t tdcr = lapic_read(&saved->lapic, APIC_TDCR);
	uint32_t shift = (((tdcr & 3) | (tdcr >> 1 & 4)) + 1) & 7;
	uint32_t before = lapic_read(&saved->lapic, APIC_TMCCT);
	uint32_t after = lapic_read(&now->lapic, APIC_TMCCT);
	uint64_t passed = (passed_ns >> shift) + 1;
	bool periodic = (lapic_read(&saved->lapic, APIC_LVT_TIMER) & APIC_TIMER_MODE) ==
			APIC_TIMER_PERIODIC;

	if (periodic && passed >= before) {
		/* The timer may have started a new period. */
		if (after <= lapic_read(&saved->lapic, APIC_TMICT))
			return;
	} else if (after <= before && after + passed >= before) {
		return;
	}
	vm_fail(vm, "the timer of vcpu %u was saved at %x and reads back as %x, at most "
		"%llx counts later", i, before, after, (unsigned long long)passed);
}

bool expect_vcpu_same(struct vm *vm, unsigned int i, const struct vcpu_state *saved,
		      const struct vcpu_state *now, uint64_t passed_ns)
{
	uint32_t timer_vector = lapic_read(&saved->lapic, APIC_LVT_TIMER) & 0xff;
	bool ppr_is_right = lapic_ppr(&now->lapic) == lapic_read(&now->lapic, APIC_PPR);

	for (uint32_t reg = APIC_ID; reg <= APIC_TDCR; reg += 0x10) {
		uint32_t before = lapic_read(&saved->lapic, reg);
		uint32_t after = lapic_read(&now->lapic, reg);

		/* The timer may fire at any time. */
		if (reg == APIC_IRR + timer_vector / 32 * 0x10)
			before |= after & 1U << timer_vector % 32;
		if (reg != APIC_TMCCT && reg != APIC_PPR)
			expect_same(vm, i, register_name(reg), before, after);
	}
	if (!ppr_is_known_to_be_wrong())
		expect_same(vm, i, "PPR, by TPR and ISR,", lapic_ppr(&saved->lapic),
			    lapic_read(&now->lapic, APIC_PPR));
	check_timer(vm, i, saved, now, passed_ns);
	if (saved->tsc_deadline != now->tsc_deadline &&
	    (now->tsc_deadline || !lapic_bit(&now->lapic, APIC_IRR, timer_vector)))
		vm_fail(vm, "vcpu %u has lost its TSC deadline", i);
	expect_same(vm, i, "the activity state", saved->mp.mp_state, now->mp.mp_state);
	expect_same(vm, i, "CR8", saved->sregs.cr8, now->sregs.cr8);
	expect_same(vm, i, "the APIC base", saved->sregs.apic_base, now->sregs.apic_base);
	expect_same(vm, i, "RIP", saved->regs.rip, now->regs.rip);
	expect_same(vm, i, "RFLAGS", saved->regs.rflags, now->regs.rflags);
	expect_same(vm, i, "the event being injected",
		    saved->events.interrupt.injected << 8 | saved->events.interrupt.nr,
		    now->events.interrupt.injected << 8 | now->events.interrupt.nr);
	expect_same(vm, i, "the latched INIT", saved->events.smi.latched_init,
		    now->events.smi.latched_init);
	return ppr_is_right;
}
