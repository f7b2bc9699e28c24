/* pool.c: one pool of threads for the whole process.
 *
 * A job is open to workers while it is listed and has indices left. The caller takes part itself, and then waits for the
 * indices that workers have begun: not for a worker that the system has not scheduled yet, which finds nothing left, nor for
 * the pool's lock, which a worker may hold when it loses its processor. So a call is slower than a serial one by no more than
 * an index of a slow neighbour. A job belongs to the list and to the threads inside it; the last of them frees it. Several
 * callers may have jobs at once.
 *
 * To fall asleep and to be woken takes as long as a small call. So a thread without work stays awake for about that long:
 * a worker offers its processor to whoever wants it meanwhile, and a caller has only the last indices to wait for.
 */
#define _GNU_SOURCE
#include "cores.h"
#include "platform.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

enum { NANOSECONDS_AWAKE = 50000 };

typedef struct job {
    struct job *next;
    int32_t slots;   /* slots handed out so far; the caller has slot 0 */
    int32_t threads; /* at most so many slots */
    int64_t count;
    void *context;
    void (*body)(void *context, int64_t index, int32_t slot);
    _Atomic int64_t taken;    /* indices handed out so far */
    _Atomic int64_t finished; /* indices whose body has returned */
    _Atomic int32_t owners;
    pthread_mutex_t lock; /* for `done` alone */
    pthread_cond_t done;
} job;

typedef struct worker {
    struct worker *next;
    pthread_t thread;
    pthread_cond_t call;
    bool called; /* to a job that was listed, and has not come yet */
    bool asleep;
    bool working;
    cores cores;
} worker;

/* For what follows, the list of jobs and the workers. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static job *jobs; /* listed; some may have no index left */
static _Atomic int64_t jobs_listed;
static worker *workers;
static int32_t hired; /* workers, and threads on their way to become one */

static job *new_job(int64_t count, int32_t threads, void *context, void (*body)(void *, int64_t, int32_t))
{
    job *j = malloc(sizeof *j);
    if (j != NULL) {
        *j = (job){
            .slots = 1, .threads = threads, .count = count, .context = context, .body = body, .owners = 1};
        pthread_mutex_init(&j->lock, NULL);
        pthread_cond_init(&j->done, NULL);
    }
    return j;
}

static void leave(job *j)
{
    if (atomic_fetch_sub(&j->owners, 1) == 1) {
        pthread_cond_destroy(&j->done);
        pthread_mutex_destroy(&j->lock);
        free(j);
    }
}

static bool has_indices(job *j) { return atomic_load(&j->taken) < j->count; }
static bool is_finished(job *j) { return atomic_load(&j->finished) == j->count; }

static void run(job *j, int32_t slot)
{
    int64_t index, count = 0;
    while ((index = atomic_fetch_add(&j->taken, 1)) < j->count) {
        j->body(j->context, index, slot);
        count++;
    }
    if (count > 0 && atomic_fetch_add(&j->finished, count) + count == j->count) {
        /* A caller between its last look and its sleep has the lock. */
        pthread_mutex_lock(&j->lock);
        pthread_mutex_unlock(&j->lock);
        pthread_cond_signal(&j->done);
    }
}

static int64_t nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void wait_for(job *j)
{
    int64_t end = nanoseconds() + NANOSECONDS_AWAKE;
    while (!is_finished(j) && nanoseconds() < end) {
    }
    if (is_finished(j)) {
        return;
    }
    pthread_mutex_lock(&j->lock);
    while (!is_finished(j)) {
        pthread_cond_wait(&j->done, &j->lock);
    }
    pthread_mutex_unlock(&j->lock);
}

/* With the lock held. */
static void drop_exhausted(void)
{
    for (job **link = &jobs; *link != NULL;) {
        job *j = *link;
        if (has_indices(j)) {
            link = &j->next;
        } else {
            *link = j->next;
            leave(j);
        }
    }
}

/* With the lock held: a job that takes one more thread. */
static job *open_job(void)
{
    drop_exhausted();
    job *j = jobs;
    while (j != NULL && j->slots >= j->threads) {
        j = j->next;
    }
    return j;
}

/* With the lock held, which others have meanwhile: until a job may be open. */
static void rest(worker *w)
{
    int64_t seen = atomic_load(&jobs_listed);
    pthread_mutex_unlock(&lock);
    int64_t end = nanoseconds() + NANOSECONDS_AWAKE;
    while (atomic_load(&jobs_listed) == seen && nanoseconds() < end) {
        sched_yield();
    }
    pthread_mutex_lock(&lock);
    if (atomic_load(&jobs_listed) == seen) {
        w->asleep = true;
        while (!w->called) {
            pthread_cond_wait(&w->call, &lock);
        }
        w->asleep = false;
    }
}

static void *work(void *unused)
{
    (void)unused;
    worker me = {.thread = pthread_self()};
    pthread_cond_init(&me.call, NULL);
    pthread_mutex_lock(&lock);
    me.next = workers;
    workers = &me;
    for (;;) {
        job *j = open_job();
        me.called = false;
        if (j == NULL) {
            rest(&me);
            continue;
        }
        int32_t slot = j->slots++;
        atomic_fetch_add(&j->owners, 1);
        me.working = true;
        pthread_mutex_unlock(&lock);
        run(j, slot);
        leave(j);
        pthread_mutex_lock(&lock);
        me.working = false;
    }
    return NULL;
}

/* A forked child has the memory of the pool but none of its threads, and no job but those its own thread will list. */
static void before_fork(void) { pthread_mutex_lock(&lock); }
static void after_fork_in_parent(void) { pthread_mutex_unlock(&lock); }
static void after_fork_in_child(void)
{
    pthread_mutex_init(&lock, NULL);
    jobs = NULL;
    workers = NULL;
    hired = 0;
}

static void watch_forks(void) { pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child); }

/* With the lock held. A system that gives no more threads leaves the work to those there are. Workers take no signals:
 * those are for the threads of the program that we are a part of. */
static void hire(int32_t wanted)
{
    pthread_attr_t attributes;
    if (hired >= wanted || pthread_attr_init(&attributes) != 0) {
        return;
    }
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t thread;
    while (hired < wanted && pthread_create(&thread, &attributes, work, NULL) == 0) {
        hired++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
}

/* With the lock held. A worker that was called before and has not come may be where this caller is now. */
static void call_workers(int32_t wanted)
{
    cores beside = cores_beside_caller(wanted);
    for (worker *w = workers; w != NULL && wanted > 0; w = w->next) {
        if (w->working) {
            continue;
        }
        send_to_cores(w->thread, &w->cores, &beside);
        if (!w->called) {
            w->called = true;
            wanted--;
            if (w->asleep) {
                pthread_cond_signal(&w->call);
            }
        }
    }
}

static void list(job *j)
{
    pthread_mutex_lock(&lock);
    hire(j->threads - 1);
    drop_exhausted();
    atomic_fetch_add(&j->owners, 1);
    j->next = jobs;
    jobs = j;
    atomic_fetch_add(&jobs_listed, 1);
    call_workers(j->threads - 1);
    pthread_mutex_unlock(&lock);
}

void stpn_platform_parallel_for(int64_t count, int32_t threads, void *context,
                                void (*body)(void *context, int64_t index, int32_t slot))
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    int32_t useful = count < threads ? (int32_t)count : threads;
    job *j = useful > 1 ? new_job(count, useful, context, body) : NULL;
    if (j == NULL) {
        for (int64_t index = 0; index < count; index++) {
            body(context, index, 0);
        }
        return;
    }
    pthread_once(&once, watch_forks);
    list(j);
    run(j, 0);
    wait_for(j);
    leave(j);
}
