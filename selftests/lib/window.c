// SPDX-License-Identifier: GPL-2.0-only
/* Takes counter differences over a window of time and prints them as JSON. */
#include "window.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "counters.h"
#include "stats.h"

/* KVM's counters that stand in for the emulator's. */
static const char *const kvm_names[] = {
	"exits", "irq_exits", "insn_emulation", "halt_exits", "signal_exits",
	"io_exits", "irq_window_exits", "request_irq_exits", "halt_wakeup",
};

#define KVM_COUNTERS	(sizeof(kvm_names) / sizeof(kvm_names[0]))

static void name_of(const struct window *window, unsigned int counter, char *name)
{
	if (window->emulated)
		counter_name(counter, name);
	else
		snprintf(name, COUNTER_NAME_SIZE, "%s", kvm_names[counter]);
}

static void snapshot(const struct window *window, uint64_t *values)
{
	for (unsigned int v = 0; v < window->vm->vcpu_count; v++) {
		struct vcpu *vcpu = &window->vm->vcpus[v];
		uint64_t *row = values + v * window->counters;

		if (window->emulated) {
			counters_read(vcpu->pcpu, row);
			continue;
		}
		for (unsigned int i = 0; i < KVM_COUNTERS; i++)
			row[i] = vcpu_stat(vcpu, kvm_names[i]);
	}
}

static uint64_t *new_values(const struct window *window)
{
	uint64_t *values = calloc((size_t)window->vm->vcpu_count * window->counters,
				  sizeof(*values));

	if (!values)
		vm_fail(window->vm, "out of memory");
	return values;
}

void window_begin(struct window *window, struct vm *vm)
{
	window->vm = vm;
	window->emulated = counters_per_cpu() != 0;
	window->counters = window->emulated ? counters_per_cpu() : KVM_COUNTERS;
	window->values = new_values(window);
	snapshot(window, window->values);
	vapic_counts_read(&window->vapic_begin);
}

void window_end(struct window *window)
{
	uint64_t *now = new_values(window);

	snapshot(window, now);
	for (unsigned int i = 0; i < window->vm->vcpu_count * window->counters; i++)
		window->values[i] = now[i] - window->values[i];
	free(now);
	vapic_counts_read(&window->vapic_end);
}

/* Sum of a counter over vCPUs first to last. */
static uint64_t sum(const struct window *window, unsigned int counter,
		    unsigned int first, unsigned int last)
{
	uint64_t total = 0;

	for (unsigned int v = first; v <= last && v < window->vm->vcpu_count; v++)
		total += window->values[v * window->counters + counter];
	return total;
}

static uint64_t sum_by_name(const struct window *window, const char *wanted,
			    unsigned int first, unsigned int last)
{
	char name[COUNTER_NAME_SIZE];

	for (unsigned int i = 0; i < window->counters; i++) {
		uint64_t value = sum(window, i, first, last);

		/* Reading a name is slow on the emulator, so skip counters that are zero. */
		if (!value)
			continue;
		name_of(window, i, name);
		if (!strcmp(name, wanted))
			return value;
	}
	return 0;
}

/* Exits for the host's own interrupts; each emulator has another name for them. */
static uint64_t host_interrupts(const struct window *window, unsigned int first,
				unsigned int last)
{
	if (!window->emulated)
		return sum_by_name(window, "irq_exits", first, last);
	return sum_by_name(window, "exit.intr", first, last) +
	       sum_by_name(window, "exit.external_interrupt", first, last);
}

/* Prints all counters that changed and whose name begins with prefix, without the prefix. */
static void print_group(const struct window *window, const char *key, const char *prefix,
			unsigned int first, unsigned int last)
{
	const char *separator = "";
	char name[COUNTER_NAME_SIZE];

	printf("\"%s\":{", key);
	for (unsigned int i = 0; i < window->counters; i++) {
		uint64_t value = sum(window, i, first, last);

		if (!value)
			continue;
		name_of(window, i, name);
		if (strncmp(name, prefix, strlen(prefix)) || !strcmp(name, "exits"))
			continue;
		printf("%s\"%s\":%llu", separator, name + strlen(prefix),
		       (unsigned long long)value);
		separator = ",";
	}
	printf("}");
}

static void print_vcpus(const struct window *window, const char *key,
			unsigned int first, unsigned int last, uint32_t ipis)
{
	uint64_t exits, host, caused;

	exits = sum_by_name(window, window->emulated ? "exit" : "exits", first, last);
	host = host_interrupts(window, first, last);
	caused = exits > host ? exits - host : 0;
	printf("\"%s\":{\"exits\":%llu,\"host_interrupts\":%llu,\"exits_per_ipi\":%llu.%02llu,",
	       key, (unsigned long long)exits, (unsigned long long)host,
	       (unsigned long long)(caused / ipis),
	       (unsigned long long)(caused * 100 / ipis % 100));
	print_group(window, "by_reason", window->emulated ? "exit." : "", first, last);
	if (window->emulated) {
		printf(",");
		print_group(window, "incomplete_ipi", "incomplete_ipi.", first, last);
		printf(",");
		print_group(window, "noaccel", "noaccel.", first, last);
		printf(",");
		print_group(window, "apic_write", "apic_write.", first, last);
		printf(",");
		print_group(window, "apic_access", "apic_access.", first, last);
	}
	printf("}");
}

static void print_vapic(const struct window *window)
{
	const char *separator = "";

	printf("\"vapic\":{");
	for (unsigned int i = 0; i < window->vapic_end.count; i++) {
		const char *name = window->vapic_end.items[i].name;
		uint64_t value = window->vapic_end.items[i].value -
				 vapic_counts_get(&window->vapic_begin, name);

		if (!value)
			continue;
		printf("%s\"%s\":%llu", separator, name, (unsigned long long)value);
		separator = ",";
	}
	printf("}");
}

void window_print(struct window *window, uint32_t ipis)
{
	unsigned int last = window->vm->vcpu_count - 1;

	printf("\"counted_by\":\"%s\",", window->emulated ? "emulator" : "kvm");
	print_vcpus(window, "sender", 0, 0, ipis);
	if (last) {
		printf(",");
		print_vcpus(window, "receivers", 1, last, ipis);
	}
	if (window->emulated) {
		printf(",");
		print_group(window, "accelerated_ipis", "ipi.", 0, last);
		printf(",");
		print_group(window, "doorbells", "doorbell.", 0, last);
		printf(",");
		print_group(window, "notifications", "notification.", 0, last);
	}
	if (window->vapic_end.count) {
		printf(",");
		print_vapic(window);
	}
	free(window->values);
	window->values = NULL;
}
