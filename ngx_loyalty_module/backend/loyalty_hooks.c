/*
 * A site's turn:
 *
 *   XRANGE events, posts; ZRANGEBYSCORE deliveries     one round trip
 *   take     WATCH cursor        MULTI ... new deliveries, XDEL, cursor  EXEC
 *   claim    WATCH wd            MULTI ... tries + 1, due again later    EXEC
 *   POST     no transaction, no lock
 *   record   WATCH wd            MULTI ... done | dead | later           EXEC
 *
 * No lease: of two workers that take or claim the same, one finds its
 * transaction refused.  A webhook that does not answer rests for a moment, so
 * that those of others do not wait for it time and again.
 */

#include "loyalty_hooks.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "loyalty_apply_site.h"
#include "loyalty_codec.h"
#include "loyalty_hook.h"
#include "loyalty_link.h"
#include "loyalty_retry.h"
#include "loyalty_sites.h"
#include "loyalty_transfer.h"
#include "loyalty_webhook.h"

#define SITES_EVERY 1000 /* ms between looks at the list of sites */
#define REST 500
#define REST_AWAY 200
#define WORK 200 /* ms of one run */
#define TAKEN_MAX 64
#define DUE_MAX 32
#define TRIES 10 /* of a transaction */
#define CLAIM_MARGIN 10000 /* ms for what comes before and after the call */
#define RESTING 64
#define RESTING_TIME 10000
#define GONE 410
#define ERROR_SIZE 256

static const loyalty_retry_t event_retry = {
    .first = 10 * LOYALTY_SECOND,
    .longest = LOYALTY_HOUR,
    .within = LOYALTY_DAY,
};

/* An order must arrive, however long it takes. */
static const loyalty_retry_t order_retry = {
    .first = 10 * LOYALTY_SECOND,
    .longest = LOYALTY_HOUR,
};

typedef enum {
    OUTCOME_DONE,
    OUTCOME_LATER,
    OUTCOME_DEAD,
    OUTCOME_STOPPED
} outcome_t;

typedef struct {
    outcome_t outcome;
    long status; /* of HTTP; 0: no answer */
    int64_t retry_after;
    char error[ERROR_SIZE];
} answer_t;

typedef struct {
    uint64_t print; /* of the site and the webhook */
    int64_t until;  /* monotonic ms */
} resting_t;

struct loyalty_hooks_s {
    const loyalty_store_conf_t *conf;
    const loyalty_hooks_conf_t *hooks;
    loyalty_apply_tools_t tools; /* without batches */
    loyalty_transfer_t *webhooks, *posts;
    loyalty_arena_t arena; /* of what is taken, or POSTed */
    loyalty_str_t *sites;  /* of `listed` */
    size_t nsites;
    loyalty_arena_t listed;
    int64_t sites_at;
    loyalty_store_result_t last;
    resting_t resting[RESTING];

    loyalty_scope_t scope; /* of the site whose turn it is */
    const loyalty_program_t *program;
};

loyalty_hooks_t *
loyalty_hooks_create(const loyalty_store_conf_t *conf,
                     const loyalty_hooks_conf_t *conf_of_hooks,
                     loyalty_log_pt log, void *data)
{
    loyalty_hooks_t *hooks = calloc(1, sizeof(*hooks));

    if (hooks == NULL) {
        return NULL;
    }

    hooks->conf = conf;
    hooks->hooks = conf_of_hooks;
    hooks->tools.log = log;
    hooks->tools.log_data = data;
    hooks->tools.store = loyalty_store_open(conf);
    hooks->tools.programs = loyalty_programs_create();
    hooks->webhooks = loyalty_transfer_create(conf->stopping);
    hooks->posts = loyalty_transfer_create(conf->stopping);
    loyalty_commands_init(&hooks->tools.commands);
    loyalty_arena_init(&hooks->arena, 0);
    loyalty_arena_init(&hooks->listed, 0);

    if (hooks->tools.store == NULL || hooks->tools.programs == NULL
        || hooks->webhooks == NULL || hooks->posts == NULL) {
        loyalty_hooks_free(hooks);
        return NULL;
    }

    return hooks;
}

void
loyalty_hooks_free(loyalty_hooks_t *hooks)
{
    loyalty_transfer_free(hooks->webhooks);
    loyalty_transfer_free(hooks->posts);
    loyalty_arena_free(&hooks->arena);
    loyalty_arena_free(&hooks->listed);
    loyalty_programs_free(hooks->tools.programs);
    loyalty_commands_free(&hooks->tools.commands);
    if (hooks->tools.store != NULL) {
        loyalty_store_close(hooks->tools.store);
    }
    free(hooks);
}

static void
command(loyalty_hooks_t *hooks, const char *name, size_t argc,
        const char *kind, loyalty_str_t rest)
{
    loyalty_command(&hooks->tools.commands, name, argc);
    loyalty_arg_key(&hooks->tools.commands, &hooks->scope, kind, rest);
}

static loyalty_store_result_t
call(loyalty_hooks_t *hooks, loyalty_replies_t *replies)
{
    loyalty_replies_free(replies);
    return loyalty_store_call(hooks->tools.store, hooks->scope.site,
                              &hooks->tools.commands, replies);
}

static loyalty_store_result_t
execute(loyalty_hooks_t *hooks)
{
    loyalty_command(&hooks->tools.commands, "EXEC", 1);
    return loyalty_store_exec(hooks->tools.store, hooks->scope.site,
                              &hooks->tools.commands);
}

/* Taking what the streams hold. */

static void
command_streams(loyalty_hooks_t *hooks)
{
    loyalty_commands_t *commands = &hooks->tools.commands;
    loyalty_str_t streams[] = {loyalty_str("events"), loyalty_str("posts")};
    size_t i, n = hooks->hooks->order_post.len != 0 ? 2 : 1;

    for (i = 0; i < n; i++) {
        command(hooks, "XRANGE", 6, "s", streams[i]);
        loyalty_arg_text(commands, "-");
        loyalty_arg_text(commands, "+");
        loyalty_arg_text(commands, "COUNT");
        loyalty_arg_int(commands, TAKEN_MAX);
    }
}

/* A field of an entry; empty where it has none. */
static loyalty_str_t
field_of(const redisReply *entry, const char *wanted)
{
    const redisReply *fields = entry->element[1];
    loyalty_str_t name, value;
    size_t i;

    for (i = 0; fields->type == REDIS_REPLY_ARRAY && i + 1 < fields->elements;
         i += 2) {
        if (loyalty_reply_str(fields->element[i], &name)
            && loyalty_str_eq(name, loyalty_str_from(wanted))
            && loyalty_reply_str(fields->element[i + 1], &value)) {
            return value;
        }
    }

    return loyalty_str_null;
}

/* In the arena, terminated; NULL without memory. */
static char *
join(loyalty_hooks_t *hooks, const loyalty_str_t *parts, size_t n)
{
    size_t i, len = 1;
    char *text, *p;

    for (i = 0; i < n; i++) {
        len += parts[i].len;
    }

    text = p = loyalty_alloc(&hooks->arena, len);
    for (i = 0; text != NULL && i < n; i++) {
        if (parts[i].len != 0) {
            memcpy(p, parts[i].data, parts[i].len);
            p += parts[i].len;
        }
    }

    return text;
}

/* {"id","type","site","at","data"}; none of the first four needs escapes. */
static char *
make_body(loyalty_hooks_t *hooks, loyalty_str_t id, loyalty_str_t type,
          loyalty_str_t data)
{
    const char *dash = memchr(id.data, '-', id.len);
    char at[LOYALTY_INSTANT_SIZE];
    int64_t ms = 0;

    if (dash == NULL
        || !loyalty_str_int((loyalty_str_t){id.data, (size_t)(dash - id.data)},
                            &ms)) {
        return NULL;
    }

    const loyalty_str_t parts[] = {
        loyalty_str("{\"id\":\""), id, loyalty_str("\",\"type\":\""), type,
        loyalty_str("\",\"site\":\""), hooks->scope.site,
        loyalty_str("\",\"at\":\""),
        {at, loyalty_instant_format(ms, at)},
        loyalty_str("\",\"data\":"), data, loyalty_str("}"),
    };

    return join(hooks, parts, sizeof(parts) / sizeof(parts[0]));
}

static loyalty_store_result_t
take_event(loyalty_hooks_t *hooks, loyalty_str_t id, const redisReply *entry,
           loyalty_instant_t now)
{
    loyalty_str_t type = field_of(entry, "k"), data = field_of(entry, "d");
    loyalty_event_t event = loyalty_event_named(type);
    const loyalty_webhook_t *webhook;
    char *body = NULL, *name;
    loyalty_hook_t hook;
    size_t i;

    for (i = 0; i < hooks->program->settings.nwebhooks; i++) {
        webhook = &hooks->program->settings.webhooks[i];
        if (!webhook->enabled || (webhook->events & (unsigned)event) == 0) {
            continue;
        }

        const loyalty_str_t parts[] = {id, loyalty_str("."), webhook->id};

        body = body != NULL ? body : make_body(hooks, id, type, data);
        name = join(hooks, parts, 3);
        if (body == NULL || name == NULL) {
            return LOYALTY_STORE_MEMORY;
        }

        hook = (loyalty_hook_t){
            .id = loyalty_str_from(name),
            .webhook = webhook->id,
            .type = type,
            .key = id,
            .body = loyalty_str_from(body),
        };
        loyalty_hook_create(&hook, now, &hooks->scope, &hooks->tools.commands);
    }

    return LOYALTY_STORE_OK;
}

static loyalty_store_result_t
take_post(loyalty_hooks_t *hooks, loyalty_str_t id, const redisReply *entry,
          loyalty_instant_t now)
{
    const loyalty_str_t parts[] = {loyalty_str("post-"), id};
    char *name = join(hooks, parts, 2);
    loyalty_hook_t hook = {
        .type = loyalty_str(LOYALTY_HOOK_ORDER_POST),
        .key = field_of(entry, "i"),
        .body = field_of(entry, "e"),
        .uri = field_of(entry, "u"),
    };

    if (name == NULL) {
        return LOYALTY_STORE_MEMORY;
    }

    hook.id = loyalty_str_from(name);
    if (hook.uri.len != 0 && hook.uri.data[0] == '/'
        && hook.uri.len <= LOYALTY_URI_MAX) {
        loyalty_hook_create(&hook, now, &hooks->scope, &hooks->tools.commands);
    }

    return LOYALTY_STORE_OK;
}

/* Entries become deliveries and leave the stream. */
static loyalty_store_result_t
take_entries(loyalty_hooks_t *hooks, loyalty_str_t stream,
             const redisReply *entries,
             loyalty_store_result_t (*take)(loyalty_hooks_t *hooks,
                                            loyalty_str_t id,
                                            const redisReply *entry,
                                            loyalty_instant_t now))
{
    loyalty_instant_t now = loyalty_apply_clock();
    loyalty_store_result_t result;
    loyalty_str_t id;
    size_t i;

    if (entries->type != REDIS_REPLY_ARRAY) {
        return LOYALTY_STORE_MALFORMED;
    }

    for (i = 0; i < entries->elements; i++) {
        if (!loyalty_reply_array(entries->element[i], 2)
            || !loyalty_reply_str(entries->element[i]->element[0], &id)
            || id.len > 41) {
            return LOYALTY_STORE_MALFORMED;
        }
        result = take(hooks, id, entries->element[i], now);
        if (result != LOYALTY_STORE_OK) {
            return result;
        }
        command(hooks, "XDEL", 3, "s", stream);
        loyalty_arg(&hooks->tools.commands, id);
    }

    return LOYALTY_STORE_OK;
}

static loyalty_store_result_t
take(loyalty_hooks_t *hooks)
{
    loyalty_commands_t *commands = &hooks->tools.commands;
    bool posts = hooks->hooks->order_post.len != 0;
    loyalty_store_result_t result;
    loyalty_replies_t replies;

    loyalty_replies_init(&replies);
    loyalty_arena_reset(&hooks->arena);
    loyalty_commands_reset(commands);
    command(hooks, "WATCH", 2, "x", loyalty_str("events"));
    command_streams(hooks);
    result = call(hooks, &replies);

    if (result == LOYALTY_STORE_OK) {
        loyalty_commands_reset(commands);
        loyalty_command(commands, "MULTI", 1);
        result = take_entries(hooks, loyalty_str("events"), replies.list[1],
                              take_event);
    }
    if (result == LOYALTY_STORE_OK && posts) {
        result = take_entries(hooks, loyalty_str("posts"), replies.list[2],
                              take_post);
    }

    if (result == LOYALTY_STORE_OK && commands->count > 1) {
        command(hooks, "INCR", 2, "x", loyalty_str("events"));
        result = execute(hooks);
    } else {
        loyalty_store_unwatch(hooks->tools.store, hooks->scope.site);
    }

    loyalty_replies_free(&replies);
    return result == LOYALTY_STORE_CONFLICT ? LOYALTY_STORE_OK : result;
}

/* Posting. */

static resting_t *
resting_of(loyalty_hooks_t *hooks, loyalty_str_t webhook, uint64_t *print)
{
    loyalty_str_t site = hooks->scope.site;

    *print = loyalty_fingerprint(1, site.data, site.len)
             ^ loyalty_fingerprint(2, webhook.data, webhook.len);
    return &hooks->resting[*print % RESTING];
}

static int64_t
time_to_rest(loyalty_hooks_t *hooks, loyalty_str_t webhook)
{
    uint64_t print;
    const resting_t *resting = resting_of(hooks, webhook, &print);
    int64_t now = loyalty_link_now();

    return resting->print == print && resting->until > now
               ? resting->until - now : 0;
}

static void
put_to_rest(loyalty_hooks_t *hooks, loyalty_str_t webhook)
{
    uint64_t print;
    resting_t *resting = resting_of(hooks, webhook, &print);

    *resting = (resting_t){print, loyalty_link_now() + RESTING_TIME};
}

static bool
is_passing_error(CURLcode code)
{
    return code != CURLE_OK && code != CURLE_WRITE_ERROR;
}

static void
judge(const loyalty_transfer_result_t *result, bool order, answer_t *answer)
{
    answer->status = result->status;
    answer->retry_after = result->retry_after;
    answer->outcome = OUTCOME_LATER;

    /* What is too long to be read is an answer all the same. */
    if (result->stopped) {
        answer->outcome = OUTCOME_STOPPED;
    } else if (is_passing_error(result->code)) {
        answer->status = 0;
        snprintf(answer->error, ERROR_SIZE, "%s", result->error);
    } else if (result->status >= 200 && result->status < 300) {
        answer->outcome = OUTCOME_DONE;
    } else {
        answer->outcome = result->status == GONE && !order ? OUTCOME_DEAD
                                                           : OUTCOME_LATER;
        snprintf(answer->error, ERROR_SIZE, "status %ld", result->status);
    }
}

static void
post(loyalty_hooks_t *hooks, const loyalty_hook_t *hook, const char *url,
     const char *signature, answer_t *answer)
{
    bool order = hook->uri.len != 0;
    loyalty_transfer_t *transfer = order ? hooks->posts : hooks->webhooks;
    CURL *easy = loyalty_transfer_begin(transfer);
    loyalty_transfer_result_t result;

    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                     (curl_off_t)hook->body.len);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS,
                     hook->body.len == 0 ? "" : hook->body.data);
    if (!order && !hooks->hooks->to_private) {
        loyalty_transfer_public_only(transfer);
    }

    if (loyalty_transfer_header(transfer, "Content-Type",
                                loyalty_str("application/json"))
            != LOYALTY_OK
        || loyalty_transfer_header(transfer, "Expect", loyalty_str_null)
               != LOYALTY_OK
        || loyalty_transfer_header(transfer, "Idempotency-Key", hook->key)
               != LOYALTY_OK
        || (signature[0] != '\0'
            && loyalty_transfer_header(transfer, "Loyalty-Signature",
                                       loyalty_str_from(signature))
                   != LOYALTY_OK)
        || (order
            && loyalty_transfer_header(transfer, "Loyalty-Site",
                                       hooks->scope.site)
                   != LOYALTY_OK)) {
        snprintf(answer->error, ERROR_SIZE, "the request cannot be made");
        return;
    }

    loyalty_transfer_run(transfer, LOYALTY_WEBHOOK_TIMEOUT, &result);
    judge(&result, order, answer);
}

/* The request, and why there is none. */
static loyalty_store_result_t
send_it(loyalty_hooks_t *hooks, const loyalty_hook_t *hook,
        loyalty_str_t secret, answer_t *answer)
{
    const loyalty_webhook_t *webhook = NULL;
    char signature[LOYALTY_WEBHOOK_SIGNATURE_SIZE] = "", *url;
    loyalty_str_t parts[2] = {loyalty_str_null, loyalty_str_null};

    *answer = (answer_t){.outcome = OUTCOME_LATER};

    if (hook->uri.len != 0) {
        parts[0] = hooks->hooks->order_post;
        parts[1] = hook->uri;
        if (parts[0].len == 0) {
            snprintf(answer->error, ERROR_SIZE,
                     "loyalty_backend has no order_post=");
            return LOYALTY_STORE_OK;
        }
    } else {
        webhook = loyalty_program_webhook(hooks->program, hook->webhook);
        if (webhook == NULL) {
            answer->outcome = OUTCOME_DEAD;
            snprintf(answer->error, ERROR_SIZE, "the webhook is deleted");
            return LOYALTY_STORE_OK;
        }
        if (!webhook->enabled || secret.len == 0) {
            snprintf(answer->error, ERROR_SIZE, "%s",
                     !webhook->enabled ? "the webhook is off"
                                       : "the webhook has no secret");
            return LOYALTY_STORE_OK;
        }
        parts[0] = webhook->url;
        if (loyalty_webhook_sign(secret, loyalty_apply_clock(), hook->body,
                                 &hooks->arena, signature)
            != LOYALTY_OK) {
            return LOYALTY_STORE_MEMORY;
        }
    }

    url = join(hooks, parts, 2);
    if (url == NULL) {
        return LOYALTY_STORE_MEMORY;
    }

    post(hooks, hook, url, signature, answer);
    if (answer->status == 0 && answer->outcome == OUTCOME_LATER) {
        put_to_rest(hooks, hook->webhook);
    }

    return LOYALTY_STORE_OK;
}

static void
write_outcome(loyalty_hooks_t *hooks, const loyalty_hook_t *hook,
              const answer_t *answer)
{
    loyalty_commands_t *commands = &hooks->tools.commands;
    loyalty_instant_t now = loyalty_apply_clock(), again;
    uint32_t random = (uint32_t)now;

    (void)!getrandom(&random, sizeof(random), GRND_NONBLOCK);

    command(hooks, "HSET", 6, "wd", hook->id);
    loyalty_arg_text(commands, "c");
    loyalty_arg_int(commands, answer->status);
    loyalty_arg_text(commands, "m");
    loyalty_arg_text(commands, answer->error);

    if (answer->outcome == OUTCOME_DONE) {
        loyalty_hook_end(hook, "done", now, &hooks->scope, commands);
        return;
    }

    again = answer->outcome == OUTCOME_DEAD
                ? LOYALTY_NEVER
                : loyalty_retry_at(hook->uri.len != 0 ? &order_retry
                                                      : &event_retry,
                                   (int32_t)hook->tries, hook->first_try, now,
                                   answer->retry_after, random);
    if (again == LOYALTY_NEVER) {
        loyalty_hook_end(hook, "dead", now, &hooks->scope, commands);
    } else {
        command(hooks, "ZADD", 5, "x", loyalty_str("deliveries"));
        loyalty_arg_text(commands, "XX");
        loyalty_arg_int(commands, again);
        loyalty_arg(commands, hook->id);
    }
}

/* Only by who made the last try: a claim may have run out. */
static loyalty_store_result_t
record(loyalty_hooks_t *hooks, const loyalty_hook_t *hook,
       const answer_t *answer)
{
    loyalty_commands_t *commands = &hooks->tools.commands;
    loyalty_store_result_t result = LOYALTY_STORE_CONFLICT;
    loyalty_replies_t replies;
    loyalty_hook_t now;
    int tries;

    loyalty_replies_init(&replies);

    for (tries = 0; tries < TRIES && result == LOYALTY_STORE_CONFLICT;
         tries++) {
        loyalty_commands_reset(commands);
        command(hooks, "WATCH", 2, "wd", hook->id);
        command(hooks, "HGETALL", 2, "wd", hook->id);
        result = call(hooks, &replies);
        if (result != LOYALTY_STORE_OK) {
            break;
        }

        if (!loyalty_hook_read(replies.list[1], hook->id, &now)
            || !loyalty_str_eq(now.state, loyalty_str("pending"))
            || now.tries != hook->tries) {
            loyalty_store_unwatch(hooks->tools.store, hooks->scope.site);
            break;
        }

        loyalty_commands_reset(commands);
        loyalty_command(commands, "MULTI", 1);
        write_outcome(hooks, hook, answer);
        result = execute(hooks);
    }

    loyalty_replies_free(&replies);
    return result;
}

static loyalty_store_result_t
postpone(loyalty_hooks_t *hooks, loyalty_str_t id, loyalty_instant_t at)
{
    loyalty_commands_t *commands = &hooks->tools.commands;
    loyalty_store_result_t result;
    loyalty_replies_t replies;

    loyalty_replies_init(&replies);
    loyalty_commands_reset(commands);
    command(hooks, "ZADD", 5, "x", loyalty_str("deliveries"));
    loyalty_arg_text(commands, "XX");
    loyalty_arg_int(commands, at);
    loyalty_arg(commands, id);
    result = call(hooks, &replies);
    loyalty_replies_free(&replies);

    return result;
}

/* The try is counted, and due again when this worker may be thought dead. */
static loyalty_store_result_t
claim(loyalty_hooks_t *hooks, loyalty_hook_t *hook)
{
    loyalty_commands_t *commands = &hooks->tools.commands;
    loyalty_instant_t now = loyalty_apply_clock();

    loyalty_commands_reset(commands);
    loyalty_command(commands, "MULTI", 1);
    command(hooks, "HINCRBY", 4, "wd", hook->id);
    loyalty_arg_text(commands, "y");
    loyalty_arg_int(commands, 1);
    command(hooks, "HSETNX", 4, "wd", hook->id);
    loyalty_arg_text(commands, "f");
    loyalty_arg_int(commands, now);
    command(hooks, "ZADD", 5, "x", loyalty_str("deliveries"));
    loyalty_arg_text(commands, "XX");
    loyalty_arg_int(commands, now + LOYALTY_WEBHOOK_TIMEOUT + CLAIM_MARGIN);
    loyalty_arg(commands, hook->id);

    hook->tries++;
    if (hook->first_try == LOYALTY_UNKNOWN) {
        hook->first_try = now;
    }

    return execute(hooks);
}

static loyalty_store_result_t
drop(loyalty_hooks_t *hooks, loyalty_str_t id)
{
    loyalty_commands_t *commands = &hooks->tools.commands;

    loyalty_commands_reset(commands);
    loyalty_command(commands, "MULTI", 1);
    command(hooks, "ZREM", 3, "x", loyalty_str("deliveries"));
    loyalty_arg(commands, id);

    return execute(hooks);
}

/* One that seemed due.  CONFLICT: somebody else has it. */
static loyalty_store_result_t
deliver(loyalty_hooks_t *hooks, loyalty_str_t id)
{
    loyalty_commands_t *commands = &hooks->tools.commands;
    loyalty_store_result_t result;
    loyalty_replies_t replies, more;
    loyalty_str_t due, secret;
    loyalty_hook_t hook;
    answer_t answer;
    int64_t at, rest;

    loyalty_replies_init(&replies);
    loyalty_replies_init(&more);
    loyalty_arena_reset(&hooks->arena);
    loyalty_commands_reset(commands);
    command(hooks, "WATCH", 2, "wd", id);
    command(hooks, "HGETALL", 2, "wd", id);
    command(hooks, "ZSCORE", 3, "x", loyalty_str("deliveries"));
    loyalty_arg(commands, id);
    result = call(hooks, &replies);
    if (result != LOYALTY_STORE_OK) {
        return result;
    }

    if (!loyalty_reply_str(replies.list[2], &due)) {
        result = LOYALTY_STORE_MALFORMED;
    } else if (due.data == NULL || !loyalty_str_int(due, &at)
               || at > loyalty_apply_clock()) {
        result = LOYALTY_STORE_CONFLICT;
    } else if (!loyalty_hook_read(replies.list[1], id, &hook)
               || !loyalty_str_eq(hook.state, loyalty_str("pending"))) {
        result = drop(hooks, id);
        loyalty_replies_free(&replies);
        return result;
    } else if ((rest = time_to_rest(hooks, hook.webhook)) != 0) {
        loyalty_store_unwatch(hooks->tools.store, hooks->scope.site);
        result = postpone(hooks, id, loyalty_apply_clock() + rest);
        loyalty_replies_free(&replies);
        return result;
    } else {
        result = claim(hooks, &hook);
    }

    if (result == LOYALTY_STORE_OK) {
        loyalty_commands_reset(commands);
        command(hooks, "HGET", 3, "x", loyalty_str("secrets"));
        loyalty_arg(commands, hook.webhook);
        result = call(hooks, &more);
    } else {
        loyalty_store_unwatch(hooks->tools.store, hooks->scope.site);
    }

    if (result == LOYALTY_STORE_OK) {
        result = loyalty_reply_str(more.list[0], &secret)
                     ? send_it(hooks, &hook, secret, &answer)
                     : LOYALTY_STORE_MALFORMED;
    }

    if (result == LOYALTY_STORE_OK && answer.outcome != OUTCOME_STOPPED) {
        result = record(hooks, &hook, &answer);
    }

    loyalty_replies_free(&replies);
    loyalty_replies_free(&more);
    return result;
}

static bool
is_stopping(const loyalty_hooks_t *hooks)
{
    return hooks->conf->stopping != NULL && hooks->conf->stopping();
}

static loyalty_store_result_t
deliver_due(loyalty_hooks_t *hooks, const redisReply *due, int64_t until,
            int *rest)
{
    loyalty_store_result_t result = LOYALTY_STORE_OK;
    loyalty_str_t id;
    size_t i;

    if (due->type != REDIS_REPLY_ARRAY) {
        return LOYALTY_STORE_MALFORMED;
    }

    for (i = 0; i < due->elements; i++) {
        *rest = 0;
        if (is_stopping(hooks) || loyalty_link_now() >= until) {
            break;
        }
        if (!loyalty_reply_str(due->element[i], &id)
            || id.len > LOYALTY_HOOK_ID_MAX) {
            return LOYALTY_STORE_MALFORMED;
        }
        result = deliver(hooks, id);
        if (result != LOYALTY_STORE_OK && result != LOYALTY_STORE_CONFLICT) {
            return result;
        }
    }

    return LOYALTY_STORE_OK;
}

/* Has a stream anything? */
static bool
is_filled(const loyalty_replies_t *replies)
{
    size_t i;

    for (i = 1; i < replies->count; i++) {
        if (replies->list[i]->type == REDIS_REPLY_ARRAY
            && replies->list[i]->elements != 0) {
            return true;
        }
    }

    return false;
}

static loyalty_store_result_t
serve(loyalty_hooks_t *hooks, int64_t until, int *rest)
{
    loyalty_commands_t *commands = &hooks->tools.commands;
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    bool filled;

    loyalty_replies_init(&replies);
    loyalty_commands_reset(commands);
    command(hooks, "ZRANGEBYSCORE", 7, "x", loyalty_str("deliveries"));
    loyalty_arg_text(commands, "-inf");
    loyalty_arg_int(commands, loyalty_apply_clock());
    loyalty_arg_text(commands, "LIMIT");
    loyalty_arg_int(commands, 0);
    loyalty_arg_int(commands, DUE_MAX);
    command_streams(hooks);
    result = call(hooks, &replies);

    filled = result == LOYALTY_STORE_OK && is_filled(&replies);
    if (result == LOYALTY_STORE_OK
        && (filled || replies.list[0]->type != REDIS_REPLY_ARRAY
            || replies.list[0]->elements != 0)) {
        result = loyalty_programs_get(hooks->tools.programs,
                                      hooks->tools.store, &hooks->scope,
                                      &hooks->program);
        if (result == LOYALTY_STORE_OK && hooks->program != NULL && filled) {
            *rest = 0;
            result = take(hooks);
        }
        if (result == LOYALTY_STORE_OK && hooks->program != NULL) {
            result = deliver_due(hooks, replies.list[0], until, rest);
        }
    }

    loyalty_replies_free(&replies);
    return result;
}

/* One line when it changes, not one a turn. */
static void
note(loyalty_hooks_t *hooks, loyalty_store_result_t result)
{
    if (result == hooks->last || result == LOYALTY_STORE_STOPPED) {
        return;
    }

    hooks->last = result;

    if (result == LOYALTY_STORE_OK) {
        loyalty_apply_say(&hooks->tools, LOYALTY_LOG_NOTICE,
                          "loyalty: webhooks go on");
    } else {
        loyalty_apply_say(&hooks->tools, LOYALTY_LOG_ERROR,
                          "loyalty: webhooks stand still (%s): %s",
                          loyalty_store_result_name(result),
                          loyalty_store_error(hooks->tools.store));
    }
}

static loyalty_store_result_t
list_sites(loyalty_hooks_t *hooks)
{
    loyalty_store_result_t result = LOYALTY_STORE_OK;

    if (loyalty_link_now() >= hooks->sites_at) {
        loyalty_arena_reset(&hooks->listed);
        hooks->nsites = 0;
        result = loyalty_sites(hooks->tools.store, hooks->conf->prefix,
                               &hooks->listed, &hooks->sites, &hooks->nsites);
        hooks->sites_at = result == LOYALTY_STORE_OK
                              ? loyalty_link_now() + SITES_EVERY : 0;
    }

    return result;
}

int
loyalty_hooks_run(loyalty_hooks_t *hooks)
{
    loyalty_store_result_t result = list_sites(hooks), one;
    int64_t until = loyalty_link_now() + WORK;
    int rest = REST;
    size_t i;

    for (i = 0; i < hooks->nsites && result != LOYALTY_STORE_AWAY
                && !is_stopping(hooks); i++) {
        hooks->scope = (loyalty_scope_t){hooks->conf->prefix,
                                         hooks->sites[i]};
        one = serve(hooks, until + (int64_t)i * WORK, &rest);
        result = one != LOYALTY_STORE_OK ? one : result;
    }

    note(hooks, result);

    return result != LOYALTY_STORE_OK ? REST_AWAY : rest;
}
