/*
 * A crew whose lines are the channels, and the rate limits of these.
 */

#include "loyalty_couriers.h"

#include <stdlib.h>
#include <time.h>

#include "loyalty_delivery_private.h"

struct loyalty_couriers_s {
    const loyalty_delivery_conf_t *conf;
    bool (*stopping)(void);
    loyalty_delivery_t *own; /* of post() */
    loyalty_crew_conf_t work;
    loyalty_crew_t *crew;
    /* monotonic us: a channel's next message by its rate limit */
    int64_t next_at[LOYALTY_DELIVERY_CHANNELS];
};

static int64_t
monotonic(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void *
equip(void *data)
{
    loyalty_couriers_t *couriers = data;

    return loyalty_delivery_create(couriers->conf, couriers->stopping);
}

static void
deliver(void *data, void *tools, loyalty_task_t *task)
{
    loyalty_parcel_t *parcel = (loyalty_parcel_t *)task;

    (void)data;
    if (tools != NULL) {
        loyalty_delivery_send(tools, &parcel->envelope, &parcel->answer);
    } else {
        loyalty_delivery_fail(&parcel->answer, LOYALTY_DELIVERY_PASSING,
                              "out of memory");
    }
}

static void
put_away(void *tools)
{
    loyalty_delivery_free(tools);
}

loyalty_couriers_t *
loyalty_couriers_create(const loyalty_delivery_conf_t *conf,
                        bool (*stopping)(void))
{
    loyalty_couriers_t *couriers = calloc(1, sizeof(*couriers));
    int threads[LOYALTY_DELIVERY_CHANNELS];
    size_t i;

    if (couriers == NULL) {
        return NULL;
    }

    for (i = 0; i < LOYALTY_DELIVERY_CHANNELS; i++) {
        threads[i] = conf->ways[i].concurrency;
    }

    couriers->conf = conf;
    couriers->stopping = stopping;
    couriers->work = (loyalty_crew_conf_t){equip, deliver, put_away, couriers};
    couriers->own = loyalty_delivery_create(conf, stopping);
    couriers->crew = loyalty_crew_create(&couriers->work, threads,
                                         LOYALTY_DELIVERY_CHANNELS);
    if (couriers->own == NULL || couriers->crew == NULL) {
        loyalty_couriers_free(couriers);
        return NULL;
    }

    return couriers;
}

void
loyalty_couriers_free(loyalty_couriers_t *couriers)
{
    if (couriers == NULL) {
        return;
    }

    loyalty_crew_free(couriers->crew);
    loyalty_delivery_free(couriers->own);
    free(couriers);
}

int64_t
loyalty_couriers_wait(const loyalty_couriers_t *couriers,
                      loyalty_channel_t channel)
{
    int64_t left = couriers->next_at[loyalty_delivery_channel(channel)]
                   - monotonic();

    return left > 0 ? left / 1000 + 1 : 0;
}

bool
loyalty_couriers_room(const loyalty_couriers_t *couriers,
                      loyalty_channel_t channel)
{
    size_t i = loyalty_delivery_channel(channel);

    return loyalty_crew_in(couriers->crew, i)
           < couriers->conf->ways[i].concurrency;
}

void
loyalty_couriers_post(loyalty_couriers_t *couriers, loyalty_parcel_t *parcel)
{
    size_t i = loyalty_delivery_channel(parcel->envelope.channel);
    const loyalty_way_t *way = &couriers->conf->ways[i];

    if (way->rate != 0) {
        couriers->next_at[i] = monotonic()
                               + 1000000 * (int64_t)couriers->conf->processes
                                     / way->rate;
    }

    if ((way->kind == LOYALTY_WAY_SMTP || way->kind == LOYALTY_WAY_HTTP)
        && loyalty_crew_post(couriers->crew, i, &parcel->task)) {
        return;
    }

    deliver(couriers, couriers->own, &parcel->task);
    loyalty_crew_done(couriers->crew, i, &parcel->task);
}

loyalty_parcel_t *
loyalty_couriers_take(loyalty_couriers_t *couriers, int timeout)
{
    return (loyalty_parcel_t *)loyalty_crew_take(couriers->crew, timeout);
}

size_t
loyalty_couriers_out(const loyalty_couriers_t *couriers)
{
    return loyalty_crew_out(couriers->crew);
}
