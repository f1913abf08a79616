/*
 * What members have in the wallet, against the lists of the site:
 *
 *   an entry that a checkout keeps has its hold, in force
 *   a coupon's own code is in the index, and says whose it is
 *   a group that a member is in has the member
 *   the uses and the money of an offer are at least those of the members'
 *   orders, of what was bought, and of live holds
 *
 * At least: orders of guests count as well, and stand in no list.  Uses are
 * copied before the first member is read; an offer whose uses are not the same
 * at the end has been used meanwhile, and is left to another check.
 */

#include <inttypes.h>

#include "loyalty_code.h"
#include "loyalty_job_check.h"
#include "loyalty_wallet_store.h"

#define USES "offers" /* of the result */
#define PAGE_HOLDS 256

static bool
is_kept(const loyalty_entitlement_t *entry)
{
    return entry->held_by.len != 0 && entry->held_until != LOYALTY_NEVER
           && entry->held_until != LOYALTY_UNKNOWN;
}

bool
loyalty_check_wallet_reads(loyalty_job_t *job, const loyalty_member_t *member,
                           loyalty_commands_t *commands)
{
    const loyalty_entitlement_t *entry;
    char folded[LOYALTY_CODE_MAX];
    size_t i, len;

    for (i = 0; i < member->nentitlements; i++) {
        entry = &member->entitlements[i];
        if (is_kept(entry)) {
            loyalty_command(commands, "ZSCORE", 3);
            loyalty_arg_key(commands, &job->scope, "x", loyalty_str("holds"));
            loyalty_arg(commands, entry->held_by);
        }
        len = loyalty_code_fold(entry->code, folded);
        if (len != 0) {
            loyalty_command(commands, "HGET", 3);
            loyalty_arg_key(commands, &job->scope, "cd", loyalty_str_null);
            loyalty_arg(commands, (loyalty_str_t){folded, len});
        }
    }

    for (i = 0; i < member->ngroups; i++) {
        loyalty_command(commands, "ZSCORE", 3);
        loyalty_arg_key(commands, &job->scope, "gm", member->groups[i]);
        loyalty_arg(commands, member->id);
        loyalty_command(commands, "ZSCORE", 3);
        loyalty_arg_key(commands, &job->scope, "x", loyalty_str("groups"));
        loyalty_arg(commands, member->groups[i]);
    }

    return !commands->failed;
}

static void
check_code(loyalty_job_t *job, const loyalty_member_t *member,
           const loyalty_entitlement_t *entry, const redisReply *reply)
{
    loyalty_code_t code = {.code = entry->code};
    loyalty_str_t value;

    if (!loyalty_reply_str(reply, &value) || value.data == NULL) {
        loyalty_check_found(job, member->id, "code",
                            "the code of entitlement %.*s is not in the index",
                            (int)entry->id.len, entry->id.data);

    } else if (!loyalty_code_take(value, &code)
               || !loyalty_str_eq(code.member, member->id)
               || !loyalty_str_eq(code.entitlement, entry->id)
               || !loyalty_str_eq(code.offer, entry->offer)) {
        loyalty_check_found(job, member->id, "code",
                            "the index says that the code of entitlement "
                            "%.*s is another's",
                            (int)entry->id.len, entry->id.data);
    }
}

void
loyalty_check_wallet(loyalty_job_t *job, const loyalty_member_t *member,
                     redisReply *const *replies)
{
    const loyalty_entitlement_t *entry;
    char folded[LOYALTY_CODE_MAX];
    size_t i;

    for (i = 0; i < member->nentitlements; i++) {
        entry = &member->entitlements[i];
        if (is_kept(entry) && loyalty_reply_is_nil(*replies++)) {
            loyalty_check_found(job, member->id, "hold",
                                "entitlement %.*s is kept by hold %.*s, "
                                "which is not in force",
                                (int)entry->id.len, entry->id.data,
                                (int)entry->held_by.len, entry->held_by.data);
        }
        if (loyalty_code_fold(entry->code, folded) != 0) {
            check_code(job, member, entry, *replies++);
        }
        if (entry->bought) {
            loyalty_check_use(job, entry->offer, 1, 0);
        }
    }

    for (i = 0; i < member->ngroups; i++, replies += 2) {
        if (loyalty_reply_is_nil(replies[0])
            && !loyalty_reply_is_nil(replies[1])) {
            loyalty_check_found(job, member->id, "group",
                                "is in group %.*s, which does not have it",
                                (int)member->groups[i].len,
                                member->groups[i].data);
        }
    }
}

static json_t *
part_of(json_t *json, const char *name)
{
    json_t *part = json_object_get(json, name);

    if (part == NULL) {
        part = json_object();
        json_object_set_new(json, name, part);
    }

    return part;
}

static void
add(json_t *json, const char *name, int64_t n)
{
    json_object_set_new(json, name,
                        json_integer(n + json_integer_value(
                                             json_object_get(json, name))));
}

void
loyalty_check_use(loyalty_job_t *job, loyalty_str_t offer, int64_t uses,
                  int64_t spent)
{
    char name[LOYALTY_ID_MAX + 1];
    json_t *counted;

    if (offer.len == 0 || offer.len > LOYALTY_ID_MAX
        || (uses == 0 && spent == 0)) {
        return;
    }

    memcpy(name, offer.data, offer.len);
    name[offer.len] = '\0';
    counted = part_of(part_of(loyalty_job_result(job), USES), name);
    add(counted, "uses", uses);
    add(counted, "spent", spent);
}

void
loyalty_check_uses_begin(loyalty_job_t *job, loyalty_commands_t *writes)
{
    loyalty_command(writes, "COPY", 4);
    loyalty_arg_key(writes, &job->scope, "u", loyalty_str_null);
    loyalty_arg_key(writes, &job->scope, "jm", job->id);
    loyalty_arg_text(writes, "REPLACE");
}

static void
count_hold(loyalty_job_t *job, const redisReply *reply)
{
    loyalty_str_t bytes;
    loyalty_hold_t hold;
    size_t i;

    if (!loyalty_reply_str(reply, &bytes) || bytes.data == NULL
        || loyalty_hold_decode(bytes, &job->change->arena, &hold) != LOYALTY_OK
        || hold.state != LOYALTY_HOLD_HELD) {
        return; /* said where holds are checked */
    }

    for (i = 0; i < hold.nuses; i++) {
        loyalty_check_use(job, hold.uses[i].offer, hold.uses[i].site,
                          hold.uses[i].amount);
    }
}

/* Every hold in force, a page at a time: checkouts of a quarter of an hour. */
static loyalty_store_result_t
count_holds(loyalty_job_t *job)
{
    loyalty_store_result_t result = LOYALTY_STORE_OK;
    loyalty_commands_t commands;
    loyalty_replies_t ids, holds;
    size_t i, n = PAGE_HOLDS;
    int64_t start;

    loyalty_commands_init(&commands);
    loyalty_replies_init(&ids);
    loyalty_replies_init(&holds);

    for (start = 0; result == LOYALTY_STORE_OK && n == PAGE_HOLDS;
         start += PAGE_HOLDS) {
        loyalty_commands_reset(&commands);
        loyalty_command(&commands, "ZRANGE", 4);
        loyalty_arg_key(&commands, &job->scope, "x", loyalty_str("holds"));
        loyalty_arg_int(&commands, start);
        loyalty_arg_int(&commands, start + PAGE_HOLDS - 1);
        loyalty_replies_free(&ids);
        loyalty_replies_init(&ids);
        result = loyalty_store_call(job->store, job->scope.site, &commands,
                                    &ids);
        n = result == LOYALTY_STORE_OK ? ids.list[0]->elements : 0;
        if (n == 0) {
            break;
        }

        loyalty_commands_reset(&commands);
        for (i = 0; i < n; i++) {
            loyalty_str_t id = loyalty_str_null;

            loyalty_reply_str(ids.list[0]->element[i], &id);
            loyalty_command(&commands, "GET", 2);
            loyalty_arg_key(&commands, &job->scope, "hd", id);
        }
        loyalty_replies_free(&holds);
        loyalty_replies_init(&holds);
        result = loyalty_store_call(job->store, job->scope.site, &commands,
                                    &holds);
        for (i = 0; result == LOYALTY_STORE_OK && i < n; i++) {
            count_hold(job, holds.list[i]);
        }
    }

    loyalty_replies_free(&holds);
    loyalty_replies_free(&ids);
    loyalty_commands_free(&commands);

    return result;
}

static bool
use_of(const redisReply *reply, const char *kind, const char *offer,
       int64_t *value)
{
    char field[2 + LOYALTY_ID_MAX + 1];
    loyalty_str_t name, text;
    size_t i;

    snprintf(field, sizeof(field), "%s%s", kind, offer);
    *value = 0;

    for (i = 0; reply->type == REDIS_REPLY_ARRAY && i + 1 < reply->elements;
         i += 2) {
        if (loyalty_reply_str(reply->element[i], &name)
            && loyalty_str_eq(name, loyalty_str_from(field))) {
            return loyalty_reply_str(reply->element[i + 1], &text)
                   && loyalty_str_int(text, value);
        }
    }

    return true;
}

static void
compare(loyalty_job_t *job, const redisReply *before, const redisReply *now,
        const char *kind, const char *offer, int64_t counted,
        const char *what)
{
    int64_t was, is;

    if (!use_of(before, kind, offer, &was) || !use_of(now, kind, offer, &is)) {
        loyalty_check_found(job, loyalty_str_from(offer), "uses",
                            "the %s of the offer cannot be read", what);

    } else if (was == is && is < counted) {
        loyalty_check_found(job, loyalty_str_from(offer), "uses",
                            "%s of the offer: %" PRId64 ", but orders, "
                            "wallets and holds have %" PRId64,
                            what, is, counted);
    }
}

/* No counter of any offer is below 0. */
static void
check_negative(loyalty_job_t *job, const redisReply *now)
{
    loyalty_str_t name, text;
    int64_t value;
    size_t i;

    for (i = 0; now->type == REDIS_REPLY_ARRAY && i + 1 < now->elements;
         i += 2) {
        if (!loyalty_reply_str(now->element[i], &name) || name.len < 3
            || !loyalty_reply_str(now->element[i + 1], &text)
            || !loyalty_str_int(text, &value) || value < 0) {
            name = name.len < 3 ? name
                                : (loyalty_str_t){name.data + 2, name.len - 2};
            loyalty_check_found(job, name, "uses",
                                "uses or money of the offer are below 0");
        }
    }
}

loyalty_store_result_t
loyalty_check_uses_end(loyalty_job_t *job)
{
    loyalty_store_result_t result = count_holds(job);
    loyalty_commands_t commands;
    loyalty_replies_t replies;
    json_t *counted;
    const char *offer;

    if (result != LOYALTY_STORE_OK) {
        return result;
    }

    loyalty_commands_init(&commands);
    loyalty_replies_init(&replies);
    loyalty_command(&commands, "HGETALL", 2);
    loyalty_arg_key(&commands, &job->scope, "jm", job->id);
    loyalty_command(&commands, "HGETALL", 2);
    loyalty_arg_key(&commands, &job->scope, "u", loyalty_str_null);
    result = loyalty_store_call(job->store, job->scope.site, &commands,
                                &replies);

    if (result == LOYALTY_STORE_OK) {
        check_negative(job, replies.list[1]);
        json_object_foreach(part_of(loyalty_job_result(job), USES), offer,
                            counted) {
            compare(job, replies.list[0], replies.list[1], "u:", offer,
                    json_integer_value(json_object_get(counted, "uses")),
                    "uses");
            compare(job, replies.list[0], replies.list[1], "s:", offer,
                    json_integer_value(json_object_get(counted, "spent")),
                    "money given");
        }
    }

    loyalty_replies_free(&replies);
    loyalty_commands_free(&commands);

    return result;
}
