// SPDX-License-Identifier: GPL-2.0-only
/*
 * Compares our prototypes with stock's, as BTF of the modules vapic is built for has them
 * (generated/prototypes.h, by tools/audit). Nobody else would: what is redirected or found by
 * name is linked against nothing. The build stops here, naming the function. No code.
 */
#include <linux/build_bug.h>

#include "../kvm/hooks.h"
#include "../kvm/symbols.h"

#define VAPIC_PROTOTYPE(module, name, ours, ...)                                                   \
	static_assert(__builtin_types_compatible_p(typeof(ours), typeof(__VA_ARGS__)),             \
		      "the prototype of " #name " in " #module " is " #__VA_ARGS__);

#include "generated/prototypes.h"
