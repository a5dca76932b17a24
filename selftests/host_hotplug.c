// SPDX-License-Identifier: GPL-2.0-only
/*
 * Processors of the host go offline and come back, and the host is suspended, while guests
 * send IPIs: none may be lost. -n says how many times.
 *
 * The host is suspended as far as the kernel's own test of suspend goes: tasks are frozen,
 * devices are suspended, only the first processor stays online, and then everything resumes.
 * The program needs root, and says so.
 */
#include "lib/test.h"

#include <string.h>
#include <unistd.h>

#include "lib/processors.h"
#include "lib/traffic.h"

#define VECTOR		0x41
#define STUCK_AFTER_US	1000000
#define POWER		"/sys/power/"
#define TEST_DELAY	"/sys/module/suspend/parameters/pm_test_delay"

/* The delay of the kernel's suspend test, in seconds. */
static char test_delay[24];

static void restore_host(void)
{
	processors_restore();
	file_write(POWER "pm_test", "none");
	if (test_delay[0])
		file_write(TEST_DELAY, test_delay);
}

/* Restores the host at the end of a test, whether it failed or not. */
static void restore(struct vm *vm)
{
	(void)vm;
	restore_host();
}

/* The host is put back even if somebody ends the program. */
static void expect_restore(struct vm *vm)
{
	vm->on_failure = restore;
	restore_if_killed(restore_host);
}

#define REQUIRE_VICTIMS() do {						\
	if (!removable_find())						\
		SKIP(return, "no processor may be taken offline by this user"); \
} while (0)

static volatile uint32_t go;
static volatile bool finished;

/* Sends one IPI each time the host says so. */
static void sender(uint64_t arg)
{
	uint32_t sent = 0;

	(void)arg;
	while (!finished) {
		if (go == sent) {
			guest_poll();
			continue;
		}
		apic_send_fixed(guest_cpus[1].apic_id, VECTOR);
		sent++;
	}
}

static void sleeper(uint64_t arg)
{
	struct guest_cpu *self = guest_self();

	(void)arg;
	while (!finished) {
		uint32_t seen = self->irqs[VECTOR];

		irq_disable();
		if (self->irqs[VECTOR] == seen)
			halt_with_irqs();
		irq_enable();
	}
}

/* Sends an IPI; returns true if the sleeper handled it in time. */
static bool one_ipi(struct vm *vm)
{
	uint64_t begun = patience_us();

	go++;
	while (vm->vcpus[1].guest->irqs[VECTOR] != go) {
		if (patience_us() - begun > STUCK_AFTER_US)
			return false;
		sleep_us(50);
	}
	return true;
}

/* Where hardware wakes sleeping vCPUs, stock never wakes those of a processor that went offline. */
static bool stock_strands_sleepers(void)
{
	return accel_check()->active && !accel_check()->vapic && !accel_is_avic() &&
	       !accel_ipis_exit(false);
}

TEST(a_vcpu_that_sleeps_where_a_processor_went_is_woken)
{
	struct vcpu *target;
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	REQUIRE_VICTIMS();
	go = 0;
	finished = false;
	guest_set_handler(VECTOR, guest_count_irq);
	vm = vm_create(0);
	expect_restore(vm);
	vm_add_vcpu(vm, 0, sender, 0);
	target = vm_add_vcpu(vm, 1, sleeper, 0);
	vm_start(vm);
	vcpu_pin(&vm->vcpus[0], host_cpu(0));
	for (uint32_t i = 0; i < rounds; i++) {
		int cpu = removable_cpu(i);

		vm_wait(vm, vcpu_is_blocked(target), "the target sleeps");
		vcpu_pin(target, cpu);
		if (!one_ipi(vm))
			vm_fail(vm, "with all processors there, IPI %u is lost", go);
		vm_wait(vm, vcpu_is_blocked(target), "the target sleeps on the processor");
		/* The vCPU stays on that processor as long as nobody wakes it. */
		vcpu_pin(target, -1);
		processor_set_online(vm, cpu, false);
		if (!one_ipi(vm)) {
			if (!stock_strands_sleepers())
				vm_fail(vm, "IPI %u, to a vCPU that slept on processor %d, is lost", go,
					cpu);
			restore(vm);
			EXPECTED_FAILURE(return, "stock KVM: the sleeper is stranded");
		}
		processor_set_online(vm, cpu, true);
	}
	EXPECT_EQ(2 * rounds, target->guest->irqs[VECTOR]);
	finished = true;
	while (!target->finished) {
		vm_send_msi(vm, target->id, VECTOR);
		sleep_us(1000);
	}
	restore(vm);
	vm_join(vm);
	vm_destroy(vm);
}

static struct vm *busy_vm(void)
{
	struct vm *vm = vm_create(0);

	expect_restore(vm);
	traffic_begin(vm, TRAFFIC_MAX);
	vm_start(vm);
	for (unsigned int i = 0; i < vm->vcpu_count; i++)
		vcpu_pin(&vm->vcpus[i], -1);
	return vm;
}

/* Checks that traffic continues and that every IPI is accounted for. */
static void see_traffic(struct vm *vm)
{
	uint64_t before = traffic_handled();

	do {
		traffic_check(vm);
		sleep_us(100);
	} while (traffic_handled() < before + TRAFFIC_MAX);
}

TEST(no_ipi_is_lost_while_processors_come_and_go)
{
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	REQUIRE_VICTIMS();
	vm = busy_vm();
	for (unsigned int i = 0; i < rounds; i++) {
		processor_set_online(vm, removable_cpu(i), false);
		see_traffic(vm);
		processor_set_online(vm, removable_cpu(i), true);
		see_traffic(vm);
	}
	restore(vm);
	traffic_end(vm);
	NOTE("%u times off and on, %llu IPIs handled\n", rounds,
	     (unsigned long long)traffic_handled());
	vm_destroy(vm);
}

/*
 * Selects the suspend state: with S3, the test goes down to the last processor, otherwise only to
 * the devices. Returns NULL if this user or this kernel cannot suspend.
 */
static const char *choose_suspension(void)
{
	char modes[64];

	if (access(POWER "state", W_OK) || access(POWER "pm_test", W_OK))
		return NULL;
	file_read(TEST_DELAY, test_delay, sizeof(test_delay));
	restore_if_killed(restore_host);
	file_write(TEST_DELAY, "0");
	if (strstr(file_read(POWER "mem_sleep", modes, sizeof(modes)), "[deep]") &&
	    file_write(POWER "pm_test", "core"))
		return "mem";
	return file_write(POWER "pm_test", "platform") ? "freeze" : NULL;
}

TEST(no_ipi_is_lost_when_the_host_is_suspended)
{
	const char *state;
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	state = choose_suspension();
	if (!state) {
		restore(NULL);
		SKIP(return, "no root, or a kernel without /sys/power/pm_test");
	}
	vm = busy_vm();
	for (unsigned int i = 0; i < 1 + rounds / 4; i++) {
		see_traffic(vm);
		if (!file_write(POWER "state", state))
			vm_fail(vm, "the host does not suspend: %s", strerror(errno));
		see_traffic(vm);
	}
	restore(vm);
	traffic_end(vm);
	NOTE("%u times '%s' up to the kernel's test, %llu IPIs handled\n", 1 + rounds / 4, state,
	     (unsigned long long)traffic_handled());
	vm_destroy(vm);
}

/* Each test is a process of its own; this is their parent. */
int main(int argc, char **argv)
{
	int status;

	restore_if_killed(fair_servers_start);
	fair_servers_stop();
	status = test_main(argc, argv, 4);
	fair_servers_start();
	return status;
}
