// SPDX-License-Identifier: GPL-2.0-only
//
// A PIT whose missed ticks KVM makes up for, on AMD: avic/pit_glue.c. While the vCPU is accelerated
// its EOI tells KVM nothing, so vapic looks into IRR and ISR for the last tick, and acknowledges it
// if it is in neither. The timer ticks for ever; the vCPU takes ticks at its own pace.
//
// The properties: a tick does not come while the one before is still in IRR, which would merge with
// it; each tick is acknowledged once, and not before the guest has ended it; and ticks do not stop.
// The first two are assertions, the third is that no cycle of states is without a tick that is taken
// (with weak fairness).
//
// Left out because there would be too many states: calm_down(), which ends the inhibit, and vCPUs
// that block (CALMS and BLOCKS have them). A backlog of more than one tick, a second vCPU, and the
// end of reinjection are not here.
//
// In which order the two bits are looked at makes no difference here, because they are looked at twice.
//
// How it is run (tests/model/check reads this):
//   sound  ANY_PACE
//   lives  EAGER                        the guest takes a tick when it can
//   wrong  ANY_PACE  LOOKS_ONCE         the bits are not looked at again behind vcpu->mode
//   wrong  ANY_PACE  MODE_ONCE          vcpu->mode is not looked at again behind them
//   wrong  ANY_PACE  MODE_FIRST         vcpu->mode is looked at before the bits, and both once
//   wrong  ANY_PACE  IGNORES_EXITS      an EOI's exit under way does not count
//   wrong  ANY_PACE  WAITS_NOT          look_again() does not wait for exits at all
//   wrong  ANY_PACE  WAITS_ONCE         look_again() waits only before it looks
//   wrong  ANY_PACE  ANY_TICK           look_again() acknowledges a tick that has come since
//   wrong  ANY_PACE  NOTED_LATE         or since it was queued, before its look
//   wrong  ANY_PACE  TICK_UNLOCKED      look_again() looks while a tick is about to come
//   wrong  ANY_PACE  ACKS_ANYWAY        irq_ack is set without a look at what it was
//   stuck  EAGER  NEVER_ACKS            KVM alone acknowledges
//
// With --slow:
//   slow  ANY_PACE BLOCKS
//   slow  ANY_PACE CALMS

// Processors: the vCPU's task. Nobody else stores plainly what matters here.
#define TASK 0
#define PROCESSORS 1
#define DEPTH 1

// Words.
#define IRR 0 // the number of the tick that is in it, or 0
#define ISR 1
#define MODE 2	     // vcpu->mode: 1 is IN_GUEST_MODE
#define BLOCKING 3   // vcpu->wait
#define ACTIVE 4     // apic->apicv_active
#define IRQ_ACK 5    // of KVM's PIT: the last tick is acknowledged
#define WORDS 6

#include "x86.pml"

// Of KVM's PIT: ticks that are due, the last one among them until it is acknowledged; whether the
// thread has something to do. More ticks than these are not counted.
#define MOST 2
byte pending;
bit queued;

// struct vapic_pit
bit lock;
bit inhibits;
bit behind;
byte backlog;
// No tick has come since look_again() was queued last, and since what it works on was queued.
bit same_tick, same_tick_here;
bit look_again_queued, calm_down_queued;

// The task holds kvm->srcu, for the first or second time.
bit in_srcu = true;
bit srcu_number;

// For the assertions: the last tick if nobody has acknowledged it, or 0; that whose EOI's exit has
// cleared ISR and has not yet acknowledged it.
byte owed, on_its_way;

// ---- The timer ----

active proctype timer()
{
	ready;
	do
	:: d_step {
		!queued ->
		queued = true;
		if
		:: pending < MOST -> pending++
		:: else
		fi
	}
	od
}

// ---- The vCPU ----

// kvm_pit_ack_irq(), behind an EOI that exits. irq_ack is set, then a full barrier.
inline ack()
{
	d_step {
		EMPTY(TASK) ->
		assert(owed == on_its_way);
		owed = 0;
		on_its_way = 0;
		memory[IRQ_ACK] = 1
	}
	d_step {
		if
		:: pending > 0 ->
			pending--;
			if
			:: pending > 0 -> queued = true
			:: else
			fi
		:: else
		fi
	}
}

active proctype vcpu()
{
	bit accelerated = true;
	bit eoi;

	d_step {
		memory[ACTIVE] = 1;
		memory[IRQ_ACK] = 1;
		ready = true
	}
	do
	:: // KVM_REQ_APICV_UPDATE
		d_step {
			EMPTY(TASK) ->
			accelerated = !inhibits
		}
		STORE(TASK, ACTIVE, accelerated);
		// kvm_get_apic_interrupt(): out of IRR, then into ISR
		if
		:: !accelerated && memory[IRR] && !LOAD(TASK, ISR) ->
			d_step {
				EMPTY(TASK) ->
				eoi = 1;
				on_its_way = memory[IRR];
				memory[IRR] = 0
			}
			STORE(TASK, ISR, on_its_way);
			d_step {
				eoi = 0;
				on_its_way = 0
			}
progress_injected:	skip
#ifdef EAGER
		:: else
#elif defined(ANY_PACE)
		:: skip
#endif
		fi;
		STORE(TASK, MODE, 1);
		FENCE(TASK);
		in_srcu = false;
		// The guest.
		do
		:: accelerated && memory[IRR] && !memory[ISR] ->
			memory[ISR] = memory[IRR];
			memory[IRR] = 0;
progress_taken:		skip
		:: accelerated && memory[ISR] -> memory[ISR] = 0 // EOI
		:: !accelerated && memory[ISR] ->
			eoi = true;
			break
#ifdef EAGER
		:: accelerated == inhibits || (!accelerated && memory[IRR]) -> break
#elif defined(ANY_PACE)
		:: break
#endif
		od;
		// An exit. (Spin allows no jump to a step that begins with a condition.)
		skip;
		STORE(TASK, MODE, 0);
		d_step {
			EMPTY(TASK) ->
			in_srcu = true;
			srcu_number = !srcu_number
		}
		if
		:: eoi ->
			d_step {
				on_its_way = LOAD(TASK, ISR);
				eoi = false
			}
			STORE(TASK, ISR, 0);
			ack()
		:: else
		fi;
#ifdef BLOCKS
		if
		:: // kvm_vcpu_block(), without kvm->srcu
			d_step {
				EMPTY(TASK) ->
				in_srcu = false
			}
			STORE(TASK, BLOCKING, 1);
			FENCE(TASK);
			STORE(TASK, BLOCKING, 0);
			d_step {
				EMPTY(TASK) ->
				in_srcu = true;
				srcu_number = !srcu_number
			}
		:: skip
		fi
#endif
	od
}

// ---- vapic ----

#define WAITS 0 // accelerated or not
#define WAITS_INHIBITED 1
#define TAKEN 2
#define TAKEN_OR_ON_ITS_WAY 3

// waits_in(), by two loads in this order
inline look_at_bits()
{
	waits = waits || memory[IRR];
	waits = waits || memory[ISR]
}

// may_be_exiting(), by two loads
inline look_at_mode()
{
#ifdef BLOCKS
	outside = !memory[MODE];
	exiting = exiting || (outside && !memory[BLOCKING]);
	outside = false
#else
	exiting = exiting || !memory[MODE]
#endif
}

// last_tick()
inline look()
{
	waits = false;
#ifdef MODE_FIRST
	look_at_mode();
	look_at_bits();
#else
	look_at_bits();
	look_at_mode();
#ifndef LOOKS_ONCE
	look_at_bits();
#ifndef MODE_ONCE
	look_at_mode();
#endif
#endif
#endif
	if
	:: waits -> found = (memory[ACTIVE] -> WAITS : WAITS_INHIBITED)
#ifdef IGNORES_EXITS
	:: !waits -> found = TAKEN
#else
	:: !waits -> found = (exiting -> TAKEN_OR_ON_ITS_WAY : TAKEN)
#endif
	fi;
	d_step {
		waits = false;
		exiting = false
	}
}

// acknowledge(): irq_ack from 0 to 1, then pending. More is due: the thread goes on.
inline acknowledge(goes_on)
{
	d_step {
#ifndef ACKS_ANYWAY
		if
		:: memory[IRQ_ACK] == 0 ->
#else
		if
		:: true ->
#endif
			assert(owed && memory[IRR] != owed && memory[ISR] != owed && on_its_way != owed);
			owed = 0;
			memory[IRQ_ACK] = 1;
			acked = true
#ifndef ACKS_ANYWAY
		:: else
#endif
		fi
	}
	d_step {
		if
		:: acked && pending > 0 ->
			pending--;
			if
			:: goes_on && pending > 0 -> queued = true
			:: else
			fi
		:: else
		fi;
		acked = false
	}
}

// begin_inhibit()
inline begin_inhibit()
{
	d_step {
		if
		:: !inhibits ->
			inhibits = true;
			backlog = MOST + 1;
#ifdef CALMS
			calm_down_queued = true
#endif
		:: else
		fi
	}
}

inline take_lock()
{
	d_step {
		!lock ->
		lock = true
	}
}

// vapic_hook_pit_do_work(), look_for_last_tick()
active proctype thread()
{
	byte found;
	byte tick = 2;
	bit waits, outside, exiting, acked;

	do
	:: d_step {
		queued ->
		queued = false
	}
		if
		:: !memory[IRQ_ACK] ->
			take_lock();
			look();
			if
			:: found == WAITS ->
				begin_inhibit();
				behind = true
			:: found == WAITS_INHIBITED -> behind = true
			:: found == TAKEN ->
#ifndef NEVER_ACKS
				acknowledge(false);
#endif
				if
				:: pending > 1 -> begin_inhibit()
				:: else
				fi
			:: found == TAKEN_OR_ON_ITS_WAY ->
				same_tick = true;
				look_again_queued = true
			fi;
			found = 0;
			lock = false
		:: else
		fi;
#ifndef TICK_UNLOCKED
		take_lock();
#endif
		d_step {
			found = memory[IRQ_ACK];
			if
			:: found ->
				same_tick = false;
				same_tick_here = false
			:: else
			fi;
			memory[IRQ_ACK] = 0
		}
		if
		:: found ->
			// kvm_set_irq(): a new tick
			d_step {
				found = 0;
				assert(!memory[IRR] && !owed);
				tick = 3 - tick;
				owed = tick;
				memory[IRR] = tick
			}
		:: else
		fi;
#ifndef TICK_UNLOCKED
		lock = false
#endif
	od
}

// synchronize_srcu(): if the task is in a section, until it is in that one no more
inline wait_for_exits()
{
	d_step {
		found = (in_srcu -> 1 : 0);
		seen_number = srcu_number
	}
	!found || !in_srcu || srcu_number != seen_number;
	d_step {
		found = 0;
		seen_number = 0
	}
}

active proctype look_again()
{
	byte found;
	bit waits, outside, exiting, acked, seen_number;

	do
	:: d_step {
		look_again_queued && !lock ->
		look_again_queued = false;
		same_tick_here = same_tick
	}
#ifndef WAITS_NOT
		wait_for_exits();
#endif
#ifndef ANY_TICK
		take_lock();
#ifdef NOTED_LATE
		same_tick_here = true;
#endif
		if
		:: same_tick_here -> look()
		:: else
		fi;
		lock = false;
#else
		look();
#endif
		if
		:: found >= TAKEN ->
#if !defined(WAITS_NOT) && !defined(WAITS_ONCE)
			wait_for_exits();
#endif
			take_lock();
#ifndef ANY_TICK
			if
			:: same_tick_here -> acknowledge(true)
			:: else
			fi;
#else
			acknowledge(true);
#endif
			lock = false
		:: else
		fi;
		found = 0
	od
}

#ifdef CALMS
active proctype calm_down()
{
	do
	:: d_step {
		calm_down_queued ->
		calm_down_queued = false
	}
		take_lock();
		d_step {
			if
			:: inhibits && (behind || (pending > 1 && pending < backlog)) ->
				behind = false;
				backlog = pending;
				queued = true;
				calm_down_queued = true
			:: inhibits && !(behind || (pending > 1 && pending < backlog)) -> inhibits = false
			:: else
			fi
		}
		lock = false
	od
}
#endif
