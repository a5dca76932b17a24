// SPDX-License-Identifier: GPL-2.0-only
/*
 * The trace events of vapic, and stock's of interrupt acceleration, which vapic keeps: a guest causes
 * each, and it says what happened; once it is off, it says nothing.
 */

#include "lib/modes.h"

#include "lib/device.h"
#include "lib/roles.h"
#include "lib/trace.h"
#include "lib/tracepoint.h"

#define VECTOR		0x41
#define TIMER_VECTOR	0x71
#define GSI		24
#define LDR		0x02

/* A vCPU that runs is outside of its guest now and then, and then needs no doorbell. */
#define TRIES		50

#define ON_STOCK	"vapic is not loaded, whose events these are"

#define REQUIRE_TRACING() do {						\
	if (trace_unavailable())					\
		SKIP(return, "%s", trace_unavailable());		\
} while (0)

#define REQUIRE_VAPIC() do {						\
	REQUIRE_TRACING();						\
	if (!accel_check()->vapic || !accel_check()->active)		\
		SKIP(return, ON_STOCK);					\
} while (0)

#define REQUIRE_ACCELERATION() do {					\
	REQUIRE_TRACING();						\
	if (!accel_check()->active)					\
		SKIP(return, "acceleration is off");			\
} while (0)

/* At least, or exactly, so many lines contain the text; else they are all printed. */
#define EXPECT_LINES(compare, number, ...) do {				\
	unsigned int lines_ = trace_count(__VA_ARGS__);			\
	EXPECT_##compare(lines_, number) {				\
		trace_print();						\
		TH_LOG("not so many lines of: " __VA_ARGS__);		\
	}								\
} while (0)

static const char *const events[] = {
	"vapic/vapic_interrupt", "vapic/vapic_announce", "vapic/vapic_found", "vapic/vapic_active",
	"vapic/vapic_mode", "vapic/vapic_table", "vapic/vapic_ga_log",
};

/* On for the VMs of this process alone. */
static void begin_all(void)
{
	char filter[32];

	trace_begin();
	snprintf(filter, sizeof(filter), "pid == %d", getpid());
	for (unsigned int i = 0; i < sizeof(events) / sizeof(*events); i++)
		trace_on(events[i], filter);
}

static void end_all(void)
{
	for (unsigned int i = 0; i < sizeof(events) / sizeof(*events); i++)
		trace_off(events[i]);
}

/* "pid=N vcpu=ID vector=V", as events of interrupts have it. */
static const char *to(uint32_t id, uint32_t vector)
{
	static char text[64];

	snprintf(text, sizeof(text), "pid=%d vcpu=%u vector=%u", getpid(), id, vector);
	return text;
}

static volatile uint32_t go;

/* Sends one IPI to vCPU 1 each time the host says so. */
static void sender(uint64_t arg)
{
	uint32_t sent = 0;

	(void)arg;
	role_set_ready();
	irq_enable();
	while (!roles_finished) {
		guest_wait(go > sent || roles_finished);
		if (go > sent) {
			sent++;
			apic_send_fixed(guest_cpus[1].apic_id, VECTOR);
		}
	}
}

static struct vm *begin_vm(unsigned int options, const char *roles)
{
	struct vm *vm = vm_create(options);

	roles_begin();
	go = 0;
	guest_set_handler(VECTOR, guest_count_irq);
	for (unsigned int i = 0; roles[i]; i++)
		vm_add_vcpu(vm, i, roles[i] == 'I' ? sender :
				   roles[i] == 'S' ? role_sleeper : role_spinner, 0);
	return vm;
}

static struct vm *start_vm(unsigned int options, const char *roles)
{
	struct vm *vm = begin_vm(options, roles);

	vm_start(vm);
	roles_wait_ready(vm, 0);
	return vm;
}

static void wait_for(struct vm *vm, uint32_t id, uint32_t count)
{
	vm_wait(vm, guest_cpus[id].irqs[VECTOR] >= count, "the interrupt is handled");
}

/* ---- what programs read of them ---- */

TEST(every_event_is_described_by_numbers)
{
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	REQUIRE_VAPIC();
	trace_begin();
	for (unsigned int i = 0; i < sizeof(events) / sizeof(*events); i++) {
		char *format;

		ASSERT_TRUE(trace_has(events[i])) {
			trace_end();
			TH_LOG("there is no event %s", events[i]);
		}
		format = trace_format_of(events[i]);
		EXPECT_NE(NULL, strstr(format, "field:int pid;"))
			TH_LOG("%s has no pid", events[i]);
		EXPECT_NE(NULL, strstr(format, "field:u32 vcpu;"))
			TH_LOG("%s has no vcpu", events[i]);
		/* Programs that read the binary form know no constants of the kernel's C. */
		EXPECT_EQ(NULL, strstr(format, "VAPIC_"))
			TH_LOG("%s has a name instead of its value:\n%s", events[i], format);
		free(format);
	}
	trace_end();

	/* perf and BPF have a way of their own. */
	vm = start_vm(0, "S");
	{
		int counter = tracepoint_count(vm, "vapic/vapic_interrupt");

		EXPECT_EQ(0, tracepoint_counted(vm, counter));
		vm_send_msi(vm, 0, VECTOR);
		wait_for(vm, 0, 1);
		EXPECT_EQ(1, tracepoint_counted(vm, counter));
		close(counter);
	}
	roles_finish(vm);
}

/* ---- where interrupts come from, how they are announced, who finds them ---- */

TEST_F(guest, ipi_to_a_sleeper_is_handed_over_then_announced_then_found)
{
	unsigned int handed, announced, found;
	struct vm *vm;
	/* With IPI virtualization nobody knows the sender. */
	bool posted = !accel_is_avic() && !accel_ipis_exit(mode);

	REQUIRE_VAPIC();
	vm = start_vm(mode, "IS");
	begin_all();
	for (uint32_t i = 1; i <= rounds; i++) {
		vm_wait(vm, vcpu_is_blocked(&vm->vcpus[1]), "the target blocks");
		go = i;
		wait_for(vm, 1, i);
	}
	end_all();
	EXPECT_LINES(GE, rounds, "vapic_interrupt: %s source=%s from=%d", to(1, VECTOR),
		     posted ? "hardware" : "ipi", posted ? -1 : 0);
	EXPECT_LINES(GE, rounds, "vapic_announce: %s how=wakeup", to(1, VECTOR));
	EXPECT_LINES(GE, rounds, "vapic_found: %s by=check", to(1, VECTOR));
	EXPECT_LINES(EQ, 0, "vcpu=0 vector=%u ", VECTOR);

	handed = trace_place(0, "vapic_interrupt: %s", to(1, VECTOR));
	announced = trace_place(handed, "vapic_announce: %s", to(1, VECTOR));
	found = trace_place(handed, "vapic_found: %s", to(1, VECTOR));
	EXPECT_LT(0, handed);
	EXPECT_LT(handed, announced);
	EXPECT_LT(handed, found);

	/* All is off. */
	trace_clear();
	vm_wait(vm, vcpu_is_blocked(&vm->vcpus[1]), "the target blocks");
	go = rounds + 1;
	wait_for(vm, 1, rounds + 1);
	EXPECT_LINES(EQ, 0, "vapic_");
	trace_end();
	roles_finish(vm);
}

TEST(interrupt_of_user_space_rings_a_vcpu_that_runs)
{
	uint32_t sent = 0;
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	REQUIRE_VAPIC();
	vm = start_vm(0, "R");
	begin_all();
	do {
		vm_send_msi(vm, 0, VECTOR);
		wait_for(vm, 0, ++sent);
	} while (sent < TRIES &&
		 !trace_count("vapic_announce: %s how=%s", to(0, VECTOR),
			      accel_is_avic() ? "doorbell" : "notification"));
	end_all();
	EXPECT_LINES(GE, 1, "vapic_announce: %s how=%s cpu=%d", to(0, VECTOR),
		     accel_is_avic() ? "doorbell" : "notification", vm->vcpus[0].pcpu);
	EXPECT_LINES(EQ, sent, "vapic_interrupt: %s source=user from=-1", to(0, VECTOR));
	EXPECT_LINES(EQ, sent, "vapic_announce: %s", to(0, VECTOR));
	trace_end();
	roles_finish(vm);
}

TEST(interrupt_of_an_eventfd_is_one_of_an_irqfd)
{
	uint64_t one = 1;
	struct vm *vm;
	int trigger;

	REQUIRE_EXPECTED_ACCELERATION();
	REQUIRE_VAPIC();
	vm = start_vm(0, "S");
	trigger = vm_add_irqfd(vm, GSI, 0, VECTOR);
	begin_all();
	for (uint32_t i = 1; i <= rounds; i++) {
		vm_wait(vm, vcpu_is_blocked(&vm->vcpus[0]), "the target blocks");
		ASSERT_EQ(sizeof(one), write(trigger, &one, sizeof(one)));
		wait_for(vm, 0, i);
	}
	end_all();
	EXPECT_LINES(EQ, rounds, "vapic_interrupt: %s source=irqfd from=-1", to(0, VECTOR));
	EXPECT_LINES(EQ, rounds, "vapic_announce: %s how=wakeup", to(0, VECTOR));
	EXPECT_LINES(GE, rounds, "vapic_found: %s by=check", to(0, VECTOR));
	trace_end();
	roles_finish(vm);
	close(trigger);
}

static void timer_guest(uint64_t count)
{
	struct guest_cpu *self = guest_self();

	apic_write(APIC_TDCR, 0xb);
	apic_write(APIC_LVT_TIMER, TIMER_VECTOR | APIC_TIMER_ONESHOT);
	irq_enable();
	role_set_ready();
	guest_wait(go);
	for (uint32_t i = 1; i <= count; i++) {
		apic_write(APIC_TMICT, 1000000);
		guest_wait(self->irqs[TIMER_VECTOR] >= i);
	}
	role_wait_finished();
}

TEST(interrupt_of_a_timer_comes_from_its_own_vcpu)
{
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	REQUIRE_VAPIC();
	vm = begin_vm(0, "");
	guest_set_handler(TIMER_VECTOR, guest_count_irq);
	vm_add_vcpu(vm, 3, timer_guest, rounds);
	vm_start(vm);
	roles_wait_ready(vm, 0);
	begin_all();
	go = 1;
	vm_wait(vm, guest_cpus[0].irqs[TIMER_VECTOR] >= rounds, "the timer has expired");
	end_all();
	EXPECT_LINES(EQ, rounds, "vapic_interrupt: %s source=timer from=3", to(3, TIMER_VECTOR));
	EXPECT_LINES(EQ, rounds, "vapic_announce: %s how=entry", to(3, TIMER_VECTOR));
	trace_end();
	roles_finish(vm);
}

/* The vCPU is inhibited, so the device interrupts the host, which hands it on. */
TEST(interrupt_of_a_device_that_is_not_posted_comes_from_the_device)
{
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	REQUIRE_VAPIC();
	/* The module that plays a device calls the handler from a task. */
	if (!device_is_there() || !device_is_real())
		SKIP(return, "there is no device that interrupts the host");
	vm = begin_vm(0, "R");
	vm_add_blocker(vm);
	vm_start(vm);
	roles_wait_ready(vm, 0);
	device_route(vm, 0, VECTOR);
	device_assign(vm);
	begin_all();
	vm_block(vm, true);
	vm_wait(vm, trace_count("vapic_mode: pid=%d vcpu=0 mode=off", getpid()),
		"acceleration ends");
	for (uint32_t i = 1; i <= rounds; i++)
		device_fire_at(&vm->vcpus[0], VECTOR);
	end_all();
	EXPECT_LINES(EQ, rounds, "vapic_interrupt: %s source=device from=-1", to(0, VECTOR));
	EXPECT_LINES(EQ, rounds, "vapic_announce: %s how=kick", to(0, VECTOR));
	trace_end();
	vm_block(vm, false);
	device_take_away();
	roles_finish(vm);
}

/* The IOMMU tells the host of what it has posted to a vCPU that sleeps. */
TEST(interrupt_that_an_iommu_posts_wakes_by_the_log_or_by_the_wakeup_vector)
{
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	REQUIRE_VAPIC();
	if (!device_is_there() || !device_posts())
		SKIP(return, "there is no device whose interrupts are posted");
	vm = start_vm(0, "S");
	device_route(vm, 0, VECTOR);
	device_assign(vm);
	begin_all();
	trace_on("kvm/kvm_avic_ga_log", NULL);
	for (uint32_t i = 1; i <= rounds; i++) {
		vm_wait(vm, vcpu_is_blocked(&vm->vcpus[0]), "the target blocks");
		device_fire_at(&vm->vcpus[0], VECTOR);
	}
	end_all();
	trace_off("kvm/kvm_avic_ga_log");
	if (accel_is_avic()) {
		EXPECT_LINES(GE, rounds, "vapic_ga_log: pid=%d vcpu=0 tag=0x", getpid());
		EXPECT_LINES(GE, rounds, "kvm_avic_ga_log: vmid=");
	} else {
		EXPECT_LINES(GE, rounds, "vapic_interrupt: %s source=hardware from=-1",
			     to(0, VECTOR));
		EXPECT_LINES(GE, rounds, "vapic_announce: %s how=wakeup", to(0, VECTOR));
	}
	EXPECT_LINES(GE, rounds, "vapic_found: %s by=", to(0, VECTOR));
	trace_end();
	device_take_away();
	roles_finish(vm);
}

/* ---- acceleration, modes, tables ---- */

TEST(inhibit_turns_a_vcpu_off_and_on_and_interrupts_kick_it_meanwhile)
{
	unsigned int off, kicked, on;
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	REQUIRE_VAPIC();
	vm = begin_vm(0, "R");
	vm_add_blocker(vm);
	vm_start(vm);
	roles_wait_ready(vm, 0);
	begin_all();
	trace_on("kvm/kvm_apicv_inhibit_changed", NULL);
	vm_block(vm, true);
	vm_wait(vm, trace_count("vapic_active: pid=%d vcpu=0", getpid()), "acceleration ends");
	vm_send_msi(vm, 0, VECTOR);
	wait_for(vm, 0, 1);
	vm_block(vm, false);
	vm_wait(vm, trace_count("vapic_mode: pid=%d vcpu=0 mode=xapic", getpid()),
		"acceleration returns");
	end_all();
	trace_off("kvm/kvm_apicv_inhibit_changed");

	EXPECT_LINES(EQ, 2, "vapic_active: pid=%d vcpu=0", getpid());
	off = trace_place(0, "vapic_active: pid=%d vcpu=0 active=0 vm_inhibits=BLOCKIRQ "
			     "vcpu_inhibits=", getpid());
	kicked = trace_place(off, "vapic_announce: %s how=kick", to(0, VECTOR));
	on = trace_place(kicked, "vapic_active: pid=%d vcpu=0 active=1 vm_inhibits= "
				 "vcpu_inhibits=", getpid());
	EXPECT_LT(0, off);
	EXPECT_LT(off, kicked);
	EXPECT_LT(kicked, on);
	EXPECT_LT(off, trace_place(off, "vapic_mode: pid=%d vcpu=0 mode=off", getpid()));
	EXPECT_LT(on, trace_place(on, "vapic_mode: pid=%d vcpu=0 mode=xapic", getpid()));
	/* Stock's has the whole VM's. */
	EXPECT_LT(0, trace_place(0, "kvm_apicv_inhibit_changed: set"));
	EXPECT_LT(0, trace_place(0, "kvm_apicv_inhibit_changed: cleared"));
	if (!on)
		trace_print();
	trace_end();
	roles_finish(vm);
}

static void mode_changer(uint64_t arg)
{
	(void)arg;
	irq_disable();
	apic_set_logical_id(LDR);
	apic_set_mode_x2apic();
	irq_enable();
	role_set_ready();
	role_wait_finished();
}

TEST(table_and_mode_follow_the_vcpu_from_its_first_load_to_its_end)
{
	bool tables = accel_is_avic() || !accel_ipis_exit(0);
	unsigned int enters, logical, mode_changes, leaves;
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	REQUIRE_VAPIC();
	begin_all();
	vm = begin_vm(0, "");
	vm_add_vcpu(vm, 5, mode_changer, 0);
	vm_start(vm);
	roles_wait_ready(vm, 0);
	roles_finish(vm);
	end_all();

	mode_changes = trace_place(0, "vapic_mode: pid=%d vcpu=5 mode=%s", getpid(),
				   accel_expected(true) ? "x2apic" : "xapic");
	EXPECT_LT(0, mode_changes);
	if (tables) {
		enters = trace_place(0, "vapic_table: pid=%d vcpu=5 change=enter", getpid());
		leaves = trace_place(mode_changes, "vapic_table: pid=%d vcpu=5 change=leave",
				     getpid());
		EXPECT_LT(0, enters);
		EXPECT_LT(mode_changes, leaves);
		EXPECT_LINES(EQ, 1, "vapic_table: pid=%d vcpu=5 change=enter", getpid());
		EXPECT_LINES(EQ, 1, "vapic_table: pid=%d vcpu=5 change=leave", getpid());
	}
	if (accel_is_avic()) {
		logical = trace_place(enters, "vapic_table: pid=%d vcpu=5 change=logical ldr=%#x",
				      getpid(), LDR << 24);
		EXPECT_LT(enters, logical)
			trace_print();
	}
	trace_end();
}

/* ---- stock's ---- */

static void broadcaster(uint64_t arg)
{
	(void)arg;
	irq_enable();
	role_set_ready();
	guest_wait(go);
	apic_send(0, ICR_FIXED | ICR_ASSERT | ICR_TO_OTHERS | VECTOR);
	role_wait_finished();
}

/* With either: the same events, with the same words. */
TEST(stocks_events_of_avic_are_there)
{
	static const char *const stocks[] = {
		"kvm/kvm_apicv_accept_irq", "kvm/kvm_avic_incomplete_ipi",
		"kvm/kvm_avic_unaccelerated_access", "kvm/kvm_avic_kick_vcpu_slowpath",
		"kvm/kvm_avic_doorbell",
	};
	uint32_t sent = 0;
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	REQUIRE_ACCELERATION();
	if (!accel_is_avic())
		SKIP(return, "the processor is not AMD's");
	roles_begin();
	vm = begin_vm(0, "");
	vm_add_vcpu(vm, 0, broadcaster, 0);
	vm_add_vcpu(vm, 1, role_sleeper, 0);
	vm_add_vcpu(vm, 2, role_spinner, 0);
	trace_begin();
	trace_own_alone();
	for (unsigned int i = 0; i < sizeof(stocks) / sizeof(*stocks); i++)
		trace_on(stocks[i], NULL);
	vm_add_blocker(vm);
	vm_start(vm);
	roles_wait_ready(vm, 0);
	go = 1;
	wait_for(vm, 1, 1);
	wait_for(vm, 2, 1);
	do {
		vm_send_msi(vm, 2, VECTOR);
		wait_for(vm, 2, 1 + ++sent);
	} while (sent < TRIES && !trace_count("kvm_avic_doorbell: "));
	/* KVM says much of inhibits that do not change while vCPUs start. */
	trace_on("kvm/kvm_apicv_inhibit_changed", NULL);
	vm_block(vm, true);
	vm_block(vm, false);
	trace_off("kvm/kvm_apicv_inhibit_changed");
	for (unsigned int i = 0; i < sizeof(stocks) / sizeof(*stocks); i++)
		trace_off(stocks[i]);

	EXPECT_LINES(EQ, 1, "kvm_avic_incomplete_ipi: vcpu=0, icrh:icrl=");
	EXPECT_LINES(GE, 1, "kvm_avic_kick_vcpu_slowpath: icrh:icrl=");
	EXPECT_LINES(GE, 1, "kvm_apicv_accept_irq: apicid 1 vec %u (Fixed|edge)", VECTOR);
	EXPECT_LINES(EQ, sent + 1, "kvm_apicv_accept_irq: apicid 2 vec %u (Fixed|edge)", VECTOR);
	EXPECT_LINES(GE, 1, "kvm_avic_doorbell: vcpuid=2, apicid=");
	EXPECT_LINES(GE, 1, "kvm_avic_unaccelerated_access: ");
	EXPECT_LINES(GE, 1, "kvm_apicv_inhibit_changed: set");
	EXPECT_LINES(GE, 1, "kvm_apicv_inhibit_changed: cleared");
	trace_end();
	roles_finish(vm);
}

TEST(stocks_events_of_apicv_are_there)
{
	struct vm *vm;

	REQUIRE_EXPECTED_ACCELERATION();
	REQUIRE_ACCELERATION();
	if (accel_is_avic())
		SKIP(return, "the processor is not Intel's");
	vm = begin_vm(0, "S");
	vm_add_blocker(vm);
	vm_start(vm);
	roles_wait_ready(vm, 0);
	trace_begin();
	trace_own_alone();
	trace_on("kvm/kvm_apicv_accept_irq", NULL);
	trace_on("kvm/kvm_apicv_inhibit_changed", NULL);
	for (uint32_t i = 1; i <= rounds; i++) {
		vm_wait(vm, vcpu_is_blocked(&vm->vcpus[0]), "the target blocks");
		vm_send_msi(vm, 0, VECTOR);
		wait_for(vm, 0, i);
	}
	vm_block(vm, true);
	vm_block(vm, false);
	trace_off("kvm/kvm_apicv_accept_irq");
	trace_off("kvm/kvm_apicv_inhibit_changed");
	EXPECT_LINES(EQ, rounds, "kvm_apicv_accept_irq: apicid 0 vec %u (Fixed|edge)", VECTOR);
	EXPECT_LINES(GE, 1, "kvm_apicv_inhibit_changed: set");
	EXPECT_LINES(GE, 1, "kvm_apicv_inhibit_changed: cleared");
	trace_end();
	roles_finish(vm);
}

/* Each test is a process of its own; this is their parent. */
int main(int argc, char **argv)
{
	int status = test_main(argc, argv, 10);

	trace_clean_up();
	return status;
}
