/*
 * Injection and the headers.  Towards the shop: nothing that would make it,
 * or us, answer with less than the whole, uncompressed page.  Towards the
 * shopper: a length that is true, and no word that lets a cache give one
 * member's page to another, or the page of yesterday to anybody.
 */


#include "ngx_http_loyalty_inject.h"
#include "ngx_loyalty_compat.h"


static ngx_uint_t ngx_http_loyalty_inject_request_header(ngx_table_elt_t *h);
static ngx_uint_t ngx_http_loyalty_inject_named(ngx_str_t *name,
    ngx_str_t *names);
static ngx_int_t ngx_http_loyalty_inject_cache_control(ngx_http_request_t *r);
static u_char *ngx_http_loyalty_inject_directives(u_char *p, ngx_str_t *value);


/* Not passed to the shop.  Accept-Encoding stays known to nginx itself, which
 * may compress what it sends on. */

static ngx_str_t  ngx_http_loyalty_inject_request_headers[] = {
    ngx_string("Accept-Encoding"),
    ngx_string("If-None-Match"),
    ngx_string("If-Modified-Since"),
    ngx_string("If-Range"),
    ngx_string("Range"),
    ngx_null_string
};


/* True of the shop's bytes or of a page for everybody. */

static ngx_str_t  ngx_http_loyalty_inject_response_headers[] = {
    ngx_string("Content-MD5"),
    ngx_string("Digest"),
    ngx_string("Content-Digest"),
    ngx_string("Repr-Digest"),
    ngx_string("Expires"),
    ngx_string("Surrogate-Control"),
    ngx_string("CDN-Cache-Control"),
    ngx_null_string
};


/* What a page of one member may not say to a cache. */

static ngx_str_t  ngx_http_loyalty_inject_not_private[] = {
    ngx_string("public"),
    ngx_string("private"),
    ngx_string("max-age"),
    ngx_string("s-maxage"),
    ngx_string("immutable"),
    ngx_string("stale-while-revalidate"),
    ngx_string("stale-if-error"),
    ngx_null_string
};


ngx_uint_t
ngx_http_loyalty_inject_wanted(ngx_http_request_t *r)
{
    ngx_http_loyalty_ctx_t       *ctx;
    ngx_http_loyalty_loc_conf_t  *llcf;

    llcf = ngx_http_get_module_loc_conf(r, ngx_http_loyalty_module);

    if (llcf->page != NULL) {
        return 0;
    }

    ctx = ngx_http_loyalty_ctx(r);

    if (ctx == NULL
        || ctx->program == NULL
        || !ctx->program->program->settings.active)
    {
        return 0;
    }

    /* a member whom Redis, being away, can't tell about is no guest */

    return ctx->member.len == 0
           || ctx->view != NULL
           || ctx->cache == NGX_HTTP_LOYALTY_NEGATIVE;
}


void
ngx_http_loyalty_inject_request(ngx_http_request_t *r)
{
    ngx_table_elt_t                     *accept_encoding;
    ngx_http_loyalty_filter_loc_conf_t  *flcf;

    flcf = ngx_http_get_module_loc_conf(r, ngx_http_loyalty_filter_module);

    if (flcf->inject == NULL
        || r != r->main
        || !ngx_http_loyalty_inject_wanted(r))
    {
        return;
    }

    accept_encoding = r->headers_in.accept_encoding;

    if (accept_encoding != NULL) {
        accept_encoding = ngx_palloc(r->pool, sizeof(ngx_table_elt_t));
        if (accept_encoding == NULL) {
            return;
        }

        *accept_encoding = *r->headers_in.accept_encoding;
    }

    (void) ngx_http_loyalty_headers_drop(r,
                                       ngx_http_loyalty_inject_request_header);

    r->headers_in.accept_encoding = accept_encoding;
    r->headers_in.if_none_match = NULL;
    r->headers_in.if_modified_since = NULL;
    r->headers_in.if_range = NULL;
    r->headers_in.range = NULL;
}


static ngx_uint_t
ngx_http_loyalty_inject_request_header(ngx_table_elt_t *h)
{
    return ngx_http_loyalty_inject_named(&h->key,
                                      ngx_http_loyalty_inject_request_headers);
}


static ngx_uint_t
ngx_http_loyalty_inject_named(ngx_str_t *name, ngx_str_t *names)
{
    for ( /* void */ ; names->len; names++) {
        if (name->len == names->len
            && ngx_strncasecmp(name->data, names->data, names->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


ngx_int_t
ngx_http_loyalty_inject_personalise(ngx_http_request_t *r)
{
    ngx_uint_t        i;
    ngx_table_elt_t  *h;
    ngx_list_part_t  *part;

    ngx_http_clear_accept_ranges(r);
    ngx_http_clear_last_modified(r);
    ngx_http_clear_etag(r);

    for (part = &r->headers_out.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (ngx_http_loyalty_inject_named(&h[i].key,
                                    ngx_http_loyalty_inject_response_headers))
            {
                h[i].hash = 0;
            }
        }
    }

    r->headers_out.expires = NULL;

    return ngx_http_loyalty_inject_cache_control(r);
}


/*
 * All Cache-Control headers become one: private, and of the shop's directives
 * those that ask for more than that.
 */

static ngx_int_t
ngx_http_loyalty_inject_cache_control(ngx_http_request_t *r)
{
    size_t            len;
    u_char           *p;
    ngx_str_t         value;
    ngx_uint_t        i;
    ngx_table_elt_t  *h, *first;
    ngx_list_part_t  *part;

    static ngx_str_t  name[] = {
        ngx_string("Cache-Control"),
        ngx_null_string
    };

    first = NULL;
    len = sizeof("private") - 1;

    for (part = &r->headers_out.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].hash == 0
                || !ngx_http_loyalty_inject_named(&h[i].key, name))
            {
                continue;
            }

            if (ngx_strlcasestrn(h[i].value.data,
                                 h[i].value.data + h[i].value.len,
                                 (u_char *) "no-store",
                                 sizeof("no-store") - 2)
                != NULL)
            {
                /* stronger than private, which is leave to store */
                return NGX_OK;
            }

            len += sizeof(", ") - 1 + 2 * h[i].value.len;
        }
    }

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    value.data = p;

    p = ngx_cpymem(p, "private", sizeof("private") - 1);

    for (part = &r->headers_out.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].hash == 0
                || !ngx_http_loyalty_inject_named(&h[i].key, name))
            {
                continue;
            }

            p = ngx_http_loyalty_inject_directives(p, &h[i].value);

            if (first == NULL) {
                first = &h[i];

            } else {
                h[i].hash = 0;
            }
        }
    }

    value.len = p - value.data;

    if (first != NULL) {
        first->value = value;
        return NGX_OK;
    }

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 1;
    h->key = name[0];
    h->value = value;

    return ngx_loyalty_cache_control(r, h);
}


/* Appends the directives of `value` that a private page may keep. */

static u_char *
ngx_http_loyalty_inject_directives(u_char *p, ngx_str_t *value)
{
    u_char     *start, *last, *end;
    ngx_str_t   name;
    ngx_uint_t  quoted;

    start = value->data;
    last = value->data + value->len;

    for ( /* void */ ; start < last; start = end + 1) {

        quoted = 0;

        for (end = start; end < last && (quoted || *end != ','); end++) {
            quoted ^= (*end == '"');
        }

        while (start < end && (*start == ' ' || *start == '\t')) {
            start++;
        }

        name.data = start;

        while (start < end && *start != '=' && *start != ' ') {
            start++;
        }

        name.len = start - name.data;

        if (name.len == 0
            || ngx_http_loyalty_inject_named(&name,
                                         ngx_http_loyalty_inject_not_private))
        {
            continue;
        }

        p = ngx_cpymem(p, ", ", sizeof(", ") - 1);
        p = ngx_cpymem(p, name.data, end - name.data);

        while (p[-1] == ' ' || p[-1] == '\t') {
            p--;
        }
    }

    return p;
}
