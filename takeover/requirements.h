/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What vapic needs of the kernel that it is built for; if something is missing, the build
 * stops here and names it.
 */
#ifndef VAPIC_TAKEOVER_REQUIREMENTS_H
#define VAPIC_TAKEOVER_REQUIREMENTS_H

#include <linux/kconfig.h>
#include <linux/kvm_host.h>
#include <linux/version.h>

#include "../kvm/layout.h"

/* The series that vapic was tested on; what it has from presence.list for others compiles there. */
#define VAPIC_SERIES(major, minor)                                                                 \
	(LINUX_VERSION_CODE >= KERNEL_VERSION(major, minor, 0) &&                                  \
	 LINUX_VERSION_CODE < KERNEL_VERSION(major, (minor) + 1, 0))
#if !defined(VAPIC_UNTESTED) && !VAPIC_SERIES(6, 1) && !VAPIC_SERIES(6, 12) && !VAPIC_SERIES(7, 3)
#error vapic is tested on Linux 6.1, 6.12, 7.3 only (make UNTESTED=1 builds for another kernel)
#endif
#if !IS_MODULE(CONFIG_KVM_AMD)
#error CONFIG_KVM_AMD=m is missing: vapic takes over the kvm_amd module
#endif
#if !IS_MODULE(CONFIG_KVM_INTEL)
#error CONFIG_KVM_INTEL=m is missing: vapic takes over the kvm_intel module
#endif
#if !IS_ENABLED(CONFIG_HAVE_STATIC_CALL_INLINE)
#error CONFIG_HAVE_STATIC_CALL_INLINE is missing: ops are swapped by patching static calls
#endif
#if !IS_ENABLED(CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS)
#error CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS is missing: functions are redirected with it
#endif
#if !IS_ENABLED(CONFIG_KPROBES)
#error CONFIG_KPROBES is missing: symbols are found with it
#endif
#if !IS_ENABLED(CONFIG_KALLSYMS_ALL)
#error CONFIG_KALLSYMS_ALL is missing: data symbols of KVM are found with it
#endif
#if !IS_ENABLED(CONFIG_IRQ_REMAP)
#error CONFIG_IRQ_REMAP is missing: interrupts of assigned devices are posted with it
#endif
#if IS_ENABLED(CONFIG_KVM_INTEL_TDX)
#error CONFIG_KVM_INTEL_TDX is on: vapic does not leave the APICs of TDX guests alone
#endif
#if !IS_ENABLED(CONFIG_MODULE_UNLOAD)
#error CONFIG_MODULE_UNLOAD is missing: users of the KVM modules are counted with it
#endif

/* kvm allocates the vendor's structure and hands out pointers to its first member. */
static_assert(offsetof(struct vcpu_svm, vcpu) == 0);
static_assert(offsetof(struct kvm_svm, kvm) == 0);
static_assert(offsetof(struct vcpu_vmx, vcpu) == 0);
static_assert(offsetof(struct kvm_vmx, kvm) == 0);

#endif
