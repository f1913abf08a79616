/*
 * What the pages share: the tier page, its stylesheet, status.json.
 */

#ifndef _NGX_HTTP_LOYALTY_PAGE_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_PAGE_H_INCLUDED_


#include "ngx_http_loyalty.h"
#include "ngx_loyalty_text.h"

#include <jansson.h>


struct ngx_http_loyalty_page_conf_s {
    ngx_str_t   directive;           /* for messages */
    ngx_str_t   secret;              /* of preview links; empty: none */
};


/* Whether a signed link opens the page, and what it is a preview of. */

typedef enum {
    NGX_HTTP_LOYALTY_PREVIEW_NONE = 0,
    NGX_HTTP_LOYALTY_PREVIEW_LIVE,
    NGX_HTTP_LOYALTY_PREVIEW_DRAFT
} ngx_http_loyalty_preview_e;


typedef struct {
    const char  *title[NGX_LOYALTY_LANGUAGES];
    const char  *says[NGX_LOYALTY_LANGUAGES];
    const char  *button[NGX_LOYALTY_LANGUAGES];      /* NULL: none */
} ngx_http_loyalty_notice_t;


/* A page's answer before it is sent. */

typedef struct {
    const char  *type;
    ngx_str_t    text;               /* the request's pool holds it */
    const char  *cache_control;
    ngx_http_loyalty_preview_e  preview;
} ngx_http_loyalty_answer_t;


/* This location's page, answered by `handler`: for the directives. */
char *ngx_http_loyalty_page_create(ngx_conf_t *cf,
    ngx_http_loyalty_loc_conf_t *llcf, ngx_http_handler_pt handler);

/*
 * Whether this page may be seen: NGX_OK, or the status to answer with.
 * ctx->program is there, unless *preview is _DRAFT.
 */
ngx_int_t ngx_http_loyalty_page_open(ngx_http_request_t *r,
    ngx_http_loyalty_page_conf_t *pcf, ngx_http_loyalty_ctx_t *ctx,
    ngx_http_loyalty_preview_e *preview);

/* The page, or its stylesheet, of ctx->program and ctx->view. */
ngx_int_t ngx_http_loyalty_page_show(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx, ngx_http_loyalty_preview_e preview);

/* The same of the site's draft: read, compiled and thrown away. */
ngx_int_t ngx_http_loyalty_draft(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx);

ngx_int_t ngx_http_loyalty_page_send(ngx_http_request_t *r,
    ngx_http_loyalty_answer_t *answer);

/* A header whose name and value outlive the request; an answer and all its
 * text, which the request's pool holds. */
ngx_int_t ngx_http_loyalty_answer_header(ngx_http_request_t *r,
    const char *name, const char *value);
ngx_int_t ngx_http_loyalty_answer_send(ngx_http_request_t *r,
    ngx_uint_t status, const char *type, ngx_str_t *text);

/* The same for who has the link alone: nobody keeps or is told of it. */
ngx_int_t ngx_http_loyalty_answer_private(ngx_http_request_t *r,
    ngx_uint_t status, const char *type, ngx_str_t *text);

/* A page of a few words; `detail`, or NULL, is text that is not ours. */
ngx_int_t ngx_http_loyalty_answer_notice(ngx_http_request_t *r,
    ngx_uint_t status, const ngx_http_loyalty_notice_t *notice,
    ngx_str_t *detail);

/* NGX_OK: GET or HEAD, the body is being dropped; else what to answer. */
ngx_int_t ngx_http_loyalty_page_method(ngx_http_request_t *r);

/* What the template sees; a new reference, NULL: out of memory. */
json_t *ngx_http_loyalty_page_model(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx, ngx_http_loyalty_preview_e preview);

/* The member as the API shows one, null for a guest; a new reference. */
json_t *ngx_http_loyalty_status_member(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx);

/* The text of the stylesheet for the site's design. */
ngx_int_t ngx_http_loyalty_page_style(ngx_http_request_t *r,
    loyalty_program_t *program, ngx_str_t *text);

const loyalty_design_t *ngx_http_loyalty_page_design(
    loyalty_program_t *program);


#endif /* _NGX_HTTP_LOYALTY_PAGE_H_INCLUDED_ */
