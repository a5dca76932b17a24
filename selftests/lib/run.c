// SPDX-License-Identifier: GPL-2.0-only
/* The threads of the vCPUs: their loop around KVM_RUN, and how the host stops them. */
#define _GNU_SOURCE
#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "stats.h"

#define KICK_SIGNAL	SIGUSR1

enum { WANT_RUN, WANT_PAUSE, WANT_STOP };

/* A thread calls some functions of libc, no more. */
#define STACK_SIZE	(256 * 1024)

static __thread struct vcpu *this_vcpu;

static void on_kick(int signal)
{
	(void)signal;
}

/* Tells the vCPU's thread what to do, and wakes it if it is parked. */
static void set_wanted(struct vcpu *vcpu, int wanted)
{
	vcpu->wanted = wanted;
	syscall(SYS_futex, &vcpu->wanted, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void wait_while_paused(struct vcpu *vcpu)
{
	while (vcpu->wanted == WANT_PAUSE)
		syscall(SYS_futex, &vcpu->wanted, FUTEX_WAIT_PRIVATE, WANT_PAUSE, NULL, NULL, 0);
}

/* Returns true if the vCPU may continue. */
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
		/* Ordering: pause (vm.h). */
		vcpu->run->immediate_exit = 0;
		full_barrier();
		if (vcpu->wanted == WANT_STOP)
			break;
		if (vcpu->wanted == WANT_PAUSE) {
			/*
			 * A thread that reads the vCPU's state shall see the exit completed. KVM
			 * does that first, and then fails with EINTR because of immediate_exit.
			 */
			vcpu->run->immediate_exit = 1;
			if (unfinished_exit && (!ioctl(vcpu->fd, KVM_RUN, 0) || errno != EINTR))
				vm_fail(vcpu->vm, "vcpu %u: cannot complete its last exit",
					vcpu->guest->index);
			unfinished_exit = false;
			vcpu->parked = true;
			wait_while_paused(vcpu);
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
		if (sched_getaffinity(getpid(), sizeof(set), &set))
			vm_fail(vcpu->vm, "processors of this process: %s", strerror(errno));
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

/* Makes the thread of a vCPU, which begins on its processor and is parked. */
static void start_parked(struct vcpu *vcpu, int pcpu)
{
	pthread_attr_t attributes;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(pcpu, &set);
	vcpu->pcpu = pcpu;
	vcpu->wanted = WANT_PAUSE;
	vm_check(vcpu->vm, pthread_attr_init(&attributes), "attributes of a thread");
	vm_check(vcpu->vm, pthread_attr_setstacksize(&attributes, STACK_SIZE),
		 "stack of a thread");
	vm_check(vcpu->vm, pthread_attr_setaffinity_np(&attributes, sizeof(set), &set),
		 "processor of a thread");
	vm_check(vcpu->vm, pthread_create(&vcpu->thread, &attributes, vcpu_thread, vcpu),
		 "cannot start a thread");
	vm_check(vcpu->vm, pthread_attr_destroy(&attributes), "attributes of a thread");
}

static bool is_held(uint32_t held, unsigned int index)
{
	return index < 32 && held & 1U << index;
}

void vm_start_held(struct vm *vm, uint32_t held)
{
	/* If there is a spare processor, leave the first one to the host's side. */
	unsigned int first = host_cpu_count() > vm->vcpu_count;
	struct sigaction action = { .sa_handler = on_kick };

	if (sigaction(KICK_SIGNAL, &action, NULL))
		vm_fail(vm, "handler of the kick: %s", strerror(errno));
	for (unsigned int i = 0; i < vm->vcpu_count; i++)
		start_parked(&vm->vcpus[i], host_cpu(first + i));
	for (unsigned int i = 0; i < vm->vcpu_count; i++)
		vm_wait(vm, vm->vcpus[i].parked, "a vCPU's thread starts");
	/* All at once: with many vCPUs, waiting for one after the other takes long. */
	for (unsigned int i = 0; i < vm->vcpu_count; i++)
		if (!is_held(held, i))
			set_wanted(&vm->vcpus[i], WANT_RUN);
	for (unsigned int i = 0; i < vm->vcpu_count; i++)
		if (!is_held(held, i))
			vcpu_resume(&vm->vcpus[i]);
}

void vm_join(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->vcpu_count; i++)
		vm_wait(vm, vm->vcpus[i].finished, "all guest functions return");
}

bool vcpu_try_pause(struct vcpu *vcpu)
{
	/* Ordering: pause. */
	vcpu->wanted = WANT_PAUSE;
	full_barrier();
	vcpu->run->immediate_exit = 1;
	for (int tries = 0; tries < 1000; tries++) {
		if (vcpu->parked || vcpu->finished || !vcpu->tid || vcpu == this_vcpu)
			return true;
		/* If this fails, the vCPU is given up like one that does not answer. */
		pthread_kill(vcpu->thread, KICK_SIGNAL);
		sleep_us(1000);
	}
	return false;
}

void vcpu_pause(struct vcpu *vcpu)
{
	if (!vcpu_try_pause(vcpu))
		vm_fail(vcpu->vm, "vcpu %u does not leave KVM_RUN", vcpu->guest->index);
}

void vcpu_resume(struct vcpu *vcpu)
{
	/* Wait until it runs, because a pause that follows must not find it still parked. */
	set_wanted(vcpu, WANT_RUN);
	while (vcpu->parked)
		sched_yield();
}

void vcpu_stop(struct vcpu *vcpu)
{
	if (!vcpu->tid)
		return;
	/* Ordering: pause. */
	set_wanted(vcpu, WANT_STOP);
	full_barrier();
	vcpu->run->immediate_exit = 1;
	if (!vcpu->finished)
		vm_check(vcpu->vm, pthread_kill(vcpu->thread, KICK_SIGNAL),
			 "cannot kick a vCPU's thread");
	vm_check(vcpu->vm, pthread_join(vcpu->thread, NULL), "cannot join a vCPU's thread");
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

void vcpu_block_irqs(struct vcpu *vcpu, bool on)
{
	struct kvm_guest_debug debug = {
		.control = on ? KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_BLOCKIRQ : 0,
	};

	vcpu_ioctl(vcpu, KVM_SET_GUEST_DEBUG, &debug);
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
	 * The thread's state says "sleeps" already before KVM checks for the last time whether
	 * to sleep. This file has the number of its system call once the thread is off the CPU,
	 * and "running" before.
	 */
	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", vcpu->tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	length = fd < 0 ? -1 : read(fd, &first, 1);
	if (fd >= 0)
		close(fd);
	return length == 1 && first >= '0' && first <= '9';
}
