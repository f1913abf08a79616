/*
 * Values of the context as text, shared by variables, headers and pages.
 */


#include "ngx_http_loyalty.h"
#include "loyalty_locale.h"


/* in the order in which one is shown */

static const loyalty_segment_t  ngx_http_loyalty_segment_order[] = {
    LOYALTY_SEGMENT_VIP,
    LOYALTY_SEGMENT_AT_RISK,
    LOYALTY_SEGMENT_NEW,
    LOYALTY_SEGMENT_RECURRING
};


loyalty_instant_t
ngx_http_loyalty_instant(void)
{
    ngx_time_t  *tp;

    tp = ngx_timeofday();

    return (loyalty_instant_t) tp->sec * 1000 + tp->msec;
}


ngx_uint_t
ngx_http_loyalty_active(ngx_http_loyalty_ctx_t *ctx)
{
    return ctx->program && ctx->program->program->settings.active;
}


const loyalty_tier_t *
ngx_http_loyalty_tier(ngx_http_loyalty_ctx_t *ctx, ngx_int_t tier)
{
    loyalty_program_t  *program;

    program = ctx->program->program;

    if (tier < 0 || (size_t) tier >= program->ntiers) {
        return NULL;
    }

    return &program->tiers[tier];
}


loyalty_str_t
ngx_http_loyalty_accept_language(ngx_http_request_t *r)
{
    ngx_uint_t        i;
    loyalty_str_t     accept;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    accept = loyalty_str_null;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (h[i].key.len == sizeof("Accept-Language") - 1
                && ngx_strncasecmp(h[i].key.data, (u_char *) "Accept-Language",
                                   sizeof("Accept-Language") - 1)
                   == 0)
            {
                accept.data = (char *) h[i].value.data;
                accept.len = h[i].value.len;
                return accept;
            }
        }
    }

    return accept;
}


loyalty_str_t
ngx_http_loyalty_locale(ngx_http_request_t *r, loyalty_program_t *program)
{
    return loyalty_locale_choose(program->settings.locales,
                                 program->settings.nlocales,
                                 ngx_http_loyalty_accept_language(r));
}


ngx_int_t
ngx_http_loyalty_segments(ngx_http_request_t *r, ngx_uint_t segments,
    ngx_str_t *value)
{
    size_t       len;
    u_char      *p;
    ngx_uint_t   i, n;
    const char  *names[4];

    len = 0;

    for (i = 0, n = 0; i < 4; i++) {

        if (segments & ngx_http_loyalty_segment_order[i]) {
            names[n] = loyalty_segment_name(ngx_http_loyalty_segment_order[i]);
            len += ngx_strlen(names[n++]) + 1;
        }
    }

    if (n < 2) {
        value->data = (u_char *) (n ? names[0] : "");
        value->len = n ? len - 1 : 0;
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    value->data = p;
    value->len = len - 1;

    for (i = 0; i < n; i++) {
        p = ngx_cpymem(p, names[i], ngx_strlen(names[i]));
        *p++ = ',';
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_loyalty_number(ngx_http_request_t *r, int64_t number,
    ngx_str_t *value)
{
    u_char    *p;
    uint64_t   rest;

    /* each page has one or two: several times as fast as ngx_sprintf() */

    p = ngx_pnalloc(r->pool, NGX_INT64_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    p += NGX_INT64_LEN;
    value->data = p;
    rest = number < 0 ? 0 - (uint64_t) number : (uint64_t) number;

    do {
        *--p = (u_char) (rest % 10 + '0');
        rest /= 10;
    } while (rest);

    if (number < 0) {
        *--p = '-';
    }

    value->len = value->data - p;
    value->data = p;

    return NGX_OK;
}


/* offers in the wallet that are not used up, in the order they came */

ngx_int_t
ngx_http_loyalty_offers(ngx_http_request_t *r, const loyalty_view_t *view,
    ngx_str_t *value)
{
    u_char                      *p;
    loyalty_str_t                id;
    const loyalty_view_offer_t  *offer;

    if (view->tail_len == 0) {
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, view->tail_len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    value->data = p;

    for (offer = loyalty_view_offer(view, NULL);
         offer;
         offer = loyalty_view_offer(view, offer))
    {
        if (p != value->data) {
            *p++ = ',';
        }

        id = loyalty_view_offer_id(offer);
        p = ngx_cpymem(p, id.data, id.len);
    }

    value->len = p - value->data;

    return NGX_OK;
}
