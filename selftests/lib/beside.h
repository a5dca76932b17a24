/* SPDX-License-Identifier: GPL-2.0-only */
/* A thread of the host that does something beside a test. There is one at a time. */
#ifndef SELFTESTS_LIB_BESIDE_H
#define SELFTESTS_LIB_BESIDE_H

#include <stdbool.h>

#include "vm.h"

/* What the thread does, until this is set. */
extern volatile bool beside_ends;

void beside(void *(*what)(void *), struct vm *vm);
void beside_stop(void);

/* For beside(): takes the processor of vCPU 0 from it again and again. */
void *beside_compete(void *vm);

#endif
