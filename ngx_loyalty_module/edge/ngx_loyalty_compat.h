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


#endif /* _NGX_LOYALTY_COMPAT_H_INCLUDED_ */
