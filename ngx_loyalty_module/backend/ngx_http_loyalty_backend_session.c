/*
 * Sessions wait for threads in a list: one is a connection to Redis and what
 * the API keeps between calls, made when all others are at work.
 */


#include "ngx_http_loyalty_backend_request.h"

#include <pthread.h>


typedef struct {
    pthread_mutex_t           mutex;
    loyalty_api_session_t   **free;
    ngx_uint_t                nfree;
    ngx_uint_t                capacity;
} ngx_http_loyalty_backend_sessions_t;


static ngx_http_loyalty_backend_sessions_t  ngx_http_loyalty_backend_sessions;


ngx_int_t
ngx_http_loyalty_backend_sessions_init(void)
{
    return pthread_mutex_init(&ngx_http_loyalty_backend_sessions.mutex, NULL)
           == 0 ? NGX_OK : NGX_ERROR;
}


void
ngx_http_loyalty_backend_sessions_free(void)
{
    ngx_http_loyalty_backend_sessions_t  *s;

    s = &ngx_http_loyalty_backend_sessions;

    while (s->nfree) {
        loyalty_api_session_free(s->free[--s->nfree]);
    }

    free(s->free);
    s->free = NULL;
    s->capacity = 0;
}


loyalty_api_session_t *
ngx_http_loyalty_backend_session_get(loyalty_store_conf_t *conf)
{
    loyalty_api_session_t                *session;
    ngx_http_loyalty_backend_sessions_t  *s;

    s = &ngx_http_loyalty_backend_sessions;
    session = NULL;

    pthread_mutex_lock(&s->mutex);

    if (s->nfree) {
        session = s->free[--s->nfree];
    }

    pthread_mutex_unlock(&s->mutex);

    return session ? session : loyalty_api_session_create(conf);
}


void
ngx_http_loyalty_backend_session_put(loyalty_api_session_t *session)
{
    loyalty_api_session_t                **list;
    ngx_http_loyalty_backend_sessions_t   *s;

    s = &ngx_http_loyalty_backend_sessions;

    pthread_mutex_lock(&s->mutex);

    if (s->nfree == s->capacity) {
        list = realloc(s->free, (s->capacity + 8) * sizeof(*list));

        if (list) {
            s->free = list;
            s->capacity += 8;
        }
    }

    if (s->nfree < s->capacity) {
        s->free[s->nfree++] = session;
        session = NULL;
    }

    pthread_mutex_unlock(&s->mutex);

    if (session) {
        loyalty_api_session_free(session);
    }
}
