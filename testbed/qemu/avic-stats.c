/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PCI device avic-stats: the counters of the emulated AVIC, live in BAR 0 (layout
 * in avic-stats.h), and as JSON in a file when the emulator ends.  It only reads:
 * the machine behaves the same with and without it.
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/host-utils.h"
#include "qemu/error-report.h"
#include "hw/boards.h"
#include "hw/core/cpu.h"
#include "hw/pci/pci_device.h"
#include "hw/qdev-properties.h"
#include "system/system.h"
#include "avic.h"

#define TYPE_AVIC_STATS "avic-stats"
OBJECT_DECLARE_SIMPLE_TYPE(AVICStatsDevice, AVIC_STATS)

struct AVICStatsDevice {
    PCIDevice parent_obj;

    MemoryRegion bar;
    Notifier exit;
    char *file;
};

#define HEADER_SIZE (AVIC_STATS_HEADER_WORDS * sizeof(uint64_t))
#define ROW_SIZE    (AVIC_STAT_COUNT * sizeof(uint64_t))

static unsigned cpu_count(void)
{
    unsigned n = 0;
    CPUState *cs;

    CPU_FOREACH(cs) {
        n++;
    }
    return n;
}

static uint64_t cpu_counter(unsigned index, unsigned stat)
{
    CPUState *cs = qemu_get_cpu(index);
    AVICState *avic = cs ? X86_CPU(cs)->avic : NULL;

    return avic ? qatomic_read(&avic->stat[stat]) : 0;
}

static uint64_t bar_word(hwaddr addr)
{
    switch (addr / sizeof(uint64_t)) {
    case AVIC_WORD_MAGIC:
        return AVIC_STATS_MAGIC;
    case AVIC_WORD_VERSION:
        return AVIC_STATS_VERSION;
    case AVIC_WORD_CPUS:
        return cpu_count();
    case AVIC_WORD_COUNTERS:
        return AVIC_STAT_COUNT;
    case AVIC_WORD_FIRST_ROW:
        return HEADER_SIZE;
    case AVIC_WORD_ROW_SIZE:
        return ROW_SIZE;
    }
    if (addr < HEADER_SIZE) {
        return 0;
    }
    addr -= HEADER_SIZE;
    return cpu_counter(addr / ROW_SIZE, addr % ROW_SIZE / sizeof(uint64_t));
}

static uint64_t bar_read(void *opaque, hwaddr addr, unsigned size)
{
    uint64_t word = bar_word(addr & ~7ull);

    return extract64(word, (addr & 7) * 8, size * 8);
}

static void bar_write(void *opaque, hwaddr addr, uint64_t val, unsigned size)
{
}

static const MemoryRegionOps bar_ops = {
    .read = bar_read,
    .write = bar_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid.min_access_size = 1,
    .valid.max_access_size = 8,
    .impl.min_access_size = 1,
    .impl.max_access_size = 8,
};

/* Counters that are zero are left out. */
static void write_row(FILE *out, unsigned cpu)
{
    const char *separator = "";
    char name[48];
    unsigned i;

    fprintf(out, "{");
    for (i = 0; i < AVIC_STAT_COUNT; i++) {
        uint64_t value = cpu_counter(cpu, i);

        if (value) {
            avic_stat_name(i, name);
            fprintf(out, "%s\"%s\": %" PRIu64, separator, name, value);
            separator = ", ";
        }
    }
    fprintf(out, "}");
}

static void write_file(Notifier *n, void *unused)
{
    AVICStatsDevice *s = container_of(n, AVICStatsDevice, exit);
    FILE *out = fopen(s->file, "w");
    unsigned cpus = cpu_count();
    unsigned i;

    if (!out) {
        error_report("avic-stats: cannot write %s: %s", s->file, strerror(errno));
        return;
    }
    fprintf(out, "{\"version\": %d, \"cpus\": [", AVIC_STATS_VERSION);
    for (i = 0; i < cpus; i++) {
        fprintf(out, "%s\n", i ? "," : "");
        write_row(out, i);
    }
    fprintf(out, "\n]}\n");
    if (fclose(out)) {
        error_report("avic-stats: cannot write %s: %s", s->file, strerror(errno));
    }
}

static void avic_stats_realize(PCIDevice *dev, Error **errp)
{
    AVICStatsDevice *s = AVIC_STATS(dev);
    MachineState *machine = MACHINE(qdev_get_machine());
    uint64_t size = pow2ceil(HEADER_SIZE + machine->smp.max_cpus * ROW_SIZE);

    memory_region_init_io(&s->bar, OBJECT(s), &bar_ops, s, TYPE_AVIC_STATS, size);
    pci_register_bar(dev, 0, PCI_BASE_ADDRESS_SPACE_MEMORY, &s->bar);
    if (s->file) {
        s->exit.notify = write_file;
        qemu_add_exit_notifier(&s->exit);
    }
}

static void avic_stats_exit(PCIDevice *dev)
{
    AVICStatsDevice *s = AVIC_STATS(dev);

    if (s->file) {
        qemu_remove_exit_notifier(&s->exit);
    }
}

static const Property avic_stats_properties[] = {
    DEFINE_PROP_STRING("file", AVICStatsDevice, file),
};

static void avic_stats_class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    PCIDeviceClass *pc = PCI_DEVICE_CLASS(klass);

    pc->realize = avic_stats_realize;
    pc->exit = avic_stats_exit;
    pc->vendor_id = AVIC_STATS_PCI_VENDOR;
    pc->device_id = AVIC_STATS_PCI_DEVICE;
    pc->class_id = PCI_CLASS_OTHERS;
    dc->desc = "Counters of the emulated AVIC";
    device_class_set_props(dc, avic_stats_properties);
    set_bit(DEVICE_CATEGORY_MISC, dc->categories);
}

static const TypeInfo avic_stats_info = {
    .name = TYPE_AVIC_STATS,
    .parent = TYPE_PCI_DEVICE,
    .instance_size = sizeof(AVICStatsDevice),
    .class_init = avic_stats_class_init,
    .interfaces = (InterfaceInfo[]) {
        { INTERFACE_CONVENTIONAL_PCI_DEVICE },
        { },
    },
};

static void avic_stats_register_types(void)
{
    type_register_static(&avic_stats_info);
}

type_init(avic_stats_register_types)
