// SPDX-License-Identifier: GPL-2.0-only
/*
 * The build-id of a running module.
 *
 * The kernel keeps a module's notes in memory and shows them in
 * /sys/module/<name>/notes.  Take the build-id from that file's attribute, which needs
 * no mounted sysfs.  Two builds whose structures differ can have the same name and
 * version magic, but not the same build-id.
 */
#include "build_id.h"

#include <linux/elf.h>
#include <linux/kernel.h>
#include <linux/kernfs.h>
#include <linux/module.h>
#include <linux/sysfs.h>

#include "../kvm/log.h"
#include "../kvm/presence.h"

#if VAPIC_HAS_hex_h
#include <linux/hex.h>
#endif

#define NT_GNU_BUILD_ID 3

/* SHA-1; other sizes are possible but not what kbuild asks the linker for. */
#define BUILD_ID_BYTES 20

/* The descriptor of a build-id note, NULL if @note is none. */
static const u8 *descriptor(const struct elf64_note *note, size_t size)
{
	const char *name = (const char *)(note + 1);

	if (size < sizeof(*note) + sizeof("GNU") + BUILD_ID_BYTES)
		return NULL;
	if (note->n_type != NT_GNU_BUILD_ID || note->n_descsz != BUILD_ID_BYTES)
		return NULL;
	if (note->n_namesz != sizeof("GNU") || memcmp(name, "GNU", sizeof("GNU")))
		return NULL;
	return (const u8 *)name + sizeof("GNU");
}

/* Write the build-id of @module in hexadecimal; "unknown" if it has none. */
static void running_build_id(struct module *module, char text[2 * BUILD_ID_BYTES + 1])
{
	struct kernfs_node *notes, *file = NULL;
	const struct bin_attribute *attribute;
	const u8 *id = NULL;

	notes = kernfs_find_and_get(module->mkobj.kobj.sd, "notes");
	if (notes)
		file = kernfs_find_and_get(notes, ".note.gnu.build-id");
	if (file) {
		attribute = file->priv;
		id = descriptor(attribute->private, attribute->size);
	}

	if (id)
		*bin2hex(text, id, BUILD_ID_BYTES) = '\0';
	else
		strscpy(text, "unknown", 2 * BUILD_ID_BYTES + 1);

	kernfs_put(file);
	kernfs_put(notes);
}

int vapic_build_id_check(struct module *module, const char *expected)
{
	char running[2 * BUILD_ID_BYTES + 1];

	running_build_id(module, running);
	if (!strcmp(running, expected))
		return 0;

	vapic_err("built for another build of %s (running %s, built for %s): rebuild for the "
		  "running kernel\n",
		  module->name, running, expected);
	return -ENOEXEC;
}
