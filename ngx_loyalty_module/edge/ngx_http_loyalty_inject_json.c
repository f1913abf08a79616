/*
 * The member in a JSON object: "loyalty":{...}, before the closing brace of
 * the document, or in place of the value the shop gave a member of that name.
 *
 * The brace and what follows it are held back until the end shows that it was
 * the end of valid JSON.  An answer that came whole while its header waited
 * passes as it was when it is not valid; of one that streams, what has gone
 * has gone, but nothing is put in after the place where it breaks.
 */


#include "ngx_http_loyalty_inject.h"


static ngx_int_t ngx_http_loyalty_json_read(
    ngx_http_loyalty_inject_ctx_t *ctx, size_t *close);
static ngx_int_t ngx_http_loyalty_json_event(
    ngx_http_loyalty_inject_ctx_t *ctx, loyalty_json_event_t event, size_t at,
    size_t *close);
static ngx_int_t ngx_http_loyalty_json_failed(
    ngx_http_loyalty_inject_ctx_t *ctx, loyalty_json_event_t event);
static ngx_int_t ngx_http_loyalty_json_put(ngx_http_loyalty_inject_ctx_t *ctx,
    ngx_uint_t named);
static u_char *ngx_http_loyalty_json_figures(u_char *p,
    ngx_http_loyalty_figures_t *figures);
static u_char *ngx_http_loyalty_json_segments(u_char *p, ngx_uint_t segments);


ngx_int_t
ngx_http_loyalty_inject_json_init(ngx_http_loyalty_inject_ctx_t *ctx)
{
    loyalty_str_t  name;

    ctx->json = ngx_palloc(ctx->request->pool, sizeof(loyalty_json_scan_t));
    if (ctx->json == NULL) {
        return NGX_ERROR;
    }

    name.data = (char *) ctx->conf->name.data;
    name.len = ctx->conf->name.len;

    loyalty_json_scan_init(ctx->json, name);

    return NGX_OK;
}


ngx_int_t
ngx_http_loyalty_inject_json(ngx_http_loyalty_inject_ctx_t *ctx)
{
    size_t     close, size;
    ngx_int_t  rc;

    if (ctx->waits) {
        return NGX_AGAIN;
    }

    /* a brace found before is where pending begins */
    close = ctx->json->closed ? 0 : NGX_MAX_SIZE_T_VALUE;

    rc = ngx_http_loyalty_json_read(ctx, &close);
    if (rc != NGX_OK) {
        return rc == NGX_DECLINED ? NGX_OK : NGX_ERROR;
    }

    size = ngx_http_loyalty_inject_size(ctx);

    if (close == NGX_MAX_SIZE_T_VALUE) {

        if (ctx->last) {
            return ngx_http_loyalty_json_failed(ctx, LOYALTY_JSON_INVALID);
        }

        if (ctx->json->in_value) {
            ngx_http_loyalty_inject_cut(ctx, size);
            return NGX_AGAIN;
        }

        return ngx_http_loyalty_inject_pass(ctx, size) == NGX_OK
               ? NGX_AGAIN : NGX_ERROR;
    }

    if (ngx_http_loyalty_inject_pass(ctx, close) != NGX_OK) {
        return NGX_ERROR;
    }

    if (!ctx->last && size - close <= LOYALTY_INJECT_TAIL_MAX) {
        ctx->scanned = size - close;
        return NGX_AGAIN;
    }

    if (!ctx->json->found && ngx_http_loyalty_json_put(ctx, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_loyalty_metric(INJECTED_JSON)++;

    return NGX_OK;
}


/* Pending, where it was not read before, then the buffer. */

static ngx_int_t
ngx_http_loyalty_json_read(ngx_http_loyalty_inject_ctx_t *ctx, size_t *close)
{
    char                  *data[2];
    size_t                 len[2], pos, start;
    ngx_int_t              rc;
    ngx_uint_t             i;
    loyalty_json_event_t   event;

    ngx_memzero(data, sizeof(data));
    ngx_memzero(len, sizeof(len));

    if (ctx->pending != NULL) {
        data[0] = (char *) ctx->pending->pos;
        len[0] = ctx->pending->last - ctx->pending->pos;
    }

    if (ngx_buf_in_memory(ctx->buf)) {
        data[1] = (char *) ctx->buf->pos;
        len[1] = ctx->buf->last - ctx->buf->pos;
    }

    start = 0;
    pos = ctx->pending ? ctx->scanned : 0;

    for (i = 0; i < 2; i++) {

        for ( ;; ) {
            event = loyalty_json_scan(ctx->json, data[i], len[i], &pos);

            if (event == LOYALTY_JSON_MORE) {
                break;
            }

            rc = ngx_http_loyalty_json_event(ctx, event, start + pos, close);
            if (rc != NGX_OK) {
                return rc;
            }
        }

        start = len[0];
        pos = 0;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_json_event(ngx_http_loyalty_inject_ctx_t *ctx,
    loyalty_json_event_t event, size_t at, size_t *close)
{
    switch (event) {

    case LOYALTY_JSON_VALUE:
        if (ngx_http_loyalty_inject_pass(ctx, at) != NGX_OK) {
            return NGX_ERROR;
        }

        return ngx_http_loyalty_json_put(ctx, 0);

    case LOYALTY_JSON_VALUE_END:
        ngx_http_loyalty_inject_cut(ctx, at);
        return NGX_OK;

    case LOYALTY_JSON_CLOSE:
        *close = at;
        return NGX_OK;

    default:
        return ngx_http_loyalty_json_failed(ctx, event) == NGX_OK
               ? NGX_DECLINED : NGX_ERROR;
    }
}


static ngx_int_t
ngx_http_loyalty_json_failed(ngx_http_loyalty_inject_ctx_t *ctx,
    loyalty_json_event_t event)
{
    if (event == LOYALTY_JSON_OTHER) {
        ngx_loyalty_metric(INJECT_NOT_OBJECT)++;

    } else if (event == LOYALTY_JSON_DEEP) {
        ngx_loyalty_metric(INJECT_TOO_DEEP)++;

    } else {
        ngx_loyalty_metric(INJECT_INVALID_JSON)++;
    }

    if (!ctx->begun) {
        ngx_http_loyalty_inject_undo(ctx);
    }

    return NGX_OK;
}


/* The member, or its value alone. */

static ngx_int_t
ngx_http_loyalty_json_put(ngx_http_loyalty_inject_ctx_t *ctx, ngx_uint_t named)
{
    size_t                       len;
    u_char                      *p;
    ngx_str_t                    text;
    ngx_http_loyalty_figures_t   figures;

    ngx_http_loyalty_figures(ctx->request, &figures);

    len = 512 + ctx->conf->member.len + 6 * figures.member.len;

    if (figures.tier != NULL) {
        len += 12 * figures.tier->id.len
               + 6 * loyalty_text(&figures.tier->name, figures.locale).len;
    }

    if (figures.next != NULL) {
        len += 6 * figures.next->id.len;
    }

    text.data = ngx_pnalloc(ctx->request->pool, len);
    if (text.data == NULL) {
        return NGX_ERROR;
    }

    p = text.data;

    if (named) {
        if (!ctx->json->empty) {
            *p++ = ',';
        }

        p = ngx_cpymem(p, ctx->conf->member.data, ctx->conf->member.len);
    }

    text.len = ngx_http_loyalty_json_figures(p, &figures) - text.data;

    return ngx_http_loyalty_inject_put(ctx, &text);
}


static u_char *
ngx_http_loyalty_json_figures(u_char *p, ngx_http_loyalty_figures_t *figures)
{
    loyalty_segment_t      segment;
    const loyalty_tier_t  *tier;

    if (figures->member.len == 0) {
        return ngx_sprintf(p, "{\"member\":null,\"status\":null,"
                              "\"progress\":null,\"points\":null,"
                              "\"segments\":[],\"segment\":null}");
    }

    tier = figures->tier;

    p = ngx_sprintf(p, "{\"member\":");
    p = ngx_http_loyalty_json_string(p, figures->member);

    if (tier != NULL) {
        p = ngx_sprintf(p, ",\"status\":{\"id\":");
        p = ngx_http_loyalty_json_string(p, tier->id);
        p = ngx_sprintf(p, ",\"name\":");
        p = ngx_http_loyalty_json_string(p,
                                  loyalty_text(&tier->name, figures->locale));
        *p++ = '}';

    } else {
        p = ngx_sprintf(p, ",\"status\":null");
    }

    if (figures->ladder) {
        p = ngx_sprintf(p, ",\"progress\":{\"current\":");
        p = tier ? ngx_http_loyalty_json_string(p, tier->id)
                 : ngx_sprintf(p, "null");
        p = ngx_sprintf(p, ",\"next\":");
        p = figures->next ? ngx_http_loyalty_json_string(p, figures->next->id)
                          : ngx_sprintf(p, "null");
        p = ngx_sprintf(p, ",\"value\":%L,\"remaining\":%L,\"percent\":%ui}",
                        figures->value, figures->remaining, figures->percent);

    } else {
        p = ngx_sprintf(p, ",\"progress\":null");
    }

    p = ngx_sprintf(p, ",\"points\":{\"active\":%L,\"pending\":%L,"
                       "\"life\":%L},\"segments\":[",
                    figures->points, figures->pending, figures->life_points);

    p = ngx_http_loyalty_json_segments(p, figures->segments);

    segment = loyalty_segment_shown(figures->segments);

    return segment ? ngx_sprintf(p, "],\"segment\":\"%s\"}",
                                 loyalty_segment_name(segment))
                   : ngx_sprintf(p, "],\"segment\":null}");
}


static u_char *
ngx_http_loyalty_json_segments(u_char *p, ngx_uint_t segments)
{
    u_char      *start;
    ngx_uint_t   bit;

    start = p;

    for (bit = LOYALTY_SEGMENT_VIP; bit <= LOYALTY_SEGMENT_RECURRING; bit *= 2)
    {
        if (segments & bit) {
            p = ngx_sprintf(p, p == start ? "\"%s\"" : ",\"%s\"",
                            loyalty_segment_name((loyalty_segment_t) bit));
        }
    }

    return p;
}


/*
 * Quoted.  "<" is escaped too, since JSON is at times pasted into a page;
 * bytes that are no UTF-8, which a member's id may hold, become U+FFFD.
 */

u_char *
ngx_http_loyalty_json_string(u_char *p, loyalty_str_t text)
{
    u_char  c, *pos, *last, *start;

    pos = (u_char *) text.data;
    last = pos + text.len;

    *p++ = '"';

    while (pos < last) {
        c = *pos;

        if (c >= 0x80) {
            start = pos;

            if (ngx_utf8_decode(&pos, last - pos) > 0x10ffff) {
                pos = start + 1;
                p = ngx_cpymem(p, "\\ufffd", sizeof("\\ufffd") - 1);

            } else {
                p = ngx_cpymem(p, start, pos - start);
            }

            continue;
        }

        pos++;

        if (c < ' ' || c == '<' || c == 0x7f) {
            p = ngx_sprintf(p, "\\u00%02xd", (ngx_uint_t) c);
            continue;
        }

        if (c == '"' || c == '\\') {
            *p++ = '\\';
        }

        *p++ = c;
    }

    *p++ = '"';

    return p;
}
