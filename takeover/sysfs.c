// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/kernel/vapic/: version, audit, takeover, vcpus; and the folder of kvm/vm_switches.c.
 *
 * Each file is text that a function writes into a buffer: to say more, add to that
 * function.  The text belongs to one open file: a read from its start makes the text anew,
 * later reads continue it.  What the text says depends on who opened the file.
 *
 * A sysfs attribute is not told of open and close, so it can neither note who opens it nor
 * free the text.  The files are therefore made where sysfs makes its own, in kernfs, and go
 * with the folder as those do: removal waits for tasks that are inside, and calls release
 * for files that are still open.
 */
#include "sysfs.h"

#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/kernfs.h>
#include <linux/kobject.h>
#include <linux/mm.h>
#include <linux/pid_namespace.h>
#include <linux/seq_buf.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/user_namespace.h>

#include "gate.h"
#include "generated/audit.h"
#include "../kvm/symbols.h"
#include "../kvm/log.h"
#include "../kvm/status.h"
#include "../kvm/vm_switches.h"
#include "vendor.h"
#include "version.h"

/* A text starts with this size and doubles up to the limit, beyond which is EFBIG. */
#define TEXT_MIN ((size_t)PAGE_SIZE)
#define TEXT_MAX ((size_t)SZ_4M)

/* 0 or a negative errno.  Called again with more room when the buffer overflows. */
typedef int write_text(struct seq_buf *s, const struct vapic_viewer *viewer);

static int write_version(struct seq_buf *s, const struct vapic_viewer *viewer)
{
	seq_buf_printf(s, "%s", VAPIC_VERSION "\n");
	return 0;
}

/* Which stock functions nobody has audited, as known at the build. */
static int write_audit(struct seq_buf *s, const struct vapic_viewer *viewer)
{
	seq_buf_printf(s, "%s", VAPIC_AUDIT);
	return 0;
}

static const char *state(bool active)
{
	return active ? "ours" : "stock";
}

static void write_op(struct seq_buf *s, const struct vapic_op *op)
{
	seq_buf_printf(s, "%s kvm_x86_ops.%s %s\n", op->wraps_stock ? "wrap" : "op", op->name,
		       state(vapic_op_in_place(op)));
}

/* One line per entry of the lists: how, what, whose code runs or whose value is there. */
static int write_takeover(struct seq_buf *s, const struct vapic_viewer *viewer)
{
	const struct vapic_takeovers *all;
	unsigned int i;

	if (!vapic_vendor)
		return 0;
	all = vapic_vendor->takeovers;
	for (i = 0; i < all->redirect_count; i++)
		seq_buf_printf(s, "redirect %s:%s %s\n", all->redirects[i].module,
			       all->redirects[i].name,
			       state(vapic_redirect_in_place(&all->redirects[i])));
	for (i = 0; i < all->op_count; i++)
		write_op(s, &all->ops[i]);
	write_op(s, &vapic_gate_op);
	for (i = 0; i < all->switch_count; i++)
		seq_buf_printf(s, "variable %s:%s %s\n", all->switches[i].module,
			       all->switches[i].name, state(all->switches[i].is_set()));
	return 0;
}

static int write_vcpus(struct seq_buf *s, const struct vapic_viewer *viewer)
{
	return vapic_vendor ? vapic_vendor->status(s, viewer) : 0;
}

/* An open file.  kernfs lets in one reader of it at a time. */
struct open_text {
	struct vapic_viewer viewer;
	char *text;
	size_t length;
};

static int take_text(struct open_text *open, write_text *write)
{
	struct seq_buf s;
	size_t size;
	char *buffer;
	int ret;

	for (size = TEXT_MIN; size <= TEXT_MAX; size *= 2) {
		buffer = kvmalloc(size, GFP_KERNEL_ACCOUNT);
		if (!buffer)
			return -ENOMEM;
		seq_buf_init(&s, buffer, size);
		ret = write(&s, &open->viewer);
		if (!ret && !seq_buf_has_overflowed(&s)) {
			kvfree(open->text);
			open->text = buffer;
			open->length = seq_buf_used(&s);
			return 0;
		}
		kvfree(buffer);
		if (ret)
			return ret;
	}
	return -EFBIG;
}

static int text_open(struct kernfs_open_file *of)
{
	struct open_text *open = kzalloc(sizeof(*open), GFP_KERNEL_ACCOUNT);

	if (!open)
		return -ENOMEM;
	/* Note the opener: whoever gets the file from the opener sees what the opener sees. */
	open->viewer.all = file_ns_capable(of->file, &init_user_ns, CAP_SYS_ADMIN);
	open->viewer.uid = of->file->f_cred->euid;
	open->viewer.pids = get_pid_ns(task_active_pid_ns(current));
	of->priv = open;
	return 0;
}

static void text_release(struct kernfs_open_file *of)
{
	struct open_text *open = of->priv;

	put_pid_ns(open->viewer.pids);
	kvfree(open->text);
	kfree(open);
}

static ssize_t text_read(struct kernfs_open_file *of, char *to, size_t count, loff_t offset)
{
	struct open_text *open = of->priv;
	int ret;

	if (!offset || !open->text) {
		ret = take_text(open, of->kn->priv);
		if (ret)
			return ret;
	}
	return memory_read_from_buffer(to, count, &offset, open->text, open->length);
}

static const struct kernfs_ops text_ops = {
	.open = text_open,
	.release = text_release,
	.read = text_read,
};

static const struct {
	const char *name;
	write_text *write;
} files[] = {
	{"version", write_version},
	{"audit", write_audit},
	{"takeover", write_takeover},
	{"vcpus", write_vcpus},
};

static struct kobject *folder;

int vapic_sysfs_create(void)
{
	static struct lock_class_key key;
	struct kernfs_node *node;
	int i, err;

	folder = kobject_create_and_add("vapic", kernel_kobj);
	if (!folder) {
		vapic_err("cannot make /sys/kernel/vapic\n");
		return -ENOMEM;
	}

	for (i = 0; i < ARRAY_SIZE(files); i++) {
		node = vapic_call(__kernfs_create_file)(folder->sd, files[i].name, 0444,
							GLOBAL_ROOT_UID, GLOBAL_ROOT_GID, 0,
							&text_ops, files[i].write, NULL, &key);
		if (IS_ERR(node)) {
			vapic_err("cannot make /sys/kernel/vapic/%s\n", files[i].name);
			vapic_sysfs_remove();
			return PTR_ERR(node);
		}
	}
	err = vapic_vm_switches_begin(folder->sd);
	if (err) {
		vapic_err("cannot make /sys/kernel/vapic/vms\n");
		vapic_sysfs_remove();
	}
	return err;
}

void vapic_sysfs_remove(void)
{
	vapic_vm_switches_end();
	/* This removes the files as well. */
	kobject_del(folder);
	kobject_put(folder);
	folder = NULL;
}
