/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Symbols found by name: how the lists of imports.h are used from C.
 *
 * A function found by name is reached through a static call of vapic, patched
 * at init: on a CPU with IBT an indirect call to a function whose ENDBR was
 * sealed at boot or left out by the compiler faults; a direct call never does.
 * Valid between a successful vapic_symbols_resolve() and exit.
 */
#ifndef VAPIC_KVM_SYMBOLS_H
#define VAPIC_KVM_SYMBOLS_H

#include <linux/ftrace.h>
#include <linux/kernfs.h>
#include <linux/kvm_host.h>
#include <linux/preempt.h>
#include <linux/static_call.h>
#include <linux/task_work.h>
#include <linux/tracepoint.h>

#include "imports.h"
#include "layout.h"

struct kvm_svm;
struct vcpu_svm;

#define vapic_call(name) static_call(vapic_fn_##name)
#define vapic_data(name) (*vapic_ptr_##name)

#define VAPIC_DECLARE_FUNC(module, ret, name, args)                                                \
	typedef ret vapic_proto_##name args;                                                       \
	DECLARE_STATIC_CALL(vapic_fn_##name, vapic_proto_##name);

#define VAPIC_DECLARE_DATA(module, type, name) extern type *vapic_ptr_##name;

#if VAPIC_HAS_tracepoint_key_false
#define VAPIC_TRACE_KEY(tracepoint) (&(tracepoint)->key.key)
#else
#define VAPIC_TRACE_KEY(tracepoint) (&(tracepoint)->key)
#endif

/*
 * A tracepoint that is off costs two loads and a branch; static_key_enabled() would
 * be a call.  A tracepoint that is just being switched may count as on: its list of
 * probes decides.
 */
#define VAPIC_DECLARE_TRACE(module, name, proto, args)                                             \
	typedef int vapic_proto_##name(void *data, proto);                                         \
	extern struct tracepoint *vapic_tp_##name;                                                 \
	DECLARE_STATIC_CALL(vapic_fn_##name, vapic_proto_##name);                                  \
	static inline bool vapic_traced_##name(void)                                               \
	{                                                                                          \
		return atomic_read(&VAPIC_TRACE_KEY(vapic_tp_##name)->enabled);                    \
	}                                                                                          \
	static inline void vapic_trace_##name(proto)                                               \
	{                                                                                          \
		if (likely(!vapic_traced_##name()))                                                \
			return;                                                                    \
		preempt_disable_notrace();                                                         \
		static_call(vapic_fn_##name)(NULL, args);                                          \
		preempt_enable_notrace();                                                          \
	}

VAPIC_IMPORTS(VAPIC_DECLARE_FUNC, VAPIC_DECLARE_DATA, VAPIC_DECLARE_TRACE)

/* The "module" of what is not in a module. */
#define VAPIC_KERNEL "vmlinux"

/*
 * Find kallsyms_lookup_name(); everything below needs it.  Returns, with the reason logged,
 * -ENODEV if ftrace has shut itself off, -ENOSYS if the kernel does not let a module do so.
 */
int vapic_symbols_init(void);

/*
 * Address of a symbol of one module, 0 if there is none.  Keep the module from being
 * unloaded for as long as the address is used.
 */
unsigned long vapic_symbols_find(const char *module, const char *name);

/*
 * Resolve what imports.h wants of one module.  -ENOENT when a symbol is missing,
 * which is logged by name.
 */
int vapic_symbols_resolve(const char *module);

#endif
