// SPDX-License-Identifier: GPL-2.0-only
/*
 * The initial state of a vCPU: long mode, CPUID, and memory that it shares with the host.
 *
 * Memory is one slot: the program's own image, at the same addresses.  The guest's page tables
 * map the first 4 GiB one to one, so that the image, the APIC page and the IOAPIC are where C
 * code expects them.
 */
#include "boot.h"

#include <asm/processor-flags.h>
#include <stdlib.h>

#include "apic.h"

#define PAGE_SIZE	4096UL
#define STACK_SIZE	(4 * PAGE_SIZE)

enum { SELECTOR_CODE = 0x08, SELECTOR_DATA = 0x10, SELECTOR_TSS = 0x18 };
enum { TYPE_DATA = 3, TYPE_CODE = 11, TYPE_TSS = 11 };	/* writable, readable, busy */
enum { PTE_PRESENT = 1 << 0, PTE_WRITE = 1 << 1, PTE_LARGE = 1 << 7 };
enum { EFER_LME = 1 << 8, EFER_LMA = 1 << 10 };
enum { CPUID_1_ECX_X2APIC = 1 << 21, CPUID_1_ECX_TSC_DEADLINE = 1 << 24 };

#define GATE_INTERRUPT	(0x8eULL << 40)		/* 64-bit interrupt gate, DPL 0, present */

/* Ends of the program's image, from the linker. */
extern char __executable_start[], _end[];
extern char guest_stubs[];

static uint64_t page_tables[6][512] __attribute__((aligned(4096)));
static struct { uint64_t low, high; } idt[256] __attribute__((aligned(16)));
static uint64_t gdt[5] __attribute__((aligned(16)));
static uint8_t tss[104] __attribute__((aligned(16)));
_Static_assert(sizeof(idt) == 4096 && sizeof(gdt) == 40 && sizeof(tss) == 0x68,
	       "the processor's tables have another size");
static uint8_t stacks[VM_MAX_VCPUS][STACK_SIZE] __attribute__((aligned(4096)));

static void build_tables(void)
{
	for (unsigned int i = 0; i < 256; i++) {
		uint64_t target = (uint64_t)guest_stubs + i * 16;

		idt[i].low = (target & 0xffff) | (uint64_t)SELECTOR_CODE << 16 |
			     GATE_INTERRUPT | (target >> 16 & 0xffff) << 48;
		idt[i].high = target >> 32;
	}
	gdt[1] = 0x00af9b000000ffffULL;		/* 64-bit code, accessed */
	gdt[2] = 0x00cf93000000ffffULL;		/* data, accessed */
	gdt[3] = 0x00008b0000000000ULL | (sizeof(tss) - 1) | ((uint64_t)tss & 0xffffff) << 16 |
		 ((uint64_t)tss >> 24 & 0xff) << 56;

	page_tables[0][0] = (uint64_t)page_tables[1] | PTE_PRESENT | PTE_WRITE;
	for (unsigned int gib = 0; gib < 4; gib++) {
		page_tables[1][gib] = (uint64_t)page_tables[2 + gib] | PTE_PRESENT | PTE_WRITE;
		for (uint64_t i = 0; i < 512; i++)
			page_tables[2 + gib][i] = gib << 30 | i << 21 |
						  PTE_PRESENT | PTE_WRITE | PTE_LARGE;
	}
}

void boot_add_memory(struct vm *vm)
{
	struct kvm_userspace_memory_region memory = {
		.guest_phys_addr = (uint64_t)__executable_start & -PAGE_SIZE,
		.userspace_addr = (uint64_t)__executable_start & -PAGE_SIZE,
	};

	build_tables();
	memory.memory_size = (((uint64_t)_end + PAGE_SIZE - 1) & -PAGE_SIZE) -
			     memory.guest_phys_addr;
	vm_ioctl(vm, KVM_SET_USER_MEMORY_REGION, &memory);
}

/* What KVM supports, asked once. */
static struct kvm_cpuid2 *supported_cpuid(struct vm *vm)
{
	enum { ENTRIES = 256 };
	static struct kvm_cpuid2 *cpuid;

	if (cpuid)
		return cpuid;
	cpuid = calloc(1, sizeof(*cpuid) + ENTRIES * sizeof(cpuid->entries[0]));
	if (!cpuid)
		vm_fail(vm, "out of memory");
	cpuid->nent = ENTRIES;
	checked_ioctl(vm, vm->kvm_fd, KVM_GET_SUPPORTED_CPUID, (unsigned long)cpuid,
		      "KVM_GET_SUPPORTED_CPUID");
	return cpuid;
}

static void set_cpuid(struct vcpu *vcpu)
{
	struct kvm_cpuid2 *cpuid = supported_cpuid(vcpu->vm);

	for (unsigned int i = 0; i < cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *entry = &cpuid->entries[i];

		if (entry->function == 1) {
			/* Its 8 bits; leaf 0Bh has the whole ID. */
			entry->ebx = (entry->ebx & 0x00ffffff) | vcpu->id << 24;
			entry->ecx |= CPUID_1_ECX_X2APIC | CPUID_1_ECX_TSC_DEADLINE;
		} else if (entry->function == 0xb || entry->function == 0x1f) {
			entry->edx = vcpu->id;
		}
	}
	vcpu_ioctl(vcpu, KVM_SET_CPUID2, cpuid);
}

static void set_long_mode(struct vcpu *vcpu)
{
	struct kvm_segment code = {
		.limit = 0xffffffff, .selector = SELECTOR_CODE, .type = TYPE_CODE,
		.present = 1, .s = 1, .l = 1, .g = 1,
	};
	struct kvm_segment data = {
		.limit = 0xffffffff, .selector = SELECTOR_DATA, .type = TYPE_DATA,
		.present = 1, .s = 1, .db = 1, .g = 1,
	};
	uint64_t top = (uint64_t)stacks[vcpu->guest->index] + STACK_SIZE;
	struct kvm_regs regs = {
		/* The stack is as after a call: the slot of the return address holds zero. */
		.rip = (uint64_t)guest_entry, .rsp = top - 8, .rflags = X86_EFLAGS_FIXED,
	};
	struct kvm_mp_state mp = { .mp_state = KVM_MP_STATE_RUNNABLE };
	struct kvm_sregs sregs;

	vcpu_ioctl(vcpu, KVM_GET_SREGS, &sregs);
	sregs.cs = code;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	sregs.gs.base = (uint64_t)vcpu->guest;
	sregs.tr = (struct kvm_segment){
		.base = (uint64_t)tss, .limit = sizeof(tss) - 1,
		.selector = SELECTOR_TSS, .type = TYPE_TSS, .present = 1,
	};
	sregs.gdt = (struct kvm_dtable){ .base = (uint64_t)gdt, .limit = sizeof(gdt) - 1 };
	sregs.idt = (struct kvm_dtable){ .base = (uint64_t)idt, .limit = sizeof(idt) - 1 };
	sregs.cr0 = X86_CR0_PG | X86_CR0_NE | X86_CR0_ET | X86_CR0_MP | X86_CR0_PE;
	sregs.cr3 = (uint64_t)page_tables[0];
	sregs.cr4 = X86_CR4_PAE | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT;
	sregs.efer = EFER_LME | EFER_LMA;
	if (vcpu->guest->x2apic)
		sregs.apic_base |= APIC_BASE_X2APIC;
	vcpu_ioctl(vcpu, KVM_SET_SREGS, &sregs);
	vcpu_ioctl(vcpu, KVM_SET_REGS, &regs);
	vcpu_ioctl(vcpu, KVM_SET_MP_STATE, &mp);
}

/* Make guest TSC = host TSC on all vCPUs, so that times can be compared. */
static void align_tsc(struct vcpu *vcpu)
{
	uint64_t offset = 0;
	struct kvm_device_attr attr = {
		.group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET,
		.addr = (uint64_t)&offset,
	};

	vcpu_ioctl(vcpu, KVM_SET_DEVICE_ATTR, &attr);
}

void boot_set_state(struct vcpu *vcpu)
{
	set_cpuid(vcpu);
	set_long_mode(vcpu);
	align_tsc(vcpu);
}
