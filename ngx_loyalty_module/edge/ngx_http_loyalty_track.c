/*
 * `loyalty_track secret=FILE`: opens, clicks and unsubscribes of messages.
 *
 *     GET  .../o/TOKEN    an image of one pixel, whatever the token is
 *     GET  .../c/TOKEN    302 to the URL inside the token
 *     GET  .../u/TOKEN    a page with a button; changes nothing
 *     POST .../u/TOKEN    unsubscribes: the button, or a mail program by
 *                         itself (RFC 8058)
 *
 * What happened goes to the stream `tracks`, or `unsubscribes`: k o|c|u,
 * i message, t ms, and b 1 where a machine asked.  Images and redirects do
 * not wait for Redis, and go out without it; an unsubscribe is answered when
 * Redis has it.
 */


#include "ngx_http_loyalty_page.h"
#include "loyalty_token.h"
#include "ngx_loyalty_compat.h"


typedef struct {
    ngx_loyalty_redis_command_t   command;
    ngx_http_request_t           *request;   /* NULL: nobody waits */
} ngx_http_loyalty_track_t;


static ngx_int_t ngx_http_loyalty_track_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_loyalty_track_verify(ngx_http_loyalty_ctx_t *ctx,
    loyalty_token_type_t type, loyalty_str_t *token, loyalty_str_t *secret,
    char *buffer, loyalty_str_t *payload);
static ngx_int_t ngx_http_loyalty_track_open(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx, loyalty_str_t *token, loyalty_str_t *secret);
static ngx_int_t ngx_http_loyalty_track_click(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx, loyalty_str_t *token, loyalty_str_t *secret);
static ngx_int_t ngx_http_loyalty_track_unsubscribe(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx, loyalty_str_t *token, loyalty_str_t *secret);
static ngx_int_t ngx_http_loyalty_track_wait(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx, loyalty_str_t *message);
static void ngx_http_loyalty_track_cleanup(void *data);
static void ngx_http_loyalty_track_answered(ngx_loyalty_redis_command_t *cmd,
    ngx_loyalty_redis_result_e result, redisReply *reply);
static void ngx_http_loyalty_track_sent(ngx_loyalty_redis_command_t *cmd,
    ngx_loyalty_redis_result_e result, redisReply *reply);
static void ngx_http_loyalty_track_note(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx, const char *kind, loyalty_str_t *message);
static ngx_int_t ngx_http_loyalty_track_add(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx, ngx_loyalty_redis_command_t *cmd,
    const char *kind, loyalty_str_t *message);
static ngx_uint_t ngx_http_loyalty_track_machine(ngx_http_request_t *r);
static ngx_int_t ngx_http_loyalty_track_page(ngx_http_request_t *r,
    ngx_uint_t status, ngx_uint_t page);


/* a transparent GIF of one pixel */

static u_char  ngx_http_loyalty_track_pixel[] = {
    'G', 'I', 'F', '8', '9', 'a', 1, 0, 1, 0, 0x80, 0, 0,
    0, 0, 0, 0, 0, 0, 0x21, 0xf9, 4, 1, 0, 0, 0, 0,
    0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 2, 0x44, 1, 0, 0x3b
};


enum {
    NGX_HTTP_LOYALTY_TRACK_ASK = 0,
    NGX_HTTP_LOYALTY_TRACK_DONE,
    NGX_HTTP_LOYALTY_TRACK_AGAIN,
    NGX_HTTP_LOYALTY_TRACK_UNKNOWN
};


static const ngx_http_loyalty_notice_t  ngx_http_loyalty_track_notices[] = {

    { { "Unsubscribe", "Se désabonner" },
      { "Do you no longer want these messages?",
        "Vous ne souhaitez plus recevoir ces messages ?" },
      { "Unsubscribe", "Se désabonner" } },

    { { "You are unsubscribed", "Désabonnement confirmé" },
      { "You will get no more of these messages.",
        "Vous ne recevrez plus ces messages." },
      { NULL, NULL } },

    { { "Please try again", "Veuillez réessayer" },
      { "This did not work just now. Please try again in a minute.",
        "Cela n’a pas fonctionné. Veuillez réessayer dans une minute." },
      { "Unsubscribe", "Se désabonner" } },

    { { "This link is not valid", "Ce lien n’est pas valide" },
      { "It has expired, or a part of it is missing. Please open the link of "
        "a newer message.",
        "Il a expiré ou il est incomplet. Veuillez ouvrir le lien d’un "
        "message plus récent." },
      { NULL, NULL } }
};


char *
ngx_http_loyalty_track_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_loyalty_loc_conf_t *llcf = conf;

    char       *rv;
    ngx_str_t  *value, name;

    rv = ngx_http_loyalty_page_create(cf, llcf,
                                      ngx_http_loyalty_track_handler);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    value = cf->args->elts;

    if (ngx_strncmp(value[1].data, "secret=", 7) != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\", \"loyalty_track\" takes "
                           "secret=FILE", &value[1]);
        return NGX_CONF_ERROR;
    }

    name.data = value[1].data + 7;
    name.len = value[1].len - 7;

    if (ngx_loyalty_conf_secret(cf, "the secret of \"loyalty_track\"", &name,
                                &llcf->page->secret)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_loyalty_track_handler(ngx_http_request_t *r)
{
    u_char                       *p, *last;
    ngx_int_t                     rc;
    loyalty_str_t                 token, secret;
    ngx_http_loyalty_ctx_t       *ctx;
    ngx_http_loyalty_loc_conf_t  *llcf;

    llcf = ngx_http_get_module_loc_conf(r, ngx_http_loyalty_module);
    ctx = ngx_http_loyalty_ctx(r);

    last = r->uri.data + r->uri.len;

    for (p = last; p > r->uri.data && p[-1] != '/'; p--) { /* void */ }

    if (p - r->uri.data < 3 || p[-3] != '/') {
        return NGX_HTTP_NOT_FOUND;
    }

    token.data = (char *) p;
    token.len = last - p;
    secret.data = (char *) llcf->page->secret.data;
    secret.len = llcf->page->secret.len;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))
        && !(p[-2] == 'u' && r->method == NGX_HTTP_POST))
    {
        (void) ngx_http_loyalty_answer_header(r, "Allow",
                                             p[-2] == 'u' ? "GET, HEAD, POST"
                                                          : "GET, HEAD");
        return NGX_HTTP_NOT_ALLOWED;
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    switch (p[-2]) {

    case 'o':
        return ngx_http_loyalty_track_open(r, ctx, &token, &secret);

    case 'c':
        return ngx_http_loyalty_track_click(r, ctx, &token, &secret);

    case 'u':
        return ngx_http_loyalty_track_unsubscribe(r, ctx, &token, &secret);

    default:
        return NGX_HTTP_NOT_FOUND;
    }
}


static ngx_int_t
ngx_http_loyalty_track_verify(ngx_http_loyalty_ctx_t *ctx,
    loyalty_token_type_t type, loyalty_str_t *token, loyalty_str_t *secret,
    char *buffer, loyalty_str_t *payload)
{
    loyalty_str_t  site;

    if (ctx == NULL || ctx->site.len == 0) {
        return NGX_DECLINED;
    }

    site.data = (char *) ctx->site.data;
    site.len = ctx->site.len;

    return loyalty_token_verify(type, *secret, site,
                                ngx_http_loyalty_instant(), *token, buffer,
                                payload)
           == LOYALTY_OK ? NGX_OK : NGX_DECLINED;
}


static ngx_int_t
ngx_http_loyalty_track_open(ngx_http_request_t *r, ngx_http_loyalty_ctx_t *ctx,
    loyalty_str_t *token, loyalty_str_t *secret)
{
    char           buffer[LOYALTY_TOKEN_SIZE];
    ngx_str_t      image;
    loyalty_str_t  message;

    if (ngx_http_loyalty_track_verify(ctx, LOYALTY_TOKEN_OPEN, token, secret,
                                      buffer, &message)
        == NGX_OK)
    {
        ngx_http_loyalty_track_note(r, ctx, "o", &message);
    }

    image.data = ngx_http_loyalty_track_pixel;
    image.len = sizeof(ngx_http_loyalty_track_pixel);

    return ngx_http_loyalty_answer_private(r, NGX_HTTP_OK, "image/gif", &image);
}


static ngx_int_t
ngx_http_loyalty_track_click(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx, loyalty_str_t *token, loyalty_str_t *secret)
{
    char              buffer[LOYALTY_TOKEN_SIZE];
    u_char           *p, *url, *last;
    ngx_str_t         text;
    loyalty_str_t     message;
    ngx_table_elt_t  *location;

    if (ngx_http_loyalty_track_verify(ctx, LOYALTY_TOKEN_CLICK, token, secret,
                                      buffer, &message)
        != NGX_OK)
    {
        return ngx_http_loyalty_track_page(r, NGX_HTTP_NOT_FOUND,
                                           NGX_HTTP_LOYALTY_TRACK_UNKNOWN);
    }

    last = (u_char *) message.data + message.len;
    url = ngx_strlchr((u_char *) message.data, last, '\0');

    if (url == NULL
        || (ngx_strncmp(url + 1, "https://", 8) != 0
            && ngx_strncmp(url + 1, "http://", 7) != 0))
    {
        return NGX_HTTP_NOT_FOUND;
    }

    message.len = url++ - (u_char *) message.data;

    for (p = url; p < last; p++) {
        if (*p <= ' ' || *p == 0x7f) {
            return NGX_HTTP_NOT_FOUND;
        }
    }

    ngx_http_loyalty_track_note(r, ctx, "c", &message);

    location = ngx_list_push(&r->headers_out.headers);
    p = ngx_pnalloc(r->pool, last - url);
    if (location == NULL || p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    location->hash = 1;
    ngx_loyalty_set_next(location, NULL);
    ngx_str_set(&location->key, "Location");
    location->value.data = p;
    location->value.len = last - url;
    ngx_memcpy(p, url, last - url);

    r->headers_out.location = location;

    ngx_str_null(&text);

    return ngx_http_loyalty_answer_private(r, NGX_HTTP_MOVED_TEMPORARILY,
                                           "text/plain", &text);
}


static ngx_int_t
ngx_http_loyalty_track_unsubscribe(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx, loyalty_str_t *token, loyalty_str_t *secret)
{
    char           buffer[LOYALTY_TOKEN_SIZE];
    loyalty_str_t  message;

    if (ngx_http_loyalty_track_verify(ctx, LOYALTY_TOKEN_UNSUBSCRIBE, token,
                                      secret, buffer, &message)
        != NGX_OK)
    {
        return ngx_http_loyalty_track_page(r, NGX_HTTP_NOT_FOUND,
                                           NGX_HTTP_LOYALTY_TRACK_UNKNOWN);
    }

    if (r->method != NGX_HTTP_POST) {
        return ngx_http_loyalty_track_page(r, NGX_HTTP_OK,
                                           NGX_HTTP_LOYALTY_TRACK_ASK);
    }

    return ngx_http_loyalty_track_wait(r, ctx, &message);
}


static ngx_int_t
ngx_http_loyalty_track_wait(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx, loyalty_str_t *message)
{
    ngx_pool_cleanup_t        *cln;
    ngx_http_loyalty_track_t  *track;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_loyalty_track_t));
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    track = cln->data;
    ngx_memzero(track, sizeof(ngx_http_loyalty_track_t));
    track->request = r;
    track->command.handler = ngx_http_loyalty_track_answered;
    track->command.data = track;

    if (ngx_http_loyalty_track_add(r, ctx, &track->command, "u", message)
        != NGX_OK)
    {
        return ngx_http_loyalty_track_page(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                           NGX_HTTP_LOYALTY_TRACK_AGAIN);
    }

    cln->handler = ngx_http_loyalty_track_cleanup;
    r->main->count++;

    return NGX_DONE;
}


static void
ngx_http_loyalty_track_cleanup(void *data)
{
    ngx_http_loyalty_track_t *track = data;

    if (track->request) {
        ngx_loyalty_redis_cancel(&track->command);
    }
}


static void
ngx_http_loyalty_track_answered(ngx_loyalty_redis_command_t *cmd,
    ngx_loyalty_redis_result_e result, redisReply *reply)
{
    ngx_http_loyalty_track_t *track = cmd->data;

    ngx_int_t            rc;
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = track->request;
    c = r->connection;
    track->request = NULL;

    if (result == NGX_LOYALTY_REDIS_OK && reply->type != REDIS_REPLY_ERROR) {
        rc = ngx_http_loyalty_track_page(r, NGX_HTTP_OK,
                                         NGX_HTTP_LOYALTY_TRACK_DONE);

    } else {
        rc = ngx_http_loyalty_track_page(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                         NGX_HTTP_LOYALTY_TRACK_AGAIN);
    }

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


static void
ngx_http_loyalty_track_sent(ngx_loyalty_redis_command_t *cmd,
    ngx_loyalty_redis_result_e result, redisReply *reply)
{
    ngx_free(cmd);
}


/* Nobody waits for it, and it may be lost. */

static void
ngx_http_loyalty_track_note(ngx_http_request_t *r, ngx_http_loyalty_ctx_t *ctx,
    const char *kind, loyalty_str_t *message)
{
    ngx_loyalty_redis_command_t  *cmd;

    cmd = ngx_calloc(sizeof(ngx_loyalty_redis_command_t), r->connection->log);
    if (cmd == NULL) {
        return;
    }

    cmd->handler = ngx_http_loyalty_track_sent;

    if (ngx_http_loyalty_track_add(r, ctx, cmd, kind, message) != NGX_OK) {
        ngx_free(cmd);
    }
}


static ngx_int_t
ngx_http_loyalty_track_add(ngx_http_request_t *r, ngx_http_loyalty_ctx_t *ctx,
    ngx_loyalty_redis_command_t *cmd, const char *kind, loyalty_str_t *message)
{
    u_char      time[NGX_INT64_LEN];
    ngx_str_t   fields[8];
    ngx_uint_t  machine, n;

    machine = ngx_http_loyalty_track_machine(r);

    ngx_str_set(&fields[0], "k");
    fields[1].data = (u_char *) kind;
    fields[1].len = 1;
    ngx_str_set(&fields[2], "i");
    fields[3].data = (u_char *) message->data;
    fields[3].len = message->len;
    ngx_str_set(&fields[4], "t");
    fields[5].data = time;
    fields[5].len = ngx_sprintf(time, "%L", ngx_http_loyalty_instant()) - time;
    ngx_str_set(&fields[6], "b");
    ngx_str_set(&fields[7], "1");

    n = machine ? 8 : 6;

    /* However many opens and clicks there are, nobody's wish is lost. */

    if (*kind == 'u') {
        return ngx_http_loyalty_stream_add(r, ctx, cmd, "unsubscribes", 0,
                                           fields, n);
    }

    return ngx_http_loyalty_stream_add(r, ctx, cmd, "tracks",
                                       LOYALTY_TRACKS_MAX, fields, n);
}


/* Privacy proxies and scanners of links fetch what nobody has looked at. */

static ngx_uint_t
ngx_http_loyalty_track_machine(ngx_http_request_t *r)
{
    ngx_str_t        *agent;
    ngx_uint_t        i, n;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    static const char  *agents[] = {
        "googleimageproxy", "yahoomailproxy", "yahoocachesystem",
        "bingpreview", "barracuda", "mimecast", "proofpoint", "safelinks",
        "headlesschrome", "bot", "crawler", "spider", "scanner", "preview",
        "curl/", "wget/", "python-", "go-http-client", "java/"
    };

    static const char  *headers[] = {
        "Purpose", "Sec-Purpose", "X-Purpose", "X-Moz"
    };

    if (r->method == NGX_HTTP_HEAD || r->headers_in.user_agent == NULL) {
        return 1;
    }

    agent = &r->headers_in.user_agent->value;

    /* Apple's Mail Privacy Protection says this and no more */

    if (agent->len == 0
        || (agent->len == 11 && ngx_strncmp(agent->data, "Mozilla/5.0", 11)
            == 0))
    {
        return 1;
    }

    for (n = 0; n < sizeof(agents) / sizeof(agents[0]); n++) {
        if (ngx_strlcasestrn(agent->data, agent->data + agent->len,
                             (u_char *) agents[n], ngx_strlen(agents[n]) - 1))
        {
            return 1;
        }
    }

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            for (n = 0; n < sizeof(headers) / sizeof(headers[0]); n++) {
                if (h[i].key.len == ngx_strlen(headers[n])
                    && ngx_strncasecmp(h[i].key.data, (u_char *) headers[n],
                                       h[i].key.len)
                       == 0
                    && ngx_strlcasestrn(h[i].value.data,
                                        h[i].value.data + h[i].value.len,
                                        (u_char *) "pre", 2))
                {
                    return 1;
                }
            }
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_loyalty_track_page(ngx_http_request_t *r, ngx_uint_t status,
    ngx_uint_t page)
{
    return ngx_http_loyalty_answer_notice(r, status,
                                          &ngx_http_loyalty_track_notices[page],
                                          NULL);
}
