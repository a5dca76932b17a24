// SPDX-License-Identifier: GPL-2.0-only
/*
 * Says what is active on this host, for a report: who implements acceleration, and in which modes
 * of the APIC a VM is accelerated, as seen by a probe in each.  Nothing here passes or fails; the
 * status is 4 if there is no KVM.
 */
#include <stdio.h>

#include "lib/accel.h"
#include "lib/vm.h"

static const char *word(bool yes, const char *if_yes, const char *if_no)
{
	return yes ? if_yes : if_no;
}

/* What the processor says of SVM itself; not all of it has a name in the kernel. */
static void print_svm_features(void)
{
	uint32_t eax = 0x80000000, ebx, ecx = 0, edx;

	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	if (eax < 0x8000000a)
		return;
	eax = 0x8000000a;
	ecx = 0;
	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	printf("CPUID 8000000Ah: eax %08x ebx %08x ecx %08x edx %08x\n", eax, ebx, ecx, edx);
}

int main(void)
{
	const char *why = NULL;
	struct vm *vm = vm_try_create(0, &why);

	print_svm_features();
	if (!vm) {
		printf("no VM: %s\n", why);
		return 4;
	}
	vm_destroy(vm);
	printf("implementation: %s\n", word(accel_check()->vapic, "vapic", "stock"));
	for (int x2apic = 0; x2apic <= 1; x2apic++)
		printf("%s mode: %s; its IPIs to a running vCPU are expected %s\n",
		       word(x2apic, "x2APIC", "xAPIC"),
		       word(accel_probe(x2apic), "accelerated", "not accelerated"),
		       word(accel_ipis_exit(x2apic), "to exit", "not to exit"));
	if (accel_is_avic())
		printf("APIC IDs in the table: %u\n", accel_table_ids());
	return 0;
}
