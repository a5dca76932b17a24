/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The host's side of a test VM: its file descriptors, its vCPUs and how they are created.  run.h
 * makes them run.
 *
 * Unless said otherwise, no function here returns an error: on an error it prints what went
 * wrong and the state of every vCPU, and ends the process as a failed test.
 */
#ifndef SELFTESTS_LIB_VM_H
#define SELFTESTS_LIB_VM_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/types.h>

#include "guest.h"

#define VM_MAX_VCPUS	GUEST_MAX_CPUS
#define VM_REPORTED	16U

/* Options of vm_create(). */
#define VM_SPLIT	(1U << 0)	/* only the local APICs in the kernel */
#define VM_X2APIC	(1U << 1)	/* vCPUs start in x2APIC mode */
#define VM_RACE		(1U << 2)	/* several threads at once create each vCPU */
#define VM_XAPIC_IMAGES	(1U << 3)	/* KVM_GET_LAPIC shows all IDs as those of xAPIC mode */

struct vcpu {
	struct vm *vm;
	struct guest_cpu *guest;
	uint32_t id;
	int fd;
	int stats_fd;
	struct kvm_run *run;

	pthread_t thread;
	int pcpu;			/* the processor it is pinned to, or -1 */

	/* Written by the vCPU's own thread. */
	_Atomic pid_t tid;
	_Atomic bool parked;		/* outside KVM_RUN, waiting for the host */
	_Atomic bool finished;		/* the guest function returned */
	/*
	 * What the vCPU's thread is to do, an enum in run.c.
	 *
	 * ORDERING pause, of this word and of run->immediate_exit
	 *   writers:  wanted: whoever starts, pauses or stops the vCPU, and a failed test's report.
	 *             immediate_exit: those who pause or stop it set it; the vCPU's own thread
	 *             clears it before each KVM_RUN, and sets it to complete an exit. KVM reads it
	 *   order:    who wants a pause writes wanted, then immediate_exit; the thread clears
	 *             immediate_exit, then reads wanted
	 *   pairs:    vcpu_try_pause() and vcpu_stop() with vcpu_thread()
	 *   barrier:  full_barrier() between the two accesses, in all three functions
	 *   if lost:  the thread sees neither, and enters the guest: the signal that follows gets it
	 *             out, and vcpu_try_pause() sends it again; a vCPU that is stopped is waited for
	 *             without end
	 *   checked:  none: all tests pause vCPUs, and no build here weakens it
	 */
	_Atomic int wanted;
};

struct vm {
	int kvm_fd;
	int fd;
	int blocker_fd;			/* see vm_add_blocker() */
	unsigned int options;
	unsigned int vcpu_count;
	struct vcpu vcpus[VM_MAX_VCPUS];

	/*
	 * Called in the vCPU's thread for exits that the library does not
	 * handle.  Returns true if the vCPU may continue.
	 */
	bool (*on_exit)(struct vcpu *vcpu);

	/* If set, adds to what vm_fail() prints, which has at most VM_REPORTED vCPUs. */
	void (*on_failure)(struct vm *vm);
};

/*
 * Returns NULL and sets *why if this host has no KVM, or not for this user or not now; any other
 * error fails the test.
 */
struct vm *vm_try_create(unsigned int options, const char **why);
struct vm *vm_create(unsigned int options);

/*
 * Creates a second VM of the same kind with the same vCPUs, which wait for vcpu_resume().  This
 * does not change guest memory, so the VM can continue where the first was stopped (state.h).
 */
struct vm *vm_create_like(struct vm *vm);

/* Adds the in-kernel PIT, which reinjects by default. Stock AVIC is inhibited while it does. */
void vm_add_pit(struct vm *vm);

/*
 * Adds a vCPU that never runs, by which vm_block() inhibits the whole VM, on AMD and on Intel: a
 * debugger blocks its interrupts.  The VM needs it only for that.
 */
void vm_add_blocker(struct vm *vm);
void vm_block(struct vm *vm, bool on);

/* Adds the next vCPU, with @id as its vCPU ID and APIC ID. */
struct vcpu *vm_add_vcpu(struct vm *vm, uint32_t id,
			 void (*function)(uint64_t), uint64_t arg);

/* KVM_CREATE_VCPU alone; returns the descriptor or -errno. */
int vm_raw_create_vcpu(struct vm *vm, uint32_t id);

/* Stops threads and frees the VM; vCPUs need not have finished. */
void vm_destroy(struct vm *vm);

/* Print what went wrong and the state of every vCPU, and end the process. */
void __attribute__((noreturn, format(printf, 2, 3)))
vm_fail(struct vm *vm, const char *format, ...);

/*
 * From now on vm_fail() ends the process as an expected failure, with @why in @reason: the kernel
 * under test has a known defect.
 */
void vm_expect_failure(char *reason, size_t size, const char *why);

/* For on_failure: prints the state of a vCPU. */
void vcpu_report(struct vcpu *vcpu);

/*
 * An ioctl that must succeed; returns its result.  A request that has a structure takes a pointer
 * to it.
 */
#define ioctl_on(vm, fd, request, arg, name) ({					\
	_Static_assert(!_IOC_SIZE(request) || sizeof(*(arg)) == _IOC_SIZE(request), \
		       name " takes another structure");			\
	checked_ioctl(vm, fd, request, (unsigned long)(arg), name);		\
})
#define vm_ioctl(vm, request, arg) ioctl_on(vm, (vm)->fd, request, arg, #request)
#define vcpu_ioctl(vcpu, request, arg) ioctl_on((vcpu)->vm, (vcpu)->fd, request, arg, #request)
int checked_ioctl(struct vm *vm, int fd, unsigned long request,
		  unsigned long arg, const char *name);

/* Fails the test if @error, as functions of pthreads return it, is not zero. */
void vm_check(struct vm *vm, int error, const char *what);

/*
 * Adds an eventfd that sends an MSI when it is written to, by GSI @gsi, and forgets all other routes.
 * Returns it, to be closed.
 */
int vm_add_irqfd(struct vm *vm, uint32_t gsi, uint32_t apic_id, uint8_t vector);

/* Send an MSI, as a device model does; returns how many vCPUs took it. */
int vm_send_msi(struct vm *vm, uint32_t apic_id, uint8_t vector);

#endif
