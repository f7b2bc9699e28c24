/* lanes.h: a·b + c of whole vectors, as wide as Lanes in Math/Real.swift. SIMD's own addingProduct reaches the compiler's
 * back end as an operation on each element, which it joins to vectors of half the width where registers are short.
 * Internal, and for Swift alone: nothing calls it where the instruction set has no fused multiply-add. */
#ifndef STPN_LANES_H
#define STPN_LANES_H

#if defined(__clang__) && (defined(__FMA__) || defined(__aarch64__))

#if defined(__AVX512F__)
typedef float stpn_platform_floats __attribute__((ext_vector_type(16)));
typedef double stpn_platform_doubles __attribute__((ext_vector_type(8)));
#elif defined(__FMA__)
typedef float stpn_platform_floats __attribute__((ext_vector_type(8)));
typedef double stpn_platform_doubles __attribute__((ext_vector_type(4)));
#else
typedef float stpn_platform_floats __attribute__((ext_vector_type(4)));
typedef double stpn_platform_doubles __attribute__((ext_vector_type(4)));
#endif

static inline
    __attribute__((always_inline)) stpn_platform_floats stpn_platform_fma_floats(stpn_platform_floats a,
                                                                                 stpn_platform_floats b,
                                                                                 stpn_platform_floats c)
{
    return __builtin_elementwise_fma(a, b, c);
}

static inline __attribute__((always_inline)) stpn_platform_doubles
stpn_platform_fma_doubles(stpn_platform_doubles a, stpn_platform_doubles b, stpn_platform_doubles c)
{
    return __builtin_elementwise_fma(a, b, c);
}

#endif

#endif
