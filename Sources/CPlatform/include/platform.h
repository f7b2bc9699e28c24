/* platform.h: what the kernel needs of the operating system and the processor and Swift without its runtime lacks.
 * Internal: neither installed nor exported. */
#ifndef STPN_PLATFORM_H
#define STPN_PLATFORM_H

#include <stdint.h>

/* Calls body(context, index, slot) for every index in 0..<count, on at most `threads` threads, the calling one among
 * them, and returns when all have returned. Which thread takes which index is left to chance; slot, in 0..<threads, is a
 * number that no two calls of body share at the same time: the place of a thread's scratch memory. */
void stpn_platform_parallel_for(int64_t count, int32_t threads, void *context,
                                void (*body)(void *context, int64_t index, int32_t slot));

/* The default number of threads: set here, or else STPN_NUM_THREADS, or else the processors that this process may use. */
int32_t stpn_platform_get_num_threads(void);
void stpn_platform_set_num_threads(int32_t threads);
int32_t stpn_platform_max_threads(void);

/* The value of STPN_ISA when it was first asked for, or NULL. */
const char *stpn_platform_requested_implementation(void);

/* A fast kernel compiled for one instruction set: runs the Job (Sequence/Job.swift) at the address, and returns the bytes
 * that it asks for, -1 for more than there can be, or 0 after a pass. */
typedef int64_t (*stpn_platform_kernel)(const void *job);

/* The kernel compiled for implementation (STPN_X86_64_V3, …), or NULL where this build has none for it or this processor
 * does not run it. STPN_BASELINE is found here where it is compiled apart (STPN_BASELINE_APART). */
stpn_platform_kernel stpn_platform_find_kernel(int32_t implementation);

/* STPN_VERSION_NUMBER and STPN_VERSION_STRING of stpn.h. */
int32_t stpn_platform_version_number(void);
const char *stpn_platform_version_string(void);

/* Writes a number as C prints it (%.17g, shorter where that says the same) to text, which has room for 32 bytes. */
void stpn_platform_format(double number, char *text);

/* libm, which Embedded Swift cannot import. */
static inline float stpn_platform_tanhf(float x) { return __builtin_tanhf(x); }
static inline double stpn_platform_tanh(double x) { return __builtin_tanh(x); }
static inline float stpn_platform_expf(float x) { return __builtin_expf(x); }
static inline double stpn_platform_exp(double x) { return __builtin_exp(x); }
static inline double stpn_platform_log(double x) { return __builtin_log(x); }

/* Asks for the cache line at an address, which need not be a valid one. */
static inline void stpn_platform_prefetch(const void *address) { __builtin_prefetch(address); }

#endif
