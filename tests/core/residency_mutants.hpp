// SPDX-License-Identifier: GPL-2.0-only
//
// Residency with one mistake each, of the kind that a change to residency.cpp might make,
// and the inline functions as they are. They see core's atomics redirected, as core does.
#pragma once

#include <vapic/avic.h>

namespace model {

// avic_hot.h, lapic_hot.h
bool must_wake(const vapic_avic_vcpu *vcpu);
void set_irr(void *regs, u8 vector);

} // namespace model

namespace mutant {

// block(): IsRunning is cleared first, asleep set second.
void block_running_first(vapic_avic_vcpu *vcpu);
// block(): IsRunning is cleared by a plain store.
void block_without_barrier(vapic_avic_vcpu *vcpu);
// block(): says nothing of sleep.
void block_silently(vapic_avic_vcpu *vcpu);
// block(): leaves IsRunning set.
void block_running(vapic_avic_vcpu *vcpu);
// load(): sets IsRunning of a sleeping vCPU.
void load_asleep(vapic_avic_vcpu *vcpu, u32 host_id);
// load(): never names another CPU than the first.
void load_first_cpu(vapic_avic_vcpu *vcpu, u32 host_id);
// load(): of an APIC ID that does not fit, what does.
void load_far_truncated(vapic_avic_vcpu *vcpu, u32 host_id);
// load(): on a CPU that no entry can name, nothing is said of it to exits.
void load_far_silently(vapic_avic_vcpu *vcpu, u32 host_id);
// load(): there, the entry goes on to name the last CPU.
void load_far_keeps_cpu(vapic_avic_vcpu *vcpu, u32 host_id);
// unblock(): load first, which finds the vCPU still asleep.
void unblock_load_first(vapic_avic_vcpu *vcpu, u32 host_id);
// deactivate(): IsRunning is cleared first, inactive set second.
void deactivate_running_first(vapic_avic_vcpu *vcpu);
// deactivate(): IsRunning is cleared by a plain store.
void deactivate_without_barrier(vapic_avic_vcpu *vcpu);
// deactivate(): says nothing of it.
void deactivate_silently(vapic_avic_vcpu *vcpu);
// must_wake(): nobody.
bool must_wake_nobody(const vapic_avic_vcpu *vcpu);
// set_irr(): by an ordinary store.
void set_irr_without_barrier(void *regs, u8 vector);

} // namespace mutant
