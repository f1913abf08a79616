/*
 * `loyalty_page tier`: the member's status and the ladder, as the site's
 * design has it.
 *
 *     GET  /loyalty/                  the page
 *     GET  /loyalty/?style=7          its stylesheet, cached for long
 *     GET  /loyalty/?preview=TOKEN    the page while the programme is off,
 *                                     or what the draft would make of it
 *
 * The page brings no script and no style of its own inside, so that it works
 * under a strict Content-Security-Policy.  A design's own template that fails
 * gives way to the built-in one.
 */


#include "ngx_http_loyalty_page.h"
#include "loyalty_template.h"
#include "loyalty_token.h"
#include "ngx_loyalty_embed.h"
#include "ngx_loyalty_rare.h"


#define NGX_HTTP_LOYALTY_STYLE_AGE   "public, max-age=31536000, immutable"
#define NGX_HTTP_LOYALTY_GUEST_AGE   "private, no-cache"
#define NGX_HTTP_LOYALTY_MEMBER_AGE  "private, no-store"


static ngx_int_t ngx_http_loyalty_page_handler(ngx_http_request_t *r);
static ngx_http_loyalty_preview_e ngx_http_loyalty_page_preview(
    ngx_http_request_t *r, ngx_http_loyalty_page_conf_t *pcf, ngx_str_t *site);
static ngx_int_t ngx_http_loyalty_page_render(ngx_http_request_t *r,
    loyalty_program_t *program, json_t *model, ngx_str_t *text);
static ngx_int_t ngx_http_loyalty_page_template(ngx_http_request_t *r,
    loyalty_str_t source, json_t *model, ngx_str_t *text);
static ngx_int_t ngx_http_loyalty_page_banner(ngx_http_request_t *r,
    json_t *model, ngx_str_t *text);


ngx_loyalty_embed(ngx_loyalty_tier_template, "tier.mustache");


char *
ngx_http_loyalty_page_directive(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_loyalty_loc_conf_t *llcf = conf;

    char       *rv;
    ngx_str_t  *value, name;

    rv = ngx_http_loyalty_page_create(cf, llcf, ngx_http_loyalty_page_handler);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "tier") != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "unknown page \"%V\", \"loyalty_page\" knows "
                           "\"tier\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    if (cf->args->nelts == 3) {

        if (ngx_strncmp(value[2].data, "secret=", 7) != 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\", \"loyalty_page "
                               "tier\" takes secret=FILE", &value[2]);
            return NGX_CONF_ERROR;
        }

        name.data = value[2].data + 7;
        name.len = value[2].len - 7;

        if (ngx_loyalty_conf_secret(cf, "the secret of \"loyalty_page\"",
                                    &name, &llcf->page->secret)
            != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


char *
ngx_http_loyalty_page_create(ngx_conf_t *cf, ngx_http_loyalty_loc_conf_t *llcf,
    ngx_http_handler_pt handler)
{
    ngx_str_t                 *value;
    ngx_http_core_loc_conf_t  *clcf;

    if (llcf->page) {
        return "is duplicate";
    }

    llcf->page = ngx_pcalloc(cf->pool, sizeof(ngx_http_loyalty_page_conf_t));
    if (llcf->page == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;
    llcf->page->directive = value[0];

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = handler;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_loyalty_page_handler(ngx_http_request_t *r)
{
    ngx_int_t                     rc;
    ngx_http_loyalty_ctx_t       *ctx;
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

    if (preview == NGX_HTTP_LOYALTY_PREVIEW_DRAFT) {
        return ngx_http_loyalty_draft(r, ctx);
    }

    return ngx_http_loyalty_page_show(r, ctx, preview);
}


ngx_int_t
ngx_http_loyalty_page_show(ngx_http_request_t *r, ngx_http_loyalty_ctx_t *ctx,
    ngx_http_loyalty_preview_e preview)
{
    json_t                     *model;
    ngx_int_t                   rc;
    ngx_str_t                   value;
    loyalty_program_t          *program;
    ngx_http_loyalty_answer_t   answer;

    ngx_memzero(&answer, sizeof(ngx_http_loyalty_answer_t));

    program = ctx->program->program;
    answer.preview = preview;

    if (ngx_http_arg(r, (u_char *) "style", 5, &value) == NGX_OK) {

        answer.type = "text/css; charset=utf-8";

        switch (preview) {

        case NGX_HTTP_LOYALTY_PREVIEW_DRAFT:
            answer.cache_control = NGX_HTTP_LOYALTY_MEMBER_AGE;
            break;

        case NGX_HTTP_LOYALTY_PREVIEW_LIVE:
            answer.cache_control = NGX_HTTP_LOYALTY_GUEST_AGE;
            break;

        default:
            answer.cache_control = ngx_atoof(value.data, value.len)
                                   == program->version
                                   ? NGX_HTTP_LOYALTY_STYLE_AGE
                                   : NGX_HTTP_LOYALTY_GUEST_AGE;
        }

        if (ngx_http_loyalty_page_style(r, program, &answer.text) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return ngx_http_loyalty_page_send(r, &answer);
    }

    answer.type = "text/html; charset=utf-8";
    answer.cache_control = preview || ctx->member.len
                           ? NGX_HTTP_LOYALTY_MEMBER_AGE
                           : NGX_HTTP_LOYALTY_GUEST_AGE;

    model = ngx_http_loyalty_page_model(r, ctx, preview);
    if (model == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_loyalty_page_render(r, program, model, &answer.text);

    if (rc == NGX_OK && preview) {
        rc = ngx_http_loyalty_page_banner(r, model, &answer.text);
    }

    json_decref(model);

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_loyalty_page_send(r, &answer);
}


ngx_int_t
ngx_http_loyalty_page_method(ngx_http_request_t *r)
{
    if (r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD)) {
        return ngx_http_discard_request_body(r);
    }

    (void) ngx_http_loyalty_answer_header(r, "Allow", "GET, HEAD");

    return NGX_HTTP_NOT_ALLOWED;
}


ngx_int_t
ngx_http_loyalty_page_open(ngx_http_request_t *r,
    ngx_http_loyalty_page_conf_t *pcf, ngx_http_loyalty_ctx_t *ctx,
    ngx_http_loyalty_preview_e *preview)
{
    *preview = NGX_HTTP_LOYALTY_PREVIEW_NONE;

    if (ctx == NULL || !ctx->resolved || ctx->site.len == 0) {
        return NGX_HTTP_NOT_FOUND;
    }

    if (pcf->secret.len) {
        *preview = ngx_http_loyalty_page_preview(r, pcf, &ctx->site);
    }

    if (*preview == NGX_HTTP_LOYALTY_PREVIEW_DRAFT) {
        return NGX_OK;
    }

    if (ctx->program == NULL) {
        return ngx_http_loyalty_redis()
               && ngx_loyalty_redis_up(ngx_http_loyalty_redis())
               ? NGX_HTTP_NOT_FOUND : NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    return *preview || ngx_http_loyalty_active(ctx) ? NGX_OK
                                                    : NGX_HTTP_NOT_FOUND;
}


static ngx_http_loyalty_preview_e
ngx_http_loyalty_page_preview(ngx_http_request_t *r,
    ngx_http_loyalty_page_conf_t *pcf, ngx_str_t *site)
{
    char            payload[LOYALTY_TOKEN_SIZE];
    ngx_str_t       value;
    loyalty_str_t   secret, of, token, what;

    if (ngx_http_arg(r, (u_char *) "preview", 7, &value) != NGX_OK) {
        return NGX_HTTP_LOYALTY_PREVIEW_NONE;
    }

    secret.data = (char *) pcf->secret.data;
    secret.len = pcf->secret.len;
    of.data = (char *) site->data;
    of.len = site->len;
    token.data = (char *) value.data;
    token.len = value.len;

    if (loyalty_token_verify(LOYALTY_TOKEN_PREVIEW, secret, of,
                             ngx_http_loyalty_instant(), token, payload, &what)
        != LOYALTY_OK)
    {
        return NGX_HTTP_LOYALTY_PREVIEW_NONE;
    }

    if (what.len == 0) {
        return NGX_HTTP_LOYALTY_PREVIEW_LIVE;
    }

    return loyalty_str_eq(what, loyalty_str(LOYALTY_PREVIEW_DRAFT))
           ? NGX_HTTP_LOYALTY_PREVIEW_DRAFT : NGX_HTTP_LOYALTY_PREVIEW_NONE;
}


const loyalty_design_t *
ngx_http_loyalty_page_design(loyalty_program_t *program)
{
    return program->settings.design.len
           ? loyalty_program_design(program, program->settings.design) : NULL;
}


static ngx_int_t
ngx_http_loyalty_page_render(ngx_http_request_t *r, loyalty_program_t *program,
    json_t *model, ngx_str_t *text)
{
    ngx_int_t                rc;
    loyalty_str_t            source;
    const loyalty_design_t  *design;

    static ngx_loyalty_rare_t  rare;

    design = ngx_http_loyalty_page_design(program);

    if (design && design->template.len) {

        rc = ngx_http_loyalty_page_template(r, design->template, model, text);
        if (rc == NGX_OK) {
            return NGX_OK;
        }

        if (ngx_loyalty_rare(&rare, 60)) {
            ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                          "loyalty: the template of design \"%*s\" cannot be "
                          "rendered, the built-in one stands in "
                          "(%ui pages before unsaid)",
                          design->id.len, design->id.data, rare.unsaid);
        }
    }

    source.data = ngx_loyalty_tier_template;
    source.len = ngx_loyalty_embed_len(ngx_loyalty_tier_template);

    return ngx_http_loyalty_page_template(r, source, model, text);
}


/* compiling takes some microseconds, and a tier page is a rare page */

static ngx_int_t
ngx_http_loyalty_page_template(ngx_http_request_t *r, loyalty_str_t source,
    json_t *model, ngx_str_t *text)
{
    ngx_int_t             rc;
    loyalty_str_t         out;
    loyalty_arena_t       arena;
    loyalty_problems_t    problems;
    loyalty_template_t   *template;

    rc = NGX_DECLINED;
    template = NULL;

    loyalty_arena_init(&arena, 2 * LOYALTY_PAGE_SIZE_MAX);
    loyalty_problems_init(&problems, &arena);

    if (loyalty_template_compile(source, &problems, &template) == LOYALTY_OK
        && loyalty_template_render(template, model, NULL, NULL,
                                   LOYALTY_PAGE_SIZE_MAX, &arena, &out)
           == LOYALTY_OK)
    {
        text->data = ngx_pnalloc(r->pool, out.len + 1);

        if (text->data) {
            if (out.len) {
                ngx_memcpy(text->data, out.data, out.len);
            }

            text->len = out.len;
            rc = NGX_OK;
        }
    }

    loyalty_template_free(template);
    loyalty_arena_free(&arena);

    return rc;
}


/* A design's own template may have no place for it. */

static ngx_int_t
ngx_http_loyalty_page_banner(ngx_http_request_t *r, json_t *model,
    ngx_str_t *text)
{
    u_char      *p, *at, *end, *last;
    size_t       size;
    const char  *says;

    static const char  format[] =
        "<p class=\"loyalty-preview\" role=\"note\">%s</p>\n";

    says = json_string_value(json_object_get(json_object_get(model, "text"),
                                             "preview"));
    if (says == NULL) {
        return NGX_ERROR;
    }

    last = text->data + text->len;

    if (ngx_strlcasestrn(text->data, last, (u_char *) says,
                         ngx_strlen(says) - 1))
    {
        return NGX_OK;
    }

    at = ngx_strlcasestrn(text->data, last, (u_char *) "<body", 4);
    at = at ? ngx_strlchr(at, last, '>') : NULL;
    at = at ? at + 1 : text->data;

    size = text->len + sizeof(format) + ngx_strlen(says);

    p = ngx_pnalloc(r->pool, size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    end = ngx_cpymem(p, text->data, at - text->data);
    end = ngx_sprintf(end, format, says);
    end = ngx_cpymem(end, at, last - at);

    text->data = p;
    text->len = end - p;

    return NGX_OK;
}


ngx_int_t
ngx_http_loyalty_page_send(ngx_http_request_t *r,
    ngx_http_loyalty_answer_t *answer)
{
    if (ngx_http_loyalty_answer_header(r, "Vary",
                                       "Accept-Language, Cookie, "
                                       "Authorization")
            != NGX_OK
        || ngx_http_loyalty_answer_header(r, "Cache-Control",
                                          answer->cache_control)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* the token of a preview stands in the URL: nobody else is to see it */

    if (answer->preview) {
        (void) ngx_http_loyalty_answer_header(r, "Referrer-Policy",
                                              "no-referrer");
    }

    return ngx_http_loyalty_answer_send(r, NGX_HTTP_OK, answer->type,
                                        &answer->text);
}
