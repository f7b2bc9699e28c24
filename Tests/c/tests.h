/* tests.h: the parts of the test program, in the order in which they run. */
#ifndef TESTS_H
#define TESTS_H

#include <stdint.h>

void test_environment(void);  /* what the library takes from the environment, each in a process of its own */
void test_constants(void);    /* versions, statuses, names, threads */
void test_options(void);      /* their defaults, names, ranges and contradictions */
void test_descriptions(void); /* parameters and states of every kind of cell, sizes of tapes */
void test_golden(const char *cases); /* every golden case, through every implementation */
void test_sizes(void); /* sizes off every tile: every implementation against the plain one in float64 */
void test_long_sequences(void); /* the same, over many steps */
void test_contract(void);       /* optional pointers, tapes, empty calls, NaN, overlapping inputs */
void test_threads(void);        /* callers at once, and after fork */
void test_refusals(void);       /* every status, provoked */

/* Runs body for every implementation that is there. */
typedef void implementation_test(int32_t implementation, void *context);
void for_each_implementation(implementation_test *body, void *context);

/* One of every kind of cell, and with the options that give it other arrays, for what holds for all cells. */
enum { SOME_CELLS = 6 };
extern const char *const some_cells[SOME_CELLS];

#endif
