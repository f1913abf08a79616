/*
 * What became of a message: sent, failed, or to be tried again.
 */

#include "loyalty_sender_private.h"

#include <stdio.h>
#include <sys/random.h>
#include <time.h>

#include "loyalty_calendar.h"
#include "loyalty_event.h"
#include "loyalty_retry.h"

#define TRIES 10 /* of a transaction */

/* Twelve tries, most of a day; then the message has failed. */
static const loyalty_retry_t retry = {
    .first = 30 * LOYALTY_SECOND,
    .longest = 8 * LOYALTY_HOUR,
    .tries = 12,
};

/* "w:2026-11-16": the Monday of the site's own week. */
static bool
week_of(const loyalty_program_t *program, loyalty_instant_t at, char *field)
{
    char date[LOYALTY_DATE_SIZE];
    struct tm tm = {0};
    time_t day;

    if (!loyalty_calendar_day(program->settings.time_zone, at, date, NULL)
        || sscanf(date, "%d-%d-%d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday)
               != 3) {
        return false;
    }

    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    day = timegm(&tm);
    day -= (time_t)((tm.tm_wday + 6) % 7) * 86400;
    gmtime_r(&day, &tm);
    snprintf(field, LOYALTY_DATE_SIZE, "w:%04d-%02d-%02d", tm.tm_year + 1900,
             tm.tm_mon + 1, tm.tm_mday);
    return true;
}

static void
write_event(const loyalty_program_t *program, const loyalty_sending_t *sending,
            loyalty_event_t event, const char *error,
            loyalty_commands_t *commands)
{
    const loyalty_events_t events = {&sending->scope, program, commands};
    const loyalty_message_event_t message = {
        .id = sending->id,
        .rule = sending->rule,
        .member = sending->member,
        .channel = loyalty_str_from(loyalty_channel_name(sending->channel)),
        .order = sending->order,
        .error = loyalty_str_from(error),
    };

    loyalty_event_message(&events, event, &message);
}

static void
write_outcome(const loyalty_program_t *program,
              const loyalty_sending_t *sending,
              const loyalty_delivery_answer_t *answer,
              loyalty_commands_t *commands)
{
    loyalty_instant_t now = loyalty_apply_clock(), again = LOYALTY_NEVER;
    char week[LOYALTY_DATE_SIZE];
    uint32_t random = (uint32_t)now;

    if (answer->result == LOYALTY_DELIVERY_SENT) {
        if (answer->reference[0] != '\0') {
            loyalty_sending_set(sending, commands, "x",
                                loyalty_str_from(answer->reference));
        }
        loyalty_sending_key(sending, commands, "HSET", 4, "mg", sending->id);
        loyalty_arg_text(commands, "t");
        loyalty_arg_int(commands, now);
        loyalty_sending_key(sending, commands, "HDEL", 3, "mg", sending->id);
        loyalty_arg_text(commands, "e");
        loyalty_sending_settle(sending, "sent", commands);
        if (week_of(program, now, week)) {
            loyalty_message_count(sending->rule, week, 1, &sending->scope,
                                  commands);
        }
        write_event(program, sending, LOYALTY_EVENT_MESSAGE_SENT, "", commands);
        return;
    }

    (void)!getrandom(&random, sizeof(random), GRND_NONBLOCK);
    loyalty_sending_set(sending, commands, "e",
                        loyalty_str_from(answer->error));

    if (answer->result != LOYALTY_DELIVERY_PERMANENT) {
        again = loyalty_retry_at(&retry, (int32_t)sending->tries,
                                 sending->first_try, now, answer->retry_after,
                                 random);
    }

    if (again != LOYALTY_NEVER) {
        loyalty_sending_box(sending, commands, "ZADD", 4);
        loyalty_arg_int(commands, again);
        loyalty_arg(commands, sending->id);
        return;
    }

    loyalty_sending_settle(sending, "failed", commands);
    write_event(program, sending, LOYALTY_EVENT_MESSAGE_FAILED, answer->error,
                commands);
    loyalty_sending_key(sending, commands, "ZREM", 3, "ms", sending->member);
    loyalty_arg(commands, sending->id);
}

loyalty_store_result_t
loyalty_sender_record(loyalty_sender_t *sender,
                      const loyalty_sending_t *sending,
                      const loyalty_delivery_answer_t *answer)
{
    loyalty_commands_t *commands = &sender->tools.commands;
    loyalty_store_result_t result;
    const loyalty_program_t *program;
    loyalty_replies_t replies;
    loyalty_str_t state;
    int tries;

    result = loyalty_programs_get(sender->tools.programs, sender->tools.store,
                                  &sending->scope, &program);
    if (result != LOYALTY_STORE_OK || program == NULL) {
        return result;
    }

    loyalty_replies_init(&replies);
    result = LOYALTY_STORE_CONFLICT;

    for (tries = 0; tries < TRIES && result == LOYALTY_STORE_CONFLICT;
         tries++) {
        loyalty_commands_reset(commands);
        loyalty_sending_key(sending, commands, "WATCH", 2, "mg", sending->id);
        loyalty_sending_key(sending, commands, "HGET", 3, "mg", sending->id);
        loyalty_arg_text(commands, "s");
        loyalty_replies_free(&replies);
        result = loyalty_store_call(sender->tools.store, sending->scope.site,
                                    commands, &replies);
        if (result != LOYALTY_STORE_OK) {
            break;
        }

        if (!loyalty_reply_str(replies.list[1], &state)
            || !loyalty_str_eq(state, loyalty_str("pending"))) {
            loyalty_store_unwatch(sender->tools.store, sending->scope.site);
            break;
        }

        loyalty_commands_reset(commands);
        loyalty_command(commands, "MULTI", 1);
        write_outcome(program, sending, answer, commands);
        loyalty_command(commands, "EXEC", 1);
        result = loyalty_store_exec(sender->tools.store, sending->scope.site,
                                    commands);
    }

    loyalty_replies_free(&replies);

    return result;
}
