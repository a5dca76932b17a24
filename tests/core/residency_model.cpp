// SPDX-License-Identifier: GPL-2.0-only
//
// See residency_model.hpp. The interrupt controller's words are explored as core writes
// them; the words of KVM and of the CPU are named below.
#define SEAM_NO_REDIRECTION
#include "residency_model.hpp"

#include "fake_host.hpp"

namespace model {
namespace {

using explorer::Cpu;
using explorer::Location;
using explorer::Memory;

enum : Location {
	// Written by core.
	kEntry,
	kAttention,
	kIrr,
	// Written by KVM: vcpu->mode (1: IN_GUEST_MODE), vcpu->cpu, apic->apicv_active, a
	// pending request, and the task waiting in kvm_vcpu_block().
	kMode,
	kCpu,
	kApicvActive,
	kRequest,
	kWaiter,
	// Hardware: 1 + the CPU on which the vCPU is in the guest, or 0; the signal that arrived
	// there; a wake-up that arrived.
	kInGuestOn,
	kSignal,
	kWoken,
	// The vectors that the vCPU took.
	kTaken,
};

constexpr std::uint64_t kDoorbell = 1;
constexpr std::uint64_t kKick = 2;

constexpr u32 kTargetId = 2;
constexpr u32 kVector = 0x31; // of the first sender; the next sender has the next vector

// Host APIC IDs of the two CPUs.
bool far_second;

u32 host_id(std::uint64_t cpu)
{
	return (cpu && far_second ? 0x3020 : 0x20) + static_cast<u32>(cpu);
}

// --- Steps of hardware ---

// VMRUN, a doorbell, or KVM's injection: moves IRR to the handlers.
std::uint64_t take_irr(Memory &m, std::uint64_t)
{
	m[kTaken] |= m[kIrr];
	m[kIrr] = 0;
	return 0;
}

std::uint64_t vmrun(Memory &m, std::uint64_t cpu)
{
	m[kInGuestOn] = 1 + cpu;
	return 0;
}

// An exit of any kind. A signal that has arrived but has not been handled is lost.
std::uint64_t vmexit(Memory &m, std::uint64_t)
{
	m[kInGuestOn] = 0;
	m[kSignal] = 0;
	return 0;
}

// A doorbell takes effect on a CPU that is in the guest; other CPUs ignore it.
std::uint64_t ring(Memory &m, std::uint64_t id)
{
	if (m[kInGuestOn] && host_id(m[kInGuestOn] - 1) == id)
		m[kSignal] |= kDoorbell;
	return 0;
}

// An interrupt of the host, which waits while interrupts are off.
std::uint64_t interrupt(Memory &m, std::uint64_t)
{
	m[kSignal] |= kKick;
	return 0;
}

std::uint64_t wake_waiter(Memory &m, std::uint64_t)
{
	if (m[kWaiter])
		m[kWoken] = 1;
	return 0;
}

std::uint64_t wake_always(Memory &m, std::uint64_t)
{
	m[kWoken] = 1;
	return 0;
}

// --- The target's task ---

class Target {
public:
	Target(const Scenario &scenario, vapic_avic_vcpu *core, Cpu &cpu)
		: s_(scenario), core_(core), cpu_(cpu), active_(scenario.begins_active)
	{
	}

	void run()
	{
		s_.residency.load(core_, host_id(on_));
		for (char act : s_.acts)
			perform(Act{act});
		enter();
		for (;;) {
			const std::uint64_t signal = cpu_.await(kSignal);

			if ((signal & kDoorbell) && active_)
				cpu_.hardware("doorbell: take IRR", take_irr);
			if (signal & kKick) {
				leave();
				enter();
			}
		}
	}

private:
	void perform(Act act)
	{
		switch (act) {
		case Act::kVisit:
			enter();
			leave();
			break;
		case Act::kHalt:
			halt(false);
			break;
		case Act::kHaltPreempted:
			halt(true);
			break;
		case Act::kPreempt:
			migrate();
			break;
		case Act::kToggle:
			toggle();
			break;
		}
	}

	// vcpu_enter_guest(), from its requests to VMRUN.
	void enter()
	{
		for (;;) {
			if (cpu_.load(kRequest)) {
				cpu_.exchange(kRequest, 0);
				if (!active_)
					cpu_.hardware("inject from IRR", take_irr);
			}
			cpu_.store(kMode, 1);
			if (s_.enter_barrier)
				cpu_.fence();
			if (!cpu_.load(kRequest))
				break;
			cpu_.store(kMode, 0);
		}
		cpu_.hardware("VMRUN", vmrun, on_);
		if (active_)
			cpu_.hardware("VMRUN: take IRR", take_irr);
	}

	void leave()
	{
		cpu_.hardware("VMEXIT", vmexit);
		cpu_.store(kMode, 0);
	}

	void migrate()
	{
		s_.residency.put(core_);
		on_ ^= 1;
		cpu_.store(kCpu, on_);
		s_.residency.load(core_, host_id(on_));
	}

	// kvm_vcpu_block()
	void halt(bool preempted)
	{
		s_.residency.block(core_);
		if (s_.kvm_sleep)
			cpu_.store(kWaiter, 1);
		if (preempted)
			migrate();
		if (s_.kvm_sleep)
			cpu_.fence();
		while (!cpu_.load(kIrr))
			cpu_.await(kWoken);
		if (s_.kvm_sleep)
			cpu_.store(kWaiter, 0);
		s_.residency.unblock(core_, host_id(on_));
	}

	// __kvm_vcpu_update_apicv()
	void toggle()
	{
		active_ = !active_;
		cpu_.store(kApicvActive, active_);
		if (active_) {
			s_.residency.activate(core_);
			if (s_.load_after_activate)
				s_.residency.load(core_, host_id(on_));
			return;
		}
		s_.residency.deactivate(core_);
		// KVM requests KVM_REQ_EVENT itself.
		cpu_.hardware("inject from IRR", take_irr);
	}

	const Scenario &s_;
	vapic_avic_vcpu *core_;
	Cpu &cpu_;
	bool active_;
	std::uint64_t on_ = 0;
};

// --- Senders ---

class SenderTask {
public:
	SenderTask(const Scenario &scenario, const Vcpu &target, const Vcpu &sender, Cpu &cpu)
		: s_(scenario), target_(target), sender_(sender), cpu_(cpu)
	{
	}

	// vapic_svm_deliver_interrupt()
	void deliver(u32 vector)
	{
		s_.residency.set_irr(target_.regs(), static_cast<u8>(vector));

		const bool in_guest = cpu_.load(kMode);

		if (!cpu_.load(kApicvActive))
			kick();
		else if (in_guest)
			tell();
		else if (s_.residency.must_wake(target_.core()))
			wake();
	}

	// IPI hardware, and the exit that follows if the target does not run.
	void send_ipi(u32 vector)
	{
		const std::uint64_t bit = std::uint64_t{1} << vector % 32;

		if (s_.ipi_barrier)
			cpu_.fetch_or(kIrr, bit);
		else
			cpu_.store(kIrr, bit);

		const std::uint64_t entry = cpu_.load(kEntry);

		if (entry & kEntryRunning) {
			cpu_.hardware("doorbell to", ring, entry & 0xfff);
			return;
		}
		cpu_.fence();
		fake_host::handle_targets([this](const fake_host::Target &t) { act_on(t); });
		static_cast<void>(incomplete_ipi(sender_.core(), u64{kTargetId} << 56 | vector,
						      0x100000000ull, false));
	}

private:
	// vapic_host_avic_ipi_target()
	void act_on(const fake_host::Target &t)
	{
		switch (t.how) {
		case VAPIC_AVIC_TARGET_INACTIVE:
			kick();
			break;
		case VAPIC_AVIC_TARGET_ASLEEP:
			wake();
			break;
		case VAPIC_AVIC_TARGET_UNSEEN:
			if (cpu_.load(kMode))
				tell();
			break;
		case VAPIC_AVIC_TARGET_AWAKE:
			break;
		}
	}

	// ring() of the glue, for the CPU that vapic_avic_vcpu_host_id() reads.
	void tell()
	{
		const std::uint64_t id = cpu_.load(kEntry) & 0xfff;

		if (id == kNowhere)
			kick_cpu();
		else
			cpu_.hardware("doorbell to", ring, id);
	}

	// kvm_vcpu_kick()
	void kick_cpu()
	{
		if (!s_.glue_kicks)
			return;
		wake();
		if (cpu_.load(kMode))
			cpu_.hardware("kick", interrupt);
	}

	void wake()
	{
		if (s_.glue_wakes)
			cpu_.hardware("wake", s_.kvm_sleep ? wake_waiter : wake_always);
	}

	// The same with KVM_REQ_EVENT.
	void kick()
	{
		if (!s_.glue_kicks)
			return;
		cpu_.fetch_or(kRequest, 1);
		kick_cpu();
	}

	const Scenario &s_;
	const Vcpu &target_;
	const Vcpu &sender_;
	Cpu &cpu_;
};

} // namespace

explorer::Result explore(const Scenario &scenario)
{
	far_second = scenario.far_second;

	Machine machine(scenario.hide_running);
	Vcpu &target = machine.add(kTargetId);
	explorer::Explorer all;

	if (scenario.begins_active)
		vapic_avic_vcpu_activate(target.core());

	all.map(&machine.physical()[kTargetId], 8, kEntry, "entry");
	all.map(&machine.attention()[kTargetId], 1, kAttention, "attention");
	all.map(static_cast<u32 *>(target.regs()) + (0x200 + kVector / 32 * 0x10) / 4, 4, kIrr, "IRR");
	all.name(kMode, "mode");
	all.name(kCpu, "cpu");
	all.name(kApicvActive, "apicv_active");
	all.name(kRequest, "request");
	all.name(kWaiter, "waiter");
	all.name(kSignal, "signal");
	all.name(kWoken, "woken");

	Memory initial{};

	initial[kEntry] = machine.physical(kTargetId);
	initial[kAttention] = machine.attention()[kTargetId];
	initial[kApicvActive] = scenario.begins_active;

	std::vector<explorer::Script> scripts = {
		[&](Cpu &cpu) { Target(scenario, target.core(), cpu).run(); }};
	std::uint64_t sent = 0;

	for (unsigned i = 0; i < scenario.senders.size(); ++i) {
		const u32 vector = kVector + i;
		const Vcpu &sender = machine.add_active(10 + i);

		sent |= std::uint64_t{1} << vector % 32;
		if (Sender{scenario.senders[i]} == Sender::kHardware)
			scripts.push_back([&scenario, &target, &sender, vector](Cpu &cpu) {
				SenderTask(scenario, target, sender, cpu).send_ipi(vector);
			});
		else
			scripts.push_back([&scenario, &target, &sender, vector](Cpu &cpu) {
				SenderTask(scenario, target, sender, cpu).deliver(vector);
			});
	}

	const explorer::Result result =
		all.run(scripts, initial, [&](const Memory &m, const std::vector<bool> &finished) {
			for (unsigned i = 1; i < finished.size(); ++i)
				if (!finished[i])
					return std::string{"a sender never came to its end"};
			if (m[kTaken] == sent)
				return std::string{};
			return std::string{"interrupt lost: "} +
			       (m[kInGuestOn] ? "the vCPU runs on and does not see it"
					      : "the vCPU sleeps on it");
		});

	fake_host::handle_targets({});
	return result;
}

std::string describe(const Scenario &s)
{
	return "acts '" + s.acts + "' senders '" + s.senders + "' begins " +
	       (s.begins_active ? "active" : "inactive") +
	       (s.hide_running ? ", IsRunning hidden" : "") +
	       (s.far_second ? ", second CPU far" : "") + (s.kvm_sleep ? ", KVM's sleep" : "");
}

} // namespace model
