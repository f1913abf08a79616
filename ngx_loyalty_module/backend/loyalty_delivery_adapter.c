/*
 * Reading an adapter's file: its request, whose texts are templates, and the
 * tests of its answer.
 */

#include "loyalty_delivery_file.h"

#include "loyalty_capture.h"

/* Secrets and addresses do not go over a network in the clear. */
static bool
is_safe_url(const char *url)
{
    static const char *const local[] = {"http://127.0.0.1", "http://localhost",
                                        "http://[::1]"};
    size_t i, len;

    for (i = 0; i < sizeof(local) / sizeof(local[0]); i++) {
        len = strlen(local[i]);
        if (loyalty_conf_begins(url, local[i])
            && (url[len] == ':' || url[len] == '/' || url[len] == '\0')) {
            return true;
        }
    }

    return loyalty_conf_begins(url, "https://") && url[8] != '\0'
           && url[8] != '{' && url[8] != '/';
}

static bool
read_test(loyalty_conf_reader_t *reader, json_t *json,
          loyalty_answer_test_t *test)
{
    static const char *const known[] = {"status", "pointer", "values", NULL};
    const char *pointer;
    json_t *value;
    size_t i;

    if (!loyalty_conf_only(reader, json, known)
        || !loyalty_conf_text(reader, json, "pointer", &pointer)) {
        return false;
    }

    test->status = json_object_get(json, "status");
    test->pointer = loyalty_str_from(pointer);
    test->values = json_object_get(json, "values");

    if (pointer != NULL && loyalty_pointer_check(test->pointer) != LOYALTY_OK) {
        return loyalty_conf_fail(reader, "\"%.64s\" is no JSON Pointer",
                                 pointer);
    }

    if ((test->status != NULL && !json_is_array(test->status))
        || (test->values != NULL && !json_is_array(test->values))
        || (test->values != NULL && pointer == NULL)
        || (test->status == NULL && pointer == NULL)) {
        return loyalty_conf_fail(
            reader, "a test has \"status\" or \"pointer\", and with "
                    "the pointer \"values\"; both are arrays");
    }

    json_array_foreach(test->status, i, value) {
        if (!json_is_integer(value) || json_integer_value(value) < 100
            || json_integer_value(value) > 599) {
            return loyalty_conf_fail(
                reader, "\"status\" holds whole numbers from 100 to "
                        "599");
        }
    }

    return true;
}

static bool
read_tests(loyalty_conf_reader_t *reader, json_t *adapter, const char *key,
           loyalty_answer_test_t **tests, size_t *n)
{
    json_t *list = json_object_get(adapter, key), *one;
    size_t i;

    if (list == NULL) {
        return true;
    }

    *n = json_array_size(list);
    if (!json_is_array(list) || *n > LOYALTY_DELIVERY_LIST_MAX) {
        return loyalty_conf_fail(reader,
                                 "\"%s\" is to be an array of at most %d tests",
                                 key, LOYALTY_DELIVERY_LIST_MAX);
    }

    *tests = loyalty_alloc(&reader->conf->arena, (*n + 1) * sizeof(**tests));
    if (*tests == NULL) {
        return loyalty_conf_no_memory(reader);
    }

    json_array_foreach(list, i, one) {
        if (!read_test(reader, one, &(*tests)[i])) {
            return false;
        }
    }

    return true;
}

static bool
read_headers(loyalty_conf_reader_t *reader, json_t *object,
             loyalty_adapter_t *adapter)
{
    json_t *headers = json_object_get(object, "headers"), *value;
    const char *name, *c;
    loyalty_adapter_text_t *header;

    if (headers == NULL) {
        return true;
    }

    if (!json_is_object(headers)
        || json_object_size(headers) > LOYALTY_DELIVERY_LIST_MAX) {
        return loyalty_conf_fail(reader,
                                 "\"headers\" is to be an object of at most %d "
                                 "texts",
                                 LOYALTY_DELIVERY_LIST_MAX);
    }

    adapter->headers =
        loyalty_alloc(&reader->conf->arena, (json_object_size(headers) + 1)
                                                * sizeof(*adapter->headers));
    if (adapter->headers == NULL) {
        return loyalty_conf_no_memory(reader);
    }

    json_object_foreach(headers, name, value) {
        for (c = name; (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z')
                       || (*c >= '0' && *c <= '9') || *c == '-';
             c++) {
            continue;
        }
        if (c == name || *c != '\0') {
            return loyalty_conf_fail(reader, "\"%.64s\" is no name of a header",
                                     name);
        }
        header = &adapter->headers[adapter->nheaders++];
        header->name = name;
        if (!loyalty_conf_template(reader, headers, name, &header->value)) {
            return false;
        }
    }

    return true;
}

/* Compiles the body's strings, depth first; the same walk renders them. */
static bool
compile_leaves(loyalty_conf_reader_t *reader, json_t *value,
               loyalty_adapter_t *adapter, size_t *capacity)
{
    loyalty_template_t **leaves;
    const char *key;
    json_t *child;
    size_t i;

    if (json_is_object(value)) {
        json_object_foreach(value, key, child) {
            if (!compile_leaves(reader, child, adapter, capacity)) {
                return false;
            }
        }
        return true;
    }

    if (json_is_array(value)) {
        json_array_foreach(value, i, child) {
            if (!compile_leaves(reader, child, adapter, capacity)) {
                return false;
            }
        }
        return true;
    }

    if (!json_is_string(value)) {
        return true;
    }

    if (adapter->nleaves == *capacity) {
        leaves = loyalty_alloc(&reader->conf->arena,
                               (*capacity * 2 + 16) * sizeof(*leaves));
        if (leaves == NULL) {
            return loyalty_conf_no_memory(reader);
        }
        if (adapter->nleaves != 0) {
            memcpy(leaves, adapter->leaves, adapter->nleaves * sizeof(*leaves));
        }
        adapter->leaves = leaves;
        *capacity = *capacity * 2 + 16;
    }

    return loyalty_conf_compile(reader, json_string_value(value),
                                &adapter->leaves[adapter->nleaves++]);
}

static bool
read_body(loyalty_conf_reader_t *reader, json_t *object,
          loyalty_adapter_t *adapter)
{
    json_t *json = json_object_get(object, "json");
    json_t *form = json_object_get(object, "form"), *value;
    size_t capacity = 0;
    const char *key;

    if (json != NULL && form != NULL) {
        return loyalty_conf_fail(reader, "\"json\" or \"form\", not both");
    }

    json_object_foreach(form, key, value) {
        if (!json_is_string(value)) {
            return loyalty_conf_fail(reader,
                                     "\"form\" is to be an object of texts");
        }
    }

    adapter->form = form != NULL;
    adapter->body = form != NULL ? form : json;
    if (adapter->body != NULL && !json_is_object(adapter->body)) {
        return loyalty_conf_fail(reader, "\"%s\" is to be a JSON object",
                                 form != NULL ? "form" : "json");
    }

    return adapter->body == NULL
           || compile_leaves(reader, adapter->body, adapter, &capacity);
}

static bool
read_auth(loyalty_conf_reader_t *reader, json_t *object,
          loyalty_adapter_t *adapter)
{
    static const char *const known[] = {"user", "password", NULL};
    json_t *auth = json_object_get(object, "auth");

    if (auth == NULL) {
        return true;
    }

    if (!loyalty_conf_only(reader, auth, known)
        || !loyalty_conf_template(reader, auth, "user", &adapter->user)
        || !loyalty_conf_template(reader, auth, "password",
                                  &adapter->password)) {
        return false;
    }

    return (adapter->user != NULL && adapter->password != NULL)
           || loyalty_conf_fail(reader,
                                "\"auth\" needs \"user\" and \"password\"");
}

bool
loyalty_delivery_adapter_read(loyalty_conf_reader_t *reader, loyalty_way_t *way,
                              json_t **adapter_json)
{
    static const char *const known[] = {
        "description", "url",  "method",  "headers", "auth",
        "json",        "form", "success", "passing", "permanent",
        "reference",   "rate", NULL};
    loyalty_adapter_t *adapter = &way->adapter;
    const char *url, *reference;
    json_t *json = loyalty_conf_load(reader), *success;

    if (json == NULL || !loyalty_conf_only(reader, json, known)
        || !loyalty_conf_text(reader, json, "url", &url)
        || !loyalty_conf_text(reader, json, "method", &adapter->method)
        || !loyalty_conf_text(reader, json, "reference", &reference)
        || !read_headers(reader, json, adapter)
        || !read_auth(reader, json, adapter)
        || !read_body(reader, json, adapter)
        || !read_tests(reader, json, "passing", &adapter->passing,
                       &adapter->npassing)
        || !read_tests(reader, json, "permanent", &adapter->permanent,
                       &adapter->npermanent)) {
        return false;
    }

    if (url == NULL || !is_safe_url(url)) {
        return loyalty_conf_fail(reader,
                                 "\"url\" is to begin with https:// and a host "
                                 "(http:// for this machine alone)");
    }

    adapter->reference = loyalty_str_from(reference);
    if (reference != NULL
        && loyalty_pointer_check(adapter->reference) != LOYALTY_OK) {
        return loyalty_conf_fail(reader,
                                 "\"reference\" is to be a JSON Pointer");
    }

    if (adapter->method == NULL) {
        adapter->method = "POST";
    }

    success = json_object_get(json, "success");
    if (success != NULL && !read_test(reader, success, &adapter->success)) {
        return false;
    }

    *adapter_json = json;
    way->kind = LOYALTY_WAY_HTTP;
    return loyalty_conf_compile(reader, url, &adapter->url);
}
