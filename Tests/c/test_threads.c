/* Callers at once, and a child forked after threads have run: always the bits of a call by itself. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "call.h"
#include "check.h"
#include "tests.h"

enum { REPEATS = 20, CHILD_SECONDS = 60 };

static const sizes medium = {33, 5, 7, 17};

typedef struct caller {
    pthread_t thread;
    call call;
    const call *alone;
    int wrong;
} caller;

/* Calls without expectations: these belong to the main thread. */
static bool repeat_is_same(call *c, const call *alone)
{
    if (stpn_forward(&c->cell, &c->run, &c->forward, &c->error) != STPN_OK)
        return false;
    if (stpn_backward(&c->cell, &c->run, &c->backward, &c->error) != STPN_OK)
        return false;
    for (size_t i = 0; i < c->output_count; i++)
        if (!same_bits(&c->outputs[i], &alone->outputs[i], c->cell.dtype))
            return false;
    return true;
}

static void *run_caller(void *argument)
{
    caller *self = argument;
    for (int i = 0; i < REPEATS; i++)
        self->wrong += !repeat_is_same(&self->call, self->alone);
    return NULL;
}

/* Every caller with a cell of its own. */
static void test_callers_at_once(void)
{
    static caller callers[SOME_CELLS];
    static call alone[SOME_CELLS];
    static problem problems[SOME_CELLS];
    test_begin("%d callers at once, each on 1 to 3 threads", (int)SOME_CELLS);
    for (int i = 0; i < SOME_CELLS; i++) {
        problem_draw(&problems[i], some_cells[i], medium, GIVEN_ALL, 3);
        call_open(&alone[i], &problems[i], STPN_FLOAT32, STPN_BEST, 1);
        call_forward(&alone[i]);
        call_backward(&alone[i]);
        callers[i].alone = &alone[i];
        callers[i].wrong = 0;
        call_open(&callers[i].call, &problems[i], STPN_FLOAT32, STPN_BEST, 1 + i % 3);
    }
    for (int i = 0; i < SOME_CELLS; i++)
        if (pthread_create(&callers[i].thread, NULL, run_caller, &callers[i]) != 0)
            fatal("no thread");
    for (int i = 0; i < SOME_CELLS; i++) {
        pthread_join(callers[i].thread, NULL);
        EXPECT(callers[i].wrong == 0, "%s: %d of %d calls failed or gave other bits", some_cells[i],
               callers[i].wrong, (int)REPEATS);
    }
    test_end();
    for (int i = 0; i < SOME_CELLS; i++)
        problem_free(&problems[i]);
}

static void test_fork(const char *cell)
{
    problem p;
    static call before, after;
    int status = -1;
    problem_draw(&p, cell, medium, GIVEN_ALL, 3);
    test_begin("%s: a child forked after threads have run", cell);
    call_open(&before, &p, STPN_FLOAT32, STPN_BEST, 3);
    call_forward(&before);
    call_backward(&before);
    call_open(&after, &p, STPN_FLOAT32, STPN_BEST, 3);
    pid_t child = fork();
    if (child == 0) {
        alarm(CHILD_SECONDS);
        _exit(repeat_is_same(&after, &before) ? 0 : 1);
    }
    EXPECT(child > 0 && waitpid(child, &status, 0) == child, "no child");
    EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0,
           "the child's calls hang, fail or give other bits (%d)", status);
    test_end();
    problem_free(&p);
}

static void test_more_threads_than_work(int32_t implementation, void *context)
{
    static call one, many;
    const problem *p = context;
    test_begin("%s, implementation %d: more threads than there is work for", p->name, implementation);
    call_open(&one, p, STPN_FLOAT32, implementation, 1);
    call_forward(&one);
    call_backward(&one);
    call_open(&many, p, STPN_FLOAT32, implementation, 1024);
    call_forward(&many);
    call_backward(&many);
    expect_same_bits(&many, &one);
    test_end();
}

void test_threads(void)
{
    test_callers_at_once();
    for (size_t i = 0; i < SOME_CELLS; i++) {
        problem p;
        problem_draw(&p, some_cells[i], (sizes){2, 3, 1, 3}, GIVEN_ALL, 9);
        for_each_implementation(test_more_threads_than_work, &p);
        problem_free(&p);
        test_fork(some_cells[i]);
    }
}
