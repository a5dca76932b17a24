/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Fields of the current VMCS.
 *
 * A field that exists cannot fail while the VMCS is loaded, so a failure is a broken
 * invariant. In an emergency reboot another CPU may have taken this processor out of VMX
 * operation; then the instruction faults and is skipped, and nobody needs the result.
 */
#ifndef VAPIC_VMX_APICV_VMCS_GLUE_H
#define VAPIC_VMX_APICV_VMCS_GLUE_H

#include <linux/types.h>

#include <asm/asm.h>
#include <asm/vmx.h>

void vapic_vmcs_failed(unsigned long field);

static __always_inline u64 vapic_vmcs_read(unsigned long field)
{
	u64 value = 0;
	bool failed;

	asm volatile("1: vmread %[field], %[value]\n"
		     "2:\n" _ASM_EXTABLE(1b, 2b)
		     : "=@ccbe"(failed), [value] "+r"(value)
		     : [field] "r"(field));
	if (unlikely(failed))
		vapic_vmcs_failed(field);
	return value;
}

static __always_inline void vapic_vmcs_write(unsigned long field, u64 value)
{
	bool failed;

	asm volatile("1: vmwrite %[value], %[field]\n"
		     "2:\n" _ASM_EXTABLE(1b, 2b)
		     : "=@ccbe"(failed)
		     : [field] "r"(field), [value] "r"(value));
	if (unlikely(failed))
		vapic_vmcs_failed(field);
}

#endif
