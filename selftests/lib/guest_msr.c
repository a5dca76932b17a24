// SPDX-License-Identifier: GPL-2.0-only
/* Skips the RDMSR or WRMSR that caused #GP, and takes a note. */
#include "guest_msr.h"

#include "guest.h"

#define VECTOR_GP	13

static volatile bool refused[GUEST_MAX_CPUS];

static void on_gp(struct guest_frame *frame)
{
	const uint8_t *code = (const uint8_t *)frame->rip;

	if (code[0] != 0x0f || (code[1] != 0x30 && code[1] != 0x32))
		guest_fail("#GP (a: RIP)", __FILE__, __LINE__, frame->rip, 0);
	refused[guest_self()->index] = true;
	frame->rip += 2;
}

void guest_msr_begin(void)
{
	guest_set_handler(VECTOR_GP, on_gp);
}

bool msr_try_read(uint32_t msr, uint64_t *value)
{
	unsigned int me = guest_self()->index;

	refused[me] = false;
	*value = read_msr(msr);
	if (refused[me])
		*value = 0;
	return !refused[me];
}

bool msr_try_write(uint32_t msr, uint64_t value)
{
	unsigned int me = guest_self()->index;

	refused[me] = false;
	write_msr(msr, value);
	return !refused[me];
}
