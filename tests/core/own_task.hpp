// SPDX-License-Identifier: GPL-2.0-only
//
// Overloads of core's functions that want proof that the caller is the vCPU's own task with
// preemption off: in a test every caller is, so these take the vCPU alone. They are static
// because some files see the atomics redirected and others do not.
#pragma once

#include <vapic/avic.h>
#include <vapic/vmx.h>
#include <vapic/vmx_hot.h>

static inline void vapic_avic_vcpu_load(vapic_avic_vcpu *vcpu, u32 host_id)
{
	vapic_avic_vcpu_load(vapic_avic_on_cpu{vcpu}, vapic_host_id{host_id});
}

static inline void vapic_avic_vcpu_put(vapic_avic_vcpu *vcpu)
{
	vapic_avic_vcpu_put(vapic_avic_on_cpu{vcpu});
}

static inline void vapic_avic_vcpu_block(vapic_avic_vcpu *vcpu)
{
	vapic_avic_vcpu_block(vapic_avic_on_cpu{vcpu});
}

static inline void vapic_avic_vcpu_unblock(vapic_avic_vcpu *vcpu, u32 host_id)
{
	vapic_avic_vcpu_unblock(vapic_avic_on_cpu{vcpu}, vapic_host_id{host_id});
}

static inline void vapic_avic_vcpu_activate(vapic_avic_vcpu *vcpu)
{
	vapic_avic_vcpu_activate(vapic_avic_on_cpu{vcpu});
}

static inline void vapic_avic_vcpu_deactivate(vapic_avic_vcpu *vcpu)
{
	vapic_avic_vcpu_deactivate(vapic_avic_on_cpu{vcpu});
}

static inline void vapic_avic_vcpu_show_running(vapic_avic_vcpu *vcpu, bool shown)
{
	vapic_avic_vcpu_show_running(vapic_avic_on_cpu{vcpu}, shown);
}

// Likewise of the vCPU's posting lock.
static inline vapic_posting vapic_avic_posting_add(vapic_avic_vcpu *vcpu, u32 here)
{
	return vapic_avic_posting_add(vapic_avic_posting_locked{vcpu}, vapic_host_id{here});
}

static inline void vapic_avic_posting_set(vapic_avic_vcpu *vcpu, vapic_posting how)
{
	vapic_avic_posting_set(vapic_avic_posting_locked{vcpu}, how);
}

static inline void vapic_avic_posting_end(vapic_avic_vcpu *vcpu)
{
	vapic_avic_posting_end(vapic_avic_posting_locked{vcpu});
}

// The CPUs of tests have the same number and destination.
static inline void vapic_pi_vcpu_load(vapic_pi_vcpu *vcpu, u32 cpu)
{
	vapic_pi_vcpu_load(vapic_pi_on_cpu{vcpu}, cpu, cpu);
}

static inline bool vapic_pi_vcpu_arm(vapic_pi_vcpu *vcpu)
{
	return vapic_pi_vcpu_arm(vapic_pi_on_cpu{vcpu});
}

static inline void vapic_pi_vcpu_leave_home(vapic_pi_vcpu *vcpu)
{
	vapic_pi_vcpu_leave_home(vapic_pi_on_cpu{vcpu});
}

static inline bool vapic_pi_vcpu_resume(vapic_pi_vcpu *vcpu, u32 cpu)
{
	return vapic_pi_vcpu_resume(vapic_pi_on_cpu{vcpu}, cpu);
}

// Likewise that the vCPU is loaded.
static inline vapic_pi_irr vapic_pi_vcpu_sync(vapic_pi_vcpu *vcpu, bool to_rvi)
{
	return vapic_pi_vcpu_sync(vapic_pi_loaded{vcpu}, to_rvi);
}

static inline void vapic_pi_vcpu_discard(vapic_pi_vcpu *vcpu)
{
	vapic_pi_vcpu_discard(vapic_pi_loaded{vcpu});
}

static inline void vapic_pi_vcpu_suppress(vapic_pi_vcpu *vcpu)
{
	vapic_pi_vcpu_suppress(vapic_pi_on_cpu{vcpu});
}
