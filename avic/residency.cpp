// SPDX-License-Identifier: GPL-2.0-only
//
// Residency: tells IPI hardware which CPU a vCPU is on, and senders when they must wake it.
// Documentation/ordering.rst argues that no interrupt is lost.
#include <vapic/host.h>

#include "state.hpp"

using namespace vapic;
using namespace vapic::avic;
using namespace vapic::hw;

namespace {

// ORDERING asleep
//   writers:  the vCPU's own task, or its creator's until KVM has accepted it, and
//             vapic_avic_vcpu_retire() when neither can run any more: never two at a time,
//             so load, change and publish are enough
//   order:    release. The set bit must be visible before the vCPU reads its IRR. A release
//             store is too weak for that; run_nowhere(), which follows, orders the two. The
//             cleared bit may become visible late: a sender then wakes a vCPU that is awake
//   pairs:    vapic_avic_vcpu_must_wake(): IRR, full barrier, then this byte; and the exit of
//             an IPI that saw IsRunning=0
//   barrier:  run_nowhere(), a locked exchange
//   if lost:  the vCPU sleeps with an interrupt in its IRR
//   checked:  residency_history_test; threads_test; selftest ipi_blocked; model avic
//             (BLOCK_SILENTLY, BLOCK_RUNNING_FIRST)
inline void set_asleep(vapic_avic_on_cpu on, bool asleep)
{
	Slot<Attention> &byte = attention(*on.vcpu);

	byte.publish(byte.load().with(Attention::kAsleep, asleep));
}

// ORDERING inactive
//   writers:  as asleep
//   order:    release. The set bit is visible before IsRunning=0, which run_nowhere() writes
//             next. The cleared bit may become visible late: a sender then kicks a vCPU that
//             is accelerated
//   pairs:    the exit of an IPI that saw IsRunning=0: IRR is set, then the handler reads
//             this byte
//   barrier:  run_nowhere(), before KVM looks at the IRR
//   if lost:  hardware sets a bit of the IRR, and nobody makes KVM look at it
//   checked:  interleaving_test; residency_history_test; selftest inhibit; model avic
//             (DEACTIVATE_SILENTLY, DEACTIVATE_RUNNING_FIRST)
inline void set_inactive(vapic_avic_on_cpu on, bool inactive)
{
	Slot<Attention> &byte = attention(*on.vcpu);

	byte.publish(byte.load().with(Attention::kInactive, inactive));
}

// ORDERING running-set
//   writers:  as asleep; hardware only reads
//   order:    release: nothing that the vCPU wrote on its last host CPU may become visible
//             later. The full barrier that orders it before VMRUN reads the IRR is not here
//   pairs:    IPI hardware: sets IRR, then reads the entry
//   barrier:  vcpu_enter_guest(), after it sets vcpu->mode and before VMRUN
//   if lost:  a sender sees IsRunning=0 and exits, VMRUN misses the IRR bit, and the handler
//             of the exit does nothing because the vCPU is awake
//   checked:  residency_history_test; selftest ipi_lost; model avic (ENTER_WITHOUT_BARRIER)
inline void run_on(vapic_avic_on_cpu on, HostApicId host)
{
	slot(*on.vcpu).publish(on.vcpu->resident.with(PhysicalIdEntry::kHostApicId, host));
}

// The vCPU's entry when it stops running. It keeps the CPU that the vCPU was on, because a
// software sender that saw the vCPU in guest mode must ring that CPU and no other.
inline PhysicalIdEntry left(const Slot<PhysicalIdEntry> &entry)
{
	return entry.load().with(PhysicalIdEntry::kIsRunning, false);
}

// ORDERING running-clear
//   writers:  as running-set
//   order:    a locked exchange. The caller reads the IRR next, and that read could pass a
//             plain store
//   pairs:    IPI hardware: sets IRR, then reads the entry. It sees IsRunning=0 and
//             exits, or the caller sees the IRR bit
//   barrier:  here
//   if lost:  the vCPU sleeps with an interrupt in its IRR, until something else wakes it
//   checked:  residency_history_test; selftest ipi_blocked; model avic (BLOCK_PLAIN_STORE,
//             BLOCK_LOOKS_FIRST)
inline void run_nowhere(vapic_avic_on_cpu on)
{
	Slot<PhysicalIdEntry> &entry = slot(*on.vcpu);

	entry.exchange(left(entry));
}

// ORDERING far-set
//   writers:  as asleep
//   order:    release, as running-set: IsRunning stays clear, and the attention byte says
//             that the vCPU may be in the guest nevertheless
//   pairs:    the exit of an IPI that saw IsRunning=0: IRR is set, then the handler reads the
//             attention byte, then vcpu->mode. A software sender reads vcpu->mode, then the
//             entry, which names no CPU, or, of a hidden vCPU, the one to ring
//   barrier:  vcpu_enter_guest(), as running-set
//   if lost:  the vCPU runs on in the guest without looking at its IRR
//   checked:  residency_history_test (LoadOnACpuThatNoEntryCanNameSaysSo,
//             HidingSaysSoBeforeTheEntryDoes); model avic (FAR_SILENTLY, FAR_KEEPS_CPU)
void run_far(vapic_avic_on_cpu on)
{
	attention(*on.vcpu).publish(Attention{}.with(Attention::kFar, true));
	slot(*on.vcpu).publish(on.vcpu->parked);
}

// Some interrupt of an assigned device names the vCPU: have the IOMMU do what is right now, if it
// does something else.
[[gnu::noinline]] void settle_posting(vapic_avic_on_cpu on, HostApicId host)
{
	const Posting wanted = wanted_posting(*on.vcpu, host);

	// Ordering: posting. Nobody but this task makes the word what is wanted here.
	if (on.vcpu->posting.load() == wanted)
		return;
	vapic_host_posting(on.vcpu->glue, {.posts = wanted.get(Posting::kPosts),
					   .rings = wanted.get(Posting::kRings),
					   .host = {wanted.get(Posting::kHost).raw()}});
}

// Called after each change of the attention byte or of the vCPU's CPU. `host` matters only if the
// vCPU may run.
inline void settle(vapic_avic_on_cpu on, HostApicId host)
{
	// Ordering: posting-begin. After block and deactivate this read is behind run_nowhere().
	if (on.vcpu->posting.load() != Posting{}) [[unlikely]]
		settle_posting(on, host);
}

// It is hidden by itself, not with all of its VM.
inline bool is_hidden(const vapic_avic_vcpu &vcpu)
{
	return !vcpu.resident.get(PhysicalIdEntry::kIsRunning) && !vcpu.vm->hide_running;
}

// Slow path of load: a bit of the attention byte is set, or no entry can name the CPU.
[[gnu::noinline]] void load_rarely(vapic_avic_on_cpu on, vapic_host_id host)
{
	// Ordering: asleep. The byte is this task's own: nobody else writes it meanwhile.
	if (attention(*on.vcpu).load().get(Attention::kOutside)) {
		if (!vapic_host_vcpu_stays(on.vcpu->glue))
			return;
		enter_tables(*on.vcpu);
	}

	const Attention seen = attention(*on.vcpu).load();

	// Asleep: unblock() will load the vCPU. Inactive: activate() must come first. Outside:
	// enter_tables() has failed.
	if (seen.get(Attention::kAsleep) || seen.get(Attention::kInactive) ||
	    seen.get(Attention::kOutside))
		return;
	if (host.raw > kMaxHostApicId)
		return run_far(on);
	// Ordering: far-set. Far is cleared before the entry shows the CPU: until then the vCPU is
	// not in the guest. A vCPU that is to be hidden keeps it, and its entry names the CPU.
	attention(*on.vcpu).publish(Attention{}.with(Attention::kFar, is_hidden(*on.vcpu)));
	run_on(on, HostApicId{host.raw});
}

} // namespace

void vapic_avic_vcpu_load(vapic_avic_on_cpu on, vapic_host_id host)
{
	// Ordering: asleep. The byte is this task's own, so what it says stays true.
	if (attention(*on.vcpu).load() != Attention{} || host.raw > kMaxHostApicId)
		load_rarely(on, host);
	else
		run_on(on, HostApicId{host.raw});
	settle(on, HostApicId{host.raw});
}

// ORDERING running-clear-early
//   writers:  as running-set
//   order:    release, no barrier: a sender that still sees IsRunning=1 rings a CPU that
//             ignores the doorbell
//   pairs:    IPI hardware, which need not see it soon
//   barrier:  none needed: the VMRUN that follows the next load finds the interrupt
//   if lost:  nothing
//   checked:  residency_history_test; selftest ipi_lost; model avic
//
// Nor does the IOMMU need to hear of it: while it rings the CPU that the vCPU was on, that CPU
// ignores it, and the IOMMU makes no entry in its log, which would wake nobody.
void vapic_avic_vcpu_put(vapic_avic_on_cpu on)
{
	Slot<PhysicalIdEntry> &entry = slot(*on.vcpu);

	entry.publish(left(entry));
}

void vapic_avic_vcpu_show_running(vapic_avic_on_cpu on, bool shown)
{
	vapic_avic_vcpu &vcpu = *on.vcpu;

	if (vcpu.vm->hide_running)
		return;
	vcpu.resident = vcpu.resident.with(PhysicalIdEntry::kIsRunning, shown);
	// Ordering: far-set. To hide: the bit comes first, and load then publishes the entry. To
	// show: load finds the bit, and clears it before it does so.
	if (!shown)
		attention(vcpu).publish(attention(vcpu).load().with(Attention::kFar, true));
}

void vapic_avic_vcpu_block(vapic_avic_on_cpu on)
{
	// Set asleep first: a sender that sees IsRunning=0 must find that the vCPU sleeps.
	set_asleep(on, true);
	run_nowhere(on);
	settle(on, {});
}

void vapic_avic_vcpu_unblock(vapic_avic_on_cpu on, vapic_host_id host)
{
	set_asleep(on, false);
	vapic_avic_vcpu_load(on, host);
}

void vapic_avic_vcpu_activate(vapic_avic_on_cpu on)
{
	set_inactive(on, false);
}

void vapic_avic_vcpu_deactivate(vapic_avic_on_cpu on)
{
	set_inactive(on, true);
	run_nowhere(on);
	settle(on, {});
}
