// SPDX-License-Identifier: GPL-2.0-only
//
// PIR, ON, SN, NV, NDST and RVI of one vCPU, with senders that never end: hardware (IPI
// virtualization, the IOMMU) and software. The vCPU's task does what it likes, for ever, in any
// order: it enters the guest, leaves it, sleeps, is preempted, moves to the other CPU, and turns
// acceleration off and on. Each CPU has a handler of the wakeup vector.
//
// The property: nothing comes to a halt. A sender goes on when the vCPU has taken its interrupt, so
// if the vCPU sleeps, or stays in the guest, without it, this is a state with no successor.
//
// Documentation/ordering-posted.rst is the argument that this checks. E1 to Y2 are its names.
//
// How it is run (tests/model/check reads this):
//   sound  HARDWARE
//   sound  SOFTWARE NEVER_AWAY                  not preempted or moved
//   sound  SOFTWARE NEVER_OFF                   acceleration not turned off
//   sound  HARDWARE SOFTWARE NEVER_AWAY NEVER_OFF    both at once
//   wrong  HARDWARE  LOAD_READS_PIR_FIRST       PIR is looked at before SN is cleared
//   wrong  HARDWARE  LOAD_IGNORES_PIR           SN is cleared, PIR is not looked at
//   wrong  HARDWARE  LOAD_PLAIN_STORE           the store takes back an ON
//   wrong  HARDWARE SOFTWARE NEVER_AWAY NEVER_OFF  LOAD_KEEPS_VECTOR    NV stays the wakeup vector
//   wrong  HARDWARE  LOAD_KEEPS_CPU             NDST stays the CPU that the vCPU left
//   wrong  HARDWARE  LOAD_SUPPRESSED            SN stays 1
//   wrong  HARDWARE  RESUME_READS_PIR_FIRST
//   wrong  HARDWARE  RESUME_IGNORES_PIR
//   wrong  HARDWARE SOFTWARE NEVER_AWAY NEVER_OFF  ARM_KEEPS_HOME       the next load takes it for loaded
//   wrong  HARDWARE  ARM_SILENTLY               ON is not looked at with NV=wakeup
//   wrong  HARDWARE  ARM_LOOKS_FIRST            ON is looked at before NV=wakeup
//   wrong  HARDWARE  ARM_PLAIN_STORE
//   wrong  HARDWARE  ARM_SUPPRESSED             SN stays 1
//   wrong  HARDWARE  ARM_BEFORE_WAITING         the CPU's handler does not know the vCPU yet
//   wrong  HARDWARE SOFTWARE NEVER_AWAY NEVER_OFF  SYNC_ON_LAST         PIR is taken before ON is cleared
//   wrong  SOFTWARE NEVER_AWAY  SYNC_SETTLES_PLAINLY       RVI is said to be known by a plain store
//   wrong  SOFTWARE NEVER_AWAY  SYNC_SETTLES_LAST          or after the look at IRR
//   wrong  SOFTWARE NEVER_AWAY  DELIVERS_SETTLED           RVI is not said to be unknown
//   wrong  SOFTWARE NEVER_AWAY  ENTRY_LOOKS_AT_ON_ALONE    and not whether RVI is known
//   wrong  HARDWARE  ENTRY_IGNORES_ON
//   wrong  SOFTWARE NEVER_OFF  ENTRY_IGNORES_ON
//   wrong  SOFTWARE NEVER_OFF  ENTER_WITHOUT_BARRIER      ON is looked at before mode is visible
//   wrong  SOFTWARE NEVER_OFF  ENTER_LOOKS_FIRST          the same, in the program's order
//   wrong  HARDWARE  ENTER_OPEN                 interrupts are off only behind the look
//   wrong  SOFTWARE NEVER_OFF  POST_ON_FIRST              ON before PIR
//   wrong  SOFTWARE NEVER_OFF  POST_PLAINLY               by plain stores: mode is read too early
//   wrong  SOFTWARE NEVER_OFF  POST_NOTIFIES_NOBODY
//   wrong  SOFTWARE NEVER_OFF  POST_WAKES_NOBODY
//   wrong  SOFTWARE NEVER_AWAY  INACTIVE_KICKS_NOBODY
//   wrong  HARDWARE  HANDLER_WAKES_NOBODY

// Processors: the vCPU's task, and who sends in software.
#define TASK 0
#define SENDER 1
#define PROCESSORS 2
#define DEPTH 2

// Words.
#define CONTROL 0
#define PIR 1
#define IRR 2
#define RVI_UNKNOWN 3
#define MODE 4	      // vcpu->mode: 1 is IN_GUEST_MODE
#define CPU 5	      // vcpu->cpu
#define ACCELERATED 6 // apic->apicv_active
#define REQUEST 7     // KVM_REQ_EVENT
#define WAITER 8      // vcpu->wait: the task waits in kvm_vcpu_block()
#define WORDS 9

#include "x86.pml"

// Bits of CONTROL.
#define ON 1
#define SN 2
#define WAKEUP 4 // NV is the wakeup vector, else the notification vector
#define NDST 8	 // the second CPU, else the first
#define CPU_OF(control) (control / NDST)

// Bits of PIR and IRR.
#define BY_HARDWARE 1
#define BY_SOFTWARE 2

#define NOWHERE 2

// The hardware of the CPU that the vCPU is on.
byte at;      // 1 + the CPU on which interrupts are off, or where it is in the guest, or 0
bit notified; // the notification vector has come
bit kicked;   // another interrupt of the host has come
bit rvi;      // RVI is not 0: it is the highest vector of the IRR, which was there
// Of each CPU: its wakeup vector is pending.
bit wakeup[2];
// 1 + the CPU among whose waiters the vCPU is, or 0. Under that CPU's lock.
byte waits_on;
bit woken;

// ---- What senders do to the vCPU's CPU and task ----

// An interrupt waits while they are off. One that comes outside has no effect.
inline notify(cpu)
{
	d_step {
		if
		:: at == 1 + cpu -> notified = true
		:: else
		fi
	}
}

inline interrupt()
{
	d_step {
		if
		:: at -> kicked = true
		:: else
		fi
	}
}

// kvm_vcpu_wake_up(). No effect on a task that has not said that it waits.
inline wake(cpu)
{
	d_step {
		EMPTY(cpu) ->
		if
		:: memory[WAITER] -> woken = true
		:: else
		fi
	}
}

// ---- The vCPU's task ----

// vapic_pi_is_posted(), and ON by a locked OR
inline say_on()
{
	if
	:: LOAD(TASK, PIR) -> LOCKED_STORE(TASK, CONTROL, memory[CONTROL] | ON)
	:: else
	fi
}

#define LOADED(control) ((control & ON) | (on * NDST))

// vapic_hook_vmx_vcpu_pi_load(): vapic_pi_vcpu_resume(), else load_elsewhere() with
// vapic_pi_vcpu_load()
inline load()
{
	if
	:: home == on ->
		if
		:: LOAD(TASK, CONTROL) & SN ->
#ifdef RESUME_READS_PIR_FIRST
			pending = LOAD(TASK, PIR);
			LOCKED_STORE(TASK, CONTROL, memory[CONTROL] & ~SN);
			if
			:: pending -> LOCKED_STORE(TASK, CONTROL, memory[CONTROL] | ON)
			:: else
			fi;
			pending = 0
#else
			LOCKED_STORE(TASK, CONTROL, memory[CONTROL] & ~SN); // L1
#ifndef RESUME_IGNORES_PIR
			say_on()					   // L2
#endif
#endif
		:: else
		fi
	:: else ->
		d_step {
			EMPTY(TASK) ->
			waits_on = 0 // vapic_vmx_stop_waiting()
		}
#if defined(LOAD_READS_PIR_FIRST)
		pending = LOAD(TASK, PIR);
		LOCKED_STORE(TASK, CONTROL, LOADED(memory[CONTROL]));
		if
		:: pending -> LOCKED_STORE(TASK, CONTROL, memory[CONTROL] | ON)
		:: else
		fi;
		pending = 0;
#elif defined(LOAD_IGNORES_PIR)
		LOCKED_STORE(TASK, CONTROL, LOADED(memory[CONTROL]));
#elif defined(LOAD_PLAIN_STORE)
		pending = LOAD(TASK, CONTROL);
		STORE(TASK, CONTROL, LOADED(pending));
		if
		:: pending & SN -> say_on()
		:: else
		fi;
		pending = 0;
#else
		// replace(): L1
		d_step {
			EMPTY(TASK) ->
			pending = memory[CONTROL];
#if defined(LOAD_KEEPS_VECTOR)
			memory[CONTROL] = LOADED(pending) | (pending & WAKEUP)
#elif defined(LOAD_KEEPS_CPU)
			memory[CONTROL] = pending & ON
#elif defined(LOAD_SUPPRESSED)
			memory[CONTROL] = LOADED(pending) | (pending & SN)
#else
			memory[CONTROL] = LOADED(pending)
#endif
		}
		if
		:: pending & SN -> say_on() // L2
		:: else
		fi;
		pending = 0;
#endif
		home = on
	fi
}

#define ARMED(control) ((control & (ON | NDST)) | WAKEUP)

// wait_here(), with vapic_pi_vcpu_arm(): the vCPU is loaded, so NDST is its CPU
inline wait_here()
{
#ifndef ARM_BEFORE_WAITING
	d_step {
		EMPTY(TASK) ->
		waits_on = 1 + on // B3
	}
#endif
#ifndef ARM_KEEPS_HOME
	home = NOWHERE;
#endif
#if defined(ARM_LOOKS_FIRST)
	pending = LOAD(TASK, CONTROL);
	LOCKED_STORE(TASK, CONTROL, ARMED(memory[CONTROL]));
#elif defined(ARM_PLAIN_STORE)
	pending = LOAD(TASK, CONTROL);
	STORE(TASK, CONTROL, ARMED(pending));
#else
	// B4
	d_step {
		EMPTY(TASK) ->
		pending = memory[CONTROL];
#ifdef ARM_SUPPRESSED
		memory[CONTROL] = ARMED(pending) | SN
#else
		memory[CONTROL] = ARMED(pending)
#endif
	}
#endif
#ifdef ARM_BEFORE_WAITING
	waits_on = 1 + on;
#endif
#ifndef ARM_SILENTLY
	if
	:: pending & ON -> wakeup[on] = true // to its own CPU
	:: else
	fi;
#endif
	pending = 0
}

// vapic_hook_vmx_vcpu_pi_put() of a task that is preempted or not, and load on any CPU
inline put_and_load()
{
	if
	:: LOCKED_STORE(TASK, CONTROL, memory[CONTROL] | SN) // vapic_pi_vcpu_suppress()
	:: skip
	fi;
	move();
	load()
}

// The scheduler's locks are barriers.
inline move()
{
	if
	:: on == 0 ->
		FENCE(TASK);
		on = 1;
		STORE(TASK, CPU, on)
	:: on == 1 ->
		FENCE(TASK);
		on = 0;
		STORE(TASK, CPU, on)
	:: skip
	fi
}

#if defined(ENTRY_LOOKS_AT_ON_ALONE)
#define SETTLED (!(LOAD(TASK, CONTROL) & ON))
#elif defined(ENTRY_IGNORES_ON)
#define SETTLED (!LOAD(TASK, RVI_UNKNOWN))
#else
// vapic_pi_vcpu_settled(). In one step: only what the task does changes the flag to false.
#define SETTLED (!(LOAD(TASK, CONTROL) & ON) && !LOAD(TASK, RVI_UNKNOWN))
#endif

// vapic_vmx_sync_pir_to_irr(), sync(), vapic_pi_vcpu_sync(). Whether an interrupt is pending.
inline sync()
{
	if
	:: accelerated && SETTLED -> pending = rvi
	:: else ->
		if
		:: !accelerated -> STORE(TASK, RVI_UNKNOWN, 1)
#if defined(SYNC_SETTLES_PLAINLY)
		:: accelerated && LOAD(TASK, RVI_UNKNOWN) -> STORE(TASK, RVI_UNKNOWN, 0)
		:: accelerated && !LOAD(TASK, RVI_UNKNOWN)
#elif defined(SYNC_SETTLES_LAST)
		:: accelerated
#else
		:: accelerated && LOAD(TASK, RVI_UNKNOWN) -> LOCKED_STORE(TASK, RVI_UNKNOWN, 0)
		:: accelerated && !LOAD(TASK, RVI_UNKNOWN)
#endif
		fi;
		if
		:: LOAD(TASK, CONTROL) & ON ->
#ifndef SYNC_ON_LAST
			LOCKED_STORE(TASK, CONTROL, memory[CONTROL] & ~ON); // Y1
#endif
			// Y2. Between the exchange of PIR and the change of IRR, which are one step here,
			// only the task looks at what it has taken.
			if
			:: LOAD(TASK, PIR) ->
				d_step {
					EMPTY(TASK) ->
					memory[IRR] = memory[IRR] | memory[PIR];
					memory[PIR] = 0
				}
				if
				:: !accelerated -> LOCKED_STORE(TASK, REQUEST, 1)
				:: else
				fi
			:: else
			fi;
#ifdef SYNC_ON_LAST
			LOCKED_STORE(TASK, CONTROL, memory[CONTROL] & ~ON)
#else
			skip
#endif
		:: else
		fi;
		pending = (LOAD(TASK, IRR) != 0);
#ifdef SYNC_SETTLES_LAST
		if
		:: accelerated -> LOCKED_STORE(TASK, RVI_UNKNOWN, 0)
		:: else
		fi;
#endif
		if
		:: accelerated -> rvi = pending // set_rvi()
		:: else
		fi
	fi
}

// KVM's own injection: the handlers run.
inline inject()
{
	memory[IRR] = 0
}

// Virtual-interrupt delivery, of all that is in IRR: RVI begins it.
inline deliver()
{
	d_step {
		if
		:: rvi ->
			memory[IRR] = 0;
			rvi = false
		:: else
		fi
	}
}

inline interrupts_on()
{
	d_step {
		at = 0;
		notified = false;
		kicked = false
	}
}

// vcpu_enter_guest(), from its requests to VM entry
inline enter()
{
	do
	:: d_step {
		if
		:: EMPTY(TASK) && memory[REQUEST] ->
			memory[REQUEST] = 0;
			pending = 1
		:: !memory[REQUEST] -> pending = 0
		fi
	}
		if
		:: pending && !accelerated -> inject()
		:: else
		fi;
		pending = 0;
#ifndef ENTER_OPEN
		at = 1 + on; // E1
#endif
#ifdef ENTER_LOOKS_FIRST
		sync();
		STORE(TASK, MODE, 1);
		FENCE(TASK);
#else
		STORE(TASK, MODE, 1); // E2
#ifndef ENTER_WITHOUT_BARRIER
		FENCE(TASK);
#endif
		sync(); // E3
#endif
		pending = 0;
#ifdef ENTER_OPEN
		at = 1 + on;
#endif
		if
		:: memory[REQUEST] ->
			STORE(TASK, MODE, 0);
			interrupts_on()
		:: else -> break
		fi
	od;
	// VM entry
	if
	:: accelerated -> deliver()
	:: else
	fi
}

// kvm_vcpu_block(): the task says that it waits, then looks, then sleeps
inline halt()
{
	STORE(TASK, WAITER, 1); // B1
	do
	:: LOCKED_STORE(TASK, CONTROL, memory[CONTROL]); // set_current_state(), a full barrier
		woken = false;
		sync(); // B2
		if
		:: pending -> break
		:: else
		fi;
#ifndef NEVER_AWAY
		// Preempted before it sleeps, as a task that is to run or as one that is not.
		if
		:: put_and_load()
		:: skip
		fi;
#endif
		wait_here();
		d_step {
			woken ->
			woken = false
		}
#ifndef NEVER_AWAY
		move();
#endif
		load()
	od;
	pending = 0;
	woken = false;
	STORE(TASK, WAITER, 0)
}

// __kvm_vcpu_update_apicv(), with vapic_svm_refresh_apicv_exec_ctrl()
inline toggle()
{
	// KVM's lock of inhibits is a barrier.
	d_step {
		EMPTY(TASK) ->
		accelerated = !accelerated
	}
	STORE(TASK, ACCELERATED, accelerated);
	STORE(TASK, RVI_UNKNOWN, 1); // vapic_pi_vcpu_unsettle()
	if
	:: !accelerated ->
		// KVM requests KVM_REQ_EVENT, and its look at the IRR begins with sync.
		sync();
		pending = 0;
		inject()
	:: else
	fi
}

active proctype task()
{
	byte on, pending;
	byte home = NOWHERE;
	bit accelerated = true;
	bit stays;

	// As RESET and vapic_pi_vcpu_init() leave it.
	d_step {
		memory[CONTROL] = SN;
		memory[RVI_UNKNOWN] = 1;
		memory[ACCELERATED] = 1;
		ready = true
	}
	load();
	do
	:: enter();
		if
		:: stays = true
		:: stays = false
		fi;
		do
		:: notified && accelerated ->
			// Notification processing
			d_step {
				notified = false;
				memory[CONTROL] = memory[CONTROL] & ~ON
			}
			d_step {
				if
				:: memory[PIR] ->
					memory[IRR] = memory[IRR] | memory[PIR];
					memory[PIR] = 0;
					rvi = true
				:: else
				fi;
				if
				:: rvi ->
					memory[IRR] = 0;
					rvi = false
				:: else
				fi
			}
		:: kicked || !stays || (notified && !accelerated) -> break
		od;
		stays = false;
		STORE(TASK, MODE, 0);
		interrupts_on()
	:: halt()
#ifndef NEVER_AWAY
	:: put_and_load()
#endif
#ifndef NEVER_OFF
	:: toggle()
#endif
	od
}

// vapic_vmx_wakeup_handler() of CPU _pid - PROCESSORS - 1. One step: it holds the lock.
#define MY_CPU (_pid - PROCESSORS - 1)

active [2] proctype handler()
{
	do
	:: d_step {
		wakeup[MY_CPU] ->
		wakeup[MY_CPU] = false
	}
#ifndef HANDLER_WAKES_NOBODY
		d_step {
			if
			:: waits_on == 1 + MY_CPU && (memory[CONTROL] & ON) ->
				waits_on = 0;
				if
				:: memory[WAITER] -> woken = true
				:: else
				fi
			:: else
			fi
		}
#endif
	od
}

// ---- Senders ----

#define TAKEN(bits) (!((memory[PIR] | memory[IRR]) & bits))

#ifdef HARDWARE
active proctype hardware()
{
	byte control;

	ready;
	do
	:: memory[PIR] = memory[PIR] | BY_HARDWARE;
		d_step {
			if
			:: !(memory[CONTROL] & (ON | SN)) ->
				memory[CONTROL] = memory[CONTROL] | ON;
				control = memory[CONTROL]
			:: else -> control = 0
			fi
		}
		if
		:: control & WAKEUP -> wakeup[CPU_OF(control)] = true
		:: control && !(control & WAKEUP) -> notify(CPU_OF(control))
		:: !control
		fi;
		control = 0;
		TAKEN(BY_HARDWARE)
	od
}
#endif

#ifdef SOFTWARE
// vapic_vmx_deliver_interrupt()
active proctype software()
{
	byte seen;

	ready;
	do
	::
		if
#ifndef NEVER_OFF
		:: !LOAD(SENDER, ACCELERATED) ->
			// deliver_inactive()
			LOCKED_STORE(SENDER, IRR, memory[IRR] | BY_SOFTWARE);
#ifndef DELIVERS_SETTLED
			STORE(SENDER, RVI_UNKNOWN, 1);
#endif
#ifndef INACTIVE_KICKS_NOBODY
			LOCKED_STORE(SENDER, REQUEST, 1);
			wake(SENDER);
			if
			:: LOAD(SENDER, MODE) -> interrupt()
			:: else
			fi
#else
			skip
#endif
#endif
		:: else ->
			// vapic_pi_post()
#if defined(POST_ON_FIRST)
			d_step {
				seen = memory[CONTROL] & ON;
				memory[CONTROL] = memory[CONTROL] | ON
			}
			LOCKED_STORE(SENDER, PIR, memory[PIR] | BY_SOFTWARE);
#elif defined(POST_PLAINLY)
			STORE(SENDER, PIR, LOAD(SENDER, PIR) | BY_SOFTWARE);
			seen = LOAD(SENDER, CONTROL) & ON;
			STORE(SENDER, CONTROL, LOAD(SENDER, CONTROL) | ON);
#else
			LOCKED_STORE(SENDER, PIR, memory[PIR] | BY_SOFTWARE);
			d_step {
				seen = memory[CONTROL] & ON;
				memory[CONTROL] = memory[CONTROL] | ON
			}
#endif
			// notify()
			if
			:: seen
			:: else ->
				if
				:: LOAD(SENDER, MODE) ->
#ifndef POST_NOTIFIES_NOBODY
					seen = LOAD(SENDER, CPU);
					notify(seen)
#else
					skip
#endif
				:: else ->
					if
					:: LOAD(SENDER, WAITER) ->
#ifndef POST_WAKES_NOBODY
						wake(SENDER)
#else
						skip
#endif
					:: else
					fi
				fi
			fi
		fi;
		seen = 0;
		EMPTY(SENDER) && TAKEN(BY_SOFTWARE)
	od
}
#endif
