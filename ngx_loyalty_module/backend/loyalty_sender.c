/*
 * Many messages at once, in one thread but for the couriers':
 *
 *   ZRANGEBYSCORE ob         which are due, on each channel?
 *   HGETALL mg               whose are they?
 *   claim    WATCH p, m, mg, ms   MULTI ... tries + 1, gift, due again  EXEC
 *   post     a courier sends it: no transaction, no lock
 *   take
 *   record   WATCH mg             MULTI ... sent | failed | later       EXEC
 *
 * No lease: a claim that another sender was quicker with finds the message
 * claimed, and leaves it.  A channel that has no room, or is held back by its
 * rate, holds up no other.
 */

#include "loyalty_sender_private.h"

#include <stdio.h>
#include <stdlib.h>

#include "loyalty_link.h"

#define CHANNELS (sizeof(channels) / sizeof(channels[0]))
#define DUE_MAX 64
#define PAUSE 20 /* ms that a full channel is waited for */
#define STOP_TIME 1500 /* ms for couriers to give up in */

static const loyalty_channel_t channels[] = {
    LOYALTY_CHANNEL_EMAIL,
    LOYALTY_CHANNEL_SMS,
    LOYALTY_CHANNEL_MESSENGER,
    LOYALTY_CHANNEL_LINE,
};

/* The site's messages that are due on a channel. */
typedef struct {
    loyalty_channel_t channel;
    redisReply **messages;
    const redisReply *ids;
    size_t n, next;
} box_t;

typedef struct {
    box_t list[CHANNELS];
    size_t n;
    loyalty_replies_t due, messages;
    bool test; /* everything goes as e-mail */
} boxes_t;

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
    sender->delivery = delivery;
    sender->couriers = loyalty_couriers_create(delivery, conf->stopping);
    loyalty_commands_init(&sender->tools.commands);
    loyalty_rounds_init(&sender->rounds);
    loyalty_member_change_init(&sender->change, sender->tools.store,
                               sender->tools.programs);

    if (sender->tools.store == NULL || sender->tools.programs == NULL
        || sender->couriers == NULL) {
        loyalty_sender_free(sender);
        return NULL;
    }

    return sender;
}

/* Records what has been delivered; waits for the first. */
static size_t
collect(loyalty_sender_t *sender, int timeout, loyalty_store_result_t *result)
{
    loyalty_store_result_t one;
    loyalty_flight_t *flight;
    size_t n = 0;

    while ((flight = (loyalty_flight_t *)loyalty_couriers_take(
                sender->couriers, n == 0 ? timeout : 0))
           != NULL) {
        if (flight->parcel.answer.result != LOYALTY_DELIVERY_STOPPED) {
            one = loyalty_sender_record(sender, &flight->sending,
                                        &flight->parcel.answer);
            *result = one == LOYALTY_STORE_OK || one == LOYALTY_STORE_CONFLICT
                          ? *result : one;
        }
        flight->next = sender->landed;
        sender->landed = flight;
        n++;
    }

    return n;
}

/* What was sent in the last moment is recorded, too. */
static void
land_all(loyalty_sender_t *sender)
{
    int64_t until = loyalty_link_now() + STOP_TIME;
    loyalty_store_result_t result = LOYALTY_STORE_OK;
    loyalty_flight_t *flight;

    while (loyalty_couriers_out(sender->couriers) != 0
           && loyalty_link_now() < until) {
        (void)collect(sender, PAUSE, &result);
    }

    while ((flight = sender->landed) != NULL) {
        sender->landed = flight->next;
        loyalty_arena_free(&flight->arena);
        free(flight);
    }
}

void
loyalty_sender_free(loyalty_sender_t *sender)
{
    if (sender->couriers != NULL) {
        land_all(sender);
    }
    loyalty_couriers_free(sender->couriers);
    loyalty_member_change_free(&sender->change);
    loyalty_rounds_free(&sender->rounds);
    loyalty_programs_free(sender->tools.programs);
    loyalty_commands_free(&sender->tools.commands);
    if (sender->tools.store != NULL) {
        loyalty_store_close(sender->tools.store);
    }
    free(sender);
}

/* The text that a broadcast's messages share. */
static loyalty_store_result_t
read_content(loyalty_sender_t *sender, loyalty_letter_t *letter,
             loyalty_replies_t *replies)
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
                                commands, replies);
    if (result != LOYALTY_STORE_OK) {
        return result;
    }

    reply = replies->list[0];
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

/* The envelope and the message, in the flight's own memory: the member and the
 * program may be others by the time it is delivered. */
static loyalty_status_t
pack(const loyalty_letter_t *letter, const loyalty_sending_t *sending,
     loyalty_flight_t *flight)
{
    loyalty_envelope_t *envelope = &flight->parcel.envelope;
    loyalty_str_t *texts[] = {&envelope->site, &envelope->id, &envelope->to,
                              &envelope->sender_name,
                              &envelope->sender_address,
                              &envelope->spare_address, &envelope->subject};
    loyalty_status_t rc;
    size_t i;

    rc = loyalty_sending_copy(sending, &flight->arena, &flight->sending);
    if (rc == LOYALTY_OK) {
        rc = loyalty_letter_write(letter, &flight->arena, envelope);
    }

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]) && rc == LOYALTY_OK; i++) {
        rc = loyalty_str_copy(&flight->arena, *texts[i], texts[i]);
    }

    return rc;
}

/* One that cannot be written is recorded at once. */
static loyalty_store_result_t
write_letter(loyalty_sender_t *sender, loyalty_flight_t *flight, bool *written)
{
    const loyalty_sending_t *sending = &sender->sending;
    loyalty_letter_t letter = {
        .program = sender->change.program,
        .member = &sender->change.list[0].member,
        .rule = loyalty_program_rule(sender->change.program, sending->rule),
        .order = sender->order,
        .id = sending->id,
        .channel = sending->channel,
        .code = sending->code,
        .secret = sender->secret,
        .formats = &sender->formats,
        .at = loyalty_apply_clock(),
    };
    loyalty_delivery_answer_t *answer = &flight->parcel.answer;
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    loyalty_status_t rc;

    *answer = (loyalty_delivery_answer_t){.result = LOYALTY_DELIVERY_PERMANENT};
    *written = false;
    loyalty_replies_init(&replies);
    result = read_content(sender, &letter, &replies);

    if (result == LOYALTY_STORE_OK) {
        rc = pack(&letter, sending, flight);
        *written = rc == LOYALTY_OK;
        if (!*written) {
            snprintf(answer->error, sizeof(answer->error),
                     "the message cannot be written (%s)",
                     loyalty_status_name(rc));
            if (rc == LOYALTY_ERROR_MEMORY) {
                answer->result = LOYALTY_DELIVERY_PASSING;
            }
            result = loyalty_sender_record(sender, sending, answer);
        }
    }

    loyalty_replies_free(&replies);

    return result;
}

static loyalty_flight_t *
get_flight(loyalty_sender_t *sender)
{
    loyalty_flight_t *flight = sender->landed;

    if (flight != NULL) {
        sender->landed = flight->next;
        loyalty_arena_reset(&flight->arena);
        return flight;
    }

    flight = calloc(1, sizeof(*flight));
    if (flight != NULL) {
        loyalty_arena_init(&flight->arena, 0);
    }

    return flight;
}

/* One message that seemed due: claimed, and on its way. */
static loyalty_store_result_t
send_off(loyalty_sender_t *sender)
{
    loyalty_store_result_t result = loyalty_sender_claim(sender);
    loyalty_flight_t *flight;
    bool written;

    if (result != LOYALTY_STORE_OK || sender->claim != LOYALTY_CLAIM_SEND) {
        return result;
    }

    flight = get_flight(sender);
    if (flight == NULL) {
        return LOYALTY_STORE_MEMORY;
    }

    result = write_letter(sender, flight, &written);
    if (written) {
        loyalty_couriers_post(sender->couriers, &flight->parcel);
    } else {
        flight->next = sender->landed;
        sender->landed = flight;
    }

    return result;
}

/* Of the channels that could send one now; *rest becomes shorter where one is
 * held back. */
static loyalty_store_result_t
read_due(loyalty_sender_t *sender, boxes_t *boxes, int *rest)
{
    loyalty_commands_t *commands = &sender->tools.commands;
    int64_t wait;
    size_t i;

    boxes->n = 0;
    loyalty_commands_reset(commands);

    for (i = 0; i < CHANNELS; i++) {
        wait = loyalty_couriers_wait(sender->couriers, channels[i]);
        if (wait != 0) {
            *rest = wait < *rest ? (int)wait : *rest;
            continue;
        }
        if (!loyalty_couriers_room(sender->couriers, channels[i])) {
            continue;
        }
        sender->sending.box = channels[i];
        boxes->list[boxes->n++] = (box_t){.channel = channels[i]};
        loyalty_sending_box(&sender->sending, commands, "ZRANGEBYSCORE", 7);
        loyalty_arg_text(commands, "-inf");
        loyalty_arg_int(commands, loyalty_apply_clock());
        loyalty_arg_text(commands, "LIMIT");
        loyalty_arg_int(commands, 0);
        loyalty_arg_int(commands, DUE_MAX);
    }

    return boxes->n == 0
               ? LOYALTY_STORE_OK
               : loyalty_store_call(sender->tools.store,
                                    sender->sending.scope.site, commands,
                                    &boxes->due);
}

/* What the due messages are, one HGETALL each; *n of them. */
static loyalty_store_result_t
read_messages(loyalty_sender_t *sender, boxes_t *boxes, size_t *n)
{
    loyalty_commands_t *commands = &sender->tools.commands;
    loyalty_store_result_t result;
    loyalty_str_t id;
    box_t *box;
    size_t i, k;

    *n = 0;
    loyalty_commands_reset(commands);

    for (i = 0; i < boxes->n; i++) {
        box = &boxes->list[i];
        box->ids = boxes->due.list[i];
        if (box->ids->type != REDIS_REPLY_ARRAY) {
            return LOYALTY_STORE_MALFORMED;
        }
        box->n = box->ids->elements;
        for (k = 0; k < box->n; k++) {
            if (!loyalty_reply_str(box->ids->element[k], &id)
                || id.data == NULL || id.len > LOYALTY_MESSAGE_ID_MAX) {
                return LOYALTY_STORE_MALFORMED;
            }
            loyalty_sending_key(&sender->sending, commands, "HGETALL", 2, "mg",
                                id);
        }
        *n += box->n;
    }

    if (*n == 0) {
        return LOYALTY_STORE_OK;
    }

    result = loyalty_store_call(sender->tools.store,
                                sender->sending.scope.site, commands,
                                &boxes->messages);
    for (i = 0, k = 0; i < boxes->n && result == LOYALTY_STORE_OK; i++) {
        boxes->list[i].messages = boxes->messages.list + k;
        k += boxes->list[i].n;
    }

    return result;
}

/* A message that is no more, or makes no sense. */
static loyalty_store_result_t
drop(loyalty_sender_t *sender)
{
    loyalty_commands_t *commands = &sender->tools.commands;
    loyalty_store_result_t result;
    loyalty_replies_t replies;

    loyalty_replies_init(&replies);
    loyalty_commands_reset(commands);
    loyalty_sending_box(&sender->sending, commands, "ZREM", 3);
    loyalty_arg(commands, sender->sending.id);
    result = loyalty_store_call(sender->tools.store,
                                sender->sending.scope.site, commands,
                                &replies);
    loyalty_replies_free(&replies);

    return result;
}

static loyalty_store_result_t
send_next(loyalty_sender_t *sender, box_t *box)
{
    loyalty_sending_t *sending = &sender->sending;
    const redisReply *id = box->ids->element[box->next];

    *sending = (loyalty_sending_t){.scope = sending->scope,
                                   .box = box->channel,
                                   .id = {id->str, id->len}};

    if (!loyalty_sending_read(box->messages[box->next++], sending)) {
        return LOYALTY_STORE_MALFORMED;
    }

    return loyalty_sending_is_pending(sending)
                   && loyalty_member_id_check(sending->member) == LOYALTY_OK
               ? send_off(sender) : drop(sender);
}

/* One of each channel; *sent: any at all, *full: some had no room. */
static loyalty_store_result_t
send_some(loyalty_sender_t *sender, boxes_t *boxes, bool *sent, bool *full,
          int *rest)
{
    loyalty_store_result_t result = LOYALTY_STORE_OK;
    loyalty_channel_t way;
    int64_t wait;
    box_t *box;
    size_t i;

    *sent = *full = false;

    for (i = 0; i < boxes->n && result == LOYALTY_STORE_OK; i++) {
        box = &boxes->list[i];
        way = boxes->test ? LOYALTY_CHANNEL_EMAIL : box->channel;
        if (box->next == box->n) {
            continue;
        }

        wait = loyalty_couriers_wait(sender->couriers, way);
        if (wait != 0) {
            *rest = wait < *rest ? (int)wait : *rest;
        } else if (!loyalty_couriers_room(sender->couriers, way)) {
            *full = true;
        } else {
            result = send_next(sender, box);
            *sent = true;
        }
    }

    return result;
}

/* Until all are on their way, held back, or the time is over. */
static loyalty_store_result_t
send_all(loyalty_sender_t *sender, boxes_t *boxes, int64_t until, int *rest)
{
    loyalty_store_result_t result = LOYALTY_STORE_OK;
    bool sent = true, full = false;

    while (result == LOYALTY_STORE_OK && (sent || full)) {
        if (loyalty_rounds_stopping(&sender->rounds)
            || loyalty_link_now() >= until) {
            *rest = 0;
            break;
        }

        result = send_some(sender, boxes, &sent, &full, rest);
        if (sent) {
            *rest = 0; /* and there may be more where it came from */
        }
        (void)collect(sender, full && !sent ? PAUSE : 0, &result);
    }

    return result;
}

static loyalty_store_result_t
serve(void *data, const loyalty_scope_t *scope, int64_t until, int *rest)
{
    loyalty_sender_t *sender = data;
    const loyalty_program_t *program;
    loyalty_store_result_t result;
    boxes_t boxes = {.n = 0};
    size_t n = 0;

    loyalty_replies_init(&boxes.due);
    loyalty_replies_init(&boxes.messages);
    sender->sending.scope = *scope;
    result = read_due(sender, &boxes, rest);

    if (result == LOYALTY_STORE_OK && boxes.n != 0) {
        result = read_messages(sender, &boxes, &n);
    }

    if (result == LOYALTY_STORE_OK && n != 0) {
        result = loyalty_programs_get(sender->tools.programs,
                                      sender->tools.store, scope, &program);
        boxes.test = result == LOYALTY_STORE_OK && program != NULL
                     && program->settings.messages.test_to.len != 0;
    }

    if (result == LOYALTY_STORE_OK && n != 0) {
        result = send_all(sender, &boxes, until, rest);
        if (result == LOYALTY_STORE_FENCED
            || result == LOYALTY_STORE_CONFLICT) {
            result = LOYALTY_STORE_OK; /* the site is gone; or too lively */
        }
    }

    loyalty_replies_free(&boxes.due);
    loyalty_replies_free(&boxes.messages);

    return result;
}

int
loyalty_sender_run(loyalty_sender_t *sender)
{
    loyalty_store_result_t result = LOYALTY_STORE_OK;
    int rest = loyalty_rounds_run(&sender->rounds);

    if (loyalty_couriers_out(sender->couriers) != 0) {
        (void)collect(sender, rest, &result);
        return 0;
    }

    return rest;
}
