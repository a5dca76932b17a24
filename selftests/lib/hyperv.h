/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Hyper-V's AutoEOI, an interrupt that ends by being delivered: it inhibits acceleration on
 * both vendors while a vCPU has one configured.
 */
#ifndef SELFTESTS_LIB_HYPERV_H
#define SELFTESTS_LIB_HYPERV_H

#include "vm.h"

/* Gives the vCPU the registers; false if this KVM has none. */
bool hyperv_add(struct vcpu *vcpu);

/* Likewise, where nothing can be tested without: ends the test if there are none. */
void hyperv_require(struct vcpu *vcpu);

/* The vCPU must be outside KVM_RUN.  No interrupt comes of it. */
void hyperv_set_auto_eoi(struct vcpu *vcpu, bool on);

#endif
