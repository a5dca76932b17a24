// SPDX-License-Identifier: GPL-2.0-only
/* The common guest functions, and the host's functions that begin and end them. */
#include "roles.h"

volatile bool roles_finished;

static volatile bool ready[GUEST_MAX_CPUS];
static volatile bool sleeps[GUEST_MAX_CPUS];

static void set_ldr(uint64_t ldr)
{
	if (ldr)
		apic_set_logical_id(ldr);
}

void role_set_ready(void)
{
	ready[guest_self()->index] = true;
}

void role_wait_finished(void)
{
	irq_enable();
	guest_wait(roles_finished);
}

void role_spinner(uint64_t ldr)
{
	set_ldr(ldr);
	role_set_ready();
	role_wait_finished();
}

void role_sleeper(uint64_t ldr)
{
	set_ldr(ldr);
	sleeps[guest_self()->index] = true;
	role_set_ready();
	/* roles_finished may be set between the check and the halt: the host repeats its signal. */
	while (!roles_finished)
		halt_with_irqs();
}

bool role_is_ready(struct vcpu *vcpu)
{
	unsigned int index = vcpu->guest->index;

	return ready[index] && (!sleeps[index] || vcpu_is_blocked(vcpu));
}

void roles_wait_ready(struct vm *vm, unsigned int first)
{
	for (unsigned int i = first; i < vm->vcpu_count; i++)
		vm_wait(vm, role_is_ready(&vm->vcpus[i]), "every vCPU is in its role");
}

void roles_begin(void)
{
	roles_finished = false;
	for (unsigned int i = 0; i < GUEST_MAX_CPUS; i++)
		ready[i] = sleeps[i] = false;
	guest_set_handler(ROLES_STOP_VECTOR, guest_count_irq);
}

void roles_finish(struct vm *vm)
{
	uint64_t deadline = patience_us() + vm_timeout_us();

	roles_finished = true;
	for (unsigned int i = 0; i < vm->vcpu_count; i++) {
		struct vcpu *vcpu = &vm->vcpus[i];

		while (!vcpu->finished) {
			if (patience_us() > deadline)
				vm_fail(vm, "vcpu %u does not come to its end",
					vcpu->guest->index);
			vm_send_msi(vm, vcpu->id, ROLES_STOP_VECTOR);
			sleep_us(200);
		}
	}
	vm_join(vm);
	vm_destroy(vm);
}
