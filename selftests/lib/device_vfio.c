// SPDX-License-Identifier: GPL-2.0-only
/*
 * QEMU's PCI device edu, which raises its MSI when told so, in the hands of vfio-pci; behind the
 * IOMMU of the emulated AMD host, whose counters say what became of the interrupts.
 */
#include "device_kind.h"

#include <fcntl.h>
#include <libgen.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "counters.h"
#include "pci.h"

#define VENDOR		0x1234
#define DEVICE		0x11e8
/* Of its memory: whoever writes here raises the interrupt. */
#define RAISE		0x60

#define DRIVER		"/sys/bus/pci/drivers/vfio-pci"

static char folder[PCI_PATH_SIZE];
static int device = -1;
static volatile uint32_t *memory;

/* Interrupts of the host, counted before the last one that the kernel freed. */
static uint64_t counted_before;

static bool is_there(void)
{
	return counters_per_cpu() && !access(DRIVER, F_OK) && pci_find(VENDOR, DEVICE, folder);
}

/* The last part of what a link in the device's folder points to. */
static void read_link(const char *name, char *target, size_t size)
{
	char path[256], link[256];
	ssize_t length;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	length = readlink(path, link, sizeof(link) - 1);
	link[length < 0 ? 0 : length] = '\0';
	snprintf(target, size, "%s", length < 0 ? "" : basename(link));
}

static void bind_driver(void)
{
	char driver[32];

	read_link("driver", driver, sizeof(driver));
	if (!strcmp(driver, "vfio-pci"))
		return;
	if (!sysfs_write(folder, "driver_override", "vfio-pci") ||
	    !sysfs_write("/sys/bus/pci", "drivers_probe", basename(folder)))
		device_fail("vfio-pci does not take the device");
}

/* Interrupts are memory writes of the device. */
static void let_it_master_the_bus(void)
{
	struct vfio_region_info config = {
		.argsz = sizeof(config), .index = VFIO_PCI_CONFIG_REGION_INDEX
	};
	uint16_t command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;

	if (ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &config) ||
	    pwrite(device, &command, sizeof(command), config.offset + PCI_COMMAND) !=
		    sizeof(command))
		device_fail("configuration space");
}

/* The first time; what is open closes with the process. */
static void take_device(void)
{
	struct vfio_region_info bar = {
		.argsz = sizeof(bar), .index = VFIO_PCI_BAR0_REGION_INDEX
	};
	char group_name[32], path[64];
	int container, group;

	bind_driver();
	read_link("iommu_group", group_name, sizeof(group_name));
	snprintf(path, sizeof(path), "/dev/vfio/%s", group_name);
	container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	group = open(path, O_RDWR | O_CLOEXEC);
	if (container < 0 || group < 0)
		device_fail(path);
	if (ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) ||
	    ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		device_fail("the group gets no IOMMU");
	device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, basename(folder));
	if (device < 0)
		device_fail("no device in the group");
	let_it_master_the_bus();
	if (ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &bar))
		device_fail("BAR 0");
	memory = mmap(NULL, bar.size, PROT_READ | PROT_WRITE, MAP_SHARED, device, bar.offset);
	if (memory == MAP_FAILED)
		device_fail("BAR 0");
}

/* How often the host took the interrupt itself, to hand it on. */
static uint64_t host_interrupts(void)
{
	FILE *file = fopen("/proc/interrupts", "re");
	char line[4096], name[64];
	uint64_t sum = 0;

	snprintf(name, sizeof(name), "vfio-msi[0](%s)", basename(folder));
	while (file && fgets(line, sizeof(line), file)) {
		char *word, *rest = strchr(line, ':');

		if (!rest || !strstr(line, name))
			continue;
		for (word = strtok(rest + 1, " "); word && strspn(word, "0123456789") == strlen(word);
		     word = strtok(NULL, " "))
			sum += strtoull(word, NULL, 10);
	}
	if (file)
		fclose(file);
	return sum;
}

static void signal_eventfd(int eventfd)
{
	struct {
		struct vfio_irq_set set;
		int eventfd;
	} irq = {
		.set = {
			.argsz = sizeof(irq),
			.flags = VFIO_IRQ_SET_ACTION_TRIGGER |
				 (eventfd < 0 ? VFIO_IRQ_SET_DATA_NONE : VFIO_IRQ_SET_DATA_EVENTFD),
			.index = VFIO_PCI_MSI_IRQ_INDEX,
			.count = eventfd >= 0,
		},
		.eventfd = eventfd,
	};

	if (device < 0)
		take_device();
	if (eventfd < 0)
		counted_before += host_interrupts();
	if (ioctl(device, VFIO_DEVICE_SET_IRQS, &irq))
		device_fail("the device's MSI");
}

static void fire(unsigned int count)
{
	while (count--)
		memory[RAISE / sizeof(*memory)] = 1;
}

static struct device_counts counts(void)
{
	return (struct device_counts){
		.notified = counters_total("doorbell.iommu"),
		.woken = counters_total("iommu.ga_log"),
		.suppressed = counters_total("iommu.quiet") + counters_total("iommu.ga_lost"),
		.remapped = counted_before + host_interrupts(),
	};
}

static bool posts(void)
{
	return true;
}

const struct device_kind device_vfio = {
	.is_there = is_there,
	.signal = signal_eventfd,
	.fire = fire,
	.counts = counts,
	.posts = posts,
};
