// SPDX-License-Identifier: GPL-2.0-only
/*
 * Intel: interrupts to a hypervisor in the guest, while its own guest runs.  KVM must offer posted
 * interrupts to guests, which kvm_intel decides when it is loaded (enable_apicv).
 *
 * Encodings of the VMCS's fields and bits of its controls are those of the manual, volume 3,
 * appendices A and B.
 */
#include "lib/test.h"

#include "lib/guest_msr.h"
#include "lib/roles.h"

/* By this vector the first nested guest is told of posted interrupts. */
#define VECTOR		0x73

#define MSR_FEATURE_CONTROL	0x03a
#define FEATURE_CONTROL_VMX	((1U << 2) | (1U << 0))	/* outside SMX, locked */
#define MSR_VMX_BASIC		0x480
#define MSR_VMX_PIN		0x481
#define MSR_VMX_PRIMARY		0x482
#define MSR_VMX_EXIT		0x483
#define MSR_VMX_ENTRY		0x484
#define MSR_VMX_SECONDARY	0x48b
#define MSR_GS_BASE		0xc0000101

#define CR4_VMXE		(1U << 13)

#define PIN_EXTERNAL_INTERRUPTS	(1U << 0)
#define PIN_POSTED_INTERRUPTS	(1U << 7)
#define PRIMARY_TPR_SHADOW	(1U << 21)
#define PRIMARY_SECONDARY	(1U << 31)
#define SECONDARY_DELIVERY	(1U << 9)
#define EXIT_LONG_MODE		(1U << 9)
#define EXIT_ACKNOWLEDGE	(1U << 15)
#define ENTRY_LONG_MODE		(1U << 9)

enum field {
	POSTED_VECTOR = 0x0002,
	GUEST_ES = 0x0800, GUEST_CS = 0x0802, GUEST_SS = 0x0804, GUEST_DS = 0x0806,
	GUEST_FS = 0x0808, GUEST_GS = 0x080a, GUEST_LDTR = 0x080c, GUEST_TR = 0x080e,
	GUEST_INTERRUPT_STATUS = 0x0810,
	HOST_ES = 0x0c00, HOST_CS = 0x0c02, HOST_SS = 0x0c04, HOST_DS = 0x0c06,
	HOST_FS = 0x0c08, HOST_GS = 0x0c0a, HOST_TR = 0x0c0c,
	VIRTUAL_APIC_PAGE = 0x2012, POSTED_DESCRIPTOR = 0x2016,
	LINK_POINTER = 0x2800,
	PIN = 0x4000, PRIMARY = 0x4002, EXIT = 0x400c, ENTRY = 0x4012,
	SECONDARY = 0x401e,
	EXIT_REASON = 0x4402, EXIT_INTERRUPT = 0x4404,
	LIMIT_ES = 0x4800, LIMIT_GDTR = 0x4810, LIMIT_IDTR = 0x4812,
	RIGHTS_ES = 0x4814,
	GUEST_CR0 = 0x6800, GUEST_CR3 = 0x6802, GUEST_CR4 = 0x6804,
	BASE_GS = 0x6810, BASE_TR = 0x6814, BASE_GDTR = 0x6816,
	BASE_IDTR = 0x6818, GUEST_DR7 = 0x681a, GUEST_RSP = 0x681c, GUEST_RIP = 0x681e,
	GUEST_RFLAGS = 0x6820,
	HOST_CR0 = 0x6c00, HOST_CR3 = 0x6c02, HOST_CR4 = 0x6c04,
	HOST_BASE_GS = 0x6c08, HOST_BASE_TR = 0x6c0a,
	HOST_BASE_GDTR = 0x6c0c, HOST_BASE_IDTR = 0x6c0e,
	HOST_RSP = 0x6c14, HOST_RIP = 0x6c16,
};

enum { SEGMENTS = 8, CS = 1, LDTR = 6, TR = 7 };

#define RIGHTS_CODE		0xa09b
#define RIGHTS_DATA		0xc093
#define RIGHTS_TSS		0x008b
#define RIGHTS_UNUSABLE		0x10000

#define REASON_EXTERNAL_INTERRUPT	1
#define REASON_VMCALL			18
#define INTERRUPT_IS_VALID		(1U << 31)

static uint8_t vmxon_region[4096] __attribute__((aligned(4096)));
static uint8_t vmcs[4096] __attribute__((aligned(4096)));
static uint8_t virtual_apic[4096] __attribute__((aligned(4096)));
static uint8_t descriptor[64] __attribute__((aligned(64)));
static uint8_t stack[8192] __attribute__((aligned(16)));

/* What the hypervisor tells the host. */
static volatile bool offered, asked, nested_runs, may_end, done;
static volatile uint64_t first_reason, reason, interrupt;

static void put(uint64_t field, uint64_t value)
{
	bool failed;

	__asm__ volatile("vmwrite %2, %1; setbe %0" : "=q"(failed) : "r"(field), "r"(value)
			 : "cc", "memory");
	if (failed)
		guest_fail("VMWRITE", __FILE__, __LINE__, field, value);
}

static uint64_t get(uint64_t field)
{
	uint64_t value;

	__asm__ volatile("vmread %1, %0" : "=r"(value) : "r"(field) : "cc", "memory");
	return value;
}

/* What the processor wants set, and of @wanted what it can. */
static uint32_t allowed(uint32_t msr, uint32_t wanted)
{
	uint64_t can = read_msr(msr);

	return (wanted | (uint32_t)can) & (uint32_t)(can >> 32);
}

struct table {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

#define READ_SELECTOR(name) ({							\
	uint16_t value_;							\
	__asm__ volatile("mov %%" #name ", %0" : "=r"(value_));			\
	value_;									\
})
#define READ_CR(name) ({							\
	uint64_t value_;							\
	__asm__ volatile("mov %%" #name ", %0" : "=r"(value_));			\
	value_;									\
})

/* Hypervisor and nested guest have the same memory, tables and segments. */
static void put_state(void)
{
	uint16_t code = READ_SELECTOR(cs), data = READ_SELECTOR(ss), task;
	uint64_t gs = read_msr(MSR_GS_BASE), task_base;
	struct table gdt, idt;
	uint32_t *entry;

	__asm__ volatile("sgdt %0; sidt %1; str %2" : "=m"(gdt), "=m"(idt), "=r"(task));
	entry = (uint32_t *)(gdt.base + (task & ~7U));
	task_base = entry[0] >> 16 | (entry[1] & 0xff) << 16 | (entry[1] & 0xff000000);

	for (unsigned int i = 0; i < SEGMENTS; i++) {
		uint16_t selector = i == CS ? code : i == TR ? task : i == LDTR ? 0 : data;
		uint32_t rights = i == CS   ? RIGHTS_CODE :
				  i == TR   ? RIGHTS_TSS :
				  i == LDTR ? RIGHTS_UNUSABLE :
					      RIGHTS_DATA;

		put(GUEST_ES + 2 * i, selector);
		put(LIMIT_ES + 2 * i, i == TR ? 0x67 : 0xffffffff);
		put(RIGHTS_ES + 2 * i, rights);
		if (i != LDTR)
			put(i == TR ? HOST_TR : HOST_ES + 2 * i, selector);
	}
	put(BASE_GS, gs);
	put(HOST_BASE_GS, gs);
	put(BASE_TR, task_base);
	put(HOST_BASE_TR, task_base);
	put(BASE_GDTR, gdt.base);
	put(HOST_BASE_GDTR, gdt.base);
	put(LIMIT_GDTR, gdt.limit);
	put(BASE_IDTR, idt.base);
	put(HOST_BASE_IDTR, idt.base);
	put(LIMIT_IDTR, idt.limit);
	put(GUEST_CR0, READ_CR(cr0));
	put(HOST_CR0, READ_CR(cr0));
	put(GUEST_CR3, READ_CR(cr3));
	put(HOST_CR3, READ_CR(cr3));
	put(GUEST_CR4, READ_CR(cr4));
	put(HOST_CR4, READ_CR(cr4));
	put(GUEST_DR7, 0x400);
	put(GUEST_RFLAGS, 2);
	put(LINK_POINTER, ~0ULL);
}

/* @posted: the nested guest's interrupts are posted by VECTOR. */
static void put_controls(bool posted)
{
	put(PIN, allowed(MSR_VMX_PIN, PIN_EXTERNAL_INTERRUPTS |
					      (posted ? PIN_POSTED_INTERRUPTS : 0)));
	put(PRIMARY, allowed(MSR_VMX_PRIMARY,
			     posted ? PRIMARY_TPR_SHADOW | PRIMARY_SECONDARY : 0));
	put(SECONDARY, posted ? allowed(MSR_VMX_SECONDARY, SECONDARY_DELIVERY) : 0);
	put(EXIT, allowed(MSR_VMX_EXIT, EXIT_LONG_MODE | EXIT_ACKNOWLEDGE));
	put(ENTRY, allowed(MSR_VMX_ENTRY, ENTRY_LONG_MODE));
	put(POSTED_VECTOR, posted ? VECTOR : 0);
	put(POSTED_DESCRIPTOR, posted ? (uint64_t)descriptor : 0);
	put(VIRTUAL_APIC_PAGE, (uint64_t)virtual_apic);
	put(GUEST_INTERRUPT_STATUS, 0);
}

/* Enters the nested guest at its function; false if that fails. */
static bool enter(bool resume, void (*function)(void))
{
	bool failed;

	put(GUEST_RIP, (uint64_t)function);
	put(GUEST_RSP, (uint64_t)stack + sizeof(stack) - 8);
	__asm__ volatile("pushq %%rbp; pushq %%rbx\n"
			 "	leaq 1f(%%rip), %%rax\n"
			 "	vmwrite %%rax, %[rip]\n"
			 "	vmwrite %%rsp, %[rsp]\n"
			 "	movb $1, %%al\n"
			 "	testl %[resume], %[resume]\n"
			 "	jnz 2f\n"
			 "	vmlaunch\n"
			 "	jmp 3f\n"
			 "2:	vmresume\n"
			 "	jmp 3f\n"
			 "1:	xorl %%eax, %%eax\n"
			 "3:	popq %%rbx; popq %%rbp\n"
			 : "=a"(failed)
			 : [resume] "S"((uint32_t)resume), [rip] "c"((uint64_t)HOST_RIP),
			   [rsp] "d"((uint64_t)HOST_RSP)
			 : "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rdi", "cc", "memory");
	return !failed;
}

static void returning_nested(void)
{
	__asm__ volatile("vmcall");
}

static void waiting_nested(void)
{
	nested_runs = true;
	while (!may_end)
		cpu_pause();
	__asm__ volatile("vmcall");
}

static void begin_vmx(void)
{
	uint64_t on = (uint64_t)vmxon_region, current = (uint64_t)vmcs;

	msr_try_write(MSR_FEATURE_CONTROL, FEATURE_CONTROL_VMX);
	__asm__ volatile("mov %0, %%cr4" :: "r"(READ_CR(cr4) | CR4_VMXE));
	*(uint32_t *)vmxon_region = *(uint32_t *)vmcs = (uint32_t)read_msr(MSR_VMX_BASIC);
	__asm__ volatile("vmxon %0; vmclear %1; vmptrld %1" :: "m"(on), "m"(current)
			 : "cc", "memory");
}

static void hypervisor(uint64_t arg)
{
	uint64_t can;

	(void)arg;
	offered = msr_try_read(MSR_VMX_PIN, &can) && (can >> 32 & PIN_POSTED_INTERRUPTS);
	asked = true;
	if (!offered)
		return;
	begin_vmx();
	put_state();

	put_controls(true);
	GUEST_ASSERT(enter(false, returning_nested));
	first_reason = get(EXIT_REASON);
	put_controls(false);
	GUEST_ASSERT(enter(true, waiting_nested));
	reason = get(EXIT_REASON);
	interrupt = get(EXIT_INTERRUPT);
	/* It has been acknowledged. */
	if (reason == REASON_EXTERNAL_INTERRUPT)
		apic_eoi();
	__asm__ volatile("vmxoff");
	done = true;
}

static volatile bool vm_died;

static bool note_death(struct vcpu *vcpu)
{
	if (vcpu->run->exit_reason != KVM_EXIT_INTERNAL_ERROR)
		return false;
	vm_died = true;
	/* Until the host has seen it. */
	sleep_us(1000);
	return true;
}

/*
 * Stock 6.1 keeps the vector by which a nested guest was told of posted interrupts, and takes it
 * for that of the next one, too, which has none: the interrupt is lost, or the VM ends with an
 * error.
 */
TEST(vector_of_a_nested_guest_of_before_interrupts_the_hypervisor)
{
	uint64_t begun;
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	guest_msr_begin();
	offered = asked = nested_runs = may_end = done = vm_died = false;
	vm = vm_create(0);
	vm->on_exit = note_death;
	vm_add_vcpu(vm, 0, hypervisor, 0);
	vm_start(vm);
	vm_wait(vm, asked, "the hypervisor knows what it is offered");
	if (!offered) {
		vm_join(vm);
		vm_destroy(vm);
		SKIP(return, "KVM does not offer posted interrupts to guests");
	}
	vm_wait(vm, nested_runs, "the second nested guest runs");
	EXPECT_EQ(REASON_VMCALL, first_reason);
	vm_send_msi(vm, 0, VECTOR);
	begun = patience_us();
	while (!done && !vm_died && patience_us() - begun < 2000000)
		sleep_us(100);
	if (!vm_died) {
		may_end = true;
		vm_wait(vm, done, "the hypervisor has ended");
	}
	if (stock_before(6, 12) && (vm_died || reason != REASON_EXTERNAL_INTERRUPT))
		EXPECTED_FAILURE(return, "stock KVM: the interrupt is taken for the nested guest's");
	EXPECT_FALSE(vm_died);
	EXPECT_EQ(REASON_EXTERNAL_INTERRUPT, reason);
	EXPECT_EQ(INTERRUPT_IS_VALID | VECTOR, interrupt);
	vm_join(vm);
	vm_destroy(vm);
}

TEST_MAIN(1)
