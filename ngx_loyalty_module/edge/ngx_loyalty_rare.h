/*
 * A line of the log that any number of requests could give rise to: said once
 * in so many seconds by each worker, with how many before it were not.
 */

#ifndef _NGX_LOYALTY_RARE_H_INCLUDED_
#define _NGX_LOYALTY_RARE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


typedef struct {
    time_t      last;
    ngx_uint_t  since;
    ngx_uint_t  unsaid;   /* before the line that is due */
} ngx_loyalty_rare_t;


static ngx_inline ngx_uint_t
ngx_loyalty_rare(ngx_loyalty_rare_t *rare, time_t seconds)
{
    if (rare->last != 0 && ngx_time() - rare->last < seconds) {
        rare->since++;
        return 0;
    }

    rare->last = ngx_time();
    rare->unsaid = rare->since;
    rare->since = 0;

    return 1;
}


#endif /* _NGX_LOYALTY_RARE_H_INCLUDED_ */
