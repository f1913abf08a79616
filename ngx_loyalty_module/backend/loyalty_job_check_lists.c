/*
 * The lists of a site, element by element, each against what it stands for:
 *
 *   emails, phones, names   a member who is called so
 *   holds                   a hold in force, its entries kept for it
 *   groups                  the frozen count; members who are in the group
 *   codes                   in the list of their offer; their member's
 *   messages, jobs          pending exactly where they are to be done
 *   deliveries              the same
 *
 * A page is a ZSCAN or HSCAN, so what comes and goes meanwhile does no harm,
 * and memory stays bounded; what is compared is WATCHed.  The cursor:
 *
 *   \001 PART : which of its lists : SCAN's cursor : from which of the page
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "loyalty_code.h"
#include "loyalty_job_check.h"
#include "loyalty_member_index.h"
#include "loyalty_wallet_store.h"

#define PAGE 192
#define PAGE_MAX 256 /* a small list comes whole: its rest is another step */
#define CURSOR_SIZE 96

/* A queue, and the log of what was ever in it. */
typedef struct {
    const char *code, *kind, *field;
    const char *due_kind, *due[5]; /* DUE_KIND:{site}:DUE, any of them */
    const char *list;       /* LIST:{site}:pending, or NULL */
    const char *waiting[2]; /* states of what is due */
} queue_t;

typedef struct page_s page_t;

typedef struct {
    const char *kind, *rest; /* NULL rest: of page->owner */
    const char *owners;      /* x:{site}:OWNERS, each with a list */
    bool hash;
    int index;
    const queue_t *queue;
    loyalty_store_result_t (*check)(loyalty_job_t *job, page_t *page);
    void (*judge)(loyalty_job_t *job, page_t *page,
                  loyalty_member_change_t *change);
} part_t;

struct page_s {
    const part_t *part;
    size_t number;
    uint64_t owner_rank, scan, from;
    loyalty_str_t owner;
    loyalty_str_t ids[PAGE_MAX], values[PAGE_MAX];
    size_t n;
    loyalty_str_t members[PAGE_MAX]; /* each once */
    size_t nmembers;
    char next[CURSOR_SIZE];
    bool last;
};

static const queue_t messages = {
    "message", "mg", "s", "ob", {"email", "sms", "messenger", "line", NULL},
    "ml", {"pending", NULL}};
static const queue_t deliveries = {
    "delivery", "wd", "s", "x", {"deliveries", NULL}, "wl", {"pending", NULL}};
static const queue_t jobs = {
    "job", "j", "state", "x", {"jobs", NULL}, NULL, {"queued", "running"}};

static const char *const index_names[LOYALTY_INDEXES] = {"emails", "phones",
                                                         "names"};

static void
add_member(page_t *page, loyalty_str_t id)
{
    size_t i;

    for (i = 0; i < page->nmembers; i++) {
        if (loyalty_str_eq(page->members[i], id)) {
            return;
        }
    }

    page->members[page->nmembers++] = id;
}

static const loyalty_member_slot_t *
slot_of(const loyalty_member_change_t *change, loyalty_str_t id)
{
    size_t i;

    for (i = 0; i < change->n; i++) {
        if (loyalty_str_eq(change->list[i].id, id)) {
            return &change->list[i];
        }
    }

    return NULL;
}

static void
read_key(loyalty_job_t *job, loyalty_commands_t *reads, const char *command,
         const char *kind, loyalty_str_t rest, loyalty_str_t element)
{
    loyalty_command(reads, command, element.len != 0 ? 3 : 2);
    loyalty_arg_key(reads, &job->scope, kind, rest);
    if (element.len != 0) {
        loyalty_arg(reads, element);
    }
}

static loyalty_store_result_t
decide(loyalty_member_change_t *change, void *data)
{
    loyalty_job_t *job = data;
    page_t *page = job->data;

    if (page->part->judge != NULL) {
        page->part->judge(job, page, change);
    }
    job->next.cursor = loyalty_str_from(page->next);

    return LOYALTY_STORE_OK;
}

static loyalty_store_result_t
commit(loyalty_job_t *job, page_t *page, loyalty_commands_t *reads)
{
    loyalty_store_result_t result;

    job->data = page;
    result = loyalty_job_change(job, page->members, page->nmembers, reads,
                                decide);
    if (reads != NULL) {
        loyalty_commands_free(reads);
    }

    return result;
}

/* Indexes */

static loyalty_store_result_t
check_index(loyalty_job_t *job, page_t *page)
{
    loyalty_str_t id;
    size_t i;

    for (i = 0; i < page->n; i++) {
        if (loyalty_index_id(page->ids[i], &id)) {
            add_member(page, id);
        }
    }

    return commit(job, page, NULL);
}

static loyalty_str_t
indexed(const loyalty_member_t *member, int index)
{
    return index == LOYALTY_INDEX_EMAIL   ? member->email
           : index == LOYALTY_INDEX_PHONE ? member->phone
                                          : member->name;
}

static bool
is_called(const loyalty_member_slot_t *slot, int index, loyalty_str_t element,
          loyalty_arena_t *arena)
{
    loyalty_str_t folded, wanted;

    return loyalty_index_fold((loyalty_index_t)index,
                              indexed(&slot->before, index), arena, &folded)
               == LOYALTY_OK
           && folded.len != 0
           && loyalty_index_element(folded, slot->id, arena, &wanted)
                  == LOYALTY_OK
           && loyalty_str_eq(wanted, element);
}

static void
judge_index(loyalty_job_t *job, page_t *page, loyalty_member_change_t *change)
{
    const char *name = index_names[page->part->index];
    const loyalty_member_slot_t *slot;
    loyalty_str_t id;
    size_t i;

    for (i = 0; i < page->n; i++) {
        if (!loyalty_index_id(page->ids[i], &id)) {
            loyalty_check_found(job, loyalty_str_from(name), "index",
                                "has an element without a member");
            continue;
        }

        slot = slot_of(change, id);
        if (slot != NULL && !slot->corrupt
            && (slot->fresh
                || !is_called(slot, page->part->index, page->ids[i],
                              &change->arena))) {
            loyalty_check_found(job, id, "index",
                                "is among the %s by what it does not have",
                                name);
        }
    }
}

/* Holds */

static loyalty_store_result_t
check_holds(loyalty_job_t *job, page_t *page)
{
    loyalty_store_result_t result;
    loyalty_commands_t reads;
    loyalty_replies_t replies;
    loyalty_hold_t hold;
    loyalty_str_t bytes;
    size_t i;

    loyalty_commands_init(&reads);
    loyalty_replies_init(&replies);
    for (i = 0; i < page->n; i++) {
        read_key(job, &reads, "GET", "hd", page->ids[i], loyalty_str_null);
    }
    result = page->n == 0 ? LOYALTY_STORE_OK
                          : loyalty_store_call(job->store, job->scope.site,
                                               &reads, &replies);
    for (i = 0; result == LOYALTY_STORE_OK && i < page->n; i++) {
        if (loyalty_reply_str(replies.list[i], &bytes) && bytes.data != NULL
            && loyalty_hold_decode(bytes, job->arena, &hold) == LOYALTY_OK
            && hold.member.len != 0) {
            add_member(page, hold.member);
        }
    }

    loyalty_commands_reset(&reads);
    for (i = 0; i < page->n; i++) {
        read_key(job, &reads, "WATCH", "hd", page->ids[i], loyalty_str_null);
    }
    for (i = 0; i < page->n; i++) {
        read_key(job, &reads, "GET", "hd", page->ids[i], loyalty_str_null);
        read_key(job, &reads, "ZSCORE", "x", loyalty_str("holds"),
                 page->ids[i]);
    }
    if (result == LOYALTY_STORE_OK) {
        result = commit(job, page, &reads);
    } else {
        loyalty_commands_free(&reads);
    }
    loyalty_replies_free(&replies);

    return result;
}

static void
judge_hold(loyalty_job_t *job, const loyalty_hold_t *hold,
           const loyalty_member_slot_t *slot)
{
    const loyalty_hold_use_t *use;
    const loyalty_entitlement_t *entry;
    size_t i, k;

    for (i = 0; slot != NULL && !slot->corrupt && i < hold->nuses; i++) {
        use = &hold->uses[i];
        if (use->entitlement.len == 0) {
            continue;
        }

        entry = NULL;
        for (k = 0; k < slot->before.nentitlements; k++) {
            if (loyalty_str_eq(slot->before.entitlements[k].id,
                               use->entitlement)) {
                entry = &slot->before.entitlements[k];
            }
        }

        if (entry == NULL
            || (entry->held_by.len != 0 && !use->ready
                && !loyalty_str_eq(entry->held_by, hold->id))) {
            loyalty_check_found(job, hold->id, "hold",
                                "keeps entitlement %.*s, which member %.*s "
                                "does not have for it",
                                (int)use->entitlement.len,
                                use->entitlement.data,
                                (int)hold->member.len, hold->member.data);
        }
    }
}

static void
judge_holds(loyalty_job_t *job, page_t *page, loyalty_member_change_t *change)
{
    const redisReply *reply;
    loyalty_hold_t hold;
    loyalty_str_t bytes;
    size_t i;

    for (i = 0; i < page->n; i++) {
        if (loyalty_reply_is_nil(loyalty_job_reply(job,
                                                   page->n + i * 2 + 1))) {
            continue; /* over since */
        }

        reply = loyalty_job_reply(job, page->n + i * 2);
        if (!loyalty_reply_str(reply, &bytes) || bytes.data == NULL
            || loyalty_hold_decode(bytes, &change->arena, &hold) != LOYALTY_OK
            || hold.state != LOYALTY_HOLD_HELD) {
            loyalty_check_found(job, page->ids[i], "hold",
                                "is listed as in force, and is not");
        } else {
            judge_hold(job, &hold, slot_of(change, hold.member));
        }
    }
}

/* Groups */

static loyalty_store_result_t
check_group(loyalty_job_t *job, page_t *page)
{
    loyalty_commands_t reads;
    size_t i;

    loyalty_commands_init(&reads);
    read_key(job, &reads, "HGET", "g", page->owner, loyalty_str("count"));
    read_key(job, &reads, "ZCARD", "gm", page->owner, loyalty_str_null);
    for (i = 0; i < page->n; i++) {
        add_member(page, page->ids[i]);
        read_key(job, &reads, "ZSCORE", "gm", page->owner, page->ids[i]);
    }

    return commit(job, page, &reads);
}

static void
judge_group(loyalty_job_t *job, page_t *page, loyalty_member_change_t *change)
{
    const loyalty_member_slot_t *slot;
    const loyalty_member_t *member;
    int64_t count, held;
    loyalty_str_t text;
    size_t i;

    if (page->scan == 0 && page->from == 0
        && loyalty_reply_str(loyalty_job_reply(job, 0), &text)
        && loyalty_str_int(text, &count)
        && loyalty_reply_int(loyalty_job_reply(job, 1), &held)
        && count != held) {
        loyalty_check_found(job, page->owner, "group",
                            "has %" PRId64 " members, its count is %" PRId64,
                            held, count);
    }

    for (i = 0; i < page->n; i++) {
        slot = slot_of(change, page->ids[i]);
        if (slot == NULL || slot->corrupt
            || loyalty_reply_is_nil(loyalty_job_reply(job, 2 + i))) {
            continue;
        }

        member = &slot->before;
        if (slot->fresh
            || (member->deleted_at == LOYALTY_UNKNOWN
                && !loyalty_str_listed(member->groups, member->ngroups,
                                       page->owner))) {
            loyalty_check_found(job, slot->id, "group",
                                "is not in group %.*s, which has it",
                                (int)page->owner.len, page->owner.data);
        }
    }
}

/* Codes */

static loyalty_store_result_t
check_codes(loyalty_job_t *job, page_t *page)
{
    loyalty_commands_t reads;
    loyalty_code_t code;
    size_t i;

    loyalty_commands_init(&reads);
    for (i = 0; i < page->n; i++) {
        if (!loyalty_code_take(page->values[i], &code)) {
            code.offer = loyalty_str("-");
        } else if (code.member.len != 0) {
            add_member(page, code.member);
        }
        read_key(job, &reads, "ZSCORE", "cl", code.offer, page->ids[i]);
        read_key(job, &reads, "HGET", "cd", loyalty_str_null, page->ids[i]);
    }

    return commit(job, page, &reads);
}

static bool
is_code_of(const loyalty_member_slot_t *slot, const loyalty_code_t *code,
           loyalty_str_t folded)
{
    const loyalty_entitlement_t *entry;
    size_t i;

    for (i = 0; i < slot->before.nentitlements; i++) {
        entry = &slot->before.entitlements[i];
        if (loyalty_str_eq(entry->id, code->entitlement)) {
            return loyalty_code_same(entry->code, folded);
        }
    }

    return !slot->fresh; /* an old entry may have made room */
}

static void
judge_codes(loyalty_job_t *job, page_t *page, loyalty_member_change_t *change)
{
    const loyalty_member_slot_t *slot;
    loyalty_code_t code;
    loyalty_str_t value;
    size_t i;

    for (i = 0; i < page->n; i++) {
        if (!loyalty_reply_str(loyalty_job_reply(job, i * 2 + 1), &value)
            || value.data == NULL) {
            continue; /* gone since */
        }

        if (!loyalty_code_take(value, &code)) {
            loyalty_check_found(job, page->ids[i], "code",
                                "what the index says of it cannot be read");
            continue;
        }

        if (loyalty_reply_is_nil(loyalty_job_reply(job, i * 2))) {
            loyalty_check_found(job, page->ids[i], "code",
                                "is not in the list of offer %.*s",
                                (int)code.offer.len, code.offer.data);
        }

        slot = slot_of(change, code.member);
        if (slot != NULL && !slot->corrupt
            && !is_code_of(slot, &code, page->ids[i])) {
            loyalty_check_found(job, page->ids[i], "code",
                                "is not the code of entitlement %.*s of "
                                "member %.*s",
                                (int)code.entitlement.len,
                                code.entitlement.data,
                                (int)code.member.len, code.member.data);
        }
    }
}

/* Queues: of each element its state, its place in every list of what is due,
 * and in the list of what is pending, where there is one. */

static size_t
count_due(const queue_t *queue)
{
    size_t n;

    for (n = 0; queue->due[n] != NULL; n++) {
    }

    return n;
}

static bool
is_in(loyalty_job_t *job, size_t read)
{
    return !loyalty_reply_is_nil(loyalty_job_reply(job, read));
}

static loyalty_store_result_t
check_queue(loyalty_job_t *job, page_t *page)
{
    const queue_t *queue = page->part->queue;
    loyalty_commands_t reads;
    size_t i, k;

    loyalty_commands_init(&reads);
    for (i = 0; i < page->n; i++) {
        read_key(job, &reads, "WATCH", queue->kind, page->ids[i],
                 loyalty_str_null);
    }
    for (i = 0; i < page->n; i++) {
        read_key(job, &reads, "HGET", queue->kind, page->ids[i],
                 loyalty_str_from(queue->field));
        for (k = 0; queue->due[k] != NULL; k++) {
            read_key(job, &reads, "ZSCORE", queue->due_kind,
                     loyalty_str_from(queue->due[k]), page->ids[i]);
        }
        if (queue->list != NULL) {
            read_key(job, &reads, "ZSCORE", queue->list,
                     loyalty_str("pending"), page->ids[i]);
        }
    }

    return commit(job, page, &reads);
}

static void
judge_queue(loyalty_job_t *job, page_t *page, loyalty_member_change_t *change)
{
    const queue_t *queue = page->part->queue;
    bool waits, due, listed;
    loyalty_str_t state;
    size_t i, k, ndue = count_due(queue), first = page->n;

    (void)change;

    for (i = 0; i < page->n; i++, first += 1 + ndue + (queue->list != NULL)) {
        due = false;
        for (k = 0; k < ndue; k++) {
            due |= is_in(job, first + 1 + k);
        }
        listed = queue->list != NULL ? is_in(job, first + 1 + ndue) : due;

        if (!loyalty_reply_str(loyalty_job_reply(job, first), &state)
            || state.data == NULL) {
            if (due || listed || page->part->queue->list == NULL) {
                loyalty_check_found(job, page->ids[i], queue->code,
                                    "is listed, and not there");
            }
            continue;
        }

        waits = loyalty_str_eq(state, loyalty_str_from(queue->waiting[0]))
                || (queue->waiting[1] != NULL
                    && loyalty_str_eq(state,
                                      loyalty_str_from(queue->waiting[1])));
        if (waits != due) {
            loyalty_check_found(job, page->ids[i], queue->code,
                                "is %.*s, and %s among those to be done",
                                (int)state.len, state.data,
                                due ? "is" : "is not");
        } else if (waits != listed) {
            loyalty_check_found(job, page->ids[i], queue->code,
                                "is %.*s, and %s listed as pending",
                                (int)state.len, state.data,
                                listed ? "is" : "is not");
        }
    }
}

/* Uses, when all is counted. */

static loyalty_store_result_t
decide_uses(loyalty_member_change_t *change, void *data)
{
    loyalty_job_t *job = data;

    (void)change;
    job->next.finished = true;

    return loyalty_check_uses_end(job);
}

static loyalty_store_result_t
check_uses(loyalty_job_t *job, page_t *page)
{
    (void)page;

    return loyalty_job_change(job, NULL, 0, NULL, decide_uses);
}

static const part_t parts[] = {
    {"ie", "", NULL, false, LOYALTY_INDEX_EMAIL, NULL, check_index,
     judge_index},
    {"ip", "", NULL, false, LOYALTY_INDEX_PHONE, NULL, check_index,
     judge_index},
    {"in", "", NULL, false, LOYALTY_INDEX_NAME, NULL, check_index,
     judge_index},
    {"x", "holds", NULL, false, 0, NULL, check_holds, judge_holds},
    {"gm", NULL, "groups", false, 0, NULL, check_group, judge_group},
    {"cd", "", NULL, true, 0, NULL, check_codes, judge_codes},
    {"ml", "", NULL, false, 0, &messages, check_queue, judge_queue},
    {"ob", "email", NULL, false, 0, &messages, check_queue, judge_queue},
    {"ob", "sms", NULL, false, 0, &messages, check_queue, judge_queue},
    {"ob", "messenger", NULL, false, 0, &messages, check_queue, judge_queue},
    {"ob", "line", NULL, false, 0, &messages, check_queue, judge_queue},
    {"ml", "pending", NULL, false, 0, &messages, check_queue, judge_queue},
    {"x", "joblist", NULL, false, 0, &jobs, check_queue, judge_queue},
    {"x", "jobs", NULL, false, 0, &jobs, check_queue, judge_queue},
    {"x", "deliveries", NULL, false, 0, &deliveries, check_queue,
     judge_queue},
    {"wl", "pending", NULL, false, 0, &deliveries, check_queue, judge_queue},
    {"u", "", NULL, false, 0, NULL, check_uses, NULL},
};

#define NPARTS (sizeof(parts) / sizeof(parts[0]))

static bool
read_cursor(loyalty_str_t cursor, page_t *page)
{
    uint64_t *numbers[] = {&page->owner_rank, &page->scan, &page->from};
    const char *p = cursor.data + 1;
    char *end = NULL;
    size_t i;

    page->number = cursor.len > 1 ? strtoul(p, &end, 10) : 0;
    for (i = 0; cursor.len > 1 && i < 3; i++) {
        p = end + (*end == ':');
        *numbers[i] = strtoull(p, &end, 10);
    }

    return page->number < NPARTS;
}

/* Where the page ends, and what is behind it. */
static void
write_next(page_t *page, uint64_t scan, size_t found)
{
    uint64_t rank = page->owner_rank, from = 0;
    size_t number = page->number;

    if (page->from + page->n < found) {
        scan = page->scan;
        from = page->from + page->n;
    } else if (scan == 0 && page->part->owners != NULL && !page->last) {
        rank++;
    } else if (scan == 0) {
        number++;
        rank = 0;
    }

    snprintf(page->next, sizeof(page->next),
             LOYALTY_CHECK_LISTS "%zu:%" PRIu64 ":%" PRIu64 ":%" PRIu64,
             number, rank, scan, from);
}

/* Whose list it is: the one of that rank, or there are no more. */
static loyalty_store_result_t
read_owner(loyalty_job_t *job, page_t *page, loyalty_replies_t *replies)
{
    loyalty_store_result_t result;
    loyalty_commands_t commands;

    loyalty_commands_init(&commands);
    loyalty_command(&commands, "ZRANGE", 4);
    loyalty_arg_key(&commands, &job->scope, "x",
                    loyalty_str_from(page->part->owners));
    loyalty_arg_int(&commands, (int64_t)page->owner_rank);
    loyalty_arg_int(&commands, (int64_t)page->owner_rank);
    result = loyalty_store_call(job->store, job->scope.site, &commands,
                                replies);
    loyalty_commands_free(&commands);

    if (result == LOYALTY_STORE_OK) {
        page->last = !loyalty_reply_array(replies->list[0], 1)
                     || !loyalty_reply_str(replies->list[0]->element[0],
                                           &page->owner);
    }

    return result;
}

static loyalty_store_result_t
read_page(loyalty_job_t *job, page_t *page, loyalty_replies_t *replies)
{
    const redisReply *list;
    loyalty_store_result_t result;
    loyalty_commands_t commands;
    loyalty_str_t cursor;
    uint64_t scan;
    size_t i, found;

    loyalty_commands_init(&commands);
    loyalty_command(&commands, page->part->hash ? "HSCAN" : "ZSCAN", 5);
    loyalty_arg_key(&commands, &job->scope, page->part->kind,
                    page->part->rest != NULL
                        ? loyalty_str_from(page->part->rest) : page->owner);
    loyalty_arg_int(&commands, (int64_t)page->scan);
    loyalty_arg_text(&commands, "COUNT");
    loyalty_arg_int(&commands, PAGE);
    result = loyalty_store_call(job->store, job->scope.site, &commands,
                                replies);
    loyalty_commands_free(&commands);
    if (result != LOYALTY_STORE_OK) {
        return result;
    }

    if (!loyalty_reply_array(replies->list[0], 2)
        || !loyalty_reply_str(replies->list[0]->element[0], &cursor)
        || (list = replies->list[0]->element[1])->type
               != REDIS_REPLY_ARRAY) {
        return LOYALTY_STORE_MALFORMED;
    }

    scan = strtoull(cursor.data, NULL, 10);
    found = list->elements / 2;
    for (i = page->from; i < found && page->n < PAGE_MAX; i++) {
        if (!loyalty_reply_str(list->element[i * 2], &page->ids[page->n])
            || !loyalty_reply_str(list->element[i * 2 + 1],
                                  &page->values[page->n])) {
            return LOYALTY_STORE_MALFORMED;
        }
        page->n++;
    }
    write_next(page, scan, found);

    return LOYALTY_STORE_OK;
}

loyalty_store_result_t
loyalty_check_lists(loyalty_job_t *job)
{
    loyalty_store_result_t result = LOYALTY_STORE_OK;
    loyalty_replies_t owner, replies;
    page_t page = {0};

    if (!read_cursor(job->was.cursor, &page)) {
        return LOYALTY_STORE_MALFORMED;
    }

    page.part = &parts[page.number];
    loyalty_replies_init(&owner);
    loyalty_replies_init(&replies);

    if (page.part->owners != NULL) {
        result = read_owner(job, &page, &owner);
    }

    if (result == LOYALTY_STORE_OK && page.last) {
        write_next(&page, 0, 0);
        page.part = &(part_t){0};
        result = commit(job, &page, NULL);

    } else if (result == LOYALTY_STORE_OK && page.part->judge == NULL) {
        result = page.part->check(job, &page);

    } else if (result == LOYALTY_STORE_OK) {
        result = read_page(job, &page, &replies);
        if (result == LOYALTY_STORE_OK) {
            result = page.part->check(job, &page);
        }
    }

    loyalty_replies_free(&replies);
    loyalty_replies_free(&owner);

    return result;
}
