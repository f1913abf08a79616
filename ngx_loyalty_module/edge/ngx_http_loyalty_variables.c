/*
 * The variables.  Each is empty until the request is resolved, for a guest,
 * and while the site's programme is off; $loyalty_member and $loyalty_cache
 * stand as soon as it is resolved.  Amounts of money are in minor units, as
 * in the API.
 */


#include "ngx_http_loyalty.h"


typedef ngx_int_t (*ngx_http_loyalty_value_pt)(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx, ngx_str_t *value);


static ngx_int_t ngx_http_loyalty_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_loyalty_member_value(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx, ngx_str_t *value);
static ngx_int_t ngx_http_loyalty_cache_value(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx, ngx_str_t *value);
static ngx_int_t ngx_http_loyalty_tier_value(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx, ngx_str_t *value);
static ngx_int_t ngx_http_loyalty_tier_name_value(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx, ngx_str_t *value);
static ngx_int_t ngx_http_loyalty_next_tier_value(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx, ngx_str_t *value);
static ngx_int_t ngx_http_loyalty_remaining_value(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx, ngx_str_t *value);
static ngx_int_t ngx_http_loyalty_progress_value(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx, ngx_str_t *value);
static ngx_int_t ngx_http_loyalty_points_value(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx, ngx_str_t *value);
static ngx_int_t ngx_http_loyalty_life_points_value(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx, ngx_str_t *value);
static ngx_int_t ngx_http_loyalty_segment_value(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx, ngx_str_t *value);
static ngx_int_t ngx_http_loyalty_segments_value(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx, ngx_str_t *value);
static ngx_int_t ngx_http_loyalty_offers_value(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx, ngx_str_t *value);
static ngx_int_t ngx_http_loyalty_tier_text(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx, ngx_int_t tier, ngx_str_t *value);


static struct {
    ngx_str_t                   name;
    ngx_http_loyalty_value_pt   value;
    ngx_uint_t                  guest;   /* has a value for guests too */
} ngx_http_loyalty_variables[] = {

    { ngx_string("loyalty_member"), ngx_http_loyalty_member_value, 1 },
    { ngx_string("loyalty_cache"), ngx_http_loyalty_cache_value, 1 },
    { ngx_string("loyalty_tier"), ngx_http_loyalty_tier_value, 0 },
    { ngx_string("loyalty_tier_name"), ngx_http_loyalty_tier_name_value, 0 },
    { ngx_string("loyalty_next_tier"), ngx_http_loyalty_next_tier_value, 0 },
    { ngx_string("loyalty_remaining"), ngx_http_loyalty_remaining_value, 0 },
    { ngx_string("loyalty_progress"), ngx_http_loyalty_progress_value, 0 },
    { ngx_string("loyalty_points"), ngx_http_loyalty_points_value, 0 },
    { ngx_string("loyalty_life_points"),
      ngx_http_loyalty_life_points_value, 0 },
    { ngx_string("loyalty_segment"), ngx_http_loyalty_segment_value, 0 },
    { ngx_string("loyalty_segments"), ngx_http_loyalty_segments_value, 0 },
    { ngx_string("loyalty_offers"), ngx_http_loyalty_offers_value, 0 },

    { ngx_null_string, NULL, 0 }
};


static ngx_str_t  ngx_http_loyalty_cache_names[] = {
    ngx_string("HIT"),
    ngx_string("MISS"),
    ngx_string("STALE"),
    ngx_string("NEGATIVE"),
    ngx_string("BYPASS")
};


ngx_int_t
ngx_http_loyalty_add_variables(ngx_conf_t *cf)
{
    ngx_uint_t            i;
    ngx_http_variable_t  *var;

    for (i = 0; ngx_http_loyalty_variables[i].name.len; i++) {

        var = ngx_http_add_variable(cf, &ngx_http_loyalty_variables[i].name,
                                    NGX_HTTP_VAR_NOCACHEABLE);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = ngx_http_loyalty_variable;
        var->data = i;
    }

    return NGX_OK;
}


/*
 * Not cacheable: a value asked for before the request is resolved changes, and
 * a subrequest with a context of its own shares the main request's values.
 */

static ngx_int_t
ngx_http_loyalty_variable(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    uintptr_t data)
{
    ngx_str_t                value;
    ngx_http_loyalty_ctx_t  *ctx;

    ngx_str_null(&value);

    v->valid = 1;
    v->not_found = 0;
    v->no_cacheable = 1;

    ctx = ngx_http_loyalty_ctx(r);

    if (ctx && ctx->resolved
        && (ngx_http_loyalty_variables[data].guest
            || (ctx->view && ngx_http_loyalty_active(ctx)))
        && ngx_http_loyalty_variables[data].value(r, ctx, &value) != NGX_OK)
    {
        return NGX_ERROR;
    }

    v->len = value.len;
    v->data = value.data ? value.data : (u_char *) "";

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_member_value(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx, ngx_str_t *value)
{
    *value = ctx->member;

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_cache_value(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx, ngx_str_t *value)
{
    *value = ngx_http_loyalty_cache_names[ctx->cache];

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_tier_value(ngx_http_request_t *r, ngx_http_loyalty_ctx_t *ctx,
    ngx_str_t *value)
{
    const loyalty_tier_t  *tier;

    tier = ngx_http_loyalty_tier(ctx, ctx->view->tier);

    if (tier) {
        value->data = (u_char *) tier->id.data;
        value->len = tier->id.len;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_tier_name_value(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx, ngx_str_t *value)
{
    return ngx_http_loyalty_tier_text(r, ctx, ctx->view->tier, value);
}


static ngx_int_t
ngx_http_loyalty_next_tier_value(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx, ngx_str_t *value)
{
    return ngx_http_loyalty_tier_text(r, ctx, ctx->view->next, value);
}


static ngx_int_t
ngx_http_loyalty_tier_text(ngx_http_request_t *r, ngx_http_loyalty_ctx_t *ctx,
    ngx_int_t n, ngx_str_t *value)
{
    loyalty_str_t          text;
    const loyalty_tier_t  *tier;

    tier = ngx_http_loyalty_tier(ctx, n);

    if (tier == NULL) {
        return NGX_OK;
    }

    text = loyalty_text(&tier->name,
                        ngx_http_loyalty_locale(r, ctx->program->program));

    value->data = (u_char *) text.data;
    value->len = text.len;

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_remaining_value(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx, ngx_str_t *value)
{
    if (ctx->view->next < 0) {
        return NGX_OK;
    }

    return ngx_http_loyalty_number(r, ctx->view->remaining, value);
}


static ngx_int_t
ngx_http_loyalty_progress_value(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx, ngx_str_t *value)
{
    return ngx_http_loyalty_number(r, ctx->view->percent, value);
}


static ngx_int_t
ngx_http_loyalty_points_value(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx, ngx_str_t *value)
{
    return ngx_http_loyalty_number(r, ctx->view->points_active, value);
}


static ngx_int_t
ngx_http_loyalty_life_points_value(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx, ngx_str_t *value)
{
    return ngx_http_loyalty_number(r, ctx->view->points_life, value);
}


static ngx_int_t
ngx_http_loyalty_segment_value(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx, ngx_str_t *value)
{
    loyalty_segment_t  segment;

    segment = loyalty_segment_shown(ctx->view->segments);

    return ngx_http_loyalty_segments(r, segment, value);
}


static ngx_int_t
ngx_http_loyalty_segments_value(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx, ngx_str_t *value)
{
    return ngx_http_loyalty_segments(r, ctx->view->segments, value);
}


static ngx_int_t
ngx_http_loyalty_offers_value(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx, ngx_str_t *value)
{
    return ngx_http_loyalty_offers(r, ctx->view, value);
}
