/*
 * What the back end's glue shares: configuration, sessions, jobs.
 */

#ifndef _NGX_HTTP_LOYALTY_BACKEND_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_BACKEND_H_INCLUDED_


#include "ngx_http_loyalty.h"
#include "loyalty_api.h"
#include "loyalty_delivery.h"
#include "loyalty_hooks.h"


typedef struct {
    ngx_thread_pool_t      *api_pool;      /* NULL: no loyalty_backend */
    ngx_thread_pool_t      *jobs_pool;
    loyalty_store_conf_t    api;
    loyalty_store_conf_t    jobs;          /* the same, stops at a reload */
    loyalty_delivery_conf_t  *delivery;    /* NULL: messages wait */
    ngx_str_t               track_secret;  /* of their links, or empty */
    ngx_str_t               preview_secret;
    loyalty_hooks_conf_t    hooks;
    ngx_uint_t              insecure;      /* session cookies without TLS */
    ngx_uint_t              rate;          /* a second and caller; 0: off */
    ngx_shm_zone_t         *limits;
    ngx_shm_zone_t         *asked;         /* when the API was, last */
} ngx_http_loyalty_backend_main_conf_t;


char *ngx_http_loyalty_delivery(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

ngx_int_t ngx_http_loyalty_backend_handler(ngx_http_request_t *r);

/* From a header Cookie to the value of the session's in it. */
ngx_int_t ngx_http_loyalty_backend_cookie(ngx_str_t *value);

/* The zone of rate=; and whether this request is one too many. */
ngx_int_t ngx_http_loyalty_limit_zone(ngx_conf_t *cf,
    ngx_http_loyalty_backend_main_conf_t *bmcf);
ngx_uint_t ngx_http_loyalty_limit_reached(ngx_http_request_t *r,
    ngx_http_loyalty_backend_main_conf_t *bmcf);

/* Whether the API has known the caller of a request that was let in. */
void ngx_http_loyalty_limit_known(ngx_http_request_t *r,
    ngx_http_loyalty_backend_main_conf_t *bmcf, ngx_uint_t known);

/* The API has been asked, by whatever worker: in the configuration, as a
 * worker starts, and with each request.  Then, in a thread: just now? */
ngx_int_t ngx_http_loyalty_asked_zone(ngx_conf_t *cf,
    ngx_http_loyalty_backend_main_conf_t *bmcf);
void ngx_http_loyalty_asked_init(ngx_http_loyalty_backend_main_conf_t *bmcf);
void ngx_http_loyalty_asked_note(void);
bool ngx_http_loyalty_asked(void);

/* Sessions wait for threads in a list; in init_process and exit_process. */
ngx_int_t ngx_http_loyalty_backend_sessions_init(void);
void ngx_http_loyalty_backend_sessions_free(void);

ngx_int_t ngx_loyalty_jobs_start(ngx_cycle_t *cycle,
    ngx_http_loyalty_backend_main_conf_t *bmcf);
void ngx_loyalty_jobs_stop(void);


#endif /* _NGX_HTTP_LOYALTY_BACKEND_H_INCLUDED_ */
