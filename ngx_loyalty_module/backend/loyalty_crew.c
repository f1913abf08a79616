/*
 * The counters are the caller's thread's; queues and the list of what is done
 * are under the lock.
 */

#include "loyalty_crew.h"

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

typedef struct {
    loyalty_task_t *first, **last;
} queue_t;

typedef struct {
    loyalty_crew_t *crew;
    pthread_t *threads;
    int nthreads, most;
    int out;            /* posted and not taken back */
    queue_t queue;      /* waiting for a thread */
    pthread_cond_t any; /* there is something in it, or quit */
} line_t;

struct loyalty_crew_s {
    const loyalty_crew_conf_t *conf;
    line_t *lines;
    size_t nlines;
    size_t out;
    pthread_mutex_t lock;
    pthread_cond_t ready;
    queue_t done;
    bool quit;
};

static void
push(queue_t *queue, loyalty_task_t *task)
{
    task->next = NULL;
    *queue->last = task;
    queue->last = &task->next;
}

static loyalty_task_t *
pop(queue_t *queue)
{
    loyalty_task_t *task = queue->first;

    if (task != NULL) {
        queue->first = task->next;
        if (queue->first == NULL) {
            queue->last = &queue->first;
        }
    }

    return task;
}

static void
init_condition(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

loyalty_crew_t *
loyalty_crew_create(const loyalty_crew_conf_t *conf, const int *threads,
                    size_t lines)
{
    loyalty_crew_t *crew = calloc(1, sizeof(*crew));
    line_t *line;
    size_t i;

    if (crew == NULL) {
        return NULL;
    }

    crew->conf = conf;
    crew->done.last = &crew->done.first;
    pthread_mutex_init(&crew->lock, NULL);
    init_condition(&crew->ready);

    crew->lines = calloc(lines, sizeof(*crew->lines));
    if (crew->lines == NULL) {
        loyalty_crew_free(crew);
        return NULL;
    }

    crew->nlines = lines;
    for (i = 0; i < lines; i++) {
        line = &crew->lines[i];
        line->crew = crew;
        line->queue.last = &line->queue.first;
        init_condition(&line->any);
        line->threads = calloc((size_t)threads[i] + 1, sizeof(*line->threads));
        line->most = line->threads == NULL ? -1 : threads[i];
    }

    for (i = 0; i < lines; i++) {
        if (crew->lines[i].most < 0) {
            loyalty_crew_free(crew);
            return NULL;
        }
    }

    return crew;
}

void
loyalty_crew_free(loyalty_crew_t *crew)
{
    line_t *line;
    size_t i;
    int t;

    if (crew == NULL) {
        return;
    }

    pthread_mutex_lock(&crew->lock);
    crew->quit = true;
    for (i = 0; i < crew->nlines; i++) {
        pthread_cond_broadcast(&crew->lines[i].any);
    }
    pthread_mutex_unlock(&crew->lock);

    for (i = 0; i < crew->nlines; i++) {
        line = &crew->lines[i];
        for (t = 0; t < line->nthreads; t++) {
            pthread_join(line->threads[t], NULL);
        }
        free(line->threads);
        pthread_cond_destroy(&line->any);
    }

    free(crew->lines);
    pthread_cond_destroy(&crew->ready);
    pthread_mutex_destroy(&crew->lock);
    free(crew);
}

static void
finish(loyalty_crew_t *crew, loyalty_task_t *task)
{
    pthread_mutex_lock(&crew->lock);
    push(&crew->done, task);
    pthread_cond_signal(&crew->ready);
    pthread_mutex_unlock(&crew->lock);
}

static void *
serve(void *data)
{
    line_t *line = data;
    loyalty_crew_t *crew = line->crew;
    const loyalty_crew_conf_t *conf = crew->conf;
    loyalty_task_t *task;
    void *tools = NULL;

    for (;;) {
        pthread_mutex_lock(&crew->lock);
        while (line->queue.first == NULL && !crew->quit) {
            pthread_cond_wait(&line->any, &crew->lock);
        }
        task = pop(&line->queue);
        pthread_mutex_unlock(&crew->lock);

        if (task == NULL) {
            break;
        }

        if (tools == NULL) {
            tools = conf->equip(conf->data);
        }
        conf->work(conf->data, tools, task);
        finish(crew, task);
    }

    if (tools != NULL && conf->put_away != NULL) {
        conf->put_away(tools);
    }
    return NULL;
}

/* Signals are for nginx' own thread. */
static void
hire(line_t *line)
{
    sigset_t all, old;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    if (pthread_create(&line->threads[line->nthreads], NULL, serve, line)
        == 0) {
        line->nthreads++;
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void
count(loyalty_crew_t *crew, size_t line, loyalty_task_t *task)
{
    task->line = line;
    crew->lines[line].out++;
    crew->out++;
}

bool
loyalty_crew_post(loyalty_crew_t *crew, size_t i, loyalty_task_t *task)
{
    line_t *line = &crew->lines[i];

    if (line->nthreads <= line->out && line->nthreads < line->most) {
        hire(line);
    }
    if (line->nthreads == 0) {
        return false;
    }

    count(crew, i, task);
    pthread_mutex_lock(&crew->lock);
    push(&line->queue, task);
    pthread_cond_signal(&line->any);
    pthread_mutex_unlock(&crew->lock);
    return true;
}

void
loyalty_crew_done(loyalty_crew_t *crew, size_t line, loyalty_task_t *task)
{
    count(crew, line, task);
    finish(crew, task);
}

loyalty_task_t *
loyalty_crew_take(loyalty_crew_t *crew, int timeout)
{
    struct timespec until;
    loyalty_task_t *task;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout / 1000;
    until.tv_nsec += (long)(timeout % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }

    pthread_mutex_lock(&crew->lock);
    while ((task = pop(&crew->done)) == NULL && crew->out != 0 && timeout != 0
           && pthread_cond_timedwait(&crew->ready, &crew->lock, &until) == 0) {
        continue;
    }
    pthread_mutex_unlock(&crew->lock);

    if (task != NULL) {
        crew->out--;
        crew->lines[task->line].out--;
    }

    return task;
}

int
loyalty_crew_in(const loyalty_crew_t *crew, size_t line)
{
    return crew->lines[line].out;
}

size_t
loyalty_crew_out(const loyalty_crew_t *crew)
{
    return crew->out;
}
