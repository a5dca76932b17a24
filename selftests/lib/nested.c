// SPDX-License-Identifier: GPL-2.0-only
/* The offsets are from the AMD64 manual, volume 2, "VMCB Layout". */
#include "nested.h"

#include <stdint.h>
#include <stdio.h>

#include "guest.h"

#define MSR_EFER		0xc0000080
#define EFER_SVME		(1U << 12)
#define MSR_VM_HSAVE_PA		0xc0010117

#define INTERCEPT_INTR		(1U << 0)
#define INTERCEPT_VINTR		(1U << 4)
#define INTERCEPT_MSR_PROT	(1U << 28)
#define INTERCEPT_VMRUN		(1U << 0)
#define INTERCEPT_VMMCALL	(1U << 1)

/* A 64-bit code and a flat data segment, as the VMCB keeps their attributes. */
#define ATTRIBUTES_CODE		0x0a9b
#define ATTRIBUTES_DATA		0x0c93

#define RFLAGS_FIXED		(1U << 1)
#define RFLAGS_IF		(1U << 9)

struct segment {
	uint16_t selector, attributes;
	uint32_t limit;
	uint64_t base;
};

struct vmcb {
	uint8_t unused_0[0x00c];
	uint32_t intercepts_misc;	/* MSRs and so on */
	uint32_t intercepts_svm;	/* VMRUN, VMMCALL and so on */
	uint8_t unused_1[0x048 - 0x014];
	uint64_t msr_bitmap;
	uint8_t unused_2[0x058 - 0x050];
	uint32_t asid;
	uint8_t unused_3[0x060 - 0x05c];
	uint64_t interrupt_control;
	uint8_t unused_4[0x070 - 0x068];
	uint64_t exit_code;
	uint8_t unused_5[0x098 - 0x078];
	uint64_t avic_bar;
	uint8_t unused_6[0x0e0 - 0x0a0];
	uint64_t avic_backing_page;
	uint8_t unused_7[0x0f0 - 0x0e8];
	uint64_t avic_logical_table, avic_physical_table;
	uint8_t unused_8[0x400 - 0x100];
	struct segment es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
	uint8_t unused_9[0x4d0 - 0x4a0];
	uint64_t efer;
	uint8_t unused_10[0x548 - 0x4d8];
	uint64_t cr4, cr3, cr0, dr7, dr6, rflags, rip;
	uint8_t unused_11[0x5d8 - 0x580];
	uint64_t rsp;
	uint8_t unused_12[0x1000 - 0x5e0];
} __attribute__((packed, aligned(4096)));

_Static_assert(sizeof(struct vmcb) == 4096, "a VMCB is a page");
_Static_assert(__builtin_offsetof(struct vmcb, interrupt_control) == 0x060, "V_INTR");
_Static_assert(__builtin_offsetof(struct vmcb, avic_physical_table) == 0x0f8, "AVIC");
_Static_assert(__builtin_offsetof(struct vmcb, rip) == 0x578, "RIP");
_Static_assert(__builtin_offsetof(struct vmcb, rsp) == 0x5d8, "RSP");

static struct vmcb vmcb;
static uint8_t host_save[4096] __attribute__((aligned(4096)));
static uint8_t stack[16384] __attribute__((aligned(16)));

static bool says_yes(const char *parameter)
{
	FILE *file = fopen(parameter, "r");
	int value = file ? fgetc(file) : EOF;

	if (file)
		fclose(file);
	return value == '1' || value == 'Y';
}

bool nested_available(void)
{
	return says_yes("/sys/module/kvm_amd/parameters/nested");
}

bool nested_has_vgif(void)
{
	return says_yes("/sys/module/kvm_amd/parameters/vgif");
}

struct table {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

static struct segment table_of(struct table table)
{
	return (struct segment){ .limit = table.limit, .base = table.base };
}

static void fill_tables(void)
{
	struct table gdt, idt;

	__asm__ volatile("sgdt %0; sidt %1" : "=m"(gdt), "=m"(idt));
	vmcb.gdtr = table_of(gdt);
	vmcb.idtr = table_of(idt);
}

static void fill_segments(void)
{
	uint16_t code, data;

	__asm__ volatile("mov %%cs, %0" : "=r"(code));
	__asm__ volatile("mov %%ss, %0" : "=r"(data));
	vmcb.cs = (struct segment){ code, ATTRIBUTES_CODE, 0xffffffff, 0 };
	vmcb.ds = (struct segment){ data, ATTRIBUTES_DATA, 0xffffffff, 0 };
	vmcb.es = vmcb.ss = vmcb.ds;
}

static void fill_registers(void (*function)(void))
{
	__asm__ volatile("mov %%cr0, %0" : "=r"(vmcb.cr0));
	__asm__ volatile("mov %%cr3, %0" : "=r"(vmcb.cr3));
	__asm__ volatile("mov %%cr4, %0" : "=r"(vmcb.cr4));
	vmcb.efer = read_msr(MSR_EFER);
	vmcb.dr6 = 0xffff0ff0;
	vmcb.dr7 = 0x400;
	vmcb.rip = (uint64_t)function;
	/* The stack is as after a call. */
	vmcb.rsp = (uint64_t)stack + sizeof(stack) - 8;
}

static void enable_svm(void)
{
	write_msr(MSR_EFER, read_msr(MSR_EFER) | EFER_SVME);
}

void nested_clear_gif(void)
{
	enable_svm();
	__asm__ volatile("clgi" ::: "memory");
}

void nested_set_gif(void)
{
	__asm__ volatile("stgi" ::: "memory");
}

uint64_t nested_run_with(void (*function)(void), const struct nested_setup *setup)
{
	enable_svm();
	write_msr(MSR_VM_HSAVE_PA, (uint64_t)host_save);
	vmcb.intercepts_svm = INTERCEPT_VMRUN | INTERCEPT_VMMCALL;
	vmcb.intercepts_misc = (setup->msr_bitmap ? INTERCEPT_MSR_PROT : 0) |
			       (setup->exit_on_intr ? INTERCEPT_INTR : 0) |
			       (setup->exit_on_vintr ? INTERCEPT_VINTR : 0);
	vmcb.msr_bitmap = (uint64_t)setup->msr_bitmap;
	vmcb.interrupt_control = setup->interrupt_control;
	vmcb.avic_bar = setup->avic_bar;
	vmcb.avic_backing_page = (uint64_t)setup->avic_backing_page;
	vmcb.avic_logical_table = (uint64_t)setup->avic_tables;
	vmcb.avic_physical_table = (uint64_t)setup->avic_tables;
	vmcb.asid = 1;
	fill_tables();
	fill_segments();
	fill_registers(function);
	vmcb.rflags = RFLAGS_FIXED | (setup->begin_with_irqs_off ? 0 : RFLAGS_IF);
	/* The exit clears GIF, which holds back every interrupt until STGI. */
	__asm__ volatile("push %%rbp\n	vmrun %%rax\n	stgi\n	pop %%rbp"
			 : : "a"(&vmcb)
			 : "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12",
			   "r13", "r14", "r15", "memory", "cc");
	return vmcb.exit_code;
}

void nested_run(void (*function)(void))
{
	GUEST_ASSERT_EQ(nested_run_with(function, &(struct nested_setup){ 0 }),
			NESTED_EXIT_VMMCALL);
}

void nested_end(void)
{
	for (;;)
		__asm__ volatile("vmmcall" ::: "memory");
}
