// SPDX-License-Identifier: GPL-2.0-only
//
// Mutants of residency.cpp, each with one mistake that a change might make; and the unchanged
// inline functions. All of them see the atomics redirected, as core does.
#pragma once

#include <vapic/avic.h>

namespace model {

// avic_hot.h, lapic_hot.h
bool must_wake(const vapic_avic_vcpu *vcpu);
void set_irr(void *regs, u8 vector);

} // namespace model

namespace mutant {

// block(): clears IsRunning first, sets asleep second.
void block_running_first(vapic_avic_vcpu *vcpu);
// block(): clears IsRunning by a plain store.
void block_without_barrier(vapic_avic_vcpu *vcpu);
// block(): does not set asleep.
void block_silently(vapic_avic_vcpu *vcpu);
// block(): does not clear IsRunning.
void block_running(vapic_avic_vcpu *vcpu);
// load(): sets IsRunning of a sleeping vCPU.
void load_asleep(vapic_avic_vcpu *vcpu, u32 host_id);
// load(): always names the first CPU.
void load_first_cpu(vapic_avic_vcpu *vcpu, u32 host_id);
// load(): truncates an APIC ID that does not fit.
void load_far_truncated(vapic_avic_vcpu *vcpu, u32 host_id);
// load(): on a CPU that no entry can name, does not set far.
void load_far_silently(vapic_avic_vcpu *vcpu, u32 host_id);
// load(): on such a CPU, leaves the last CPU in the entry.
void load_far_keeps_cpu(vapic_avic_vcpu *vcpu, u32 host_id);
// unblock(): calls load first, which finds the vCPU still asleep.
void unblock_load_first(vapic_avic_vcpu *vcpu, u32 host_id);
// deactivate(): clears IsRunning first, sets inactive second.
void deactivate_running_first(vapic_avic_vcpu *vcpu);
// deactivate(): clears IsRunning by a plain store.
void deactivate_without_barrier(vapic_avic_vcpu *vcpu);
// deactivate(): does not set inactive.
void deactivate_silently(vapic_avic_vcpu *vcpu);
// load(), block(), deactivate(): do not tell the IOMMU.
void load_untold(vapic_avic_vcpu *vcpu, u32 host_id);
void block_untold(vapic_avic_vcpu *vcpu);
void deactivate_untold(vapic_avic_vcpu *vcpu);
// block(): looks whether there is a device before its barrier.
void block_tells_first(vapic_avic_vcpu *vcpu);
// posting_add(): publishes the word by a plain store; guesses first; guesses that the vCPU runs;
// says meanwhile that the interrupts are remapped, which an inactive vCPU takes for right.
vapic_posting posting_add_without_barrier(vapic_avic_vcpu *vcpu, u32 here);
vapic_posting posting_add_guess_first(vapic_avic_vcpu *vcpu, u32 here);
vapic_posting posting_add_as_running(vapic_avic_vcpu *vcpu, u32 here);
vapic_posting posting_add_as_remapped(vapic_avic_vcpu *vcpu, u32 here);
// posting_add(): guesses for each interrupt anew.
vapic_posting posting_add_guess_again(vapic_avic_vcpu *vcpu, u32 here);
// must_wake(): wakes nobody.
bool must_wake_nobody(const vapic_avic_vcpu *vcpu);
// set_irr(): uses a plain store.
void set_irr_without_barrier(void *regs, u8 vector);

} // namespace mutant
