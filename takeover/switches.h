/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Variables of KVM that have another value while vapic is loaded: they change behind the closed
 * gate, with no VM alive.
 */
#ifndef VAPIC_TAKEOVER_SWITCHES_H
#define VAPIC_TAKEOVER_SWITCHES_H

#include <linux/compiler.h>
#include <linux/types.h>

/* One variable; a row of a table. */
struct vapic_switch {
	const char *module; /* which has the variable */
	const char *name;
	void (*set)(void); /* may sleep, like restore() */
	void (*restore)(void);
	bool (*is_set)(void);
};

/* For the lists of kvm/takeovers.h: the row of a variable with these three functions. */
#define VAPIC_SWITCH_ROW(module_, name_)                                                           \
	{                                                                                          \
		.module = #module_,                                                                \
		.name = #name_,                                                                    \
		.set = set_##name_,                                                                \
		.restore = restore_##name_,                                                        \
		.is_set = is_set_##name_,                                                          \
	},

/* The three functions for @where, a bool that is @value while vapic is loaded. */
#define VAPIC_BOOL_SWITCH(name, where, value) VAPIC_VALUE_SWITCH(name, bool, where, value)

/* The same for any scalar. @value may be said by stock_@name. */
#define VAPIC_VALUE_SWITCH(name, type, where, value)                                               \
	static type stock_##name;                                                                  \
                                                                                                   \
	static void set_##name(void)                                                               \
	{                                                                                          \
		stock_##name = (where);                                                            \
		WRITE_ONCE(where, value);                                                          \
	}                                                                                          \
                                                                                                   \
	static void restore_##name(void)                                                           \
	{                                                                                          \
		WRITE_ONCE(where, stock_##name);                                                   \
	}                                                                                          \
                                                                                                   \
	static bool is_set_##name(void)                                                            \
	{                                                                                          \
		return READ_ONCE(where) == (value);                                                \
	}

#endif
