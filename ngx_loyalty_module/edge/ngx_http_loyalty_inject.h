/*
 * Injection: what its files share.  _inject.c holds the answer back and moves
 * its bytes on; _html.c and _json.c say where something goes in, _badge.c and
 * _fields.c what it tells, _headers.c what becomes of the headers, _conf.c
 * reads the directive.
 */

#ifndef _NGX_HTTP_LOYALTY_INJECT_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_INJECT_H_INCLUDED_


#include "ngx_http_loyalty_filter.h"
#include "loyalty_format.h"
#include "loyalty_json_scan.h"
#include "loyalty_template.h"


typedef struct ngx_http_loyalty_inject_ctx_s  ngx_http_loyalty_inject_ctx_t;


typedef enum {
    NGX_HTTP_LOYALTY_INJECT_HTML = 0,
    NGX_HTTP_LOYALTY_INJECT_JSON
} ngx_http_loyalty_inject_e;


/* A shopper's figures as of now. */

typedef struct {
    const loyalty_program_t         *program;
    loyalty_str_t                    member;     /* empty: a guest */
    loyalty_str_t                    locale;
    const loyalty_tier_t            *tier;       /* NULL: none */
    const loyalty_tier_t            *next;       /* NULL: top, or no ladder */
    ngx_uint_t                       ladder;     /* there is progress */
    int64_t                          value;
    int64_t                          remaining;
    ngx_uint_t                       percent;
    int64_t                          points;
    int64_t                          pending;
    int64_t                          life_points;
    ngx_uint_t                       segments;
} ngx_http_loyalty_figures_t;


/* Texts for a template; they live in `room`, the program and the request. */

typedef enum {
    NGX_HTTP_LOYALTY_FIELD_MEMBER = 0,
    NGX_HTTP_LOYALTY_FIELD_GUEST,
    NGX_HTTP_LOYALTY_FIELD_LOCALE,
    NGX_HTTP_LOYALTY_FIELD_LABEL,
    NGX_HTTP_LOYALTY_FIELD_STATUS,
    NGX_HTTP_LOYALTY_FIELD_STATUS_ID,
    NGX_HTTP_LOYALTY_FIELD_COLOR,
    NGX_HTTP_LOYALTY_FIELD_NEXT,
    NGX_HTTP_LOYALTY_FIELD_NEXT_ID,
    NGX_HTTP_LOYALTY_FIELD_REMAINING,
    NGX_HTTP_LOYALTY_FIELD_PERCENT,
    NGX_HTTP_LOYALTY_FIELD_PROGRESS_TEXT,
    NGX_HTTP_LOYALTY_FIELD_POINTS,
    NGX_HTTP_LOYALTY_FIELD_PENDING,
    NGX_HTTP_LOYALTY_FIELD_LIFE_POINTS,
    NGX_HTTP_LOYALTY_FIELD_POINTS_TEXT,
    NGX_HTTP_LOYALTY_FIELD_SEGMENT,
    NGX_HTTP_LOYALTY_FIELD_VIP,
    NGX_HTTP_LOYALTY_FIELD_AT_RISK,
    NGX_HTTP_LOYALTY_FIELD_NEW,
    NGX_HTTP_LOYALTY_FIELD_RECURRING,
    NGX_HTTP_LOYALTY_FIELD_SIGN_IN_URL,
    NGX_HTTP_LOYALTY_FIELD_SIGN_IN_TEXT,
    NGX_HTTP_LOYALTY_FIELD_N
} ngx_http_loyalty_field_e;

#define NGX_HTTP_LOYALTY_FIELD_ROOM  (2048 + LOYALTY_FORMAT_SIZE)

typedef struct {
    loyalty_str_t                    texts[NGX_HTTP_LOYALTY_FIELD_N];
    uint64_t                         used;       /* a bit a field */
    const loyalty_format_t          *format;
    char                            *last;
    char                             room[NGX_HTTP_LOYALTY_FIELD_ROOM];
} ngx_http_loyalty_fields_t;


struct ngx_http_loyalty_inject_conf_s {
    ngx_http_loyalty_inject_e        type;
    loyalty_str_t                    marker;
    loyalty_template_t              *template;
    uint64_t                         used;       /* fields of the template */
    ngx_str_t                        name;       /* of the JSON member */
    ngx_str_t                        member;     /* quoted, with its colon */
};


/*
 * The bytes seen and not yet passed on are those of `pending`, a block of our
 * own, then those of `buf`, the buffer being worked on.  Positions are counted
 * over the two.
 */

struct ngx_http_loyalty_inject_ctx_s {
    ngx_http_request_t              *request;
    ngx_http_loyalty_inject_conf_t  *conf;

    off_t                            length;     /* the shop's, or -1 */
    off_t                            received;
    off_t                            added;      /* bytes put in less cut */

    ngx_buf_t                       *pending;    /* NULL: nothing in it */
    ngx_chain_t                     *blocks;     /* its kind, for reuse */
    ngx_buf_t                       *buf;
    size_t                           taken;      /* passed on or cut */
    ngx_buf_t                       *slice;      /* the last one of buf */
    ngx_buf_t                       *pending_slice;
    ngx_buf_t                       *tail;       /* the last put out for buf */

    ngx_chain_t                     *out;
    ngx_chain_t                    **last_out;
    ngx_chain_t                     *free;
    ngx_chain_t                     *busy;

    loyalty_json_scan_t             *json;
    size_t                           scanned;    /* of pending */

    unsigned                         held:1;     /* the header has not gone */
    unsigned                         last:1;     /* nothing comes after buf */
    unsigned                         waits:1;    /* the header may wait on */
    unsigned                         more:1;     /* buffers in this call */
    unsigned                         borrowed:1; /* pending is one of them */
    unsigned                         begun:1;    /* some has been passed on */
    unsigned                         changed:1;
    unsigned                         done:1;     /* the rest passes as it is */
};


/*
 * Looks at ctx->pending and ctx->buf, passes on what it can.  NGX_OK: done,
 * what is left and all that comes passes as it is; NGX_AGAIN: what is left is
 * to be kept; NGX_ERROR.
 */
ngx_int_t ngx_http_loyalty_inject_html(ngx_http_loyalty_inject_ctx_t *ctx);
ngx_int_t ngx_http_loyalty_inject_json_init(
    ngx_http_loyalty_inject_ctx_t *ctx);
ngx_int_t ngx_http_loyalty_inject_json(ngx_http_loyalty_inject_ctx_t *ctx);

/* Passes on what is between ctx->taken and `to`. */
ngx_int_t ngx_http_loyalty_inject_pass(ngx_http_loyalty_inject_ctx_t *ctx,
    size_t to);
/* Drops what is between ctx->taken and `to`. */
void ngx_http_loyalty_inject_cut(ngx_http_loyalty_inject_ctx_t *ctx,
    size_t to);
/* The badge, in the request's pool.  NGX_DECLINED: there is none, counted. */
ngx_int_t ngx_http_loyalty_badge(ngx_http_loyalty_inject_ctx_t *ctx,
    ngx_str_t *badge);

/* Puts text of the request's pool in at ctx->taken. */
ngx_int_t ngx_http_loyalty_inject_put(ngx_http_loyalty_inject_ctx_t *ctx,
    ngx_str_t *text);

/* Takes back all that was passed, cut and put, where it has not begun. */
void ngx_http_loyalty_inject_undo(ngx_http_loyalty_inject_ctx_t *ctx);

/* How many bytes are in pending and buf. */
size_t ngx_http_loyalty_inject_size(ngx_http_loyalty_inject_ctx_t *ctx);

/* The text in quotes; room for six bytes to each of it and two. */
u_char *ngx_http_loyalty_json_string(u_char *p, loyalty_str_t text);

/* Only where ngx_http_loyalty_inject_wanted(). */
void ngx_http_loyalty_figures(ngx_http_request_t *r,
    ngx_http_loyalty_figures_t *figures);
/* Fills in those of fields->used. */
void ngx_http_loyalty_fields(ngx_http_loyalty_figures_t *figures,
    ngx_http_loyalty_fields_t *fields);
#define ngx_http_loyalty_uses(fields, name)                                   \
    ((fields)->used & ((uint64_t) 1 << NGX_HTTP_LOYALTY_FIELD_##name))
extern const loyalty_str_t
    ngx_http_loyalty_field_names[NGX_HTTP_LOYALTY_FIELD_N];

/* Whether this shopper's answers are to be changed. */
ngx_uint_t ngx_http_loyalty_inject_wanted(ngx_http_request_t *r);

/* The headers of an answer for one member alone. */
ngx_int_t ngx_http_loyalty_inject_personalise(ngx_http_request_t *r);


#endif /* _NGX_HTTP_LOYALTY_INJECT_H_INCLUDED_ */
