/*
 * `loyalty_api status`: the member of this request and the ladder, as JSON in
 * the API's words.  Amounts are in minor units.  A guest's member is null.
 */


#include "ngx_http_loyalty_page.h"


static ngx_int_t ngx_http_loyalty_status_handler(ngx_http_request_t *r);
static json_t *ngx_http_loyalty_status_site(loyalty_program_t *program);
static json_t *ngx_http_loyalty_status_ladder(ngx_http_request_t *r,
    loyalty_program_t *program);
static json_t *ngx_http_loyalty_status_tier(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx, ngx_int_t tier);
static json_t *ngx_http_loyalty_status_progress(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx);
static json_t *ngx_http_loyalty_status_segments(ngx_uint_t segments);
static json_t *ngx_http_loyalty_status_str(loyalty_str_t text);


char *
ngx_http_loyalty_api_directive(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_loyalty_loc_conf_t *llcf = conf;

    ngx_str_t  *value;

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "status") != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "unknown interface \"%V\", \"loyalty_api\" knows "
                           "\"status\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    return ngx_http_loyalty_page_create(cf, llcf,
                                        ngx_http_loyalty_status_handler);
}


static ngx_int_t
ngx_http_loyalty_status_handler(ngx_http_request_t *r)
{
    char                         *text;
    json_t                       *status;
    ngx_int_t                     rc;
    ngx_http_loyalty_ctx_t       *ctx;
    ngx_http_loyalty_answer_t     answer;
    ngx_http_loyalty_preview_e    preview;
    ngx_http_loyalty_loc_conf_t  *llcf;

    rc = ngx_http_loyalty_page_method(r);
    if (rc != NGX_OK) {
        return rc;
    }

    llcf = ngx_http_get_module_loc_conf(r, ngx_http_loyalty_module);
    ctx = ngx_http_loyalty_ctx(r);

    rc = ngx_http_loyalty_page_open(r, llcf->page, ctx, &preview);
    if (rc != NGX_OK) {
        return rc;
    }

    ngx_memzero(&answer, sizeof(ngx_http_loyalty_answer_t));

    answer.type = "application/json";
    answer.cache_control = "private, no-store";

    status = json_pack("{so so so}",
                       "site", ngx_http_loyalty_status_site(
                                   ctx->program->program),
                       "member", ngx_http_loyalty_status_member(r, ctx),
                       "statuses", ngx_http_loyalty_status_ladder(r,
                                       ctx->program->program));

    text = json_dumps(status, JSON_COMPACT);
    json_decref(status);

    if (text == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    answer.text.len = ngx_strlen(text);
    answer.text.data = ngx_pnalloc(r->pool, answer.text.len);

    if (answer.text.data) {
        ngx_memcpy(answer.text.data, text, answer.text.len);
    }

    free(text);

    if (answer.text.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_loyalty_page_send(r, &answer);
}


static json_t *
ngx_http_loyalty_status_site(loyalty_program_t *program)
{
    loyalty_settings_t  *settings;

    settings = &program->settings;

    return json_pack("{so so so ss}",
                     "id", ngx_http_loyalty_status_str(settings->id),
                     "name", ngx_http_loyalty_status_str(settings->name),
                     "currency",
                     ngx_http_loyalty_status_str(settings->currency),
                     "criterion", loyalty_criterion_name(settings->criterion));
}


json_t *
ngx_http_loyalty_status_member(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx)
{
    json_t                *shown;
    loyalty_segment_t      segment;
    const loyalty_view_t  *view;

    view = ctx->view;

    if (view == NULL) {
        return json_null();
    }

    segment = loyalty_segment_shown(view->segments);
    shown = segment ? json_string(loyalty_segment_name(segment)) : json_null();

    return json_pack("{so sb sI sI s{sI sI sI} s{sI} so so so so}",
                     "id", json_stringn((char *) ctx->member.data,
                                        ctx->member.len),
                     "registered",
                     (view->flags & LOYALTY_VIEW_REGISTERED) != 0,
                     "order_count", (json_int_t) view->order_count,
                     "spent_total", (json_int_t) view->spent_total,
                     "points",
                     "active", (json_int_t) view->points_active,
                     "pending", (json_int_t) view->points_pending,
                     "life", (json_int_t) view->points_life,
                     "credits",
                     "active", (json_int_t) view->credits_active,
                     "status", ngx_http_loyalty_status_tier(r, ctx,
                                                            view->tier),
                     "progress", ngx_http_loyalty_status_progress(r, ctx),
                     "segments",
                     ngx_http_loyalty_status_segments(view->segments),
                     "segment", shown);
}


static json_t *
ngx_http_loyalty_status_tier(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx, ngx_int_t n)
{
    loyalty_str_t          name;
    const loyalty_tier_t  *tier;

    tier = ngx_http_loyalty_tier(ctx, n);

    if (tier == NULL) {
        return json_null();
    }

    name = loyalty_text(&tier->name,
                        ngx_http_loyalty_locale(r, ctx->program->program));

    return json_pack("{so so so so}",
                     "id", ngx_http_loyalty_status_str(tier->id),
                     "name", ngx_http_loyalty_status_str(name),
                     "color", ngx_http_loyalty_status_str(tier->color),
                     "image", ngx_http_loyalty_status_str(tier->image));
}


static json_t *
ngx_http_loyalty_status_progress(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx)
{
    const loyalty_tier_t  *current, *next;

    if (ctx->program->program->settings.criterion == LOYALTY_CRITERION_SEGMENT)
    {
        return json_null();
    }

    current = ngx_http_loyalty_tier(ctx, ctx->view->tier);
    next = ngx_http_loyalty_tier(ctx, ctx->view->next);

    return json_pack("{so so sI sI si}",
                     "current", current
                                ? ngx_http_loyalty_status_str(current->id)
                                : json_null(),
                     "next", next ? ngx_http_loyalty_status_str(next->id)
                                  : json_null(),
                     "value", (json_int_t) ctx->view->value,
                     "remaining", (json_int_t) ctx->view->remaining,
                     "percent", (int) ctx->view->percent);
}


static json_t *
ngx_http_loyalty_status_segments(ngx_uint_t segments)
{
    json_t             *list;
    loyalty_segment_t   segment;

    list = json_array();

    while ((segment = loyalty_segment_shown((unsigned) segments)) != 0) {
        (void) json_array_append_new(list,
                                     json_string(
                                         loyalty_segment_name(segment)));
        segments &= ~(ngx_uint_t) segment;
    }

    return list;
}


static json_t *
ngx_http_loyalty_status_ladder(ngx_http_request_t *r,
    loyalty_program_t *program)
{
    size_t           i;
    json_t          *list, *status;
    loyalty_str_t    locale;
    loyalty_tier_t  *tier;

    list = json_array();
    locale = ngx_http_loyalty_locale(r, program);

    for (i = 0; i < program->ntiers; i++) {
        tier = &program->tiers[i];

        status = json_pack("{so so so so so}",
                     "id", ngx_http_loyalty_status_str(tier->id),
                     "name", ngx_http_loyalty_status_str(
                                 loyalty_text(&tier->name, locale)),
                     "description", ngx_http_loyalty_status_str(
                                        loyalty_text(&tier->description,
                                                     locale)),
                     "color", ngx_http_loyalty_status_str(tier->color),
                     "image", ngx_http_loyalty_status_str(tier->image));

        if (tier->segment) {
            (void) json_object_set_new(status, "segment",
                                       json_string(
                                           loyalty_segment_name(
                                               tier->segment)));
        } else {
            (void) json_object_set_new(status, "threshold",
                                       json_integer(tier->threshold));
        }

        (void) json_array_append_new(list, status);
    }

    return list;
}


static json_t *
ngx_http_loyalty_status_str(loyalty_str_t text)
{
    return text.len ? json_stringn(text.data, text.len) : json_null();
}
