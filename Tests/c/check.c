#include "check.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CANARY = 64, POISON = 0xFF, CANARY_BYTE = 0xA5, MAX_GUARDS = 1024, SHOWN_FAILURES = 5 };

typedef struct guard {
    char name[48];
    unsigned char *block; /* as malloc gave it */
    unsigned char *data;
    size_t size;
    unsigned char *frozen; /* what data must still hold; NULL: may change */
} guard;

static guard guards[MAX_GUARDS];
static size_t guard_count;

static char current[256];
static int failures; /* of the current test */
static struct {
    int passed, failed;
} counts;

_Noreturn void fatal(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(2);
}

void *allocate(size_t bytes)
{
    void *memory = calloc(bytes ? bytes : 1, 1);
    if (!memory)
        fatal("out of memory: %zu bytes", bytes);
    return memory;
}

bool expect(bool condition, const char *file, int line, const char *format, ...)
{
    if (condition)
        return true;
    if (failures == 0)
        printf("FAILED %s\n", current);
    if (failures < SHOWN_FAILURES) {
        va_list arguments;
        printf("  %s:%d: ", file, line);
        va_start(arguments, format);
        vprintf(format, arguments);
        va_end(arguments);
        putchar('\n');
    } else if (failures == SHOWN_FAILURES) {
        puts("  …");
    }
    failures++;
    return false;
}

void test_begin(const char *format, ...)
{
    va_list arguments;
    failures = 0;
    va_start(arguments, format);
    vsnprintf(current, sizeof current, format, arguments);
    va_end(arguments);
}

static bool all_bytes(const unsigned char *bytes, unsigned char value, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (bytes[i] != value)
            return false;
    return true;
}

static void guard_close(guard *g)
{
    EXPECT(all_bytes(g->data - CANARY, CANARY_BYTE, CANARY), "%s: written before its beginning", g->name);
    EXPECT(all_bytes(g->data + g->size, CANARY_BYTE, CANARY), "%s: written past its end", g->name);
    if (g->frozen) {
        EXPECT(memcmp(g->data, g->frozen, g->size) == 0, "%s: changed", g->name);
        free(g->frozen);
    }
    free(g->block);
}

void test_end(void)
{
    for (size_t i = 0; i < guard_count; i++)
        guard_close(&guards[i]);
    guard_count = 0;
    if (failures == 0)
        counts.passed++;
    else
        counts.failed++;
}

int test_summary(void)
{
    printf("%d passed, %d failed\n", counts.passed, counts.failed);
    return counts.failed == 0 && counts.passed > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

void test_child_exit(int pipe_write)
{
    fflush(stdout);
    _exit(write(pipe_write, &counts, sizeof counts) == (ssize_t)sizeof counts ? EXIT_SUCCESS : EXIT_FAILURE);
}

void test_child_count(int pipe_read)
{
    int values[2];
    _Static_assert(sizeof values == sizeof counts, "counts are two numbers");
    if (read(pipe_read, values, sizeof values) == (ssize_t)sizeof values) {
        counts.passed = values[0];
        counts.failed = values[1];
    } else {
        test_begin("child process");
        EXPECT(false, "ended before it had run its tests");
        test_end();
    }
}

void *guarded(const char *name, size_t size, size_t alignment)
{
    if (guard_count == MAX_GUARDS)
        fatal("more than %d guarded buffers in a test", (int)MAX_GUARDS);
    guard *g = &guards[guard_count++];
    snprintf(g->name, sizeof g->name, "%s", name);
    size_t spare = 4 * CANARY; /* to align, and the two canaries */
    g->block = allocate(size + spare);
    uintptr_t begin = ((uintptr_t)g->block + 2 * CANARY - 1) / CANARY * CANARY;
    g->data = g->block + (begin - (uintptr_t)g->block) + alignment;
    g->size = size;
    g->frozen = NULL;
    memset(g->data - CANARY, CANARY_BYTE, CANARY);
    memset(g->data, POISON, size);
    memset(g->data + size, CANARY_BYTE, CANARY);
    return g->data;
}

static guard *find_guard(const void *buffer)
{
    for (size_t i = 0; i < guard_count; i++)
        if (guards[i].data == buffer)
            return &guards[i];
    fatal("no such guarded buffer");
}

void guarded_freeze(const void *buffer)
{
    guard *g = find_guard(buffer);
    g->frozen = allocate(g->size);
    memcpy(g->frozen, g->data, g->size);
}

void guarded_poison(const void *buffer)
{
    if (!buffer)
        return;
    guard *g = find_guard(buffer);
    free(g->frozen);
    g->frozen = NULL;
    memset(g->data, POISON, g->size);
}
