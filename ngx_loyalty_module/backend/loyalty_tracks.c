/*
 *   GET cursor, XRANGE behind it     what is new?
 *   HMGET of each message, MGET of   whose was it, and is this the first time?
 *   their members' last touches
 *   unsubscribes                     each a transaction on its member
 *   the rest                         one transaction, with the cursor
 *
 * An unsubscribe may be done twice by a kill between the two: it is one the
 * second time too.
 */

#include "loyalty_tracks.h"

#include <stdio.h>

#include "loyalty_event.h"
#include "loyalty_message.h"
#include "loyalty_touch.h"

#define BATCH 128

typedef struct {
    loyalty_str_t id; /* of the entry */
    loyalty_str_t message;
    loyalty_instant_t at;
    char kind; /* 'o', 'c', 'u'; 0: makes no sense */
    bool machine;

    /* Of the message; the member is empty where it is gone. */
    loyalty_str_t member, rule, channel;
    int64_t opens, machine_opens, clicks;
    bool unsubscribed;
    size_t first; /* entry of the batch that named the message first */
    loyalty_touches_t touches; /* of that entry's member, at that entry */
    bool touched;
} track_t;

typedef struct {
    loyalty_member_change_t *change;
    const loyalty_program_t *program; /* NULL: the site is gone */
    loyalty_scope_t scope;
    loyalty_arena_t arena;
    track_t list[BATCH];
    size_t n;
} tracks_t;

static void
key_command(tracks_t *tracks, loyalty_commands_t *commands, const char *name,
            size_t argc, const char *kind, loyalty_str_t rest)
{
    loyalty_command(commands, name, argc);
    loyalty_arg_key(commands, &tracks->scope, kind, rest);
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
read_entries(tracks_t *tracks, loyalty_replies_t *replies)
{
    loyalty_commands_t *commands = &tracks->change->commands;
    loyalty_store_result_t result;
    const redisReply *entry;
    loyalty_str_t cursor;
    char start[64];
    size_t i;

    loyalty_commands_reset(commands);
    key_command(tracks, commands, "WATCH", 2, "x", loyalty_str("tracks"));
    key_command(tracks, commands, "GET", 2, "x", loyalty_str("tracks"));
    result = loyalty_store_call(tracks->change->store, tracks->scope.site,
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
    key_command(tracks, commands, "XRANGE", 6, "s", loyalty_str("tracks"));
    loyalty_arg_text(commands, start);
    loyalty_arg_text(commands, "+");
    loyalty_arg_text(commands, "COUNT");
    loyalty_arg_int(commands, BATCH);
    result = loyalty_store_call(tracks->change->store, tracks->scope.site,
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
        tracks->list[i] = (track_t){.first = i};
        if (!loyalty_reply_array(entry, 2)
            || !loyalty_reply_str(entry->element[0], &tracks->list[i].id)) {
            return LOYALTY_STORE_MALFORMED;
        }
        read_fields(entry->element[1], &tracks->list[i]);
    }
    tracks->n = i;

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
read_messages(tracks_t *tracks, loyalty_replies_t *replies)
{
    static const char *const fields[] = {"m", "r", "c", "p", "q", "l", "u"};
    loyalty_commands_t *commands = &tracks->change->commands;
    loyalty_store_result_t result;
    const redisReply *reply;
    loyalty_str_t text;
    track_t *track;
    size_t i, k;

    loyalty_commands_reset(commands);
    for (i = 0; i < tracks->n; i++) {
        track = &tracks->list[i];
        key_command(tracks, commands, "HMGET", 9, "mg",
                    track->kind != 0 ? track->message : loyalty_str("\n"));
        for (k = 0; k < 7; k++) {
            loyalty_arg_text(commands, fields[k]);
        }
        for (k = 0; k < i && track->kind != 0; k++) {
            if (tracks->list[k].kind != 0
                && loyalty_str_eq(tracks->list[k].message, track->message)) {
                track->first = k;
                break;
            }
        }
    }

    result = loyalty_store_call(tracks->change->store, tracks->scope.site,
                                commands, replies);

    for (i = 0; i < tracks->n && result == LOYALTY_STORE_OK; i++) {
        track = &tracks->list[i];
        reply = replies->list[i];
        if (!loyalty_reply_array(reply, 7)
            || !loyalty_reply_str(reply->element[0], &track->member)
            || !loyalty_reply_str(reply->element[1], &track->rule)
            || !loyalty_reply_str(reply->element[2], &track->channel)
            || !loyalty_reply_str(reply->element[6], &text)) {
            return LOYALTY_STORE_MALFORMED;
        }
        track->opens = number(reply->element[3]);
        track->machine_opens = number(reply->element[4]);
        track->clicks = number(reply->element[5]);
        track->unsubscribed = text.len != 0;
        if (track->member.len == 0) {
            track->kind = 0;
        }
    }

    return result;
}

/* The last touches of the members, with the first entry of each. */
static loyalty_store_result_t
read_touches(tracks_t *tracks, loyalty_replies_t *replies)
{
    loyalty_commands_t *commands = &tracks->change->commands;
    loyalty_store_result_t result;
    loyalty_str_t text;
    size_t i;

    loyalty_commands_reset(commands);
    loyalty_command(commands, "MGET", 1 + tracks->n);
    for (i = 0; i < tracks->n; i++) {
        loyalty_arg_key(commands, &tracks->scope, "mt",
                        tracks->list[i].kind != 0 ? tracks->list[i].member
                                                  : loyalty_str("\n"));
    }
    result = loyalty_store_call(tracks->change->store, tracks->scope.site,
                                commands, replies);
    if (result != LOYALTY_STORE_OK) {
        return result;
    }
    if (!loyalty_reply_array(replies->list[0], tracks->n)) {
        return LOYALTY_STORE_MALFORMED;
    }

    for (i = 0; i < tracks->n; i++) {
        if (!loyalty_reply_str(replies->list[0]->element[i], &text)) {
            return LOYALTY_STORE_MALFORMED;
        }
        (void)loyalty_touches_decode(text, &tracks->list[i].touches);
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
count_in(tracks_t *tracks, const track_t *track, const char *field,
         const char *what, int64_t *before, loyalty_commands_t *commands)
{
    key_command(tracks, commands, "HINCRBY", 4, "mg", track->message);
    loyalty_arg_text(commands, field);
    loyalty_arg_int(commands, 1);

    /* A rule's numbers count messages, not looks at them. */
    if ((*before)++ == 0) {
        loyalty_message_count(track->rule, what, 1, &tracks->scope, commands);
        return true;
    }

    return false;
}

/* The entry that holds the touches of this one's member. */
static track_t *
touches_of(tracks_t *tracks, size_t index)
{
    size_t i;

    for (i = 0; i < index; i++) {
        if (tracks->list[i].kind != 0
            && loyalty_str_eq(tracks->list[i].member,
                              tracks->list[index].member)) {
            return &tracks->list[i];
        }
    }

    return &tracks->list[index];
}

/* Counts an open or a click; who clicks has seen it. */
static void
apply(tracks_t *tracks, size_t index, loyalty_commands_t *commands)
{
    track_t *track = &tracks->list[index];
    track_t *message = &tracks->list[track->first];
    track_t *member = touches_of(tracks, index);

    if (track->kind == 'o' && track->machine) {
        (void)count_in(tracks, track, "q", "machine_opens",
                       &message->machine_opens, commands);
    } else if (track->kind == 'o') {
        if (count_in(tracks, track, "p", "opens", &message->opens, commands)) {
            write_event(&tracks->scope, tracks->program,
                        LOYALTY_EVENT_MESSAGE_OPENED, track, commands);
        }
        member->touched |= loyalty_touch(&member->touches.open,
                                         track->message, track->at);
    } else if (track->kind == 'c' && !track->machine) {
        if (count_in(tracks, track, "l", "clicks", &message->clicks,
                     commands)) {
            write_event(&tracks->scope, tracks->program,
                        LOYALTY_EVENT_MESSAGE_CLICKED, track, commands);
        }
        member->touched |= loyalty_touch(&member->touches.click,
                                         track->message, track->at);
    }
}

static loyalty_store_result_t
write_all(tracks_t *tracks)
{
    loyalty_commands_t *commands = &tracks->change->commands;
    loyalty_str_t last = tracks->list[tracks->n - 1].id, text;
    size_t i;

    loyalty_commands_reset(commands);
    loyalty_command(commands, "MULTI", 1);

    for (i = 0; i < tracks->n; i++) {
        if (tracks->list[i].kind != 0) {
            apply(tracks, i, commands);
        }
    }

    for (i = 0; i < tracks->n; i++) {
        if (!tracks->list[i].touched) {
            continue;
        }
        if (loyalty_touches_encode(&tracks->list[i].touches, &tracks->arena,
                                   &text) != LOYALTY_OK) {
            return LOYALTY_STORE_MEMORY;
        }
        key_command(tracks, commands, "SET", 3, "mt", tracks->list[i].member);
        loyalty_arg(commands, text);
    }

    key_command(tracks, commands, "SET", 3, "x", loyalty_str("tracks"));
    loyalty_arg(commands, last);
    key_command(tracks, commands, "XTRIM", 5, "s", loyalty_str("tracks"));
    loyalty_arg_text(commands, "MINID");
    loyalty_arg_text(commands, "~");
    loyalty_arg(commands, last);
    loyalty_command(commands, "EXEC", 1);

    return loyalty_store_exec(tracks->change->store, tracks->scope.site,
                              commands);
}

/* Consent is withdrawn, with its history; counted once a message. */
static loyalty_store_result_t
decide_unsubscribe(loyalty_member_change_t *change, void *data)
{
    const track_t *track = data;
    loyalty_member_slot_t *slot = &change->list[0];
    loyalty_channel_t channel = loyalty_channel_named(track->channel);
    loyalty_commands_t *writes = &change->writes;
    loyalty_str_t said;

    if (!loyalty_reply_str(change->more[1], &said)) {
        return LOYALTY_STORE_MALFORMED;
    }

    if (said.len == 0) {
        loyalty_command(writes, "HSET", 4);
        loyalty_arg_key(writes, &change->scope, "mg", track->message);
        loyalty_arg_text(writes, "u");
        loyalty_arg_int(writes, track->at);
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
unsubscribe(tracks_t *tracks, track_t *track)
{
    loyalty_store_result_t result;
    loyalty_commands_t reads;

    loyalty_commands_init(&reads);
    key_command(tracks, &reads, "WATCH", 2, "mg", track->message);
    key_command(tracks, &reads, "HGET", 3, "mg", track->message);
    loyalty_arg_text(&reads, "u");
    tracks->change->origin = (loyalty_origin_t){
        .by = loyalty_str("shopper"), .source = loyalty_str("unsubscribe")};
    result = loyalty_member_change(tracks->change, &tracks->scope,
                                   &track->member, 1, &reads,
                                   decide_unsubscribe, track);
    tracks->change->origin = (loyalty_origin_t){0};
    loyalty_commands_free(&reads);

    return result;
}

/* Unsubscribes have transactions of their own, which end the WATCH of the
 * cursor: so they come first, and the batch is read again behind them. */
static loyalty_store_result_t
unsubscribe_all(tracks_t *tracks, bool *any)
{
    loyalty_store_result_t result = LOYALTY_STORE_OK;
    size_t i;

    *any = false;
    for (i = 0; i < tracks->n && result == LOYALTY_STORE_OK; i++) {
        if (tracks->list[i].kind == 'u' && !tracks->list[i].unsubscribed) {
            result = unsubscribe(tracks, &tracks->list[i]);
            *any = true;
        }
    }

    return result;
}

loyalty_store_result_t
loyalty_tracks_apply(loyalty_member_change_t *change,
                     const loyalty_scope_t *scope, bool *busy)
{
    loyalty_replies_t entries, messages, touches;
    tracks_t tracks = {.change = change, .scope = *scope};
    loyalty_store_result_t result;
    bool again = false;

    loyalty_replies_init(&entries);
    loyalty_replies_init(&messages);
    loyalty_replies_init(&touches);
    loyalty_arena_init(&tracks.arena, 0);

    result = read_entries(&tracks, &entries);
    if (result == LOYALTY_STORE_OK && tracks.n != 0) {
        result = read_messages(&tracks, &messages);
        if (result == LOYALTY_STORE_OK) {
            result = unsubscribe_all(&tracks, &again);
        }
        if (result == LOYALTY_STORE_OK && !again) {
            result = read_touches(&tracks, &touches);
        }
        if (result == LOYALTY_STORE_OK && !again) {
            result = loyalty_programs_get(change->programs, change->store,
                                          scope, &tracks.program);
        }
        if (result == LOYALTY_STORE_OK && !again) {
            result = write_all(&tracks);
        }
        *busy = true;
    }

    if (tracks.n == 0 || result != LOYALTY_STORE_OK) {
        loyalty_store_unwatch(change->store, scope->site);
    }

    loyalty_arena_free(&tracks.arena);
    loyalty_replies_free(&entries);
    loyalty_replies_free(&messages);
    loyalty_replies_free(&touches);

    return result == LOYALTY_STORE_CONFLICT ? LOYALTY_STORE_OK : result;
}
