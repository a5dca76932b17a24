// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every IPI of random traffic among many vCPUs arrives, and arrives once, while
 * vCPUs halt, are preempted, are moved between processors and leave the guest
 * at random.  See lib/traffic.h for how each is accounted for.
 */
#include "lib/modes.h"

#include "lib/traffic.h"

/* How the host disturbs the vCPUs meanwhile. */
enum { MOVE = 1, KICK = 2 };

static void disturb(struct vm *vm, unsigned int how)
{
	struct vcpu *vcpu = &vm->vcpus[host_random() % vm->vcpu_count];

	if (how & MOVE)
		vcpu_pin(vcpu, host_random() % 4 ? host_cpu(host_random() % host_cpu_count()) : -1);
	if (how & KICK) {
		vcpu_pause(vcpu);
		vcpu_resume(vcpu);
	}
}

/* Of all vCPUs: those that share a processor take turns, and one of them may never halt. */
static uint64_t halts(struct vm *vm)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < vm->vcpu_count; i++)
		sum += vcpu_stat(&vm->vcpus[i], "halt_exits");
	return sum;
}

static void run(struct __test_metadata *_metadata, unsigned int vcpus, unsigned int how)
{
	struct vm *vm = vm_create(mode);
	uint64_t disturbances = 0;

	if (mode & VM_X2APIC)
		MAY_MISS_SLEEPERS();
	traffic_begin(vm, vcpus);
	vm_start(vm);
	/* traffic_check() ends this loop if traffic is stuck. */
	while (traffic_handled() < rounds) {
		traffic_check(vm);
		if (how) {
			disturb(vm, how);
			disturbances++;
		}
		sleep_us(500);
	}
	traffic_end(vm);
	EXPECT_LE(rounds, traffic_handled());
	NOTE("%llu IPIs handled, %llu disturbances, %llu halts\n",
	     (unsigned long long)traffic_handled(), (unsigned long long)disturbances,
	     (unsigned long long)halts(vm));
	EXPECT_LT(0, halts(vm));
	vm_destroy(vm);
}

TEST_F(guest, no_ipi_is_lost_among_vcpus_on_their_own_processors)
{
	unsigned int vcpus = host_cpu_count();

	run(_metadata, vcpus < 2 ? 2 : vcpus > TRAFFIC_MAX ? TRAFFIC_MAX : vcpus, 0);
}

TEST_F(guest, no_ipi_is_lost_when_vcpus_share_processors)
{
	run(_metadata, TRAFFIC_MAX, 0);
}

TEST_F(guest, no_ipi_is_lost_when_vcpus_move_between_processors)
{
	run(_metadata, 4, MOVE);
}

TEST_F(guest, no_ipi_is_lost_when_vcpus_leave_the_guest)
{
	run(_metadata, 4, KICK);
}

TEST_F(guest, no_ipi_is_lost_under_all_of_it)
{
	run(_metadata, TRAFFIC_MAX, MOVE | KICK);
}

TEST_MAIN(400)
