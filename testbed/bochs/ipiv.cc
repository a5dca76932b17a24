/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * IPI virtualization (Intel SDM volume 3, "IPI Virtualization", and the checks of
 * "VM-Execution Control Fields" at VM entry).
 *
 * The callers decide that a write of the virtual ICR has happened and that the
 * data lie in the virtual-APIC page; this file decides whether the processor may
 * deliver the IPI itself, and does it. CPUs take turns on one thread, so a plain
 * read and write is as atomic as the lock that the manual asks for.
 */

#define NEED_CPU_REG_SHORTCUTS 1
#include "bochs.h"
#include "cpu.h"
#define LOG_THIS BX_CPU_THIS_PTR

#if BX_SUPPORT_VMX >= 2 && BX_SUPPORT_X86_64

#include "apic.h"
#include "vmx-stats.h"

/* Bits of the ICR's low half. */
static const Bit32u ICR_RESERVED = 0xfff32000;  /* 31:20, 17:16, 13 */
static const Bit32u ICR_SHORTHAND = 3u << 18;
static const Bit32u ICR_LEVEL_TRIGGERED = 1u << 15;
static const Bit32u ICR_PENDING = 1u << 12;
static const Bit32u ICR_LOGICAL = 1u << 11;
static const Bit32u ICR_DELIVERY_MODE = 7u << 8;

/* What must all be zero for an IPI to be virtualized; bit 14 does not matter. */
static const Bit32u ICR_NOT_VIRTUALIZED = ICR_RESERVED | ICR_SHORTHAND |
                                          ICR_LEVEL_TRIGGERED | ICR_PENDING |
                                          ICR_LOGICAL | ICR_DELIVERY_MODE;

/* Posted-interrupt descriptor: byte 32 on, as one 64-bit word. */
static const Bit64u PID_ON = 1u << 0;
static const Bit64u PID_SN = 1u << 1;

/* Load and check the fields; false fails the VM entry as invalid controls. */
bool BX_CPU_C::VMenterLoadCheckIPIV(void)
{
  VMCS_CACHE *vm = &BX_CPU_THIS_PTR vmcs;

  if (! vm->vmexec_ctrls3.IPI_VIRTUALIZATION())
    return true;

  if (! vm->vmexec_ctrls1.TPR_SHADOW()) {
    BX_ERROR(("VMFAIL: VMCS EXEC CTRL: IPI virtualization without TPR shadow"));
    return false;
  }

  vm->pid_table_addr = VMread64(VMCS_64BIT_CONTROL_PID_POINTER_TABLE_ADDRESS);
  vm->last_pid_index = VMread16(VMCS_16BIT_CONTROL_LAST_PID_POINTER_INDEX);

  Bit64u last = vm->pid_table_addr + 8 * vm->last_pid_index;
  if ((vm->pid_table_addr & 7) || ! IsValidPhyAddr(vm->pid_table_addr) ||
      ! IsValidPhyAddr(last)) {
    BX_ERROR(("VMFAIL: VMCS EXEC CTRL: PID-pointer table address malformed"));
    return false;
  }
  return true;
}

/* Post @vector in the descriptor at @pid and notify its owner if that is due. */
void BX_CPU_C::VMX_Post_Interrupt(bx_phy_address pid, Bit8u vector)
{
  BxMemtype memtype = BX_MEMTYPE_INVALID;
#if BX_SUPPORT_MEMTYPE
  memtype = resolve_memtype(pid);
#endif

  bx_phy_address word = pid + vector / 64 * 8;
  Bit64u pir = read_physical_qword(word, MEMTYPE(memtype), BX_VMX_PID);
  write_physical_qword(word, pir | (BX_CONST64(1) << (vector % 64)), MEMTYPE(memtype), BX_VMX_PID);

  Bit64u info = read_physical_qword(pid + 32, MEMTYPE(memtype), BX_VMX_PID);
  if (info & PID_ON) {
    VMX_COUNT(VMX_STAT_IPI_ON);
    return;
  }
  if (info & PID_SN) {
    VMX_COUNT(VMX_STAT_IPI_SN);
    return;
  }
  write_physical_qword(pid + 32, info | PID_ON, MEMTYPE(memtype), BX_VMX_PID);

  Bit8u nv = (info >> 16) & 0xff;
  Bit32u ndst = info >> 32;
  if (! x2apic_mode())
    ndst = (ndst >> 8) & 0xff;

  VMX_COUNT(nv == BX_CPU_THIS_PTR vmcs.posted_intr_notification_vector ?
            VMX_STAT_NOTIFY : VMX_STAT_NOTIFY_OTHER);
  /* Fixed, edge, physical, as if NV had been written to the local APIC's ICR. */
  BX_CPU_THIS_PTR lapic->send_ipi(ndst, nv);
}

/*
 * Deliver the IPI that ICR value @lo with destination @dest asks for. Returns
 * false if the VMM has to, by an APIC-write VM exit.
 */
bool BX_CPU_C::VMX_IPI_Virtualization(Bit32u lo, Bit32u dest)
{
  VMCS_CACHE *vm = &BX_CPU_THIS_PTR vmcs;
  Bit8u vector = lo & 0xff;

  if (lo & ICR_NOT_VIRTUALIZED) {
    VMX_COUNT(VMX_STAT_REFUSED_MODE);
    return false;
  }
  if (vector < 16) {
    VMX_COUNT(VMX_STAT_REFUSED_VECTOR);
    return false;
  }
  /* Broadcast needs no case of its own: its index has no valid entry. */
  if (dest > vm->last_pid_index) {
    VMX_COUNT(VMX_STAT_REFUSED_INDEX);
    return false;
  }

  bx_phy_address entry = vm->pid_table_addr + 8 * (bx_phy_address) dest;
  BxMemtype memtype = BX_MEMTYPE_INVALID;
#if BX_SUPPORT_MEMTYPE
  memtype = resolve_memtype(entry);
#endif
  Bit64u pid = read_physical_qword(entry, MEMTYPE(memtype), BX_VMX_PID);
  if ((pid & 0x3f) != 1 || ! IsValidPhyAddr(pid)) {
    VMX_COUNT(VMX_STAT_REFUSED_ENTRY);
    return false;
  }

  VMX_COUNT(VMX_STAT_IPI);
  VMX_Post_Interrupt(pid & ~BX_CONST64(0x3f), vector);
  return true;
}

/* The virtual ICR was written in xAPIC mode; see VMX_Write_VICR for self-IPIs. */
bool BX_CPU_C::VMX_IPIV_Write_VICR(Bit32u vicr)
{
  if (! BX_CPU_THIS_PTR vmcs.vmexec_ctrls3.IPI_VIRTUALIZATION())
    return false;
  return VMX_IPI_Virtualization(vicr, VMX_Read_Virtual_APIC(BX_LAPIC_ICR_HI) >> 24);
}

/* WRMSR of the ICR in virtual x2APIC mode; false if it is not virtualized. */
bool BX_CPU_C::VMX_IPIV_WRMSR_ICR(Bit64u value)
{
  if (! BX_CPU_THIS_PTR vmcs.vmexec_ctrls3.IPI_VIRTUALIZATION())
    return false;
  if (value & ICR_RESERVED)
    exception(BX_GP_EXCEPTION, 0);

  VMX_Write_Virtual_X2APIC(BX_LAPIC_ICR_LO, value);
  if (! VMX_IPI_Virtualization((Bit32u) value, value >> 32))
    VMexit(VMX_VMEXIT_APIC_WRITE, BX_LAPIC_ICR_LO);
  return true;
}

#endif
