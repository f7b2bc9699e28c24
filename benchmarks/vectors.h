/* vectors.h: the vectors of the processor that this is compiled for, and the clock. */
#ifndef STPN_BENCHMARKS_VECTORS_H
#define STPN_BENCHMARKS_VECTORS_H

#include <time.h>

#if defined(__AVX512F__)
enum { WIDTH = 64 };
#elif defined(__AVX__)
enum { WIDTH = 32 };
#else
enum { WIDTH = 16 };
#endif

typedef float floats __attribute__((vector_size(WIDTH)));

static inline double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

#endif
