// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/kernel/vapic/: version, audit, takeover, vcpus.
 *
 * Each file is text that a function writes into a buffer.  sysfs reads a page at a
 * time while the state moves on, so a read from the start takes a snapshot and the
 * later ones continue it.
 */
#include "status.h"

#include <linux/kobject.h>
#include <linux/mutex.h>
#include <linux/seq_buf.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "gate.h"
#include "generated/audit.h"
#include "vendor.h"
#include "version.h"

/* A snapshot starts with this size and doubles up to the limit; beyond, it is cut. */
#define SNAPSHOT_MIN ((size_t)PAGE_SIZE)
#define SNAPSHOT_MAX ((size_t)SZ_4M)

struct text_file {
	struct bin_attribute attribute;
	void (*write)(struct seq_buf *s);
	struct mutex lock;
	char *snapshot;
	size_t length;
};

static int take_snapshot(struct text_file *file)
{
	struct seq_buf s;
	size_t size;
	char *buffer;

	for (size = SNAPSHOT_MIN;; size *= 2) {
		buffer = kvmalloc(size, GFP_KERNEL);
		if (!buffer)
			return -ENOMEM;
		seq_buf_init(&s, buffer, size);
		file->write(&s);
		if (!seq_buf_has_overflowed(&s) || size >= SNAPSHOT_MAX)
			break;
		kvfree(buffer);
	}

	kvfree(file->snapshot);
	file->snapshot = buffer;
	file->length = seq_buf_used(&s);
	return 0;
}

static ssize_t text_read(struct file *filp, struct kobject *kobj, struct bin_attribute *attribute,
			 char *to, loff_t offset, size_t count)
{
	struct text_file *file = container_of(attribute, struct text_file, attribute);
	ssize_t ret = 0;

	mutex_lock(&file->lock);
	if (!offset)
		ret = take_snapshot(file);
	if (!ret)
		ret = memory_read_from_buffer(to, count, &offset, file->snapshot, file->length);
	mutex_unlock(&file->lock);
	return ret;
}

static void write_version(struct seq_buf *s)
{
	seq_buf_puts(s, VAPIC_VERSION "\n");
}

/* Which stock functions nobody has audited, known since the build. */
static void write_audit(struct seq_buf *s)
{
	seq_buf_puts(s, VAPIC_AUDIT);
}

static const char *state(bool active)
{
	return active ? "ours" : "stock";
}

static void write_op(struct seq_buf *s, const struct vapic_op *op)
{
	seq_buf_printf(s, "%s kvm_x86_ops.%s %s\n", op->wraps_stock ? "wrap" : "op", op->name,
		       state(vapic_op_is_ours(op)));
}

/* One line per entry of the tables: how, what, whose code runs. */
static void write_takeover(struct seq_buf *s)
{
	const struct vapic_vendor *vendor = vapic_vendor;
	unsigned int i;

	if (!vendor)
		return;
	for (i = 0; i < vapic_redirect_count(); i++) {
		const struct vapic_redirect *redirect = vapic_redirect(i);

		seq_buf_printf(s, "redirect %s:%s %s\n", redirect->module, redirect->name,
			       state(vapic_redirect_is_ours(redirect)));
	}
	for (i = 0; i < vendor->op_count; i++)
		write_op(s, &vendor->ops[i]);
	write_op(s, &vapic_gate_op);
}

static void write_vcpus(struct seq_buf *s)
{
	if (vapic_vendor)
		vapic_vendor->status(s);
}

#define TEXT_FILE(name_, write_)                                                                   \
	{                                                                                          \
		.attribute =                                                                       \
			{                                                                          \
				.attr = {.name = name_, .mode = 0444},                             \
				.read = text_read,                                                 \
			},                                                                         \
		.write = write_,                                                                   \
	}

static struct text_file files[] = {
	TEXT_FILE("version", write_version),
	TEXT_FILE("audit", write_audit),
	TEXT_FILE("takeover", write_takeover),
	TEXT_FILE("vcpus", write_vcpus),
};

static struct kobject *folder;

int vapic_status_create(void)
{
	struct text_file *file;
	int ret;

	folder = kobject_create_and_add("vapic", kernel_kobj);
	if (!folder)
		return -ENOMEM;

	for (file = files; file < files + ARRAY_SIZE(files); file++) {
		mutex_init(&file->lock);
		sysfs_bin_attr_init(&file->attribute);
		ret = sysfs_create_bin_file(folder, &file->attribute);
		if (ret) {
			vapic_status_remove();
			return ret;
		}
	}
	return 0;
}

void vapic_status_remove(void)
{
	struct text_file *file;

	/* Takes the files along, and waits for whoever is reading one. */
	kobject_del(folder);
	kobject_put(folder);
	folder = NULL;

	for (file = files; file < files + ARRAY_SIZE(files); file++) {
		kvfree(file->snapshot);
		file->snapshot = NULL;
	}
}
