// SPDX-License-Identifier: GPL-2.0-only
//
// IRR, IsRunning and the attention byte of one vCPU, with senders that never end: IPI hardware with
// the handler of its exit, and software. The vCPU's task does what it likes, for ever, in any order:
// it enters the guest, leaves it, sleeps, is preempted, and turns acceleration off and on.
//
// The property: nothing comes to a halt. A sender goes on when the vCPU has taken its interrupt, so
// if the vCPU sleeps, or stays in the guest, without it, this is a state with no successor.
//
// Documentation/ordering.rst is the argument that this checks. S1 to T3 are its names.
//
// How it is run (tests/model/check reads this):
//   sound  IPI
//   sound  SOFTWARE
//   sound  IPI KVM_SLEEP                        KVM's own wake-up, which may come too early
//   sound  SOFTWARE KVM_SLEEP
//   sound  IPI FAR                              no entry can name the second CPU
//   sound  SOFTWARE FAR
//   sound  IPI HIDE_RUNNING NO_IPI_BARRIER      erratum 1235, and what is done about it
//   sound  IPI SOFTWARE NEVER_AWAY NEVER_OFF    both at once; neither preempted nor turned off
//   wrong  IPI  BLOCK_RUNNING_FIRST             IsRunning=0 before asleep
//   wrong  IPI  BLOCK_PLAIN_STORE               IsRunning=0 without a barrier
//   wrong  SOFTWARE  BLOCK_PLAIN_STORE
//   wrong  IPI  BLOCK_LOOKS_FIRST               IsRunning=0 after the look at IRR
//   wrong  IPI  BLOCK_SILENTLY                  without asleep
//   wrong  SOFTWARE  BLOCK_SILENTLY
//   wrong  IPI  BLOCK_LEAVES_RUNNING            IsRunning stays 1
//   wrong  IPI  LOAD_OF_SLEEPER                 a sleeper that is preempted gets IsRunning=1
//   wrong  IPI  LOAD_KEEPS_CPU                  the entry names the CPU that the vCPU left
//   wrong  IPI  UNBLOCK_LOADS_FIRST             the load finds it asleep: IsRunning stays 0
//   wrong  IPI  DEACTIVATE_RUNNING_FIRST        IsRunning=0 before inactive
//   wrong  IPI  DEACTIVATE_PLAIN_STORE          IsRunning=0 without a barrier
//   wrong  IPI  DEACTIVATE_SILENTLY             without inactive
//   wrong  IPI  DEACTIVATE_WITHOUT_REQUEST      KVM does not look at IRR
//   wrong  IPI  ACTIVATE_WITHOUT_LOAD           IsRunning stays 0: no doorbell
//   wrong  IPI  ENTER_WITHOUT_BARRIER           VMRUN looks before IsRunning and mode are visible
//   wrong  SOFTWARE  ENTER_WITHOUT_BARRIER
//   wrong  IPI  NO_IPI_BARRIER                  erratum 1235, with IsRunning in the table
//   wrong  IPI HIDE_RUNNING  HIDDEN_NOT_RUNG    the exit does not ring who may run unseen
//   wrong  IPI  EXIT_WAKES_NOBODY
//   wrong  IPI  EXIT_KICKS_NOBODY
//   wrong  SOFTWARE  SENDER_PLAIN_STORE         IRR without a barrier
//   wrong  SOFTWARE  SENDER_LOOKS_FIRST         mode and asleep before IRR
//   wrong  SOFTWARE  SENDER_WAKES_NOBODY
//   wrong  IPI FAR  FAR_SILENTLY                the attention byte does not say far
//   wrong  SOFTWARE FAR  FAR_KEEPS_CPU          the entry names the last CPU
//   wrong  IPI FAR  FAR_NOT_KICKED

// Processors: the vCPU's task, who sends in software, and a vCPU that sends an IPI.
#define TASK 0
#define SENDER 1
#define OTHER_VCPU 2
#define PROCESSORS 3
#define DEPTH 2

// Words.
#define ENTRY 0	      // in the physical APIC ID table
#define ATTENTION 1
#define MODE 2	      // vcpu->mode: 1 is IN_GUEST_MODE
#define ACCELERATED 3 // apic->apicv_active
#define IRR 4
#define REQUEST 5     // KVM_REQ_EVENT
#define WAITER 6      // the task waits in kvm_vcpu_block()
#define WORDS 7

#include "x86.pml"

// Bits of ENTRY. The rest is the CPU, 0 or 1.
#define RUNNING 4
#define NO_CPU 3
#define CPU_OF(entry) (entry & 3)

// Bits of ATTENTION.
#define ASLEEP 1
#define INACTIVE 2
#define FAR_AWAY 4

// Bits of IRR.
#define BY_IPI 1
#define BY_SOFTWARE 2

#ifdef HIDE_RUNNING
#define ON(cpu) (cpu)
#else
#define ON(cpu) (RUNNING | cpu)
#endif

// The vCPU may run although IsRunning does not say so.
#if defined(HIDE_RUNNING) && !defined(HIDDEN_NOT_RUNG)
#define UNSEEN true
#elif defined(FAR)
#define UNSEEN (seen & FAR_AWAY)
#endif

// The hardware of the CPU that the vCPU is on.
byte guest;  // 1 + the CPU on which it is in the guest, or 0
bit closed;  // host interrupts are off, from before vcpu->mode is set until the exit
bit rung;    // a doorbell has come
bit kicked;  // an interrupt of the host has come
bit woken;   // what the task waits for in its sleep

// ---- What senders do to the vCPU's CPU and task ----

// A doorbell has no effect outside of the guest.
inline ring(cpu)
{
	d_step {
		if
		:: guest == 1 + cpu -> rung = true
		:: else
		fi
	}
}

// An interrupt of the host waits while they are off, and then causes an exit.
inline interrupt()
{
	d_step {
		if
		:: closed -> kicked = true
		:: else
		fi
	}
}

// kvm_vcpu_wake_up(). With KVM_SLEEP it is as in KVM: lost if the task has not yet said that it
// waits. Without, it is what avic.h asks of KVM.
inline wake(cpu)
{
#ifdef KVM_SLEEP
	d_step {
		EMPTY(cpu) ->
		if
		:: LOAD(cpu, WAITER) -> woken = true
		:: else
		fi
	}
#else
	woken = true
#endif
}

// vapic_kvm_kick()
inline kick(cpu)
{
	wake(cpu);
	if
	:: LOAD(cpu, MODE) -> interrupt()
	:: else
	fi
}

inline request_and_kick(cpu)
{
	LOCKED_STORE(cpu, REQUEST, 1);
	kick(cpu)
}

// ring() in avic/run_glue.c, with vapic_avic_vcpu_host_id()
inline tell(cpu)
{
	entry = LOAD(cpu, ENTRY);
#ifdef FAR
	if
	:: CPU_OF(entry) == NO_CPU ->
#ifndef FAR_NOT_KICKED
		kick(cpu)
#else
		skip
#endif
	:: else -> ring(CPU_OF(entry))
	fi
#else
	ring(CPU_OF(entry))
#endif
}

// ---- The vCPU's task: avic/residency.cpp ----

#define SET_ATTENTION(value) STORE(TASK, ATTENTION, value)

#define LEFT (LOAD(TASK, ENTRY) & ~RUNNING)

// run_nowhere()
inline run_nowhere()
{
	LOCKED_STORE(TASK, ENTRY, LEFT)
}

// The entry on the CPU that the vCPU is on: run_on()
#ifdef LOAD_KEEPS_CPU
#define HERE ON(0)
#else
#define HERE ON(on)
#endif

// vapic_avic_vcpu_load(), with load_rarely(). Of two CPUs, the second may be one that no entry can
// name: run_far().
inline load()
{
	if
	:: LOAD(TASK, ATTENTION) & (ASLEEP | INACTIVE)
	:: else ->
#ifdef FAR
		if
		:: on == 1 ->
#ifndef FAR_SILENTLY
			SET_ATTENTION(FAR_AWAY);
#endif
#ifndef FAR_KEEPS_CPU
			STORE(TASK, ENTRY, NO_CPU)
#else
			STORE(TASK, ENTRY, LEFT)
#endif
		:: else ->
			SET_ATTENTION(0);
			STORE(TASK, ENTRY, HERE)
		fi
#else
		STORE(TASK, ENTRY, HERE)
#endif
	fi
}

inline move()
{
	if
	:: on = 0
	:: on = 1
	fi
}

// vapic_avic_vcpu_put(), and load on any CPU
inline preempt()
{
	STORE(TASK, ENTRY, LEFT);
	move();
	load()
}

// The same in its sleep. Load finds it asleep and does nothing.
inline preempt_asleep()
{
	STORE(TASK, ENTRY, LEFT);
	move();
#ifdef LOAD_OF_SLEEPER
	STORE(TASK, ENTRY, HERE)
#else
	assert(LOAD(TASK, ATTENTION) & ASLEEP)
#endif
}

// vapic_avic_vcpu_block()
inline block()
{
#if defined(BLOCK_RUNNING_FIRST)
	run_nowhere();
	SET_ATTENTION(LOAD(TASK, ATTENTION) | ASLEEP)
#elif defined(BLOCK_PLAIN_STORE)
	SET_ATTENTION(LOAD(TASK, ATTENTION) | ASLEEP);
	STORE(TASK, ENTRY, LEFT)
#elif defined(BLOCK_SILENTLY)
	run_nowhere()
#elif defined(BLOCK_LEAVES_RUNNING)
	SET_ATTENTION(LOAD(TASK, ATTENTION) | ASLEEP);
	FENCE(TASK)
#else
	SET_ATTENTION(LOAD(TASK, ATTENTION) | ASLEEP); // T1
	run_nowhere()				       // T2
#endif
}

// vapic_avic_vcpu_unblock()
inline unblock()
{
#ifdef UNBLOCK_LOADS_FIRST
	load();
	SET_ATTENTION(LOAD(TASK, ATTENTION) & ~ASLEEP)
#else
	SET_ATTENTION(LOAD(TASK, ATTENTION) & ~ASLEEP); // E1
	load()						// E2
#endif
}

// kvm_vcpu_halt(): KVM looks at IRR before it sleeps, and again when it has been woken.
inline halt()
{
	woken = false;
#ifdef BLOCK_LOOKS_FIRST
	pending = LOAD(TASK, IRR);
#endif
	block();
#ifdef KVM_SLEEP
	STORE(TASK, WAITER, 1);
	FENCE(TASK);
#endif
#ifndef NEVER_AWAY
	// Preempted while it blocks.
	if
	:: preempt_asleep()
	:: skip
	fi;
#endif
#ifndef BLOCK_LOOKS_FIRST
	pending = LOAD(TASK, IRR); // T3
#endif
	do
	:: pending -> break
	:: else ->
		d_step {
			woken ->
			woken = false
		}
		pending = LOAD(TASK, IRR)
	od;
	pending = 0;
#ifdef KVM_SLEEP
	STORE(TASK, WAITER, 0);
#endif
	unblock()
}

// __kvm_vcpu_update_apicv(), with vapic_svm_refresh_apicv_exec_ctrl()
inline toggle()
{
	accelerated = !accelerated;
	STORE(TASK, ACCELERATED, accelerated);
	if
	:: accelerated ->
		SET_ATTENTION(LOAD(TASK, ATTENTION) & ~INACTIVE);
#ifndef ACTIVATE_WITHOUT_LOAD
		load()
#endif
	:: else ->
#if defined(DEACTIVATE_RUNNING_FIRST)
		run_nowhere();
		SET_ATTENTION(LOAD(TASK, ATTENTION) | INACTIVE);
#elif defined(DEACTIVATE_PLAIN_STORE)
		SET_ATTENTION(LOAD(TASK, ATTENTION) | INACTIVE);
		STORE(TASK, ENTRY, LEFT);
#elif defined(DEACTIVATE_SILENTLY)
		run_nowhere();
#else
		SET_ATTENTION(LOAD(TASK, ATTENTION) | INACTIVE);
		run_nowhere();
#endif
#ifndef DEACTIVATE_WITHOUT_REQUEST
		// KVM_REQ_EVENT, of the task's own; the look at IRR comes at once or later.
		inject()
#else
		skip
#endif
	fi
}

// KVM's own injection: the handlers run.
inline inject()
{
	memory[IRR] = 0
}

// vcpu_enter_guest(), from its requests to VMRUN
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
		closed = true;
		STORE(TASK, MODE, 1);
#ifndef ENTER_WITHOUT_BARRIER
		FENCE(TASK);
#endif
		if
		:: memory[REQUEST] ->
			STORE(TASK, MODE, 0);
			d_step {
				closed = false;
				kicked = false
			}
		:: else -> break
		fi
	od;
	guest = 1 + on;
	// E3
	if
	:: accelerated -> memory[IRR] = 0
	:: else
	fi
}

// What arrived and had no effect yet has none any more.
inline leave()
{
	d_step {
		guest = 0;
		closed = false;
		rung = false;
		kicked = false
	}
	STORE(TASK, MODE, 0)
}

active proctype task()
{
	byte on, pending;
	bit accelerated = true;
	bit stays;

	d_step {
		memory[ACCELERATED] = 1;
		ready = true
	}
	move();
	load();
	do
	:: enter();
		if
		:: stays = true
		:: stays = false
		fi;
		do
		:: d_step {
			rung ->
			rung = false;
			if
			:: accelerated -> memory[IRR] = 0
			:: else
			fi
		}
		:: kicked || !stays -> break
		od;
		stays = false;
		leave()
	:: halt()
#ifndef NEVER_AWAY
	:: preempt()
#endif
#ifndef NEVER_OFF
	:: toggle()
#endif
	od
}

// ---- Senders ----

#ifdef IPI
// IPI hardware; then the exit, with vapic_avic_vcpu_ipi() and vapic_host_avic_ipi_target()
active proctype ipi()
{
	byte entry, seen;

	ready;
	do
	:: // S1
#ifdef NO_IPI_BARRIER
		STORE(OTHER_VCPU, IRR, LOAD(OTHER_VCPU, IRR) | BY_IPI);
#else
		memory[IRR] = memory[IRR] | BY_IPI;
#endif
		entry = memory[ENTRY]; // S2
		if
		:: entry & RUNNING -> ring(CPU_OF(entry))
		:: else ->
			FENCE(OTHER_VCPU); // the exit
			seen = memory[ATTENTION];
			if
#ifndef NEVER_OFF
			:: seen & INACTIVE ->
#ifndef EXIT_KICKS_NOBODY
				request_and_kick(OTHER_VCPU)
#else
				skip
#endif
#endif
			:: !(seen & INACTIVE) && (seen & ASLEEP) ->
#ifndef EXIT_WAKES_NOBODY
				wake(OTHER_VCPU)
#else
				skip
#endif
#ifdef UNSEEN
			:: !(seen & (INACTIVE | ASLEEP)) && UNSEEN ->
				if
				:: memory[MODE] -> tell(OTHER_VCPU)
				:: else
				fi
#endif
#if !defined(HIDE_RUNNING) || defined(HIDDEN_NOT_RUNG)
			:: seen == 0
#endif
			fi
		fi;
		d_step {
			entry = 0;
			seen = 0
		}
		EMPTY(OTHER_VCPU) && !(memory[IRR] & BY_IPI)
	od
}
#endif

#ifdef SOFTWARE
// vapic_svm_deliver_interrupt(), announce()
active proctype software()
{
	byte entry, seen;

	ready;
	do
	::
#if defined(SENDER_LOOKS_FIRST)
		seen = LOAD(SENDER, ATTENTION);
		LOCKED_STORE(SENDER, IRR, memory[IRR] | BY_SOFTWARE);
#elif defined(SENDER_PLAIN_STORE)
		STORE(SENDER, IRR, LOAD(SENDER, IRR) | BY_SOFTWARE);
#else
		// S1: vapic_lapic_set_irr()
		LOCKED_STORE(SENDER, IRR, memory[IRR] | BY_SOFTWARE);
#endif
		entry = LOAD(SENDER, MODE); // S2
		if
#ifndef NEVER_OFF
		:: !LOAD(SENDER, ACCELERATED) -> request_and_kick(SENDER)
#endif
		:: else ->
			if
			:: entry -> tell(SENDER)
			:: else ->
#ifndef SENDER_LOOKS_FIRST
				seen = LOAD(SENDER, ATTENTION);
#endif
				if
				:: seen & ASLEEP ->
#ifndef SENDER_WAKES_NOBODY
					wake(SENDER)
#else
					skip
#endif
				:: else
				fi
			fi
		fi;
		d_step {
			entry = 0;
			seen = 0
		}
		EMPTY(SENDER) && !(memory[IRR] & BY_SOFTWARE)
	od
}
#endif
