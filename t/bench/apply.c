/*
 * Order events applied per second, beside Redis taking the very same commands
 * ready-made, in the same sends.  "metric value" lines.
 *
 *   bench SOCKET EVENTS [SITE [ROUNDS]]     EVENTS: an order event as JSON a line
 *
 * SITE is there already; without it, one is made in an emptied Redis.
 * apply_cpu_ratio is of processor time, which other load hardly changes: that of
 * Redis and of who repeats the commands, to that of Redis and of who applies.
 * The ratio of seconds is the better one, since one batch is parsed while Redis
 * writes another.
 *
 * The link's send is wrapped (ld --wrap): what goes over the wire while the
 * stream is applied is kept, and sent again to a Redis in the same state, from
 * a dump of before (so it must let DEBUG RELOAD pass).
 */

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "loyalty_apply.h"
#include "loyalty_link.h"

#define SENDS_MAX 100000

typedef struct {
    char *data;
    size_t len;
    size_t count;
    double at;
    bool exec; /* a batch's transaction */
} send_t;

static send_t sends[SENDS_MAX];
static size_t nsends;

loyalty_store_result_t __real_loyalty_link_send(loyalty_link_t *link,
                                                const loyalty_commands_t *c,
                                                char *error);
loyalty_store_result_t __wrap_loyalty_link_send(loyalty_link_t *link,
                                                const loyalty_commands_t *c,
                                                char *error);

static double
read_clock(clockid_t id)
{
    struct timespec now;

    clock_gettime(id, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static double
seconds(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

loyalty_store_result_t
__wrap_loyalty_link_send(loyalty_link_t *link, const loyalty_commands_t *c,
                         char *error)
{
    static const char multi[] = "*1\r\n$5\r\nMULTI";
    send_t *kept = &sends[nsends];

    if (nsends == SENDS_MAX || (kept->data = malloc(c->len + 1)) == NULL) {
        abort();
    }

    memcpy(kept->data, c->data, c->len);
    kept->len = c->len;
    kept->count = c->count;
    kept->exec = c->len > sizeof(multi)
                 && memcmp(c->data, multi, sizeof(multi) - 1) == 0
                 && memmem(c->data, c->len, "\r\nXACK\r\n", 8) != NULL;
    kept->at = seconds();
    nsends++;

    return __real_loyalty_link_send(link, c, error);
}

static void
say(void *data, loyalty_log_level_t level, const char *text)
{
    (void)data;
    if (level <= LOYALTY_LOG_WARN) {
        fprintf(stderr, "%s\n", text);
    }
}

static void
must(redisContext *redis, redisReply *reply)
{
    if (reply == NULL || reply->type == REDIS_REPLY_ERROR) {
        fprintf(stderr, "Redis: %s\n",
                reply != NULL ? reply->str : redis->errstr);
        exit(1);
    }
    freeReplyObject(reply);
}

/* An empty Redis with a site. */
static void
make_site(redisContext *redis)
{
    must(redis, redisCommand(redis, "FLUSHALL"));
    must(redis, redisCommand(redis, "SADD loyalty:sites demo"));
    must(redis,
         redisCommand(redis, "SET loyalty:p:{demo} %s",
                      "{\"version\":1,\"settings\":{\"id\":\"demo\",\"name\":"
                      "\"D\",\"currency\":\"GBP\",\"time_zone\":\"UTC\","
                      "\"locales\":[\"en\"],\"active\":true}}"));
}

/* The events into the site's stream. */
static size_t
fill(redisContext *redis, const char *path, const char *site)
{
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t size = 0, n = 0, i;
    void *reply;
    ssize_t len;

    if (file == NULL) {
        perror(path);
        exit(1);
    }

    while ((len = getline(&line, &size, file)) > 0) {
        n++;
        redisAppendCommand(redis, "XADD loyalty:s:{%s}:orders * e %b i j",
                           site, line, (size_t)len);
        if (n % 256 == 0) {
            for (i = 0; i < 256; i++) {
                redisGetReply(redis, &reply);
                must(redis, reply);
            }
        }
    }

    for (i = 0; i < n % 256; i++) {
        redisGetReply(redis, &reply);
        must(redis, reply);
    }

    free(line);
    fclose(file);

    return n;
}

/* The transactions sent so far, and where the last of them is. */
static size_t
count(size_t *last)
{
    size_t i, n = 0;

    for (i = 0; i < nsends; i++) {
        if (sends[i].exec) {
            *last = i;
            n++;
        }
    }

    return n;
}

/* Applies all of the stream; the seconds it took. */
static double
apply(char *socket, size_t *last)
{
    loyalty_store_conf_t conf = {0};
    loyalty_str_t addr = loyalty_str_from(socket);
    loyalty_apply_t *apply;
    double began = seconds(), until;
    size_t before, done;

    conf.addrs = &addr;
    conf.naddrs = 1;
    conf.prefix = loyalty_str("loyalty");
    conf.connect_timeout = 500;
    conf.timeout = 5000;
    apply = loyalty_apply_create(&conf, say, NULL);

    do {
        before = count(last);
        loyalty_apply_run(apply);
        done = count(last);
    } while (done == 0 || done != before);

    /* The send after the last transaction begins when its reply is there. */
    until = sends[*last + 1].at;
    loyalty_apply_free(apply);

    return until - began;
}

static double
replay(redisContext *redis, size_t last)
{
    double began = seconds();
    size_t i, k;
    void *reply;
    int done;

    for (i = 0; i <= last; i++) {
        redisAppendFormattedCommand(redis, sends[i].data, sends[i].len);
        done = 0;
        while (!done && redisBufferWrite(redis, &done) == REDIS_OK) {
        }
        for (k = 0; k < sends[i].count; k++) {
            if (redisGetReply(redis, &reply) != REDIS_OK) {
                fprintf(stderr, "Redis: %s\n", redis->errstr);
                exit(1);
            }
            freeReplyObject(reply);
        }
    }

    return seconds() - began;
}

/* Seconds of its own processor time that Redis has used. */
static double
redis_cpu(redisContext *redis)
{
    static const char *const names[] = {"used_cpu_sys_main_thread:",
                                        "used_cpu_user_main_thread:"};
    redisReply *reply = redisCommand(redis, "INFO cpu");
    double sum = 0;
    const char *at;
    size_t i;

    for (i = 0; reply != NULL && i < 2; i++) {
        at = strstr(reply->str, names[i]);
        sum += at != NULL ? atof(at + strlen(names[i])) : 0;
    }
    must(redis, reply);

    return sum;
}

/* Applies the stream, and what that took again: Redis is then as before. */
static void
measure(redisContext *redis, char *socket, size_t n)
{
    size_t last, i, commands = 0, bytes = 0, batches = 0;
    double applied, replayed, own, cpu, alone;

    nsends = 0;
    cpu = redis_cpu(redis);
    own = read_clock(CLOCK_PROCESS_CPUTIME_ID);
    applied = apply(socket, &last);
    own = read_clock(CLOCK_PROCESS_CPUTIME_ID) - own;
    cpu = redis_cpu(redis) - cpu;
    must(redis, redisCommand(redis, "DEBUG RELOAD NOSAVE"));
    alone = redis_cpu(redis) + read_clock(CLOCK_PROCESS_CPUTIME_ID);
    replayed = replay(redis, last);
    alone = redis_cpu(redis) + read_clock(CLOCK_PROCESS_CPUTIME_ID) - alone;
    must(redis, redisCommand(redis, "DEBUG RELOAD NOSAVE"));

    for (i = 0; i < nsends; i++) {
        if (i <= last && sends[i].exec) {
            commands += sends[i].count;
            bytes += sends[i].len;
            batches++;
        }
        free(sends[i].data);
    }

    printf("apply_events_per_second %.0f\n", (double)n / applied);
    printf("apply_redis_alone_per_second %.0f\n", (double)n / replayed);
    printf("apply_ratio %.3f\n", replayed / applied);
    printf("apply_cpu_ratio %.3f\n", alone / (cpu + own));
    printf("apply_own_cpu_us_per_event %.1f\n", own / (double)n * 1e6);
    printf("apply_redis_cpu_us_per_event %.1f\n", cpu / (double)n * 1e6);
    printf("apply_events_per_batch %.1f\n", (double)n / (double)batches);
    printf("apply_commands_per_event %.2f\n", (double)commands / (double)n);
    printf("apply_bytes_per_event %.0f\n", (double)bytes / (double)n);
}

int
main(int argc, char **argv)
{
    redisContext *redis;
    char socket[512];
    size_t n;
    int i, rounds = argc == 5 ? atoi(argv[4]) : 1;

    if (argc < 3 || argc > 5) {
        fprintf(stderr, "usage: %s SOCKET EVENTS [SITE [ROUNDS]]\n", argv[0]);
        return 2;
    }

    redis = redisConnectUnix(argv[1]);
    if (redis == NULL || redis->err != 0) {
        fprintf(stderr, "no Redis at %s\n", argv[1]);
        return 1;
    }

    snprintf(socket, sizeof(socket), "unix:%s", argv[1]);
    if (argc == 3) {
        make_site(redis);
    }
    n = fill(redis, argv[2], argc > 3 ? argv[3] : "demo");
    must(redis, redisCommand(redis, "SAVE"));

    for (i = 0; i < rounds; i++) {
        measure(redis, socket, n);
    }

    redisFree(redis);

    return 0;
}
