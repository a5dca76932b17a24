// SPDX-License-Identifier: GPL-2.0-only
/*
 * Symbols found by name.
 *
 * kallsyms_lookup_name() is not exported.  A kprobe is the supported way to make the
 * kernel turn a name into an address, so a kprobe finds this function, and the function
 * finds everything else.  The kprobe may sit behind the function's ENDBR; a direct call to
 * that place is as good as one to the entry.
 */
#include "symbols.h"

#include <linux/kprobes.h>
#include <linux/module.h>

#include "log.h"

typedef unsigned long vapic_proto_lookup(const char *name);
DEFINE_STATIC_CALL_RET0(vapic_fn_lookup, vapic_proto_lookup);

/* Storage for each import. */
#define STORE_FUNC(module, ret, name, args)                                                        \
	DEFINE_STATIC_CALL_RET0(vapic_fn_##name, vapic_proto_##name);
#define STORE_DATA(module, type, name) type *vapic_ptr_##name;
#define STORE_TRACE(module, name, proto, args)                                                     \
	struct tracepoint *vapic_tp_##name;                                                        \
	DEFINE_STATIC_CALL_RET0(vapic_fn_##name, vapic_proto_##name);

VAPIC_IMPORTS(STORE_FUNC, STORE_DATA, STORE_TRACE)

/* One symbol: its address goes to @data, or to the static call of @key and @tramp. */
struct import {
	const char *module;
	const char *name;
	void **data;
	struct static_call_key *key;
	void *tramp;
};

#define TO_CALL(module_, symbol_, call_)                                                           \
	{                                                                                          \
		.module = #module_,                                                                \
		.name = symbol_,                                                                   \
		.key = &STATIC_CALL_KEY(call_),                                                    \
		.tramp = STATIC_CALL_TRAMP_ADDR(call_),                                            \
	},
#define TO_DATA(module_, symbol_, pointer_)                                                        \
	{                                                                                          \
		.module = #module_,                                                                \
		.name = symbol_,                                                                   \
		.data = (void **)&(pointer_),                                                      \
	},

#define FUNC_ROW(module, ret, name, args) TO_CALL(module, #name, vapic_fn_##name)
#define DATA_ROW(module, type, name) TO_DATA(module, #name, vapic_ptr_##name)
#define TRACE_ROW(module, name, proto, args)                                                       \
	TO_DATA(module, "__tracepoint_" #name, vapic_tp_##name)                                    \
	TO_CALL(module, "__traceiter_" #name, vapic_fn_##name)

static const struct import imports[] = {VAPIC_IMPORTS(FUNC_ROW, DATA_ROW, TRACE_ROW)};

/*
 * The kprobe is registered disabled: its address is all that is wanted. To arm and disarm one, the
 * kernel allocates memory; if that fails when it disarms, the kprobe stays registered, which nobody
 * is told, and the kernel would go on to read it here on the stack.
 */
int vapic_symbols_init(void)
{
	struct kprobe probe = {
		.symbol_name = "kallsyms_lookup_name",
		.flags = KPROBE_FLAG_DISABLED,
	};
	int ret;

	ret = register_kprobe(&probe);
	if (ret == -ENOMEM) {
		vapic_err("no memory to look up kernel symbols\n");
		return ret;
	}
	if (ret) {
		vapic_err("cannot look up kernel symbols (kprobe: error %d): the kernel needs "
			  "CONFIG_KPROBES and CONFIG_KALLSYMS_ALL\n",
			  ret);
		return -ENOSYS;
	}
	static_call_update(vapic_fn_lookup, (vapic_proto_lookup *)probe.addr);
	unregister_kprobe(&probe);
	return 0;
}

unsigned long vapic_symbols_find(const char *module, const char *name)
{
	char qualified[MODULE_NAME_LEN + KSYM_NAME_LEN];

	if (!strcmp(module, VAPIC_KERNEL))
		return static_call(vapic_fn_lookup)(name);

	snprintf(qualified, sizeof(qualified), "%s:%s", module, name);
	return static_call(vapic_fn_lookup)(qualified);
}

int vapic_symbols_resolve(const char *module)
{
	const struct import *import;
	unsigned long address;

	for (import = imports; import < imports + ARRAY_SIZE(imports); import++) {
		if (strcmp(import->module, module))
			continue;
		address = vapic_symbols_find(module, import->name);
		if (!address) {
			vapic_err("symbol %s is missing in %s: this kernel is not one vapic "
				  "knows\n",
				  import->name, module);
			return -ENOENT;
		}
		if (import->data)
			*import->data = (void *)address;
		else
			__static_call_update(import->key, import->tramp, (void *)address);
	}
	return 0;
}
