// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads the kernel log as a dump of it is read, from where the last look ended.
 */
#include "log.h"

#include <linux/kmsg_dump.h>
#include <linux/string.h>

static struct kmsg_dump_iter place;
static char line[512], newest[sizeof(line)];

/* "<3>[   12.345678] vapic: ...", with the level of errors in front */
static bool is_error_of_vapic(const char *text)
{
	const char *said = strstr(text, "] vapic: ");

	return said && said == strchr(text, ']') && !strncmp(text, "<3>", 3);
}

unsigned int kunit_log_errors(const char **last)
{
	unsigned int count = 0;
	size_t length;

	*newest = '\0';
	while (kmsg_dump_get_line(&place, true, line, sizeof(line) - 1, &length)) {
		line[length] = '\0';
		if (!is_error_of_vapic(line))
			continue;
		count++;
		strscpy(newest, strchr(line, ']') + 2, sizeof(newest));
		strim(newest);
	}
	*last = newest;
	return count;
}
