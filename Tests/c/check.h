/* check.h: named tests, expectations, and memory that notices a write where none may be. */
#ifndef CHECK_H
#define CHECK_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__GNUC__)
#define PRINTF_LIKE(string, first) __attribute__((format(printf, string, first)))
#else
#define PRINTF_LIKE(string, first)
#endif

/* Everything between two calls of test_begin is one test: failed if one of its expectations failed. Ending a test checks
 * and frees its guarded memory. */
void test_begin(const char *format, ...) PRINTF_LIKE(1, 2);
void test_end(void);

/* Prints "N passed, N failed"; returns the exit code of the program. */
int test_summary(void);

/* Tests run in a forked child count there: the child ends with test_child_exit, the parent adds its counts. */
void test_child_exit(int pipe_write);
void test_child_count(int pipe_read);

bool expect(bool condition, const char *file, int line, const char *format, ...) PRINTF_LIKE(4, 5);

#define EXPECT(condition, ...) expect((condition), __FILE__, __LINE__, __VA_ARGS__)

/* Ends the program: for what makes every further test meaningless (a case file that does not parse, no memory). */
_Noreturn void fatal(const char *format, ...) PRINTF_LIKE(1, 2);

/* malloc and calloc that do not return NULL. */
void *allocate(size_t bytes);

/* size bytes of 0xFF (NaN in either precision) between canaries, at an address that is a multiple of alignment and of
 * no larger power of two: nothing more may be relied on. Freed by test_end. */
void *guarded(const char *name, size_t size, size_t alignment);

/* From now on a change of this guarded buffer is a failure too. */
void guarded_freeze(const void *buffer);

/* Fills a guarded buffer, frozen or not, with 0xFF. NULL is none. */
void guarded_poison(const void *buffer);

#endif
