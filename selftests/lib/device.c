// SPDX-License-Identifier: GPL-2.0-only
/* See device.h. */
#include "device.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define PARAMETERS	"/sys/module/fake_device/parameters/"
#define GSI		24

static int event = -1;

bool device_is_there(void)
{
	return !access(PARAMETERS "fire", F_OK);
}

static void write_parameter(const char *path, int value)
{
	char text[16];
	int length = snprintf(text, sizeof(text), "%d", value);
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, length) != length) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		_exit(1);
	}
	close(fd);
}

void device_assign(struct vm *vm)
{
	struct kvm_irqfd irqfd = { .gsi = GSI };

	event = eventfd(0, EFD_CLOEXEC);
	if (event < 0)
		vm_fail(vm, "eventfd: %s", strerror(errno));
	irqfd.fd = event;
	vm_ioctl(vm, KVM_IRQFD, &irqfd);
	write_parameter(PARAMETERS "eventfd", event);
}

void device_take_away(void)
{
	write_parameter(PARAMETERS "eventfd", -1);
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
	write_parameter(PARAMETERS "fire", count);
}

struct device_counts device_counts(void)
{
	struct device_counts c = {};
	FILE *file = fopen(PARAMETERS "counts", "r");

	if (!file ||
	    fscanf(file, "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64, &c.notified,
		   &c.woken, &c.suppressed, &c.outstanding, &c.remapped) != 5) {
		fprintf(stderr, PARAMETERS "counts has not five numbers\n");
		_exit(1);
	}
	fclose(file);
	return c;
}

uint64_t device_posted(const struct device_counts *counts)
{
	return counts->notified + counts->woken + counts->suppressed + counts->outstanding;
}
