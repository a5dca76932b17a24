// SPDX-License-Identifier: GPL-2.0-only
//
// A target vCPU, its senders and its devices as real threads, with what KVM and the IOMMU do for
// them. Each sender sends again only when its last interrupt was taken, so a lost interrupt stops
// the sender, and the wait ends: nothing else happens by which the target would find the interrupt
// after all.
#pragma once

#include <vapic/avic.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "fake_host.hpp"
#include "machine.hpp"

namespace threads {

using Clock = std::chrono::steady_clock;

constexpr auto kPatience = std::chrono::seconds(60);
constexpr u32 kTargetId = 2;
constexpr u32 kVector = 0x31;
constexpr unsigned kInterrupts = 1500; // of each sender

inline void pause(unsigned turns)
{
	while (turns--)
		std::this_thread::yield();
}

// What the glue does; a test sets some of it to false to show that the mistake is noticed.
struct Glue {
	bool log_wakes = true;		// the vCPU that an entry in the IOMMU's log names
	bool requests_look = true;	// after it has connected an interrupt of a device
	bool requests_last_look = true; // after it has taken one away
};

// The target's CPU and KVM, as far as a sender can see them.
class Host {
public:
	Host(bool hide_running, unsigned sender_count, Glue glue = {},
	     std::chrono::seconds patience = kPatience)
		: machine(hide_running), target(machine.add(kTargetId)), taken(sender_count),
		  devices_(sender_count), glue_(glue), patience_(patience)
	{
		vapic_avic_vcpu_activate(target.core());
		for (unsigned i = 0; i < sender_count; ++i)
			senders.push_back(&machine.add_active(10 + i));
		fake_host::handle_targets([this](const fake_host::Target &t) { act_on(t); });
		fake_host::handle_posting([this](vapic_vcpu *, vapic_posting how) { post(how); });
	}

	~Host()
	{
		fake_host::handle_targets({});
		fake_host::handle_posting({});
	}

	// Runs target, senders and routes until all interrupts are taken, or one is lost.
	void run();
	bool lost() const { return lost_.load(); }
	unsigned long sleeps() const { return sleeps_; }
	unsigned logged() const { return logged_.load(); }
	unsigned untold() const { return untold_.load(); }

private:
	// The IOMMU's part of an interrupt: its entry, which remaps, or posts and logs, or rings.
	struct Device {
		std::atomic<vapic_posting> entry = vapic_posting{};
		std::mutex busy;       // held by the IOMMU from when it has read the entry on
		bool assigned = false; // to the target; posting_lock_
	};

	void run_target();
	void run_sender(unsigned number);
	void run_routes();

	u32 &irr() { return static_cast<u32 *>(target.regs())[(0x200 + kVector / 32 * 0x10) / 4]; }
	bool irr_set() { return __atomic_load_n(&irr(), __ATOMIC_RELAXED); }

	// How many interrupts of each sender were taken at least.
	unsigned progress() const
	{
		unsigned least = kInterrupts;

		for (const auto &n : taken)
			least = std::min(least, n.load(std::memory_order_relaxed));
		return least;
	}

	bool done() const { return progress() == kInterrupts; }

	// Evaluation of the IRR by VMRUN or a doorbell, or injection by KVM.
	void take()
	{
		const u32 bits = __atomic_exchange_n(&irr(), 0, __ATOMIC_SEQ_CST);

		for (unsigned i = 0; i < taken.size(); ++i)
			if (bits >> (kVector + i) % 32 & 1)
				taken[i].fetch_add(1);
	}

	// Waits until `ready`; if the wait is too long, an interrupt is lost.
	template <typename Ready>
	bool wait(Ready ready)
	{
		const Clock::time_point end = Clock::now() + patience_;

		for (unsigned spins = 0; !ready(); ++spins) {
			if (lost_.load(std::memory_order_relaxed))
				return false;
			if (spins % 64 == 63)
				std::this_thread::yield();
			if (spins % 4096 == 4095 && Clock::now() > end) {
				lost_ = true;
				return false;
			}
		}
		return true;
	}

	void enter(std::minstd_rand &random);
	bool halt();
	void toggle();

	void send(unsigned number, unsigned n);
	void deliver(u32 vector);
	void send_ipi(unsigned number, u32 vector);
	void raise(unsigned number, unsigned n, u32 vector);

	// Behind a change between remapping and posting, waits for a while, and until the IOMMU is
	// done with what it does by the old entry.
	void treat(Device &device, vapic_posting how)
	{
		constexpr vapic_posting kLogs{.posts = true, .rings = false, .host = {}};

		if (how.posts != device.entry.load().posts) {
			device.entry = how.posts ? kLogs : vapic_posting{};
			pause(3);
			const std::lock_guard idle(device.busy);
		}
		device.entry = how;
	}

	void post(vapic_posting how)
	{
		const std::lock_guard locked(posting_lock_);

		for (Device &device : devices_)
			if (device.assigned)
				treat(device, how);
		vapic_avic_posting_set(target.core(), how);
	}

	void name(Device &device);
	void unname(Device &device);

	void ring() { doorbell_ = true; }
	void wake() { woken_ = true; }

	// kvm_vcpu_kick(). The doorbell is an exit, after which the loop looks at the request.
	void kick_cpu()
	{
		wake();
		if (in_guest_.load(std::memory_order_acquire))
			doorbell_ = true;
	}

	void kick()
	{
		request_ = true;
		kick_cpu();
	}

	void have_a_look()
	{
		look_ = true;
		kick_cpu();
	}

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
			if (in_guest_.load(std::memory_order_acquire))
				ring();
			break;
		case VAPIC_AVIC_TARGET_AWAKE:
			break;
		}
	}

	Machine machine;
	Vcpu &target;
	std::vector<Vcpu *> senders;
	std::vector<std::atomic<unsigned>> taken;

	std::atomic<bool> in_guest_ = false;	 // vcpu->mode
	std::atomic<bool> apicv_active_ = true;
	std::atomic<bool> request_ = false;
	std::atomic<bool> look_ = false; // KVM_REQ_APICV_UPDATE
	std::atomic<bool> doorbell_ = false;
	std::atomic<bool> woken_ = false;
	std::atomic<bool> lost_ = false;

	std::mutex posting_lock_;
	std::vector<Device> devices_; // one of each sender
	const Glue glue_;
	const std::chrono::seconds patience_;
	std::atomic<unsigned> logged_ = 0; // interrupts for which the log had an entry
	std::atomic<unsigned> untold_ = 0; // interrupts of which nobody was told

	// Used by the target's thread only.
	bool active_ = true;
	u32 on_ = 0x20;
	unsigned long sleeps_ = 0;
};

} // namespace threads
