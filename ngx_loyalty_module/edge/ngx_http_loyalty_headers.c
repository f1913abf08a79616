/*
 * `loyalty_headers`: what the shop is told in the request, and nobody else
 * may tell it.
 *
 * X-Loyalty-* of a client never reach the shop where any location of the
 * server says `loyalty on` or `loyalty_headers on`: they are dropped in all
 * its locations, before the first rewrite.  A server without either is taken
 * for the shop's side and left alone.  A name is compared as a shop
 * may read it: case aside, and every sign but letters and digits alike, since
 * CGI makes X-Loyalty-Tier and X_Loyalty.Tier the same variable.
 *
 * X-Loyalty-Signature is "t=SECONDS,v1=HEX", HEX being HMAC-SHA256 by the
 * secret over these lines, each ended by a newline, absent headers empty:
 *
 *     v1  SECONDS  site  Member  Tier  Segments  Points  Offers
 *
 * The shop computes it from what it got, compares in constant time, and
 * refuses a time more than a minute away from its own.
 */


#include "ngx_http_loyalty.h"
#include "loyalty_token.h"


struct ngx_http_loyalty_headers_conf_s {
    ngx_flag_t   enable;
    ngx_str_t    secret;
};


enum {
    NGX_HTTP_LOYALTY_HEADER_MEMBER = 0,
    NGX_HTTP_LOYALTY_HEADER_TIER,
    NGX_HTTP_LOYALTY_HEADER_SEGMENTS,
    NGX_HTTP_LOYALTY_HEADER_POINTS,
    NGX_HTTP_LOYALTY_HEADER_OFFERS,
    NGX_HTTP_LOYALTY_HEADER_SIGNATURE,
    NGX_HTTP_LOYALTY_HEADER_N
};


static ngx_uint_t ngx_http_loyalty_header_ours(ngx_table_elt_t *h);
static void ngx_http_loyalty_headers_values(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx, ngx_str_t *values);
static void ngx_http_loyalty_headers_sign(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx, ngx_str_t *secret, ngx_str_t *values);
static void ngx_http_loyalty_header_add(ngx_http_request_t *r, ngx_uint_t i,
    ngx_str_t *value);
static void ngx_http_loyalty_header_escape(ngx_http_request_t *r,
    ngx_str_t *value);


#define ngx_http_loyalty_header(name, lowcase)                                \
    { .key = ngx_string(name), .lowcase_key = (u_char *) lowcase }

/* the hashes are filled in when the directive is read */

static ngx_table_elt_t  ngx_http_loyalty_headers[] = {
    ngx_http_loyalty_header("X-Loyalty-Member", "x-loyalty-member"),
    ngx_http_loyalty_header("X-Loyalty-Tier", "x-loyalty-tier"),
    ngx_http_loyalty_header("X-Loyalty-Segments", "x-loyalty-segments"),
    ngx_http_loyalty_header("X-Loyalty-Points", "x-loyalty-points"),
    ngx_http_loyalty_header("X-Loyalty-Offers", "x-loyalty-offers"),
    ngx_http_loyalty_header("X-Loyalty-Signature", "x-loyalty-signature")
};


char *
ngx_http_loyalty_headers_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_loyalty_loc_conf_t *llcf = conf;

    ngx_str_t                        *value, name;
    ngx_uint_t                        i;
    ngx_table_elt_t                  *h;
    ngx_http_loyalty_headers_conf_t  *hcf;

    if (llcf->headers) {
        return "is duplicate";
    }

    for (i = 0; i < NGX_HTTP_LOYALTY_HEADER_N; i++) {
        h = &ngx_http_loyalty_headers[i];
        h->hash = ngx_hash_key(h->lowcase_key, h->key.len);
    }

    hcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_loyalty_headers_conf_t));
    if (hcf == NULL) {
        return NGX_CONF_ERROR;
    }

    llcf->headers = hcf;
    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "on") == 0) {
        hcf->enable = 1;

    } else if (ngx_strcmp(value[1].data, "off") != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\", \"loyalty_headers\" is "
                           "\"on\" or \"off\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    if (cf->args->nelts == 2) {
        return NGX_CONF_OK;
    }

    if (!hcf->enable || ngx_strncmp(value[2].data, "secret=", 7) != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\", \"loyalty_headers on\" "
                           "takes secret=FILE", &value[2]);
        return NGX_CONF_ERROR;
    }

    name.data = value[2].data + 7;
    name.len = value[2].len - 7;

    if (ngx_loyalty_conf_secret(cf, "the secret of \"loyalty_headers\"",
                                &name, &hcf->secret)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


ngx_uint_t
ngx_http_loyalty_headers_on(ngx_http_loyalty_headers_conf_t *hcf)
{
    return hcf && hcf->enable;
}


/* in the POST_READ phase: once a request, before anything reads a header */

ngx_int_t
ngx_http_loyalty_headers_handler(ngx_http_request_t *r)
{
    ngx_http_loyalty_srv_conf_t  *lscf;

    lscf = ngx_http_get_module_srv_conf(r, ngx_http_loyalty_module);

    if (!lscf->used) {
        return NGX_DECLINED;
    }

    ngx_loyalty_metric(CLIENT_HEADERS_DROPPED) +=
        ngx_http_loyalty_headers_drop(r, ngx_http_loyalty_header_ours);

    return NGX_DECLINED;
}


/*
 * The list is written anew: headers_in's pointers may stay on the old
 * elements, which are left as they were.  A list can't lose an element in
 * place, and a subrequest's shares its parts with the main request's.
 */

ngx_uint_t
ngx_http_loyalty_headers_drop(ngx_http_request_t *r,
    ngx_http_loyalty_header_pt drop)
{
    ngx_uint_t        i, n, failed;
    ngx_list_t        list;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h, *copy;

    n = 0;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            n += drop(&h[i]);
        }
    }

    if (n == 0 && r == r->main) {
        return 0;
    }

    failed = ngx_list_init(&list, r->pool, 20, sizeof(ngx_table_elt_t))
             != NGX_OK;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (drop(&h[i])) {
                h[i].value.len = 0;
                continue;
            }

            if (failed) {
                continue;
            }

            copy = ngx_list_push(&list);
            if (copy == NULL) {
                failed = 1;
                continue;
            }

            *copy = h[i];
        }
    }

    if (!failed) {
        r->headers_in.headers = list;

        if (list.last == &list.part) {
            r->headers_in.headers.last = &r->headers_in.headers.part;
        }
    }

    return n;
}


static ngx_uint_t
ngx_http_loyalty_header_ours(ngx_table_elt_t *h)
{
    u_char       c, *name;
    ngx_uint_t   i;

    static u_char  prefix[] = "x-loyalty-";

    if (h->key.len < sizeof(prefix) - 1) {
        return 0;
    }

    name = h->key.data;

    for (i = 0; i < sizeof(prefix) - 1; i++) {

        c = ngx_tolower(name[i]);

        if (prefix[i] == '-') {
            if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
                return 0;
            }

        } else if (c != prefix[i]) {
            return 0;
        }
    }

    return 1;
}


void
ngx_http_loyalty_headers_add(ngx_http_request_t *r,
    ngx_http_loyalty_loc_conf_t *llcf, ngx_http_loyalty_ctx_t *ctx)
{
    ngx_str_t                         values[NGX_HTTP_LOYALTY_HEADER_N];
    ngx_uint_t                        i;
    ngx_http_loyalty_headers_conf_t  *hcf;

    hcf = ngx_http_loyalty_headers_on(llcf->headers) ? llcf->headers : NULL;

    if (ctx == NULL || (hcf == NULL && !ctx->headers)) {
        return;
    }

    /* those of the location before a redirect, or of the main request */

    if (ctx->headers || r != r->main) {
        (void) ngx_http_loyalty_headers_drop(r, ngx_http_loyalty_header_ours);
    }

    if (r == ctx->request) {
        ctx->headers = hcf != NULL;
    }

    if (hcf == NULL || ctx->member.len == 0 || !ngx_http_loyalty_active(ctx)) {
        return;
    }

    for (i = 0; i < NGX_HTTP_LOYALTY_HEADER_N; i++) {
        ngx_str_set(&values[i], "");
    }

    ngx_http_loyalty_headers_values(r, ctx, values);

    if (hcf->secret.len) {
        ngx_http_loyalty_headers_sign(r, ctx, &hcf->secret, values);
    }

    for (i = 0; i < NGX_HTTP_LOYALTY_HEADER_N; i++) {
        if (values[i].len) {
            ngx_http_loyalty_header_add(r, i, &values[i]);
        }
    }
}


static void
ngx_http_loyalty_headers_values(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx, ngx_str_t *values)
{
    const loyalty_tier_t  *tier;

    values[NGX_HTTP_LOYALTY_HEADER_MEMBER] = ctx->member;
    ngx_http_loyalty_header_escape(r, &values[NGX_HTTP_LOYALTY_HEADER_MEMBER]);

    if (ctx->view == NULL) {
        return;
    }

    tier = ngx_http_loyalty_tier(ctx, ctx->view->tier);

    if (tier) {
        values[NGX_HTTP_LOYALTY_HEADER_TIER].data = (u_char *) tier->id.data;
        values[NGX_HTTP_LOYALTY_HEADER_TIER].len = tier->id.len;
        ngx_http_loyalty_header_escape(r,
                                       &values[NGX_HTTP_LOYALTY_HEADER_TIER]);
    }

    ngx_http_loyalty_segments(r, ctx->view->segments,
                              &values[NGX_HTTP_LOYALTY_HEADER_SEGMENTS]);
    ngx_http_loyalty_number(r, ctx->view->points_active,
                            &values[NGX_HTTP_LOYALTY_HEADER_POINTS]);
    ngx_http_loyalty_offers(r, ctx->view,
                            &values[NGX_HTTP_LOYALTY_HEADER_OFFERS]);
    ngx_http_loyalty_header_escape(r, &values[NGX_HTTP_LOYALTY_HEADER_OFFERS]);
}


static void
ngx_http_loyalty_headers_sign(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx, ngx_str_t *secret, ngx_str_t *values)
{
    char            hex[65];
    size_t          len;
    u_char         *p, *text;
    ngx_uint_t      i;
    ngx_str_t      *signature;
    loyalty_str_t   key, signed_text;

    len = sizeof("v1\n\n\n") - 1 + NGX_TIME_T_LEN + ctx->site.len;

    for (i = 0; i < NGX_HTTP_LOYALTY_HEADER_SIGNATURE; i++) {
        len += values[i].len + 1;
    }

    text = ngx_pnalloc(r->pool, len);
    if (text == NULL) {
        return;
    }

    p = ngx_sprintf(text, "v1\n%T\n%V\n", ngx_time(), &ctx->site);

    for (i = 0; i < NGX_HTTP_LOYALTY_HEADER_SIGNATURE; i++) {
        p = ngx_cpymem(p, values[i].data, values[i].len);
        *p++ = LF;
    }

    key.data = (char *) secret->data;
    key.len = secret->len;
    signed_text.data = (char *) text;
    signed_text.len = p - text;

    if (loyalty_hmac_hex(key, signed_text, hex) != LOYALTY_OK) {
        return;
    }

    signature = &values[NGX_HTTP_LOYALTY_HEADER_SIGNATURE];

    p = ngx_pnalloc(r->pool, sizeof("t=,v1=") + NGX_TIME_T_LEN + sizeof(hex));
    if (p == NULL) {
        return;
    }

    signature->data = p;
    signature->len = ngx_sprintf(p, "t=%T,v1=%s", ngx_time(), hex) - p;
}


static void
ngx_http_loyalty_header_add(ngx_http_request_t *r, ngx_uint_t i,
    ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_in.headers);
    if (h == NULL) {
        return;
    }

    *h = ngx_http_loyalty_headers[i];
    h->value = *value;
}


/*
 * Member ids may hold any byte but control characters.  What is not visible
 * ASCII goes out as %XX, and so does "%" itself.
 */

static void
ngx_http_loyalty_header_escape(ngx_http_request_t *r, ngx_str_t *value)
{
    u_char      c, *p, *escaped;
    ngx_uint_t  i;

    for (i = 0; i < value->len; i++) {
        c = value->data[i];

        if (c <= 0x20 || c >= 0x7f || c == '%') {
            break;
        }
    }

    if (i == value->len) {
        return;
    }

    escaped = ngx_pnalloc(r->pool, 3 * value->len);
    if (escaped == NULL) {
        value->len = 0;
        return;
    }

    p = escaped;

    for (i = 0; i < value->len; i++) {
        c = value->data[i];

        if (c <= 0x20 || c >= 0x7f || c == '%') {
            p = ngx_sprintf(p, "%%%02Xi", (ngx_int_t) c);

        } else {
            *p++ = c;
        }
    }

    value->data = escaped;
    value->len = p - escaped;
}
