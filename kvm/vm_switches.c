// SPDX-License-Identifier: GPL-2.0-only
/*
 * The folder of a VM in /sys/kernel/vapic/vms/, the switch of acceleration, and the settings that
 * each vCPU follows by itself.
 *
 * The folders are for root alone: their names tell of processes of all users. They are made in
 * kernfs, as the files of takeover/sysfs.c are, since sysfs makes none with such a mode.
 */
#include "vm_switches.h"

#include <linux/kernfs.h>
#include <linux/kvm_host.h>
#include <linux/lockdep.h>
#include <linux/pid.h>
#include <linux/refcount.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <linux/workqueue.h>

#include "compat.h"
#include "log.h"
#include "objects.h"
#include "symbols.h"

static struct kernfs_node *vms;
static struct lock_class_key key;

static struct vapic_switch_file *file_of(struct kernfs_open_file *of)
{
	return of->kn->priv;
}

static int show(struct seq_file *s, void *unused)
{
	struct vapic_switch_file *file = file_of(s->private);

	seq_printf(s, "%d\n", file->what->is_on(file->vm, file->what->setting));
	return 0;
}

/*
 * The reference that a writer holds may be the last one, and whoever drops that destroys the VM, which
 * waits for the writer: so leave that to a work item. It is queued by one writer at a time, because
 * the one who has queued it still has a reference. Vapic may be unloaded before KVM comes to the end of
 * it: the call must be the last thing here, which compilers make a jump.
 */
static void put_last(struct work_struct *work)
{
	struct vapic_vm_common *vm = container_of(work, struct vapic_vm_common, put_last);

	vapic_call(kvm_put_kvm)(vm->kvm);
}

static void put(struct vapic_vm_common *vm)
{
	if (!refcount_dec_not_one(&vm->kvm->users_count))
		schedule_work(&vm->put_last);
}

static bool never_accelerated(const struct vapic_vm_common *vm)
{
	return !vm->accelerated ||
	       READ_ONCE(vm->kvm->arch.apicv_inhibit_reasons) & VAPIC_LASTING_INHIBITS;
}

static ssize_t write(struct kernfs_open_file *of, char *text, size_t bytes, loff_t offset)
{
	struct vapic_switch_file *file = file_of(of);
	struct vapic_vm_common *vm = file->vm;
	bool on = sysfs_streq(text, "1"), never;

	if (!on && !sysfs_streq(text, "0"))
		return -EINVAL;
	/* While this file is in use, the VM's memory stays, but KVM may have begun to destroy it. */
	if (!refcount_inc_not_zero(&vm->kvm->users_count))
		return -ENODEV;
	never = never_accelerated(vm);
	if (!never)
		file->what->set(vm, file->what->setting, on);
	put(vm);
	return never ? -EOPNOTSUPP : bytes;
}

static const struct kernfs_ops file_ops = {
	.seq_show = show,
	.write = write,
};

static struct kernfs_node *make_folder(struct kernfs_node *parent, const char *name)
{
	return vapic_call(kernfs_create_dir_ns)(parent, name, 0700, GLOBAL_ROOT_UID,
						GLOBAL_ROOT_GID, NULL, NULL);
}

static int make_files(struct vapic_vm_common *vm, const struct vapic_vm_switch *const *switches)
{
	struct kernfs_node *node;
	unsigned int i;

	for (i = 0; switches[i]; i++) {
		if (WARN_ON_ONCE(i == ARRAY_SIZE(vm->files)))
			return -ENOSPC;
		vm->files[i].vm = vm;
		WRITE_ONCE(vm->files[i].what, switches[i]);
		node = vapic_call(__kernfs_create_file)(vm->folder, switches[i]->name, 0600,
							GLOBAL_ROOT_UID, GLOBAL_ROOT_GID, 0,
							&file_ops, &vm->files[i], NULL, &key);
		if (IS_ERR(node))
			return PTR_ERR(node);
	}
	return 0;
}

void vapic_vm_switches_make(struct vapic_vm_common *vm,
			    const struct vapic_vm_switch *const *switches, bool accelerated)
{
	struct kernfs_node *folder;
	char name[32];
	int err;

	lockdep_assert_held(&vm->kvm->lock);
	if (vm->folder)
		return;
	vm->accelerated = accelerated;
	INIT_WORK(&vm->put_last, put_last);
	scnprintf(name, sizeof(name), "%d-%llu", pid_nr(vm->pid), vm->number);
	folder = make_folder(vms, name);
	err = PTR_ERR_OR_ZERO(folder);
	if (!err) {
		vm->folder = folder;
		err = make_files(vm, switches);
	}
	if (err) {
		vapic_err("cannot make /sys/kernel/vapic/vms/%s: error %d\n", name, err);
		vapic_vm_switches_remove(vm);
	}
}

void vapic_vm_switches_remove(struct vapic_vm_common *vm)
{
	if (vm->folder)
		vapic_call(kernfs_remove)(vm->folder);
	vm->folder = NULL;
}

/* While the VM is listed; what it has may be noted just now. */
const char *vapic_vm_switch_off(const struct vapic_vm_common *vm, unsigned int n)
{
	const struct vapic_vm_switch *what = READ_ONCE(vm->files[n].what);

	return what && !what->is_on(vm, what->setting) ? what->name : NULL;
}

int vapic_vm_switches_begin(struct kernfs_node *parent)
{
	struct kernfs_node *folder = make_folder(parent, "vms");

	if (IS_ERR(folder))
		return PTR_ERR(folder);
	vms = folder;
	return 0;
}

void vapic_vm_switches_end(void)
{
	vms = NULL;
}

/* ---- acceleration ---- */

/* KVM's word for it is the only one, so that two writers at once leave nothing that is at odds. */
static bool is_accelerated(const struct vapic_vm_common *vm, enum vapic_setting unused)
{
	return !(READ_ONCE(vm->kvm->arch.apicv_inhibit_reasons) &
		 BIT(APICV_INHIBIT_REASON_SWITCHED));
}

static void accelerate(struct vapic_vm_common *vm, enum vapic_setting unused, bool on)
{
	vapic_kvm_change_inhibit(vm->kvm, APICV_INHIBIT_REASON_SWITCHED, !on);
}

const struct vapic_vm_switch vapic_switch_acceleration = {
	.name = "acceleration",
	.is_on = is_accelerated,
	.set = accelerate,
};

/* ---- what vCPUs follow ---- */

void (*vapic_follow_switches)(struct kvm_vcpu *kvm_vcpu);

static bool is_on(const struct vapic_vm_common *vm, enum vapic_setting setting)
{
	return !vapic_is_off(vm, setting);
}

/* KVM makes a vCPU that is in the guest leave it, and waits for that. */
static void set(struct vapic_vm_common *vm, enum vapic_setting setting, bool on)
{
	vapic_switched_store(&vm->off[setting], !on);
	vapic_call(kvm_make_all_cpus_request)(vm->kvm, KVM_REQ_APICV_UPDATE);
}

#define SETTING(name_, setting_)                                                                   \
	[setting_] = {.name = name_, .setting = setting_, .is_on = is_on, .set = set}

const struct vapic_vm_switch vapic_switches[VAPIC_SETTINGS] = {
	SETTING("ipi_virtualization", VAPIC_IPI_VIRTUALIZATION),
	SETTING("idle_hlt", VAPIC_IDLE_HLT),
	SETTING("posting", VAPIC_POSTING),
};
