/* cores.h: the processors that the workers of the pool may run on.
 *
 * A system that is free to choose often wakes a worker on the processor of the thread that wakes it, although another is
 * idle: in a virtual machine an idle processor looks like one that the host has given away. There the worker waits until
 * its caller has done all the work.
 */
#ifndef STPN_CORES_H
#define STPN_CORES_H

#include <pthread.h>
#include <stdint.h>

#ifdef __linux__

#include <sched.h>

typedef cpu_set_t cores;

/* Those that the calling thread may use, without the one that it runs on if at least `needed` others are left. None where
 * the system has more of them than fit. */
static inline cores cores_beside_caller(int32_t needed)
{
    cores allowed, others;
    CPU_ZERO(&allowed);
    if (pthread_getaffinity_np(pthread_self(), sizeof allowed, &allowed) != 0) {
        return allowed;
    }
    others = allowed;
    int core = sched_getcpu();
    if (core >= 0 && core < CPU_SETSIZE) {
        CPU_CLR((size_t)core, &others);
    }
    return CPU_COUNT(&others) < needed ? allowed : others;
}

/* `now` is where the thread was sent before. */
static inline void send_to_cores(pthread_t thread, cores *now, const cores *wanted)
{
    if (CPU_COUNT(wanted) > 0 && !CPU_EQUAL(now, wanted) &&
        pthread_setaffinity_np(thread, sizeof *wanted, wanted) == 0) {
        *now = *wanted;
    }
}

#else

/* Nothing: the system chooses. */
typedef char cores;

static inline cores cores_beside_caller(int32_t needed) { return (void)needed, 0; }

static inline void send_to_cores(pthread_t thread, cores *now, const cores *wanted)
{
    (void)thread, (void)now, (void)wanted;
}

#endif

#endif
