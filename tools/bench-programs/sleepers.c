// SPDX-License-Identifier: GPL-2.0-only
/* Many vCPUs that sleep. */
#include "sleepers.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define MEMORY_SIZE 0x10000
#define CODE 0x1000
#define HANDLER 0x1100
#define STACKS 0x2000
#define STACK_SIZE 0x80
#define TSS_ADDRESS 0xfffbd000
#define MAX_CPUID 256
#define X2APIC_ENABLED 0xc00

/* 16 bits: enable the APIC (MSR 80fh), exit once, then halt with interrupts enabled. */
static const uint8_t code[] = {
	0x66, 0xb9, 0x0f, 0x08, 0,    0, /* mov $0x80f, %ecx */
	0x66, 0xb8, 0xff, 0x01, 0,    0, /* mov $0x1ff, %eax */
	0x66, 0x31, 0xd2, 0x0f, 0x30,	 /* xor %edx, %edx; wrmsr */
	0xe6, 0x80,			 /* out %al, $0x80 */
	0xfb, 0xf4, 0xeb, 0xfc,		 /* 1: sti; hlt; jmp 1b */
};

/* End of interrupt (MSR 80bh). */
static const uint8_t handler[] = {
	0x66, 0xb9, 0x0b, 0x08, 0,    0,    /* mov $0x80b, %ecx */
	0x66, 0x31, 0xc0, 0x66, 0x31, 0xd2, /* xor %eax, %eax; xor %edx, %edx */
	0x0f, 0x30, 0xcf,		    /* wrmsr; iret */
};

static void check(int result, const char *what)
{
	if (result >= 0)
		return;
	perror(what);
	exit(1);
}

static int request(int fd, unsigned long command, void *argument, const char *what)
{
	int result = ioctl(fd, command, argument);

	check(result, what);
	return result;
}

static void fill_memory(int vm)
{
	uint8_t *memory =
		mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct kvm_userspace_memory_region region = {.memory_size = MEMORY_SIZE};

	check(memory == MAP_FAILED ? -1 : 0, "mmap");
	region.userspace_addr = (uintptr_t)memory;
	request(vm, KVM_SET_USER_MEMORY_REGION, &region, "KVM_SET_USER_MEMORY_REGION");
	memcpy(memory + CODE, code, sizeof(code));
	memcpy(memory + HANDLER, handler, sizeof(handler));
	/* Its entry in the table of real mode: segment 0. */
	memory[4 * SLEEPERS_VECTOR] = HANDLER & 0xff;
	memory[4 * SLEEPERS_VECTOR + 1] = HANDLER >> 8;
}

static struct kvm_cpuid2 *supported_cpuid(int kvm)
{
	struct kvm_cpuid2 *cpuid =
		calloc(1, sizeof(*cpuid) + MAX_CPUID * sizeof(struct kvm_cpuid_entry2));

	check(cpuid ? 0 : -1, "calloc");
	cpuid->nent = MAX_CPUID;
	request(kvm, KVM_GET_SUPPORTED_CPUID, cpuid, "KVM_GET_SUPPORTED_CPUID");
	return cpuid;
}

/* Until the guest's access of the port. */
static void run_up(int vcpu)
{
	struct kvm_run *state = mmap(NULL, sizeof(*state), PROT_READ, MAP_SHARED, vcpu, 0);

	check(state == MAP_FAILED ? -1 : 0, "mmap of a vCPU");
	request(vcpu, KVM_RUN, NULL, "KVM_RUN");
	if (state->exit_reason != KVM_EXIT_IO) {
		fprintf(stderr, "a sleeper begins with exit %u\n", state->exit_reason);
		exit(1);
	}
	munmap(state, sizeof(*state));
}

static int new_vcpu(int vm, struct kvm_cpuid2 *cpuid, unsigned long id)
{
	struct kvm_mp_state runnable = {.mp_state = KVM_MP_STATE_RUNNABLE};
	struct kvm_regs regs = {.rip = CODE, .rsp = STACKS + (id + 1) * STACK_SIZE, .rflags = 2};
	struct kvm_sregs sregs;
	int vcpu = ioctl(vm, KVM_CREATE_VCPU, id);

	check(vcpu, "KVM_CREATE_VCPU");
	request(vcpu, KVM_SET_CPUID2, cpuid, "KVM_SET_CPUID2");
	request(vcpu, KVM_GET_SREGS, &sregs, "KVM_GET_SREGS");
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	sregs.apic_base |= X2APIC_ENABLED;
	request(vcpu, KVM_SET_SREGS, &sregs, "KVM_SET_SREGS");
	request(vcpu, KVM_SET_REGS, &regs, "KVM_SET_REGS");
	request(vcpu, KVM_SET_MP_STATE, &runnable, "KVM_SET_MP_STATE");
	return vcpu;
}

static void *run(void *vcpu)
{
	/* Nothing in the code ends it. */
	ioctl((int)(intptr_t)vcpu, KVM_RUN, 0);
	fprintf(stderr, "a sleeping vCPU left the guest\n");
	exit(1);
}

int sleepers_start(unsigned int count, unsigned int asleep)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	struct kvm_cpuid2 *cpuid;
	pthread_t thread;
	int vm, first, *vcpus;

	check(kvm, "/dev/kvm");
	vm = request(kvm, KVM_CREATE_VM, 0, "KVM_CREATE_VM");
	request(vm, KVM_SET_TSS_ADDR, (void *)TSS_ADDRESS, "KVM_SET_TSS_ADDR");
	request(vm, KVM_CREATE_IRQCHIP, 0, "KVM_CREATE_IRQCHIP");
	fill_memory(vm);
	cpuid = supported_cpuid(kvm);
	first = new_vcpu(vm, cpuid, 0);
	vcpus = calloc(count + 1, sizeof(*vcpus));
	check(vcpus ? 0 : -1, "calloc");
	for (unsigned int id = 1; id <= count; id++)
		vcpus[id] = new_vcpu(vm, cpuid, id);
	/* All are in one mode of the APIC by now, so nothing inhibits the VM. */
	for (unsigned int id = 1; id <= count; id++) {
		run_up(vcpus[id]);
		if (id <= asleep)
			check(-pthread_create(&thread, NULL, run, (void *)(intptr_t)vcpus[id]),
			      "pthread_create");
	}
	free(vcpus);
	free(cpuid);
	return first;
}
