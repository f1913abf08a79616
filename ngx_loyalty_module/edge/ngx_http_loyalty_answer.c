/*
 * How an answer that the edge made by itself goes out.
 */


#include "ngx_http_loyalty_page.h"
#include "loyalty_locale.h"
#include "ngx_loyalty_compat.h"


ngx_int_t
ngx_http_loyalty_answer_header(ngx_http_request_t *r, const char *name,
    const char *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 1;
    ngx_loyalty_set_next(h, NULL);
    h->key.data = (u_char *) name;
    h->key.len = ngx_strlen(name);
    h->value.data = (u_char *) value;
    h->value.len = ngx_strlen(value);

    return NGX_OK;
}


ngx_int_t
ngx_http_loyalty_answer_send(ngx_http_request_t *r, ngx_uint_t status,
    const char *type, ngx_str_t *text)
{
    ngx_buf_t    *b;
    ngx_int_t     rc;
    ngx_chain_t   out;

    r->headers_out.status = status;
    r->headers_out.content_length_n = text->len;
    r->headers_out.content_type.data = (u_char *) type;
    r->headers_out.content_type.len = ngx_strlen(type);
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->pos = text->data;
    b->last = text->data + text->len;
    b->memory = text->len ? 1 : 0;
    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


/* The token stands in the URL: nobody keeps the answer, nobody is told. */

ngx_int_t
ngx_http_loyalty_answer_private(ngx_http_request_t *r, ngx_uint_t status,
    const char *type, ngx_str_t *text)
{
    if (ngx_http_loyalty_answer_header(r, "Cache-Control",
                                       "private, no-store")
            != NGX_OK
        || ngx_http_loyalty_answer_header(r, "Referrer-Policy", "no-referrer")
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_loyalty_answer_send(r, status, type, text);
}


ngx_int_t
ngx_http_loyalty_answer_notice(ngx_http_request_t *r, ngx_uint_t status,
    const ngx_http_loyalty_notice_t *notice, ngx_str_t *detail)
{
    u_char                  *p, *last;
    size_t                   size;
    ngx_str_t                text;
    const char              *title, *says, *button;
    loyalty_str_t            locale;
    ngx_loyalty_language_e   language;

    static const loyalty_str_t  locales[] = { { "en", 2 }, { "fr", 2 } };

    static const char  format[] =
        "<!DOCTYPE html>\n<html lang=\"%*s\">\n<head>\n"
        "<meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width\">\n"
        "<meta name=\"robots\" content=\"noindex\">\n"
        "<title>%s</title>\n"
        "<style>body{font:1.125rem/1.5 sans-serif;max-width:30rem;"
        "margin:3rem auto;padding:0 1rem;color:#1f2937;background:#fff}"
        "h1{font-size:1.75rem;line-height:1.25;margin:0 0 1rem}"
        "button{font:inherit;min-height:3rem;padding:.5rem 1.5rem;"
        "color:#fff;background:#1d4ed8;border:2px solid #1d4ed8;"
        "border-radius:.25rem}"
        "button:focus-visible{outline:3px solid #111827;outline-offset:2px}"
        "</style>\n</head>\n<body>\n<main>\n<h1>%s</h1>\n<p>%s</p>\n";

    locale = loyalty_locale_choose(locales, 2,
                                   ngx_http_loyalty_accept_language(r));
    language = ngx_loyalty_language(locale);

    title = notice->title[language];
    says = notice->says[language];
    button = notice->button[language];

    size = sizeof(format) + 2 * ngx_strlen(title) + ngx_strlen(says) + 256;

    if (detail) {
        size += detail->len
                + ngx_escape_html(NULL, detail->data, detail->len);
    }

    text.data = ngx_pnalloc(r->pool, size);
    if (text.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    last = text.data + size;

    p = ngx_slprintf(text.data, last, format, locale.len, locale.data, title,
                     title, says);

    if (detail) {
        p = ngx_slprintf(p, last, "<p>");
        p = (u_char *) ngx_escape_html(p, detail->data, detail->len);
        p = ngx_slprintf(p, last, "</p>\n");
    }

    if (button) {
        p = ngx_slprintf(p, last,
                         "<form method=\"post\"><button>%s</button></form>\n",
                         button);
    }

    p = ngx_slprintf(p, last, "</main>\n</body>\n</html>\n");
    text.len = p - text.data;

    if (ngx_http_loyalty_answer_header(r, "Vary", "Accept-Language") != NGX_OK
        || ngx_http_loyalty_answer_header(r, "Content-Security-Policy",
               "default-src 'none'; style-src 'unsafe-inline'; "
               "form-action 'self'; frame-ancestors 'none'")
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (status == NGX_HTTP_SERVICE_UNAVAILABLE
        && ngx_http_loyalty_answer_header(r, "Retry-After", "60") != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_loyalty_answer_private(r, status,
                                           "text/html; charset=utf-8", &text);
}
