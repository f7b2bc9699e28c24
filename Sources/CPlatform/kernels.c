/* kernels.c: the kernels compiled for x86-64's instruction sets, and which of them this processor runs.
 *
 * A build that compiles the Swift sources once per instruction set defines STPN_WITH_X86_64_KERNELS, and STPN_BASELINE_APART
 * where the baseline is one of them; the Swift package, which compiles them once, does not, and finds none here. */
#include "platform.h"

#include "../CSTPN/include/stpn.h"

#include <stddef.h>

#if defined(STPN_WITH_X86_64_KERNELS) && defined(__x86_64__)

int64_t stpn_kernel_baseline(const void *job);
int64_t stpn_kernel_x86_64_v3(const void *job);
int64_t stpn_kernel_x86_64_v4(const void *job);

stpn_platform_kernel stpn_platform_find_kernel(int32_t implementation)
{
#ifdef STPN_BASELINE_APART
    if (implementation == STPN_BASELINE) {
        return stpn_kernel_baseline;
    }
#endif
    __builtin_cpu_init();
    int v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
             __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("f16c") &&
             __builtin_cpu_supports("lzcnt") && __builtin_cpu_supports("movbe");
    int v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
             __builtin_cpu_supports("avx512vl");
    if (implementation == STPN_X86_64_V3 && v3) {
        return stpn_kernel_x86_64_v3;
    }
    if (implementation == STPN_X86_64_V4 && v4) {
        return stpn_kernel_x86_64_v4;
    }
    return NULL;
}

#else

stpn_platform_kernel stpn_platform_find_kernel(int32_t implementation)
{
    (void)implementation;
    return NULL;
}

#endif
