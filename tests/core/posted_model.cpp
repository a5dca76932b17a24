// SPDX-License-Identifier: GPL-2.0-only
//
// See posted_model.hpp. The descriptor's words, the IRR and core's flag are explored as
// core writes them; the words of KVM and of the CPUs are named in posted_hardware.hpp.
#define SEAM_NO_REDIRECTION
#include "posted_model.hpp"

#include "../../vmx_apicv/state.hpp"
#include "machine.hpp"
#include "posted_hardware.hpp"

namespace posted {
namespace {

using explorer::Cpu;
using explorer::Location;
using explorer::Memory;

constexpr u32 kVector = 0x31; // of the first sender; the next sender has the next vector

// --- The target's task ---

class Target {
public:
	Target(const Scenario &scenario, vapic_pi_vcpu *core, Cpu &cpu)
		: s_(scenario), core_(core), cpu_(cpu), active_(scenario.begins_active)
	{
	}

	void run()
	{
		load();
		for (char act : s_.acts)
			perform(Act{act});
		enter();
		for (;;) {
			const std::uint64_t signal = cpu_.await(kSignal);

			// Without posted-interrupt processing every interrupt is an exit.
			if ((signal & kNotified) && active_) {
				cpu_.hardware("process: clear ON", hardware::process_on);
				cpu_.hardware("process: take PIR", hardware::process_pir);
			}
			if ((signal & kKicked) || !active_) {
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
		case Act::kPut:
			load();
			break;
		case Act::kMove:
			migrate();
			load();
			break;
		case Act::kPreempt:
			s_.core.suppress(core_);
			load();
			break;
		case Act::kPreemptMove:
			s_.core.suppress(core_);
			migrate();
			load();
			break;
		case Act::kToggle:
			toggle();
			break;
		}
	}

	void migrate()
	{
		on_ ^= 1;
		cpu_.store(kCpu, on_);
	}

	// vapic_hook_vmx_vcpu_pi_load()
	void load()
	{
		if (cpu_.load(kWaitsOn))
			cpu_.exchange(kWaitsOn, 0);
		s_.core.load(core_, host_id(on_));
	}

	// wait_here()
	void wait_here()
	{
		if (s_.add_before_arm)
			cpu_.exchange(kWaitsOn, 1 + on_);
		if (s_.core.arm(core_))
			cpu_.hardware("wakeup vector to itself", hardware::wakeup_to_self, on_);
		if (!s_.add_before_arm)
			cpu_.exchange(kWaitsOn, 1 + on_);
	}

	// vapic_vmx_sync_pir_to_irr(): whether an interrupt is pending
	bool sync()
	{
		if (active_ && s_.core.settled(core_))
			return cpu_.load(kRvi);

		const vapic_pi_irr irr = s_.core.sync(core_, active_);
		const bool pending = irr.highest != VAPIC_NO_VECTOR;

		if (active_)
			cpu_.hardware("RVI", hardware::store_rvi, pending);
		else if (irr.fresh)
			cpu_.fetch_or(kRequest, 1);
		return pending;
	}

	// vcpu_enter_guest(), from its requests to VM entry.
	void enter()
	{
		for (;;) {
			if (cpu_.load(kRequest)) {
				cpu_.exchange(kRequest, 0);
				if (!active_)
					cpu_.hardware("inject from IRR", hardware::inject);
			}
			cpu_.hardware("interrupts off", hardware::interrupts_off, on_);
			cpu_.store(kMode, 1);
			if (s_.enter_barrier)
				cpu_.fence();
			sync();
			if (!cpu_.load(kRequest))
				break;
			cpu_.store(kMode, 0);
			cpu_.hardware("interrupts on", hardware::interrupts_on);
		}
		if (active_)
			cpu_.hardware("VM entry: deliver", hardware::deliver);
	}

	void leave()
	{
		cpu_.store(kMode, 0);
		cpu_.hardware("VM exit", hardware::interrupts_on);
	}

	// kvm_vcpu_block(). A wake-up before the task's state is set has no effect.
	void halt(bool preempted)
	{
		cpu_.store(kWaiter, 1);
		for (;;) {
			cpu_.exchange(kWoken, 0);
			if (sync())
				break;
			if (preempted) {
				wait_here();
				migrate();
				load();
			}
			preempted = false;
			wait_here();
			cpu_.await(kWoken);
			load();
		}
		cpu_.store(kWaiter, 0);
	}

	// __kvm_vcpu_update_apicv()
	void toggle()
	{
		active_ = !active_;
		cpu_.store(kApicvActive, active_);
		s_.core.unsettle(core_);
		// KVM requests KVM_REQ_EVENT itself; its look at the IRR begins with sync.
		if (!active_) {
			sync();
			cpu_.hardware("inject from IRR", hardware::inject);
		}
	}

	const Scenario &s_;
	vapic_pi_vcpu *core_;
	Cpu &cpu_;
	bool active_;
	std::uint64_t on_ = 0;
};

// --- Senders ---

class SenderTask {
public:
	SenderTask(const Scenario &scenario, vapic_pi_vcpu *target, Cpu &cpu)
		: s_(scenario), target_(target), cpu_(cpu)
	{
	}

	// vapic_vmx_deliver_interrupt()
	void deliver(u32 vector)
	{
		if (!cpu_.load(kApicvActive))
			return deliver_inactive(vector);
		if (!s_.core.post(target_->hot.descriptor, static_cast<u8>(vector)))
			return;
		if (cpu_.load(kMode)) {
			const std::uint64_t on = cpu_.load(kCpu);

			if (s_.glue_notifies)
				cpu_.hardware("notification", hardware::notify_cpu, on);
		} else if (cpu_.load(kWaiter)) {
			wake();
		}
	}

	// IPI virtualization
	void send_ipi(u32 vector)
	{
		cpu_.hardware("post: PIR", hardware::post_pir, vector);

		const std::uint64_t control = cpu_.hardware("post: ON", hardware::post_on);

		if (control)
			cpu_.hardware("notification", hardware::notify, control);
	}

private:
	void deliver_inactive(u32 vector)
	{
		s_.core.set_irr(target_->regs, static_cast<u8>(vector));
		s_.core.unsettle(target_);
		if (!s_.glue_kicks)
			return;
		cpu_.fetch_or(kRequest, 1);
		wake();
		if (cpu_.load(kMode))
			cpu_.hardware("kick", hardware::interrupt);
	}

	void wake()
	{
		if (s_.glue_wakes)
			cpu_.hardware("wake", hardware::wake_waiter);
	}

	const Scenario &s_;
	vapic_pi_vcpu *target_;
	Cpu &cpu_;
};

} // namespace

explorer::Result explore(const Scenario &scenario)
{
	Block object(vapic_pi_vcpu_size(), VAPIC_PI_ALIGN);
	Block memory(64, 64);
	Block regs(4096, 4096);
	auto *core = static_cast<vapic_pi_vcpu *>(object.get());
	auto *descriptor = static_cast<vapic_pi_descriptor *>(memory.get());
	explorer::Explorer all;

	vapic_pi_vcpu_init(core, nullptr, descriptor, 0x1000, regs.get(), kVectors);

	all.map(&descriptor->control, 8, kControl, "control");
	all.map(&descriptor->pir[kVector / 64], 8, kPir, "PIR");
	all.map(static_cast<u32 *>(regs.get()) + (0x200 + kVector / 32 * 0x10) / 4, 4, kIrr, "IRR");
	all.map(&core->hot.rvi_unknown, 1, kRviUnknown, "RVI unknown");
	all.map(&core->hot.home, 4, kHome, "home");
	all.name(kRvi, "RVI");
	all.name(kMode, "mode");
	all.name(kCpu, "cpu");
	all.name(kApicvActive, "apicv_active");
	all.name(kRequest, "request");
	all.name(kWaiter, "waiter");
	all.name(kWaitsOn, "waits_on");
	all.name(kSignal, "signal");
	all.name(kWoken, "woken");
	all.name(kWakeup0, "wakeup vector on 0");
	all.name(kWakeup1, "wakeup vector on 1");

	Memory initial{};

	// The descriptor as stock's reset leaves it.
	initial[kControl] = std::uint64_t{kVectors.notification} << 16 | kSn;
	initial[kRviUnknown] = 1;
	initial[kHome] = VAPIC_PI_NOWHERE;
	initial[kApicvActive] = scenario.begins_active;

	std::vector<explorer::Script> scripts = {
		[&](Cpu &cpu) { Target(scenario, core, cpu).run(); }};
	std::uint64_t sent = 0;

	for (unsigned i = 0; i < scenario.senders.size(); ++i) {
		const u32 vector = kVector + i;

		sent |= std::uint64_t{1} << vector % 32;
		if (Sender{scenario.senders[i]} == Sender::kHardware)
			scripts.push_back([&scenario, core, vector](Cpu &cpu) {
				SenderTask(scenario, core, cpu).send_ipi(vector);
			});
		else
			scripts.push_back([&scenario, core, vector](Cpu &cpu) {
				SenderTask(scenario, core, cpu).deliver(vector);
			});
	}

	const std::size_t senders_end = scripts.size();

	for (std::uint64_t on : {std::uint64_t{0}, std::uint64_t{1}})
		scripts.push_back([on](Cpu &cpu) {
			for (;;) {
				cpu.await(on ? kWakeup1 : kWakeup0);
				cpu.hardware("wakeup handler", hardware::wakeup_handler, on);
			}
		});

	return all.run(scripts, initial, [&](const Memory &m, const std::vector<bool> &finished) {
		for (std::size_t i = 1; i < senders_end; ++i)
			if (!finished[i])
				return std::string{"a sender never came to its end"};
		if (m[kTaken] == sent)
			return std::string{};
		return std::string{"interrupt lost: "} +
		       (m[kGuestOn] ? "the vCPU runs on and does not see it" :
				      "the vCPU sleeps on it");
	});
}

std::string describe(const Scenario &s)
{
	return "acts '" + s.acts + "' senders '" + s.senders + "' begins " +
	       (s.begins_active ? "active" : "inactive");
}

} // namespace posted
