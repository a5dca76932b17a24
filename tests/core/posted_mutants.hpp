// SPDX-License-Identifier: GPL-2.0-only
//
// Mutants of core's functions for posted interrupts, each with one mistake that a change might
// make; and the unchanged inline functions of vmx_hot.h. All of them see the atomics redirected,
// as core does.
#pragma once

#include <vapic/vmx.h>

namespace posted {

// vmx_hot.h
bool post(vapic_pi_descriptor *descriptor, u8 vector);
bool settled(vapic_pi_vcpu *vcpu);
void suppress(vapic_pi_vcpu *vcpu);
void wake_due(vapic_pi_waiters *waiters, void (*wake)(vapic_vcpu *glue));
// lapic_hot.h
void set_irr(void *regs, u8 vector);

} // namespace posted

namespace mutant {

// load(): looks at PIR before it clears SN.
void load_reads_pir_first(vapic_pi_vcpu *vcpu, u32 destination);
// load(): does not look at PIR.
void load_ignores_pir(vapic_pi_vcpu *vcpu, u32 destination);
// load(): writes the control word by a plain store.
void load_by_store(vapic_pi_vcpu *vcpu, u32 destination);
// load(): does not replace the wakeup vector.
void load_keeps_vector(vapic_pi_vcpu *vcpu, u32 destination);
// load(): always names the first CPU.
void load_keeps_cpu(vapic_pi_vcpu *vcpu, u32 destination);
// load(): does not clear SN.
void load_suppressed(vapic_pi_vcpu *vcpu, u32 destination);

// load(), back on the same CPU: looks at PIR before it clears SN.
void resume_reads_pir_first(vapic_pi_vcpu *vcpu, u32 destination);
// load(), back on the same CPU: does not look at PIR.
void resume_ignores_pir(vapic_pi_vcpu *vcpu, u32 destination);
// load(), back on the same CPU: writes the control word by a plain store.
void resume_by_store(vapic_pi_vcpu *vcpu, u32 destination);

// arm(): does not make the next load write NV and NDST.
bool arm_keeps_home(vapic_pi_vcpu *vcpu);
// arm(): does not report that something was posted.
bool arm_silently(vapic_pi_vcpu *vcpu);
// arm(): writes the control word by a plain store.
bool arm_by_store(vapic_pi_vcpu *vcpu);
// arm(): reads ON before it writes the vector.
bool arm_looks_first(vapic_pi_vcpu *vcpu);
// arm(): suppresses notifications, as for a vCPU that does not sleep.
bool arm_suppressed(vapic_pi_vcpu *vcpu);

// suppress(): writes the control word by a plain store.
void suppress_by_store(vapic_pi_vcpu *vcpu);

// sync(): takes PIR, then clears ON.
vapic_pi_irr sync_clears_on_last(vapic_pi_vcpu *vcpu, bool to_rvi);
// sync(): clears ON by a plain store.
vapic_pi_irr sync_clears_on_by_store(vapic_pi_vcpu *vcpu, bool to_rvi);
// sync(): clears the flag "RVI unknown" by a plain store.
vapic_pi_irr sync_settles_by_store(vapic_pi_vcpu *vcpu, bool to_rvi);
// sync(): clears the flag only after it has looked at the IRR.
vapic_pi_irr sync_settles_last(vapic_pi_vcpu *vcpu, bool to_rvi);

// settled(): reads only ON; reads only the flag.
bool settled_by_on(vapic_pi_vcpu *vcpu);
bool settled_by_flag(vapic_pi_vcpu *vcpu);

// post(): sets ON first, the PIR bit second.
bool post_on_first(vapic_pi_descriptor *descriptor, u8 vector);
// post(): uses plain stores.
bool post_by_store(vapic_pi_descriptor *descriptor, u8 vector);

// wake_due(): looks at the first of each group alone.
void wake_due_first_of_group(vapic_pi_waiters *waiters, void (*wake)(vapic_vcpu *glue));

// discard(): takes PIR, then clears ON.
void discard_clears_on_last(vapic_pi_vcpu *vcpu);

// unsettle(): does nothing.
void unsettle_not(vapic_pi_vcpu *vcpu);

} // namespace mutant
