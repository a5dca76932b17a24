/* SPDX-License-Identifier: GPL-2.0-only */
/* PCI devices of the host, by their folders in sysfs. */
#ifndef SELFTESTS_LIB_PCI_H
#define SELFTESTS_LIB_PCI_H

#include <stdbool.h>
#include <stddef.h>

#define PCI_PATH_SIZE	128

/* The folder of the first device with these IDs; false if there is none. */
bool pci_find(unsigned int vendor, unsigned int device, char path[PCI_PATH_SIZE]);

/* Writes to a file of sysfs; false and errno if that fails. */
bool sysfs_write(const char *folder, const char *name, const char *text);

#endif
