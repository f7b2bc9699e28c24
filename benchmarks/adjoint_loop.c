/* adjoint_loop.c: the innermost loop of the fast kernel's way back through a "pre" step (Sources/STPNKernel/Rules,
 * STPNRowAdjoint.swift) in C, on numbers that the first cache holds: what bounds it there. It is timed whole, and
 * with some of its stores left out, which then computes something else; every line is nanoseconds for a vector of
 * synapses of a sample, and the share of what the multipliers could do in that time. */
#include "vectors.h"

#include <stdio.h>
#include <stdlib.h>

enum { LANES = WIDTH / sizeof(float) };
/* Samples that share a load of the parameters; neurons; vectors of a row. */
enum { N = 4, H = 8, K = 5 };
enum { TRIES = 15, PASSES = 20000 };
enum { CHAINS = 12 };
/* Multiplications, fused with an addition or not, of a vector in the loop below. */
enum { MULTIPLICATIONS = 14 };

/* Which stores stay. */
enum { SUMS = 1, STATES = 2, PARAMETERS = 4, ALL = 7 };

static floats X[N][H][K], before[N][H][K], grad_X[N][H][K];
static floats weight[H][K], decay[H][K], rate[H][K];
static floats grad_weight[H][K], grad_decay[H][K], grad_rate[H][K];
static floats v[N][K], u[N][K], grad_v[N][K], grad_u[N][K];
static float dot[H][N], norm[H][N], scale[H][N], h[H][N];
static floats left[N]; /* what is not stored, so that it is computed */

static floats spread(float value) { return (floats){0} + value; }

static inline __attribute__((always_inline)) void pass(int stores)
{
    for (int j = 0; j < H; j++) {
        floats hebb[N] = {{0}}, decayed[N] = {{0}};
        for (int k = 0; k < K; k++) {
            floats gW = grad_weight[j][k], gL = grad_decay[j][k], gG = grad_rate[j][k];
#pragma GCC unroll 4
            for (int i = 0; i < N; i++) {
                floats x = X[i][j][k], G = weight[j][k] + x;
                floats g = G * spread(norm[j][i]) + v[i][k] * spread(dot[j][i]);
                gW += g;
                floats gv = grad_v[i][k] + G * spread(dot[j][i]);
                floats scaled = grad_X[i][j][k] * spread(scale[j][i]);
                gL += scaled * x;
                g += scaled * decay[j][k];
                floats learned = g * rate[j][k];
                gG += g * (u[i][k] * spread(h[j][i]));
                hebb[i] += learned * u[i][k];
                floats gu = grad_u[i][k] + learned * spread(h[j][i]);
                decayed[i] += g * decay[j][k] * before[i][j][k];
                if (stores & SUMS) {
                    grad_v[i][k] = gv;
                    grad_u[i][k] = gu;
                } else {
                    hebb[i] += gv;
                    decayed[i] += gu;
                }
                if (stores & STATES)
                    grad_X[i][j][k] = g;
            }
            if (stores & PARAMETERS) {
                grad_weight[j][k] = gW;
                grad_decay[j][k] = gL;
                grad_rate[j][k] = gG;
            } else {
                hebb[0] += gW;
                hebb[1] += gL;
                hebb[2] += gG;
            }
        }
        for (int i = 0; i < N; i++)
            left[i] += hebb[i] + decayed[i];
    }
}

static void whole(void) { pass(ALL); }
static void without_sums(void) { pass(ALL & ~SUMS); }
static void without_states(void) { pass(ALL & ~STATES); }
static void without_parameters(void) { pass(ALL & ~PARAMETERS); }
static void without_any(void) { pass(0); }

/* As many multiply-adds as CHAINS · H vectors, which wait for nothing. */
static void multiply_adds(void)
{
    floats x[CHAINS];
#pragma GCC unroll 16
    for (int c = 0; c < CHAINS; c++)
        x[c] = left[c % N];
    for (int j = 0; j < H; j++) {
#pragma GCC unroll 16
        for (int c = 0; c < CHAINS; c++)
            x[c] = x[c] * weight[0][0] + weight[0][1];
    }
#pragma GCC unroll 16
    for (int c = 0; c < CHAINS; c++)
        left[c % N] = x[c];
}

/* Numbers of no meaning, small enough to stay so. */
static void fill(void *array, size_t bytes)
{
    for (size_t i = 0; i < bytes / sizeof(float); i++)
        ((float *)array)[i] = 1e-3f * (float)(i % 7);
}

/* Of a call, in the fastest try. */
static double nanoseconds(void (*work)(void))
{
    double best = 1e9;
    for (int attempt = 0; attempt < TRIES; attempt++) {
        double start = seconds();
        for (int i = 0; i < PASSES; i++)
            work();
        double duration = seconds() - start;
        best = duration < best ? duration : best;
    }
    return best * 1e9 / (double)PASSES;
}

int main(void)
{
    static const struct {
        const char *name;
        void (*work)(void);
    } variants[] = {{"the loop", whole},
                    {"without stores of the gradients for v and u", without_sums},
                    {"without stores of the gradient for X", without_states},
                    {"without stores of the gradients for the parameters", without_parameters},
                    {"without these stores", without_any}};
    fill(X, sizeof X);
    fill(before, sizeof before);
    fill(weight, sizeof weight);
    fill(decay, sizeof decay);
    fill(rate, sizeof rate);
    fill(v, sizeof v);
    fill(u, sizeof u);
    fill(dot, sizeof dot);
    fill(norm, sizeof norm);
    fill(scale, sizeof scale);
    fill(h, sizeof h);
    double multiplication = nanoseconds(multiply_adds) / (CHAINS * H);
    printf("%-52s %5.2f ns\n", "a multiply-add of a vector", multiplication);
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        double vector = nanoseconds(variants[i].work) / (N * H * K);
        printf("%-52s %5.2f ns, %3.0f %% of the multipliers\n", variants[i].name, vector,
               100 * MULTIPLICATIONS * multiplication / vector);
    }
    return EXIT_SUCCESS;
}
