// SPDX-License-Identifier: GPL-2.0-only
/*
 * Virtual machines for tests. A test runs in a thread of the kernel, whose root directory is that of
 * the first initramfs. So /dev/kvm is not opened, but its ioctl function called.
 */
#include "vm.h"

#include <kunit/resource.h>
#include <kunit/test.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/mman.h>

#include "../kvm/symbols.h"

void __user *kunit_user_page(struct kunit *test)
{
	unsigned long address = kunit_vm_mmap(test, NULL, 0, PAGE_SIZE, PROT_READ | PROT_WRITE,
					      MAP_ANONYMOUS | MAP_PRIVATE, 0);

	KUNIT_ASSERT_NE(test, address, 0);
	KUNIT_ASSERT_TRUE(test, address < TASK_SIZE);
	return (void __user *)address;
}

/* The file of an ioctl that returns a descriptor, which others would see. */
static struct file *file_of(int descriptor)
{
	struct file *file;

	if (descriptor < 0)
		return ERR_PTR(descriptor);
	file = fget(descriptor);
	close_fd(descriptor);
	return file ?: ERR_PTR(-EBADF);
}

struct file *kunit_create_vm(void)
{
	const struct file_operations *kvm =
		(const struct file_operations *)vapic_symbols_find("kvm", "kvm_chardev_ops");

	if (!kvm)
		return ERR_PTR(-ENOENT);
	return file_of(kvm->unlocked_ioctl(NULL, KVM_CREATE_VM, 0));
}

struct file *kunit_create_vcpu(struct file *vm, int id)
{
	return file_of(kunit_ioctl(vm, KVM_CREATE_VCPU, id));
}

int kunit_ioctl(struct file *file, unsigned int number, unsigned long argument)
{
	return file->f_op->unlocked_ioctl(file, number, argument);
}

void kunit_close(struct file *file)
{
	if (!IS_ERR_OR_NULL(file))
		__fput_sync(file);
}

static void close_vm(void *data)
{
	struct kunit_vm *vm = data;
	int i;

	for (i = ARRAY_SIZE(vm->vcpu_files); i-- > 0;)
		kunit_close(vm->vcpu_files[i]);
	kunit_close(vm->file);
}

struct kunit_vm *kunit_vm(struct kunit *test)
{
	struct kunit_vm *vm = kunit_kzalloc(test, sizeof(*vm), GFP_KERNEL);
	int i;

	KUNIT_ASSERT_NOT_NULL(test, vm);
	vm->page = kunit_user_page(test);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, close_vm, vm), 0);
	vm->file = kunit_create_vm();
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, vm->file);
	vm->kvm = vm->file->private_data;
	KUNIT_ASSERT_EQ(test, kunit_ioctl(vm->file, KVM_CREATE_IRQCHIP, 0), 0);
	for (i = 0; i < ARRAY_SIZE(vm->vcpus); i++) {
		vm->vcpu_files[i] = kunit_create_vcpu(vm->file, i);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, vm->vcpu_files[i]);
		vm->vcpus[i] = vm->vcpu_files[i]->private_data;
	}
	return vm;
}

static void call_kvm(const char *name, struct kvm_vcpu *vcpu)
{
	void (*function)(struct kvm_vcpu * vcpu) = (void *)vapic_symbols_find("kvm", name);

	if (!WARN_ON(!function))
		function(vcpu);
}

void kunit_vcpu_load(struct kvm_vcpu *vcpu)
{
	mutex_lock(&vcpu->mutex);
	call_kvm("vcpu_load", vcpu);
}

void kunit_vcpu_put(struct kvm_vcpu *vcpu)
{
	call_kvm("vcpu_put", vcpu);
	mutex_unlock(&vcpu->mutex);
}

void kunit_set_inhibit(struct kvm *kvm, enum kvm_apicv_inhibit reason, bool set)
{
	void (*function)(struct kvm * kvm, enum kvm_apicv_inhibit reason, bool set) =
		(void *)vapic_symbols_find("kvm", "kvm_set_or_clear_apicv_inhibit");

	if (!WARN_ON(!function))
		function(kvm, reason, set);
}

void kunit_set_rflags(struct kvm_vcpu *vcpu, unsigned long rflags)
{
	void (*function)(struct kvm_vcpu * vcpu, unsigned long rflags) =
		(void *)vapic_symbols_find("kvm", "kvm_set_rflags");

	if (!WARN_ON(!function))
		function(vcpu, rflags);
}
