/*
 * Members by id, page after page, and by what a person knows of them: e-mail,
 * phone, the beginning of a name, or any of these (?q=).
 */

#include "loyalty_api_call.h"
#include "loyalty_member_index.h"

/* What is asked for; the texts a ZRANGEBYLEX goes between. */
typedef struct {
    const char *kind;
    loyalty_str_t start, end;
} range_t;

static loyalty_store_result_t
show_members(loyalty_api_call_t *call, const loyalty_program_t *program,
             const loyalty_str_t *ids, size_t n, size_t limit,
             loyalty_str_t next)
{
    loyalty_store_result_t result = LOYALTY_STORE_OK;
    loyalty_replies_t values;
    loyalty_member_t member;
    loyalty_instant_t at;
    loyalty_str_t bytes;
    json_t *items;
    size_t i;

    if (!loyalty_api_at(call, &at)) {
        return LOYALTY_STORE_OK;
    }

    items = json_array();
    loyalty_replies_init(&values);
    if (n != 0) {
        result = loyalty_api_values(call, "m", ids, n, &values);
    }

    for (i = 0; i < n && result == LOYALTY_STORE_OK; i++) {
        if (!loyalty_reply_str(values.list[0]->element[i], &bytes)
            || (bytes.data != NULL
                && loyalty_member_decode(bytes, call->arena, &member)
                       != LOYALTY_OK)) {
            result = LOYALTY_STORE_MALFORMED;
        } else if (bytes.data != NULL
                   && member.deleted_at == LOYALTY_UNKNOWN
                   && json_array_size(items) < limit) {
            json_array_append_new(items, loyalty_member_to_json(&member,
                                                                program, at));
        }
    }

    if (result == LOYALTY_STORE_OK) {
        loyalty_api_list(call, "members", json_incref(items), next);
    }

    json_decref(items);
    loyalty_replies_free(&values);

    return result;
}

/* mark, text, last: an end of a range. */
static bool
make_end(loyalty_api_call_t *call, char mark, loyalty_str_t text, int last,
         loyalty_str_t *end)
{
    char *p = loyalty_alloc(call->arena, text.len + 2);

    if (p == NULL) {
        return false;
    }

    p[0] = mark;
    if (text.len != 0) {
        memcpy(p + 1, text.data, text.len);
    }
    p[text.len + 1] = (char)last;
    *end = (loyalty_str_t){p, text.len + 1 + (last >= 0)};
    return true;
}

static loyalty_store_result_t
read_range(loyalty_api_call_t *call, const range_t *range, size_t limit,
           loyalty_replies_t *replies)
{
    loyalty_commands_t *commands = &call->session->commands;
    loyalty_store_result_t result;

    loyalty_commands_reset(commands);
    loyalty_api_command(call, "ZRANGEBYLEX", range->kind, loyalty_str_null, 5);
    loyalty_arg(commands, range->start);
    loyalty_arg(commands, range->end);
    loyalty_arg_text(commands, "LIMIT");
    loyalty_arg_int(commands, 0);
    loyalty_arg_int(commands, (int64_t)limit + 1);
    result = loyalty_api_read(call, replies);

    return result == LOYALTY_STORE_OK
                   && replies->list[0]->type != REDIS_REPLY_ARRAY
               ? LOYALTY_STORE_MALFORMED : result;
}

static loyalty_store_result_t
list_by_id(loyalty_api_call_t *call, const loyalty_program_t *program,
           size_t limit)
{
    loyalty_str_t cursor = loyalty_api_query(call, "cursor");
    loyalty_str_t *ids = NULL, next = loyalty_str_null;
    range_t range = {"mi", loyalty_str("-"), loyalty_str("+")};
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    size_t n = 0;

    if (cursor.len != 0 && !make_end(call, '(', cursor, -1, &range.start)) {
        return LOYALTY_STORE_MEMORY;
    }

    loyalty_replies_init(&replies);
    result = read_range(call, &range, limit, &replies);
    if (result == LOYALTY_STORE_OK) {
        result = loyalty_api_ids(call, replies.list[0], limit, &ids, &n,
                                 &next);
    }
    if (result == LOYALTY_STORE_OK) {
        result = show_members(call, program, ids, n, limit, next);
    }
    loyalty_replies_free(&replies);

    return result;
}

static int
hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                                                 : -1;
}

/* Elements hold a zero byte; as cursors they are written in hex. */
static bool
cursor_element(loyalty_api_call_t *call, loyalty_str_t cursor,
               loyalty_str_t *element)
{
    char *to = loyalty_alloc(call->arena, cursor.len / 2 + 1);
    size_t i;

    if (to == NULL || cursor.len % 2 != 0) {
        return false;
    }

    for (i = 0; i < cursor.len; i += 2) {
        if (hex_digit(cursor.data[i]) < 0
            || hex_digit(cursor.data[i + 1]) < 0) {
            return false;
        }
        to[i / 2] = (char)(hex_digit(cursor.data[i]) << 4
                           | hex_digit(cursor.data[i + 1]));
    }

    *element = (loyalty_str_t){to, cursor.len / 2};
    return true;
}

static loyalty_str_t
element_cursor(loyalty_api_call_t *call, loyalty_str_t element)
{
    static const char digits[] = "0123456789abcdef";
    char *to = loyalty_alloc(call->arena, element.len * 2 + 1);
    size_t i;

    if (to == NULL) {
        return loyalty_str_null;
    }

    for (i = 0; i < element.len; i++) {
        to[2 * i] = digits[(unsigned char)element.data[i] >> 4];
        to[2 * i + 1] = digits[(unsigned char)element.data[i] & 15];
    }

    return (loyalty_str_t){to, element.len * 2};
}

/* The members whose text is `text`, or in the index of names begins so.
 * OK with *n 0 also where nothing is left of the text. */
static loyalty_store_result_t
find(loyalty_api_call_t *call, loyalty_index_t index, loyalty_str_t text,
     loyalty_str_t after, size_t limit, loyalty_str_t **ids, size_t *n,
     loyalty_str_t *next, loyalty_replies_t *replies)
{
    bool prefix = index == LOYALTY_INDEX_NAME;
    range_t range = {.kind = loyalty_index_kind(index)};
    loyalty_store_result_t result;
    loyalty_str_t folded;
    size_t i;

    *n = 0;
    *next = loyalty_str_null;

    if (loyalty_index_fold(index, text, call->arena, &folded) != LOYALTY_OK) {
        return LOYALTY_STORE_MEMORY;
    }

    if (folded.len == 0) {
        return LOYALTY_STORE_OK;
    }

    if (!make_end(call, '[', folded, prefix ? -1 : 0, &range.start)
        || !make_end(call, '(', folded, prefix ? 0xff : 1, &range.end)
        || (after.len != 0 && !make_end(call, '(', after, -1, &range.start))) {
        return LOYALTY_STORE_MEMORY;
    }

    result = read_range(call, &range, limit, replies);
    if (result == LOYALTY_STORE_OK) {
        result = loyalty_api_ids(call, replies->list[0], limit, ids, n, next);
    }

    if (result == LOYALTY_STORE_OK && next->len != 0) {
        *next = element_cursor(call, *next);
    }

    for (i = 0; result == LOYALTY_STORE_OK && i < *n; i++) {
        if (!loyalty_index_id((*ids)[i], &(*ids)[i])) {
            result = LOYALTY_STORE_MALFORMED;
        }
    }

    return result;
}

static loyalty_store_result_t
list_by_index(loyalty_api_call_t *call, const loyalty_program_t *program,
              loyalty_index_t index, loyalty_str_t text, size_t limit)
{
    loyalty_str_t cursor = loyalty_api_query(call, "cursor");
    loyalty_str_t after = loyalty_str_null, *ids = NULL, next;
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    size_t n;

    if (cursor.len != 0 && !cursor_element(call, cursor, &after)) {
        loyalty_api_error(call, 422, "invalid_cursor",
                          "the cursor is not one of this list");
        return LOYALTY_STORE_OK;
    }

    loyalty_replies_init(&replies);
    result = find(call, index, text, after, limit, &ids, &n, &next, &replies);
    if (result == LOYALTY_STORE_OK) {
        result = show_members(call, program, ids, n, limit, next);
    }
    loyalty_replies_free(&replies);

    return result;
}

static void
add_id(loyalty_str_t *ids, size_t *n, size_t max, loyalty_str_t id)
{
    size_t i;

    for (i = 0; i < *n; i++) {
        if (loyalty_str_eq(ids[i], id)) {
            return;
        }
    }

    if (*n < max) {
        ids[(*n)++] = id;
    }
}

/* The id first, which need not exist, then e-mail and phone, then names. */
static loyalty_store_result_t
list_by_any(loyalty_api_call_t *call, const loyalty_program_t *program,
            loyalty_str_t text, size_t limit)
{
    loyalty_replies_t replies[LOYALTY_INDEXES];
    loyalty_store_result_t result = LOYALTY_STORE_OK;
    loyalty_str_t *ids, *found = NULL, next;
    size_t i, n = 0, nfound = 0;
    int index;

    ids = loyalty_alloc(call->arena, (limit + 1) * sizeof(*ids));
    if (ids == NULL) {
        return LOYALTY_STORE_MEMORY;
    }

    if (loyalty_member_id_check(text) == LOYALTY_OK) {
        ids[n++] = text;
    }

    for (index = 0; index < LOYALTY_INDEXES; index++) {
        loyalty_replies_init(&replies[index]);
        if (result == LOYALTY_STORE_OK) {
            result = find(call, (loyalty_index_t)index, text, loyalty_str_null,
                          limit, &found, &nfound, &next, &replies[index]);
        }
        for (i = 0; result == LOYALTY_STORE_OK && i < nfound; i++) {
            add_id(ids, &n, limit + 1, found[i]);
        }
    }

    if (result == LOYALTY_STORE_OK) {
        result = show_members(call, program, ids, n, limit,
                              loyalty_str_null);
    }

    for (index = 0; index < LOYALTY_INDEXES; index++) {
        loyalty_replies_free(&replies[index]);
    }

    return result;
}

loyalty_store_result_t
loyalty_api_list_members(loyalty_api_call_t *call)
{
    static const char *const names[LOYALTY_INDEXES + 1] = {"email", "phone",
                                                           "name", "q"};
    loyalty_str_t text = loyalty_str_null, given;
    const loyalty_program_t *program;
    loyalty_store_result_t result;
    int index, by = -1, n = 0;
    size_t limit;

    if (!loyalty_api_limit(call, &limit)) {
        return LOYALTY_STORE_OK;
    }

    for (index = 0; index <= LOYALTY_INDEXES; index++) {
        given = loyalty_api_query(call, names[index]);
        if (given.data != NULL) {
            text = given;
            by = index;
            n++;
        }
    }

    if (n > 1 || text.len > LOYALTY_MEMBER_TEXT_MAX) {
        loyalty_api_error(call, 422, "invalid_search",
                          "search by one of email, phone, name and q, of at "
                          "most %d bytes", LOYALTY_MEMBER_TEXT_MAX);
        return LOYALTY_STORE_OK;
    }

    result = loyalty_api_program(call, &program);
    if (result != LOYALTY_STORE_OK || program == NULL) {
        return result;
    }

    if (by < 0) {
        return list_by_id(call, program, limit);
    }

    return by == LOYALTY_INDEXES
               ? list_by_any(call, program, text, limit)
               : list_by_index(call, program, (loyalty_index_t)by, text,
                               limit);
}
