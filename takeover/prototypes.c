// SPDX-License-Identifier: GPL-2.0-only
/*
 * Compares vapic's prototypes with stock's in the BTF of the modules that vapic is built for
 * (generated/prototypes.h, made by tools/audit). Nothing else would: functions that are redirected
 * or found by name are not linked against. If they differ, the build stops here and names the
 * function. This file has no code.
 */
#include <linux/build_bug.h>

#include "../kvm/hooks.h"
#include "../kvm/symbols.h"

#define VAPIC_PROTOTYPE(module, name, replacement, ...)                                            \
	static_assert(__builtin_types_compatible_p(typeof(replacement), typeof(__VA_ARGS__)),      \
		      "the prototype of " #name " in " #module " is " #__VA_ARGS__);

#include "generated/prototypes.h"
