/* SPDX-License-Identifier: GPL-2.0-only */
/* Turns a decision about the machine into the result of init, which may refuse it. */
#ifndef VAPIC_TAKEOVER_REFUSE_H
#define VAPIC_TAKEOVER_REFUSE_H

#include <linux/errno.h>

#include <vapic/eligibility.h>

#include "../kvm/log.h"

/* 0, or a negative errno with the reason logged. */
static inline int vapic_refuse(enum vapic_decision decision)
{
	if (decision == VAPIC_ACCELERATED)
		return 0;

	vapic_err("%s\n", vapic_decision_reason(decision));
	switch (decision) {
	case VAPIC_NO_AVIC:
	case VAPIC_NO_APICV:
	case VAPIC_NO_IPIV:
		return -ENODEV;
	default:
		return -EOPNOTSUPP;
	}
}

#endif
