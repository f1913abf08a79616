/*
 * One message at a time:
 *
 *   ZRANGEBYSCORE outbox     which are due?
 *   HMGET mg                 whose are they?
 *   claim    WATCH p, m, mg, ms   MULTI ... tries + 1, gift, due again  EXEC
 *   send     no transaction, no lock
 *   record   WATCH mg             MULTI ... sent | failed | later       EXEC
 *
 * No lease: a claim that another sender was quicker with finds the message
 * claimed, and leaves it.
 */

#include "loyalty_sender_private.h"

#include <stdio.h>
#include <stdlib.h>

#include "loyalty_link.h"
#include "loyalty_tracks.h"

#define DUE_MAX 64

static loyalty_store_result_t serve(void *data, const loyalty_scope_t *scope,
                                    int64_t until, int *rest);

loyalty_sender_t *
loyalty_sender_create(const loyalty_store_conf_t *conf,
                      const loyalty_delivery_conf_t *delivery,
                      loyalty_str_t secret, loyalty_log_pt log, void *data)
{
    loyalty_sender_t *sender = calloc(1, sizeof(*sender));

    if (sender == NULL) {
        return NULL;
    }

    sender->secret = secret;
    sender->rounds = (loyalty_rounds_t){
        .conf = conf,
        .tools = &sender->tools,
        .good = "sending messages goes on",
        .bad = "messages are not sent",
        .serve = serve,
        .data = sender,
    };
    sender->tools.log = log;
    sender->tools.log_data = data;
    sender->tools.store = loyalty_store_open(conf);
    sender->tools.programs = loyalty_programs_create();
    sender->delivery = loyalty_delivery_create(delivery, conf->stopping);
    loyalty_commands_init(&sender->tools.commands);
    loyalty_arena_init(&sender->letter, 0);
    loyalty_rounds_init(&sender->rounds);
    loyalty_member_change_init(&sender->change, sender->tools.store,
                               sender->tools.programs);

    if (sender->tools.store == NULL || sender->tools.programs == NULL
        || sender->delivery == NULL) {
        loyalty_sender_free(sender);
        return NULL;
    }

    return sender;
}

void
loyalty_sender_free(loyalty_sender_t *sender)
{
    loyalty_replies_free(&sender->content);
    loyalty_member_change_free(&sender->change);
    loyalty_arena_free(&sender->letter);
    loyalty_rounds_free(&sender->rounds);
    loyalty_delivery_free(sender->delivery);
    loyalty_programs_free(sender->tools.programs);
    loyalty_commands_free(&sender->tools.commands);
    if (sender->tools.store != NULL) {
        loyalty_store_close(sender->tools.store);
    }
    free(sender);
}

/* The text that a broadcast's messages share. */
static loyalty_store_result_t
read_content(loyalty_sender_t *sender, loyalty_letter_t *letter)
{
    static const char *const names[] = {"subject", "text", "html", "name",
                                        "address"};
    loyalty_commands_t *commands = &sender->tools.commands;
    loyalty_str_t *fields[] = {
        &letter->content.subject, &letter->content.text, &letter->content.html,
        &letter->content.sender_name, &letter->content.sender_address};
    loyalty_store_result_t result;
    const redisReply *reply;
    size_t i;

    if (sender->sending.content.len == 0) {
        return LOYALTY_STORE_OK;
    }

    loyalty_commands_reset(commands);
    loyalty_sending_key(&sender->sending, commands, "HMGET", 7, "ct",
                        sender->sending.content);
    for (i = 0; i < 5; i++) {
        loyalty_arg_text(commands, names[i]);
    }
    result = loyalty_store_call(sender->tools.store, sender->sending.scope.site,
                                commands, &sender->content);
    if (result != LOYALTY_STORE_OK) {
        return result;
    }

    reply = sender->content.list[0];
    if (!loyalty_reply_array(reply, 5)) {
        return LOYALTY_STORE_MALFORMED;
    }
    for (i = 0; i < 5; i++) {
        if (!loyalty_reply_str(reply->element[i], fields[i])) {
            return LOYALTY_STORE_MALFORMED;
        }
    }

    return LOYALTY_STORE_OK;
}

static loyalty_store_result_t
send_it(loyalty_sender_t *sender, loyalty_delivery_answer_t *answer)
{
    loyalty_letter_t letter = {
        .program = sender->change.program,
        .member = &sender->change.list[0].member,
        .rule = loyalty_program_rule(sender->change.program,
                                     sender->sending.rule),
        .order = sender->order,
        .id = sender->sending.id,
        .channel = sender->sending.channel,
        .code = sender->sending.code,
        .secret = sender->secret,
        .formats = &sender->formats,
        .at = loyalty_apply_clock(),
    };
    loyalty_store_result_t result;
    loyalty_envelope_t envelope;
    loyalty_status_t rc;

    *answer = (loyalty_delivery_answer_t){.result = LOYALTY_DELIVERY_PERMANENT};
    result = read_content(sender, &letter);
    if (result != LOYALTY_STORE_OK) {
        return result;
    }

    rc = loyalty_letter_write(&letter, &sender->letter, &envelope);
    if (rc == LOYALTY_OK) {
        loyalty_delivery_send(sender->delivery, &envelope, answer);
    } else {
        snprintf(answer->error, sizeof(answer->error),
                 "the message cannot be written (%s)",
                 loyalty_status_name(rc));
        if (rc == LOYALTY_ERROR_MEMORY) {
            answer->result = LOYALTY_DELIVERY_PASSING;
        }
    }

    return LOYALTY_STORE_OK;
}

/* One message that seemed due. */
static loyalty_store_result_t
process(loyalty_sender_t *sender)
{
    loyalty_store_result_t result = loyalty_sender_claim(sender);
    loyalty_delivery_answer_t answer;

    if (result == LOYALTY_STORE_OK && sender->claim == LOYALTY_CLAIM_SEND) {
        loyalty_arena_reset(&sender->letter);
        result = send_it(sender, &answer);
        if (result == LOYALTY_STORE_OK
            && answer.result != LOYALTY_DELIVERY_STOPPED) {
            result = loyalty_sender_record(sender, &sender->sending, &answer);
        }
        loyalty_replies_free(&sender->content);
    }

    return result;
}

static loyalty_store_result_t
read_due(loyalty_sender_t *sender, loyalty_replies_t *replies)
{
    loyalty_commands_t *commands = &sender->tools.commands;

    loyalty_commands_reset(commands);
    loyalty_sending_key(&sender->sending, commands, "ZRANGEBYSCORE", 7, "x",
                        loyalty_str("outbox"));
    loyalty_arg_text(commands, "-inf");
    loyalty_arg_int(commands, loyalty_apply_clock());
    loyalty_arg_text(commands, "LIMIT");
    loyalty_arg_int(commands, 0);
    loyalty_arg_int(commands, DUE_MAX);

    return loyalty_store_call(sender->tools.store, sender->sending.scope.site,
                              commands, replies);
}

/* What the due messages are, one HGETALL each. */
static loyalty_store_result_t
read_messages(loyalty_sender_t *sender, const redisReply *due,
              loyalty_replies_t *replies)
{
    loyalty_commands_t *commands = &sender->tools.commands;
    loyalty_str_t id;
    size_t i;

    loyalty_commands_reset(commands);
    for (i = 0; i < due->elements; i++) {
        if (!loyalty_reply_str(due->element[i], &id) || id.data == NULL
            || id.len > LOYALTY_MESSAGE_ID_MAX) {
            return LOYALTY_STORE_MALFORMED;
        }
        loyalty_sending_key(&sender->sending, commands, "HGETALL", 2, "mg", id);
    }

    return loyalty_store_call(sender->tools.store, sender->sending.scope.site,
                              commands, replies);
}

/* A message that is no more, or makes no sense. */
static loyalty_store_result_t
drop(loyalty_sender_t *sender, loyalty_str_t id)
{
    loyalty_commands_t *commands = &sender->tools.commands;
    loyalty_store_result_t result;
    loyalty_replies_t replies;

    loyalty_replies_init(&replies);
    loyalty_commands_reset(commands);
    loyalty_sending_key(&sender->sending, commands, "ZREM", 3, "x",
                        loyalty_str("outbox"));
    loyalty_arg(commands, id);
    result = loyalty_store_call(sender->tools.store, sender->sending.scope.site,
                                commands, &replies);
    loyalty_replies_free(&replies);

    return result;
}

/* The site's due messages, while the time lasts; *rest becomes shorter where
 * there is more to do. */
static loyalty_store_result_t
send_site(loyalty_sender_t *sender, int64_t until, int *rest)
{
    loyalty_store_result_t result;
    loyalty_replies_t due, messages;
    int64_t wait;
    size_t i;

    loyalty_replies_init(&due);
    loyalty_replies_init(&messages);
    result = read_due(sender, &due);

    if (result == LOYALTY_STORE_OK
        && due.list[0]->type != REDIS_REPLY_ARRAY) {
        result = LOYALTY_STORE_MALFORMED;
    }

    if (result == LOYALTY_STORE_OK && due.list[0]->elements != 0) {
        result = read_messages(sender, due.list[0], &messages);
    }

    for (i = 0; result == LOYALTY_STORE_OK && i < messages.count; i++) {
        if (loyalty_rounds_stopping(&sender->rounds)
            || loyalty_link_now() >= until) {
            *rest = 0;
            break;
        }

        if (!loyalty_sending_read(
                messages.list[i], &sender->sending.scope,
                (loyalty_str_t){due.list[0]->element[i]->str,
                                due.list[0]->element[i]->len},
                &sender->sending)) {
            result = LOYALTY_STORE_MALFORMED;
            break;
        }

        if (!loyalty_sending_is_pending(&sender->sending)
            || loyalty_member_id_check(sender->sending.member) != LOYALTY_OK) {
            result = drop(sender, sender->sending.id);
            continue;
        }

        wait = loyalty_delivery_wait(sender->delivery,
                                     sender->sending.channel);
        if (wait != 0) {
            *rest = wait < *rest ? (int)wait : *rest;
            continue;
        }

        *rest = 0;
        result = process(sender);
        if (result == LOYALTY_STORE_FENCED
            || result == LOYALTY_STORE_CONFLICT) {
            result = LOYALTY_STORE_OK; /* the site is gone; or too lively */
            break;
        }
    }

    loyalty_replies_free(&due);
    loyalty_replies_free(&messages);

    return result;
}

static loyalty_store_result_t
serve(void *data, const loyalty_scope_t *scope, int64_t until, int *rest)
{
    loyalty_sender_t *sender = data;
    loyalty_store_result_t result;
    bool busy = false;

    sender->sending.scope = *scope;
    result = send_site(sender, until, rest);
    if (result == LOYALTY_STORE_OK && sender->secret.len != 0) {
        result = loyalty_tracks_apply(&sender->change, scope, &busy);
    }
    if (busy) {
        *rest = 0;
    }

    return result;
}

int
loyalty_sender_run(loyalty_sender_t *sender)
{
    return loyalty_rounds_run(&sender->rounds);
}
