// SPDX-License-Identifier: GPL-2.0-only
/*
 * What KVM must refuse or limit when the host sets APIC state: an image with a wrong ID, the
 * period of the timer, the address of the page for the task priority (KVM_SET_VAPIC_ADDR).
 */
#include <sys/ioctl.h>

#include "lib/test.h"

#include "lib/lapic.h"
#include "lib/lapic_image.h"
#include "lib/victim.h"

/* ---- images ---- */

/* Begins with a paused victim, whose APIC state is @held. */
static struct vm *begin_paused(unsigned int options, struct kvm_lapic_state *held)
{
	struct vm *vm = victim_begin(options);

	victim_pause_quietly(vm);
	vcpu_ioctl(&vm->vcpus[VICTIM], KVM_GET_LAPIC, held);
	return vm;
}

/* Tries an image with a wrong ID; @before and @after are the APIC state before and after. */
static void refuse_one(struct vm *vm, const struct kvm_lapic_state *before,
		       struct kvm_lapic_state *image, struct kvm_lapic_state *after)
{
	*image = *before;
	lapic_write(image, APIC_ID, VICTIM + 1);
	lapic_write(image, APIC_SPIV, 0x0f);
	lapic_set(image, APIC_IRR, HOSTILE_VECTOR + 1, true);
	if (victim_give(vm, 0, image) != -EINVAL)
		vm_fail(vm, "an image with a wrong ID is not refused");
	vcpu_ioctl(&vm->vcpus[VICTIM], KVM_GET_LAPIC, after);
}

TEST(refused_image_changes_nothing)
{
	struct kvm_lapic_state before, image, after;
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	vm = begin_paused(VM_X2APIC, &before);
	refuse_one(vm, &before, &image, &after);
	image_check_refused(vm, &before, &image, &after);
	victim_end(vm);
	if (refusal_is_known_to_leave_traces() && image_faults.spivs)
		EXPECTED_FAILURE(return, "stock KVM: SPIV is set before the ID is looked at");
	EXPECT_EQ(lapic_read(&before, APIC_SPIV), lapic_read(&after, APIC_SPIV));
}

TEST(refused_image_keeps_what_is_pending)
{
	struct kvm_lapic_state before, image, after;
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	vm = begin_paused(VM_X2APIC, &before);
	/* On Intel this posts an interrupt, which nothing has processed when the image comes. */
	vm_send_msi(vm, VICTIM, HOSTILE_VECTOR);
	refuse_one(vm, &before, &image, &after);
	victim_end(vm);
	if (refusal_is_known_to_leave_traces() && !lapic_bit(&after, APIC_IRR, HOSTILE_VECTOR))
		EXPECTED_FAILURE(return, "stock KVM: what is posted is discarded before the ID is looked at");
	EXPECT_TRUE(lapic_bit(&after, APIC_IRR, HOSTILE_VECTOR));
	EXPECT_FALSE(lapic_bit(&after, APIC_IRR, HOSTILE_VECTOR + 1));
}

/* Even the shortest timer period must leave the host some time. */
TEST(period_of_a_restored_timer_is_limited)
{
	struct kvm_lapic_state image;
	uint32_t before, ticks;
	struct timespec begun, ended;
	struct vcpu *vcpu;
	uint64_t us;
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	vm = begin_paused(0, &image);
	vcpu = &vm->vcpus[VICTIM];
	lapic_write(&image, APIC_LVT_TIMER, HOSTILE_VECTOR | APIC_TIMER_PERIODIC);
	lapic_write(&image, APIC_TDCR, 0xb);
	lapic_write(&image, APIC_TMICT, 1);
	lapic_write(&image, APIC_TMCCT, 1);
	before = vcpu->guest->irqs[HOSTILE_VECTOR];
	clock_gettime(CLOCK_MONOTONIC, &begun);
	vcpu_ioctl(vcpu, KVM_SET_LAPIC, &image);
	vcpu_resume(vcpu);
	vm_wait_slowly(vm, vcpu->guest->irqs[HOSTILE_VECTOR] - before >= 20, "the timer ticks");
	vcpu_pause(vcpu);
	clock_gettime(CLOCK_MONOTONIC, &ended);
	ticks = vcpu->guest->irqs[HOSTILE_VECTOR] - before;
	us = (ended.tv_sec - begun.tv_sec) * 1000000ULL + ended.tv_nsec / 1000 -
	     begun.tv_nsec / 1000;
	NOTE("%u ticks in %llu us\n", ticks, (unsigned long long)us);
	EXPECT_LE(ticks, us / min_timer_period_us(vm) + 2);
	victim_recover(vm);
	victim_end(vm);
}

/* ---- KVM_SET_VAPIC_ADDR ---- */

#define FAR_PAGE	0x100000000UL

static uint8_t far_page[2][4096] __attribute__((aligned(4096)));

static int set_vapic_addr(struct vcpu *vcpu, uint64_t address)
{
	struct kvm_vapic_addr vapic = { .vapic_addr = address };

	return ioctl(vcpu->fd, KVM_SET_VAPIC_ADDR, &vapic) ? -errno : 0;
}

static void map_far_page(struct vm *vm, bool on)
{
	static bool mapped;
	struct kvm_userspace_memory_region memory = {
		.slot = 1, .guest_phys_addr = FAR_PAGE,
		.memory_size = on ? sizeof(far_page) : 0, .userspace_addr = (uint64_t)far_page,
	};

	if (on != mapped)
		vm_ioctl(vm, KVM_SET_USER_MEMORY_REGION, &memory);
	mapped = on;
}

static uint64_t address_in(uint64_t first, uint64_t size)
{
	return first + host_random() % size;
}

TEST(vapic_page_outside_memory_is_refused_and_one_that_goes_is_forgotten)
{
	struct vcpu *vcpu;
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	NOTE("seed %#llx\n", (unsigned long long)host_random_state);
	vm = victim_begin(0);
	vcpu = &vm->vcpus[VICTIM];
	map_far_page(vm, true);
	for (uint32_t i = 0; i < (rounds + IMAGES_PER_RUN - 1) / IMAGES_PER_RUN; i++) {
		uint64_t beyond = FAR_PAGE + sizeof(far_page), address;
		int wanted, result;

		switch (host_random() % 6) {
		case 0:
			/* Address 0 disables it, which is always allowed. */
			address = 0, wanted = 0;
			break;
		case 1:
			/* Aligned or not, within a page or across two. */
			address = address_in(FAR_PAGE, sizeof(far_page) - 3), wanted = 0;
			break;
		case 2:
			/* The word ends beyond the page. */
			address = address_in(beyond - 3, 3), wanted = -EINVAL;
			break;
		case 3:
			address = address_in(beyond, 1ULL << 40), wanted = -EINVAL;
			break;
		case 4:
			/* The word ends beyond all addresses. */
			address = address_in(-3ULL, 3), wanted = -EINVAL;
			break;
		default:
			/* An address beyond the physical addresses of any processor. */
			address = 1ULL << 52 | host_random(), wanted = -EINVAL;
		}
		vcpu_pause(vcpu);
		result = set_vapic_addr(vcpu, address);
		if (result != wanted)
			vm_fail(vm, "address %u, %llx: KVM_SET_VAPIC_ADDR returned %d, not %d", i,
				(unsigned long long)address, result, wanted);
		/* Any content, because the guest could write anything there. */
		for (unsigned int b = 0; b < sizeof(far_page); b++)
			((uint8_t *)far_page)[b] = host_random();
		if (host_random() % 4 == 0)
			map_far_page(vm, false);
		vcpu_resume(vcpu);
		sleep_us(host_random() % 200);
		vcpu_pause(vcpu);
		EXPECT_EQ(0, set_vapic_addr(vcpu, 0));
		victim_recover(vm);
		map_far_page(vm, true);
	}
	victim_end(vm);
}

TEST_MAIN(5000)
