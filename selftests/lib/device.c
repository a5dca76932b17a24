// SPDX-License-Identifier: GPL-2.0-only
/* See device.h. */
#include "device_kind.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cpu.h"
#include "roles.h"
#include "run.h"

#define GSI		24
#define PIC_PINS	16
#define TRAFFIC_VECTOR	0x62

/* NULL: there is none, and the program signals the eventfd itself. */
static const struct device_kind *kind;
static int event = -1;

bool device_is_there(void)
{
	if (device_fake.is_there())
		kind = &device_fake;
	else if (device_vfio.is_there())
		kind = &device_vfio;
	return kind;
}

bool device_is_real(void)
{
	return kind == &device_vfio;
}

void device_fail(const char *what)
{
	fprintf(stderr, "# the device: %s: %s\n", what, strerror(errno));
	_exit(1);
}

void device_assign(struct vm *vm)
{
	struct kvm_irqfd irqfd = { .gsi = GSI };

	event = eventfd(0, EFD_CLOEXEC);
	if (event < 0)
		vm_fail(vm, "eventfd: %s", strerror(errno));
	irqfd.fd = event;
	vm_ioctl(vm, KVM_IRQFD, &irqfd);
	if (kind)
		kind->signal(event);
}

void device_take_away(void)
{
	if (kind)
		kind->signal(-1);
	close(event);
	event = -1;
}

void device_route(struct vm *vm, uint32_t apic_id, uint8_t vector)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entries[GSI + PIC_PINS + 1];
	} table = { 0 };
	struct kvm_irq_routing_entry *entry = table.entries;

	/* The table replaces KVM's, which has these. */
	for (unsigned int pin = 0; pin < GSI; pin++) {
		*entry++ = (struct kvm_irq_routing_entry){
			.gsi = pin,
			.type = KVM_IRQ_ROUTING_IRQCHIP,
			.u.irqchip = { .irqchip = KVM_IRQCHIP_IOAPIC, .pin = pin },
		};
		if (pin >= PIC_PINS)
			continue;
		*entry++ = (struct kvm_irq_routing_entry){
			.gsi = pin,
			.type = KVM_IRQ_ROUTING_IRQCHIP,
			.u.irqchip = { .irqchip = pin < 8 ? KVM_IRQCHIP_PIC_MASTER :
							    KVM_IRQCHIP_PIC_SLAVE,
				       .pin = pin % 8 },
		};
	}
	*entry++ = (struct kvm_irq_routing_entry){
		.gsi = GSI,
		.type = KVM_IRQ_ROUTING_MSI,
		.u.msi = {
			.address_lo = 0xfee00000 | (apic_id & 0xff) << 12,
			.address_hi = apic_id & ~0xffU,
			.data = vector,
		},
	};
	table.head.nr = entry - table.entries;
	vm_ioctl(vm, KVM_SET_GSI_ROUTING, &table.head);
}

bool device_posts(void)
{
	return kind && kind->posts();
}

void device_set_remapped(bool remapped)
{
	kind->set_remapped(remapped);
}

void device_set_pcpu(int pcpu)
{
	kind->set_pcpu(pcpu);
}

int device_eventfd(void)
{
	return event;
}

void device_fire(unsigned int count)
{
	uint64_t one = 1;

	if (kind) {
		kind->fire(count);
		return;
	}
	while (count--)
		if (write(event, &one, sizeof(one)) != sizeof(one))
			device_fail("eventfd");
}

void device_fire_at(struct vcpu *vcpu, uint8_t vector)
{
	volatile uint32_t *irqs = &vcpu->guest->irqs[vector];
	uint32_t handled = *irqs;

	device_fire(1);
	/* Seen at once if it comes soon, so that the next one can come while the vCPU halts. */
	for (unsigned int spins = 0; spins < 1000 && *irqs == handled; spins++)
		cpu_pause();
	vm_wait(vcpu->vm, *irqs != handled, "the device's interrupt is handled");
}

struct device_counts device_counts(void)
{
	return kind->counts();
}

uint64_t device_posted(const struct device_counts *counts)
{
	return counts->notified + counts->woken + counts->suppressed + counts->outstanding;
}

static struct guest_cpu *traffic_target;
static pthread_t traffic_thread;
static volatile bool traffic_ends;
static uint32_t traffic_fired;

static void interrupted(uint64_t arg)
{
	(void)arg;
	irq_enable();
	role_set_ready();
	while (!roles_finished) {
		uint64_t dice = guest_random();

		guest_poll();
		if (dice % 2)
			halt_with_irqs();
		else
			guest_delay(dice >> 8 & 0xfff);
	}
}

static void *keep_firing(void *arg)
{
	struct vm *vm = arg;
	uint64_t seed = 1;

	while (!traffic_ends) {
		device_fire(1);
		traffic_fired++;
		vm_wait(vm, traffic_target->irqs[TRAFFIC_VECTOR] == traffic_fired,
			"the device's interrupt is handled");
		/* The host's random numbers belong to the test. */
		seed = seed * 6364136223846793005 + 1442695040888963407;
		sleep_us(seed >> 33 & 0xff);
	}
	return NULL;
}

void device_traffic_add(struct vm *vm)
{
	uint32_t id = vm->vcpu_count;

	device_is_there();
	guest_set_handler(TRAFFIC_VECTOR, guest_count_irq);
	traffic_target = vm_add_vcpu(vm, id, interrupted, 0)->guest;
	device_route(vm, id, TRAFFIC_VECTOR);
	device_assign(vm);
}

void device_traffic_begin(struct vm *vm)
{
	traffic_ends = false;
	traffic_fired = 0;
	/* With its APIC still disabled it would take none. */
	vm_wait(vm, role_is_ready(&vm->vcpus[traffic_target->index]), "the device's target runs");
	if (pthread_create(&traffic_thread, NULL, keep_firing, vm))
		vm_fail(vm, "no thread for the device");
}

uint64_t device_traffic_end(struct vm *vm)
{
	traffic_ends = true;
	pthread_join(traffic_thread, NULL);
	/* A duplicate would come about now. */
	sleep_us(5000);
	if (traffic_target->irqs[TRAFFIC_VECTOR] != traffic_fired)
		vm_fail(vm, "the device's vCPU has handled %u interrupts of %u",
			traffic_target->irqs[TRAFFIC_VECTOR], traffic_fired);
	device_take_away();
	return traffic_fired;
}
