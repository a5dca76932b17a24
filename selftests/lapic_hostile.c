// SPDX-License-Identifier: GPL-2.0-only
/*
 * Malformed APIC images from the host: KVM_SET_LAPIC either refuses an image or has a defined
 * result, and a vCPU that has run with the image recovers with a good image.
 *
 * The requirements for every image:
 *  - It is refused, with EINVAL, if and only if the vCPU is in x2APIC mode and the image's ID is
 *    not the vCPU's.  lib/lapic_image.c says what the APIC must hold then, and in other cases.
 *  - A vCPU that runs with it causes no exits to the host that it does not cause otherwise.
 *  - After a good state is restored, the vCPU is as new (lib/victim.h).
 *  - The host's kernel logs no warning, which the testbed checks.
 *
 * Most images follow each other without a run in between; the vCPU runs with one in
 * IMAGES_PER_RUN.
 */
#include "lib/test.h"

#include "lib/hyperv.h"
#include "lib/lapic.h"
#include "lib/lapic_image.h"
#include "lib/victim.h"

/* The victim is paused; true if the image was refused. */
static bool try_image(struct vm *vm, uint32_t number)
{
	struct vcpu *vcpu = &vm->vcpus[VICTIM];
	struct kvm_lapic_state before, image, after;
	bool refuse;
	int result;

	vcpu_ioctl(vcpu, KVM_GET_LAPIC, &before);
	image = before;
	image_spoil(&image);
	refuse = vm->options & VM_X2APIC && lapic_read(&image, APIC_ID) != VICTIM;
	result = victim_give(vm, number, &image);
	if (result != (refuse ? -EINVAL : 0))
		vm_fail(vm, "KVM_SET_LAPIC returned %d where %s", result,
			refuse ? "the ID is wrong" : "nothing forbids it");
	vcpu_ioctl(vcpu, KVM_GET_LAPIC, &after);
	if (refuse)
		image_check_refused(vm, &before, &image, &after);
	else
		image_check_accepted(vm, &before, &image, &after);
	return refuse;
}

static void set_inhibit(struct vm *vm, bool on)
{
	hyperv_set_auto_eoi(&vm->vcpus[VICTIM], on);
}

/*
 * Some images make KVM inhibit acceleration; with a good image it must come back.  Stock of an
 * older Linux never ends the inhibit for a changed APIC ID.
 */
static void expect_acceleration(struct __test_metadata *_metadata, struct vm *vm)
{
	if (!(vm->options & VM_X2APIC) && !stock_before(6, 12))
		EXPECT_EQ(accel_check()->active, vcpu_is_accelerated(&vm->vcpus[0]));
}

static void attack(struct __test_metadata *_metadata, unsigned int options)
{
	struct vm *vm = victim_begin(options);
	uint32_t refused = 0, runs = 0, number = 0;

	NOTE("seed %#llx\n", (unsigned long long)host_random_state);
	image_faults = (struct image_faults){ 0 };
	victim_pause_quietly(vm);
	hyperv_require(&vm->vcpus[VICTIM]);
	victim_recover(vm);
	expect_acceleration(_metadata, vm);
	while (number < rounds) {
		victim_maybe_bombard(vm);
		sleep_us(host_random() % 200);
		victim_pause_quietly(vm);
		/* vCPU 0 would only wait, which takes time on an emulated machine. */
		vcpu_pause(&vm->vcpus[0]);
		for (unsigned int i = 0; i < IMAGES_PER_RUN && number < rounds; i++)
			refused += try_image(vm, number++);
		vcpu_resume(&vm->vcpus[0]);
		runs += victim_run(vm);
		/*
		 * Not right before an image: on Intel, KVM sets the TPR threshold only for an APIC
		 * that is enabled and not accelerated, and an old threshold can make the next VM
		 * entry fail.
		 */
		if (host_random() % 4 == 0)
			set_inhibit(vm, host_random() % 2);
		victim_recover(vm);
	}
	victim_pause_quietly(vm);
	set_inhibit(vm, false);
	victim_recover(vm);
	expect_acceleration(_metadata, vm);
	NOTE("%u images: %u refused, ran with %u, %u interrupts taken\n", number, refused, runs,
	     victim_interrupts());
	if (image_faults.pprs || image_faults.spivs)
		NOTE("stock KVM: %u images had a wrong PPR, %u refused ones changed SPIV\n",
		     image_faults.pprs, image_faults.spivs);
	victim_end(vm);
	EXPECT_EQ(rounds, number);
	if (rounds < 1000)
		return;
	EXPECT_LT(0, runs);
	/* Each recovery causes one interrupt; there must be more, caused by images and traffic. */
	EXPECT_LT(rounds / IMAGES_PER_RUN + 3, victim_interrupts());
	EXPECT_EQ(!!(options & VM_X2APIC), refused > 0);
}

FIXTURE(vcpu) {
};

FIXTURE_VARIANT(vcpu) {
	unsigned int options;
};

FIXTURE_VARIANT_ADD(vcpu, xapic) {
};

FIXTURE_VARIANT_ADD(vcpu, x2apic) {
	.options = VM_X2APIC,
};

FIXTURE_SETUP(vcpu)
{
	REQUIRE_EXPECTED_ACCELERATION();
}

FIXTURE_TEARDOWN(vcpu)
{
}

TEST_F(vcpu, survives_any_image)
{
	attack(_metadata, variant->options);
}

TEST_MAIN(5000)
