/* lanes.h: what Swift's SIMD has no instruction for, on vectors as wide as Lanes in Math/Real.swift.
 *
 * a·b + c: SIMD's own addingProduct reaches the compiler's back end as an operation on each element, which it joins to
 * vectors of half the width where registers are short.
 *
 * The first numbers of a row, fewer than a vector, and zeros: beyond them may be memory of nobody's.
 *
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

static inline __attribute__((always_inline)) stpn_platform_floats stpn_platform_first_floats(const float *row,
                                                                                             long count)
{
    stpn_platform_floats zeros = 0;
#if defined(__AVX512F__)
    return __builtin_ia32_loadups512_mask((const stpn_platform_floats *)row, zeros,
                                          (unsigned short)((1u << count) - 1));
#else
    for (long i = 0; i < count; i++)
        zeros[i] = row[i];
    return zeros;
#endif
}

static inline __attribute__((always_inline)) stpn_platform_doubles stpn_platform_first_doubles(const double *row,
                                                                                               long count)
{
    stpn_platform_doubles zeros = 0;
#if defined(__AVX512F__)
    return __builtin_ia32_loadupd512_mask((const stpn_platform_doubles *)row, zeros,
                                          (unsigned char)((1u << count) - 1));
#else
    for (long i = 0; i < count; i++)
        zeros[i] = row[i];
    return zeros;
#endif
}

#endif

#endif
