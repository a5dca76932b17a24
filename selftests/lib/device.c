// SPDX-License-Identifier: GPL-2.0-only
/* See device.h. */
#include "device_kind.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define GSI		24

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
	kind->signal(event);
}

void device_take_away(void)
{
	kind->signal(-1);
	close(event);
	event = -1;
}

void device_route(struct vm *vm, uint32_t apic_id, uint8_t vector)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry;
	} table = {
		.head.nr = 1,
		.entry = {
			.gsi = GSI,
			.type = KVM_IRQ_ROUTING_MSI,
			.u.msi = {
				.address_lo = 0xfee00000 | (apic_id & 0xff) << 12,
				.address_hi = apic_id & ~0xffU,
				.data = vector,
			},
		},
	};

	vm_ioctl(vm, KVM_SET_GSI_ROUTING, &table.head);
}

void device_fire(unsigned int count)
{
	kind->fire(count);
}

struct device_counts device_counts(void)
{
	return kind->counts();
}

uint64_t device_posted(const struct device_counts *counts)
{
	return counts->notified + counts->woken + counts->suppressed + counts->outstanding;
}
