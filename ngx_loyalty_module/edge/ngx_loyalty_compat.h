/*
 * What differs between nginx 1.22 and 1.30, in one place.
 */

#ifndef _NGX_LOYALTY_COMPAT_H_INCLUDED_
#define _NGX_LOYALTY_COMPAT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * 1.23.0 turned the arrays of multi-value headers (Cookie, Cache-Control,
 * X-Forwarded-For) into lists linked by `next`, and gave every header that
 * field.
 */

#if (nginx_version >= 1023000)

#define ngx_loyalty_set_next(h, to)  (h)->next = (to)

#else

#define ngx_loyalty_set_next(h, to)

#endif


/* Makes a header of the list the answer's only Cache-Control. */

static ngx_inline ngx_int_t
ngx_loyalty_cache_control(ngx_http_request_t *r, ngx_table_elt_t *h)
{
#if (nginx_version >= 1023000)

    h->next = NULL;
    r->headers_out.cache_control = h;

#else

    ngx_table_elt_t  **p;

    if (ngx_array_init(&r->headers_out.cache_control, r->pool, 1,
                       sizeof(ngx_table_elt_t *))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    p = ngx_array_push(&r->headers_out.cache_control);
    *p = h;

#endif

    return NGX_OK;
}


#endif /* _NGX_LOYALTY_COMPAT_H_INCLUDED_ */
