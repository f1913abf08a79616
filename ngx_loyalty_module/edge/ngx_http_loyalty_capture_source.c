/*
 * Where the order is in the answer: a document with pointers into it, or a
 * page with a pattern.
 *
 * A pattern is matched again and again over the page.  The first match of a
 * group that belongs to the order counts; a match with a `sku` is a line.  The
 * group `document` is JSON with our own field names.
 */


#include "ngx_http_loyalty_capture.h"


static ngx_http_loyalty_capture_result_e ngx_http_loyalty_capture_document(
    const loyalty_capture_map_t *map, loyalty_str_t text,
    loyalty_arena_t *arena, loyalty_problems_t *problems,
    loyalty_document_t *document, loyalty_capture_order_t *order);
static ngx_http_loyalty_capture_result_e ngx_http_loyalty_capture_page(
    ngx_http_loyalty_capture_conf_t *conf, loyalty_str_t text,
    loyalty_arena_t *arena, loyalty_problems_t *problems,
    loyalty_document_t *document, loyalty_capture_order_t *order);
static ngx_int_t ngx_http_loyalty_capture_line(
    loyalty_capture_order_t *order, size_t *room, loyalty_arena_t *arena);
static void ngx_http_loyalty_capture_groups(
    ngx_http_loyalty_capture_conf_t *conf, loyalty_str_t text,
    pcre2_match_data *match, loyalty_capture_order_t *order,
    loyalty_capture_line_t *line);
static loyalty_str_t ngx_http_loyalty_capture_group(loyalty_str_t text,
    pcre2_match_data *match, ngx_uint_t group);


ngx_http_loyalty_capture_result_e
ngx_http_loyalty_capture_source(ngx_http_loyalty_capture_conf_t *conf,
    loyalty_str_t text, loyalty_arena_t *arena, loyalty_problems_t *problems,
    loyalty_document_t *document, loyalty_capture_order_t *order)
{
    if (conf->source == NGX_HTTP_LOYALTY_CAPTURE_REGEX) {
        return ngx_http_loyalty_capture_page(conf, text, arena, problems,
                                             document, order);
    }

    return ngx_http_loyalty_capture_document(&conf->map, text, arena, problems,
                                             document, order);
}


static ngx_http_loyalty_capture_result_e
ngx_http_loyalty_capture_document(const loyalty_capture_map_t *map,
    loyalty_str_t text, loyalty_arena_t *arena, loyalty_problems_t *problems,
    loyalty_document_t *document, loyalty_capture_order_t *order)
{
    loyalty_status_t  status;

    status = loyalty_capture_parse(text, problems, document);

    if (status == LOYALTY_OK) {
        status = loyalty_capture_read(document, map, arena, problems, order);
    }

    switch (status) {

    case LOYALTY_OK:
        return NGX_HTTP_LOYALTY_CAPTURE_OK;

    case LOYALTY_ERROR_LIMIT:
        return NGX_HTTP_LOYALTY_CAPTURE_LIMIT;

    case LOYALTY_ERROR_MEMORY:
        return NGX_HTTP_LOYALTY_CAPTURE_NO_MEMORY;

    default:
        return NGX_HTTP_LOYALTY_CAPTURE_INVALID;
    }
}


static ngx_http_loyalty_capture_result_e
ngx_http_loyalty_capture_page(ngx_http_loyalty_capture_conf_t *conf,
    loyalty_str_t text, loyalty_arena_t *arena, loyalty_problems_t *problems,
    loyalty_document_t *document, loyalty_capture_order_t *order)
{
    int                                 rc;
    size_t                              at, room, end;
    PCRE2_SIZE                         *ovector;
    loyalty_str_t                       json;
    pcre2_match_data                   *match;
    loyalty_capture_map_t               map;
    ngx_http_loyalty_capture_result_e   result;

    match = pcre2_match_data_create_from_pattern(conf->code, NULL);
    if (match == NULL) {
        return NGX_HTTP_LOYALTY_CAPTURE_NO_MEMORY;
    }

    ngx_memzero(order, sizeof(loyalty_capture_order_t));

    result = NGX_HTTP_LOYALTY_CAPTURE_NOTHING;
    room = 0;
    at = 0;

    while (at <= text.len) {

        rc = pcre2_match(conf->code, (PCRE2_SPTR) text.data, text.len, at, 0,
                         match, conf->limits);

        if (rc == PCRE2_ERROR_NOMATCH) {
            break;
        }

        if (rc < 0) {
            loyalty_problem(problems, "", "is past the limits of matching "
                            "(PCRE2 error %d)", rc);
            result = NGX_HTTP_LOYALTY_CAPTURE_LIMIT;
            break;
        }

        json = ngx_http_loyalty_capture_group(text, match, conf->document);

        if (json.data != NULL) {
            map = conf->map;
            result = ngx_http_loyalty_capture_document(&map, json, arena,
                                                       problems, document,
                                                       order);
            break;
        }

        result = NGX_HTTP_LOYALTY_CAPTURE_OK;

        if (ngx_http_loyalty_capture_group(text, match,
                                  conf->groups[LOYALTY_CAPTURE_SKU]).data)
        {
            if (order->nlines == LOYALTY_ORDER_LINES_MAX) {
                loyalty_problem(problems, "", "has more than %d lines",
                                LOYALTY_ORDER_LINES_MAX);
                result = NGX_HTTP_LOYALTY_CAPTURE_LIMIT;
                break;
            }

            if (ngx_http_loyalty_capture_line(order, &room, arena) != NGX_OK) {
                result = NGX_HTTP_LOYALTY_CAPTURE_NO_MEMORY;
                break;
            }

            ngx_http_loyalty_capture_groups(conf, text, match, order,
                                        &order->lines[order->nlines - 1]);

        } else {
            ngx_http_loyalty_capture_groups(conf, text, match, order, NULL);
        }

        ovector = pcre2_get_ovector_pointer(match);
        end = ovector[1];

        at = (end > at && end > ovector[0]) ? end : ngx_max(at, end) + 1;
    }

    pcre2_match_data_free(match);

    return result;
}


static ngx_int_t
ngx_http_loyalty_capture_line(loyalty_capture_order_t *order, size_t *room,
    loyalty_arena_t *arena)
{
    loyalty_capture_line_t  *lines;

    if (order->nlines == *room) {
        *room = *room ? *room * 2 : 8;

        lines = loyalty_alloc(arena, *room * sizeof(loyalty_capture_line_t));
        if (lines == NULL) {
            return NGX_ERROR;
        }

        if (order->nlines) {
            ngx_memcpy(lines, order->lines,
                       order->nlines * sizeof(loyalty_capture_line_t));
        }

        order->lines = lines;
    }

    ngx_memzero(&order->lines[order->nlines++],
                sizeof(loyalty_capture_line_t));

    return NGX_OK;
}


static void
ngx_http_loyalty_capture_groups(ngx_http_loyalty_capture_conf_t *conf,
    loyalty_str_t text, pcre2_match_data *match,
    loyalty_capture_order_t *order, loyalty_capture_line_t *line)
{
    ngx_uint_t      i;
    loyalty_str_t   value, *to;

    for (i = 0; i < LOYALTY_CAPTURE_FIELDS; i++) {

        to = loyalty_capture_text(order, line, i);

        if (to == NULL || to->data != NULL) {
            continue;
        }

        value = ngx_http_loyalty_capture_group(text, match, conf->groups[i]);

        if (value.data != NULL) {
            *to = value;
        }
    }
}


static loyalty_str_t
ngx_http_loyalty_capture_group(loyalty_str_t text, pcre2_match_data *match,
    ngx_uint_t group)
{
    PCRE2_SIZE     *ovector;
    loyalty_str_t   value;

    ovector = pcre2_get_ovector_pointer(match) + 2 * group;

    if (group == 0 || ovector[0] == PCRE2_UNSET || ovector[1] < ovector[0]) {
        return loyalty_str_null;
    }

    value.data = text.data + ovector[0];
    value.len = ovector[1] - ovector[0];

    return value;
}
