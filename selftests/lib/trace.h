/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Records trace events of the host as text, in an instance of tracefs of this process's own.
 */
#ifndef SELFTESTS_LIB_TRACE_H
#define SELFTESTS_LIB_TRACE_H

#include <stdbool.h>
#include <stdint.h>

/* An event is named "system/event".  On an error all of these end the process as a failed test. */

/* Why this process cannot do so, or NULL if it can. */
const char *trace_unavailable(void);

/* Makes the instance, in which lines are in the order in which the events happened, and ends it. */
void trace_begin(void);
void trace_end(void);

/* Removes the instances of tests that have ended without trace_end(). */
void trace_clean_up(void);

/* Records what this thread does, and those that it starts from now on: no other VM of the host. */
void trace_own_alone(void);

/* Whether the kernel has the event.  After trace_begin(). */
bool trace_has(const char *event);

/* Turns the event on, for those that @filter selects by fields (NULL: all), and off. */
void trace_on(const char *event, const char *filter);
void trace_off(const char *event);

/* Forgets what was recorded. */
void trace_clear(void);

/* How many recorded lines contain the text; prints all of them if asked to. */
unsigned int __attribute__((format(printf, 1, 2))) trace_count(const char *format, ...);
void trace_print(void);

/*
 * The place, from 1, of the first line behind the place @after that contains the text; 0 if
 * there is none.
 */
unsigned int __attribute__((format(printf, 2, 3)))
trace_place(unsigned int after, const char *format, ...);

/* The file "format" of the event, to be freed. */
char *trace_format_of(const char *event);

#endif
