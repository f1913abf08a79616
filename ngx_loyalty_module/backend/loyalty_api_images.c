/*
 * Images of a site, for its designs, statuses and offers.
 *
 *   POST images          the bytes, as image/png, jpeg, webp or svg+xml
 *   GET  images/{hash}   for anybody, and for ever: another image has another
 *                        hash
 *
 *   loyalty:im:{site}:HASH   t  type   b  bytes   w, h  pixels   c  created
 *
 * Shoppers get them through the edge, from a location that is a proxy to this
 * route, so that the shop's own cache serves them.
 */

#include "loyalty_api_call.h"
#include "loyalty_image.h"
#include "loyalty_svg.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

typedef struct {
    const char *type;
    char *bytes; /* malloc'ed */
    size_t len;
    loyalty_image_t size; /* none of a drawing */
    char hash[65];
} picture_t;

static json_t *
shown_picture(loyalty_api_call_t *call, const picture_t *picture)
{
    json_t *json = json_pack("{s:s,s:s,s:I}", "hash", picture->hash, "type",
                             picture->type, "bytes",
                             (json_int_t)picture->len);

    if (picture->size.width != 0) {
        json_object_set_new(json, "width", json_integer(picture->size.width));
        json_object_set_new(json, "height",
                            json_integer(picture->size.height));
    }

    json_object_set_new(json, "path",
                        json_sprintf("/v1/sites/%.*s/images/%s",
                                     (int)call->scope.site.len,
                                     call->scope.site.data, picture->hash));

    return json;
}

static bool
is_svg(loyalty_str_t type)
{
    return type.len >= 13 && strncasecmp(type.data, "image/svg+xml", 13) == 0;
}

/* The body as it is to be kept; false: the error is written. */
static bool
read_picture(loyalty_api_call_t *call, picture_t *picture)
{
    loyalty_str_t body = call->request->body;
    loyalty_status_t rc;

    *picture = (picture_t){.type = "image/svg+xml"};

    if (is_svg(call->request->content_type)) {
        rc = loyalty_svg_clean(body, &picture->bytes, &picture->len);
    } else {
        rc = loyalty_image_read(body, &picture->size);
        picture->type = loyalty_image_media_type(picture->size.type);
        picture->len = body.len;
        picture->bytes = rc == LOYALTY_OK ? malloc(body.len) : NULL;
        if (picture->bytes != NULL) {
            memcpy(picture->bytes, body.data, body.len);
        }
    }

    if (rc == LOYALTY_OK && picture->bytes != NULL) {
        body = (loyalty_str_t){picture->bytes, picture->len};
        loyalty_api_sha256(&body, 1, picture->hash);
        return true;
    }

    if (rc == LOYALTY_ERROR_LIMIT) {
        loyalty_api_error(call, 422, "invalid_image",
                          "the image may be %d pixels wide and high, a "
                          "drawing have %d elements", LOYALTY_IMAGE_SIDE_MAX,
                          LOYALTY_SVG_ELEMENTS_MAX);
    } else if (rc == LOYALTY_ERROR_INVALID) {
        loyalty_api_error(call, 422, "invalid_image",
                          "the body is no whole PNG, JPEG, WebP or SVG");
    } else {
        loyalty_api_error(call, 500, "memory", "out of memory");
    }

    return false;
}

static loyalty_store_result_t
write_picture(loyalty_api_call_t *call, const picture_t *picture)
{
    loyalty_commands_t *commands = &call->session->commands;
    loyalty_str_t hash = loyalty_str_from(picture->hash);

    loyalty_commands_reset(commands);
    loyalty_command(commands, "MULTI", 1);
    loyalty_api_command(call, "HSET", "im", hash, 10);
    loyalty_arg_text(commands, "t");
    loyalty_arg_text(commands, picture->type);
    loyalty_arg_text(commands, "b");
    loyalty_arg(commands, (loyalty_str_t){picture->bytes, picture->len});
    loyalty_arg_text(commands, "w");
    loyalty_arg_int(commands, picture->size.width);
    loyalty_arg_text(commands, "h");
    loyalty_arg_int(commands, picture->size.height);
    loyalty_arg_text(commands, "c");
    loyalty_arg_int(commands, call->now);
    loyalty_api_command(call, "ZADD", "x", loyalty_str("images"), 2);
    loyalty_arg_int(commands, 0);
    loyalty_arg(commands, hash);
    call->audit_after = shown_picture(call, picture);
    loyalty_api_json(call, 201, shown_picture(call, picture));

    return loyalty_api_commit(call);
}

loyalty_store_result_t
loyalty_api_create_image(loyalty_api_call_t *call)
{
    const loyalty_program_t *program;
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    picture_t picture;
    int64_t n = 0;

    result = loyalty_api_program(call, &program);
    if (result != LOYALTY_STORE_OK || program == NULL) {
        return result;
    }

    if (!read_picture(call, &picture)) {
        free(picture.bytes);
        return LOYALTY_STORE_OK;
    }

    loyalty_commands_reset(&call->session->commands);
    loyalty_api_watch(call, "x", loyalty_str("images"));
    loyalty_api_command(call, "ZCARD", "x", loyalty_str("images"), 0);
    loyalty_replies_init(&replies);
    result = loyalty_api_read(call, &replies);

    if (result == LOYALTY_STORE_OK
        && !loyalty_reply_int(replies.list[1], &n)) {
        result = LOYALTY_STORE_MALFORMED;
    }

    loyalty_replies_free(&replies);

    if (result == LOYALTY_STORE_OK && n >= LOYALTY_IMAGES_MAX) {
        loyalty_api_error(call, 422, "too_many",
                          "a site may have %d images: delete some",
                          LOYALTY_IMAGES_MAX);
    } else if (result == LOYALTY_STORE_OK) {
        result = write_picture(call, &picture);
    }

    free(picture.bytes);

    return result;
}

static bool
is_hash(loyalty_str_t hash)
{
    size_t i;

    for (i = 0; i < hash.len; i++) {
        if (strchr("0123456789abcdef", hash.data[i]) == NULL
            || hash.data[i] == '\0') {
            return false;
        }
    }

    return hash.len == 64;
}

loyalty_store_result_t
loyalty_api_get_image(loyalty_api_call_t *call)
{
    static const char *const types[] = {"image/png", "image/jpeg",
                                        "image/webp", "image/svg+xml"};
    loyalty_api_response_t *response = call->response;
    loyalty_str_t hash = call->segments[3];
    loyalty_str_t type = loyalty_str_null, bytes = loyalty_str_null;
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    size_t i;

    if (!is_hash(hash)) {
        loyalty_api_not_found(call, "image");
        return LOYALTY_STORE_OK;
    }

    loyalty_commands_reset(&call->session->commands);
    loyalty_api_command(call, "HGET", "im", hash, 1);
    loyalty_arg_text(&call->session->commands, "t");
    loyalty_api_command(call, "HGET", "im", hash, 1);
    loyalty_arg_text(&call->session->commands, "b");
    loyalty_replies_init(&replies);
    result = loyalty_api_read(call, &replies);

    if (result == LOYALTY_STORE_OK
        && (!loyalty_reply_str(replies.list[0], &type)
            || !loyalty_reply_str(replies.list[1], &bytes))) {
        result = LOYALTY_STORE_MALFORMED;
    }

    if (result == LOYALTY_STORE_OK) {
        loyalty_api_not_found(call, "image");

        for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
            if (bytes.len != 0 && loyalty_str_eq(type,
                                                 loyalty_str_from(types[i]))) {
                loyalty_api_bytes(call, types[i], bytes);
                response->immutable = true;
                snprintf(response->etag, sizeof(response->etag), "\"%.32s\"",
                         hash.data);
            }
        }
    }

    loyalty_replies_free(&replies);

    return result;
}

loyalty_store_result_t
loyalty_api_list_images(loyalty_api_call_t *call)
{
    loyalty_str_t cursor = loyalty_api_query(call, "cursor"), hash;
    const loyalty_program_t *program;
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    char from[70] = "-";
    json_t *json, *list;
    size_t limit, i;

    result = loyalty_api_program(call, &program);
    if (result != LOYALTY_STORE_OK || program == NULL
        || !loyalty_api_limit(call, &limit)) {
        return result;
    }

    if (cursor.len != 0) {
        if (!is_hash(cursor)) {
            loyalty_api_error(call, 422, "invalid_cursor",
                              "the cursor is not one of this list");
            return LOYALTY_STORE_OK;
        }
        snprintf(from, sizeof(from), "(%.*s", (int)cursor.len, cursor.data);
    }

    loyalty_replies_init(&replies);
    result = loyalty_api_range(call, "ZRANGEBYLEX", "x",
                               loyalty_str("images"), loyalty_str_from(from),
                               "+", limit, &replies);

    if (result == LOYALTY_STORE_OK) {
        list = json_array();

        for (i = 0; i < replies.list[0]->elements && i < limit; i++) {
            if (loyalty_reply_str(replies.list[0]->element[i], &hash)) {
                json_array_append_new(
                    list, json_pack("{s:s%,s:o}", "hash", hash.data, hash.len,
                                    "path",
                                    json_sprintf("/v1/sites/%.*s/images/%.*s",
                                                 (int)call->scope.site.len,
                                                 call->scope.site.data,
                                                 (int)hash.len, hash.data)));
            }
        }

        json = json_pack("{s:o}", "images", list);
        if (replies.list[0]->elements > limit) {
            json_object_set(json, "next_cursor",
                            json_object_get(json_array_get(list, limit - 1),
                                            "hash"));
        }
        loyalty_api_json(call, 200, json);
    }

    loyalty_replies_free(&replies);

    return result;
}

/* Whether a text somewhere in the value names the hash: a link, a style
 * sheet.  Deleted offers are shown to those who hold them. */
static bool
names_image(const json_t *value, const char *hash)
{
    const json_t *part;
    const char *key;
    size_t i;

    if (json_is_string(value)) {
        return strstr(json_string_value(value), hash) != NULL;
    }

    json_array_foreach (value, i, part) {
        if (names_image(part, hash)) {
            return true;
        }
    }

    json_object_foreach ((json_t *)value, key, part) {
        if (names_image(part, hash)) {
            return true;
        }
    }

    return false;
}

/* Where the live program shows the image: "/designs/0"; false: nowhere. */
static bool
find_use(const json_t *program, loyalty_str_t hash, char *pointer, size_t size)
{
    const json_t *list, *object;
    const char *name;
    char text[65];
    size_t i;

    snprintf(text, sizeof(text), "%.*s", (int)hash.len, hash.data);

    json_object_foreach ((json_t *)program, name, list) {
        json_array_foreach (list, i, object) {
            if (names_image(object, text)) {
                snprintf(pointer, size, "/%s/%s", name,
                         json_string_value(json_object_get(object, "id")));
                return true;
            }
        }
    }

    return false;
}

loyalty_store_result_t
loyalty_api_delete_image(loyalty_api_call_t *call)
{
    loyalty_str_t hash = call->segments[3];
    const loyalty_program_t *program;
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    char use[2 * LOYALTY_ID_MAX];
    int64_t exists = 0;

    if (!is_hash(hash)) {
        loyalty_api_not_found(call, "image");
        return LOYALTY_STORE_OK;
    }

    result = loyalty_api_program(call, &program);
    if (result != LOYALTY_STORE_OK || program == NULL) {
        return result;
    }

    if (find_use(program->json, hash, use, sizeof(use))) {
        loyalty_api_error(call, 409, "in_use",
                          "%s shows the image: change that first", use);
        return LOYALTY_STORE_OK;
    }

    loyalty_commands_reset(&call->session->commands);
    loyalty_api_watch(call, "im", hash);
    loyalty_api_command(call, "EXISTS", "im", hash, 0);
    loyalty_replies_init(&replies);
    result = loyalty_api_read(call, &replies);

    if (result == LOYALTY_STORE_OK
        && !(loyalty_reply_int(replies.list[1], &exists) && exists != 0)) {
        loyalty_api_not_found(call, "image");
    } else if (result == LOYALTY_STORE_OK) {
        loyalty_commands_reset(&call->session->commands);
        loyalty_command(&call->session->commands, "MULTI", 1);
        loyalty_api_command(call, "DEL", "im", hash, 0);
        loyalty_api_command(call, "ZREM", "x", loyalty_str("images"), 1);
        loyalty_arg(&call->session->commands, hash);
        loyalty_api_no_content(call);
        result = loyalty_api_commit(call);
    }

    loyalty_replies_free(&replies);

    return result;
}
