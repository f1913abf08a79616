/*
 * The badge: where it goes in a page, and what it says.
 *
 * It takes the place of the first marker; without one it stands before the
 * last end tag of the body; without that the page stays as it is.  An end tag
 * counts as the last when no more than LOYALTY_INJECT_TAIL_MAX bytes follow,
 * so that one in a script does not.
 *
 * The template sees texts only:
 *
 *   member guest locale label          who, and a name for the whole
 *   status status_id color             of the status held; empty: none
 *   next next_id remaining percent     to the next; empty: no ladder, or top
 *   points pending life_points         figures in the locale's digits
 *   points_text progress_text          "120 points", "£1,000 to bronze"
 *   segment vip at_risk new recurring  the one shown; each that holds: its id
 *   sign_in_url sign_in_text           for guests
 */


#include "ngx_http_loyalty_inject.h"
#include "loyalty_html_scan.h"


/* A span, not a block: the marker may stand inside a paragraph. */

static char  ngx_http_loyalty_badge[] =
    "<span class=\"loyalty-status\" role=\"group\" lang=\"{{locale}}\""
    " aria-label=\"{{label}}\">"
    "{{^guest}}"
    "{{#status}}"
    "<span class=\"loyalty-status-name\">"
    "{{#color}}<span aria-hidden=\"true\" style=\"color:{{.}}\">"
    "&#9679;</span> {{/color}}{{.}}</span> &#183; "
    "{{/status}}"
    "<span class=\"loyalty-status-points\">{{points_text}}</span>"
    "{{#progress_text}}"
    " &#183; <span class=\"loyalty-status-progress\">{{.}}</span>"
    "{{/progress_text}}"
    "{{/guest}}"
    "{{#guest}}"
    "{{#sign_in_url}}<a href=\"{{.}}\">{{sign_in_text}}</a>{{/sign_in_url}}"
    "{{^sign_in_url}}{{sign_in_text}}{{/sign_in_url}}"
    "{{/guest}}"
    "</span>";


static ngx_int_t ngx_http_loyalty_inject_badge(
    ngx_http_loyalty_inject_ctx_t *ctx);
static ngx_int_t ngx_http_loyalty_badge_render(
    ngx_http_loyalty_inject_ctx_t *ctx, ngx_str_t *badge);


ngx_int_t
ngx_http_loyalty_inject_html(ngx_http_loyalty_inject_ctx_t *ctx)
{
    size_t          at, size, keep;
    ngx_int_t       rc;
    loyalty_str_t   marker, before, now;

    marker = ctx->conf->marker;
    before = loyalty_str_null;
    now = loyalty_str_null;

    if (ctx->pending != NULL) {
        before.data = (char *) ctx->pending->pos;
        before.len = ctx->pending->last - ctx->pending->pos;
    }

    if (ngx_buf_in_memory(ctx->buf)) {
        now.data = (char *) ctx->buf->pos;
        now.len = ctx->buf->last - ctx->buf->pos;
    }

    size = before.len + now.len;

    at = loyalty_html_marker(marker, before, now);

    if (at != LOYALTY_HTML_NONE) {

        if (ngx_http_loyalty_inject_pass(ctx, at) != NGX_OK) {
            return NGX_ERROR;
        }

        rc = ngx_http_loyalty_inject_badge(ctx);

        if (rc == NGX_OK) {
            ngx_http_loyalty_inject_cut(ctx, at + marker.len);
        }

        return rc == NGX_DECLINED ? NGX_OK : rc;
    }

    if (ctx->waits) {
        return NGX_AGAIN;
    }

    at = loyalty_html_body_end(before, now);

    if (ctx->last) {

        if (at == LOYALTY_HTML_NONE) {
            ngx_loyalty_metric(INJECT_NO_PLACE)++;
            return NGX_OK;
        }

        if (ngx_http_loyalty_inject_pass(ctx, at) != NGX_OK) {
            return NGX_ERROR;
        }

        rc = ngx_http_loyalty_inject_badge(ctx);

        return rc == NGX_DECLINED ? NGX_OK : rc;
    }

    if (at != LOYALTY_HTML_NONE && size - at <= LOYALTY_INJECT_TAIL_MAX) {
        keep = size - at;

    } else {
        keep = loyalty_html_partial(marker, before, now);
    }

    return ngx_http_loyalty_inject_pass(ctx, size - keep) == NGX_OK
           ? NGX_AGAIN : NGX_ERROR;
}


/* NGX_DECLINED: there is none, counted. */

static ngx_int_t
ngx_http_loyalty_inject_badge(ngx_http_loyalty_inject_ctx_t *ctx)
{
    ngx_str_t  badge;
    ngx_int_t  rc;

    rc = ngx_http_loyalty_badge_render(ctx, &badge);
    if (rc != NGX_OK) {
        return rc;
    }

    ngx_loyalty_metric(INJECTED_HTML)++;

    return ngx_http_loyalty_inject_put(ctx, &badge);
}


static ngx_int_t
ngx_http_loyalty_badge_render(ngx_http_loyalty_inject_ctx_t *ctx,
    ngx_str_t *badge)
{
    char                        buffer[LOYALTY_INJECT_BADGE_MAX];
    size_t                      len;
    ngx_http_loyalty_fields_t   fields;
    ngx_http_loyalty_figures_t  figures;

    fields.used = ctx->conf->used;

    ngx_http_loyalty_figures(ctx->request, &figures);
    ngx_http_loyalty_fields(&figures, &fields);

    if (loyalty_template_render_table(ctx->conf->template, fields.texts,
                                      buffer, sizeof(buffer), &len)
        != LOYALTY_OK)
    {
        ngx_loyalty_metric(INJECT_TOO_LARGE)++;
        return NGX_DECLINED;
    }

    badge->len = len;
    badge->data = ngx_pnalloc(ctx->request->pool, len + 1);
    if (badge->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(badge->data, buffer, len);

    return NGX_OK;
}


ngx_int_t
ngx_http_loyalty_inject_template(ngx_conf_t *cf, ngx_str_t *file,
    ngx_http_loyalty_inject_conf_t *icf)
{
    size_t                i;
    ngx_int_t             rc;
    ngx_str_t             text;
    loyalty_str_t         source;
    loyalty_arena_t       arena;
    ngx_pool_cleanup_t   *cln;
    loyalty_problem_t    *problem;
    loyalty_problems_t    problems;

    source = loyalty_str_from(ngx_http_loyalty_badge);

    if (file->len) {
        if (ngx_loyalty_conf_file(cf, "the template of \"loyalty_inject\"",
                                  file, LOYALTY_TEMPLATE_SIZE_MAX, &text)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        source.data = (char *) text.data;
        source.len = text.len;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    loyalty_arena_init(&arena, 0);
    loyalty_problems_init(&problems, &arena);

    rc = NGX_OK;

    if (loyalty_template_compile(source, &problems, &icf->template)
        != LOYALTY_OK)
    {
        for (i = 0; i < ngx_min(problems.count, LOYALTY_PROBLEMS_MAX); i++) {
            problem = &problems.list[i];
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "template \"%V\", %*s: %*s", file,
                               problem->pointer.len, problem->pointer.data,
                               problem->message.len, problem->message.data);
        }

        rc = NGX_ERROR;

    } else {
        cln->handler = (ngx_pool_cleanup_pt) loyalty_template_free;
        cln->data = icf->template;

        icf->used = loyalty_template_bind(icf->template,
                                          ngx_http_loyalty_field_names,
                                          NGX_HTTP_LOYALTY_FIELD_N);
    }

    loyalty_arena_free(&arena);

    return rc;
}
