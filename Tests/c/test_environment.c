/* What the library takes from the environment. It may read that once, so every test is a process of its own, forked
 * before this one has called the library. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "call.h"
#include "check.h"
#include "tests.h"

static void in_child(const char *variable, const char *value, void (*body)(void))
{
    int ends[2];
    if (pipe(ends) != 0)
        fatal("no pipe");
    fflush(stdout);
    pid_t child = fork();
    if (child < 0)
        fatal("no child");
    if (child == 0) {
        setenv(variable, value, 1);
        test_begin("%s=%s", variable, value);
        body();
        test_end();
        test_child_exit(ends[1]);
    }
    close(ends[1]);
    test_child_count(ends[0]);
    close(ends[0]);
    waitpid(child, NULL, 0);
}

static void expect_plain_is_best(void)
{
    EXPECT(stpn_best_implementation() == STPN_PLAIN, "%d", stpn_best_implementation());
}

static void expect_baseline_is_best(void)
{
    EXPECT(stpn_best_implementation() == STPN_BASELINE, "%d", stpn_best_implementation());
}

static void expect_any_is_best(void)
{
    EXPECT(stpn_implementation_available(stpn_best_implementation()) == 1, "%d", stpn_best_implementation());
}

static int32_t small_forward_size(int32_t implementation, stpn_error *error)
{
    size_t bytes;
    stpn_cell cell;
    if (stpn_cell_init(&cell, STPN_CELL_STPN, NULL) != STPN_OK)
        fatal("stpn_cell_init fails");
    cell.input_size = cell.hidden_size = 3;
    stpn_run run = {.struct_size = sizeof run, .batch = 1, .time = 1, .implementation = implementation};
    return stpn_workspace_size(&cell, &run, STPN_PASS_FORWARD, &bytes, error);
}

static void expect_no_best(void)
{
    stpn_error error = {.struct_size = sizeof error};
    EXPECT(stpn_best_implementation() == 0, "%d", stpn_best_implementation());
    EXPECT(small_forward_size(STPN_BEST, &error) == STPN_ERROR_IMPLEMENTATION, "not refused");
    EXPECT(strstr(error.message, "nonsense") != NULL, "the message does not name it: %s", error.message);
    EXPECT(strstr(error.message, "STPN_ISA") != NULL, "the message does not name STPN_ISA: %s", error.message);
    EXPECT(small_forward_size(STPN_PLAIN, NULL) == STPN_OK, "another is refused too");
}

static void expect_three_threads(void) { EXPECT(stpn_get_num_threads() == 3, "%d", stpn_get_num_threads()); }

/* What is no number of threads leaves the default. */
static void expect_default_threads(void)
{
    EXPECT(stpn_get_num_threads() >= 1 && stpn_get_num_threads() <= 1024, "%d", stpn_get_num_threads());
}

void test_environment(void)
{
    in_child("STPN_ISA", "plain", expect_plain_is_best);
    in_child("STPN_ISA", "baseline", expect_baseline_is_best);
    in_child("STPN_ISA", "", expect_any_is_best);
    in_child("STPN_ISA", "nonsense", expect_no_best);
    in_child("STPN_NUM_THREADS", "3", expect_three_threads);
    in_child("STPN_NUM_THREADS", "0", expect_default_threads);
    in_child("STPN_NUM_THREADS", "-2", expect_default_threads);
    in_child("STPN_NUM_THREADS", "many", expect_default_threads);
    in_child("STPN_NUM_THREADS", "99999999999999999999", expect_default_threads);
}
