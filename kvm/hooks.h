/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What takeover/ does for the glue of either vendor.
 */
#ifndef VAPIC_KVM_HOOKS_H
#define VAPIC_KVM_HOOKS_H

#include <linux/types.h>

/*
 * takeover/ holds one reference on vapic.ko for each VM whose creation passed
 * the vm_init op.  The glue drops it here when the last of the VM's objects is
 * gone.  A vm_init that fails drops it by itself.
 */
void vapic_vm_pin_put(void);

/*
 * For tests: true when this allocation, made while a VM or vCPU is created, is
 * to be treated as failed (parameter fail_create).  Ask once per allocation.
 */
bool vapic_create_should_fail(void);

#endif
