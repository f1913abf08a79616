/*
 * loyalty_order_post: the event as a POST to an internal location.
 *
 * A background subrequest would hold the shopper's connection until the
 * merchant's system has answered.  So the request has a connection of its own:
 * one end of a socket pair whose other end says nothing, with a send_chain
 * that swallows the answer.  nginx closes it like any other.
 *
 * It starts when the order is on disk, from the journal, and counts as done
 * with a 2xx answer; anything else is left to the back end.
 */


#include "ngx_http_loyalty_filter.h"
#include "ngx_http_loyalty_order_post.h"


typedef struct {
    ngx_http_loyalty_post_handler_pt   handler;
    void                              *data;
    ngx_http_request_t                *request;
    ngx_event_t                        timeout;
    ngx_socket_t                       peer;
} ngx_http_loyalty_post_t;


static ngx_http_core_srv_conf_t *ngx_http_loyalty_post_server(
    loyalty_journal_payload_t *payload);
static ngx_connection_t *ngx_http_loyalty_post_connection(
    ngx_http_core_srv_conf_t *cscf, ngx_socket_t *peer);
static ngx_int_t ngx_http_loyalty_post_request(ngx_http_request_t *r,
    ngx_http_core_srv_conf_t *cscf, loyalty_journal_payload_t *payload,
    ngx_str_t *id);
static ngx_table_elt_t *ngx_http_loyalty_post_header(ngx_http_request_t *r,
    ngx_str_t *name, ngx_str_t *value);
static ngx_chain_t *ngx_http_loyalty_post_swallow(ngx_connection_t *c,
    ngx_chain_t *in, off_t limit);
static void ngx_http_loyalty_post_event(ngx_event_t *ev);
static void ngx_http_loyalty_post_timeout(ngx_event_t *ev);
static void ngx_http_loyalty_post_ended(void *data);


static ngx_str_t  ngx_http_loyalty_post_host = ngx_string("Host");
static ngx_str_t  ngx_http_loyalty_post_type = ngx_string("Content-Type");
static ngx_str_t  ngx_http_loyalty_post_json = ngx_string("application/json");
static ngx_str_t  ngx_http_loyalty_post_len = ngx_string("Content-Length");
static ngx_str_t  ngx_http_loyalty_post_key = ngx_string("Idempotency-Key");


/* The names by which a record finds its server again, also after a restart */

char *
ngx_http_loyalty_order_post_add(ngx_conf_t *cf, ngx_str_t *uri)
{
    ngx_uint_t                            i;
    ngx_http_core_srv_conf_t             *cscf;
    ngx_http_loyalty_post_conf_t         *post;
    ngx_http_loyalty_filter_main_conf_t  *fmcf;

    cscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_core_module);
    fmcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_loyalty_filter_module);

    if (fmcf->posts.elts == NULL
        && ngx_array_init(&fmcf->posts, cf->pool, 4,
                          sizeof(ngx_http_loyalty_post_conf_t))
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    post = fmcf->posts.elts;

    for (i = 0; i < fmcf->posts.nelts; i++) {
        if (post[i].server == cscf && post[i].uri.len == uri->len
            && ngx_strncmp(post[i].uri.data, uri->data, uri->len) == 0)
        {
            return NGX_CONF_OK;
        }
    }

    post = ngx_array_push(&fmcf->posts);
    if (post == NULL) {
        return NGX_CONF_ERROR;
    }

    post->server = cscf;
    post->uri = *uri;

    return NGX_CONF_OK;
}


/* NULL where there is none, or more than one by that name */

static ngx_http_core_srv_conf_t *
ngx_http_loyalty_post_server(loyalty_journal_payload_t *payload)
{
    ngx_uint_t                            i;
    ngx_str_t                            *name;
    ngx_http_core_srv_conf_t             *cscf;
    ngx_http_loyalty_post_conf_t         *post;
    ngx_http_loyalty_filter_main_conf_t  *fmcf;

    fmcf = ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                               ngx_http_loyalty_filter_module);
    post = fmcf->posts.elts;
    cscf = NULL;

    for (i = 0; i < fmcf->posts.nelts; i++) {
        name = &post[i].server->server_name;

        if (post[i].uri.len != payload->uri.len
            || ngx_memcmp(post[i].uri.data, payload->uri.data,
                          payload->uri.len)
               != 0
            || name->len != payload->server.len
            || ngx_memcmp(name->data, payload->server.data, name->len) != 0)
        {
            continue;
        }

        if (cscf != NULL) {
            return NULL;
        }

        cscf = post[i].server;
    }

    return cscf;
}


ngx_int_t
ngx_http_loyalty_order_post(loyalty_journal_payload_t *payload, ngx_str_t *id,
    ngx_http_loyalty_post_handler_pt handler, void *data)
{
    ngx_socket_t               peer;
    ngx_connection_t          *c;
    ngx_http_request_t        *r;
    ngx_http_cleanup_t        *cln;
    ngx_http_loyalty_post_t   *post;
    ngx_http_core_srv_conf_t  *cscf;

    cscf = ngx_http_loyalty_post_server(payload);
    if (cscf == NULL) {
        return NGX_DECLINED;
    }

    c = ngx_http_loyalty_post_connection(cscf, &peer);
    if (c == NULL) {
        return NGX_ERROR;
    }

    r = ngx_http_create_request(c);
    if (r == NULL) {
        ngx_http_close_connection(c);
        (void) close(peer);
        return NGX_ERROR;
    }

    c->data = r;

#if (NGX_STAT_STUB)
    (void) ngx_atomic_fetch_add(ngx_stat_reading, -1);
    r->stat_reading = 0;
    (void) ngx_atomic_fetch_add(ngx_stat_writing, 1);
    r->stat_writing = 1;
#endif

    post = ngx_pcalloc(r->pool, sizeof(ngx_http_loyalty_post_t));
    cln = ngx_http_cleanup_add(r, 0);

    if (post == NULL || cln == NULL
        || ngx_http_loyalty_post_request(r, cscf, payload, id) != NGX_OK)
    {
        r->logged = 1;
        ngx_http_finalize_request(r, NGX_ERROR);
        (void) close(peer);
        return NGX_ERROR;
    }

    post->handler = handler;
    post->data = data;
    post->request = r;
    post->peer = peer;

    post->timeout.handler = ngx_http_loyalty_post_timeout;
    post->timeout.data = post;
    post->timeout.log = ngx_cycle->log;

    cln->handler = ngx_http_loyalty_post_ended;
    cln->data = post;

    ngx_add_timer(&post->timeout, LOYALTY_ORDER_POST_TIMEOUT);

    ngx_http_handler(r);
    ngx_http_run_posted_requests(c);

    return NGX_OK;
}


static ngx_connection_t *
ngx_http_loyalty_post_connection(ngx_http_core_srv_conf_t *cscf,
    ngx_socket_t *peer)
{
    ngx_log_t               *log;
    ngx_pool_t              *pool;
    ngx_socket_t             fds[2];
    ngx_connection_t        *c;
    struct sockaddr         *sa;
    ngx_http_log_ctx_t      *lctx;
    ngx_http_addr_conf_t    *addr;
    ngx_http_connection_t   *hc;

    if (socketpair(AF_UNIX, SOCK_STREAM|SOCK_NONBLOCK|SOCK_CLOEXEC, 0, fds)
        == -1)
    {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, ngx_socket_errno,
                      "socketpair() failed");
        return NULL;
    }

    c = ngx_get_connection(fds[0], ngx_cycle->log);
    if (c == NULL) {
        (void) close(fds[0]);
        (void) close(fds[1]);
        return NULL;
    }

#if (NGX_STAT_STUB)
    (void) ngx_atomic_fetch_add(ngx_stat_active, 1);
#endif

    pool = ngx_create_pool(1024, ngx_cycle->log);

    if (pool == NULL) {
        goto failed;
    }

    c->pool = pool;

    log = ngx_palloc(pool, sizeof(ngx_log_t));
    lctx = ngx_pcalloc(pool, sizeof(ngx_http_log_ctx_t));
    hc = ngx_pcalloc(pool, sizeof(ngx_http_connection_t));
    addr = ngx_pcalloc(pool, sizeof(ngx_http_addr_conf_t));
    sa = ngx_pcalloc(pool, sizeof(struct sockaddr));
    c->buffer = ngx_create_temp_buf(pool, 1);

    if (log == NULL || lctx == NULL || hc == NULL || addr == NULL
        || sa == NULL || c->buffer == NULL)
    {
        goto failed;
    }

    *log = *ngx_cycle->log;
    lctx->connection = c;
    log->data = lctx;
    log->handler = NULL;
    log->action = "posting a loyalty order";
    log->connection = c->number;

    addr->default_server = cscf;
    hc->addr_conf = addr;
    hc->conf_ctx = cscf->ctx;

    sa->sa_family = AF_UNIX;
    c->sockaddr = sa;
    c->socklen = sizeof(sa_family_t);
    ngx_str_set(&c->addr_text, "unix:");

    c->log = log;
    c->read->log = log;
    c->write->log = log;
    pool->log = log;
    c->log_error = NGX_ERROR_INFO;
    c->data = hc;
    c->listening = ngx_cycle->listening.elts;
    c->number = ngx_atomic_fetch_add(ngx_connection_counter, 1);
    c->start_time = ngx_current_msec;

    c->recv = ngx_recv;
    c->send = ngx_send;
    c->recv_chain = ngx_recv_chain;
    c->send_chain = ngx_http_loyalty_post_swallow;

    c->read->handler = ngx_http_loyalty_post_event;
    c->write->handler = ngx_http_loyalty_post_event;
    c->write->ready = 1;

    *peer = fds[1];

    return c;

failed:

    (void) close(fds[1]);

    if (c->pool != NULL) {
        ngx_http_close_connection(c);
        return NULL;
    }

#if (NGX_STAT_STUB)
    (void) ngx_atomic_fetch_add(ngx_stat_active, -1);
#endif

    ngx_close_connection(c);

    return NULL;
}


static ngx_int_t
ngx_http_loyalty_post_request(ngx_http_request_t *r,
    ngx_http_core_srv_conf_t *cscf, loyalty_journal_payload_t *payload,
    ngx_str_t *id)
{
    u_char                   *p;
    ngx_buf_t                *b;
    ngx_str_t                 len, value, uri;
    ngx_chain_t              *cl;
    ngx_table_elt_t          *h;
    ngx_http_request_body_t  *rb;

    uri.len = payload->uri.len;
    uri.data = (u_char *) payload->uri.data;

    r->method = NGX_HTTP_POST;
    ngx_str_set(&r->method_name, "POST");
    ngx_str_set(&r->http_protocol, "HTTP/1.1");
    r->http_version = NGX_HTTP_VERSION_11;
    r->internal = 1;
    r->read_event_handler = ngx_http_block_reading;

    /* The record goes away before the request may. */

    r->request_line.len = sizeof("POST  HTTP/1.1") - 1 + uri.len;
    p = ngx_pnalloc(r->pool, r->request_line.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    r->request_line.data = p;
    p = ngx_cpymem(p, "POST ", 5);
    r->uri.data = p;
    r->uri.len = uri.len;
    p = ngx_cpymem(p, uri.data, uri.len);
    ngx_memcpy(p, " HTTP/1.1", 9);

    r->unparsed_uri = r->uri;
    ngx_http_split_args(r, &r->uri, &r->args);
    ngx_http_set_exten(r);

    b = ngx_create_temp_buf(r->pool, payload->json.len);
    rb = ngx_pcalloc(r->pool, sizeof(ngx_http_request_body_t));
    cl = ngx_alloc_chain_link(r->pool);
    len.data = ngx_pnalloc(r->pool, NGX_SIZE_T_LEN);
    value.data = ngx_pnalloc(r->pool, id->len);

    if (b == NULL || rb == NULL || cl == NULL || len.data == NULL
        || value.data == NULL
        || ngx_list_init(&r->headers_in.headers, r->pool, 8,
                         sizeof(ngx_table_elt_t))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    b->last = ngx_cpymem(b->last, payload->json.data, payload->json.len);
    b->last_buf = 1;
    cl->buf = b;
    cl->next = NULL;
    rb->bufs = cl;
    rb->buf = b;
    r->request_body = rb;

    len.len = ngx_sprintf(len.data, "%uz", payload->json.len) - len.data;
    value.len = id->len;
    ngx_memcpy(value.data, id->data, id->len);

    r->headers_in.server = cscf->server_name;
    r->headers_in.content_length_n = payload->json.len;
    r->headers_in.keep_alive_n = -1;

    r->headers_in.host = ngx_http_loyalty_post_header(r,
                                                  &ngx_http_loyalty_post_host,
                                                  &cscf->server_name);
    r->headers_in.content_type = ngx_http_loyalty_post_header(r,
                                                  &ngx_http_loyalty_post_type,
                                                  &ngx_http_loyalty_post_json);
    r->headers_in.content_length = ngx_http_loyalty_post_header(r,
                                                  &ngx_http_loyalty_post_len,
                                                  &len);
    h = ngx_http_loyalty_post_header(r, &ngx_http_loyalty_post_key, &value);

    if (r->headers_in.host == NULL || r->headers_in.content_type == NULL
        || r->headers_in.content_length == NULL || h == NULL)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_table_elt_t *
ngx_http_loyalty_post_header(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_in.headers);
    if (h == NULL) {
        return NULL;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->key = *name;
    h->value = *value;

    h->lowcase_key = ngx_pnalloc(r->pool, name->len);
    if (h->lowcase_key == NULL) {
        return NULL;
    }

    h->hash = ngx_hash_strlow(h->lowcase_key, name->data, name->len);

    return h;
}


static ngx_chain_t *
ngx_http_loyalty_post_swallow(ngx_connection_t *c, ngx_chain_t *in,
    off_t limit)
{
    for ( /* void */ ; in; in = in->next) {

        if (ngx_buf_special(in->buf)) {
            continue;
        }

        c->sent += ngx_buf_size(in->buf);

        in->buf->pos = in->buf->last;

        if (in->buf->in_file) {
            in->buf->file_pos = in->buf->file_last;
        }
    }

    return NULL;
}


static void
ngx_http_loyalty_post_event(ngx_event_t *ev)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    c = ev->data;
    r = c->data;

    if (c->close) {
        ngx_http_finalize_request(r, NGX_ERROR);
        ngx_http_run_posted_requests(c);
        return;
    }

    if (ev->delayed && ev->timedout) {
        ev->delayed = 0;
        ev->timedout = 0;
    }

    if (ev->write) {
        r->write_event_handler(r);

    } else {
        r->read_event_handler(r);
    }

    ngx_http_run_posted_requests(c);
}


static void
ngx_http_loyalty_post_timeout(ngx_event_t *ev)
{
    ngx_connection_t         *c;
    ngx_http_loyalty_post_t  *post;

    post = ev->data;
    c = post->request->connection;

    ngx_log_error(NGX_LOG_WARN, c->log, 0,
                  "loyalty order post to \"%V\" has timed out, the back end "
                  "will send it", &post->request->uri);

    /* An answer that has begun is no 2xx as long as it has not ended. */

    post->request->headers_out.status = NGX_HTTP_REQUEST_TIME_OUT;

    ngx_http_finalize_request(post->request, NGX_ERROR);
    ngx_http_run_posted_requests(c);
}


static void
ngx_http_loyalty_post_ended(void *data)
{
    ngx_http_loyalty_post_t *post = data;

    ngx_uint_t           status;
    ngx_http_request_t  *r;

    r = post->request;

    if (post->timeout.timer_set) {
        ngx_del_timer(&post->timeout);
    }

    (void) close(post->peer);

    status = r->err_status ? r->err_status : r->headers_out.status;

    post->handler(post->data,
                  (status >= NGX_HTTP_OK && status < NGX_HTTP_SPECIAL_RESPONSE
                   && r->header_sent)
                  ? NGX_OK : NGX_ERROR);
}
