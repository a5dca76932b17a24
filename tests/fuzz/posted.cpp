// SPDX-License-Identifier: GPL-2.0-only
//
// The posted-interrupt descriptor, PIR and IRR, and the PID-pointer table: sequences of what
// software does by core, and of what hardware does by the Intel manual's rules. The oracle is a
// set of vectors in PIR, one in the IRR, and the fields of the control word.
#include <vapic/vmx.h>
#include <vapic/vmx_hot.h>

#include <bitset>
#include <optional>
#include <vector>

#include "fuzz.hpp"
#include "host.hpp"
#include "machine.hpp"

namespace {

using Vectors = std::bitset<256>;

constexpr u32 kEntries = 8;

u32 highest(const Vectors &vectors)
{
	for (u32 vector = 256; vector-- > 0;)
		if (vectors[vector])
			return vector;
	return VAPIC_NO_VECTOR;
}

class Posted {
public:
	Posted(fuzz::Input &input, u64 *pid_table) : in(input), table(pid_table)
	{
		host::ExpectBroken broken;

		pa = in.quad() & 0x000fffffffffffffull;
		if (in.byte())
			pa &= ~u64{63};
		vectors = {in.byte(), in.byte()};
		vapic_pi_vcpu_init(core(), reinterpret_cast<vapic_vcpu *>(this), descriptor(), pa,
				   regs.get(), vectors);
		HOLDS((broken.take() == std::vector{vapic::Broken::kMisalignedDescriptor}) ==
		      (pa % 64 != 0));
		check();
	}
	Posted(const Posted &) = delete;
	Posted &operator=(const Posted &) = delete;
	~Posted() { vapic_pi_vcpu_leave_table(core()); }

	void step()
	{
		const u32 what = in.below(16);
		const u8 vector = in.byte();

		switch (what) {
		case 0:
		case 1:
			software(vector);
			break;
		case 2:
		case 3:
			// Hardware sets the bit; ON follows, but not at once.
			pir[vector] = true;
			words()[vector / 64] |= u64{1} << vector % 64;
			halfway = true;
			if (in.flag())
				break;
			[[fallthrough]];
		case 4:
			hardware_on();
			break;
		case 5:
		case 6:
			sync(in.flag());
			break;
		case 7:
			discard();
			break;
		case 8:
		case 9:
			load(in.below(4));
			break;
		case 10:
			arm();
			break;
		case 11:
			vapic_pi_vcpu_suppress(core());
			sn = true;
			break;
		case 12:
			// The guest, or KVM, takes the highest.
			if (highest(irr) != VAPIC_NO_VECTOR)
				take(highest(irr));
			break;
		case 13:
			vapic_pi_vcpu_unsettle(core());
			unknown = true;
			break;
		case 14:
			vapic_pi_vcpu_leave_home(core());
			home.reset();
			break;
		default:
			if (vector & 1)
				enter(vector / 2 % (2 * kEntries));
			else
				leave();
		}
		check();
	}

private:
	vapic_pi_vcpu *core() { return static_cast<vapic_pi_vcpu *>(object.get()); }
	vapic_pi_descriptor *descriptor()
	{
		return static_cast<vapic_pi_descriptor *>(memory.get());
	}
	u64 *words() { return static_cast<u64 *>(memory.get()); }
	u32 *irr_word(u32 vector)
	{
		return static_cast<u32 *>(regs.get()) + (0x200 + vector / 32 * 16) / 4;
	}

	void software(u8 vector)
	{
		// Whoever set the bit announces it.
		const bool tells = !pir[vector] && !on;

		HOLDS(vapic_pi_post(descriptor(), vector) == tells);
		on = on || !pir[vector];
		pir[vector] = true;
	}

	// "Posted-Interrupt Processing": the second half of a post by hardware.
	void hardware_on()
	{
		if (!halfway)
			return;
		halfway = false;
		if (!on && !sn)
			words()[4] |= 1;
		on = on || !sn;
	}

	void sync(bool to_rvi)
	{
		const Vectors before = irr;
		const u32 was = highest(pir & ~irr);

		unknown = !to_rvi;
		if (on) {
			irr |= pir;
			pir.reset();
		}

		const vapic_pi_irr found = vapic_pi_vcpu_sync(core(), to_rvi);

		on = false;
		HOLDS(found.highest == highest(irr));
		HOLDS(found.fresh == (irr != before && was == found.highest));
	}

	void discard()
	{
		vapic_pi_vcpu_discard(core());
		pir.reset();
		on = false;
		unknown = true;
	}

	void load(u32 cpu)
	{
		const u32 destination = vapic_pi_destination(cpu * 0x55, x2apic);

		// NDST is the whole ID, or bits 15:8 hold 8 bits of it.
		HOLDS(destination == (x2apic ? cpu * 0x55 : (cpu * 0x55 & 0xff) << 8));
		if (in.flag()) {
			const bool can = home == cpu;

			HOLDS(vapic_pi_vcpu_resume(core(), cpu) == can);
			if (!can)
				return;
		} else {
			vapic_pi_vcpu_load(vapic_pi_on_cpu{core()}, cpu, destination);
		}
		// Who comes home has all this already, but for SN.
		if (home != cpu) {
			home = cpu;
			nv = vectors.notification;
			ndst = destination;
		}
		loaded = true;
		if (sn && pir.any())
			on = true;
		sn = false;
	}

	void arm()
	{
		// It is about to sleep, so it has been loaded.
		if (!loaded || sn)
			return;
		HOLDS(vapic_pi_vcpu_arm(core()) == on);
		nv = vectors.wakeup;
		home.reset();
	}

	void take(u32 vector)
	{
		irr[vector] = false;
		*irr_word(vector) &= ~(1u << vector % 32);
	}

	void enter(u32 id)
	{
		if (entry)
			return;

		const bool can = id < kEntries && !table[id];

		HOLDS(vapic_pi_vcpu_enter_table(core(), table, kEntries, id) == can);
		if (!can)
			return;
		entry = id;
		HOLDS(table[id] == ((pa & ~u64{63}) | 1));
	}

	void leave()
	{
		host::ExpectBroken broken;
		const bool foreign = entry && in.below(8) == 1;

		if (foreign)
			table[*entry] ^= 0x40;
		vapic_pi_vcpu_leave_table(core());
		HOLDS((broken.take() == std::vector{vapic::Broken::kEntryForeign}) == foreign);
		if (entry)
			HOLDS(!table[*entry]);
		entry.reset();
	}

	void check()
	{
		for (u32 n = 0; n < 256; ++n) {
			HOLDS((words()[n / 64] >> n % 64 & 1) == pir[n]);
			HOLDS((*irr_word(n) >> n % 32 & 1) == irr[n]);
		}
		// ON, SN, NV in bits 23:16, NDST in bits 63:32; the rest is zero.
		HOLDS(words()[4] == (u64{on} | u64{sn} << 1 | u64{nv} << 16 | u64{ndst} << 32));
		HOLDS(!words()[5] && !words()[6] && !words()[7]);
		HOLDS(vapic_pi_is_posted(descriptor()) == pir.any());
		HOLDS(vapic_pi_vcpu_settled(core()) == (!on && !unknown));
		// No vector waits in PIR without somebody who will tell.
		HOLDS(!pir.any() || on || sn || halfway);
	}

	fuzz::Input &in;
	u64 *const table;
	Block object{vapic_pi_vcpu_size(), VAPIC_PI_ALIGN};
	Block memory{64, 64};
	Block regs{4096, 4096};
	u64 pa = 0;
	vapic_pi_vectors vectors = {};
	const bool x2apic = in.flag();

	Vectors pir, irr;
	bool on = false, sn = false, halfway = false, unknown = true, loaded = false;
	u8 nv = 0;
	u32 ndst = 0;
	std::optional<u32> home, entry;
};

} // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t *bytes, std::size_t size)
{
	fuzz::Input in(bytes, size);
	u64 table[kEntries + 1] = {};
	Posted first(in, table), second(in, table);

	while (in.more())
		(in.flag() ? second : first).step();
	HOLDS(!table[kEntries]);
	return 0;
}
