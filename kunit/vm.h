/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Virtual machines for tests, made as user space makes them: through KVM's ioctls, by the test's
 * own thread.
 */
#ifndef VAPIC_KUNIT_VM_H
#define VAPIC_KUNIT_VM_H

#include <linux/err.h>
#include <linux/fs.h>
#include <linux/kvm_host.h>

#include "../kvm/layout.h"

struct kunit;

/* Give the test's thread what a process has: memory, of which KVM reads and writes one page. */
void __user *kunit_user_page(struct kunit *test);

/* As the ioctls of KVM; ERR_PTR() of what they return. The caller closes the files. */
struct file *kunit_create_vm(void);
struct file *kunit_create_vcpu(struct file *vm, int id);
int kunit_ioctl(struct file *file, unsigned int number, unsigned long argument);

/* Close it. Returns once KVM has destroyed what the file stands for. NULL and errors are ignored. */
void kunit_close(struct file *file);

/*
 * What a test starts with: a VM with a local APIC in the kernel and two vCPUs, with IDs 0 and 1.
 * The test fails unless all of it is there. It is closed when the test ends, however that ends.
 */
struct kunit_vm {
	struct file *file;
	struct file *vcpu_files[2];
	struct kvm *kvm;
	struct kvm_vcpu *vcpus[2];
	void __user *page;
};

struct kunit_vm *kunit_vm(struct kunit *test);

/*
 * Be the vCPU's own task, as KVM is in each ioctl: with the vCPU's mutex held and the vCPU on this
 * CPU. The test must leave again before it ends, so that it may only expect in between, not assert.
 */
void kunit_vcpu_load(struct kvm_vcpu *vcpu);
void kunit_vcpu_put(struct kvm_vcpu *vcpu);

/* What KVM does when something inhibits acceleration, and when it no longer does. */
void kunit_set_inhibit(struct kvm *kvm, enum kvm_apicv_inhibit reason, bool set);

/* The guest's flags. The vCPU is loaded. */
void kunit_set_rflags(struct kvm_vcpu *vcpu, unsigned long rflags);

#endif
