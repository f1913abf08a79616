/*
 * The orders of one site: batches from its stream, each one transaction.
 *
 * While Redis works on a batch's transaction the next batch, read with the
 * round trip before, is parsed:
 *
 *   us     load N + read N+1 | apply N | parse N+1 | load N+1 + read N+2 ...
 *   Redis   ===                          === EXEC N   ===
 */

#include "loyalty_apply_site.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "loyalty_link.h"

#define LEASE_RETRY 250 /* ms, while another holds it */
#define CONFLICTS_MAX 20

void
loyalty_apply_say(const loyalty_apply_tools_t *tools,
                  loyalty_log_level_t level, const char *format, ...)
{
    char text[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);

    tools->log(tools->log_data, level, text);
}

void
loyalty_apply_note(const loyalty_apply_tools_t *tools,
                   loyalty_store_result_t *last,
                   loyalty_store_result_t result, const char *good,
                   const char *bad)
{
    if (result == *last || result == LOYALTY_STORE_STOPPED) {
        return;
    }

    *last = result;

    if (result == LOYALTY_STORE_OK) {
        loyalty_apply_say(tools, LOYALTY_LOG_NOTICE, "loyalty: %s", good);
    } else {
        loyalty_apply_say(tools, LOYALTY_LOG_ERROR, "loyalty: %s (%s): %s",
                          bad, loyalty_store_result_name(result),
                          loyalty_store_error(tools->store));
    }
}

loyalty_instant_t
loyalty_apply_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);

    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void
command_stream(loyalty_commands_t *commands, const char *name, size_t argc,
               const loyalty_apply_site_t *site, const char *stream)
{
    loyalty_command(commands, name, argc);
    loyalty_arg_key(commands, &site->scope, "s", loyalty_str_from(stream));
}

/* The groups exist from the first time the lease is taken. */
static loyalty_store_result_t
create_groups(loyalty_apply_tools_t *tools, loyalty_apply_site_t *site)
{
    static const char *const streams[] = {"orders", "visits"};
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    const redisReply *reply;
    size_t i;

    loyalty_commands_reset(&tools->commands);
    loyalty_replies_init(&replies);

    for (i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
        loyalty_command(&tools->commands, "XGROUP", 6);
        loyalty_arg_text(&tools->commands, "CREATE");
        loyalty_arg_key(&tools->commands, &site->scope, "s",
                        loyalty_str_from(streams[i]));
        loyalty_arg_text(&tools->commands, LOYALTY_BATCH_GROUP);
        loyalty_arg_text(&tools->commands, "0");
        loyalty_arg_text(&tools->commands, "MKSTREAM");
    }

    result = loyalty_store_call(tools->store, site->scope.site,
                                &tools->commands, &replies);

    for (i = 0; i < replies.count && result == LOYALTY_STORE_OK; i++) {
        reply = replies.list[i];
        if (reply->type == REDIS_REPLY_ERROR
            && !loyalty_reply_is_error(reply, "BUSYGROUP")) {
            loyalty_apply_say(tools, LOYALTY_LOG_ERROR,
                              "loyalty: stream \"%s\" of site \"%s\" cannot "
                              "be read: %.200s", streams[i], site->id,
                              reply->str);
            result = LOYALTY_STORE_REFUSED;
        }
    }

    loyalty_replies_free(&replies);

    return result;
}

static loyalty_store_result_t
take_lease(loyalty_apply_tools_t *tools, loyalty_apply_site_t *site)
{
    loyalty_store_result_t result;

    if (loyalty_link_now() < site->try_at) {
        return LOYALTY_STORE_OK;
    }

    site->try_at = loyalty_link_now() + LEASE_RETRY;

    result = loyalty_lease_take(&site->lease, tools->store, &site->scope);
    if (result != LOYALTY_STORE_OK || !site->lease.held) {
        return result;
    }

    result = create_groups(tools, site);
    if (result != LOYALTY_STORE_OK) {
        return result;
    }

    loyalty_apply_say(tools, LOYALTY_LOG_INFO,
                      "loyalty: applying the orders of site \"%s\"",
                      site->id);
    site->state = LOYALTY_APPLY_RECOVERING;
    site->visits_pending = true;

    return LOYALTY_STORE_OK;
}

static void
lost(loyalty_apply_site_t *site)
{
    site->state = LOYALTY_APPLY_WAITING;
    site->lease.held = false;
}

/* One entry: [id, [name, value, ...]]; a trimmed one has no fields. */
static bool
add_entry(loyalty_batch_t *batch, const redisReply *entry,
          loyalty_instant_t now, size_t *bytes)
{
    loyalty_str_t id, name, value, payload = loyalty_str_null;
    loyalty_str_t journal = loyalty_str_null;
    const redisReply *fields;
    size_t i;

    if (!loyalty_reply_array(entry, 2)
        || !loyalty_reply_str(entry->element[0], &id) || id.data == NULL) {
        return false;
    }

    fields = entry->element[1];

    for (i = 0; fields->type == REDIS_REPLY_ARRAY && i + 1 < fields->elements;
         i += 2) {
        if (!loyalty_reply_str(fields->element[i], &name)
            || !loyalty_reply_str(fields->element[i + 1], &value)) {
            return false;
        }
        if (loyalty_str_eq(name, loyalty_str("e"))) {
            payload = value;
        } else if (loyalty_str_eq(name, loyalty_str("i"))) {
            journal = value;
        }
    }

    *bytes += payload.len;

    return loyalty_batch_add(batch, id, journal, payload, now) == LOYALTY_OK;
}

/* Entries of one stream become the batch. */
static loyalty_store_result_t
fill(loyalty_apply_tools_t *tools, loyalty_apply_site_t *site,
     loyalty_batch_t *batch, const loyalty_program_t *program,
     const redisReply *entries)
{
    loyalty_instant_t now = loyalty_apply_clock();
    size_t i, n, bytes = 0;

    loyalty_batch_begin(batch, &site->scope, tools->programs, program);

    if (entries == NULL) {
        return LOYALTY_STORE_OK;
    }

    for (i = 0; i < entries->elements; i++) {
        if (!add_entry(batch, entries->element[i], now, &bytes)) {
            return LOYALTY_STORE_MALFORMED;
        }
    }

    n = loyalty_batch_count(batch);
    if (n != 0) {
        site->count = LOYALTY_APPLY_BYTES_MAX / (bytes / n + 1);
        site->count = site->count < 1 ? 1 : site->count;
        if (site->count > LOYALTY_BATCH_EVENTS_MAX) {
            site->count = LOYALTY_BATCH_EVENTS_MAX;
        }
    }

    return LOYALTY_STORE_OK;
}

/* XREADGROUP's reply: nil, or [[stream, entries]].  NULL in *entries: none. */
static bool
read_reply(const redisReply *reply, const redisReply **entries)
{
    *entries = NULL;

    if (loyalty_reply_is_nil(reply)) {
        return true;
    }

    if (!loyalty_reply_array(reply, 1)
        || !loyalty_reply_array(reply->element[0], 2)
        || reply->element[0]->element[1]->type != REDIS_REPLY_ARRAY) {
        return false;
    }

    *entries = reply->element[0]->element[1];
    return true;
}

static size_t
batch_size(const loyalty_apply_tools_t *tools,
           const loyalty_apply_site_t *site)
{
    return site->count > LOYALTY_APPLY_AWAITED && tools->conf->awaited != NULL
                   && tools->conf->awaited()
               ? LOYALTY_APPLY_AWAITED : site->count;
}

static void
command_read(loyalty_commands_t *commands, const loyalty_apply_site_t *site,
             size_t count, int block)
{
    loyalty_command(commands, "XREADGROUP", block > 0 ? 11 : 9);
    loyalty_arg_text(commands, "GROUP");
    loyalty_arg_text(commands, LOYALTY_BATCH_GROUP);
    loyalty_arg_text(commands, LOYALTY_BATCH_CONSUMER);
    loyalty_arg_text(commands, "COUNT");
    loyalty_arg_int(commands, (int64_t)count);
    if (block > 0) {
        loyalty_arg_text(commands, "BLOCK");
        loyalty_arg_int(commands, block);
    }
    loyalty_arg_text(commands, "STREAMS");
    loyalty_arg_key(commands, &site->scope, "s", loyalty_str("orders"));
    loyalty_arg_text(commands, ">");
}

/* Fills tools->current with new events. */
static loyalty_store_result_t
read_new(loyalty_apply_tools_t *tools, loyalty_apply_site_t *site,
         const loyalty_program_t *program, int block)
{
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    const redisReply *entries;

    loyalty_commands_reset(&tools->commands);
    loyalty_replies_init(&replies);
    command_read(&tools->commands, site, batch_size(tools, site), block);
    result = loyalty_store_call(tools->store, site->scope.site,
                                &tools->commands, &replies);

    if (result == LOYALTY_STORE_OK) {
        result = read_reply(replies.list[0], &entries)
                     ? fill(tools, site, tools->current, program, entries)
                     : LOYALTY_STORE_MALFORMED;
    }

    loyalty_replies_free(&replies);

    return result;
}

/* The pending entries: how many may be taken at once, and how often the first
 * was delivered.  XPENDING: [[id, consumer, idle, deliveries], ...]. */
static loyalty_store_result_t
look_at_pending(loyalty_apply_tools_t *tools, loyalty_apply_site_t *site,
                size_t *count, int64_t *deliveries)
{
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    const redisReply *list;
    int64_t times;
    size_t i;

    loyalty_commands_reset(&tools->commands);
    loyalty_replies_init(&replies);
    command_stream(&tools->commands, "XPENDING", 6, site, "orders");
    loyalty_arg_text(&tools->commands, LOYALTY_BATCH_GROUP);
    loyalty_arg_text(&tools->commands, "-");
    loyalty_arg_text(&tools->commands, "+");
    loyalty_arg_int(&tools->commands, LOYALTY_BATCH_EVENTS_MAX);
    result = loyalty_store_call(tools->store, site->scope.site,
                                &tools->commands, &replies);

    *count = 0;
    *deliveries = 0;

    if (result == LOYALTY_STORE_OK) {
        list = replies.list[0];
        if (list->type != REDIS_REPLY_ARRAY) {
            result = LOYALTY_STORE_MALFORMED;
        }

        for (i = 0; result == LOYALTY_STORE_OK && i < list->elements; i++) {
            if (!loyalty_reply_array(list->element[i], 4)
                || !loyalty_reply_int(list->element[i]->element[3], &times)) {
                result = LOYALTY_STORE_MALFORMED;
                break;
            }
            if (i == 0) {
                *deliveries = times;
            }
            if (times >= LOYALTY_APPLY_SUSPECT) {
                *count += i == 0;
                break;
            }
            (*count)++;
        }
    }

    loyalty_replies_free(&replies);

    return result;
}

/* Claims what dead holders left, in order: [next, entries, ...]. */
static loyalty_store_result_t
read_pending(loyalty_apply_tools_t *tools, loyalty_apply_site_t *site,
             const loyalty_program_t *program)
{
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    int64_t deliveries;
    size_t count;

    result = look_at_pending(tools, site, &count, &deliveries);
    if (result != LOYALTY_STORE_OK) {
        return result;
    }

    if (count == 0) {
        loyalty_batch_begin(tools->current, &site->scope, tools->programs,
                            program);
        site->state = LOYALTY_APPLY_READING;
        return LOYALTY_STORE_OK;
    }

    loyalty_commands_reset(&tools->commands);
    loyalty_replies_init(&replies);
    command_stream(&tools->commands, "XAUTOCLAIM", 8, site, "orders");
    loyalty_arg_text(&tools->commands, LOYALTY_BATCH_GROUP);
    loyalty_arg_text(&tools->commands, LOYALTY_BATCH_CONSUMER);
    loyalty_arg_text(&tools->commands, "0");
    loyalty_arg_text(&tools->commands, "0-0");
    loyalty_arg_text(&tools->commands, "COUNT");
    loyalty_arg_int(&tools->commands, (int64_t)count);
    result = loyalty_store_call(tools->store, site->scope.site,
                                &tools->commands, &replies);

    if (result == LOYALTY_STORE_OK) {
        result = replies.list[0]->type == REDIS_REPLY_ARRAY
                         && replies.list[0]->elements >= 2
                         && replies.list[0]->element[1]->type
                                == REDIS_REPLY_ARRAY
                     ? fill(tools, site, tools->current, program,
                            replies.list[0]->element[1])
                     : LOYALTY_STORE_MALFORMED;
    }

    loyalty_replies_free(&replies);

    if (result == LOYALTY_STORE_OK && deliveries > LOYALTY_APPLY_DELIVERIES_MAX
        && loyalty_batch_count(tools->current) == 1) {
        loyalty_batch_refuse(tools->current, 0, "delivered_too_often",
                             "applying it never came to an end");
    }

    return result;
}

/* The merchant has changed the program: what was parsed is parsed again. */
static loyalty_store_result_t
renew_program(loyalty_apply_tools_t *tools, loyalty_apply_site_t *site,
              const loyalty_program_t **program)
{
    loyalty_store_result_t result;
    loyalty_instant_t now = loyalty_apply_clock();

    loyalty_store_unwatch(tools->store, site->scope.site);
    result = loyalty_programs_get(tools->programs, tools->store, &site->scope,
                                  program);
    if (result != LOYALTY_STORE_OK) {
        return result;
    }

    if (*program == NULL) {
        return LOYALTY_STORE_FENCED; /* the site is gone */
    }

    return loyalty_batch_reparse(tools->current, *program, now) == LOYALTY_OK
                   && loyalty_batch_reparse(tools->next, *program, now)
                          == LOYALTY_OK
               ? LOYALTY_STORE_OK : LOYALTY_STORE_MEMORY;
}

/* Loads the current batch, reading the next one with it when told to. */
static loyalty_store_result_t
load(loyalty_apply_tools_t *tools, loyalty_apply_site_t *site,
     const loyalty_program_t **program, bool ahead, loyalty_replies_t *read)
{
    loyalty_store_result_t result = LOYALTY_STORE_CONFLICT;
    loyalty_commands_t more;
    int tries;

    loyalty_commands_init(&more);
    command_read(&more, site, batch_size(tools, site), 0);

    for (tries = 0; tries < CONFLICTS_MAX; tries++) {
        result = loyalty_batch_load(tools->current, tools->store,
                                    loyalty_lease_token(&site->lease),
                                    ahead && read->count == 0 ? &more : NULL,
                                    read);
        if (result != LOYALTY_STORE_CONFLICT) {
            break;
        }

        result = renew_program(tools, site, program);
        if (result != LOYALTY_STORE_OK) {
            break;
        }

        result = LOYALTY_STORE_CONFLICT;
    }

    loyalty_commands_free(&more);

    return result;
}

/* Sends the transaction, parses what was read ahead, hears the outcome. */
static loyalty_store_result_t
transact(loyalty_apply_tools_t *tools, loyalty_apply_site_t *site,
         const loyalty_program_t *program, loyalty_replies_t *read)
{
    loyalty_store_result_t result, parsed = LOYALTY_STORE_OK;
    const redisReply *entries;
    loyalty_replies_t replies;

    loyalty_commands_reset(&tools->commands);
    loyalty_batch_write(tools->current, loyalty_lease_token(&site->lease),
                        LOYALTY_LEASE_MS, loyalty_apply_clock(),
                        &tools->commands);
    loyalty_command(&tools->commands, "EXEC", 1);

    result = loyalty_store_exec_send(tools->store, site->scope.site,
                                     &tools->commands);
    if (result != LOYALTY_STORE_OK) {
        return result;
    }

    if (read->count != 0 && loyalty_batch_count(tools->next) == 0) {
        parsed = read_reply(read->list[0], &entries)
                     ? fill(tools, site, tools->next, program, entries)
                     : LOYALTY_STORE_MALFORMED;
    }

    loyalty_replies_init(&replies);
    result = loyalty_store_exec_receive(tools->store, site->scope.site,
                                        tools->commands.count, &replies);
    loyalty_replies_free(&replies);

    return result == LOYALTY_STORE_OK ? parsed : result;
}

/* Applies the current batch; tools->next holds what was read ahead. */
static loyalty_store_result_t
commit(loyalty_apply_tools_t *tools, loyalty_apply_site_t *site,
       const loyalty_program_t **program, bool ahead)
{
    loyalty_store_result_t result = LOYALTY_STORE_CONFLICT;
    loyalty_replies_t read;
    int tries;

    loyalty_replies_init(&read);
    loyalty_batch_begin(tools->next, &site->scope, tools->programs, *program);

    for (tries = 0; tries < CONFLICTS_MAX; tries++) {
        result = load(tools, site, program, ahead, &read);
        if (result == LOYALTY_STORE_OK) {
            result = loyalty_batch_apply(tools->current, tools->store,
                                         loyalty_apply_clock());
        }
        if (result == LOYALTY_STORE_OK) {
            result = transact(tools, site, *program, &read);
        }
        if (result != LOYALTY_STORE_CONFLICT) {
            break;
        }
    }

    loyalty_replies_free(&read);

    if (result == LOYALTY_STORE_OK) {
        loyalty_lease_renewed(&site->lease);
    }

    return result;
}

/* Batch after batch while there are events, for a bounded time. */
static loyalty_store_result_t
apply_orders(loyalty_apply_tools_t *tools, loyalty_apply_site_t *site,
             const loyalty_program_t *program, int block, bool *busy)
{
    loyalty_store_result_t result;
    loyalty_batch_t *done;
    int64_t until = loyalty_link_now() + 200;
    bool ahead;

    result = site->state == LOYALTY_APPLY_RECOVERING
                 ? read_pending(tools, site, program)
                 : read_new(tools, site, program, block);

    while (result == LOYALTY_STORE_OK
           && loyalty_batch_count(tools->current) != 0) {
        *busy = true;
        ahead = site->state == LOYALTY_APPLY_READING
                && loyalty_link_now() < until;
        result = commit(tools, site, &program, ahead);

        done = tools->current;
        tools->current = tools->next;
        tools->next = done;
    }

    return result;
}

loyalty_store_result_t
loyalty_apply_site(loyalty_apply_tools_t *tools, loyalty_apply_site_t *site,
                   int block, bool *busy)
{
    const loyalty_program_t *program;
    loyalty_store_result_t result;

    result = loyalty_programs_get(tools->programs, tools->store, &site->scope,
                                  &program);

    if (result == LOYALTY_STORE_MALFORMED && !site->complained) {
        site->complained = true;
        loyalty_apply_say(tools, LOYALTY_LOG_ERROR, "loyalty: %s",
                          loyalty_programs_problem(tools->programs));
    }

    if (result != LOYALTY_STORE_OK || program == NULL) {
        return result == LOYALTY_STORE_MALFORMED ? LOYALTY_STORE_OK : result;
    }

    site->complained = false;

    if (site->state == LOYALTY_APPLY_WAITING) {
        result = take_lease(tools, site);
        if (result != LOYALTY_STORE_OK
            || site->state == LOYALTY_APPLY_WAITING) {
            return result;
        }
    }

    result = apply_orders(tools, site, program, block, busy);

    if (result == LOYALTY_STORE_OK) {
        result = loyalty_apply_visits(tools, site);
    }

    if (result == LOYALTY_STORE_OK
        && loyalty_link_now() >= site->lease.renew_at) {
        result = loyalty_lease_renew(&site->lease, tools->store, &site->scope);
    }

    if (result != LOYALTY_STORE_OK || !site->lease.held) {
        loyalty_store_unwatch(tools->store, site->scope.site);
        lost(site);
    }

    return result == LOYALTY_STORE_FENCED ? LOYALTY_STORE_OK : result;
}
