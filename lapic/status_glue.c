// SPDX-License-Identifier: GPL-2.0-only
/*
 * What users may know of any VM and vCPU: accelerated or not, and why not.
 */
#include "status_glue.h"

static const struct {
	unsigned long mask;
	const char *name;
} inhibits[] = {APICV_INHIBIT_REASONS};

static void print_inhibits(struct seq_buf *s, unsigned long reasons)
{
	const char *separator = " inhibits=";
	int i;

	for (i = 0; i < ARRAY_SIZE(inhibits); i++) {
		if (!(reasons & inhibits[i].mask))
			continue;
		seq_buf_printf(s, "%s%s", separator, inhibits[i].name);
		separator = ",";
	}
	seq_buf_puts(s, *separator == ',' ? "" : " inhibits=-");
}

void vapic_status_vm(struct seq_buf *s, pid_t pid, unsigned long reasons)
{
	seq_buf_printf(s, "pid=%d vm active=%d", pid, !reasons);
	print_inhibits(s, reasons);
	seq_buf_putc(s, '\n');
}

void vapic_status_vcpu(struct seq_buf *s, pid_t pid, int vcpu_id, bool active,
		       unsigned long reasons)
{
	seq_buf_printf(s, "pid=%d vcpu=%d active=%d", pid, vcpu_id, active);
	print_inhibits(s, reasons);
}
