/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The trace events of system vapic, which Documentation/ABI/testing/tracefs-vapic describes: names,
 * fields and what the fields mean stay. The glue includes tracing.h.
 *
 * The kernel's headers include this file several times, each time with other macros.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM vapic

#if !defined(VAPIC_KVM_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define VAPIC_KVM_TRACE_H

#include <linux/kvm_host.h>
#include <linux/tracepoint.h>

/* clang-format off */

/*
 * Values with their names. Programs that read the binary form know only numbers, so each value is
 * exported to them.
 */
#define VAPIC_TRACED_SOURCES(LIST, LAST) \
	LIST(VAPIC_SOURCE_OTHER, "other") \
	LIST(VAPIC_SOURCE_IPI, "ipi") \
	LIST(VAPIC_SOURCE_USER, "user") \
	LIST(VAPIC_SOURCE_IRQFD, "irqfd") \
	LIST(VAPIC_SOURCE_TIMER, "timer") \
	LIST(VAPIC_SOURCE_DEVICE, "device") \
	LAST(VAPIC_SOURCE_HARDWARE, "hardware")

#define VAPIC_TRACED_ANNOUNCEMENTS(LIST, LAST) \
	LIST(VAPIC_ANNOUNCED_BY_ENTRY, "entry") \
	LIST(VAPIC_ANNOUNCED_BEFORE, "before") \
	LIST(VAPIC_ANNOUNCED_BY_DOORBELL, "doorbell") \
	LIST(VAPIC_ANNOUNCED_BY_NOTIFICATION, "notification") \
	LIST(VAPIC_ANNOUNCED_BY_WAKEUP, "wakeup") \
	LAST(VAPIC_ANNOUNCED_BY_KICK, "kick")

#define VAPIC_TRACED_PLACES(LIST, LAST) \
	LIST(VAPIC_FOUND_BY_LOAD, "load") \
	LIST(VAPIC_FOUND_BY_CHECK, "check") \
	LAST(VAPIC_FOUND_BY_ENTRY, "entry")

#define VAPIC_TRACED_MODES(LIST, LAST) \
	LIST(VAPIC_MODE_OFF, "off") \
	LIST(VAPIC_MODE_DISABLED, "disabled") \
	LIST(VAPIC_MODE_XAPIC, "xapic") \
	LAST(VAPIC_MODE_X2APIC, "x2apic")

#define VAPIC_TRACED_TABLE_CHANGES(LIST, LAST) \
	LIST(VAPIC_TABLE_ENTER, "enter") \
	LIST(VAPIC_TABLE_LEAVE, "leave") \
	LAST(VAPIC_TABLE_LOGICAL, "logical")

#if VAPIC_HAS_APICV_INHIBIT_REASON_PHYSICAL_ID_TOO_BIG
#define VAPIC_TRACED_INHIBIT_TOO_BIG(LIST) LIST(VAPIC_INHIBIT_PHYSICAL_ID_TOO_BIG, "PHYSICAL_ID_TOO_BIG")
#else
#define VAPIC_TRACED_INHIBIT_TOO_BIG(LIST)
#endif

#define VAPIC_TRACED_INHIBITS(LIST, LAST) \
	LIST(VAPIC_INHIBIT_DISABLED, "DISABLED") \
	LIST(VAPIC_INHIBIT_HYPERV, "HYPERV") \
	LIST(VAPIC_INHIBIT_ABSENT, "ABSENT") \
	LIST(VAPIC_INHIBIT_BLOCKIRQ, "BLOCKIRQ") \
	LIST(VAPIC_INHIBIT_PHYSICAL_ID_ALIASED, "PHYSICAL_ID_ALIASED") \
	LIST(VAPIC_INHIBIT_APIC_ID_MODIFIED, "APIC_ID_MODIFIED") \
	LIST(VAPIC_INHIBIT_APIC_BASE_MODIFIED, "APIC_BASE_MODIFIED") \
	LIST(VAPIC_INHIBIT_NESTED, "NESTED") \
	LIST(VAPIC_INHIBIT_IRQWIN, "IRQWIN") \
	LIST(VAPIC_INHIBIT_PIT_REINJ, "PIT_REINJ") \
	LIST(VAPIC_INHIBIT_SEV, "SEV") \
	VAPIC_TRACED_INHIBIT_TOO_BIG(LIST) \
	LIST(VAPIC_INHIBIT_SWITCHED, "SWITCHED") \
	LAST(VAPIC_INHIBIT_LOGICAL_ID_ALIASED, "LOGICAL_ID_ALIASED")

#define VAPIC_TRACE_EXPORT(value, name) TRACE_DEFINE_ENUM(value);
#define VAPIC_TRACE_NAME(value, name) { value, name },
#define VAPIC_TRACE_LAST_NAME(value, name) { value, name }
#define VAPIC_TRACE_NAMES(list) list(VAPIC_TRACE_NAME, VAPIC_TRACE_LAST_NAME)

VAPIC_TRACED_SOURCES(VAPIC_TRACE_EXPORT, VAPIC_TRACE_EXPORT)
VAPIC_TRACED_ANNOUNCEMENTS(VAPIC_TRACE_EXPORT, VAPIC_TRACE_EXPORT)
VAPIC_TRACED_PLACES(VAPIC_TRACE_EXPORT, VAPIC_TRACE_EXPORT)
VAPIC_TRACED_MODES(VAPIC_TRACE_EXPORT, VAPIC_TRACE_EXPORT)
VAPIC_TRACED_TABLE_CHANGES(VAPIC_TRACE_EXPORT, VAPIC_TRACE_EXPORT)
VAPIC_TRACED_INHIBITS(VAPIC_TRACE_EXPORT, VAPIC_TRACE_EXPORT)

/* An interrupt is handed over, before anybody can see it, or was found there. */
TRACE_EVENT_FN(vapic_interrupt,
	TP_PROTO(struct kvm_vcpu *vcpu, u32 vector, u32 source, int from),
	TP_ARGS(vcpu, vector, source, from),
	TP_STRUCT__entry(
		__field(int, pid)
		__field(u32, vcpu)
		__field(u32, vector)
		__field(u32, source)
		__field(int, from)
	),
	TP_fast_assign(
		__entry->pid = vcpu->kvm->userspace_pid;
		__entry->vcpu = vcpu->vcpu_id;
		__entry->vector = vector;
		__entry->source = source;
		__entry->from = from;
	),
	TP_printk("pid=%d vcpu=%u vector=%u source=%s from=%d",
		  __entry->pid, __entry->vcpu, __entry->vector,
		  __print_symbolic(__entry->source, VAPIC_TRACE_NAMES(VAPIC_TRACED_SOURCES)),
		  __entry->from),
	vapic_interrupt_trace_begin, vapic_interrupt_trace_end
);

/* It has been announced. */
TRACE_EVENT_FN(vapic_announce,
	TP_PROTO(struct kvm_vcpu *vcpu, u32 vector, u32 how, int cpu),
	TP_ARGS(vcpu, vector, how, cpu),
	TP_STRUCT__entry(
		__field(int, pid)
		__field(u32, vcpu)
		__field(u32, vector)
		__field(u32, how)
		__field(int, cpu)
	),
	TP_fast_assign(
		__entry->pid = vcpu->kvm->userspace_pid;
		__entry->vcpu = vcpu->vcpu_id;
		__entry->vector = vector;
		__entry->how = how;
		__entry->cpu = cpu;
	),
	TP_printk("pid=%d vcpu=%u vector=%u how=%s cpu=%d",
		  __entry->pid, __entry->vcpu, __entry->vector,
		  __print_symbolic(__entry->how, VAPIC_TRACE_NAMES(VAPIC_TRACED_ANNOUNCEMENTS)),
		  __entry->cpu),
	vapic_interrupt_trace_begin, vapic_interrupt_trace_end
);

/* The vCPU's own task has found it. */
TRACE_EVENT(vapic_found,
	TP_PROTO(struct kvm_vcpu *vcpu, u32 vector, u32 by),
	TP_ARGS(vcpu, vector, by),
	TP_STRUCT__entry(
		__field(int, pid)
		__field(u32, vcpu)
		__field(u32, vector)
		__field(u32, by)
	),
	TP_fast_assign(
		__entry->pid = vcpu->kvm->userspace_pid;
		__entry->vcpu = vcpu->vcpu_id;
		__entry->vector = vector;
		__entry->by = by;
	),
	TP_printk("pid=%d vcpu=%u vector=%u by=%s",
		  __entry->pid, __entry->vcpu, __entry->vector,
		  __print_symbolic(__entry->by, VAPIC_TRACE_NAMES(VAPIC_TRACED_PLACES)))
);

/* A vCPU is accelerated from now on, or not. The masks are of KVM's inhibit reasons. */
TRACE_EVENT(vapic_active,
	TP_PROTO(struct kvm_vcpu *vcpu, bool active, unsigned long vm, unsigned long own),
	TP_ARGS(vcpu, active, vm, own),
	TP_STRUCT__entry(
		__field(int, pid)
		__field(u32, vcpu)
		__field(u32, active)
		__field(u32, vm_inhibits)
		__field(u32, vcpu_inhibits)
	),
	TP_fast_assign(
		__entry->pid = vcpu->kvm->userspace_pid;
		__entry->vcpu = vcpu->vcpu_id;
		__entry->active = active;
		__entry->vm_inhibits = vm;
		__entry->vcpu_inhibits = own;
	),
	TP_printk("pid=%d vcpu=%u active=%u vm_inhibits=%s vcpu_inhibits=%s",
		  __entry->pid, __entry->vcpu, __entry->active,
		  __print_flags(__entry->vm_inhibits, ",", VAPIC_TRACE_NAMES(VAPIC_TRACED_INHIBITS)),
		  __print_flags(__entry->vcpu_inhibits, ",", VAPIC_TRACE_NAMES(VAPIC_TRACED_INHIBITS)))
);

/* What hardware does for the vCPU's APIC from now on. */
TRACE_EVENT(vapic_mode,
	TP_PROTO(struct kvm_vcpu *vcpu, u32 mode),
	TP_ARGS(vcpu, mode),
	TP_STRUCT__entry(
		__field(int, pid)
		__field(u32, vcpu)
		__field(u32, mode)
	),
	TP_fast_assign(
		__entry->pid = vcpu->kvm->userspace_pid;
		__entry->vcpu = vcpu->vcpu_id;
		__entry->mode = mode;
	),
	TP_printk("pid=%d vcpu=%u mode=%s", __entry->pid, __entry->vcpu,
		  __print_symbolic(__entry->mode, VAPIC_TRACE_NAMES(VAPIC_TRACED_MODES)))
);

/* The vCPU's place in hardware's tables changes. */
TRACE_EVENT(vapic_table,
	TP_PROTO(struct kvm_vcpu *vcpu, u32 change, u32 ldr),
	TP_ARGS(vcpu, change, ldr),
	TP_STRUCT__entry(
		__field(int, pid)
		__field(u32, vcpu)
		__field(u32, change)
		__field(u32, ldr)
	),
	TP_fast_assign(
		__entry->pid = vcpu->kvm->userspace_pid;
		__entry->vcpu = vcpu->vcpu_id;
		__entry->change = change;
		__entry->ldr = ldr;
	),
	TP_printk("pid=%d vcpu=%u change=%s ldr=%#x", __entry->pid, __entry->vcpu,
		  __print_symbolic(__entry->change, VAPIC_TRACE_NAMES(VAPIC_TRACED_TABLE_CHANGES)),
		  __entry->ldr)
);

/* An entry of the IOMMU's log, on AMD. @pid is 0 if the entry names nobody. */
TRACE_EVENT(vapic_ga_log,
	TP_PROTO(int pid, u32 vcpu, u32 tag),
	TP_ARGS(pid, vcpu, tag),
	TP_STRUCT__entry(
		__field(int, pid)
		__field(u32, vcpu)
		__field(u32, tag)
	),
	TP_fast_assign(
		__entry->pid = pid;
		__entry->vcpu = vcpu;
		__entry->tag = tag;
	),
	TP_printk("pid=%d vcpu=%u tag=%#x", __entry->pid, __entry->vcpu, __entry->tag)
);

/* clang-format on */

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH kvm
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace

/* Outside of the guard, as the kernel wants it. */
#include <trace/define_trace.h>
