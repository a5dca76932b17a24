// SPDX-License-Identifier: GPL-2.0-only
#include "threads_host.hpp"

#include <vapic/avic_hot.h>
#include <vapic/lapic_hot.h>

namespace threads {
namespace {

// A fence that ThreadSanitizer understands: a locked operation on a private word of the thread.
void full_barrier()
{
	thread_local std::atomic<unsigned> word;

	word.fetch_add(1);
}

} // namespace

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

} // namespace threads
