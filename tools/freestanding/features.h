/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stands in for the C library's features.h, which libstdc++ includes to learn what
 * that library offers.  In the kernel there is none, so it offers nothing.
 */
#ifndef VAPIC_FREESTANDING_FEATURES_H
#define VAPIC_FREESTANDING_FEATURES_H

#define __GLIBC_PREREQ(major, minor) 0

#endif
