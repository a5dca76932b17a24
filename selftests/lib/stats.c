// SPDX-License-Identifier: GPL-2.0-only
/* Reads one counter of a KVM statistics file by its name. */
#include "stats.h"

#include <linux/kvm.h>
#include <string.h>
#include <unistd.h>

#define NAME_MAX_SIZE	64

/* struct kvm_stats_desc with room for the name that follows it. */
union descriptor {
	struct kvm_stats_desc desc;
	char bytes[sizeof(struct kvm_stats_desc) + NAME_MAX_SIZE];
};

/*
 * Every vCPU's file has the same layout, so remember the place of a counter once it
 * is found: tests read counters while a guest runs.
 */
struct place {
	char name[NAME_MAX_SIZE];
	off_t offset;
};

static struct place known[32];
static unsigned int known_count;

static bool find_place(int fd, const char *name, struct place *place)
{
	struct kvm_stats_header header;

	for (unsigned int i = 0; i < known_count; i++) {
		if (!strcmp(known[i].name, name)) {
			*place = known[i];
			return true;
		}
	}
	if (pread(fd, &header, sizeof(header), 0) != sizeof(header) ||
	    header.name_size > NAME_MAX_SIZE || strlen(name) >= NAME_MAX_SIZE)
		return false;
	for (uint32_t i = 0; i < header.num_desc; i++) {
		size_t size = sizeof(struct kvm_stats_desc) + header.name_size;
		union descriptor d;

		if (pread(fd, &d, size, header.desc_offset + i * size) != (ssize_t)size)
			return false;
		if (strncmp(d.desc.name, name, header.name_size))
			continue;
		strcpy(place->name, name);
		place->offset = header.data_offset + d.desc.offset;
		if (known_count < sizeof(known) / sizeof(known[0]))
			known[known_count++] = *place;
		return true;
	}
	return false;
}

bool stats_read(int fd, const char *name, uint64_t *value)
{
	struct place place;

	return find_place(fd, name, &place) &&
	       pread(fd, value, sizeof(*value), place.offset) == sizeof(*value);
}

uint64_t vcpu_stat(struct vcpu *vcpu, const char *name)
{
	uint64_t value;

	if (!stats_read(vcpu->stats_fd, name, &value))
		vm_fail(vcpu->vm, "this kernel has no vCPU counter %s", name);
	return value;
}
