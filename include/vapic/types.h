/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The scalar types that C glue and C++ core exchange, defined for each language.
 */
#ifndef VAPIC_TYPES_H
#define VAPIC_TYPES_H

#ifdef __cplusplus
#include <cstdint>
using u8 = std::uint8_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
#define VAPIC_C_BEGIN extern "C" {
#define VAPIC_C_END }
#else
#include <linux/types.h>
#define VAPIC_C_BEGIN
#define VAPIC_C_END
#endif

/* What the glue of either vendor keeps for a vCPU. To core it is an opaque handle. */
struct vapic_vcpu;

/* Physical APIC ID of a host CPU: a type of its own, so that no guest's ID passes for one. */
struct vapic_host_id {
	u32 raw;
};

/* In place of an interrupt vector: there is none. */
#define VAPIC_NO_VECTOR 0xffffffffu

#endif
