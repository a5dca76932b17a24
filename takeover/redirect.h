/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Functions that KVM calls directly: replace one at its ftrace site.
 *
 * The kernel keeps a patchable call at the start of every traceable function; a
 * "direct" user of ftrace owns where it goes.  There is one such user per function,
 * so BPF fentry programs and live patches on the same function exclude vapic.
 */
#ifndef VAPIC_TAKEOVER_REDIRECT_H
#define VAPIC_TAKEOVER_REDIRECT_H

#include <linux/ftrace.h>
#include <linux/static_call.h>

/* One function; a row of a table. */
struct vapic_redirect {
	const char *module; /* that it is a function of */
	const char *name;
	unsigned long stub; /* of redirect_stubs.S */
	unsigned long site; /* the patchable call, found at init */
	struct ftrace_ops ops;
	bool filtered;	/* ops has a filter, which readers on other CPUs may hold */
	bool installed; /* ops is registered */
	bool stuck;	/* the stub is called for good; it passes through to stock code */

	/* The static call by which the stub reaches ours. */
	struct static_call_key *run_key;
	void *run_tramp;
};

/*
 * For the lists of kvm/takeovers.h: what a row needs to be there, the stub and the static call
 * in it; and the row.
 */
#define VAPIC_REDIRECT_STUB(module_, name_, ret, args)                                             \
	void vapic_stub_##name_(void);                                                             \
	DEFINE_STATIC_CALL(vapic_run_##name_, vapic_hook_##name_);

#define VAPIC_REDIRECT_ROW(module_, name_, ret, args)                                              \
	{                                                                                          \
		.module = #module_,                                                                \
		.name = #name_,                                                                    \
		.stub = (unsigned long)vapic_stub_##name_,                                         \
		.run_key = &STATIC_CALL_KEY(vapic_run_##name_),                                    \
		.run_tramp = STATIC_CALL_TRAMP_ADDR(vapic_run_##name_),                            \
	},

/*
 * Find the function and check that its site is free.  Changes nothing.
 * Logs the reason for -ENOENT (no function or no site) and -EBUSY (another user).
 */
int vapic_redirect_find(struct vapic_redirect *redirect);

/* Redirect; may sleep.  Logs the reason for an error, after which nothing changed. */
int vapic_redirect_install(struct vapic_redirect *redirect);

/*
 * Does a call of the function end in ours?  Looks at the code itself; may sleep.
 * 0, or -EAGAIN with the reason logged if it does not.
 */
bool vapic_redirect_is_ours(const struct vapic_redirect *redirect);
int vapic_redirect_verify(const struct vapic_redirect *redirect);

/*
 * Undo; nothing if not installed.  A caller may still be in the stub or in ours until
 * vapic_redirect_wait() has returned, once for any number of removals.
 *
 * Where ftrace fails to undo it, the function runs stock code again all the same, but
 * by way of the stub.  From then on vapic_redirects_stuck() is not 0, and vapic must
 * never leave memory.
 */
void vapic_redirect_remove(struct vapic_redirect *redirect);
void vapic_redirect_wait(void);
unsigned int vapic_redirects_stuck(void);

/* Free what install made, after vapic_redirect_wait(). */
void vapic_redirect_forget(struct vapic_redirect *redirect);

/*
 * Before the first redirection and after the last: while it lasts, nobody can switch ftrace
 * off.  Beginning returns 0, or with the reason logged -EAGAIN if ftrace is switched off,
 * -ENODEV if it has shut itself off, another negative errno if it refuses.
 */
int vapic_redirect_begin(void);
void vapic_redirect_end(void);

/* After the end: ftrace goes on with text of vapic, which must never leave memory. */
bool vapic_redirect_needs_text(void);

#endif
