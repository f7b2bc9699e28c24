/* limits.c: what the processor and its memory can do on some threads, as `limits THREADS` prints it on a line: fused
 * multiply-adds of float32, and bytes read from memory, a second. The best of some tries, as it is a limit. */
#include "vectors.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t words __attribute__((vector_size(WIDTH)));

/* As many as hide the latency of an operation, and fit into the registers. */
enum { CHAINS = 12 };
enum { TRIES = 7 };

static const size_t MULTIPLY_ADDS = 40 * 1000 * 1000; /* vectors a try and thread, in all chains */
static const size_t BYTES = 256 * 1024 * 1024;        /* more than caches hold; of all threads */
static const int READS = 4;                           /* of the bytes a try */

struct part {
    const unsigned char *bytes;
    size_t count;
    volatile double result; /* so that the work is not left out */
};

static void *multiply_add(void *argument)
{
    struct part *part = argument;
    floats factor = {0}, x[CHAINS];
    factor += 0.999f;
#pragma GCC unroll 16
    for (int c = 0; c < CHAINS; c++)
        x[c] = factor + (float)c;
    for (size_t i = 0; i < MULTIPLY_ADDS / CHAINS; i++) {
#pragma GCC unroll 16
        for (int c = 0; c < CHAINS; c++)
            x[c] = x[c] * factor + factor;
    }
    floats sum = {0};
#pragma GCC unroll 16
    for (int c = 0; c < CHAINS; c++)
        sum += x[c];
    part->result = (double)sum[0];
    return NULL;
}

static void *read_bytes(void *argument)
{
    struct part *part = argument;
    words sum[8] = {{0}};
    for (int pass = 0; pass < READS; pass++) {
        for (size_t at = 0; at + sizeof sum <= part->count; at += sizeof sum) {
            const words *from = (const words *)(const void *)(part->bytes + at);
#pragma GCC unroll 8
            for (int i = 0; i < 8; i++)
                sum[i] += from[i];
        }
    }
    for (int i = 1; i < 8; i++)
        sum[0] += sum[i];
    part->result = (double)sum[0][0];
    return NULL;
}

/* Seconds of the fastest try, all threads at once. */
static double fastest(void *(*work)(void *), struct part *parts, size_t threads)
{
    double best = 1e9;
    for (int attempt = 0; attempt < TRIES; attempt++) {
        pthread_t others[threads];
        double start = seconds();
        for (size_t i = 1; i < threads; i++) {
            if (pthread_create(&others[i], NULL, work, &parts[i]) != 0)
                exit(EXIT_FAILURE);
        }
        work(&parts[0]);
        for (size_t i = 1; i < threads; i++)
            pthread_join(others[i], NULL);
        double duration = seconds() - start;
        best = duration < best ? duration : best;
    }
    return best;
}

int main(int count, char **arguments)
{
    long threads = count == 2 ? strtol(arguments[1], NULL, 10) : 0;
    if (threads < 1 || threads > 1024) {
        fprintf(stderr, "usage: limits THREADS\n");
        return EXIT_FAILURE;
    }
    size_t n = (size_t)threads;
    size_t share = BYTES / n / 4096 * 4096;
    unsigned char *bytes = aligned_alloc(4096, n * share);
    struct part *parts = calloc(n, sizeof *parts);
    if (bytes == NULL || parts == NULL)
        return EXIT_FAILURE;
    memset(bytes, 1, n * share);
    for (size_t i = 0; i < n; i++)
        parts[i] = (struct part){.bytes = bytes + i * share, .count = share};

    double multiply_adds = (double)(MULTIPLY_ADDS / CHAINS * CHAINS * (WIDTH / sizeof(float)) * n);
    double read = (double)READS * (double)(n * share);
    printf("%.0f %.0f\n", multiply_adds / fastest(multiply_add, parts, n),
           read / fastest(read_bytes, parts, n));
    free(parts);
    free(bytes);
    return EXIT_SUCCESS;
}
