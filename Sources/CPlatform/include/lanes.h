/* lanes.h: what Swift's SIMD has no instruction for, on vectors as wide as Lanes in Math/Real.swift.
 *
 * a·b + c: SIMD's own addingProduct reaches the compiler's back end as an operation on each element, which it joins to
 * vectors of half the width where registers are short.
 *
 * A choice by a comparison, and clip(v, ±bound): with SIMD's masks they are so much that the compiler calls a loop's body four
 * times instead of writing it out.
 *
 * The first numbers of a row, fewer than a vector, and zeros: beyond them may be memory of nobody's.
 *
 * The sums of four vectors, as shuffles of all four together. Each is made in the order of Swift's horizontalSum: the quarters of
 * the vector element by element, then the elements by pairs.
 *
 * Internal, and for Swift alone: what multiplies nothing calls where the instruction set has no fused multiply-add. */
#ifndef STPN_LANES_H
#define STPN_LANES_H

#if defined(__clang__)

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
typedef float stpn_platform_four_floats __attribute__((ext_vector_type(4)));
typedef double stpn_platform_four_doubles __attribute__((ext_vector_type(4)));

#if defined(__FMA__) || defined(__aarch64__)
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

static inline __attribute__((always_inline))
stpn_platform_floats stpn_platform_select_floats(stpn_platform_floats a, stpn_platform_floats b,
                                                 stpn_platform_floats yes, stpn_platform_floats no)
{
    return a < b ? yes : no;
}

static inline __attribute__((always_inline)) stpn_platform_doubles stpn_platform_select_doubles(
    stpn_platform_doubles a, stpn_platform_doubles b, stpn_platform_doubles yes, stpn_platform_doubles no)
{
    return a < b ? yes : no;
}

static inline __attribute__((always_inline)) stpn_platform_floats
stpn_platform_clip_floats(stpn_platform_floats v, stpn_platform_floats bound)
{
    stpn_platform_floats lowest = 0 - bound, cut = bound < v ? bound : v;
    return cut < lowest ? lowest : cut;
}

static inline __attribute__((always_inline)) stpn_platform_doubles
stpn_platform_clip_doubles(stpn_platform_doubles v, stpn_platform_doubles bound)
{
    stpn_platform_doubles lowest = 0 - bound, cut = bound < v ? bound : v;
    return cut < lowest ? lowest : cut;
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

/* The elements of two vectors by their numbers, those of the second behind those of the first, and a sum of two such choices. */
#define STPN_CHOOSE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#define STPN_JOIN_HALVES(a, b)                                                                               \
    (STPN_CHOOSE(a, b, 0, 1, 2, 3, 8, 9, 10, 11) + STPN_CHOOSE(a, b, 4, 5, 6, 7, 12, 13, 14, 15))
#define STPN_ADD_PAIRS_OF_8(a, b)                                                                            \
    (STPN_CHOOSE(a, b, 0, 2, 8, 10, 4, 6, 12, 14) + STPN_CHOOSE(a, b, 1, 3, 9, 11, 5, 7, 13, 15))
#define STPN_ADD_PAIRS_OF_4(a, b) (STPN_CHOOSE(a, b, 0, 2, 4, 6) + STPN_CHOOSE(a, b, 1, 3, 5, 7))

static inline __attribute__((always_inline))
stpn_platform_four_floats stpn_platform_sums_floats(stpn_platform_floats a, stpn_platform_floats b,
                                                    stpn_platform_floats c, stpn_platform_floats d)
{
#if defined(__AVX512F__)
    stpn_platform_floats ab = STPN_CHOOSE(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23) +
                              STPN_CHOOSE(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
    stpn_platform_floats cd = STPN_CHOOSE(c, d, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23) +
                              STPN_CHOOSE(c, d, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
    stpn_platform_floats quarters =
        STPN_CHOOSE(ab, cd, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27) +
        STPN_CHOOSE(ab, cd, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
    stpn_platform_floats pairs =
        quarters + STPN_CHOOSE(quarters, quarters, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
    stpn_platform_floats sums =
        pairs + STPN_CHOOSE(pairs, pairs, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
    return STPN_CHOOSE(sums, sums, 0, 4, 8, 12);
#elif defined(__FMA__)
    stpn_platform_floats ab = STPN_JOIN_HALVES(a, b), cd = STPN_JOIN_HALVES(c, d);
    stpn_platform_floats pairs = STPN_ADD_PAIRS_OF_8(ab, cd);
    return STPN_CHOOSE(pairs, pairs, 0, 4, 2, 6) + STPN_CHOOSE(pairs, pairs, 1, 5, 3, 7);
#else
    return STPN_ADD_PAIRS_OF_4(STPN_ADD_PAIRS_OF_4(a, b), STPN_ADD_PAIRS_OF_4(c, d));
#endif
}

static inline __attribute__((always_inline)) stpn_platform_four_doubles stpn_platform_sums_doubles(
    stpn_platform_doubles a, stpn_platform_doubles b, stpn_platform_doubles c, stpn_platform_doubles d)
{
#if defined(__AVX512F__)
    stpn_platform_doubles ab = STPN_JOIN_HALVES(a, b), cd = STPN_JOIN_HALVES(c, d);
    stpn_platform_doubles pairs = STPN_ADD_PAIRS_OF_8(ab, cd);
    return STPN_CHOOSE(pairs, pairs, 0, 4, 2, 6) + STPN_CHOOSE(pairs, pairs, 1, 5, 3, 7);
#else
    return STPN_ADD_PAIRS_OF_4(STPN_ADD_PAIRS_OF_4(a, b), STPN_ADD_PAIRS_OF_4(c, d));
#endif
}

#endif

#endif
