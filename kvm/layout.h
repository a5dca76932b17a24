/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * KVM's private structures, with the fields that layout.list names at KVM's offsets. They have
 * no other fields: code that uses a field that is not listed, or that the kernel does not have,
 * does not compile.
 */
#ifndef VAPIC_KVM_LAYOUT_H
#define VAPIC_KVM_LAYOUT_H

#include <linux/build_bug.h>
#include <linux/hrtimer.h>
#include <linux/kthread.h>
#include <linux/kvm_host.h>
#include <linux/list.h>

#include <asm/svm.h>

#include <vapic/vmx.h>

struct vapic_vm;
struct vapic_vcpu;

/* Of 64 bits each, with the fields that the IOAPIC has. */
struct vapic_ioapic_entries {
	u64 entries[24];
};

#include "generated/layout.h"

#endif
