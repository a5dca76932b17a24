// SPDX-License-Identifier: GPL-2.0-only
/*
 * HLT while an interrupt is pending, as happens to a guest whose interrupt comes between its last
 * look for work and its HLT.  KVM sees each such HLT, unless the processor has AMD's idle-HLT
 * intercept and the kernel uses it with AVIC.
 */
#include <cpuid.h>

#include "lib/modes.h"

#define VECTOR		0x43

#define CPUID_SVM_FEATURES	0x8000000a
#define EDX_IDLE_HLT		(1u << 30)

static bool has_idle_hlt(void)
{
	uint32_t eax, ebx, ecx, edx;

	return __get_cpuid(CPUID_SVM_FEATURES, &eax, &ebx, &ecx, &edx) && edx & EDX_IDLE_HLT;
}

static void halter(uint64_t count)
{
	struct guest_cpu *self = guest_self();

	for (uint32_t i = 0; i < count; i++) {
		irq_disable();
		apic_send_fixed(self->apic_id, VECTOR);
		while (!apic_vector_is_set(APIC_IRR, VECTOR))
			cpu_pause();
		halt_with_irqs();
		GUEST_ASSERT_EQ(self->irqs[VECTOR], i + 1);
	}
}

TEST_F(guest, halt_with_an_interrupt_pending_exits_only_without_idle_hlt)
{
	bool idle_hlt = has_idle_hlt() && mode_is_accelerated();
	struct vm *vm = vm_create(mode);
	struct vcpu *vcpu;
	uint64_t halts;

	guest_set_handler(VECTOR, guest_count_irq);
	vcpu = vm_add_vcpu(vm, 0, halter, rounds);
	vm_start(vm);
	vm_join(vm);
	halts = vcpu_stat(vcpu, "halt_exits");
	NOTE("%llu of %u HLTs exited\n", (unsigned long long)halts, rounds);
	EXPECT_EQ(rounds, vcpu->guest->irqs[VECTOR]);
	vm_destroy(vm);
	if (idle_hlt && halts == rounds && !accel_check()->vapic)
		EXPECTED_FAILURE(return, "stock KVM: leaves the idle-HLT intercept alone");
	EXPECT_EQ(idle_hlt ? 0 : rounds, halts);
}

TEST_MAIN(500)
