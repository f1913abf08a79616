/*
 * A message by an adapter: a request rendered from templates, an answer looked
 * at by tests.
 *
 * What is rendered is never code: texts in JSON are encoded by jansson, in a
 * form and in the URL by percent signs; a header with a control character is
 * refused.
 */

#include "loyalty_delivery_private.h"

#include <stdio.h>
#include <stdlib.h>

#include "loyalty_capture.h"

typedef struct {
    loyalty_delivery_t *delivery;
    const loyalty_adapter_t *adapter;
    json_t *values;
    size_t leaf; /* the next of the body's strings */
} request_t;

static bool
render(request_t *request, const loyalty_template_t *template, json_t *values,
       loyalty_str_t *text)
{
    return loyalty_template_render(template, values, NULL, NULL,
                                   LOYALTY_DELIVERY_TEXT_MAX,
                                   &request->delivery->arena, text)
           == LOYALTY_OK;
}

/* Terminated. */
static const char *
render_text(request_t *request, const loyalty_template_t *template,
            json_t *values)
{
    loyalty_str_t text;
    char *copy;

    if (!render(request, template, values, &text)) {
        return NULL;
    }

    copy = loyalty_alloc(&request->delivery->arena, text.len + 1);
    if (copy != NULL && text.len != 0) {
        memcpy(copy, text.data, text.len);
    }

    return copy;
}

/* The body with its strings rendered; of an object a member that becomes
 * empty is left out.  The walk of compile_leaves(). */
static json_t *
render_body(request_t *request, json_t *shape)
{
    json_t *made, *value, *child;
    loyalty_str_t text;
    const char *key;
    size_t i;

    if (json_is_string(shape)) {
        return render(request, request->adapter->leaves[request->leaf++],
                      request->values, &text)
                   ? json_stringn(text.len == 0 ? "" : text.data, text.len)
                   : NULL;
    }

    if (json_is_object(shape)) {
        made = json_object();
        json_object_foreach(shape, key, value) {
            child = render_body(request, value);
            if (child == NULL) {
                json_decref(made);
                return NULL;
            }
            if (json_is_string(child) && json_string_length(child) == 0) {
                json_decref(child);
            } else {
                json_object_set_new(made, key, child);
            }
        }
        return made;
    }

    if (json_is_array(shape)) {
        made = json_array();
        json_array_foreach(shape, i, value) {
            child = render_body(request, value);
            if (child == NULL) {
                json_decref(made);
                return NULL;
            }
            json_array_append_new(made, child);
        }
        return made;
    }

    return json_incref(shape);
}

static void
put_percent(char **p, loyalty_str_t text)
{
    static const char hex[] = "0123456789ABCDEF";
    unsigned char c;
    size_t i;

    for (i = 0; i < text.len; i++) {
        c = (unsigned char)text.data[i];
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
            || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_'
            || c == '~') {
            *(*p)++ = (char)c;
        } else {
            *(*p)++ = '%';
            *(*p)++ = hex[c >> 4];
            *(*p)++ = hex[c & 15];
        }
    }
}

static loyalty_str_t
str_of(json_t *string)
{
    return (loyalty_str_t){json_string_value(string),
                           json_string_length(string)};
}

static bool
encode_form(request_t *request, json_t *body, loyalty_str_t *bytes)
{
    size_t size = 1;
    const char *key;
    json_t *value;
    char *data, *p;

    json_object_foreach(body, key, value) {
        size += strlen(key) * 3 + json_string_length(value) * 3 + 2;
    }

    data = p = loyalty_alloc(&request->delivery->arena, size);
    if (data == NULL) {
        return false;
    }

    json_object_foreach(body, key, value) {
        if (p != data) {
            *p++ = '&';
        }
        put_percent(&p, loyalty_str_from(key));
        *p++ = '=';
        put_percent(&p, str_of(value));
    }

    *bytes = (loyalty_str_t){data, (size_t)(p - data)};
    return true;
}

static bool
make_body(request_t *request, loyalty_str_t *bytes)
{
    json_t *body;
    char *text;
    bool ok;

    if (request->adapter->body == NULL) {
        *bytes = loyalty_str_null;
        return true;
    }

    body = render_body(request, request->adapter->body);
    if (body == NULL) {
        return false;
    }

    if (request->adapter->form) {
        ok = encode_form(request, body, bytes);
    } else {
        text = json_dumps(body, JSON_COMPACT);
        ok = text != NULL
             && loyalty_str_copy(&request->delivery->arena,
                                 loyalty_str_from(text), bytes)
                    == LOYALTY_OK;
        free(text);
    }

    json_decref(body);
    return ok;
}

/* A copy of the values whose texts may stand in a URL. */
static json_t *
escaped(json_t *values)
{
    json_t *made, *value;
    const char *key;
    char *text, *p;

    if (json_is_string(values)) {
        p = text = malloc(json_string_length(values) * 3 + 1);
        if (text == NULL) {
            return NULL;
        }
        put_percent(&p, str_of(values));
        made = json_stringn(text, (size_t)(p - text));
        free(text);
        return made;
    }

    made = json_object();
    json_object_foreach(values, key, value) {
        json_object_set_new(made, key, escaped(value));
    }
    return made;
}

static loyalty_status_t
add_headers(request_t *request)
{
    const loyalty_adapter_t *adapter = request->adapter;
    loyalty_transfer_t *transfer = request->delivery->transfer;
    loyalty_status_t rc = LOYALTY_OK;
    loyalty_str_t text;
    size_t i;

    if (adapter->body != NULL) {
        rc = loyalty_transfer_header(
            transfer, "Content-Type",
            adapter->form ? loyalty_str("application/x-www-form-urlencoded")
                          : loyalty_str("application/json"));
    }

    for (i = 0; i < adapter->nheaders && rc == LOYALTY_OK; i++) {
        if (!render(request, adapter->headers[i].value, request->values,
                    &text)) {
            return LOYALTY_ERROR_LIMIT;
        }
        if (text.len != 0) {
            rc = loyalty_transfer_header(transfer, adapter->headers[i].name,
                                         text);
        }
    }

    return rc == LOYALTY_OK
               ? loyalty_transfer_header(transfer, "Expect", loyalty_str_null)
               : rc;
}

/* Is the value one of those?  Numbers and texts may stand for each other. */
static bool
is_one_of(json_t *value, json_t *values)
{
    char number[32];
    json_t *one;
    size_t i;

    if (values == NULL) {
        return value != NULL && !json_is_null(value);
    }

    json_array_foreach(values, i, one) {
        if (json_equal(value, one)) {
            return true;
        }
        if (json_is_string(value) && json_is_integer(one)) {
            snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT,
                     json_integer_value(one));
            if (strcmp(number, json_string_value(value)) == 0) {
                return true;
            }
        }
    }

    return false;
}

static bool
holds(const loyalty_answer_test_t *test, long status, json_t *body)
{
    bool listed = test->status == NULL;
    json_t *one;
    size_t i;

    json_array_foreach(test->status, i, one) {
        listed = listed || json_integer_value(one) == status;
    }

    return listed
           && (test->pointer.len == 0
               || is_one_of(loyalty_pointer_get(body, test->pointer),
                            test->values));
}

static bool
any_holds(const loyalty_answer_test_t *tests, size_t n, long status,
          json_t *body)
{
    size_t i;

    for (i = 0; i < n; i++) {
        if (holds(&tests[i], status, body)) {
            return true;
        }
    }

    return false;
}

/* 401 and 403: a secret, which is the operator's to mend. */
static bool
is_passing_status(long status)
{
    return status >= 500 || status < 400 || status == 401 || status == 403
           || status == 408 || status == 425 || status == 429;
}

static void
judge_answer(const loyalty_adapter_t *adapter, long status, json_t *body,
             loyalty_str_t bytes, loyalty_delivery_answer_t *answer)
{
    const loyalty_answer_test_t *success = &adapter->success;
    bool tested = success->status != NULL || success->pointer.len != 0;
    json_t *reference;
    size_t len = bytes.len < 200 ? bytes.len : 200;

    if ((success->status != NULL || (status >= 200 && status < 300))
        && (!tested || holds(success, status, body))) {
        answer->result = LOYALTY_DELIVERY_SENT;
        reference = loyalty_pointer_get(body, adapter->reference);
        if (adapter->reference.len != 0 && json_is_string(reference)) {
            snprintf(answer->reference, sizeof(answer->reference), "%s",
                     json_string_value(reference));
        }
        return;
    }

    loyalty_delivery_fail(
        answer,
        any_holds(adapter->passing, adapter->npassing, status, body)
            ? LOYALTY_DELIVERY_PASSING
        : any_holds(adapter->permanent, adapter->npermanent, status, body)
            ? LOYALTY_DELIVERY_PERMANENT
        : is_passing_status(status) ? LOYALTY_DELIVERY_PASSING
                                    : LOYALTY_DELIVERY_PERMANENT,
        "status %ld: %.*s", status, (int)len, len == 0 ? "" : bytes.data);
}

static void
judge(const loyalty_adapter_t *adapter,
      const loyalty_transfer_result_t *result,
      loyalty_delivery_answer_t *answer)
{
    json_t *body;

    if (result->stopped) {
        loyalty_delivery_fail(answer, LOYALTY_DELIVERY_STOPPED,
                              "stopped while sending");
        return;
    }

    if (result->code != CURLE_OK) {
        loyalty_delivery_fail(answer, LOYALTY_DELIVERY_PASSING, "%s",
                              result->error);
        return;
    }

    body = json_loadb(result->body.data, result->body.len, JSON_DECODE_ANY,
                      NULL);
    judge_answer(adapter, result->status, body, result->body, answer);
    answer->retry_after = result->retry_after;
    json_decref(body);
}

/* Everything but the body; false: something cannot be rendered. */
static loyalty_status_t
set_options(request_t *request, const loyalty_way_t *way, CURL *easy,
            json_t *safe)
{
    const loyalty_adapter_t *adapter = request->adapter;
    const char *url = render_text(request, adapter->url, safe);
    const char *user = NULL, *password = NULL;

    if (adapter->user != NULL) {
        user = render_text(request, adapter->user, request->values);
        password = render_text(request, adapter->password, request->values);
        if (user == NULL || password == NULL) {
            return LOYALTY_ERROR_LIMIT;
        }
        curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        curl_easy_setopt(easy, CURLOPT_USERNAME, user);
        curl_easy_setopt(easy, CURLOPT_PASSWORD, password);
    }

    if (url == NULL) {
        return LOYALTY_ERROR_LIMIT;
    }

    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (way->ca_file != NULL) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, way->ca_file);
    }

    return add_headers(request);
}

void
loyalty_delivery_http(loyalty_delivery_t *delivery, const loyalty_way_t *way,
                      const loyalty_envelope_t *envelope,
                      loyalty_delivery_answer_t *answer)
{
    request_t request = {.delivery = delivery, .adapter = &way->adapter};
    CURL *easy = loyalty_transfer_begin(delivery->transfer);
    loyalty_transfer_result_t result;
    loyalty_status_t rc = LOYALTY_ERROR_MEMORY;
    loyalty_str_t body;
    json_t *safe = NULL;

    request.values = loyalty_delivery_values(way, envelope);
    if (request.values != NULL) {
        json_object_set(request.values, "values", way->values);
        json_object_set_new(request.values, "secret",
                            json_string(way->secret != NULL ? way->secret
                                                            : ""));
        safe = escaped(request.values);
    }

    if (safe != NULL) {
        rc = set_options(&request, way, easy, safe);
    }

    if (rc == LOYALTY_OK && !make_body(&request, &body)) {
        rc = LOYALTY_ERROR_LIMIT;
    }

    if (rc == LOYALTY_OK) {
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, way->adapter.method);
        if (way->adapter.body != NULL) {
            curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                             (curl_off_t)body.len);
            curl_easy_setopt(easy, CURLOPT_POSTFIELDS,
                             body.len == 0 ? "" : body.data);
        }
        loyalty_transfer_run(delivery->transfer, way->timeout, &result);
        judge(&way->adapter, &result, answer);
    } else {
        loyalty_delivery_fail(answer,
                              rc == LOYALTY_ERROR_MEMORY
                                  ? LOYALTY_DELIVERY_PASSING
                                  : LOYALTY_DELIVERY_PERMANENT,
                              "the request cannot be made (%s)",
                              loyalty_status_name(rc));
    }

    json_decref(safe);
    json_decref(request.values);
}
