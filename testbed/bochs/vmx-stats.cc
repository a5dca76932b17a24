/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The counters of the emulated VMX, and the PCI device that shows them (layout in
 * vmx-stats.h). Unless a guest writes a seed, the machine behaves the same with and
 * without it.
 */

#include "iodev/iodev.h"
#include "cpu.h"
#include "smp-loop.h"
#include "vmx-stats.h"

#define LOG_THIS

Bit64u vmx_stats[VMX_STATS_CPUS][VMX_STAT_COUNT];

/* As KVM's tracepoints call them; null for those that are not worth a word. */
static const char *reason_name(unsigned reason)
{
  switch (reason) {
  case 0: return "exception_nmi";
  case 1: return "external_interrupt";
  case 2: return "triple_fault";
  case 3: return "init_signal";
  case 4: return "sipi_signal";
  case 7: return "interrupt_window";
  case 8: return "nmi_window";
  case 9: return "task_switch";
  case 10: return "cpuid";
  case 12: return "hlt";
  case 13: return "invd";
  case 14: return "invlpg";
  case 15: return "rdpmc";
  case 16: return "rdtsc";
  case 18: return "vmcall";
  case 19: return "vmclear";
  case 20: return "vmlaunch";
  case 21: return "vmptrld";
  case 22: return "vmptrst";
  case 23: return "vmread";
  case 24: return "vmresume";
  case 25: return "vmwrite";
  case 26: return "vmoff";
  case 27: return "vmon";
  case 28: return "cr_access";
  case 29: return "dr_access";
  case 30: return "io_instruction";
  case 31: return "msr_read";
  case 32: return "msr_write";
  case 33: return "invalid_state";
  case 34: return "msr_load_fail";
  case 36: return "mwait_instruction";
  case 37: return "monitor_trap_flag";
  case 39: return "monitor_instruction";
  case 40: return "pause_instruction";
  case 43: return "tpr_below_threshold";
  case 44: return "apic_access";
  case 45: return "eoi_induced";
  case 46: return "gdtr_idtr";
  case 47: return "ldtr_tr";
  case 48: return "ept_violation";
  case 49: return "ept_misconfig";
  case 50: return "invept";
  case 51: return "rdtscp";
  case 52: return "preemption_timer";
  case 53: return "invvpid";
  case 54: return "wbinvd";
  case 55: return "xsetbv";
  case 56: return "apic_write";
  case 57: return "rdrand";
  case 58: return "invpcid";
  case 59: return "vmfunc";
  case 61: return "rdseed";
  case 62: return "pml_full";
  case 63: return "xsaves";
  case 64: return "xrstors";
  case 67: return "umwait";
  case 68: return "tpause";
  case 74: return "bus_lock";
  default: return NULL;
  }
}

/* Write the name of counter @stat to @name, VMX_STATS_NAME bytes that are zero. */
static void stat_name(unsigned stat, char *name)
{
  static const char *const base[VMX_STAT_REASON] = {
    "vmentry", "vmentry.failed", "exit", "virtual_interrupt", "eoi", "read",
    "ipi.self", "ipi.posted", "ipi.posted.on", "ipi.posted.sn",
    "ipi.refused.mode", "ipi.refused.vector", "ipi.refused.index", "ipi.refused.entry",
    "notification.sent", "notification.sent.other",
    "notification.taken", "notification.taken.empty", "notification.root",
  };

  if (stat < VMX_STAT_REASON) {
    snprintf(name, VMX_STATS_NAME, "%s", base[stat]);
  } else if (stat < VMX_STAT_REASON_OTHER) {
    unsigned reason = stat - VMX_STAT_REASON;
    if (reason_name(reason))
      snprintf(name, VMX_STATS_NAME, "exit.%s", reason_name(reason));
    else
      snprintf(name, VMX_STATS_NAME, "exit.%u", reason);
  } else if (stat == VMX_STAT_REASON_OTHER) {
    snprintf(name, VMX_STATS_NAME, "exit.other");
  } else if (stat >= VMX_STAT_COST) {
    static const char *const cost[COST_KINDS] = { COST_NAMES };

    snprintf(name, VMX_STATS_NAME, "cost.%s", cost[stat - VMX_STAT_COST]);
  } else {
    static const char *const page[] = {
      "apic_access.read", "apic_access.write", "apic_write",
    };
    stat -= VMX_STAT_ACCESS_READ;
    snprintf(name, VMX_STATS_NAME, "%s.0x%03x", page[stat / VMX_STATS_REGISTERS],
             stat % VMX_STATS_REGISTERS << 4);
  }
}

void vmx_stats_exit(unsigned cpu, Bit32u reason, Bit64u qualification)
{
  Bit64u *row = vmx_stats[cpu];
  unsigned slot = (qualification >> 4) & 0xff;

  reason &= 0xffff;
  row[VMX_STAT_EXIT]++;
  row[reason < VMX_STATS_REASONS ? VMX_STAT_REASON + reason : VMX_STAT_REASON_OTHER]++;
  if (reason == VMX_VMEXIT_APIC_WRITE)
    row[VMX_STAT_APIC_WRITE + slot]++;
  else if (reason == VMX_VMEXIT_APIC_ACCESS && ((qualification >> 12) & 0xf) == 0)
    row[VMX_STAT_ACCESS_READ + slot]++;
  else if (reason == VMX_VMEXIT_APIC_ACCESS && ((qualification >> 12) & 0xf) == 1)
    row[VMX_STAT_ACCESS_WRITE + slot]++;
}

static const unsigned NAMES = VMX_STATS_HEADER;
static const unsigned ROWS = NAMES + VMX_STAT_COUNT * VMX_STATS_NAME;
static const unsigned ROW_SIZE = VMX_STAT_COUNT * 8;

/* The aligned 64-bit word at @offset of the BAR. */
static Bit64u bar_word(unsigned offset)
{
  if (offset < NAMES) {
    const Bit64u header[VMX_STATS_HEADER / 8] = {
      VMX_STATS_MAGIC, VMX_STATS_VERSION, BX_SMP_PROCESSORS, VMX_STAT_COUNT,
      ROWS, ROW_SIZE, NAMES, VMX_STATS_NAME,
    };
    return header[offset / 8];
  }
  if (offset < ROWS) {
    char name[VMX_STATS_NAME] = "";
    Bit64u word;

    stat_name((offset - NAMES) / VMX_STATS_NAME, name);
    memcpy(&word, name + (offset - NAMES) % VMX_STATS_NAME, 8);
    return word;
  }
  unsigned cpu = (offset - ROWS) / ROW_SIZE;
  if (cpu >= BX_SMP_PROCESSORS)
    return 0;
  return vmx_stats[cpu][(offset - ROWS) % ROW_SIZE / 8];
}

class vmx_stats_c : public bx_pci_device_c {
public:
  void init(void);
  void reset(unsigned type) {}
  void register_state(void) {}
  void pci_write_handler(Bit8u address, Bit32u value, unsigned io_len);
  unsigned bar_offset(bx_phy_address addr) const { return (unsigned) addr - pci_bar[0].addr; }
};

static bool bar_read(bx_phy_address addr, unsigned len, void *data, void *param)
{
  unsigned offset = ((vmx_stats_c *) param)->bar_offset(addr);
  Bit8u *byte = (Bit8u *) data;

  for (unsigned i = 0; i < len; i++, offset++)
    byte[i] = bar_word(offset & ~7u) >> (offset % 8 * 8);
  return true;
}

static bool bar_write(bx_phy_address addr, unsigned len, void *data, void *param)
{
  Bit32u seed;

  if (((vmx_stats_c *) param)->bar_offset(addr) == 0 && len == sizeof(seed)) {
    memcpy(&seed, data, sizeof(seed));
    smp_reseed(seed);
  }
  return true;
}

void vmx_stats_c::init(void)
{
  /* A place that no slot of the board has. */
  Bit8u devfunc = 0x10 << 3;
  unsigned size = 1;

  while (size < ROWS + BX_SMP_PROCESSORS * ROW_SIZE)
    size *= 2;
  DEV_register_pci_handlers(this, &devfunc, "vmx-stats", "Counters of the emulated VMX");
  init_pci_conf(VMX_STATS_PCI_VENDOR, VMX_STATS_PCI_DEVICE, 0, 0xff0000, 0, 0);
  init_bar_mem(0, size, bar_read, bar_write);
}

void vmx_stats_c::pci_write_handler(Bit8u address, Bit32u value, unsigned io_len)
{
  /* Of the command register, memory decoding can be set; no more is writable. */
  if (address == 4)
    pci_conf[4] = value & 2;
}

void vmx_stats_device(void)
{
  static vmx_stats_c device;

  device.init();
}
