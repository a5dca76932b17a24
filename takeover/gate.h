/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The gate: every VM creation passes it, and init and exit close it.
 *
 * It is the vm_init op, which KVM calls before a VM is visible to anybody.  While the
 * gate is closed creations wait in it, so that init and exit change everything else
 * with no VM about.  While vapic is in charge it counts VMs, and takes a reference on
 * vapic.ko for each; see vapic_vm_pin_put() for its other end.
 */
#ifndef VAPIC_TAKEOVER_GATE_H
#define VAPIC_TAKEOVER_GATE_H

#include "ops.h"

extern struct vapic_op vapic_gate_op;

/* Put the gate in place, closed.  Needs vapic_gate_op to be found.  Returns 0. */
int vapic_gate_install(void);

/*
 * Take the closed gate away: whoever waits in it goes on with stock code.  On return
 * nobody runs code of vapic any more, provided that all else is restored.
 */
void vapic_gate_remove(void);

/*
 * Open it with vapic in charge; close it again, once no VM of ours is left.  That waits
 * in a forced exit only, and is logged.  Opening returns 0.
 */
int vapic_gate_open(void);
void vapic_gate_close(void);

#endif
