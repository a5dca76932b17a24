/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The gate: every VM creation passes it, and init and exit close it.
 *
 * The gate is the vm_init op, which KVM calls before a VM is visible to anybody.  While
 * the gate is closed, creations wait in it, so that no VM exists while init and exit
 * change everything else.  While vapic is in charge, the gate counts VMs and takes a
 * reference on vapic.ko for each; vapic_vm_pin_put() drops it.
 */
#ifndef VAPIC_TAKEOVER_GATE_H
#define VAPIC_TAKEOVER_GATE_H

#include "ops.h"

extern struct vapic_op vapic_gate_op;

/* Put the gate in place, closed, after vapic_op_find() of vapic_gate_op.  Returns 0. */
int vapic_gate_install(void);

/*
 * Remove the closed gate: creations that wait in it go on with stock code.  On return
 * no task runs code of vapic any more, provided that everything else is restored.
 */
void vapic_gate_remove(void);

/*
 * Open the gate with vapic in charge; close it again once no VM of vapic is left.
 * Closing waits only in a forced exit, and logs that.  Opening returns 0.
 */
int vapic_gate_open(void);
void vapic_gate_close(void);

/* For lockdep: this task has closed the gate. */
void vapic_gate_assert_closed(void);

#endif
