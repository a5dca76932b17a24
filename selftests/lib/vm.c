// SPDX-License-Identifier: GPL-2.0-only
/*
 * Test VMs: memory, vCPUs, their threads, and the report when a test fails.
 *
 * Memory is one slot: the program's own image, at its own addresses.  The
 * guest's page tables map the first 4 GiB one to one, so that the image, the
 * APIC page and the IOAPIC are where C code expects them.
 */
#define _GNU_SOURCE
#include "vm.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "lapic.h"
#include "stats.h"

#define PAGE_SIZE	4096UL
#define STACK_SIZE	(4 * PAGE_SIZE)
#define EXIT_FAIL	1	/* KSFT_FAIL */

#define KICK_SIGNAL	SIGUSR1

enum { WANT_RUN, WANT_PAUSE, WANT_STOP };

enum { SELECTOR_CODE = 0x08, SELECTOR_DATA = 0x10, SELECTOR_TSS = 0x18 };

/* Ends of the program's image, from the linker. */
extern char __executable_start[], _end[];
extern char guest_stubs[];

static uint64_t page_tables[6][512] __attribute__((aligned(4096)));
static struct { uint64_t low, high; } idt[256] __attribute__((aligned(16)));
static uint64_t gdt[5] __attribute__((aligned(16)));
static uint8_t tss[104] __attribute__((aligned(16)));
static uint8_t stacks[VM_MAX_VCPUS][STACK_SIZE] __attribute__((aligned(4096)));

static __thread struct vcpu *this_vcpu;
static volatile int failing;

/* A gap between two calls counts for so much at most. */
#define PATIENCE_STEP_US	100000

uint64_t patience_us(void)
{
	static _Thread_local uint64_t last, sum;
	struct timespec t;
	uint64_t now;

	clock_gettime(CLOCK_MONOTONIC, &t);
	now = (uint64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
	sum += now - last < PATIENCE_STEP_US ? now - last : PATIENCE_STEP_US;
	last = now;
	return sum;
}

void sleep_us(unsigned int us)
{
	struct timespec t = { .tv_nsec = us % 1000000 * 1000L, .tv_sec = us / 1000000 };

	nanosleep(&t, NULL);
}

uint64_t vm_timeout_us(void)
{
	const char *seconds = getenv("VAPIC_TIMEOUT");

	return (seconds ? strtoull(seconds, NULL, 0) : 20) * 1000000;
}

unsigned int host_cpu_count(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		return 1;
	return CPU_COUNT(&set);
}

int host_cpu(unsigned int n)
{
	cpu_set_t set;

	if (sched_getaffinity(getpid(), sizeof(set), &set))
		return 0;
	n %= CPU_COUNT(&set);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &set) && n-- == 0)
			return cpu;
	return 0;
}

uint64_t host_random_state = 0x2545f4914f6cdd1dULL;

uint64_t host_random(void)
{
	uint64_t x = host_random_state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	host_random_state = x;
	return x;
}

/* ---- the report ---- */

static void print_vectors(const struct kvm_lapic_state *lapic, const char *name,
			  uint32_t base)
{
	fprintf(stderr, " %s", name);
	for (unsigned int vector = 0; vector < 256; vector++)
		if (lapic_bit(lapic, base, vector))
			fprintf(stderr, " %02xh", vector);
	fprintf(stderr, ";");
}

/* Like vcpu_pause(), but gives up: a vCPU may hang inside the kernel. */
static bool try_pause(struct vcpu *vcpu)
{
	vcpu->wanted = WANT_PAUSE;
	full_barrier();
	vcpu->run->immediate_exit = 1;
	for (int tries = 0; tries < 1000; tries++) {
		if (vcpu->parked || vcpu->finished || !vcpu->tid || vcpu == this_vcpu)
			return true;
		pthread_kill(vcpu->thread, KICK_SIGNAL);
		sleep_us(1000);
	}
	return false;
}

static void print_vcpu(struct vcpu *vcpu)
{
	struct guest_cpu *guest = vcpu->guest;
	struct kvm_lapic_state lapic;
	struct kvm_mp_state mp = { 0 };
	struct kvm_regs regs;
	uint64_t exits = 0, halts = 0, blocking = 0;

	/* Before the pause, which ends the blocking. */
	stats_read(vcpu->stats_fd, "blocking", &blocking);
	stats_read(vcpu->stats_fd, "exits", &exits);
	stats_read(vcpu->stats_fd, "halt_exits", &halts);
	fprintf(stderr, "# vcpu %u (id %u, pcpu %d): %s%s, exits %llu, halts %llu\n",
		guest->index, vcpu->id, vcpu->pcpu,
		vcpu->finished ? "finished" : vcpu->parked ? "parked" : "in KVM_RUN",
		blocking ? ", blocked" : "", (unsigned long long)exits,
		(unsigned long long)halts);
	if (!try_pause(vcpu)) {
		fprintf(stderr, "#   did not leave KVM_RUN within a second\n");
		return;
	}
	if (ioctl(vcpu->fd, KVM_GET_REGS, &regs) || ioctl(vcpu->fd, KVM_GET_LAPIC, &lapic)) {
		fprintf(stderr, "#   registers unavailable: %s\n", strerror(errno));
		return;
	}
	ioctl(vcpu->fd, KVM_GET_MP_STATE, &mp);
	fprintf(stderr, "#   rip %llx rsp %llx rflags %llx (IF %llu) mp_state %u\n",
		regs.rip, regs.rsp, regs.rflags, regs.rflags >> 9 & 1, mp.mp_state);
	fprintf(stderr, "#   ID %08x TPR %02x PPR %02x LDR %08x DFR %08x SPIV %03x ICR %08x:%08x\n",
		lapic_read(&lapic, APIC_ID), lapic_read(&lapic, APIC_TPR),
		lapic_read(&lapic, APIC_PPR), lapic_read(&lapic, APIC_LDR),
		lapic_read(&lapic, APIC_DFR), lapic_read(&lapic, APIC_SPIV),
		lapic_read(&lapic, APIC_ICR_HIGH), lapic_read(&lapic, APIC_ICR));
	fprintf(stderr, "#  ");
	print_vectors(&lapic, "IRR", APIC_IRR);
	print_vectors(&lapic, "ISR", APIC_ISR);
	print_vectors(&lapic, "TMR", APIC_TMR);
	fprintf(stderr, "\n#   handled:");
	for (unsigned int vector = 0; vector < 256; vector++)
		if (guest->irqs[vector])
			fprintf(stderr, " %02xh x%u", vector, guest->irqs[vector]);
	fprintf(stderr, "\n");
	if (guest->call == GUEST_FAILED)
		fprintf(stderr, "#   guest assertion: %s:%u: %s (a %llx, b %llx)\n",
			guest->fail_file, guest->fail_line, guest->fail_text,
			(unsigned long long)guest->fail_a,
			(unsigned long long)guest->fail_b);
}

void vm_fail(struct vm *vm, const char *format, ...)
{
	va_list args;

	/* One thread reports; the others wait for the end of the process. */
	if (__atomic_exchange_n(&failing, 1, __ATOMIC_SEQ_CST))
		for (;;)
			pause();
	fflush(stdout);
	fprintf(stderr, "# FAILED: ");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\n");
	if (vm && vm->on_failure)
		vm->on_failure(vm);
	if (vm)
		for (unsigned int i = 0; i < vm->vcpu_count; i++)
			print_vcpu(&vm->vcpus[i]);
	fflush(stderr);
	_exit(EXIT_FAIL);
}

int checked_ioctl(struct vm *vm, int fd, unsigned long request,
		  unsigned long arg, const char *name)
{
	int result = ioctl(fd, request, arg);

	if (result < 0)
		vm_fail(vm, "%s: %s", name, strerror(errno));
	return result;
}

/* ---- creation ---- */

static void build_tables(void)
{
	for (unsigned int i = 0; i < 256; i++) {
		uint64_t target = (uint64_t)guest_stubs + i * 16;

		/* An interrupt gate, present, to the code segment. */
		idt[i].low = (target & 0xffff) | (uint64_t)SELECTOR_CODE << 16 |
			     0x8e00ULL << 32 | (target >> 16 & 0xffff) << 48;
		idt[i].high = target >> 32;
	}
	gdt[1] = 0x00af9b000000ffffULL;		/* 64-bit code, accessed */
	gdt[2] = 0x00cf93000000ffffULL;		/* data, accessed */
	gdt[3] = 0x00008b0000000067ULL | ((uint64_t)tss & 0xffffff) << 16 |
		 ((uint64_t)tss >> 24 & 0xff) << 56;

	page_tables[0][0] = (uint64_t)page_tables[1] | 3;
	for (unsigned int gib = 0; gib < 4; gib++) {
		page_tables[1][gib] = (uint64_t)page_tables[2 + gib] | 3;
		for (uint64_t i = 0; i < 512; i++)
			page_tables[2 + gib][i] = (gib << 30 | i << 21) | 0x83;
	}
}

static void on_kick(int signal)
{
	(void)signal;
}

struct vm *vm_try_create(unsigned int options, const char **why)
{
	struct kvm_userspace_memory_region memory = {
		.guest_phys_addr = (uint64_t)__executable_start & -PAGE_SIZE,
		.userspace_addr = (uint64_t)__executable_start & -PAGE_SIZE,
	};
	struct sigaction action = { .sa_handler = on_kick };
	struct kvm_enable_cap cap = { 0 };
	struct vm *vm = calloc(1, sizeof(*vm));
	int kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (kvm_fd < 0 || !vm) {
		*why = "no usable /dev/kvm";
		free(vm);
		return NULL;
	}
	vm->kvm_fd = kvm_fd;
	vm->options = options;
	vm->fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
	if (vm->fd < 0) {
		*why = "KVM_CREATE_VM failed: no hardware virtualization";
		close(kvm_fd);
		free(vm);
		return NULL;
	}
	sigaction(KICK_SIGNAL, &action, NULL);
	build_tables();
	memory.memory_size = (((uint64_t)_end + PAGE_SIZE - 1) & -PAGE_SIZE) -
			     memory.guest_phys_addr;
	vm_ioctl(vm, KVM_SET_USER_MEMORY_REGION, &memory);
	/* Needed by Intel processors only, harmless elsewhere; clear of all else. */
	ioctl(vm->fd, KVM_SET_TSS_ADDR, 0xfffbd000UL);

	if (options & VM_SPLIT) {
		cap.cap = KVM_CAP_SPLIT_IRQCHIP;
		cap.args[0] = 24;
		vm_ioctl(vm, KVM_ENABLE_CAP, &cap);
	} else {
		vm_ioctl(vm, KVM_CREATE_IRQCHIP, 0);
	}

	/* Destinations beyond 8 bits in MSIs, and no tricks with FFh. */
	cap = (struct kvm_enable_cap){
		.cap = KVM_CAP_X2APIC_API,
		.args = { KVM_X2APIC_API_USE_32BIT_IDS |
			  KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK },
	};
	vm_ioctl(vm, KVM_ENABLE_CAP, &cap);

	/* A vCPU that halts shall block at once: polling would hide the blocking paths. */
	cap = (struct kvm_enable_cap){ .cap = KVM_CAP_HALT_POLL };
	vm_ioctl(vm, KVM_ENABLE_CAP, &cap);

	/* Waiting loops use PAUSE; those exits are none of our business. */
	cap = (struct kvm_enable_cap){
		.cap = KVM_CAP_X86_DISABLE_EXITS,
		.args = { KVM_X86_DISABLE_EXITS_PAUSE },
	};
	ioctl(vm->fd, KVM_ENABLE_CAP, &cap);
	return vm;
}

struct vm *vm_create(unsigned int options)
{
	const char *why;
	struct vm *vm = vm_try_create(options, &why);

	if (!vm)
		vm_fail(NULL, "%s", why);
	return vm;
}

void vm_add_pit(struct vm *vm)
{
	struct kvm_pit_config pit = { 0 };

	vm_ioctl(vm, KVM_CREATE_PIT2, &pit);
}

int vm_raw_create_vcpu(struct vm *vm, uint32_t id)
{
	int fd = ioctl(vm->fd, KVM_CREATE_VCPU, (unsigned long)id);

	return fd < 0 ? -errno : fd;
}

struct creation {
	struct vm *vm;
	uint32_t id;
	pthread_barrier_t *start;
	int fd;
};

static void *create_with_others(void *arg)
{
	struct creation *creation = arg;

	pthread_barrier_wait(creation->start);
	creation->fd = vm_raw_create_vcpu(creation->vm, creation->id);
	return NULL;
}

/* One of them must get the vCPU, and the others be told that it exists. */
static int create_racing(struct vm *vm, uint32_t id)
{
	enum { CREATORS = 4 };
	struct creation creations[CREATORS];
	pthread_t threads[CREATORS];
	pthread_barrier_t start;
	int made = -EEXIST;

	pthread_barrier_init(&start, NULL, CREATORS);
	for (unsigned int i = 0; i < CREATORS; i++) {
		creations[i] = (struct creation){.vm = vm, .id = id, .start = &start};
		if (pthread_create(&threads[i], NULL, create_with_others, &creations[i]))
			vm_fail(vm, "cannot start a thread");
	}
	for (unsigned int i = 0; i < CREATORS; i++) {
		pthread_join(threads[i], NULL);
		if (creations[i].fd == -EEXIST)
			continue;
		if (made != -EEXIST)
			vm_fail(vm, "two creations of vCPU %u ended with %d and %d", id, made,
				creations[i].fd);
		made = creations[i].fd;
	}
	pthread_barrier_destroy(&start);
	return made;
}

static void set_cpuid(struct vcpu *vcpu)
{
	enum { ENTRIES = 256 };
	struct kvm_cpuid2 *cpuid = calloc(1, sizeof(*cpuid) +
					  ENTRIES * sizeof(cpuid->entries[0]));

	if (!cpuid)
		vm_fail(vcpu->vm, "out of memory");
	cpuid->nent = ENTRIES;
	checked_ioctl(vcpu->vm, vcpu->vm->kvm_fd, KVM_GET_SUPPORTED_CPUID,
		      (unsigned long)cpuid, "KVM_GET_SUPPORTED_CPUID");
	for (unsigned int i = 0; i < cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *entry = &cpuid->entries[i];

		if (entry->function == 1) {
			entry->ebx = (entry->ebx & 0x00ffffff) | vcpu->id << 24;
			/* x2APIC and the timer's TSC-deadline mode. */
			entry->ecx |= 1U << 21 | 1U << 24;
		} else if (entry->function == 0xb || entry->function == 0x1f) {
			entry->edx = vcpu->id;
		}
	}
	vcpu_ioctl(vcpu, KVM_SET_CPUID2, cpuid);
	free(cpuid);
}

static void set_long_mode(struct vcpu *vcpu)
{
	struct kvm_segment code = {
		.limit = 0xffffffff, .selector = SELECTOR_CODE, .type = 11,
		.present = 1, .s = 1, .l = 1, .g = 1,
	};
	struct kvm_segment data = {
		.limit = 0xffffffff, .selector = SELECTOR_DATA, .type = 3,
		.present = 1, .s = 1, .db = 1, .g = 1,
	};
	uint64_t top = (uint64_t)stacks[vcpu->guest->index] + STACK_SIZE;
	struct kvm_regs regs = {
		/* As after a call: the return address slot holds zero. */
		.rip = (uint64_t)guest_entry, .rsp = top - 8, .rflags = 2,
	};
	struct kvm_mp_state mp = { .mp_state = KVM_MP_STATE_RUNNABLE };
	struct kvm_sregs sregs;

	vcpu_ioctl(vcpu, KVM_GET_SREGS, &sregs);
	sregs.cs = code;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	sregs.gs.base = (uint64_t)vcpu->guest;
	sregs.tr = (struct kvm_segment){
		.base = (uint64_t)tss, .limit = sizeof(tss) - 1,
		.selector = SELECTOR_TSS, .type = 11, .present = 1,
	};
	sregs.gdt = (struct kvm_dtable){ .base = (uint64_t)gdt, .limit = sizeof(gdt) - 1 };
	sregs.idt = (struct kvm_dtable){ .base = (uint64_t)idt, .limit = sizeof(idt) - 1 };
	sregs.cr0 = 0x80000033;		/* PG, NE, ET, MP, PE */
	sregs.cr3 = (uint64_t)page_tables[0];
	sregs.cr4 = 0x620;		/* PAE, OSFXSR, OSXMMEXCPT */
	sregs.efer = 0x500;		/* LME, LMA */
	if (vcpu->guest->x2apic)
		sregs.apic_base |= APIC_BASE_X2APIC;
	vcpu_ioctl(vcpu, KVM_SET_SREGS, &sregs);
	vcpu_ioctl(vcpu, KVM_SET_REGS, &regs);
	vcpu_ioctl(vcpu, KVM_SET_MP_STATE, &mp);
}

/* Guest TSC = host TSC on all vCPUs, so that times compare. */
static void align_tsc(struct vcpu *vcpu)
{
	uint64_t offset = 0;
	struct kvm_device_attr attr = {
		.group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET,
		.addr = (uint64_t)&offset,
	};

	vcpu_ioctl(vcpu, KVM_SET_DEVICE_ATTR, &attr);
}

/* All of a vCPU but what the guest keeps of itself in memory. */
static struct vcpu *add_vcpu(struct vm *vm, uint32_t id)
{
	unsigned int index = vm->vcpu_count;
	struct vcpu *vcpu;
	int size;

	vcpu = &vm->vcpus[index];
	vcpu->vm = vm;
	vcpu->id = id;
	vcpu->pcpu = -1;
	vcpu->guest = &guest_cpus[index];
	vcpu->fd = vm->options & VM_RACE ? create_racing(vm, id) : vm_raw_create_vcpu(vm, id);
	if (vcpu->fd < 0)
		vm_fail(vm, "KVM_CREATE_VCPU %u: %s", id, strerror(-vcpu->fd));
	size = checked_ioctl(vm, vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0,
			     "KVM_GET_VCPU_MMAP_SIZE");
	vcpu->run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED)
		vm_fail(NULL, "mmap of vCPU %u: %s", id, strerror(errno));
	vcpu->stats_fd = vcpu_ioctl(vcpu, KVM_GET_STATS_FD, 0);
	vm->vcpu_count++;
	set_cpuid(vcpu);
	set_long_mode(vcpu);
	align_tsc(vcpu);
	return vcpu;
}

struct vcpu *vm_add_vcpu(struct vm *vm, uint32_t id,
			 void (*function)(uint64_t), uint64_t arg)
{
	unsigned int index = vm->vcpu_count;
	struct guest_cpu *guest = &guest_cpus[index];

	if (index >= VM_MAX_VCPUS)
		vm_fail(vm, "more than %u vCPUs", VM_MAX_VCPUS);
	memset(guest, 0, sizeof(*guest));
	*guest = (struct guest_cpu){
		.self = guest, .index = index, .apic_id = id,
		.x2apic = vm->options & VM_X2APIC, .function = function, .arg = arg,
		.random = 0x9e3779b97f4a7c15ULL * (index + 1),
	};
	return add_vcpu(vm, id);
}

struct vm *vm_create_like(struct vm *vm)
{
	struct vm *like = vm_create(vm->options);

	like->on_exit = vm->on_exit;
	for (unsigned int i = 0; i < vm->vcpu_count; i++)
		add_vcpu(like, vm->vcpus[i].id);
	vm_start_held(like, ~0U);
	return like;
}

/* ---- running ---- */

/* Returns true if the vCPU may go on. */
static bool handle_exit(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	if (run->exit_reason == KVM_EXIT_IO && run->io.port == GUEST_CALL_PORT) {
		if (vcpu->guest->call == GUEST_DONE)
			return false;
		vm_fail(vcpu->vm, "guest assertion on vcpu %u", vcpu->guest->index);
	}
	if (vcpu->vm->on_exit && vcpu->vm->on_exit(vcpu))
		return true;
	if (run->exit_reason == KVM_EXIT_MMIO)
		vm_fail(vcpu->vm, "vcpu %u: %s of unmapped address %llx",
			vcpu->guest->index, run->mmio.is_write ? "write" : "read",
			run->mmio.phys_addr);
	vm_fail(vcpu->vm, "vcpu %u: unexpected exit %u (hardware reason or suberror %llx)",
		vcpu->guest->index, run->exit_reason,
		run->hw.hardware_exit_reason);
}

static void *vcpu_thread(void *arg)
{
	struct vcpu *vcpu = arg;
	/* KVM carries out the last exit's instruction at the next KVM_RUN. */
	bool unfinished_exit = false;

	this_vcpu = vcpu;
	vcpu->tid = syscall(SYS_gettid);
	for (;;) {
		/*
		 * Clear the request first and read `wanted` after: whoever
		 * wants a pause writes them in the opposite order, so one of
		 * the two is seen.
		 */
		vcpu->run->immediate_exit = 0;
		full_barrier();
		if (vcpu->wanted == WANT_STOP)
			break;
		if (vcpu->wanted == WANT_PAUSE) {
			/* Whoever reads its state shall see it carried out. */
			vcpu->run->immediate_exit = 1;
			if (unfinished_exit)
				ioctl(vcpu->fd, KVM_RUN, 0);
			unfinished_exit = false;
			vcpu->parked = true;
			while (vcpu->wanted == WANT_PAUSE)
				sleep_us(20);
			vcpu->parked = false;
			continue;
		}
		if (ioctl(vcpu->fd, KVM_RUN, 0) < 0) {
			unfinished_exit = false;
			if (errno == EINTR || errno == EAGAIN)
				continue;
			vm_fail(vcpu->vm, "KVM_RUN on vcpu %u: %s",
				vcpu->guest->index, strerror(errno));
		}
		if (!handle_exit(vcpu))
			break;
		unfinished_exit = true;
	}
	full_barrier();
	vcpu->finished = true;
	return NULL;
}

void vcpu_pin(struct vcpu *vcpu, int pcpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	if (pcpu < 0) {
		sched_getaffinity(getpid(), sizeof(set), &set);
	} else {
		CPU_SET(pcpu, &set);
	}
	if (sched_setaffinity(vcpu->tid, sizeof(set), &set))
		vm_fail(vcpu->vm, "cannot move vcpu %u to processor %d: %s",
			vcpu->guest->index, pcpu, strerror(errno));
	vcpu->pcpu = pcpu;
}

void vm_start(struct vm *vm)
{
	vm_start_held(vm, 0);
}

void vm_start_held(struct vm *vm, uint32_t held)
{
	/* With one to spare, the first processor is left to the host's side. */
	unsigned int first = host_cpu_count() > vm->vcpu_count;

	for (unsigned int i = 0; i < vm->vcpu_count; i++) {
		struct vcpu *vcpu = &vm->vcpus[i];
		/* Held back until it is where it shall run. */
		vcpu->wanted = WANT_PAUSE;
		if (pthread_create(&vcpu->thread, NULL, vcpu_thread, vcpu))
			vm_fail(vm, "cannot create a thread");
		vm_wait(vm, vcpu->parked, "a vCPU's thread starts");
		vcpu_pin(vcpu, host_cpu(first + i));
	}
	for (unsigned int i = 0; i < vm->vcpu_count; i++)
		if (!(held & 1U << i))
			vcpu_resume(&vm->vcpus[i]);
}

void vm_join(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->vcpu_count; i++)
		vm_wait(vm, vm->vcpus[i].finished, "all guest functions return");
}

void vm_destroy(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->vcpu_count; i++) {
		struct vcpu *vcpu = &vm->vcpus[i];

		if (vcpu->tid) {
			vcpu->wanted = WANT_STOP;
			full_barrier();
			vcpu->run->immediate_exit = 1;
			pthread_kill(vcpu->thread, KICK_SIGNAL);
			pthread_join(vcpu->thread, NULL);
		}
		munmap(vcpu->run, checked_ioctl(NULL, vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE,
						0, "KVM_GET_VCPU_MMAP_SIZE"));
		close(vcpu->stats_fd);
		close(vcpu->fd);
	}
	close(vm->fd);
	close(vm->kvm_fd);
	free(vm);
}

void vcpu_pause(struct vcpu *vcpu)
{
	if (!try_pause(vcpu))
		vm_fail(vcpu->vm, "vcpu %u does not leave KVM_RUN", vcpu->guest->index);
}

void vcpu_resume(struct vcpu *vcpu)
{
	/* Wait until it moves: a pause that follows must not find it still parked. */
	vcpu->wanted = WANT_RUN;
	while (vcpu->parked)
		sched_yield();
}

void vm_pause(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->vcpu_count; i++)
		vcpu_pause(&vm->vcpus[i]);
}

void vm_resume(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->vcpu_count; i++)
		vcpu_resume(&vm->vcpus[i]);
}

bool vcpu_is_blocked(struct vcpu *vcpu)
{
	uint64_t blocking = 0;
	char path[64], first;
	ssize_t length;
	int fd;

	if (!stats_read(vcpu->stats_fd, "blocking", &blocking))
		vm_fail(vcpu->vm, "this kernel does not count blocked vCPUs");
	if (!blocking)
		return false;
	/*
	 * The thread's state says "sleeps" from before KVM looks a last time whether it has
	 * to. This file has the number of its system call once it is off the CPU, and
	 * "running" before.
	 */
	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", vcpu->tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	length = fd < 0 ? -1 : read(fd, &first, 1);
	if (fd >= 0)
		close(fd);
	return length == 1 && first >= '0' && first <= '9';
}

uint64_t vcpu_stat(struct vcpu *vcpu, const char *name)
{
	uint64_t value;

	if (!stats_read(vcpu->stats_fd, name, &value))
		vm_fail(vcpu->vm, "this kernel has no vCPU counter %s", name);
	return value;
}

int vm_send_msi(struct vm *vm, uint32_t apic_id, uint8_t vector)
{
	struct kvm_msi msi = {
		.address_lo = 0xfee00000U | (apic_id & 0xff) << 12,
		.address_hi = apic_id & 0xffffff00U,
		.data = vector,
	};

	return vm_ioctl(vm, KVM_SIGNAL_MSI, &msi);
}
