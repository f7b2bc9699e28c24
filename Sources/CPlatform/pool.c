/* pool.c: one pool of threads for the whole process.
 *
 * A job lives on its caller's stack and is open to workers while it is listed. The caller takes part itself, closes the
 * job when no index is left, and then waits only for workers that have begun: one that the system has not scheduled yet
 * finds the job gone. So a call is never slower than serial by more than one index of a slow neighbour.
 * Workers sleep between jobs. Several callers may have jobs at once.
 */
#define _GNU_SOURCE
#include "platform.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

typedef struct job {
    struct job *next;
    int64_t count;
    _Atomic int64_t taken; /* indices handed out so far */
    int32_t slots;         /* slots handed out so far; the caller has slot 0 */
    int32_t threads;       /* at most so many slots */
    int32_t busy;          /* workers inside the job */
    void *context;
    void (*body)(void *context, int64_t index, int32_t slot);
} job;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work = PTHREAD_COND_INITIALIZER; /* a job was listed */
static pthread_cond_t done = PTHREAD_COND_INITIALIZER; /* the last worker left some job */
static job *jobs;                                      /* the open jobs */
static int32_t workers;
static int32_t idle;

static void run(job *j, int32_t slot)
{
    for (;;) {
        int64_t index = atomic_fetch_add(&j->taken, 1);
        if (index >= j->count) {
            return;
        }
        j->body(j->context, index, slot);
    }
}

static job *open_job(void)
{
    job *j = jobs;
    while (j != NULL && (j->slots >= j->threads || atomic_load(&j->taken) >= j->count)) {
        j = j->next;
    }
    return j;
}

static void *worker(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&lock);
    for (;;) {
        job *j = open_job();
        if (j == NULL) {
            idle++;
            pthread_cond_wait(&work, &lock);
            idle--;
            continue;
        }
        int32_t slot = j->slots++;
        j->busy++;
        pthread_mutex_unlock(&lock);
        run(j, slot);
        pthread_mutex_lock(&lock);
        if (--j->busy == 0) {
            pthread_cond_broadcast(&done);
        }
    }
    return NULL;
}

/* A forked child has the memory of the pool but none of its threads, and no job but those its own thread will list. */
static void before_fork(void) { pthread_mutex_lock(&lock); }
static void after_fork_in_parent(void) { pthread_mutex_unlock(&lock); }
static void after_fork_in_child(void)
{
    pthread_mutex_init(&lock, NULL);
    pthread_cond_init(&work, NULL);
    pthread_cond_init(&done, NULL);
    jobs = NULL;
    workers = 0;
    idle = 0;
}

static void watch_forks(void) { pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child); }

/* With the lock held. A system that gives no more threads leaves the work to those there are. Workers take no signals:
 * those are for the threads of the program that we are a part of. */
static void hire(int32_t wanted)
{
    pthread_attr_t attributes;
    if (workers >= wanted || pthread_attr_init(&attributes) != 0) {
        return;
    }
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t thread;
    while (workers < wanted && pthread_create(&thread, &attributes, worker, NULL) == 0) {
        workers++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
}

static void list(job *j)
{
    pthread_mutex_lock(&lock);
    hire(j->threads - 1);
    j->next = jobs;
    jobs = j;
    for (int32_t i = 0; i < idle && i < j->threads - 1; i++) {
        pthread_cond_signal(&work);
    }
    pthread_mutex_unlock(&lock);
}

static void close_and_wait(job *j)
{
    pthread_mutex_lock(&lock);
    job **link = &jobs;
    while (*link != j) {
        link = &(*link)->next;
    }
    *link = j->next;
    while (j->busy > 0) {
        pthread_cond_wait(&done, &lock);
    }
    pthread_mutex_unlock(&lock);
}

void stpn_platform_parallel_for(int64_t count, int32_t threads, void *context,
                                void (*body)(void *context, int64_t index, int32_t slot))
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    job j = {.count = count, .slots = 1, .threads = threads, .context = context, .body = body};
    if (count < threads) {
        j.threads = (int32_t)count;
    }
    if (j.threads <= 1) {
        run(&j, 0);
        return;
    }
    pthread_once(&once, watch_forks);
    list(&j);
    run(&j, 0);
    close_and_wait(&j);
}
