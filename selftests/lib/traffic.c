// SPDX-License-Identifier: GPL-2.0-only
/* The guest code of the traffic, and the host's accounting. */
#include "traffic.h"

#include <stddef.h>

#include "device.h"
#include "guest_apic.h"
#include "roles.h"
#include "run.h"

#define STOP_VECTOR	0xee

static struct channel {
	/* Written by the sender, before it sends. */
	volatile uint32_t sent;
	/* Written by the target, in its handler. */
	volatile uint32_t handled;
} channels[TRAFFIC_MAX][TRAFFIC_MAX];

static volatile unsigned int vcpu_count, present;
static volatile bool quiet, stop;
/* The vCPU may be about to send although traffic has become quiet. */
static volatile bool sending[TRAFFIC_MAX];
volatile bool traffic_alone;
volatile uint32_t traffic_to_x2apic;
void (*volatile traffic_between)(void);

/* The host's view of a channel, to detect one that makes no progress. */
static struct { uint32_t handled; uint64_t since; } watch[TRAFFIC_MAX][TRAFFIC_MAX];

static void handler(struct guest_frame *frame)
{
	struct guest_cpu *self = guest_self();
	struct channel *channel = &channels[frame->vector - TRAFFIC_VECTOR][self->index];

	if (channel->handled == channel->sent)
		guest_fail("an IPI came that nobody sent (a: sender, b: number)",
			   __FILE__, __LINE__, frame->vector - TRAFFIC_VECTOR,
			   channel->handled);
	self->irqs[frame->vector]++;
	/* EOI first: the sender may send the next IPI as soon as it sees this one handled. */
	apic_eoi();
	full_barrier();
	channel->handled++;
}

/* A random set of the other vCPUs to which this vCPU has free channels. */
static unsigned int pick_targets(unsigned int me)
{
	unsigned int set = 0, single;

	for (unsigned int t = 0; t < vcpu_count; t++)
		if (t != me && channels[me][t].handled == channels[me][t].sent)
			set |= 1U << t;
	switch (guest_random() % 4) {
	case 0:
		return set;
	case 1:
		return set & guest_random();
	default:
		single = 1U << guest_random() % vcpu_count;
		return set & single;
	}
}

static void send(unsigned int me, unsigned int set)
{
	uint32_t low = ICR_FIXED | ICR_ASSERT | (TRAFFIC_VECTOR + me);
	unsigned int others = ((1U << vcpu_count) - 1) & ~(1U << me);

	for (unsigned int t = 0; t < vcpu_count; t++)
		if (set & 1U << t)
			channels[me][t].sent++;
	if (set == others && traffic_alone && guest_random() & 1)
		apic_send(0, low | ICR_TO_OTHERS);
	else if (!(set & (set - 1)) && guest_random() & 1)
		apic_send(guest_cpus[__builtin_ctz(set)].apic_id, low);
	else
		apic_send(set, low | ICR_LOGICAL);
}

static bool all_free(unsigned int me)
{
	for (unsigned int t = 0; t < vcpu_count; t++)
		if (channels[me][t].handled != channels[me][t].sent)
			return false;
	return true;
}

static void actor(uint64_t arg)
{
	unsigned int me = guest_self()->index;

	(void)arg;
	if (traffic_to_x2apic & 1U << me)
		apic_set_mode_x2apic();
	/* In x2APIC mode IDs below 16 have the same bits, in cluster 0. */
	apic_set_logical_id(1U << me);
	irq_enable();
	/* An APIC that is still disabled correctly takes no interrupts. */
	__atomic_add_fetch(&present, 1, __ATOMIC_SEQ_CST);
	guest_wait(present == vcpu_count);
	while (!stop) {
		void (*between)(void) = me ? NULL : traffic_between;
		uint64_t dice = guest_random();
		unsigned int set;

		sending[me] = true;
		full_barrier();
		set = quiet ? 0 : pick_targets(me);
		if (set)
			send(me, set);
		sending[me] = false;
		guest_poll();
		if (me && dice % 3 == 0) {
			irq_disable();
			/* vCPU 0 may send its last IPI just before it becomes quiet. */
			if (!quiet)
				halt_with_irqs();
			irq_enable();
		} else if (between) {
			between();
		} else {
			guest_delay(dice >> 8 & 0xfff);
		}
	}
	guest_wait(all_free(me));
	/* Keep interrupts on until all channels to this vCPU are free, too. */
	for (unsigned int s = 0; s < vcpu_count; s++)
		guest_wait(channels[s][me].handled == channels[s][me].sent);
}

void traffic_begin(struct vm *vm, unsigned int vcpus)
{
	uint64_t now = patience_us();

	vcpu_count = vcpus;
	present = 0;
	traffic_alone = true;
	traffic_to_x2apic = 0;
	traffic_between = NULL;
	quiet = stop = false;
	guest_set_handler(STOP_VECTOR, guest_count_irq);
	for (unsigned int s = 0; s < TRAFFIC_MAX; s++) {
		guest_set_handler(TRAFFIC_VECTOR + s, handler);
		sending[s] = false;
		for (unsigned int t = 0; t < TRAFFIC_MAX; t++) {
			channels[s][t] = (struct channel){ 0 };
			watch[s][t].handled = 0;
			watch[s][t].since = now;
		}
	}
	for (unsigned int i = 0; i < vcpus; i++)
		vm_add_vcpu(vm, i, actor, 0);
}

void traffic_begin_beside_device(struct vm *vm, unsigned int vcpus)
{
	traffic_begin(vm, vcpus);
	/* There is the device's vCPU. */
	traffic_alone = false;
	roles_begin();
	device_traffic_add(vm);
}

void traffic_check(struct vm *vm)
{
	uint64_t now = patience_us();

	for (unsigned int s = 0; s < vcpu_count; s++) {
		for (unsigned int t = 0; t < vcpu_count; t++) {
			uint32_t handled = channels[s][t].handled;

			if (handled != watch[s][t].handled || channels[s][t].sent == handled) {
				watch[s][t].handled = handled;
				watch[s][t].since = now;
			} else if (now - watch[s][t].since > vm_timeout_us() / 2) {
				vm_fail(vm, "IPI %u from vcpu %u to vcpu %u (vector %xh) is lost",
					channels[s][t].sent, s, t, TRAFFIC_VECTOR + s);
			}
		}
	}
}

uint64_t traffic_handled(void)
{
	uint64_t sum = 0;

	for (unsigned int s = 0; s < vcpu_count; s++)
		for (unsigned int t = 0; t < vcpu_count; t++)
			sum += channels[s][t].handled;
	return sum;
}

void traffic_flow(struct vm *vm, uint64_t more)
{
	uint64_t before = traffic_handled();

	for (; traffic_handled() < before + more; sleep_us(200))
		traffic_check(vm);
}

/* What had been sent on each channel at the mark. */
static uint32_t marks[TRAFFIC_MAX][TRAFFIC_MAX];

void traffic_mark(void)
{
	for (unsigned int s = 0; s < vcpu_count; s++)
		for (unsigned int t = 0; t < vcpu_count; t++)
			marks[s][t] = channels[s][t].sent;
}

bool traffic_reached_mark(void)
{
	for (unsigned int s = 0; s < vcpu_count; s++)
		for (unsigned int t = 0; t < vcpu_count; t++)
			if ((int32_t)(channels[s][t].handled - marks[s][t]) < 0)
				return false;
	return true;
}

void traffic_account(struct account *ipis)
{
	for (unsigned int s = 0; s < vcpu_count; s++) {
		for (unsigned int t = 0; t < vcpu_count; t++) {
			ipis->sent += channels[s][t].sent;
			ipis->serviced += channels[s][t].handled;
		}
	}
	for (unsigned int t = 0; t < vcpu_count; t++)
		for (unsigned int s = 0; s < vcpu_count; s++)
			ipis->accepted += guest_cpus[t].irqs[TRAFFIC_VECTOR + s];
}

static bool all_channels_free(void)
{
	for (unsigned int s = 0; s < vcpu_count; s++)
		if (!all_free(s))
			return false;
	return true;
}

static bool all_finished(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->vcpu_count; i++)
		if (!vm->vcpus[i].finished)
			return false;
	return true;
}

void traffic_end(struct vm *vm)
{
	uint64_t deadline = patience_us() + vm_timeout_us();

	quiet = true;
	full_barrier();
	for (unsigned int i = 0; i < vcpu_count; i++)
		vm_wait(vm, !sending[i], "each vCPU sees that traffic becomes quiet");
	/* Nothing else wakes a vCPU here, so that a loss of the last IPIs is detected, too. */
	while (!all_channels_free()) {
		traffic_check(vm);
		sleep_us(200);
	}
	/* Nothing is outstanding: vCPUs that are still asleep may now be woken. */
	stop = true;
	while (!all_finished(vm)) {
		if (patience_us() > deadline)
			vm_fail(vm, "the traffic does not come to its end");
		for (unsigned int i = 0; i < vm->vcpu_count; i++)
			if (!vm->vcpus[i].finished)
				vm_send_msi(vm, vm->vcpus[i].id, STOP_VECTOR);
		sleep_us(500);
	}
	vm_join(vm);
}
