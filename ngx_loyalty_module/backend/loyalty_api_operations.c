/*
 * For ops: is the back end ready, how is Redis set up, how much is waiting.
 *
 *   health    200 where Redis answers, else 503: for load balancers
 *   redis     what the start-up check says, now
 *   metrics   Prometheus text of every site that the caller may read; a site
 *             is a label, a member never
 */

#include "loyalty_api_call.h"
#include "loyalty_api_route.h"
#include "loyalty_redis_check.h"
#include "loyalty_sites.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

loyalty_store_result_t
loyalty_api_health(loyalty_api_call_t *call)
{
    loyalty_str_t key = loyalty_api_global_key(call, "sites");
    loyalty_store_result_t result;
    loyalty_replies_t replies;

    loyalty_commands_reset(&call->session->commands);
    loyalty_api_global(call, "EXISTS", key, 0);
    loyalty_replies_init(&replies);
    result = loyalty_api_global_read(call, key, &replies);
    loyalty_replies_free(&replies);

    if (result == LOYALTY_STORE_OK) {
        loyalty_api_json(call, 200, json_pack("{s:s}", "status", "ok"));
    }

    return result;
}

static void
advise(void *data, loyalty_log_level_t level, const char *text)
{
    static const char prefix[] = "loyalty: ";

    if (strncmp(text, prefix, sizeof(prefix) - 1) == 0) {
        text += sizeof(prefix) - 1;
    }

    json_array_append_new(data,
                          json_pack("{s:s,s:s}", "level",
                                    level == LOYALTY_LOG_ERROR ? "error"
                                                               : "warning",
                                    "message", text));
}

loyalty_store_result_t
loyalty_api_redis(loyalty_api_call_t *call)
{
    json_t *advice = json_array();
    loyalty_store_result_t result;

    result = loyalty_redis_look(call->session->store, call->session->conf,
                                advise, advice);
    loyalty_api_json(call, 200, json_pack("{s:o}", "advice", advice));

    return result;
}

/* Metrics */

/* What one site is asked, and what it is called; without a name it is a part
 * of what is above it. */
static const struct {
    const char *name, *help, *command, *kind, *rest;
} gauges[] = {
    {"loyalty_site_members", "Members.", "ZCARD", "mi", ""},
    {"loyalty_site_dead_letters", "Orders put aside.", "XLEN", "s",
     "dead"},
    {"loyalty_site_messages_pending", "Messages to be sent.", "ZCARD", "ml",
     "pending"},
    {"loyalty_site_messages_due", "Messages that should be out by now.",
     "ZCOUNT", "ob", "email"},
    {NULL, NULL, "ZCOUNT", "ob", "sms"},
    {NULL, NULL, "ZCOUNT", "ob", "messenger"},
    {NULL, NULL, "ZCOUNT", "ob", "line"},
    {"loyalty_site_jobs_due", "Jobs to be run now.", "ZCOUNT", "x",
     "jobs"},
    {"loyalty_site_deliveries_pending", "Deliveries to webhooks to be made.",
     "ZCARD", "x", "deliveries"},
    {"loyalty_site_deliveries_dead", "Deliveries given up.", "ZCARD",
     "wl", "dead"},
    {"loyalty_site_holds", "Holds in force.", "ZCARD", "x", "holds"},
};

#define NGAUGES (sizeof(gauges) / sizeof(gauges[0]))

/* Counters of the pipeline and of messages: fields of a hash. */
static const struct {
    const char *name, *help, *kind, *rest, *field;
} counters[] = {
    {"loyalty_site_orders_applied_total", "Events of orders applied.", "x",
     "stats", "applied"},
    {"loyalty_site_orders_duplicates_total", "Events that had come before.",
     "x", "stats", "duplicates"},
    {"loyalty_site_orders_dead_total", "Events put aside.", "x", "stats",
     "dead"},
    {"loyalty_site_messages_sent_total", "Messages sent.", "rs", "", "sent"},
    {"loyalty_site_messages_failed_total", "Messages that failed for good.",
     "rs", "", "failed"},
};

#define NCOUNTERS (sizeof(counters) / sizeof(counters[0]))
#define NREADS (NGAUGES + NCOUNTERS + 1)
#define NVALUES (NGAUGES + NCOUNTERS + 2)

typedef struct {
    loyalty_str_t site;
    int64_t values[NVALUES];
} row_t;

static void
command_site(loyalty_api_call_t *call)
{
    loyalty_commands_t *commands = &call->session->commands;
    bool due;
    size_t i;

    for (i = 0; i < NGAUGES; i++) {
        due = strcmp(gauges[i].command, "ZCOUNT") == 0;
        loyalty_api_command(call, gauges[i].command, gauges[i].kind,
                            loyalty_str_from(gauges[i].rest), due ? 2 : 0);
        if (due) {
            loyalty_arg_text(commands, "-inf");
            loyalty_arg_int(commands, call->now);
        }
    }

    for (i = 0; i < NCOUNTERS; i++) {
        loyalty_api_command(call, "HGET", counters[i].kind,
                            loyalty_str_from(counters[i].rest), 1);
        loyalty_arg_text(commands, counters[i].field);
    }

    loyalty_command(commands, "XINFO", 3);
    loyalty_arg_text(commands, "GROUPS");
    loyalty_arg_key(commands, &call->scope, "s", loyalty_str("orders"));
}

/* Of the only group: what was delivered and not yet applied, what was not
 * delivered. */
static void
take_stream(const redisReply *groups, int64_t *pending, int64_t *lag)
{
    const redisReply *group;
    loyalty_str_t name;
    size_t i;

    if (groups->type != REDIS_REPLY_ARRAY || groups->elements == 0) {
        return;
    }

    group = groups->element[0];
    for (i = 0; group->type == REDIS_REPLY_ARRAY && i + 1 < group->elements;
         i += 2) {
        if (loyalty_reply_str(group->element[i], &name)) {
            if (loyalty_str_eq(name, loyalty_str("pending"))) {
                loyalty_reply_int(group->element[i + 1], pending);
            } else if (loyalty_str_eq(name, loyalty_str("lag"))) {
                loyalty_reply_int(group->element[i + 1], lag);
            }
        }
    }
}

static loyalty_store_result_t
read_site(loyalty_api_call_t *call, row_t *row)
{
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    loyalty_str_t text;
    size_t i, whole = 0;

    call->scope.site = row->site;
    loyalty_commands_reset(&call->session->commands);
    command_site(call);
    loyalty_replies_init(&replies);
    result = loyalty_api_read(call, &replies);

    for (i = 0; result == LOYALTY_STORE_OK && i < NREADS - 1; i++) {
        if (!loyalty_reply_int(replies.list[i], &row->values[i])
            && loyalty_reply_str(replies.list[i], &text)) {
            loyalty_str_int(text, &row->values[i]);
        }
        if (i >= NGAUGES || gauges[i].name != NULL) {
            whole = i;
        } else {
            row->values[whole] += row->values[i];
        }
    }
    if (result == LOYALTY_STORE_OK) {
        take_stream(replies.list[NREADS - 1], &row->values[NREADS - 1],
                    &row->values[NREADS]);
    }
    loyalty_replies_free(&replies);

    return result;
}

static void
write_metric(FILE *out, const row_t *rows, size_t n, size_t value,
             const char *name, const char *help, const char *type)
{
    size_t i;

    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
    for (i = 0; i < n; i++) {
        fprintf(out, "%s{site=\"%.*s\"} %" PRId64 "\n", name,
                (int)rows[i].site.len, rows[i].site.data,
                rows[i].values[value]);
    }
}

static bool
write_text(const row_t *rows, size_t n, char **text, size_t *len)
{
    FILE *out = open_memstream(text, len);
    size_t i;

    if (out == NULL) {
        return false;
    }

    for (i = 0; i < NGAUGES; i++) {
        if (gauges[i].name != NULL) {
            write_metric(out, rows, n, i, gauges[i].name, gauges[i].help,
                         "gauge");
        }
    }
    for (i = 0; i < NCOUNTERS; i++) {
        write_metric(out, rows, n, NGAUGES + i, counters[i].name,
                     counters[i].help, "counter");
    }
    write_metric(out, rows, n, NREADS - 1, "loyalty_site_orders_pending",
                 "Events of orders being applied.", "gauge");
    write_metric(out, rows, n, NREADS, "loyalty_site_orders_lag",
                 "Events of orders not looked at yet.", "gauge");

    return fclose(out) == 0;
}

loyalty_store_result_t
loyalty_api_metrics(loyalty_api_call_t *call)
{
    loyalty_store_result_t result;
    loyalty_str_t *sites;
    char *text = NULL;
    size_t i, n, known, len = 0;
    row_t *rows;

    result = loyalty_sites(call->session->store, call->session->conf->prefix,
                           call->arena, &sites, &known);
    if (result != LOYALTY_STORE_OK) {
        return result;
    }

    rows = loyalty_alloc(call->arena, (known + 1) * sizeof(*rows));
    if (rows == NULL) {
        return LOYALTY_STORE_MEMORY;
    }

    call->scope.prefix = call->session->conf->prefix;
    for (i = n = 0; result == LOYALTY_STORE_OK && i < known; i++) {
        if (loyalty_api_may(call, LOYALTY_SCOPE_READ, sites[i])) {
            rows[n] = (row_t){.site = sites[i]};
            result = read_site(call, &rows[n++]);
        }
    }

    if (result == LOYALTY_STORE_OK && !write_text(rows, n, &text, &len)) {
        result = LOYALTY_STORE_MEMORY;
    }
    if (result == LOYALTY_STORE_OK) {
        loyalty_api_bytes(call, "text/plain; version=0.0.4; charset=utf-8",
                          (loyalty_str_t){text, len});
    }
    free(text);

    return result;
}
