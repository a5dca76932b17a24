// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counts IPIs that do not wake their target: the vCPU stays blocked in the host although the
 * vector is in its IRR.  There must be none, unless VAPIC_UNWOKEN=some says that the run provokes
 * them (AMD erratum 1235, with IsRunning shown to hardware); then there must be one at least, in
 * one of twenty such runs.
 */
#include "lib/modes.h"

#include "lib/lapic.h"

#define VECTOR		0x42

/* An IPI that was sent this long ago, while its target is still blocked, is looked at. */
#define LATE_AFTER_US	400000

/* Where some IPI is to wake nobody, so many runs more are made until one does not. */
#define MORE_RUNS	19

static volatile bool finished;
static volatile uint32_t sent, about_to_halt;

/* Halts once for each IPI, and announces each halt right before. */
static void sleeper(uint64_t count)
{
	struct guest_cpu *self = guest_self();

	for (uint32_t i = 0; i < count; i++) {
		irq_disable();
		about_to_halt = i + 1;
		while (self->irqs[VECTOR] == i) {
			halt_with_irqs();
			irq_disable();
		}
		irq_enable();
	}
	guest_wait(finished);
}

/* Sends while the target goes to sleep: after a random time, which doubles from round to round. */
static void sender(uint64_t count)
{
	struct guest_cpu *target = &guest_cpus[1];
	uint64_t longest = 64;

	for (uint32_t i = 0; i < count; i++) {
		guest_wait(about_to_halt > i);
		guest_delay(guest_random() % longest);
		apic_send_fixed(target->apic_id, VECTOR);
		sent = i + 1;
		guest_wait(target->irqs[VECTOR] > i);
		longest = longest >= 65536 ? 64 : longest * 2;
	}
	guest_wait(finished);
}

/*
 * True if an IPI that has been sent waits in the IRR of a vCPU that is asleep and has handled no
 * more than this.  Taking the vCPU out of KVM_RUN to see that wakes it, and so delivers the IPI.
 */
static bool release_unwoken(struct vcpu *target, uint32_t handled)
{
	struct kvm_lapic_state lapic;
	bool blocked = vcpu_is_blocked(target), waits;

	vcpu_pause(target);
	vcpu_ioctl(target, KVM_GET_LAPIC, &lapic);
	waits = lapic_bit(&lapic, APIC_IRR, VECTOR) && target->guest->irqs[VECTOR] == handled;
	vcpu_resume(target);
	return blocked && waits;
}

static uint32_t count_unwoken(struct vm *vm, uint32_t count)
{
	struct vcpu *target = &vm->vcpus[1];
	uint32_t handled = 0, unwoken = 0;

	while (handled < count) {
		uint64_t begun = patience_us(), sent_since = 0;

		while (target->guest->irqs[VECTOR] == handled) {
			uint64_t now = patience_us();

			if (now - begun > vm_timeout_us())
				vm_fail(vm, "IPI %u of %u was %s, and the target is not asleep",
					handled + 1, count, sent > handled ? "sent" : "never sent");
			if (sent > handled && !sent_since)
				sent_since = now;
			if (sent_since && now - sent_since > LATE_AFTER_US) {
				unwoken += release_unwoken(target, handled);
				sent_since = patience_us();
			}
			sleep_us(50);
		}
		handled = target->guest->irqs[VECTOR];
	}
	return unwoken;
}

/* A VM of its own in which so many IPIs are sent; returns how many did not wake their target. */
static uint32_t run(struct __test_metadata *_metadata, uint32_t count)
{
	struct vm *vm = vm_create(mode);
	uint32_t unwoken;

	finished = false;
	sent = about_to_halt = 0;
	guest_set_handler(VECTOR, guest_count_irq);
	vm_add_vcpu(vm, 0, sender, count);
	vm_add_vcpu(vm, 1, sleeper, count);
	vm_start(vm);
	unwoken = count_unwoken(vm, count);
	NOTE("%u of %u IPIs did not wake their target, which halted %llu and blocked %llu times\n",
	     unwoken, count, (unsigned long long)vcpu_stat(&vm->vcpus[1], "halt_exits"),
	     (unsigned long long)vcpu_stat(&vm->vcpus[1], "halt_wakeup"));
	/* Each of them came in the end, and once. */
	EXPECT_EQ(count, vm->vcpus[1].guest->irqs[VECTOR]);
	finished = true;
	vm_join(vm);
	vm_destroy(vm);
	return unwoken;
}

TEST_F_TIMEOUT(guest, blocked_vcpu_wakes_for_each_ipi, 240)
{
	const char *expected = getenv("VAPIC_UNWOKEN");
	bool provoked = expected && !strcmp(expected, "some");
	uint32_t unwoken = run(_metadata, rounds);

	/* How often it happens depends on the emulated machine's own host. */
	for (int more = 0; provoked && !unwoken && more < MORE_RUNS; more++)
		unwoken = run(_metadata, rounds);
	if (provoked) {
		EXPECT_LT(0, unwoken);
	} else {
		EXPECT_EQ(0, unwoken);
	}
}

TEST_MAIN(500)
