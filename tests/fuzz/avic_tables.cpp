// SPDX-License-Identifier: GPL-2.0-only
//
// The physical and the logical ID table, residency, exits of IPIs and posting by the IOMMU, in
// sequences of calls as glue makes them. The oracle keeps for each vCPU what its last calls said,
// writes the tables from that by the manual's layout, and applies the manual's rule of who accepts
// an IPI to one vCPU after the other.
#include <vapic/avic.h>
#include <vapic/avic_hot.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "fuzz.hpp"
#include "host.hpp"
#include "machine.hpp"

namespace {

// What the IOMMU does with the interrupts that name a vCPU.
struct Iommu {
	bool posts;
	bool rings;
	u32 host;
};

struct Known {
	Vcpu *vcpu;
	bool active = false;
	bool asleep = false;
	bool far = false;	  // on a CPU whose APIC ID does not fit
	bool on_cpu = false;	  // between load and put, block or deactivate
	u32 last = kNowhere;	  // CPU that a sender rings
	std::optional<int> place; // in the logical table, as it has claimed it
	std::optional<Iommu> iommu;
	bool settled = true; // the vCPU's own task has looked since add
	u32 seen = 0;	     // renames before its last IPI by the logical table
};

// In the order of the manual's drawing: flat has 8 places, cluster 15 times 4.
std::optional<int> place_of(u32 ldr, u32 dfr)
{
	const u32 id = ldr >> 24;
	const bool flat = dfr >> 28 == 0xf;

	for (int n = 0; n < (flat ? 8 : 60); ++n)
		if (id == (flat ? 1u << n : static_cast<u32>(n / 4) << 4 | 1u << n % 4))
			return n;
	return {};
}

class Sequence {
public:
	explicit Sequence(fuzz::Input &input)
		: in(input), hidden(in.flag()), machine(hidden, choose(kSizes))
	{
		host::posting = [this](vapic_vcpu *glue, vapic_posting how) { ask(glue, how); };
	}
	~Sequence() { host::posting = {}; }
	Sequence(const Sequence &) = delete;
	Sequence &operator=(const Sequence &) = delete;

	void run()
	{
		for (u32 n = 0; n < 120 && in.more(); ++n) {
			step();
			HOLDS(host::take_targets().empty());
			check(false);
		}
		check(true);
	}

private:
	static constexpr u32 kSizes[] = {255, 512, 4096};
	static constexpr u32 kIds[] = {0,   1,	 2,   15,  16,	17,   253,
				       254, 255, 256, 511, 512, 4095, 4096};
	static constexpr u32 kHosts[] = {0, 1, 7, 0xfe, 0xffd, 0xffe, 0xfff, 0x1000, 0x7fffffff};
	static constexpr u32 kShapes[] = {0xffffffff, 0x0fffffff, 0xefffffff, 0};

	template <std::size_t N>
	u32 choose(const u32 (&from)[N])
	{
		return from[in.below(N)];
	}

	// One that names a place in either model, or any.
	u32 logical_id()
	{
		const u8 byte = in.byte();

		switch (byte & 3) {
		case 0:
			return in.byte();
		case 1:
			return 1u << (byte >> 2 & 7);
		default:
			return (byte & 0xf0) | 1u << (byte >> 2 & 3);
		}
	}

	Known &any()
	{
		return std::next(alive.begin(), in.below(static_cast<u32>(alive.size())))->second;
	}

	// Core asks for another treatment, only if there is such an interrupt.
	void ask(vapic_vcpu *glue, vapic_posting how)
	{
		for (auto &[id, k] : alive) {
			if (k.vcpu->host() != glue)
				continue;
			HOLDS(k.iommu);
			k.iommu = Iommu{how.posts, how.rings, how.host.raw};
			vapic_avic_posting_set(k.vcpu->core(), how);
			return;
		}
		NEVER("a vCPU that is alive");
	}

	void create()
	{
		const u32 id = choose(kIds);
		const bool stays = !alive.contains(id) && in.below(8);
		Vcpu &vcpu = machine.add(id, stays);

		HOLDS(vcpu.made() == (id < machine.ids()));
		if (vcpu.made() && stays)
			alive[id].vcpu = &vcpu;
		else if (vcpu.made())
			HOLDS(!vapic_avic_vcpu_retire(vcpu.core()));
	}

	void retire()
	{
		Known &k = any();
		Vcpu *vcpu = k.vcpu;

		if (k.iommu)
			vapic_avic_posting_end(vcpu->core());
		HOLDS(vapic_avic_vcpu_retire(vcpu->core()));
		HOLDS(!vapic_avic_vcpu_retire(vcpu->core()));
		leave(k);
		++renames;
		alive.erase(vcpu->id());
	}

	void load(Known &k, u32 host)
	{
		if (k.active && !k.asleep) {
			k.far = host > 0xffe;
			k.on_cpu = !k.far;
			k.last = k.far ? kNowhere : host;
		}
		settles(k, host);
	}

	// After each of these the IOMMU does what is right for a vCPU on `host`.
	void settles(Known &k, u32 host)
	{
		k.settled = true;
		if (!k.iommu)
			return;
		HOLDS(k.iommu->posts == k.active);
		if (k.active)
			HOLDS(k.iommu->rings == !k.asleep);
		if (k.active && !k.asleep)
			HOLDS(k.iommu->host == host);
	}

	void leave(Known &k)
	{
		// Somebody else may have the place meanwhile.
		if (k.place && logical.contains(*k.place) && logical[*k.place] == k.vcpu->id())
			vacate(*k.place);
		k.place.reset();
	}

	void vacate(int place)
	{
		left.push_back({place, logical[place], renames});
		logical.erase(place);
	}

	// LDR or DFR has changed, or the mode, or whether the vCPU is active.
	void rename(Known &k, bool x2apic)
	{
		std::optional<int> place = place_of(k.vcpu->reg(0x0d0), k.vcpu->reg(0x0e0));

		vapic_avic_vcpu_sync_logical(k.vcpu->core(), x2apic);
		// An entry has 8 bits for the ID, and FFh is the broadcast's.
		if (!k.active || x2apic || k.vcpu->id() > 0xfe)
			place.reset();
		if (place != k.place)
			leave(k);
		k.place = place;
		if (place) {
			if (logical.contains(*place) && logical[*place] != k.vcpu->id())
				vacate(*place);
			logical[*place] = k.vcpu->id();
		}
		++renames;
	}

	// Does hardware, or KVM by the same tables, send it to `id`?
	bool accepts(u64 icr, bool x2apic, u32 sender, u32 dfr, u32 id)
	{
		const u32 shorthand = icr >> 18 & 3;
		const u32 to = static_cast<u32>(x2apic ? icr >> 32 : icr >> 56);

		if (shorthand)
			return shorthand == 2 || (shorthand == 1) == (id == sender);
		if (to == (x2apic ? 0xffffffff : 0xff))
			return true;
		if (!(icr & 0x800))
			return to == id;
		if (x2apic)
			return to >> 16 == id / 16 && (to >> id % 16 & 1);
		if (dfr >> 28 != 0xf && to >> 4 == 15)
			return true; // core's choice: more than the manual asks for
		for (auto [place, owner] : logical)
			if (owner == id && covers(to, dfr, place))
				return true;
		return false;
	}

	// The manual's layout of the logical table.
	static bool covers(u32 to, u32 dfr, int place)
	{
		if (dfr >> 28 == 0xf)
			return place < 8 && (to >> place & 1);
		return static_cast<u32>(place) / 4 == to / 16 && (to >> place % 4 & 1);
	}

	// Must software do something for it?
	bool needs(const Known &k, bool all) const
	{
		return !k.active || k.asleep || k.far || hidden || all;
	}

	// Exit 401h with "target not running".
	void send(Known &from)
	{
		const bool x2apic = in.flag(), all = in.flag();
		const u32 low = in.word();
		const u32 to = x2apic ? (in.flag() ? in.half() << (in.below(2) * 16) | in.byte() :
						     ~u32{0}) :
					u32{in.byte()} << 24;
		const u64 icr = u64{to} << 32 | low;
		const u32 dfr = from.vcpu->reg(0x0e0);
		const vapic_avic_counts before = from.vcpu->counts();
		const std::set<u32> first = exit(from, icr, x2apic, all);
		// A broadcast, or one to some of each cluster, is not looked up there.
		const bool by_table = !x2apic && icr & 0x800 && !(icr >> 18 & 3) &&
				      to >> 24 != 0xff && (dfr >> 28 == 0xf || to >> 28 != 15);
		u32 woken = 0, inactive = 0;

		for (const auto &[id, k] : alive) {
			// Nobody is missed, and nobody is told who is not a destination, unless
			// hardware may have read the table before it changed.
			if (accepts(icr, x2apic, from.vcpu->id(), dfr, id))
				HOLDS(first.contains(id) == needs(k, all));
			else if (!by_table || from.seen == renames)
				HOLDS(!first.contains(id));
			if (first.contains(id)) {
				inactive += !k.active;
				woken += k.active && k.asleep;
			}
		}
		// Nor is missed who had the place when hardware read the table, before it changed.
		if (by_table)
			for (const Left &l : left)
				if (l.when >= from.seen && covers(to >> 24, dfr, l.place) &&
				    alive.contains(l.id))
					HOLDS(first.contains(l.id) == needs(alive.at(l.id), all));
		HOLDS(from.vcpu->counts().ipi_exits[1] == before.ipi_exits[1] + 1);
		HOLDS(from.vcpu->counts().ipi_woken == before.ipi_woken + woken);
		HOLDS(from.vcpu->counts().ipi_inactive == before.ipi_inactive + inactive);

		// The table is at rest, as this sender has seen: now nobody is told needlessly.
		if (by_table)
			from.seen = renames;
		const std::set<u32> second = exit(from, icr, x2apic, all);

		for (const auto &[id, k] : alive)
			if (second.contains(id))
				HOLDS(accepts(icr, x2apic, from.vcpu->id(), dfr, id));
	}

	std::set<u32> exit(Known &from, u64 icr, bool x2apic, bool all)
	{
		std::set<u32> told;

		HOLDS(incomplete_ipi(from.vcpu->core(), icr, 0x100000000ull | in.half(), all,
				     x2apic) == VAPIC_AVIC_IPI_DONE);
		for (const host::Target &target : host::take_targets()) {
			const auto found = std::find_if(alive.begin(), alive.end(), [&](auto &it) {
				return it.second.vcpu->host() == target.glue;
			});

			HOLDS(found != alive.end());
			HOLDS(target.icr_low == static_cast<u32>(icr));
			HOLDS(told.insert(found->first).second);

			const Known &k = found->second;

			HOLDS(target.how == (!k.active	     ? VAPIC_AVIC_TARGET_INACTIVE :
					     k.asleep	     ? VAPIC_AVIC_TARGET_ASLEEP :
					     k.far || hidden ? VAPIC_AVIC_TARGET_UNSEEN :
							       VAPIC_AVIC_TARGET_AWAKE));
		}
		return told;
	}

	void post(Known &k)
	{
		const u32 here = in.below(0xfff);
		const bool first = !k.iommu;
		const vapic_posting told = vapic_avic_posting_add(k.vcpu->core(), here);

		if (first) {
			// The attention byte is known, only the CPU is a guess.
			HOLDS(told.posts == k.active);
			if (k.active)
				HOLDS(told.rings == !k.asleep);
			if (k.active && !k.asleep)
				HOLDS(told.host.raw == (k.last == kNowhere ? here : k.last));
		} else {
			HOLDS(told.posts == k.iommu->posts && told.rings == k.iommu->rings);
			HOLDS(told.host.raw == k.iommu->host);
		}
		k.iommu = Iommu{told.posts, told.rings, told.host.raw};
		k.settled = false;
		vapic_avic_posting_set(k.vcpu->core(), told);
	}

	void step()
	{
		const u32 what = in.below(16);

		if (alive.empty() || what == 0)
			return create();

		Known &k = any();
		vapic_avic_vcpu *core = k.vcpu->core();
		const u32 host = choose(kHosts);

		switch (what) {
		case 1:
			return retire();
		case 2:
		case 3:
			vapic_avic_vcpu_load(core, host);
			return load(k, host);
		case 4:
			vapic_avic_vcpu_put(core);
			k.on_cpu = false;
			return;
		case 5:
		case 6:
			vapic_avic_vcpu_block(core);
			k.asleep = true;
			k.on_cpu = false;
			return settles(k, 0);
		case 7:
			vapic_avic_vcpu_unblock(core, host);
			k.asleep = false;
			return load(k, host);
		case 8:
		case 9:
			vapic_avic_vcpu_activate(core);
			k.active = true;
			k.settled = false; // until the load that must follow
			return rename(k, false);
		case 10:
			vapic_avic_vcpu_deactivate(core);
			k.active = false;
			k.on_cpu = false;
			settles(k, 0);
			return rename(k, false);
		case 11:
		case 12:
			k.vcpu->set_reg(0x0d0, logical_id() << 24 | in.byte());
			k.vcpu->set_reg(0x0e0, choose(kShapes));
			return rename(k, in.below(6) == 0);
		case 13:
			if (k.iommu && in.flag()) {
				vapic_avic_posting_end(core);
				k.iommu.reset();
				return;
			}
			return post(k);
		default:
			return send(k);
		}
	}

	// All that hardware and senders read.
	void check(bool whole)
	{
		std::map<u32, u64> expected;

		for (const auto &[id, k] : alive) {
			u64 &entry = expected[id];

			// Valid, the register page's address, and the CPU; bit 62 is IsRunning.
			entry = 0x8000000000000000ull | k.vcpu->regs_pa() | k.last;
			if (k.on_cpu && !hidden)
				entry |= 0x4000000000000000ull;
			HOLDS(machine.attention()[id] == k.asleep + 2 * !k.active + 4 * k.far);
			HOLDS(vapic_avic_vcpu_must_wake(k.vcpu->core()) == k.asleep);
			HOLDS(vapic_avic_vcpu_host_id(k.vcpu->core()) == k.last);
			HOLDS(vapic_avic_vm_find(machine.core(), id) == k.vcpu->host());
			HOLDS(vapic_avic_vcpu_posts(k.vcpu->core()) == (k.iommu && k.iommu->posts));
			// An interrupt that is posted for a vCPU that sleeps makes an entry.
			if (k.iommu && k.settled && k.asleep && k.active)
				HOLDS(k.iommu->posts && !k.iommu->rings);
		}
		for (const u32 id : kIds)
			if (id < machine.ids())
				HOLDS(machine.physical(id) == expected[id]);
		for (int place = 0; place < 60; ++place)
			HOLDS(machine.logical(static_cast<u32>(place)) ==
			      (logical.contains(place) ? 0x80000000u | logical[place] : 0));
		if (!whole)
			return;
		for (u32 id = 0; id < machine.ids(); ++id)
			HOLDS(!machine.physical(id) || alive.contains(id));
		for (u32 place = 60; place < 1024; ++place)
			HOLDS(machine.logical(place) == 0);
	}

	fuzz::Input &in;
	const bool hidden;
	Machine machine;
	std::map<u32, Known> alive;
	std::map<int, u32> logical; // who has the place
	u32 renames = 0;	    // after which the logical table may have changed

	struct Left {
		int place;
		u32 id;
		u32 when; // renames before
	};
	std::vector<Left> left; // who had a place, and has lost it
};

} // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t *bytes, std::size_t size)
{
	fuzz::Input in(bytes, size);

	Sequence(in).run();
	return 0;
}
