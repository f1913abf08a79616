/*
 * The badge of a shopper, rendered, or as it was rendered before: guests all
 * see the same one, and a member's stays the same from page to page until the
 * figures change.
 *
 * A worker keeps so many badges, each where the hash of all that it is made of
 * says; the newer takes the place of the older.  What it is made of is
 * compared, so nothing has to be dropped when a member or a program changes.
 * A template that tells the member's id is rendered each time.
 */


#include "ngx_http_loyalty_inject.h"


typedef struct {
    uint64_t                 conf;
    uint64_t                 program;
    uint64_t                 locale;
    uint64_t                 tier;
    uint64_t                 next;
    uint64_t                 remaining;
    uint64_t                 points;
    uint64_t                 pending;
    uint64_t                 life_points;
    uint64_t                 rest;
} ngx_http_loyalty_badge_key_t;


typedef struct {
    ngx_http_loyalty_badge_key_t   key;
    size_t                         size;
    size_t                         len;
    u_char                         text[];
} ngx_http_loyalty_badge_t;


static ngx_http_loyalty_badge_t **ngx_http_loyalty_badge_place(
    ngx_http_loyalty_inject_ctx_t *ctx, ngx_http_loyalty_figures_t *figures,
    ngx_http_loyalty_badge_key_t *key);
static void ngx_http_loyalty_badge_keep(ngx_http_loyalty_badge_t **place,
    ngx_http_loyalty_badge_key_t *key, ngx_str_t *text);
static ngx_int_t ngx_http_loyalty_badge_text(
    ngx_http_loyalty_inject_ctx_t *ctx, void *text, size_t len,
    ngx_str_t *badge);


static ngx_http_loyalty_badge_t
    *ngx_http_loyalty_badges[LOYALTY_INJECT_BADGES_KEPT];


ngx_int_t
ngx_http_loyalty_badge(ngx_http_loyalty_inject_ctx_t *ctx, ngx_str_t *badge)
{
    char                           buffer[LOYALTY_INJECT_BADGE_MAX];
    size_t                         len;
    ngx_int_t                      rc;
    ngx_http_loyalty_badge_t     **place;
    ngx_http_loyalty_fields_t      fields;
    ngx_http_loyalty_figures_t     figures;
    ngx_http_loyalty_badge_key_t   key;

    fields.used = ctx->conf->used;

    ngx_http_loyalty_figures(ctx->request, &figures);

    place = NULL;

    if (!ngx_http_loyalty_uses(&fields, MEMBER)) {
        place = ngx_http_loyalty_badge_place(ctx, &figures, &key);

        if (*place != NULL
            && ngx_memcmp(&(*place)->key, &key, sizeof(key)) == 0)
        {
            return ngx_http_loyalty_badge_text(ctx, (*place)->text,
                                               (*place)->len, badge);
        }
    }

    ngx_http_loyalty_fields(&figures, &fields);

    if (loyalty_template_render_table(ctx->conf->template, fields.texts,
                                      buffer, sizeof(buffer), &len)
        != LOYALTY_OK)
    {
        ngx_loyalty_metric(INJECT_TOO_LARGE)++;
        return NGX_DECLINED;
    }

    rc = ngx_http_loyalty_badge_text(ctx, buffer, len, badge);

    if (rc == NGX_OK && place != NULL) {
        ngx_http_loyalty_badge_keep(place, &key, badge);
    }

    return rc;
}


static ngx_http_loyalty_badge_t **
ngx_http_loyalty_badge_place(ngx_http_loyalty_inject_ctx_t *ctx,
    ngx_http_loyalty_figures_t *figures, ngx_http_loyalty_badge_key_t *key)
{
    uint64_t     hash, *word;
    ngx_uint_t   i;

    /* what the pointers point to is the program's or the configuration's */

    key->conf = (uintptr_t) ctx->conf;
    key->program = ngx_http_loyalty_ctx(ctx->request)->program->serial;
    key->locale = (uintptr_t) figures->locale.data;
    key->tier = (uintptr_t) figures->tier;
    key->next = (uintptr_t) figures->next;
    key->remaining = figures->remaining;
    key->points = figures->points;
    key->pending = figures->pending;
    key->life_points = figures->life_points;
    key->rest = (uint64_t) figures->segments << 16
                | figures->percent << 8
                | (figures->member.len != 0);

    hash = 0;
    word = (uint64_t *) key;

    for (i = 0; i < sizeof(*key) / sizeof(uint64_t); i++) {
        hash = (hash ^ word[i]) * 0x9e3779b97f4a7c15;
        hash ^= hash >> 32;
    }

    return &ngx_http_loyalty_badges[hash % LOYALTY_INJECT_BADGES_KEPT];
}


static void
ngx_http_loyalty_badge_keep(ngx_http_loyalty_badge_t **place,
    ngx_http_loyalty_badge_key_t *key, ngx_str_t *text)
{
    ngx_http_loyalty_badge_t  *badge;

    badge = *place;

    if (text->len > LOYALTY_INJECT_BADGE_KEPT_MAX) {
        return;
    }

    if (badge == NULL || badge->size < text->len) {

        badge = ngx_alloc(sizeof(ngx_http_loyalty_badge_t) + text->len,
                          ngx_cycle->log);
        if (badge == NULL) {
            return;
        }

        if (*place != NULL) {
            ngx_free(*place);
        }

        badge->size = text->len;
        *place = badge;
    }

    badge->key = *key;
    badge->len = text->len;
    ngx_memcpy(badge->text, text->data, text->len);
}


static ngx_int_t
ngx_http_loyalty_badge_text(ngx_http_loyalty_inject_ctx_t *ctx, void *text,
    size_t len, ngx_str_t *badge)
{
    badge->len = len;
    badge->data = ngx_pnalloc(ctx->request->pool, len + 1);
    if (badge->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(badge->data, text, len);

    return NGX_OK;
}
