/* settings.c: the version, what the environment and the process say about threads and implementations, and numbers as
 * text. */
#define _GNU_SOURCE
#include "platform.h"

#include "../CSTPN/include/stpn.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#if defined(__linux__)
#include <sched.h>
#endif

enum { MAX_THREADS = 1024 };

static _Atomic int32_t chosen_threads; /* 0: not chosen yet */

static int32_t usable_processors(void)
{
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        return (int32_t)CPU_COUNT(&set);
    }
#endif
    return (int32_t)sysconf(_SC_NPROCESSORS_ONLN);
}

static int32_t within_limits(long threads)
{
    return threads < 1 ? 1 : threads > MAX_THREADS ? MAX_THREADS : (int32_t)threads;
}

static int32_t initial_threads(void)
{
    const char *text = getenv("STPN_NUM_THREADS");
    if (text != NULL) {
        char *end;
        long threads = strtol(text, &end, 10);
        if (end != text && *end == '\0' && threads >= 1) {
            return within_limits(threads);
        }
    }
    return within_limits(usable_processors());
}

int32_t stpn_platform_get_num_threads(void)
{
    int32_t threads = atomic_load(&chosen_threads);
    if (threads == 0) {
        int32_t unset = 0;
        threads = initial_threads();
        if (!atomic_compare_exchange_strong(&chosen_threads, &unset, threads)) {
            threads = unset;
        }
    }
    return threads;
}

void stpn_platform_set_num_threads(int32_t threads) { atomic_store(&chosen_threads, threads); }

int32_t stpn_platform_max_threads(void) { return MAX_THREADS; }

/* Read once: a program may change its environment while another thread of it is in a call. */
static char requested[64];

static void read_request(void)
{
    const char *name = getenv("STPN_ISA");
    if (name != NULL) {
        snprintf(requested, sizeof requested, "%s", name);
    }
}

const char *stpn_platform_requested_implementation(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, read_request);
    return requested[0] != '\0' ? requested : NULL;
}

int32_t stpn_platform_version_number(void) { return STPN_VERSION_NUMBER; }

const char *stpn_platform_version_string(void) { return STPN_VERSION_STRING; }

void stpn_platform_format(double number, char *text)
{
    enum { ROOM = 32 };
    snprintf(text, ROOM, "%.6g", number);
    if (strtod(text, NULL) != number) {
        snprintf(text, ROOM, "%.17g", number);
    }
}
