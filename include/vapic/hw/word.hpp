// SPDX-License-Identifier: GPL-2.0-only
//
// One hardware word as a value: an immutable class over one integer of the width the hardware
// uses, made of named fields. Each word of several asserts by disjoint() which of
// them share no bit.
//
// A field knows its place; a word knows which fields are its own. Whole integers come in and go
// out only by the explicit constructor and raw(), for memory and for C. Everything else goes by
// field, so a wrong unit, a wrong width or a field of another register does not compile. Memory
// is not touched here: slot types (atomic.hpp) do that through named operations.
#pragma once

#include <concepts>
#include <cstdint>
#include <type_traits>

#include <vapic/hw/broken.hpp>

namespace vapic::hw {

// What a field may hold: a plain unsigned integer, bool, an enum, or a unit type
// (units.hpp) that converts by `raw()` and is explicit to construct.
// clang-format off
template <typename V>
concept UnitValue = requires(V v) {
	typename V::Raw;
	{ v.raw() } -> std::same_as<typename V::Raw>;
	V{typename V::Raw{}};
};
// clang-format on

template <typename V>
concept FieldValue = UnitValue<V> || std::unsigned_integral<V> || std::is_enum_v<V>;

// `Self` is the word type the field belongs to, `R` its access width.
template <typename Self, std::unsigned_integral R, typename Value, unsigned Low, unsigned Width>
struct Field {
	using Raw = R;
	static constexpr unsigned kLow = Low;

	static_assert(Width >= 1 && Low + Width <= 8 * sizeof(Raw), "field leaves its word");
	static_assert(FieldValue<Value>, "a field holds an unsigned integer, bool, enum or unit");
	static_assert(Width <= (std::same_as<Value, bool> ? 1 : 8 * sizeof(Value)) &&
			      sizeof(Value) <= sizeof(Raw),
		      "field and value differ in width");

	static constexpr Raw kMax =
		Width == 8 * sizeof(Raw) ? ~Raw{0} : (Raw{1} << (Width % (8 * sizeof(Raw)))) - 1;
	static constexpr Raw kMask = kMax << Low;

	static constexpr Value decode(Raw word)
	{
		const Raw bits = static_cast<Raw>((word & kMask) >> Low);

		if constexpr (UnitValue<Value>)
			return Value{static_cast<typename Value::Raw>(bits)};
		else
			return static_cast<Value>(bits);
	}

	// A value that does not fit is a bug of the caller; it must never spill into a
	// neighbouring field, so it is reported and masked.
	static constexpr Raw encode(Value value)
	{
		Raw bits;

		if constexpr (UnitValue<Value>)
			bits = value.raw();
		else
			bits = static_cast<Raw>(value);
		if (bits > kMax)
			broken(Broken::kFieldOverflow);
		return static_cast<Raw>((bits & kMax) << Low);
	}
};

// Base of every word type; `Self` is the type itself, `R` the access width.
template <typename Self, std::unsigned_integral R>
class Word {
public:
	using Raw = R;

	template <typename Value, unsigned Low, unsigned Width>
	using At = Field<Self, R, Value, Low, Width>;

	constexpr Word() = default;
	constexpr explicit Word(Raw raw) : raw_(raw) {}

	[[nodiscard]] constexpr Raw raw() const { return raw_; }

	template <typename Value, unsigned Low, unsigned Width>
	[[nodiscard]] constexpr Value get(At<Value, Low, Width> field) const
	{
		return field.decode(raw_);
	}

	template <typename Value, unsigned Low, unsigned Width>
	[[nodiscard]] constexpr Self with(At<Value, Low, Width> field, Value value) const
	{
		return Self{static_cast<Raw>((raw_ & ~field.kMask) | field.encode(value))};
	}

	friend constexpr bool operator==(Word a, Word b) { return a.raw_ == b.raw_; }

private:
	Raw raw_ = 0;
};

// True if no two of the masks share a bit.
template <typename R>
constexpr bool disjoint(R first, std::same_as<R> auto... rest)
{
	R seen = first;
	bool ok = true;

	((ok = ok && !(seen & rest), seen |= rest), ...);
	return ok;
}

} // namespace vapic::hw
