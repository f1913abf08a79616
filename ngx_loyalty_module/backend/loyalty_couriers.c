/*
 * The counters are the caller's thread's; queues and the list of what is done
 * are under the lock.
 */

#include "loyalty_couriers.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "loyalty_delivery_private.h"

typedef struct {
    loyalty_parcel_t *first, **last;
} queue_t;

typedef struct {
    loyalty_couriers_t *couriers;
    pthread_t *threads;
    int nthreads;
    int out;            /* posted and not taken back */
    int64_t next_at;    /* monotonic us: the rate limit's next message */
    queue_t queue;      /* waiting for a thread */
    pthread_cond_t any; /* there is something in it, or quit */
} line_t;

struct loyalty_couriers_s {
    const loyalty_delivery_conf_t *conf;
    bool (*stopping)(void);
    loyalty_delivery_t *own; /* of post() */
    line_t lines[LOYALTY_DELIVERY_CHANNELS];
    size_t out;
    pthread_mutex_t lock;
    pthread_cond_t delivered;
    queue_t done;
    bool quit;
};

static int64_t
monotonic(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void
push(queue_t *queue, loyalty_parcel_t *parcel)
{
    parcel->next = NULL;
    *queue->last = parcel;
    queue->last = &parcel->next;
}

static loyalty_parcel_t *
pop(queue_t *queue)
{
    loyalty_parcel_t *parcel = queue->first;

    if (parcel != NULL) {
        queue->first = parcel->next;
        if (queue->first == NULL) {
            queue->last = &queue->first;
        }
    }

    return parcel;
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

loyalty_couriers_t *
loyalty_couriers_create(const loyalty_delivery_conf_t *conf,
                        bool (*stopping)(void))
{
    loyalty_couriers_t *couriers = calloc(1, sizeof(*couriers));
    line_t *line;
    size_t i;

    if (couriers == NULL) {
        return NULL;
    }

    couriers->conf = conf;
    couriers->stopping = stopping;
    couriers->done.last = &couriers->done.first;
    pthread_mutex_init(&couriers->lock, NULL);
    init_condition(&couriers->delivered);

    for (i = 0; i < LOYALTY_DELIVERY_CHANNELS; i++) {
        line = &couriers->lines[i];
        line->couriers = couriers;
        line->queue.last = &line->queue.first;
        init_condition(&line->any);
        line->threads = calloc((size_t)conf->ways[i].concurrency + 1,
                               sizeof(*line->threads));
        if (line->threads == NULL) {
            couriers->quit = true;
        }
    }

    couriers->own = loyalty_delivery_create(conf, stopping);
    if (couriers->own == NULL || couriers->quit) {
        loyalty_couriers_free(couriers);
        return NULL;
    }

    return couriers;
}

void
loyalty_couriers_free(loyalty_couriers_t *couriers)
{
    line_t *line;
    size_t i;
    int t;

    if (couriers == NULL) {
        return;
    }

    pthread_mutex_lock(&couriers->lock);
    couriers->quit = true;
    for (i = 0; i < LOYALTY_DELIVERY_CHANNELS; i++) {
        pthread_cond_broadcast(&couriers->lines[i].any);
    }
    pthread_mutex_unlock(&couriers->lock);

    for (i = 0; i < LOYALTY_DELIVERY_CHANNELS; i++) {
        line = &couriers->lines[i];
        for (t = 0; t < line->nthreads; t++) {
            pthread_join(line->threads[t], NULL);
        }
        free(line->threads);
        pthread_cond_destroy(&line->any);
    }

    loyalty_delivery_free(couriers->own);
    pthread_cond_destroy(&couriers->delivered);
    pthread_mutex_destroy(&couriers->lock);
    free(couriers);
}

static void
deliver(loyalty_couriers_t *couriers, loyalty_delivery_t *delivery,
        loyalty_parcel_t *parcel)
{
    if (delivery != NULL) {
        loyalty_delivery_send(delivery, &parcel->envelope, &parcel->answer);
    } else {
        loyalty_delivery_fail(&parcel->answer, LOYALTY_DELIVERY_PASSING,
                              "out of memory");
    }

    pthread_mutex_lock(&couriers->lock);
    push(&couriers->done, parcel);
    pthread_cond_signal(&couriers->delivered);
    pthread_mutex_unlock(&couriers->lock);
}

static void *
courier(void *data)
{
    line_t *line = data;
    loyalty_couriers_t *couriers = line->couriers;
    loyalty_delivery_t *delivery = NULL;
    loyalty_parcel_t *parcel;

    for (;;) {
        pthread_mutex_lock(&couriers->lock);
        while (line->queue.first == NULL && !couriers->quit) {
            pthread_cond_wait(&line->any, &couriers->lock);
        }
        parcel = pop(&line->queue);
        pthread_mutex_unlock(&couriers->lock);

        if (parcel == NULL) {
            break;
        }

        if (delivery == NULL) {
            delivery = loyalty_delivery_create(couriers->conf,
                                               couriers->stopping);
        }
        deliver(couriers, delivery, parcel);
    }

    loyalty_delivery_free(delivery);
    return NULL;
}

/* Signals are for nginx' own thread. */
static void
hire(line_t *line)
{
    sigset_t all, old;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    if (pthread_create(&line->threads[line->nthreads], NULL, courier, line)
        == 0) {
        line->nthreads++;
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

int64_t
loyalty_couriers_wait(const loyalty_couriers_t *couriers,
                      loyalty_channel_t channel)
{
    const line_t *line = &couriers->lines[loyalty_delivery_channel(channel)];
    int64_t left = line->next_at - monotonic();

    return left > 0 ? left / 1000 + 1 : 0;
}

bool
loyalty_couriers_room(const loyalty_couriers_t *couriers,
                      loyalty_channel_t channel)
{
    size_t i = loyalty_delivery_channel(channel);

    return couriers->lines[i].out < couriers->conf->ways[i].concurrency;
}

void
loyalty_couriers_post(loyalty_couriers_t *couriers, loyalty_parcel_t *parcel)
{
    size_t i = loyalty_delivery_channel(parcel->envelope.channel);
    const loyalty_way_t *way = &couriers->conf->ways[i];
    line_t *line = &couriers->lines[i];

    if (way->rate != 0) {
        line->next_at = monotonic()
                        + 1000000 * (int64_t)couriers->conf->processes
                              / way->rate;
    }

    couriers->out++;
    line->out++;

    if (way->kind == LOYALTY_WAY_SMTP || way->kind == LOYALTY_WAY_HTTP) {
        if (line->nthreads < line->out && line->nthreads < way->concurrency) {
            hire(line);
        }
        if (line->nthreads != 0) {
            pthread_mutex_lock(&couriers->lock);
            push(&line->queue, parcel);
            pthread_cond_signal(&line->any);
            pthread_mutex_unlock(&couriers->lock);
            return;
        }
    }

    deliver(couriers, couriers->own, parcel);
}

loyalty_parcel_t *
loyalty_couriers_take(loyalty_couriers_t *couriers, int timeout)
{
    int64_t until = monotonic() + (int64_t)timeout * 1000;
    struct timespec at = {until / 1000000, until % 1000000 * 1000};
    loyalty_parcel_t *parcel;

    pthread_mutex_lock(&couriers->lock);
    while ((parcel = pop(&couriers->done)) == NULL && couriers->out != 0
           && timeout != 0
           && pthread_cond_timedwait(&couriers->delivered, &couriers->lock, &at)
                  == 0) {
        continue;
    }
    pthread_mutex_unlock(&couriers->lock);

    if (parcel != NULL) {
        couriers->out--;
        couriers->lines[loyalty_delivery_channel(parcel->envelope.channel)]
            .out--;
    }

    return parcel;
}

size_t
loyalty_couriers_out(const loyalty_couriers_t *couriers)
{
    return couriers->out;
}
