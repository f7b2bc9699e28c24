/* Callers at once, and a child forked after threads have run: always the bits of a call by itself. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "call.h"
#include "check.h"
#include "tests.h"

enum { CALLERS = 4, REPEATS = 20, CHILD_SECONDS = 60 };

static void draw_medium(problem *p)
{
    const problem_options options = {
        .normalize = "pre", .clamp = INFINITY, .bias = true, .state = true, .resets = true};
    problem_draw(p, 33, 9, 7, 17, options, 3);
}

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

static void test_callers_at_once(const problem *p)
{
    static caller callers[CALLERS];
    static call alone;
    test_begin("%d callers at once, each on 1 to 3 threads", (int)CALLERS);
    call_open(&alone, p, STPN_FLOAT32, STPN_BEST, 1);
    call_forward(&alone);
    call_backward(&alone);
    for (int i = 0; i < CALLERS; i++) {
        callers[i].alone = &alone;
        callers[i].wrong = 0;
        call_open(&callers[i].call, p, STPN_FLOAT32, STPN_BEST, 1 + i % 3);
    }
    for (int i = 0; i < CALLERS; i++)
        if (pthread_create(&callers[i].thread, NULL, run_caller, &callers[i]) != 0)
            fatal("no thread");
    for (int i = 0; i < CALLERS; i++) {
        pthread_join(callers[i].thread, NULL);
        EXPECT(callers[i].wrong == 0, "caller %d: %d of %d calls failed or gave other bits", i,
               callers[i].wrong, (int)REPEATS);
    }
    test_end();
}

static void test_fork(const problem *p)
{
    call before, after;
    int status = -1;
    test_begin("a child forked after threads have run");
    call_open(&before, p, STPN_FLOAT32, STPN_BEST, 3);
    call_forward(&before);
    call_backward(&before);
    call_open(&after, p, STPN_FLOAT32, STPN_BEST, 3);
    pid_t child = fork();
    if (child == 0) {
        alarm(CHILD_SECONDS);
        _exit(repeat_is_same(&after, &before) ? 0 : 1);
    }
    EXPECT(child > 0 && waitpid(child, &status, 0) == child, "no child");
    EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0,
           "the child's calls hang, fail or give other bits (%d)", status);
    test_end();
}

static void test_more_threads_than_work(void)
{
    const problem_options options = {
        .normalize = "pre", .clamp = INFINITY, .bias = true, .state = true, .resets = true};
    problem p;
    call one, many;
    problem_draw(&p, 2, 3, 1, 3, options, 9);
    test_begin("more threads than there is work for");
    call_open(&one, &p, STPN_FLOAT32, STPN_BEST, 1);
    call_forward(&one);
    call_backward(&one);
    call_open(&many, &p, STPN_FLOAT32, STPN_BEST, 1024);
    call_forward(&many);
    call_backward(&many);
    expect_same_bits(&many, &one);
    test_end();
    problem_free(&p);
}

void test_threads(void)
{
    problem p;
    draw_medium(&p);
    test_callers_at_once(&p);
    test_fork(&p);
    test_more_threads_than_work();
    problem_free(&p);
}
