/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Turns of the emulated CPUs. They all run on one thread, a turn each, so a run is
 * repeatable, and the length of the turns is what decides how they interleave.
 *
 * A turn lasts `quantum` instructions (of the configuration file's cpu line), and
 * always whole traces, of up to 32 instructions. With VAPIC_SEED=N in the
 * environment each turn has a length of its own, from 1 to twice the quantum
 * less 1, pseudo-random and the same for every run with that N. N is 32 bits, and
 * 0 is as good as none. It seeds RDRAND as well, which repeats in any case. A guest
 * can change the seed of the turns: see vmx-stats.h.
 *
 * Time advances once per round, by what the CPUs that did not sleep executed on
 * average. When all sleep it goes to the next timer at once.
 */

#include "bochs.h"
#include "gui/siminterface.h"
#include "cpu.h"
#include "pc_system.h"
#include "smp-loop.h"

#define LOG_THIS

/* All of it survives the longjmp that ends an instruction early. */
static struct {
  Bit32u quantum;
  Bit64u random;    /* zero: turns of equal length */
  unsigned cpu;
  Bit64u start;     /* instruction count at the start of this turn */
  Bit64u length;    /* of this turn */
  Bit64u executed;  /* in this round, and what rounding has left */
  unsigned running; /* CPUs that executed something in this round */
} turn;

static Bit64u turn_length(void)
{
  if (! turn.random)
    return turn.quantum;

  /* Marsaglia's xorshift with shifts 13, 7 and 17. */
  turn.random ^= turn.random << 13;
  turn.random ^= turn.random >> 7;
  turn.random ^= turn.random << 17;
  return 1 + (turn.random >> 32) % (2 * turn.quantum - 1);
}

static void end_of_round(void)
{
  if (turn.running == 1) {
    /* Most often. Spare the divisions. */
    BX_TICKN((Bit32u) turn.executed);
    turn.executed = 0;
    turn.running = 0;
  } else if (turn.running) {
    BX_TICKN((Bit32u) (turn.executed / turn.running));
    turn.executed %= turn.running;
    turn.running = 0;
  } else {
    BX_TICKN(bx_pc_system.getNumCpuTicksLeftNextEvent());
  }
}

static void next_turn(void)
{
  Bit64u n = BX_CPU(turn.cpu)->get_icount() - turn.start;

  turn.executed += n;
  turn.running += n != 0;
  if (++turn.cpu == BX_SMP_PROCESSORS) {
    turn.cpu = 0;
    end_of_round();
  }
  turn.start = BX_CPU(turn.cpu)->get_icount();
  turn.length = turn_length();
  BX_CPU(turn.cpu)->icount_last_sync = turn.start;
}

/* With no event at all there is nothing to wake it, and no need to ask it. */
static bool sleeps(const BX_CPU_C *cpu)
{
  return cpu->activity_state != BX_CPU_C::BX_ACTIVITY_STATE_ACTIVE && ! cpu->pending_event &&
    ! BX_HRQ;
}

unsigned smp_seed(void)
{
  const char *text = getenv("VAPIC_SEED");

  return text ? strtoul(text, NULL, 0) : 0;
}

void smp_reseed(unsigned seed)
{
  /* Neighbouring seeds must not begin alike. */
  turn.random = seed * BX_CONST64(0x9e3779b97f4a7c15);
}

void smp_loop(unsigned quantum)
{
  turn.quantum = quantum;
  smp_reseed(smp_seed());
  turn.start = BX_CPU(0)->get_icount();
  turn.length = turn_length();

  /*
   * An exception, a VM exit or a delivered interrupt: the instruction is over. What
   * comes next, an interrupt that exits for one, must find its successor's address.
   */
  if (setjmp(BX_CPU_C::jmp_buf_env)) {
    BX_CPU_C *cpu = BX_CPU(turn.cpu);

    cpu->icount++;
    cpu->prev_rip = cpu->get_instruction_pointer();
    cpu->speculative_rsp = false;
  }

  while (! bx_pc_system.kill_bochs_request) {
    BX_CPU_C *cpu = BX_CPU(turn.cpu);
    Bit64u before = cpu->get_icount();

    if (before - turn.start < turn.length && ! sleeps(cpu)) {
      cpu->cpu_run_trace();
      if (cpu->get_icount() != before)
        continue;
    }
    /* The turn is over, or the CPU sleeps. */
    next_turn();
  }
}
