/*
 * The lists of a program as resources: statuses, designs, offers, rules,
 * templates, categories.  Every change is a new program; what an object may
 * be is core/'s to say.
 *
 *   GET  {list}            all, or ?limit= and ?cursor=
 *   POST {list}            one more                       409 exists
 *   GET  {list}/{key}
 *   PUT  {list}/{key}      in its place; If-None-Match: * makes a new one
 *   DELETE {list}/{key}
 *   POST {list}/{key}/copy
 *   POST {list}/order      {"ids":[]}: another order
 *
 * Most know their objects by "id"; a category's key is its pattern.
 */

#include "loyalty_api_bulk.h"
#include "loyalty_api_program.h"
#include "loyalty_offer.h"

#include <stdio.h>

typedef struct {
    const char *list; /* of the path and of the document */
    const char *one;
    const char *key;
    bool lasting; /* an object that members may hold outlives its deletion */
    void (*copied)(json_t *list, json_t *copy);
    void (*arrange)(loyalty_api_call_t *call, loyalty_api_edit_t *edit,
                    json_t *list);
} resource_t;

/* What a change works on. */
typedef struct {
    const resource_t *resource;
    loyalty_api_edit_t edit;
    json_t *list;  /* the document's own */
    size_t index;  /* of the object of the path, or the list's size */
} change_t;

typedef loyalty_store_result_t (*change_pt)(loyalty_api_call_t *call,
                                            change_t *change);

static bool
is_deleted(const json_t *object)
{
    return json_is_true(json_object_get(object, "deleted"));
}

/* A threshold that no other status has: two equal ones are refused. */
static void
raise_threshold(json_t *list, json_t *copy)
{
    json_t *threshold = json_object_get(copy, "threshold"), *status;
    json_int_t value = json_integer_value(threshold);
    size_t i = 0;

    if (!json_is_integer(threshold)) {
        return;
    }

    while (i < json_array_size(list)) {
        status = json_array_get(list, i);
        if (json_integer_value(json_object_get(status, "threshold"))
            == value) {
            value++;
            i = 0;
        } else {
            i++;
        }
    }

    json_object_set_new(copy, "threshold", json_integer(value));
}

/* Nobody is to see the copy of an offer before it is ready, nor can two
 * offers have one code. */
static void
take_back(json_t *list, json_t *copy)
{
    (void)list;
    json_object_set_new(copy, "state", json_string("draft"));
    json_object_del(copy, "code");
}

/* Nor is the copy of a rule to send anything. */
static void
disable(json_t *list, json_t *copy)
{
    (void)list;
    json_object_set_new(copy, "enabled", json_false());
}

/* Statuses stand in the order of their thresholds; where they go by segment
 * their order is the program's. */
static void
sort_by_threshold(loyalty_api_call_t *call, loyalty_api_edit_t *edit,
                  json_t *list)
{
    json_t *a, *b;
    size_t i, k;

    (void)call;

    if (edit->program->settings.criterion == LOYALTY_CRITERION_SEGMENT) {
        return;
    }

    for (i = 1; i < json_array_size(list); i++) {
        for (k = i; k > 0; k--) {
            a = json_array_get(list, k - 1);
            b = json_array_get(list, k);
            if (json_integer_value(json_object_get(a, "threshold"))
                <= json_integer_value(json_object_get(b, "threshold"))) {
                break;
            }
            json_incref(a);
            json_array_set(list, k - 1, b);
            json_array_set_new(list, k, a);
        }
    }
}

/* Deleted offers go when what was bought of them has ended. */
static void
forget_ended(loyalty_api_call_t *call, loyalty_api_edit_t *edit, json_t *list)
{
    const loyalty_offer_t *offer;
    const char *id;
    size_t i = 0;

    while (i < json_array_size(list)) {
        id = json_string_value(json_object_get(json_array_get(list, i), "id"));
        offer = id != NULL ? loyalty_program_offer(edit->program,
                                                   loyalty_str_from(id))
                           : NULL;
        if (offer != NULL && offer->deleted && offer->ends_at <= call->now) {
            json_array_remove(list, i);
        } else {
            i++;
        }
    }
}

static const resource_t resources[] = {
    {"statuses", "status", "id", false, raise_threshold, sort_by_threshold},
    {"designs", "design", "id", false, NULL, NULL},
    {"offers", "offer", "id", true, take_back, forget_ended},
    {"rules", "rule", "id", false, disable, NULL},
    {"templates", "template", "id", false, NULL, NULL},
    {"categories", "category", "pattern", false, NULL, NULL},
};

/* The one of the path: the routes name no other. */
static const resource_t *
resource_of(const loyalty_api_call_t *call)
{
    size_t i;

    for (i = 0; i < sizeof(resources) / sizeof(resources[0]) - 1; i++) {
        if (loyalty_str_eq(call->segments[2],
                           loyalty_str_from(resources[i].list))) {
            break;
        }
    }

    return &resources[i];
}

static loyalty_str_t
key_of(const resource_t *resource, const json_t *object)
{
    const char *key = json_string_value(json_object_get(object,
                                                        resource->key));

    return key != NULL ? loyalty_str_from(key) : loyalty_str_null;
}

/* The index of the object of that key, or the number of objects. */
static size_t
find(const resource_t *resource, const json_t *list, loyalty_str_t key)
{
    json_t *object;
    size_t i;

    json_array_foreach(list, i, object) {
        if (key.data != NULL && loyalty_str_eq(key_of(resource, object),
                                               key)) {
            return i;
        }
    }

    return json_array_size(list);
}

/* Answers the objects from the cursor on, with their defaults. */
static void
answer_page(loyalty_api_call_t *call, const resource_t *resource, json_t *all,
        size_t limit)
{
    loyalty_str_t cursor = loyalty_api_query(call, "cursor"), last;
    bool deleted = loyalty_api_flag(call, "deleted");
    json_t *page, *json, *object;
    size_t i = 0;

    if (cursor.data != NULL) {
        i = find(resource, all, cursor) + 1;
    }

    if (i > json_array_size(all)) {
        loyalty_api_error(call, 422, "invalid_cursor",
                          "the cursor is not one of this list");
        return;
    }

    page = json_array();

    for (; i < json_array_size(all) && json_array_size(page) < limit; i++) {
        object = json_array_get(all, i);
        if (deleted || !is_deleted(object)) {
            json_array_append(page, object);
        }
    }

    json = json_pack("{s:O}", resource->list, page);

    if (i < json_array_size(all)) {
        last = key_of(resource, json_array_get(all, i - 1));
        loyalty_api_set_str(json, "next_cursor", last);
    }

    json_decref(page);
    loyalty_api_json(call, 200, json);
}

loyalty_store_result_t
loyalty_api_list_resources(loyalty_api_call_t *call)
{
    const resource_t *resource = resource_of(call);
    const loyalty_program_t *program;
    loyalty_store_result_t result;
    loyalty_api_edit_t edit;
    size_t limit = SIZE_MAX;
    json_t *all;

    /* Without a limit all of them: there are never many. */
    if (loyalty_api_query(call, "limit").data != NULL
        && !loyalty_api_limit(call, &limit)) {
        return LOYALTY_STORE_OK;
    }

    result = loyalty_api_shown(call, &edit, &program);
    if (result == LOYALTY_STORE_OK && program != NULL) {
        all = loyalty_program_part(program, resource->list,
                                   LOYALTY_PROGRAM_ALL);
        answer_page(call, resource, all, limit);
        json_decref(all);
    }

    loyalty_api_edit_end(&edit);

    return result;
}

/* The list as the document has it, or its defaults; borrowed or, for those,
 * put into `*own`. */
static const json_t *
stored_list(const loyalty_program_t *program, const resource_t *resource,
            json_t **own)
{
    json_t *list = json_object_get(program->json, resource->list);

    *own = NULL;

    if (!json_is_array(list)) {
        *own = loyalty_program_part(program, resource->list,
                                    LOYALTY_PROGRAM_ALL);
        list = *own;
    }

    return list;
}

loyalty_store_result_t
loyalty_api_get_resource(loyalty_api_call_t *call)
{
    const resource_t *resource = resource_of(call);
    const loyalty_program_t *program;
    loyalty_store_result_t result;
    loyalty_api_edit_t edit;
    const json_t *list;
    json_t *own;
    size_t index;

    result = loyalty_api_shown(call, &edit, &program);

    if (result == LOYALTY_STORE_OK && program != NULL) {
        list = stored_list(program, resource, &own);
        index = find(resource, list, call->segments[3]);

        if (index < json_array_size(list)) {
            loyalty_api_json(call, 200,
                             loyalty_program_part(program, resource->list,
                                                  index));
        } else {
            loyalty_api_not_found(call, resource->one);
        }

        json_decref(own);
    }

    loyalty_api_edit_end(&edit);

    return result;
}

/* Begins an edit of a site that exists and hands it to `work`; the list in
 * the document is written out, defaults and all. */
static loyalty_store_result_t
with_list(loyalty_api_call_t *call, change_pt work)
{
    change_t change = {.resource = resource_of(call)};
    loyalty_store_result_t result;
    json_t *list;

    result = loyalty_api_edit_begin(call, &change.edit);

    if (result == LOYALTY_STORE_OK && change.edit.document == NULL) {
        loyalty_api_not_found(call, "site");
    } else if (result == LOYALTY_STORE_OK
               && loyalty_api_edit_matches(call, &change.edit)) {
        list = json_object_get(change.edit.document, change.resource->list);

        if (!json_is_array(list)) {
            list = loyalty_program_part(change.edit.program,
                                        change.resource->list,
                                        LOYALTY_PROGRAM_ALL);
            json_object_set_new(change.edit.document, change.resource->list,
                                list);
        }

        change.list = list;
        change.index = find(change.resource, list, call->segments[3]);
        result = list != NULL ? work(call, &change) : LOYALTY_STORE_MEMORY;
    }

    loyalty_api_edit_end(&change.edit);

    return result;
}

/* The same for an object that is there. */
static bool
is_there(loyalty_api_call_t *call, const change_t *change)
{
    if (change->index < json_array_size(change->list)
        && !is_deleted(json_array_get(change->list, change->index))) {
        return true;
    }

    loyalty_api_not_found(call, change->resource->one);
    return false;
}

/* Answers with the object as the checked program has it, and writes. */
static loyalty_store_result_t
write_object(loyalty_api_call_t *call, change_t *change, loyalty_str_t key,
             const char *prefix, int status)
{
    const resource_t *resource = change->resource;
    loyalty_store_result_t result;
    size_t index;
    bool ok;

    result = loyalty_api_edit_check(call, &change->edit, prefix, &ok);
    if (result != LOYALTY_STORE_OK || !ok) {
        return result;
    }

    if (resource->arrange != NULL) {
        resource->arrange(call, &change->edit, change->list);
    }

    if (key.data == NULL) {
        loyalty_api_no_content(call);
    } else {
        index = find(resource, change->list, key);
        call->audit_after = json_deep_copy(json_array_get(change->list,
                                                          index));
        loyalty_api_json(call, status,
                         loyalty_program_part(change->edit.program,
                                              resource->list, index));
    }

    return loyalty_api_edit_commit(call, &change->edit);
}

/* An object of the body may say "deleted" as it was read, not change it. */
static bool
may_be_written(loyalty_api_call_t *call)
{
    if (is_deleted(call->body)) {
        loyalty_api_problem(call, "/deleted", "is what DELETE is for");
        return false;
    }

    return true;
}

static loyalty_store_result_t
create(loyalty_api_call_t *call, change_t *change)
{
    loyalty_str_t key = key_of(change->resource, call->body);
    char prefix[64];

    if (!may_be_written(call)) {
        return LOYALTY_STORE_OK;
    }

    if (find(change->resource, change->list, key)
        < json_array_size(change->list)) {
        loyalty_api_error(call, 409, "exists", "there is %s %s \"%.*s\"",
                          change->resource->one[0] == 'o' ? "an" : "a",
                          change->resource->one, (int)key.len, key.data);
        return LOYALTY_STORE_OK;
    }

    snprintf(prefix, sizeof(prefix), "/%s/%zu", change->resource->list,
             json_array_size(change->list));
    json_array_append(change->list, call->body);

    return write_object(call, change, key, prefix, 201);
}

loyalty_store_result_t
loyalty_api_create_resource(loyalty_api_call_t *call)
{
    return with_list(call, create);
}

static loyalty_store_result_t
replace(loyalty_api_call_t *call, change_t *change)
{
    const char *name = change->resource->key;
    loyalty_str_t key = call->segments[3];
    json_t *given = json_object_get(call->body, name), *object;
    bool fresh = change->index == json_array_size(change->list)
                 && loyalty_api_wants_new(call);
    char prefix[64], pointer[64];

    if (!fresh && !is_there(call, change)) {
        return LOYALTY_STORE_OK;
    }

    if (!fresh && loyalty_api_refuses_any(call)) {
        return LOYALTY_STORE_OK;
    }

    if (given != NULL
        && (!json_is_string(given)
            || !loyalty_str_eq(key_of(change->resource, call->body), key))) {
        snprintf(pointer, sizeof(pointer), "/%s", name);
        loyalty_api_problem(call, pointer, "cannot change; copy it instead");
        return LOYALTY_STORE_OK;
    }

    if (!may_be_written(call)) {
        return LOYALTY_STORE_OK;
    }

    object = json_copy(call->body);
    json_object_set_new(object, name, json_stringn(key.data, key.len));
    snprintf(prefix, sizeof(prefix), "/%s/%zu", change->resource->list,
             change->index);

    if (fresh) {
        json_array_append_new(change->list, object);
    } else {
        call->audit_before = json_incref(json_array_get(change->list,
                                                        change->index));
        json_array_set_new(change->list, change->index, object);
    }

    return write_object(call, change, key, prefix, fresh ? 201 : 200);
}

loyalty_store_result_t
loyalty_api_put_resource(loyalty_api_call_t *call)
{
    return with_list(call, replace);
}

/* Everybody has a promotion and nobody holds it; of the other offers a member
 * may hold one. */
static bool
may_be_held(const change_t *change, const json_t *object)
{
    const char *type = json_string_value(json_object_get(object, "type"));

    return change->resource->lasting && type != NULL
           && strcmp(type, "promotion") != 0;
}

static loyalty_store_result_t
delete(loyalty_api_call_t *call, change_t *change)
{
    json_t *object;

    if (!is_there(call, change)) {
        return LOYALTY_STORE_OK;
    }

    object = json_array_get(change->list, change->index);
    call->audit_before = json_deep_copy(object);

    if (may_be_held(change, object)) {
        json_object_set_new(object, "deleted", json_true());
    } else {
        json_array_remove(change->list, change->index);
    }

    return write_object(call, change, loyalty_str_null, "", 204);
}

loyalty_store_result_t
loyalty_api_delete_resource(loyalty_api_call_t *call)
{
    return with_list(call, delete);
}

/* An id that is free: "gold-copy", "gold-copy-2", ... */
static bool
free_id(const change_t *change, loyalty_str_t from, char *id, size_t size)
{
    size_t n, most = json_array_size(change->list) + 1;
    int len;

    for (n = 1; n <= most; n++) {
        len = n == 1 ? snprintf(id, size, "%.*s-copy", (int)from.len,
                                from.data)
                     : snprintf(id, size, "%.*s-copy-%zu", (int)from.len,
                                from.data, n);
        if (len > LOYALTY_ID_MAX) {
            return false;
        }
        if (find(change->resource, change->list, loyalty_str_from(id))
            == json_array_size(change->list)) {
            return true;
        }
    }

    return false;
}

static loyalty_store_result_t
copy(loyalty_api_call_t *call, change_t *change)
{
    char id[LOYALTY_ID_MAX + 32];
    json_t *object;

    if (!is_there(call, change)) {
        return LOYALTY_STORE_OK;
    }

    if (!free_id(change, call->segments[3], id, sizeof(id))) {
        loyalty_api_error(call, 422, "invalid",
                          "no free id for a copy; create it with one");
        return LOYALTY_STORE_OK;
    }

    object = json_deep_copy(json_array_get(change->list, change->index));
    if (change->resource->copied != NULL) {
        change->resource->copied(change->list, object);
    }
    json_object_set_new(object, "id", json_string(id));
    json_array_append_new(change->list, object);

    return write_object(call, change, loyalty_str_from(id), "", 201);
}

loyalty_store_result_t
loyalty_api_copy_resource(loyalty_api_call_t *call)
{
    return with_list(call, copy);
}

static loyalty_store_result_t
set_state(loyalty_api_call_t *call, change_t *change, const char *state)
{
    json_t *object;

    if (!is_there(call, change)) {
        return LOYALTY_STORE_OK;
    }

    object = json_array_get(change->list, change->index);
    call->audit_before = json_deep_copy(object);
    json_object_set_new(object, "state", json_string(state));

    return write_object(call, change, call->segments[3], "", 200);
}

static loyalty_store_result_t
publish(loyalty_api_call_t *call, change_t *change)
{
    return set_state(call, change, "published");
}

static loyalty_store_result_t
unpublish(loyalty_api_call_t *call, change_t *change)
{
    return set_state(call, change, "draft");
}

loyalty_store_result_t
loyalty_api_publish_offer(loyalty_api_call_t *call)
{
    return with_list(call, publish);
}

loyalty_store_result_t
loyalty_api_unpublish_offer(loyalty_api_call_t *call)
{
    return with_list(call, unpublish);
}

/* The object of every key of the body, each once: another list, or NULL. */
static json_t *
in_order(const change_t *change, const json_t *keys)
{
    json_t *list = json_array(), *key, *object;
    loyalty_str_t text;
    size_t i;

    json_array_foreach(keys, i, key) {
        text = json_is_string(key) ? loyalty_str_from(json_string_value(key))
                                   : loyalty_str_null;
        object = json_array_get(change->list,
                                find(change->resource, change->list, text));
        if (object == NULL
            || find(change->resource, list, text) < json_array_size(list)) {
            json_decref(list);
            return NULL;
        }
        json_array_append(list, object);
    }

    if (json_array_size(list) != json_array_size(change->list)) {
        json_decref(list);
        return NULL;
    }

    return list;
}

/* The thresholds stay where they are on the ladder: the statuses move. */
static void
deal_thresholds(const json_t *before, json_t *after)
{
    json_t *thresholds = json_array(), *threshold;
    size_t i;

    for (i = 0; i < json_array_size(before); i++) {
        threshold = json_object_get(json_array_get(before, i), "threshold");
        json_array_append(thresholds, threshold);
    }

    for (i = 0; i < json_array_size(thresholds); i++) {
        json_object_set(json_array_get(after, i), "threshold",
                        json_array_get(thresholds, i));
    }

    json_decref(thresholds);
}

static loyalty_store_result_t
order(loyalty_api_call_t *call, change_t *change)
{
    const resource_t *resource = change->resource;
    loyalty_store_result_t result;
    json_t *list;
    bool ok;

    if (resource->arrange != NULL) {
        resource->arrange(call, &change->edit, change->list);
    }

    list = in_order(change, json_object_get(call->body, "ids"));
    if (list == NULL) {
        loyalty_api_problem(call, "/ids",
                            "must have the id of each of them, once");
        return LOYALTY_STORE_OK;
    }

    if (resource->arrange == sort_by_threshold) {
        deal_thresholds(change->list, list);
    }

    json_object_set_new(change->edit.document, resource->list, list);
    result = loyalty_api_edit_check(call, &change->edit, "", &ok);

    if (result == LOYALTY_STORE_OK && ok) {
        loyalty_api_json(
            call, 200,
            json_pack("{s:o}", resource->list,
                      loyalty_program_part(change->edit.program,
                                           resource->list,
                                           LOYALTY_PROGRAM_ALL)));
        result = loyalty_api_edit_commit(call, &change->edit);
    }

    return result;
}

loyalty_store_result_t
loyalty_api_order_resources(loyalty_api_call_t *call)
{
    return with_list(call, order);
}

/* What members/bulk takes, for this offer and, with {"all":true}, everybody. */
static json_t *
assignment(loyalty_api_call_t *call)
{
    loyalty_str_t id = call->segments[3];
    json_t *body = json_copy(call->body);

    if (json_is_true(json_object_get(body, "all"))
        && json_object_get(body, "members") == NULL
        && json_object_get(body, "filter") == NULL) {
        json_object_set_new(body, "filter",
                            json_pack("{s:s,s:s,s:b}", "field", "id", "op",
                                      "exists", "value", 1));
    }

    json_object_del(body, "all");
    json_object_set_new(body, "action", json_string("offer"));
    json_object_set_new(body, "offer", json_stringn(id.data, id.len));

    return body;
}

static loyalty_store_result_t
assign(loyalty_api_call_t *call, loyalty_str_t group)
{
    return loyalty_bulk_give(call, NULL, group);
}

loyalty_store_result_t
loyalty_api_assign_offer(loyalty_api_call_t *call)
{
    const loyalty_program_t *program;
    const loyalty_offer_t *offer;
    loyalty_store_result_t result;
    json_t *body, *group;

    result = loyalty_api_program(call, &program);
    if (result != LOYALTY_STORE_OK || program == NULL) {
        return result;
    }

    offer = loyalty_program_offer(program, call->segments[3]);

    if (offer == NULL || offer->deleted) {
        loyalty_api_not_found(call, "offer");
        return LOYALTY_STORE_OK;
    }

    if (offer->type == LOYALTY_OFFER_PROMOTION) {
        loyalty_api_error(call, 409, "promotion",
                          "everybody has a promotion: nobody is given it");
        return LOYALTY_STORE_OK;
    }

    body = assignment(call);
    json_decref(call->body);
    call->body = body;
    group = json_object_get(body, "group");

    if (group == NULL) {
        return loyalty_api_bulk(call);
    }

    if (!json_is_string(group)) {
        loyalty_api_problem(call, "/group", "must be the id of a group");
        return LOYALTY_STORE_OK;
    }

    return loyalty_bulk_by_group(call,
                                 (loyalty_str_t){json_string_value(group),
                                                 json_string_length(group)},
                                 assign);
}
