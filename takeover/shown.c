// SPDX-License-Identifier: GPL-2.0-only
/*
 * Changes what a parameter of another module shows, by the pointer behind its file.
 *
 * kernel/params.c keeps that pointer private, right behind the attribute that sysfs knows.
 * Vapic checks that it is there: it must point into the module's own list of parameters.
 */
#include "shown.h"

#include <linux/kernfs.h>
#include <linux/moduleparam.h>
#include <linux/string.h>

#include "../kvm/log.h"

struct file_of_parameter {
	struct module_attribute attribute;
	const struct kernel_param *shows;
};

static struct module *owner;
static struct file_of_parameter *file;
static const struct kernel_param *stock;
static struct kernel_param parameter = {.ops = &param_ops_bool, .perm = 0444};

static const struct kernel_param *find_parameter(struct module *module, const char *name)
{
	unsigned int i;

	for (i = 0; i < module->num_kp; i++)
		if (!strcmp(module->kp[i].name, name))
			return &module->kp[i];
	return NULL;
}

/* The file lives as long as the module, on which vapic holds a reference. */
static struct file_of_parameter *find_file(struct module *module, const char *name)
{
	struct kernfs_node *folder, *node = NULL;
	struct attribute *attribute = NULL;

	folder = kernfs_find_and_get(module->mkobj.kobj.sd, "parameters");
	if (folder)
		node = kernfs_find_and_get(folder, name);
	if (node)
		attribute = node->priv;
	kernfs_put(node);
	kernfs_put(folder);
	return attribute ? container_of(attribute, struct file_of_parameter, attribute.attr) : NULL;
}

static void show(const struct kernel_param *what)
{
	kernel_param_lock(owner);
	WRITE_ONCE(file->shows, what);
	kernel_param_unlock(owner);
}

int vapic_shown_replace(struct module *module, const struct vapic_shown *shown)
{
	stock = find_parameter(module, shown->name);
	file = find_file(module, shown->name);
	if (!stock || !file || file->shows != stock) {
		vapic_err("parameter %s of %s is not where it should be: this kernel is not one "
			  "vapic knows\n",
			  shown->name, module->name);
		return -ENOENT;
	}
	owner = module;
	parameter.name = shown->name;
	parameter.arg = shown->value;
	show(&parameter);
	return 0;
}

void vapic_shown_restore(void)
{
	show(stock);
}
