// SPDX-License-Identifier: GPL-2.0-only
/*
 * Makes malformed images, and checks their results:
 *  - A refused image changes nothing.
 *  - After an accepted image, each register reads back as given, except those that the image does
 *    not determine: the version; in x2APIC mode the LDR; PPR, which follows from TPR and ISR; and
 *    the timer's counts.  A change to or from TSC-deadline mode stops the timer, which makes both
 *    counts 0; otherwise the current count is at most what is left of the initial count.  The
 *    timer runs, so its own interrupt may be pending already.
 */
#include "lapic_image.h"

#include <stdio.h>
#include <string.h>

#include "accel.h"
#include "host.h"
#include "lapic.h"
#include "state_check.h"

#define MIN_PERIOD_PARAMETER "/sys/module/kvm/parameters/min_timer_period_us"

struct image_faults image_faults;

/* ---- how to spoil an image ---- */

#define REGISTERS (sizeof(((struct kvm_lapic_state *)0)->regs) / 0x10)

static void fill(struct kvm_lapic_state *image)
{
	for (unsigned int i = 0; i < sizeof(image->regs); i++)
		image->regs[i] = host_random();
}

static void make_timer_strange(struct kvm_lapic_state *image)
{
	static const uint32_t counts[] = { 0, 1, 2, 1000, 0x7fffffff, 0x80000000, 0xffffffff };

	lapic_write(image, APIC_LVT_TIMER, host_random() & (host_random() % 2 ? 0x700ff : 0xffffffff));
	lapic_write(image, APIC_TMICT, counts[host_random() % 7]);
	lapic_write(image, APIC_TMCCT, counts[host_random() % 7]);
	lapic_write(image, APIC_TDCR, host_random() & (host_random() % 2 ? 0xb : 0xffffffff));
}

void image_spoil(struct kvm_lapic_state *image)
{
	unsigned int kind = host_random() % 8;
	uint32_t id = lapic_read(image, APIC_ID);

	switch (kind) {
	case 0:
		fill(image);
		break;
	case 1:
		memset(image->regs, host_random() % 2 ? 0xff : 0, sizeof(image->regs));
		break;
	case 2:
		lapic_write(image, host_random() % REGISTERS * 0x10, host_random());
		break;
	case 3:
		image->regs[host_random() % sizeof(image->regs)] ^= 1U << host_random() % 8;
		break;
	case 4:
		lapic_write(image, APIC_ID, host_random() % 2 ? host_random() :
			    host_random() % 4 << 24 * (host_random() % 2));
		return;
	case 5:
		/* Also sets vectors that no interrupt can have, and vectors of exceptions. */
		for (uint32_t reg = APIC_ISR; reg < APIC_ESR; reg += 0x10)
			lapic_write(image, reg, host_random() & host_random());
		break;
	case 6:
		make_timer_strange(image);
		break;
	case 7:
		lapic_write(image, APIC_LVT_LINT0, host_random());
		lapic_write(image, APIC_SPIV, host_random());
		lapic_write(image, APIC_TPR, host_random());
		lapic_write(image, APIC_DFR, host_random());
		lapic_write(image, APIC_LDR, host_random());
		break;
	}
	/* Most images shall pass KVM's check of the ID. */
	if (host_random() % 4)
		lapic_write(image, APIC_ID, id);
}

/* ---- what its result must be ---- */

static uint32_t timer_mode(const struct kvm_lapic_state *image)
{
	return lapic_read(image, APIC_LVT_TIMER) & APIC_TIMER_MODE;
}

unsigned int min_timer_period_us(struct vm *vm)
{
	static unsigned int us;
	FILE *file;

	if (us)
		return us;
	file = fopen(MIN_PERIOD_PARAMETER, "re");
	if (!file || fscanf(file, "%u", &us) != 1 || !us)
		vm_fail(vm, "%s is not readable", MIN_PERIOD_PARAMETER);
	fclose(file);
	return us;
}

bool refusal_is_known_to_leave_traces(void)
{
	return !vapic_takes_over("kvm_apic_set_state");
}

/* The bits of this register that the timer may have changed, because it can fire at any time. */
static uint32_t changed_by_timer(const struct kvm_lapic_state *after, uint32_t reg)
{
	uint32_t lvt = lapic_read(after, APIC_LVT_TIMER), mode = lvt & 0x700;
	uint32_t offset = (lvt & 0xff) / 32 * 0x10;

	if (lvt & APIC_LVT_MASKED || (mode != ICR_FIXED && mode != ICR_LOWEST) ||
	    (reg != APIC_IRR + offset && reg != APIC_TMR + offset))
		return 0;
	return 1U << lvt % 32;
}

static void check_same(struct vm *vm, const char *what, uint32_t reg, uint32_t wanted,
		       const struct kvm_lapic_state *after)
{
	uint32_t got = lapic_read(after, reg);

	if ((wanted ^ got) & ~changed_by_timer(after, reg))
		vm_fail(vm, "after %s image, register %03x should read back as %x, not %x", what,
			reg, wanted, got);
}

void image_check_refused(struct vm *vm, const struct kvm_lapic_state *before,
			 const struct kvm_lapic_state *image,
			 const struct kvm_lapic_state *after)
{
	for (uint32_t reg = 0; reg < sizeof(image->regs); reg += 0x10) {
		uint32_t wanted = lapic_read(before, reg);

		/* The timer keeps running. */
		if (reg == APIC_TMCCT)
			continue;
		if (reg == APIC_SPIV && refusal_is_known_to_leave_traces() &&
		    lapic_read(after, reg) != wanted) {
			image_faults.spivs++;
			wanted = lapic_read(image, reg);
		}
		check_same(vm, "a refused", reg, wanted, after);
	}
}

/* The upper limit of the timer's current count; a periodic timer may have started a new period. */
static uint32_t max_count(struct vm *vm, const struct kvm_lapic_state *image,
			  const struct kvm_lapic_state *after)
{
	uint32_t initial = lapic_read(after, APIC_TMICT), left = lapic_read(image, APIC_TMCCT);
	/* If KVM prolongs the period, the current count is at most that of the shortest one. */
	uint32_t shortest = min_timer_period_us(vm) * 1000;

	if (!initial)
		return 0;
	switch (timer_mode(image)) {
	case APIC_TIMER_DEADLINE:
		return 0;
	case APIC_TIMER_ONESHOT:
		return left < initial ? left : initial;
	case APIC_TIMER_PERIODIC:
		return initial > shortest ? initial : shortest;
	default:
		/* A reserved mode, which does not count. */
		return ~0U;
	}
}

void image_check_accepted(struct vm *vm, const struct kvm_lapic_state *before,
			  const struct kvm_lapic_state *image,
			  const struct kvm_lapic_state *after)
{
	bool x2apic = vm->options & VM_X2APIC;
	bool stopped = (timer_mode(before) == APIC_TIMER_DEADLINE) !=
		       (timer_mode(image) == APIC_TIMER_DEADLINE);

	for (uint32_t reg = 0; reg < sizeof(image->regs); reg += 0x10) {
		uint32_t wanted = lapic_read(image, reg), got = lapic_read(after, reg);

		switch (reg) {
		case APIC_VERSION:
			wanted = lapic_read(before, reg);
			break;
		case APIC_PPR:
			wanted = lapic_ppr(image);
			if (wanted != got && ppr_is_known_to_be_wrong()) {
				image_faults.pprs++;
				continue;
			}
			break;
		case APIC_LDR:
			if (x2apic)
				wanted = lapic_read(before, reg);
			break;
		case APIC_TMICT:
			if (stopped)
				wanted = 0;
			break;
		case APIC_TMCCT:
			if (got > max_count(vm, image, after))
				vm_fail(vm, "the timer's current count reads back as %x, more "
					"than %x", got, max_count(vm, image, after));
			continue;
		}
		check_same(vm, "an accepted", reg, wanted, after);
	}
}
