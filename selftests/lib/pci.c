// SPDX-License-Identifier: GPL-2.0-only
/* See pci.h. */
#include "pci.h"

#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static unsigned int id_of(const char *device, const char *which)
{
	char path[512];
	unsigned int id = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", device, which);
	file = fopen(path, "re");
	if (file) {
		if (fscanf(file, "%x", &id) != 1)
			id = 0;
		fclose(file);
	}
	return id;
}

bool pci_find(unsigned int vendor, unsigned int device, char path[PCI_PATH_SIZE])
{
	bool found = false;
	glob_t all;

	if (glob("/sys/bus/pci/devices/*", 0, NULL, &all))
		return false;
	for (size_t i = 0; i < all.gl_pathc && !found; i++) {
		found = id_of(all.gl_pathv[i], "vendor") == vendor &&
			id_of(all.gl_pathv[i], "device") == device;
		if (found)
			snprintf(path, PCI_PATH_SIZE, "%s", all.gl_pathv[i]);
	}
	globfree(&all);
	return found;
}

bool sysfs_write(const char *folder, const char *name, const char *text)
{
	ssize_t length = strlen(text), written;
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	written = write(fd, text, length);
	close(fd);
	return written == length;
}
