/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Functions that KVM calls directly: replace one at its ftrace site.
 *
 * The kernel keeps a patchable call at the start of every traceable function; a
 * "direct" user of ftrace decides where it goes.  A function can have only one such user,
 * so BPF fentry programs and live patches on the same function exclude vapic.
 */
#ifndef VAPIC_TAKEOVER_REDIRECT_H
#define VAPIC_TAKEOVER_REDIRECT_H

#include <linux/ftrace.h>
#include <linux/static_call.h>

/* One function; a row of a table. */
struct vapic_redirect {
	const char *module; /* which has the function */
	const char *name;
	unsigned long stub; /* of redirect_stubs.S */
	unsigned long site; /* the patchable call, found at init */
	struct ftrace_ops ops;
	bool filtered;	/* ops has a filter, which readers on other CPUs may hold */
	bool installed; /* ops is registered */

	/* ftrace can no longer remove the call of the stub, which passes through to stock code. */
	bool stuck;

	/* The static call by which the stub reaches the hook. */
	struct static_call_key *run_key;
	void *run_tramp;
};

/*
 * For the lists of kvm/takeovers.h: what a row needs, the stub and the stub's static call; and
 * the row itself.
 */
#define VAPIC_REDIRECT_DECLARE(module_, name_, ret, args)                                          \
	void vapic_stub_##name_(void);                                                             \
	DECLARE_STATIC_CALL(vapic_run_##name_, vapic_hook_##name_);

#define VAPIC_REDIRECT_STUB(module_, name_, ret, args)                                             \
	VAPIC_REDIRECT_DECLARE(module_, name_, ret, args)                                          \
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

/* Redirect; may sleep.  Logs the reason for an error, after which stock code still runs. */
int vapic_redirect_install(struct vapic_redirect *redirect);

/*
 * Check in the code itself whether a call of the function reaches the hook; may sleep.
 * vapic_redirect_verify() returns 0, or -EAGAIN with the reason logged if it does not.
 */
bool vapic_redirect_in_place(const struct vapic_redirect *redirect);
int vapic_redirect_verify(const struct vapic_redirect *redirect);

/*
 * Undo the redirection; do nothing if it is not installed.  A task may still be in the stub
 * or in the hook until vapic_redirect_wait() has returned; one wait is enough for any number
 * of removals.
 *
 * If ftrace fails to undo the redirection, the function nevertheless runs stock code again,
 * but by way of the stub.  From then on vapic_redirects_stuck() is not 0, and vapic must
 * never leave memory.
 */
void vapic_redirect_remove(struct vapic_redirect *redirect);
void vapic_redirect_wait(void);
unsigned int vapic_redirects_stuck(void);

/* Free what install made, after vapic_redirect_wait(). */
void vapic_redirect_forget(struct vapic_redirect *redirect);

/*
 * Call these before the first redirection and after the last: in between nobody can switch
 * ftrace off.  Beginning returns 0, or, with the reason logged, -EAGAIN if ftrace is switched
 * off, -ENODEV if it has shut itself off, another negative errno if it refuses.
 */
int vapic_redirect_begin(void);
void vapic_redirect_end(void);

/* After the end: true if ftrace still uses text of vapic, which must then stay in memory. */
bool vapic_redirect_needs_text(void);

#endif
