// SPDX-License-Identifier: GPL-2.0-only
//
// See residency_model.hpp. The interrupt controller's words are explored as core writes
// them; the words of KVM and of the CPU are named below.
#define SEAM_NO_REDIRECTION
#include "residency_model.hpp"

#include "fake_host.hpp"

namespace model {
namespace {

constexpr unsigned kInterrupts = 2; // of devices

using explorer::Cpu;
using explorer::Location;
using explorer::Memory;

enum : Location {
	// Written by core.
	kEntry,
	kAttention,
	kPosting,
	kIrr,
	// Written by KVM: vcpu->mode (1: IN_GUEST_MODE), vcpu->cpu, apic->apicv_active, a
	// pending request, and the task waiting in kvm_vcpu_block().
	kMode,
	kCpu,
	kApicvActive,
	kRequest,
	kWaiter,
	// Of the glue: 1 if nobody holds the posting lock; a bit for each interrupt that names the
	// vCPU.
	kPostingLock,
	kAssigned,
	// Of the IOMMU, for each interrupt: its entry; 1 if the IOMMU does nothing by a cached one.
	kIommuEntry,
	kIommuIdle = kIommuEntry + kInterrupts,
	// Hardware: 1 + the CPU on which the vCPU is in the guest, or 0; the signal that arrived
	// there; a wake-up that arrived.
	kInGuestOn = kIommuIdle + kInterrupts,
	kSignal,
	kWoken,
	// The vectors that the vCPU took.
	kTaken,
};

constexpr std::uint64_t kDoorbell = 1;
constexpr std::uint64_t kKick = 2;

// Bits of kRequest: KVM_REQ_EVENT, KVM_REQ_APICV_UPDATE.
constexpr std::uint64_t kEvent = 1;
constexpr std::uint64_t kLook = 2;

// The IOMMU's entry: the host's CPU above bits that say how.
constexpr std::uint64_t kPosts = 1;
constexpr std::uint64_t kRings = 2;

constexpr std::uint64_t iommu_entry(vapic_posting how)
{
	if (!how.posts)
		return 0;
	return how.rings ? kPosts | kRings | std::uint64_t{how.host.raw} << 8 : kPosts;
}

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

// --- The glue's part of posting, in the target's task or in another one ---

void lock_posting(const Scenario &s, Cpu &cpu)
{
	if (s.posting_locked)
		cpu.await(kPostingLock);
}

void unlock_posting(const Scenario &s, Cpu &cpu)
{
	if (s.posting_locked)
		cpu.store(kPostingLock, 1);
}

// treat(), with what the IOMMU's driver does. It flushes what the IOMMU has cached behind a change
// between remapped and posted, and waits; behind other changes it does not. It posts without ringing
// at first.
void treat(const Scenario &s, Cpu &cpu, unsigned irq, vapic_posting how)
{
	const Location entry = kIommuEntry + irq;
	const bool posts = cpu.load(entry) & kPosts;

	if (posts != how.posts) {
		cpu.exchange(entry, how.posts ? kPosts : 0);
		if (s.flush_waits) {
			cpu.await(kIommuIdle + irq);
			cpu.store(kIommuIdle + irq, 1);
		}
	}
	if (how.posts)
		cpu.exchange(entry, iommu_entry(how));
}

constexpr std::uint64_t bit_of(unsigned irq)
{
	return std::uint64_t{1} << irq;
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
		fake_host::handle_posting([this](vapic_vcpu *, vapic_posting how) { post(how); });
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
				const std::uint64_t requests = cpu_.exchange(kRequest, 0);

				if (requests & kLook)
					s_.residency.unblock(core_, host_id(on_));
				if ((requests & kEvent) && !active_)
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

	// vapic_host_posting()
	void post(vapic_posting how)
	{
		lock_posting(s_, cpu_);

		const std::uint64_t assigned = cpu_.load(kAssigned);

		for (unsigned irq = 0; irq < kInterrupts; ++irq) {
			if (!(assigned & bit_of(irq)))
				continue;
			treat(s_, cpu_, irq, how);
			if (!s_.treats_all)
				break;
		}
		vapic_avic_posting_set(core_, how);
		unlock_posting(s_, cpu_);
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
		// KVM requests KVM_REQ_EVENT itself, so it sees what the IOMMU has posted until then
		// by a cached entry, and of which nobody is told.
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

	void run(Sender what, u32 vector)
	{
		switch (what) {
		case Sender::kHardware:
			return send_ipi(vector);
		case Sender::kSoftware:
			return deliver(vector);
		case Sender::kDevice:
			return raise(0, vector);
		case Sender::kAssign:
			return assign(0);
		case Sender::kTakeAway:
			return take_away(0);
		case Sender::kReassign:
			unname(0);
			return assign(0);
		case Sender::kSecondDevice:
			return raise(1, vector);
		case Sender::kAssignSecond:
			return assign(1);
		}
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

	// A device raises its interrupt. Whether to post, and where, the IOMMU knows from an entry
	// that it may have cached; whom to tell it reads from the entry of that moment. If that one
	// remaps meanwhile, these bits are others there: they ask for no entry in the log, and name
	// no CPU or any. So nobody is told.
	void raise(unsigned irq, u32 vector)
	{
		const std::uint64_t bit = std::uint64_t{1} << vector % 32;

		if (s_.flush_waits)
			cpu_.await(kIommuIdle + irq);
		std::uint64_t entry = cpu_.load(kIommuEntry + irq);

		if (!(entry & kPosts)) {
			cpu_.store(kIommuIdle + irq, 1);
			cpu_.fence();
			// The handler of VFIO tells KVM.
			return deliver(vector);
		}
		if (s_.iommu_barrier) {
			cpu_.fetch_or(kIrr, bit);
			entry = cpu_.load(kIommuEntry + irq);
		} else {
			entry = cpu_.load(kIommuEntry + irq);
			cpu_.fetch_or(kIrr, bit);
		}
		cpu_.store(kIommuIdle + irq, 1);
		cpu_.fence();
		if (entry & kRings)
			cpu_.hardware("doorbell to", ring, entry >> 8);
		else if ((entry & kPosts) && s_.log_wakes)
			wake();
	}

	// reassign(): to a vCPU, and from it to nowhere or to another one
	void assign(unsigned irq)
	{
		name(irq);
		if (s_.requests_look)
			have_a_look();
	}

	void take_away(unsigned irq)
	{
		unname(irq);
		if (s_.requests_last_look)
			have_a_look();
	}

private:
	void name(unsigned irq)
	{
		lock_posting(s_, cpu_);

		const vapic_posting how = s_.residency.posting_add(target_.core(), host_id(0));

		treat(s_, cpu_, irq, how);
		cpu_.store(kAssigned, cpu_.load(kAssigned) | bit_of(irq));
		vapic_avic_posting_set(target_.core(), how);
		unlock_posting(s_, cpu_);
	}

	void unname(unsigned irq)
	{
		lock_posting(s_, cpu_);
		treat(s_, cpu_, irq, {});

		const std::uint64_t left = cpu_.load(kAssigned) & ~bit_of(irq);

		cpu_.store(kAssigned, left);
		if (!left || !s_.ends_with_last)
			vapic_avic_posting_end(target_.core());
		unlock_posting(s_, cpu_);
	}

	void have_a_look()
	{
		cpu_.fetch_or(kRequest, kLook);
		kick_cpu();
	}

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
		cpu_.fetch_or(kRequest, kEvent);
		kick_cpu();
	}

	const Scenario &s_;
	const Vcpu &target_;
	const Vcpu &sender_;
	Cpu &cpu_;
};

bool sends(Sender what)
{
	switch (what) {
	case Sender::kHardware:
	case Sender::kSoftware:
	case Sender::kDevice:
	case Sender::kSecondDevice:
		return true;
	case Sender::kAssign:
	case Sender::kTakeAway:
	case Sender::kReassign:
	case Sender::kAssignSecond:
		return false;
	}
	return false;
}

} // namespace

explorer::Result explore(const Scenario &scenario)
{
	far_second = scenario.far_second;

	Machine machine(scenario.hide_running);
	Vcpu &target = machine.add(kTargetId);
	explorer::Explorer all;

	if (scenario.begins_active)
		vapic_avic_vcpu_activate(target.core());

	vapic_posting how{};

	for (unsigned irq = 0; irq < scenario.begins_assigned; ++irq) {
		how = vapic_avic_posting_add(target.core(), host_id(0));
		vapic_avic_posting_set(target.core(), how);
	}

	all.map(&machine.physical()[kTargetId], 8, kEntry, "entry");
	all.map(&machine.attention()[kTargetId], 1, kAttention, "attention");
	all.map(target.posting(), 8, kPosting, "posting");
	all.map(static_cast<u32 *>(target.regs()) + (0x200 + kVector / 32 * 0x10) / 4, 4, kIrr, "IRR");
	all.name(kMode, "mode");
	all.name(kCpu, "cpu");
	all.name(kApicvActive, "apicv_active");
	all.name(kRequest, "request");
	all.name(kWaiter, "waiter");
	all.name(kPostingLock, "posting lock");
	all.name(kAssigned, "assigned");
	all.name(kIommuEntry, "IOMMU's entry");
	all.name(kIommuEntry + 1, "IOMMU's 2nd entry");
	all.name(kIommuIdle, "IOMMU idle");
	all.name(kIommuIdle + 1, "IOMMU idle (2nd)");
	all.name(kSignal, "signal");
	all.name(kWoken, "woken");

	Memory initial{};

	initial[kEntry] = machine.physical(kTargetId);
	initial[kAttention] = machine.attention()[kTargetId];
	initial[kApicvActive] = scenario.begins_active;
	initial[kPosting] = *target.posting();
	initial[kPostingLock] = 1;
	for (unsigned irq = 0; irq < kInterrupts; ++irq)
		initial[kIommuIdle + irq] = 1;
	for (unsigned irq = 0; irq < scenario.begins_assigned; ++irq) {
		initial[kAssigned] |= bit_of(irq);
		initial[kIommuEntry + irq] = iommu_entry(how);
	}

	std::vector<explorer::Script> scripts = {
		[&](Cpu &cpu) { Target(scenario, target.core(), cpu).run(); }};
	std::uint64_t sent = 0;

	for (unsigned i = 0; i < scenario.senders.size(); ++i) {
		const u32 vector = kVector + i;
		const Sender what{scenario.senders[i]};
		const Vcpu &sender = machine.add_active(10 + i);

		if (sends(what))
			sent |= std::uint64_t{1} << vector % 32;
		scripts.push_back([&scenario, &target, &sender, what, vector](Cpu &cpu) {
			SenderTask(scenario, target, sender, cpu).run(what, vector);
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
	fake_host::handle_posting({});
	return result;
}

std::string describe(const Scenario &s)
{
	return "acts '" + s.acts + "' senders '" + s.senders + "' begins " +
	       (s.begins_active ? "active" : "inactive") +
	       (s.hide_running ? ", IsRunning hidden" : "") +
	       ", interrupts assigned " + std::to_string(s.begins_assigned) +
	       (s.far_second ? ", second CPU far" : "") + (s.kvm_sleep ? ", KVM's sleep" : "");
}

} // namespace model
