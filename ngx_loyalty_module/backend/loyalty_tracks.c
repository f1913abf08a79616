/*
 *   unsubscribes   GET cursor, XRANGE, HMGET of each message; then each in a
 *                  transaction on its member; then the cursor
 *   tracks         GET cursor, XRANGE behind it     what is new?
 *                  HMGET of each message, MGET of   whose was it, and is this
 *                  their members' last touches      the first time?
 *                  one transaction, with the cursor
 *
 * An unsubscribe may be done twice by a kill between it and the cursor: it is
 * one the second time too.
 */

#include "loyalty_tracks.h"

#include <stdio.h>
#include <stdlib.h>

#include "loyalty_event.h"
#include "loyalty_link.h"
#include "loyalty_member_change.h"
#include "loyalty_message.h"
#include "loyalty_rounds.h"
#include "loyalty_touch.h"

#define BATCH 128

struct loyalty_tracks_s {
    loyalty_apply_tools_t tools; /* without batches */
    loyalty_rounds_t rounds;
    loyalty_member_change_t change;
};

typedef struct {
    loyalty_str_t id; /* of the entry */
    loyalty_str_t message;
    loyalty_instant_t at;
    char kind; /* 'o', 'c', 'u'; 0: makes no sense */
    bool machine;

    /* Of the message; the member is empty where it is gone. */
    loyalty_str_t member, rule, channel;
    int64_t opens, machine_opens, clicks;
    size_t first; /* entry of the batch that named the message first */
    loyalty_touches_t touches; /* of that entry's member, at that entry */
    bool touched;
} track_t;

typedef struct {
    loyalty_member_change_t *change;
    const loyalty_program_t *program; /* NULL: the site is gone */
    loyalty_scope_t scope;
    loyalty_str_t stream; /* and the cursor's name */
    loyalty_arena_t arena;
    track_t list[BATCH];
    size_t n;
} batch_t;

static void
key_command(batch_t *batch, loyalty_commands_t *commands, const char *name,
            size_t argc, const char *kind, loyalty_str_t rest)
{
    loyalty_command(commands, name, argc);
    loyalty_arg_key(commands, &batch->scope, kind, rest);
}

static void
read_fields(const redisReply *fields, track_t *track)
{
    loyalty_str_t name, value;
    size_t i;

    for (i = 0; fields->type == REDIS_REPLY_ARRAY && i + 1 < fields->elements;
         i += 2) {
        if (!loyalty_reply_str(fields->element[i], &name)
            || !loyalty_reply_str(fields->element[i + 1], &value)
            || name.len != 1) {
            continue;
        }
        switch (name.data[0]) {
        case 'k':
            track->kind = value.len == 1 ? value.data[0] : 0;
            break;
        case 'i':
            track->message = value;
            break;
        case 't':
            (void)loyalty_str_int(value, &track->at);
            break;
        case 'b':
            track->machine = true;
            break;
        default:
            break;
        }
    }

    if (track->message.len == 0 || track->message.len > LOYALTY_MESSAGE_ID_MAX
        || track->at <= 0) {
        track->kind = 0;
    }
}

/* The entries behind the cursor; the cursor is WATCHed. */
static loyalty_store_result_t
read_entries(batch_t *batch, loyalty_replies_t *replies)
{
    loyalty_commands_t *commands = &batch->change->commands;
    loyalty_store_result_t result;
    const redisReply *entry;
    loyalty_str_t cursor;
    char start[64];
    size_t i;

    loyalty_commands_reset(commands);
    key_command(batch, commands, "WATCH", 2, "x", batch->stream);
    key_command(batch, commands, "GET", 2, "x", batch->stream);
    result = loyalty_store_call(batch->change->store, batch->scope.site,
                                commands, replies);
    if (result != LOYALTY_STORE_OK) {
        return result;
    }
    if (!loyalty_reply_str(replies->list[1], &cursor) || cursor.len > 40) {
        return LOYALTY_STORE_MALFORMED;
    }

    snprintf(start, sizeof(start), "%s%.*s", cursor.len == 0 ? "-" : "(",
             (int)cursor.len, cursor.len == 0 ? "" : cursor.data);
    loyalty_replies_free(replies);
    loyalty_commands_reset(commands);
    key_command(batch, commands, "XRANGE", 6, "s", batch->stream);
    loyalty_arg_text(commands, start);
    loyalty_arg_text(commands, "+");
    loyalty_arg_text(commands, "COUNT");
    loyalty_arg_int(commands, BATCH);
    result = loyalty_store_call(batch->change->store, batch->scope.site,
                                commands, replies);
    if (result != LOYALTY_STORE_OK) {
        return result;
    }
    if (replies->list[0]->type != REDIS_REPLY_ARRAY
        || replies->list[0]->elements > BATCH) {
        return LOYALTY_STORE_MALFORMED;
    }

    for (i = 0; i < replies->list[0]->elements; i++) {
        entry = replies->list[0]->element[i];
        batch->list[i] = (track_t){.first = i};
        if (!loyalty_reply_array(entry, 2)
            || !loyalty_reply_str(entry->element[0], &batch->list[i].id)) {
            return LOYALTY_STORE_MALFORMED;
        }
        read_fields(entry->element[1], &batch->list[i]);
    }
    batch->n = i;

    return LOYALTY_STORE_OK;
}

static int64_t
number(const redisReply *reply)
{
    loyalty_str_t text;
    int64_t value;

    return loyalty_reply_str(reply, &text) && loyalty_str_int(text, &value)
               ? value : 0;
}

static loyalty_store_result_t
read_messages(batch_t *batch, loyalty_replies_t *replies)
{
    static const char *const fields[] = {"m", "r", "c", "p", "q", "l"};
    loyalty_commands_t *commands = &batch->change->commands;
    loyalty_store_result_t result;
    const redisReply *reply;
    track_t *track;
    size_t i, k;

    loyalty_commands_reset(commands);
    for (i = 0; i < batch->n; i++) {
        track = &batch->list[i];
        key_command(batch, commands, "HMGET", 8, "mg",
                    track->kind != 0 ? track->message : loyalty_str("\n"));
        for (k = 0; k < 6; k++) {
            loyalty_arg_text(commands, fields[k]);
        }
        for (k = 0; k < i && track->kind != 0; k++) {
            if (batch->list[k].kind != 0
                && loyalty_str_eq(batch->list[k].message, track->message)) {
                track->first = k;
                break;
            }
        }
    }

    result = loyalty_store_call(batch->change->store, batch->scope.site,
                                commands, replies);

    for (i = 0; i < batch->n && result == LOYALTY_STORE_OK; i++) {
        track = &batch->list[i];
        reply = replies->list[i];
        if (!loyalty_reply_array(reply, 6)
            || !loyalty_reply_str(reply->element[0], &track->member)
            || !loyalty_reply_str(reply->element[1], &track->rule)
            || !loyalty_reply_str(reply->element[2], &track->channel)) {
            return LOYALTY_STORE_MALFORMED;
        }
        track->opens = number(reply->element[3]);
        track->machine_opens = number(reply->element[4]);
        track->clicks = number(reply->element[5]);
        if (track->member.len == 0) {
            track->kind = 0;
        }
    }

    return result;
}

/* The last touches of the members, with the first entry of each. */
static loyalty_store_result_t
read_touches(batch_t *batch, loyalty_replies_t *replies)
{
    loyalty_commands_t *commands = &batch->change->commands;
    loyalty_store_result_t result;
    loyalty_str_t text;
    size_t i;

    loyalty_commands_reset(commands);
    loyalty_command(commands, "MGET", 1 + batch->n);
    for (i = 0; i < batch->n; i++) {
        loyalty_arg_key(commands, &batch->scope, "mt",
                        batch->list[i].kind != 0 ? batch->list[i].member
                                                  : loyalty_str("\n"));
    }
    result = loyalty_store_call(batch->change->store, batch->scope.site,
                                commands, replies);
    if (result != LOYALTY_STORE_OK) {
        return result;
    }
    if (!loyalty_reply_array(replies->list[0], batch->n)) {
        return LOYALTY_STORE_MALFORMED;
    }

    for (i = 0; i < batch->n; i++) {
        if (!loyalty_reply_str(replies->list[0]->element[i], &text)) {
            return LOYALTY_STORE_MALFORMED;
        }
        (void)loyalty_touches_decode(text, &batch->list[i].touches);
    }

    return LOYALTY_STORE_OK;
}

/* Of the first open and click, and of an unsubscribe. */
static void
write_event(const loyalty_scope_t *scope, const loyalty_program_t *program,
            loyalty_event_t event, const track_t *track,
            loyalty_commands_t *commands)
{
    const loyalty_events_t events = {scope, program, commands};
    const loyalty_message_event_t message = {
        .id = track->message,
        .rule = track->rule,
        .member = track->member,
        .channel = track->channel,
    };

    loyalty_event_message(&events, event, &message);
}

/* Whether it was the first. */
static bool
count_in(batch_t *batch, const track_t *track, const char *field,
         const char *what, int64_t *before, loyalty_commands_t *commands)
{
    key_command(batch, commands, "HINCRBY", 4, "mg", track->message);
    loyalty_arg_text(commands, field);
    loyalty_arg_int(commands, 1);

    /* A rule's numbers count messages, not looks at them. */
    if ((*before)++ == 0) {
        loyalty_message_count(track->rule, what, 1, &batch->scope, commands);
        return true;
    }

    return false;
}

/* The entry that holds the touches of this one's member. */
static track_t *
touches_of(batch_t *batch, size_t index)
{
    size_t i;

    for (i = 0; i < index; i++) {
        if (batch->list[i].kind != 0
            && loyalty_str_eq(batch->list[i].member,
                              batch->list[index].member)) {
            return &batch->list[i];
        }
    }

    return &batch->list[index];
}

/* Counts an open or a click; who clicks has seen it. */
static void
apply(batch_t *batch, size_t index, loyalty_commands_t *commands)
{
    track_t *track = &batch->list[index];
    track_t *message = &batch->list[track->first];
    track_t *member = touches_of(batch, index);

    if (track->kind == 'o' && track->machine) {
        (void)count_in(batch, track, "q", "machine_opens",
                       &message->machine_opens, commands);
    } else if (track->kind == 'o') {
        if (count_in(batch, track, "p", "opens", &message->opens, commands)) {
            write_event(&batch->scope, batch->program,
                        LOYALTY_EVENT_MESSAGE_OPENED, track, commands);
        }
        member->touched |= loyalty_touch(&member->touches.open,
                                         track->message, track->at);
    } else if (track->kind == 'c' && !track->machine) {
        if (count_in(batch, track, "l", "clicks", &message->clicks,
                     commands)) {
            write_event(&batch->scope, batch->program,
                        LOYALTY_EVENT_MESSAGE_CLICKED, track, commands);
        }
        member->touched |= loyalty_touch(&member->touches.click,
                                         track->message, track->at);
    }
}

/* What is behind it has been applied, and may go. */
static void
write_cursor(batch_t *batch, loyalty_commands_t *commands)
{
    loyalty_str_t last = batch->list[batch->n - 1].id;

    key_command(batch, commands, "SET", 3, "x", batch->stream);
    loyalty_arg(commands, last);
    key_command(batch, commands, "XTRIM", 5, "s", batch->stream);
    loyalty_arg_text(commands, "MINID");
    loyalty_arg_text(commands, "~");
    loyalty_arg(commands, last);
}

static loyalty_store_result_t
write_all(batch_t *batch)
{
    loyalty_commands_t *commands = &batch->change->commands;
    loyalty_str_t text;
    size_t i;

    loyalty_commands_reset(commands);
    loyalty_command(commands, "MULTI", 1);

    for (i = 0; i < batch->n; i++) {
        if (batch->list[i].kind != 0) {
            apply(batch, i, commands);
        }
    }

    for (i = 0; i < batch->n; i++) {
        if (!batch->list[i].touched) {
            continue;
        }
        if (loyalty_touches_encode(&batch->list[i].touches, &batch->arena,
                                   &text) != LOYALTY_OK) {
            return LOYALTY_STORE_MEMORY;
        }
        key_command(batch, commands, "SET", 3, "mt", batch->list[i].member);
        loyalty_arg(commands, text);
    }

    write_cursor(batch, commands);
    loyalty_command(commands, "EXEC", 1);

    return loyalty_store_exec(batch->change->store, batch->scope.site,
                              commands);
}

/* Consent is withdrawn, with its history; counted once a message, though an
 * old one may be left by who has consented again since. */
static loyalty_store_result_t
decide_unsubscribe(loyalty_member_change_t *change, void *data)
{
    const track_t *track = data;
    loyalty_member_slot_t *slot = &change->list[0];
    loyalty_channel_t channel = loyalty_channel_named(track->channel);
    loyalty_commands_t *writes = &change->writes;
    loyalty_str_t said;
    int64_t before;

    if (!loyalty_reply_str(change->more[1], &said)) {
        return LOYALTY_STORE_MALFORMED;
    }

    if (loyalty_str_int(said, &before) && track->at <= before) {
        return LOYALTY_STORE_OK; /* that very one, a second time */
    }

    loyalty_command(writes, "HSET", 4);
    loyalty_arg_key(writes, &change->scope, "mg", track->message);
    loyalty_arg_text(writes, "u");
    loyalty_arg_int(writes, track->at);

    if (said.len == 0) {
        loyalty_message_count(track->rule, "unsubscribes", 1, &change->scope,
                              writes);
        write_event(&change->scope, change->program,
                    LOYALTY_EVENT_MESSAGE_UNSUBSCRIBED, track, writes);
    }

    if (channel == 0 || slot->fresh || slot->corrupt
        || slot->member.deleted_at != LOYALTY_UNKNOWN) {
        return LOYALTY_STORE_OK;
    }

    loyalty_command(writes, "SADD", 3);
    loyalty_arg_key(writes, &change->scope, "us", track->channel);
    loyalty_arg(writes, track->member);

    if ((slot->member.consent & (unsigned)channel) != 0) {
        slot->member.consent &= ~(unsigned)channel;
        slot->member.version++;
        slot->changed = true;
    }

    return LOYALTY_STORE_OK;
}

static loyalty_store_result_t
unsubscribe(batch_t *batch, track_t *track)
{
    loyalty_store_result_t result;
    loyalty_commands_t reads;

    loyalty_commands_init(&reads);
    key_command(batch, &reads, "WATCH", 2, "mg", track->message);
    key_command(batch, &reads, "HGET", 3, "mg", track->message);
    loyalty_arg_text(&reads, "u");
    batch->change->origin = (loyalty_origin_t){
        .by = loyalty_str("shopper"), .source = loyalty_str("unsubscribe")};
    result = loyalty_member_change(batch->change, &batch->scope,
                                   &track->member, 1, &reads,
                                   decide_unsubscribe, track);
    batch->change->origin = (loyalty_origin_t){0};
    loyalty_commands_free(&reads);

    return result;
}

static loyalty_store_result_t
apply_unsubscribes(batch_t *batch, loyalty_replies_t *messages)
{
    loyalty_commands_t *commands = &batch->change->commands;
    loyalty_store_result_t result = read_messages(batch, messages);
    loyalty_replies_t replies;
    size_t i;

    for (i = 0; i < batch->n && result == LOYALTY_STORE_OK; i++) {
        if (batch->list[i].kind == 'u') {
            result = unsubscribe(batch, &batch->list[i]);
        }
    }

    if (result != LOYALTY_STORE_OK) {
        return result;
    }

    loyalty_replies_init(&replies);
    loyalty_commands_reset(commands);
    write_cursor(batch, commands);
    result = loyalty_store_call(batch->change->store, batch->scope.site,
                                commands, &replies);
    loyalty_replies_free(&replies);

    return result;
}

static loyalty_store_result_t
apply_touches(batch_t *batch, loyalty_replies_t *messages)
{
    loyalty_store_result_t result = read_messages(batch, messages);
    loyalty_replies_t touches;

    loyalty_replies_init(&touches);

    if (result == LOYALTY_STORE_OK) {
        result = read_touches(batch, &touches);
    }
    if (result == LOYALTY_STORE_OK) {
        result = loyalty_programs_get(batch->change->programs,
                                      batch->change->store, &batch->scope,
                                      &batch->program);
    }
    if (result == LOYALTY_STORE_OK) {
        result = write_all(batch);
    }

    loyalty_replies_free(&touches);

    return result;
}

/* One batch of the stream; *n: how many it had. */
static loyalty_store_result_t
apply_batch(loyalty_tracks_t *tracks, const loyalty_scope_t *scope,
            loyalty_str_t stream,
            loyalty_store_result_t (*work)(batch_t *batch,
                                           loyalty_replies_t *messages),
            size_t *n)
{
    batch_t batch = {.change = &tracks->change, .scope = *scope,
                     .stream = stream};
    loyalty_replies_t entries, messages;
    loyalty_store_result_t result;

    loyalty_replies_init(&entries);
    loyalty_replies_init(&messages);
    loyalty_arena_init(&batch.arena, 0);

    result = read_entries(&batch, &entries);
    if (result == LOYALTY_STORE_OK && batch.n != 0) {
        result = work(&batch, &messages);
    }
    if (work != apply_touches || batch.n == 0 || result != LOYALTY_STORE_OK) {
        loyalty_store_unwatch(tracks->tools.store, scope->site);
    }

    *n = batch.n;
    loyalty_arena_free(&batch.arena);
    loyalty_replies_free(&entries);
    loyalty_replies_free(&messages);

    return result == LOYALTY_STORE_CONFLICT ? LOYALTY_STORE_OK : result;
}

/* Whether a stream has an entry behind its cursor: one round trip of a site
 * where nothing happens. */
static loyalty_store_result_t
look(loyalty_tracks_t *tracks, const loyalty_scope_t *scope, bool *fresh)
{
    static const char *const streams[] = {"unsubscribes", "tracks"};
    loyalty_commands_t *commands = &tracks->tools.commands;
    loyalty_store_result_t result;
    loyalty_str_t cursor, last;
    loyalty_replies_t replies;
    const redisReply *list;
    size_t i;

    loyalty_commands_reset(commands);
    for (i = 0; i < 2; i++) {
        loyalty_command(commands, "GET", 2);
        loyalty_arg_key(commands, scope, "x", loyalty_str_from(streams[i]));
        loyalty_command(commands, "XREVRANGE", 6);
        loyalty_arg_key(commands, scope, "s", loyalty_str_from(streams[i]));
        loyalty_arg_text(commands, "+");
        loyalty_arg_text(commands, "-");
        loyalty_arg_text(commands, "COUNT");
        loyalty_arg_int(commands, 1);
    }

    *fresh = false;
    loyalty_replies_init(&replies);
    result = loyalty_store_call(tracks->tools.store, scope->site, commands,
                                &replies);

    for (i = 0; i < 2 && result == LOYALTY_STORE_OK; i++) {
        list = replies.list[2 * i + 1];
        if (!loyalty_reply_str(replies.list[2 * i], &cursor)
            || list->type != REDIS_REPLY_ARRAY) {
            result = LOYALTY_STORE_MALFORMED;
        } else if (list->elements != 0) {
            *fresh |= !loyalty_reply_array(list->element[0], 2)
                      || !loyalty_reply_str(list->element[0]->element[0], &last)
                      || !loyalty_str_eq(cursor, last);
        }
    }

    loyalty_replies_free(&replies);

    return result;
}

static loyalty_store_result_t
serve(void *data, const loyalty_scope_t *scope, int64_t until, int *rest)
{
    loyalty_tracks_t *tracks = data;
    loyalty_store_result_t result;
    size_t wishes, touches;
    bool fresh;

    result = look(tracks, scope, &fresh);
    if (result != LOYALTY_STORE_OK || !fresh) {
        return result;
    }

    do {
        touches = 0;
        result = apply_batch(tracks, scope, loyalty_str("unsubscribes"),
                             apply_unsubscribes, &wishes);
        if (result == LOYALTY_STORE_OK) {
            result = apply_batch(tracks, scope, loyalty_str("tracks"),
                                 apply_touches, &touches);
        }
    } while (result == LOYALTY_STORE_OK && (wishes == BATCH || touches == BATCH)
             && loyalty_link_now() < until
             && !loyalty_rounds_stopping(&tracks->rounds));

    if (wishes + touches != 0) {
        *rest = 0;
    }

    return result;
}

loyalty_tracks_t *
loyalty_tracks_create(const loyalty_store_conf_t *conf, loyalty_log_pt log,
                      void *data)
{
    loyalty_tracks_t *tracks = calloc(1, sizeof(*tracks));

    if (tracks == NULL) {
        return NULL;
    }

    tracks->rounds = (loyalty_rounds_t){
        .conf = conf,
        .tools = &tracks->tools,
        .good = "opens, clicks and unsubscribes are applied again",
        .bad = "opens, clicks and unsubscribes are not applied",
        .serve = serve,
        .data = tracks,
    };
    tracks->tools.log = log;
    tracks->tools.log_data = data;
    tracks->tools.store = loyalty_store_open(conf);
    tracks->tools.programs = loyalty_programs_create();
    loyalty_commands_init(&tracks->tools.commands);
    loyalty_rounds_init(&tracks->rounds);
    loyalty_member_change_init(&tracks->change, tracks->tools.store,
                               tracks->tools.programs);

    if (tracks->tools.store == NULL || tracks->tools.programs == NULL) {
        loyalty_tracks_free(tracks);
        return NULL;
    }

    return tracks;
}

void
loyalty_tracks_free(loyalty_tracks_t *tracks)
{
    loyalty_member_change_free(&tracks->change);
    loyalty_rounds_free(&tracks->rounds);
    loyalty_programs_free(tracks->tools.programs);
    loyalty_commands_free(&tracks->tools.commands);
    if (tracks->tools.store != NULL) {
        loyalty_store_close(tracks->tools.store);
    }
    free(tracks);
}

int
loyalty_tracks_run(loyalty_tracks_t *tracks)
{
    return loyalty_rounds_run(&tracks->rounds);
}
