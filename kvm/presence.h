/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the kernel has that vapic is built for: VAPIC_HAS_<name> is 1 or 0 for each name in
 * presence.list. Use it in #if and in conditions; a name that is not listed does not compile.
 */
#ifndef VAPIC_KVM_PRESENCE_H
#define VAPIC_KVM_PRESENCE_H

#include "generated/presence.h"

/*
 * For the lists of imports.h and takeovers.h: entries for kernels that have @name, and for those
 * that do not. tools read them, too.
 */
#define VAPIC_IF(name, ...) VAPIC_IF_(VAPIC_HAS_##name, __VA_ARGS__)
#define VAPIC_UNLESS(name, ...) VAPIC_UNLESS_(VAPIC_HAS_##name, __VA_ARGS__)

#define VAPIC_IF_(has, ...) VAPIC_IF__(has, __VA_ARGS__)
#define VAPIC_IF__(has, ...) VAPIC_IF_##has(__VA_ARGS__)
#define VAPIC_IF_1(...) __VA_ARGS__
#define VAPIC_IF_0(...)

#define VAPIC_UNLESS_(has, ...) VAPIC_UNLESS__(has, __VA_ARGS__)
#define VAPIC_UNLESS__(has, ...) VAPIC_UNLESS_##has(__VA_ARGS__)
#define VAPIC_UNLESS_1(...)
#define VAPIC_UNLESS_0(...) __VA_ARGS__

#endif
