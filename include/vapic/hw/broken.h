/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Report a broken invariant by its number in vapic::Broken, which is below 64. The kernel warns
 * once for each number; a test fails.
 */
#ifndef VAPIC_HW_BROKEN_H
#define VAPIC_HW_BROKEN_H

#include <vapic/types.h>

VAPIC_C_BEGIN

#ifdef __cplusplus
[[gnu::cold]]
#endif
void vapic_host_broken(u32 what);

VAPIC_C_END

#endif
