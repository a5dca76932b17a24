// SPDX-License-Identifier: GPL-2.0-only
/* Tells whether acceleration is on, by behaviour, and whether it should be. */
#include "accel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "guest_apic.h"
#include "run.h"
#include "stats.h"

/* Whether the file's first character says yes, in the way module parameters do. */
static bool says_yes(const char *path)
{
	FILE *file = fopen(path, "re");
	int c = file ? fgetc(file) : EOF;

	if (file)
		fclose(file);
	return c == 'Y' || c == 'y' || c == '1';
}

/* Whether the line @list of /proc/cpuinfo contains @flag. */
static bool cpu_has_flag(const char *list, const char *flag)
{
	char line[8192];
	bool found = false;
	FILE *file = fopen("/proc/cpuinfo", "re");

	while (file && !found && fgets(line, sizeof(line), file)) {
		if (strncmp(line, list, strlen(list)))
			continue;
		for (char *word = strtok(line, " \t\n"); word; word = strtok(NULL, " \t\n"))
			found |= !strcmp(word, flag);
		break;
	}
	if (file)
		fclose(file);
	return found;
}

static bool cpu_can_accelerate(void)
{
	return cpu_has_flag("flags", "avic") || cpu_has_flag("vmx flags", "vid");
}

static bool cpu_can_virtualize(void)
{
	return cpu_has_flag("flags", "svm") || cpu_has_flag("flags", "vmx");
}

static bool vapic_is_loaded(void)
{
	return access("/sys/module/vapic", F_OK) == 0;
}

/* Whether vapic or, without it, the vendor's module was loaded with acceleration enabled. */
static bool parameters_ask_for_it(void)
{
	if (vapic_is_loaded())
		return cpu_has_flag("flags", "svm") ?
			       says_yes("/sys/module/vapic/parameters/avic") :
			       says_yes("/sys/module/vapic/parameters/enable_apicv");
	return says_yes("/sys/module/kvm_amd/parameters/avic") ||
	       says_yes("/sys/module/kvm_intel/parameters/enable_apicv");
}

bool stock_before(unsigned int major, unsigned int minor)
{
	unsigned int here_major, here_minor;
	struct utsname here;

	if (vapic_is_loaded() || uname(&here) ||
	    sscanf(here.release, "%u.%u", &here_major, &here_minor) != 2)
		return false;
	return here_major < major || (here_major == major && here_minor < minor);
}

bool accel_loses_interrupts(void)
{
	return stock_before(6, 12) && accel_check()->active && !accel_is_avic();
}

bool accel_misses_sleepers(void)
{
	return stock_before(6, 12) && accel_is_avic() && accel_expected(true);
}

bool vapic_takes_over(const char *function)
{
	FILE *file = fopen("/sys/kernel/vapic/takeover", "re");
	char line[256], wanted[128];
	bool found = false;

	/* A line has the mechanism, module:function, and whose code runs. */
	snprintf(wanted, sizeof(wanted), ":%s ours", function);
	while (file && !found && fgets(line, sizeof(line), file))
		found = strstr(line, wanted);
	if (file)
		fclose(file);
	return found;
}

static volatile bool probe_over;

static void probe_guest(uint64_t arg)
{
	(void)arg;
	guest_wait(probe_over);
}

static void probe_step(struct vcpu *vcpu)
{
	vcpu->guest->probe_host++;
	vm_wait(vcpu->vm, vcpu->guest->probe_guest == vcpu->guest->probe_host,
		"the guest answers a probe of its APIC");
}

int64_t vcpu_own_exits(struct vcpu *vcpu)
{
	uint64_t exits, irq_exits;

	/* The guest still runs: whoever is held up between the two would count its host's ticks. */
	do {
		irq_exits = vcpu_stat(vcpu, "irq_exits");
		exits = vcpu_stat(vcpu, "exits");
	} while (vcpu_stat(vcpu, "irq_exits") != irq_exits);
	return exits - irq_exits;
}

/*
 * Without acceleration each read exits.  In xAPIC mode KVM also emulates an instruction for it;
 * in x2APIC mode no counter is for these exits alone.
 */
static int64_t reads_seen(struct vcpu *vcpu)
{
	return vcpu->guest->x2apic ? vcpu_own_exits(vcpu) : vcpu_stat(vcpu, "insn_emulation");
}

bool vcpu_is_accelerated(struct vcpu *vcpu)
{
	int64_t seen;

	/* The guest stops whatever else it does, reads, and goes on. */
	probe_step(vcpu);
	seen = reads_seen(vcpu);
	probe_step(vcpu);
	seen = reads_seen(vcpu) - seen;
	probe_step(vcpu);
	/* A few exits may have other reasons, and one be missing, so they are not a verdict. */
	return seen < ACCEL_PROBE_READS / 2;
}

bool vcpu_acceleration_becomes(struct vcpu *vcpu, bool wanted)
{
	bool active = vcpu_is_accelerated(vcpu);

	for (int tries = 0; active != wanted && tries < 100; tries++) {
		sleep_us(1000);
		active = vcpu_is_accelerated(vcpu);
	}
	return active;
}

static bool probe(unsigned int options, const char **why)
{
	struct vm *vm = vm_try_create(options, why);
	struct vcpu *vcpu;
	bool active;

	if (!vm)
		return false;
	probe_over = false;
	vcpu = vm_add_vcpu(vm, 0, probe_guest, 0);
	vm_start(vm);
	/* The first access to the APIC page faults in any case, so do not count it. */
	vcpu_is_accelerated(vcpu);
	active = vcpu_is_accelerated(vcpu);
	probe_over = true;
	vm_join(vm);
	vm_destroy(vm);
	return active;
}

bool accel_probe(bool x2apic)
{
	const char *why = NULL;

	return probe(x2apic ? VM_X2APIC : 0, &why);
}

const struct accel *accel_check(void)
{
	static struct accel accel;
	static bool known;
	const char *expect = getenv("VAPIC_EXPECT");
	const char *why = NULL;
	bool wanted;

	if (known)
		return &accel;
	known = true;
	accel.vapic = vapic_is_loaded();
	accel.active = probe(0, &why);
	if (why) {
		accel.verdict = expect ? ACCEL_WRONG : ACCEL_UNAVAILABLE;
		snprintf(accel.reason, sizeof(accel.reason), "%s", why);
		return &accel;
	}
	if (expect && strcmp(expect, "accelerated") && strcmp(expect, "plain")) {
		accel.verdict = ACCEL_WRONG;
		snprintf(accel.reason, sizeof(accel.reason),
			 "VAPIC_EXPECT=%s is neither accelerated nor plain", expect);
		return &accel;
	}
	wanted = expect ? !strcmp(expect, "accelerated") : parameters_ask_for_it();
	snprintf(accel.reason, sizeof(accel.reason), "acceleration %s, expected %s by %s; %s",
		 accel.active ? "active" : "off", wanted ? "active" : "off",
		 expect ? "VAPIC_EXPECT" : "module parameters",
		 accel.vapic ? "vapic loaded" : "stock KVM");
	if (!accel.active && !cpu_can_accelerate() && (wanted || !expect)) {
		accel.verdict = expect ? ACCEL_WRONG : ACCEL_UNAVAILABLE;
		snprintf(accel.reason, sizeof(accel.reason), "the processor has neither %s",
			 cpu_can_virtualize() ? "AVIC nor APICv" : "SVM nor VMX");
	} else {
		accel.verdict = accel.active == wanted ? ACCEL_OK : ACCEL_WRONG;
	}
	return &accel;
}

bool accel_is_avic(void)
{
	return accel_check()->active && cpu_has_flag("flags", "svm");
}

bool accel_expected(bool x2apic)
{
	if (!accel_check()->active)
		return false;
	if (!x2apic || !accel_is_avic())
		return true;
	/* Without x2AVIC KVM emulates all accesses, and only rings the doorbell. */
	return cpu_has_flag("flags", "x2avic");
}

uint32_t accel_table_ids(void)
{
	uint32_t eax = 0x8000000a, ebx, ecx = 0, edx;

	if (!accel_is_avic())
		return UINT32_MAX;
	if (!accel_expected(true))
		return 255;
	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	/* Stock does not know the extension. */
	return vapic_is_loaded() && ecx & 1U << 6 ? 4096 : 512;
}

bool accel_ipis_exit(bool x2apic)
{
	if (!accel_expected(x2apic))
		return true;
	if (accel_is_avic())
		return false;
	return !cpu_has_flag("vmx flags", "ipi_virt") ||
	       !says_yes(vapic_is_loaded() ? "/sys/module/vapic/parameters/enable_ipiv" :
					     "/sys/module/kvm_intel/parameters/enable_ipiv");
}
