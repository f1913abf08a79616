/*
 * Visits: who was seen, and when.  The stream is capped by its writers; a
 * batch of it changes each member once.
 */

#include "loyalty_apply_site.h"
#include "loyalty_link.h"
#include "loyalty_member_write.h"

#define VISITS_MAX 512   /* entries of one batch */
#define VISITS_EVERY 500 /* ms */

typedef struct {
    loyalty_str_t id;
    loyalty_str_t member;
    loyalty_instant_t at;
} visit_t;

typedef struct {
    visit_t list[VISITS_MAX];
    size_t n;
} visits_t;

static bool
read_visit(const redisReply *entry, visit_t *visit)
{
    const redisReply *fields;
    loyalty_str_t name, value;
    size_t i;

    *visit = (visit_t){.at = LOYALTY_UNKNOWN};

    if (!loyalty_reply_array(entry, 2)
        || !loyalty_reply_str(entry->element[0], &visit->id)
        || visit->id.data == NULL) {
        return false;
    }

    fields = entry->element[1];

    for (i = 0; fields->type == REDIS_REPLY_ARRAY && i + 1 < fields->elements;
         i += 2) {
        if (!loyalty_reply_str(fields->element[i], &name)
            || !loyalty_reply_str(fields->element[i + 1], &value)) {
            return false;
        }
        if (loyalty_str_eq(name, loyalty_str("m"))) {
            visit->member = value;
        } else if (loyalty_str_eq(name, loyalty_str("t"))
                   && !loyalty_str_int(value, &visit->at)) {
            visit->at = LOYALTY_UNKNOWN;
        }
    }

    if (loyalty_member_id_check(visit->member) != LOYALTY_OK) {
        visit->at = LOYALTY_UNKNOWN; /* acknowledged, and that is all */
    }

    return true;
}

static loyalty_store_result_t
read_visits(loyalty_apply_tools_t *tools, loyalty_apply_site_t *site,
            loyalty_replies_t *replies, visits_t *visits)
{
    loyalty_store_result_t result;
    const redisReply *reply, *entries;
    size_t i;

    loyalty_commands_reset(&tools->commands);
    loyalty_command(&tools->commands, "XREADGROUP", 9);
    loyalty_arg_text(&tools->commands, "GROUP");
    loyalty_arg_text(&tools->commands, LOYALTY_BATCH_GROUP);
    loyalty_arg_text(&tools->commands, LOYALTY_BATCH_CONSUMER);
    loyalty_arg_text(&tools->commands, "COUNT");
    loyalty_arg_int(&tools->commands, VISITS_MAX);
    loyalty_arg_text(&tools->commands, "STREAMS");
    loyalty_arg_key(&tools->commands, &site->scope, "s",
                    loyalty_str("visits"));
    loyalty_arg_text(&tools->commands, site->visits_pending ? "0" : ">");
    result = loyalty_store_call(tools->store, site->scope.site,
                                &tools->commands, replies);
    if (result != LOYALTY_STORE_OK) {
        return result;
    }

    visits->n = 0;
    reply = replies->list[0];

    if (loyalty_reply_is_nil(reply)) {
        return LOYALTY_STORE_OK;
    }

    if (!loyalty_reply_array(reply, 1)
        || !loyalty_reply_array(reply->element[0], 2)) {
        return LOYALTY_STORE_MALFORMED;
    }

    entries = reply->element[0]->element[1];
    if (entries->type != REDIS_REPLY_ARRAY || entries->elements > VISITS_MAX) {
        return LOYALTY_STORE_MALFORMED;
    }

    for (i = 0; i < entries->elements; i++) {
        if (!read_visit(entries->element[i], &visits->list[visits->n++])) {
            return LOYALTY_STORE_MALFORMED;
        }
    }

    return LOYALTY_STORE_OK;
}

/* Has an earlier visit of the batch named this member? */
static bool
named_before(const visits_t *visits, size_t index)
{
    size_t i;

    for (i = 0; i < index; i++) {
        if (visits->list[i].at != LOYALTY_UNKNOWN
            && loyalty_str_eq(visits->list[i].member,
                              visits->list[index].member)) {
            return true;
        }
    }

    return false;
}

/* All visits of the member of visit `index`, written if they changed it. */
static void
write_member(const loyalty_member_writer_t *writer, const visits_t *visits,
             size_t index, loyalty_str_t bytes)
{
    const visit_t *visit = &visits->list[index];
    loyalty_member_t member;
    bool changed = false;
    size_t i;

    if (loyalty_member_decode(bytes, writer->arena, &member) != LOYALTY_OK) {
        return; /* the orders' side speaks of it */
    }

    for (i = index; i < visits->n; i++) {
        if (visits->list[i].at != LOYALTY_UNKNOWN
            && loyalty_str_eq(visits->list[i].member, visit->member)) {
            changed |= loyalty_member_visit(&member, visits->list[i].at);
        }
    }

    if (changed) {
        loyalty_member_write(writer, &member, &member);
    }
}

static void
command_members(loyalty_apply_tools_t *tools, loyalty_apply_site_t *site,
                const visits_t *visits, const size_t *first, size_t n,
                const char *name)
{
    size_t i;

    loyalty_command(&tools->commands, name, 2 + n);
    loyalty_arg_key(&tools->commands, &site->scope, "x",
                    loyalty_str("lease"));
    for (i = 0; i < n; i++) {
        loyalty_arg_key(&tools->commands, &site->scope, "m",
                        visits->list[first[i]].member);
    }
}

static void
command_ack(loyalty_apply_tools_t *tools, loyalty_apply_site_t *site,
            const visits_t *visits)
{
    size_t i;

    loyalty_command(&tools->commands, "XACK", 3 + visits->n);
    loyalty_arg_key(&tools->commands, &site->scope, "s",
                    loyalty_str("visits"));
    loyalty_arg_text(&tools->commands, LOYALTY_BATCH_GROUP);
    for (i = 0; i < visits->n; i++) {
        loyalty_arg(&tools->commands, visits->list[i].id);
    }
    loyalty_command(&tools->commands, "XTRIM", 5);
    loyalty_arg_key(&tools->commands, &site->scope, "s",
                    loyalty_str("visits"));
    loyalty_arg_text(&tools->commands, "MINID");
    loyalty_arg_text(&tools->commands, "~");
    loyalty_arg(&tools->commands, visits->list[visits->n - 1].id);
}

/* One optimistic transaction over the members named. */
static loyalty_store_result_t
write_visits(loyalty_apply_tools_t *tools, loyalty_apply_site_t *site,
             const visits_t *visits)
{
    size_t first[VISITS_MAX], n = 0, i;
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    loyalty_arena_t arena;
    loyalty_member_writer_t writer = {.scope = &site->scope, .arena = &arena,
                                      .commands = &tools->commands};
    const redisReply *list;
    loyalty_str_t bytes = loyalty_str_null;

    for (i = 0; i < visits->n; i++) {
        if (visits->list[i].at != LOYALTY_UNKNOWN
            && !named_before(visits, i)) {
            first[n++] = i;
        }
    }

    loyalty_arena_init(&arena, 0);
    loyalty_replies_init(&replies);
    loyalty_commands_reset(&tools->commands);
    command_members(tools, site, visits, first, n, "WATCH");
    command_members(tools, site, visits, first, n, "MGET");
    result = loyalty_store_call(tools->store, site->scope.site,
                                &tools->commands, &replies);

    list = result == LOYALTY_STORE_OK ? replies.list[1] : NULL;

    if (list != NULL
        && (!loyalty_reply_array(list, n + 1)
            || !loyalty_reply_str(list->element[0], &bytes))) {
        result = LOYALTY_STORE_MALFORMED;
    } else if (list != NULL
               && !loyalty_str_eq(bytes, loyalty_lease_token(&site->lease))) {
        result = LOYALTY_STORE_FENCED;
    }

    loyalty_commands_reset(&tools->commands);
    loyalty_command(&tools->commands, "MULTI", 1);

    for (i = 0; i < n && result == LOYALTY_STORE_OK; i++) {
        if (!loyalty_reply_str(list->element[i + 1], &bytes)) {
            result = LOYALTY_STORE_MALFORMED;
        } else if (bytes.data != NULL) {
            write_member(&writer, visits, first[i], bytes);
        }
    }

    if (result == LOYALTY_STORE_OK) {
        command_ack(tools, site, visits);
        loyalty_command(&tools->commands, "EXEC", 1);
        result = loyalty_store_exec(tools->store, site->scope.site,
                                    &tools->commands);
    }

    loyalty_replies_free(&replies);
    loyalty_arena_free(&arena);

    return result;
}

loyalty_store_result_t
loyalty_apply_visits(loyalty_apply_tools_t *tools, loyalty_apply_site_t *site)
{
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    visits_t visits;

    if (loyalty_link_now() < site->visits_at) {
        return LOYALTY_STORE_OK;
    }

    loyalty_replies_init(&replies);
    result = read_visits(tools, site, &replies, &visits);

    if (result == LOYALTY_STORE_OK) {
        if (visits.n == 0) {
            site->visits_at = loyalty_link_now()
                              + (site->visits_pending ? 0 : VISITS_EVERY);
            site->visits_pending = false;
        } else {
            do {
                result = write_visits(tools, site, &visits);
            } while (result == LOYALTY_STORE_CONFLICT);
        }
    }

    loyalty_replies_free(&replies);

    return result;
}
