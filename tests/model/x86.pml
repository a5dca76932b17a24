// SPDX-License-Identifier: GPL-2.0-only
//
// Memory as x86 has it (total store order). Spin alone would let each processor see each store at
// once. Here a plain store waits in its processor's buffer, first in, first out, and becomes visible
// to the others at any later time. The processor itself sees its newest store. A locked operation
// and a fence wait until the buffer is empty. Operations of hardware that have no buffer access
// memory[] as it is.
//
// A buffer holds DEPTH stores; one more waits for room. So an order of events for which more stores
// would have to be on their way at once is not explored.
//
// Who includes this says #define PROCESSORS, WORDS and DEPTH (1 to 4) before.

typedef Buffer {
	byte stores;
	byte where[DEPTH];
	byte what[DEPTH]
}

byte memory[WORDS];
Buffer buffer[PROCESSORS];

#define HOLDS(cpu, n, word) (buffer[cpu].stores > n && buffer[cpu].where[n] == word)

// What the processor reads. An expression.
#if DEPTH > 3
#define LOAD(cpu, word) (HOLDS(cpu, 3, word) -> buffer[cpu].what[3] : LOAD_3(cpu, word))
#else
#define LOAD(cpu, word) LOAD_3(cpu, word)
#endif
#if DEPTH > 2
#define LOAD_3(cpu, word) (HOLDS(cpu, 2, word) -> buffer[cpu].what[2] : LOAD_2(cpu, word))
#else
#define LOAD_3(cpu, word) LOAD_2(cpu, word)
#endif
#if DEPTH > 1
#define LOAD_2(cpu, word) (HOLDS(cpu, 1, word) -> buffer[cpu].what[1] : LOAD_1(cpu, word))
#else
#define LOAD_2(cpu, word) LOAD_1(cpu, word)
#endif
#define LOAD_1(cpu, word) (HOLDS(cpu, 0, word) -> buffer[cpu].what[0] : memory[word])

#define EMPTY(cpu) (buffer[cpu].stores == 0)

// Macros, not inlines: Spin cuts arguments of inlines that are long.
#define STORE(cpu, word, value) d_step { \
		buffer[cpu].stores < DEPTH -> \
		buffer[cpu].what[buffer[cpu].stores] = value; \
		buffer[cpu].where[buffer[cpu].stores] = word; \
		buffer[cpu].stores++ \
	}

// A locked operation that does not use the old value, which @value may contain as memory[word].
#define LOCKED_STORE(cpu, word, value) d_step { \
		EMPTY(cpu) -> \
		memory[word] = value \
	}

#define FENCE(cpu) EMPTY(cpu)

// The task has put the words as they are when somebody first looks at them.
bit ready;

// The oldest store of the buffer becomes visible. Process n is processor n's.
#define MOVE_UP(n) \
	buffer[_pid].where[n] = buffer[_pid].where[n + 1]; \
	buffer[_pid].what[n] = buffer[_pid].what[n + 1]

active [PROCESSORS] proctype store_buffer()
{
	do
	:: d_step {
		!EMPTY(_pid) ->
		memory[buffer[_pid].where[0]] = buffer[_pid].what[0];
		buffer[_pid].stores--;
#if DEPTH > 1
		MOVE_UP(0);
#endif
#if DEPTH > 2
		MOVE_UP(1);
#endif
#if DEPTH > 3
		MOVE_UP(2);
#endif
		buffer[_pid].where[DEPTH - 1] = 0;
		buffer[_pid].what[DEPTH - 1] = 0
	}
	od
}
