// SPDX-License-Identifier: GPL-2.0-only
//
// Real threads on the same tables: senders, devices that come and go, and a target that runs,
// is preempted, sleeps and has acceleration turned off. Each sender sends again only when its last
// interrupt was taken, so a lost interrupt stops the sender, and the test times out: then nothing
// else happens by which the target would find the interrupt after all. With
// ThreadSanitizer this also shows that core's memory is accessed either atomically or by one thread
// only.
#include <vapic/avic.h>
#include <vapic/avic_hot.h>
#include <vapic/lapic_hot.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "fake_host.hpp"
#include "machine.hpp"

namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kPatience = std::chrono::seconds(60);
constexpr u32 kTargetId = 2;
constexpr u32 kVector = 0x31;
constexpr unsigned kInterrupts = 1500; // of each sender

// A fence that ThreadSanitizer understands: a locked operation on a private word of the thread.
void full_barrier()
{
	thread_local std::atomic<unsigned> word;

	word.fetch_add(1);
}

void pause(unsigned turns)
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

// Stays in the guest for a while. An interrupt with a doorbell is taken at once; without a
// doorbell nothing makes the CPU look at the IRR again.
void Host::enter(std::minstd_rand &random)
{
	if (look_.exchange(false))
		vapic_avic_vcpu_unblock(target.core(), on_);
	if (request_.exchange(false) && !active_)
		take();
	doorbell_.store(false, std::memory_order_relaxed);
	in_guest_.store(true, std::memory_order_release);
	full_barrier();
	if (request_.load(std::memory_order_relaxed) || look_.load(std::memory_order_relaxed)) {
		in_guest_.store(false, std::memory_order_release);
		return;
	}
	if (active_)
		take();
	// Stays until something arrives, which reveals a lost doorbell, or only for a moment.
	const bool until_called = random() % 4 == 0;

	for (unsigned long left = random() % 200; until_called || left--;) {
		if (doorbell_.exchange(false)) {
			if (active_)
				take();
			break;
		}
		if (done() || lost_.load(std::memory_order_relaxed))
			break;
		if (left % 64 == 0)
			std::this_thread::yield();
	}
	in_guest_.store(false, std::memory_order_release);
}

bool Host::halt()
{
	bool ok = true;

	++sleeps_;
	woken_.store(false, std::memory_order_relaxed);
	vapic_avic_vcpu_block(target.core());
	if (sleeps_ % 3 == 0) {
		vapic_avic_vcpu_put(target.core());
		on_ ^= 1;
		vapic_avic_vcpu_load(target.core(), on_);
	}
	while (ok && !irr_set() && !done())
		ok = wait([this] { return woken_.exchange(false) || done(); });
	vapic_avic_vcpu_unblock(target.core(), on_);
	return ok;
}

void Host::toggle()
{
	active_ = !active_;
	apicv_active_.store(active_, std::memory_order_relaxed);
	if (active_) {
		vapic_avic_vcpu_activate(target.core());
		vapic_avic_vcpu_load(target.core(), on_);
	} else {
		vapic_avic_vcpu_deactivate(target.core());
		take();
	}
}

void Host::run_target()
{
	std::minstd_rand random(1);

	vapic_avic_vcpu_load(target.core(), on_);
	while (!done() && !lost()) {
		switch (random() % 8) {
		case 0:
		case 1:
		case 2:
			if (!halt())
				return;
			break;
		case 3:
			vapic_avic_vcpu_put(target.core());
			on_ ^= 1;
			vapic_avic_vcpu_load(target.core(), on_);
			break;
		case 4:
			toggle();
			break;
		default:
			break;
		}
		enter(random);
	}
}

// vapic_svm_deliver_interrupt()
void Host::deliver(u32 vector)
{
	vapic_lapic_set_irr(target.regs(), static_cast<u8>(vector));

	const bool in_guest = in_guest_.load(std::memory_order_acquire);

	if (!apicv_active_.load(std::memory_order_relaxed))
		kick();
	else if (in_guest)
		ring();
	else if (vapic_avic_vcpu_must_wake(target.core()))
		wake();
}

void Host::send_ipi(unsigned number, u32 vector)
{
	__atomic_fetch_or(&irr(), 1u << vector % 32, __ATOMIC_SEQ_CST);

	const u64 entry = __atomic_load_n(&machine.physical()[kTargetId], __ATOMIC_RELAXED);

	if (entry & kEntryRunning) {
		ring();
		return;
	}
	full_barrier();
	static_cast<void>(incomplete_ipi(senders[number]->core(), u64{kTargetId} << 56 | vector,
					      0x100000000ull, false));
}

// An assigned device raises its interrupt. The IOMMU has cached whether it posts, but not whom it
// tells; of an entry that remaps by then, nobody is told.
void Host::raise(unsigned number, unsigned n, u32 vector)
{
	Device &device = devices_[number];
	vapic_posting now{};
	bool posts;

	{
		const std::lock_guard busy(device.busy);

		posts = device.entry.load().posts;
		if (posts) {
			pause(n % 4);
			__atomic_fetch_or(&irr(), 1u << vector % 32, __ATOMIC_SEQ_CST);
			now = device.entry.load();
		}
	}
	if (!posts) {
		deliver(vector);
	} else if (now.rings) {
		ring();
	} else if (now.posts) {
		++logged_;
		if (glue_.log_wakes)
			wake();
	} else {
		++untold_;
	}
}

void Host::send(unsigned number, unsigned n)
{
	const u32 vector = kVector + number;

	switch ((n + number) % 3) {
	case 0:
		return deliver(vector);
	case 1:
		return send_ipi(number, vector);
	default:
		return raise(number, n, vector);
	}
}

void Host::run_sender(unsigned number)
{
	for (unsigned n = 0; n < kInterrupts; ++n) {
		send(number, n);
		if (!wait([&] { return taken[number].load() > n; }))
			return;
	}
}

void Host::name(Device &device)
{
	const std::lock_guard locked(posting_lock_);
	const vapic_posting how = vapic_avic_posting_add(target.core(), 0x20);

	treat(device, how);
	device.assigned = true;
	vapic_avic_posting_set(target.core(), how);
}

void Host::unname(Device &device)
{
	const std::lock_guard locked(posting_lock_);

	treat(device, {});
	device.assigned = false;
	if (std::none_of(devices_.begin(), devices_.end(),
			 [](const Device &d) { return d.assigned; }))
		vapic_avic_posting_end(target.core());
}

// KVM connects devices with the target and takes them away, a few interrupts later each time. What
// it requests makes the target find any interrupt, so it must not go on when one is lost.
void Host::run_routes()
{
	std::minstd_rand random(2);

	for (unsigned long n = 0; n < kInterrupts; n += 1 + random() % 8) {
		if (!wait([&] { return progress() >= n; }))
			return;

		Device &device = devices_[random() % devices_.size()];
		const bool comes = !device.assigned; // only this thread changes it

		if (comes)
			name(device);
		else
			unname(device);
		if (comes ? glue_.requests_look : glue_.requests_last_look)
			have_a_look();
	}
}

void Host::run()
{
	std::vector<std::jthread> threads;

	threads.emplace_back([this] { run_target(); });
	threads.emplace_back([this] { run_routes(); });
	for (unsigned i = 0; i < taken.size(); ++i)
		threads.emplace_back([this, i] { run_sender(i); });
}

class Threads : public testing::TestWithParam<std::tuple<bool, unsigned>> {};

TEST_P(Threads, LoseNoInterrupt)
{
	const auto [hidden, senders] = GetParam();
	Host host(hidden, senders);

	host.run();
	EXPECT_FALSE(host.lost());
	// Otherwise the interesting half was not tested.
	EXPECT_GT(host.sleeps(), kInterrupts / 100);
	EXPECT_GT(host.logged(), 0u);
	std::printf("%lu sleeps, %u interrupts logged, %u told to nobody\n", host.sleeps(),
		    host.logged(), host.untold());
}

INSTANTIATE_TEST_SUITE_P(HiddenAndSenders, Threads,
			 testing::Combine(testing::Bool(), testing::Values(1u, 2u)));

// --- Mistakes, each of which loses an interrupt soon: most often in the first round ---

bool loses(Glue glue)
{
	for (unsigned round = 0; round < 10; ++round) {
		Host host(false, 1, glue, std::chrono::seconds(2));

		host.run();
		if (host.lost())
			return true;
	}
	return false;
}

TEST(ThreadsMistake, LogThatWakesNobody)
{
	EXPECT_TRUE(loses({.log_wakes = false}));
}

TEST(ThreadsMistake, NoRequestAfterTheGuess)
{
	EXPECT_TRUE(loses({.requests_look = false}));
}

TEST(ThreadsMistake, NoRequestAfterTheDeviceHasGone)
{
	EXPECT_TRUE(loses({.requests_last_look = false}));
}

// Every vCPU moves its logical ID over entries that other vCPUs use, too. Afterwards each entry
// is empty or names a vCPU that has that ID.
TEST(LogicalTable, IsWholeAfterAllMoveAtOnce)
{
	constexpr unsigned kVcpus = 4;
	Machine machine;
	std::vector<Vcpu *> vcpus;

	for (unsigned i = 0; i < kVcpus; ++i)
		vcpus.push_back(&machine.add_active(i));
	{
		std::vector<std::jthread> threads;

		for (unsigned i = 0; i < kVcpus; ++i)
			threads.emplace_back([&vcpus, i] {
				std::minstd_rand random(i + 1);

				for (unsigned n = 0; n < 20000; ++n) {
					vcpus[i]->set_ldr(1u << random() % 3);
					vapic_avic_vcpu_sync_logical(vcpus[i]->core(), false);
				}
			});
	}
	for (u32 index = 0; index < 1024; ++index) {
		const u32 entry = machine.logical(index);

		if (!entry)
			continue;
		ASSERT_LT(entry & 0xff, kVcpus);
		EXPECT_EQ(entry & ~0xffu, 0x80000000u);
		EXPECT_EQ(vcpus[entry & 0xff]->reg(0x0d0), 0x01000000u << index);
	}
}

// Two vCPUs with one ID are created at the same time: the one that stays has the entry.
TEST(Creation, OfOneIdAtATimeGivesTheEntryToTheOneThatStays)
{
	for (unsigned round = 0; round < 200; ++round) {
		Machine machine;
		Block objects[2] = {{vapic_avic_vcpu_size(), VAPIC_AVIC_ALIGN},
				    {vapic_avic_vcpu_size(), VAPIC_AVIC_ALIGN}};
		Block regs[2] = {{4096, 4096}, {4096, 4096}};
		// As vapic_host_vcpu_stays() of the fake host reads it.
		char host[2] = {round % 2 == 0, round % 2 == 1};

		{
			std::vector<std::jthread> threads;

			for (unsigned i = 0; i < 2; ++i)
				threads.emplace_back([&, i] {
					auto *vcpu = static_cast<vapic_avic_vcpu *>(objects[i].get());

					EXPECT_TRUE(vapic_avic_vcpu_init(vcpu, machine.core(), reinterpret_cast<vapic_vcpu *>(&host[i]), 7,
									 regs[i].get(), 0x100000 * (i + 1)));
					vapic_avic_vcpu_activate(vcpu);
					vapic_avic_vcpu_load(vcpu, i);
					vapic_avic_vcpu_put(vcpu);
					if (host[i]) {
						EXPECT_FALSE(vapic_avic_vcpu_retire(vcpu));
					}
				});
		}
		EXPECT_EQ(machine.physical(7), kEntryValid | (host[0] ? 0x200001u : 0x100000u));
	}
}

// A vCPU with an ID that was in use before is created and retired while another vCPU broadcasts:
// core reports it to the host only after its creation. Each round waits until a broadcast has
// found the vCPU, so that ThreadSanitizer sees both sides.
TEST(Creation, IsNotSeenHalfDoneByASender)
{
	constexpr unsigned kRounds = 300;
	Machine machine(true);
	Vcpu &sender = machine.add_active(9);
	std::vector<std::unique_ptr<Vcpu>> made;
	std::atomic<bool> stop = false;
	std::atomic<unsigned> nobody = 0;
	std::atomic<void *> found = nullptr;

	fake_host::handle_targets([&](const fake_host::Target &t) {
		nobody += !t.glue;
		if (t.glue != sender.host())
			found.store(t.glue, std::memory_order_relaxed);
	});
	{
		std::jthread broadcasts([&] {
			while (!stop.load(std::memory_order_relaxed))
				static_cast<void>(incomplete_ipi(sender.core(), 0xff00000000000041ull,
								      0x100000000ull, false));
		});
		const Clock::time_point end = Clock::now() + kPatience;

		for (unsigned i = 0; i < kRounds && Clock::now() < end; ++i) {
			made.push_back(std::make_unique<Vcpu>(machine, 3));
			EXPECT_TRUE(made.back()->made());
			while (found.load(std::memory_order_relaxed) != made.back()->host() &&
			       Clock::now() < end)
				std::this_thread::yield();
			vapic_avic_vcpu_retire(made.back()->core());
		}
		stop = true;
	}
	fake_host::handle_targets({});
	EXPECT_EQ(made.size(), kRounds) << "a broadcast did not find a vCPU in time";
	EXPECT_EQ(nobody.load(), 0u);
}

} // namespace
