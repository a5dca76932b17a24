// SPDX-License-Identifier: GPL-2.0-only
/* The device that the test module fake_device plays (tests/host). */
#include "device_kind.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "pci.h"

#define PARAMETERS	"/sys/module/fake_device/parameters"

static bool is_there(void)
{
	return !access(PARAMETERS "/fire", F_OK);
}

static void write_parameter(const char *name, int value)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", value);
	if (!sysfs_write(PARAMETERS, name, text))
		device_fail(name);
}

static void signal_eventfd(int eventfd)
{
	write_parameter("eventfd", eventfd);
}

static void fire(unsigned int count)
{
	write_parameter("fire", count);
}

static struct device_counts counts(void)
{
	struct device_counts c = {};
	FILE *file = fopen(PARAMETERS "/counts", "re");

	if (!file ||
	    fscanf(file, "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64, &c.notified,
		   &c.woken, &c.suppressed, &c.outstanding, &c.remapped) != 5)
		device_fail("counts has not five numbers");
	fclose(file);
	return c;
}

static bool posts(void)
{
	FILE *file = fopen(PARAMETERS "/posts", "re");
	bool yes = file && fgetc(file) == 'Y';

	if (file)
		fclose(file);
	return yes;
}

static void set_remapped(bool remapped)
{
	write_parameter("remap", remapped);
}

static void set_pcpu(int pcpu)
{
	write_parameter("cpu", pcpu);
}

const struct device_kind device_fake = {
	.is_there = is_there,
	.signal = signal_eventfd,
	.fire = fire,
	.counts = counts,
	.posts = posts,
	.set_remapped = set_remapped,
	.set_pcpu = set_pcpu,
};
