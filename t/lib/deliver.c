/*
 * Delivers the envelopes on stdin, one JSON object a line, by the
 * configuration that the first argument names; answers a line for each.
 * SIGUSR1 is what a reload is to a worker.  With "wait": true an envelope
 * waits for the rate limit first; with "copies": N it goes out N times, as many
 * at once as the channel allows, and the last answer is told.
 */

#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <curl/curl.h>

#include "loyalty_couriers.h"

static volatile sig_atomic_t stop;

static bool
stopping(void)
{
    return stop != 0;
}

static void
on_signal(int signal)
{
    (void)signal;
    stop = 1;
}

static int64_t
now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static loyalty_str_t
get(json_t *json, const char *name)
{
    json_t *value = json_object_get(json, name);

    return (loyalty_str_t){json_string_value(value),
                           json_string_length(value)};
}

static loyalty_channel_t
channel_of(json_t *json)
{
    static const char *const names[] = {"email", "sms", "messenger", "line"};
    size_t i;

    for (i = 0; i < 4; i++) {
        if (loyalty_str_eq(get(json, "channel"), loyalty_str_from(names[i]))) {
            return (loyalty_channel_t)(1u << i);
        }
    }

    return LOYALTY_CHANNEL_EMAIL;
}

/* The number of those on their way at once, at most. */
static int
send_copies(loyalty_couriers_t *couriers, loyalty_parcel_t *parcels, int n,
            loyalty_delivery_answer_t *answer)
{
    int posted = 0, taken = 0, most = 0;
    loyalty_parcel_t *parcel;

    while (taken < n) {
        while (posted < n
               && loyalty_couriers_room(couriers,
                                        parcels[posted].envelope.channel)) {
            loyalty_couriers_post(couriers, &parcels[posted++]);
        }
        most = posted - taken > most ? posted - taken : most;
        parcel = loyalty_couriers_take(couriers, 1000);
        if (parcel != NULL) {
            *answer = parcel->answer;
            taken++;
        }
    }

    return most;
}

static void
deliver(loyalty_couriers_t *couriers, json_t *json)
{
    static const char *const results[] = {"sent", "passing", "permanent",
                                          "stopped"};
    loyalty_envelope_t envelope = {
        .channel = channel_of(json),
        .site = loyalty_str("demo"),
        .id = get(json, "id"),
        .to = get(json, "to"),
        .sender_name = get(json, "sender_name"),
        .sender_address = get(json, "sender_address"),
        .subject = get(json, "subject"),
        .text = get(json, "text"),
        .html = get(json, "html"),
        .unsubscribe_url = get(json, "unsubscribe_url"),
        .at = INT64_C(1735732800000), /* 2025-01-01T12:00:00Z */
    };
    int n = (int)json_integer_value(json_object_get(json, "copies")), most, i;
    loyalty_delivery_answer_t answer;
    struct timespec pause = {0};
    loyalty_parcel_t *parcels;
    int64_t begin, wait;

    n = n == 0 ? 1 : n;
    parcels = calloc((size_t)n, sizeof(*parcels));
    for (i = 0; i < n; i++) {
        parcels[i].envelope = envelope;
    }

    wait = loyalty_couriers_wait(couriers, envelope.channel);
    if (json_is_true(json_object_get(json, "wait"))) {
        pause.tv_sec = wait / 1000;
        pause.tv_nsec = wait % 1000 * 1000000;
        nanosleep(&pause, NULL);
    }

    begin = now();
    most = send_copies(couriers, parcels, n, &answer);
    free(parcels);
    json = json_pack("{s:s, s:I, s:s, s:s, s:I, s:I, s:i}", "result",
                     results[answer.result], "retry_after",
                     (json_int_t)answer.retry_after, "reference",
                     answer.reference, "error", answer.error, "ms",
                     (json_int_t)(now() - begin), "wait", (json_int_t)wait,
                     "most", most);
    json_dumpf(json, stdout, JSON_COMPACT);
    printf("\n");
    fflush(stdout);
    json_decref(json);
}

int
main(int argc, char **argv)
{
    char error[LOYALTY_DELIVERY_ERROR_SIZE];
    loyalty_delivery_conf_t *conf;
    loyalty_couriers_t *couriers;
    char *line = NULL;
    size_t size = 0;
    json_t *json;

    signal(SIGUSR1, on_signal);
    curl_global_init(CURL_GLOBAL_DEFAULT);

    if (argc != 2
        || loyalty_delivery_conf_read(argv[1], &conf, error) != LOYALTY_OK) {
        fprintf(stderr, "%s\n", argc == 2 ? error : "deliver CONFIGURATION");
        return 1;
    }

    couriers = loyalty_couriers_create(conf, stopping);
    while (couriers != NULL && getline(&line, &size, stdin) != -1) {
        json = json_loads(line, 0, NULL);
        deliver(couriers, json);
        json_decref(json);
    }

    free(line);
    loyalty_couriers_free(couriers);
    loyalty_delivery_conf_free(conf);
    curl_global_cleanup();
    return 0;
}
