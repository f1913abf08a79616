/*
 * `loyalty_jwt`: who a signed token says the shopper is.
 *
 * The algorithm is the configuration's, never the token's: a token whose
 * header names another is refused before its signature is looked at, so that
 * neither "none" nor an HMAC made with a public key can pass.  libjwt checks
 * the signature; the times and the claim are read here, since its ways to
 * them changed between versions (1.10 of Debian 12 and 1.17 have jwt_decode()
 * alike, 3.0 dropped it).
 */


#include "ngx_http_loyalty.h"

#include <jansson.h>
#include <jwt.h>
#include <openssl/pem.h>


/* RFC 7518: a key of HS256 has 256 bits, one of RS256 2048. */

#define NGX_HTTP_LOYALTY_HS256_KEY  32
#define NGX_HTTP_LOYALTY_RS256_KEY  2048

/* The issuer's clock may be ahead of ours by as much, in seconds. */

#define NGX_HTTP_LOYALTY_JWT_AHEAD  30


struct ngx_http_loyalty_jwt_conf_s {
    ngx_http_complex_value_t   value;
    ngx_str_t                  alg;
    jwt_alg_t                  jwt_alg;
    ngx_str_t                  claim;
    ngx_str_t                  key;
};


static ngx_int_t ngx_http_loyalty_jwt_key(ngx_conf_t *cf,
    ngx_http_loyalty_jwt_conf_t *jcf, ngx_str_t *name);
static ngx_uint_t ngx_http_loyalty_jwt_key_fits(jwt_alg_t alg, EVP_PKEY *key);
static json_t *ngx_http_loyalty_jwt_part(ngx_http_request_t *r, u_char *p,
    size_t len);
static ngx_int_t ngx_http_loyalty_jwt_alg(ngx_http_request_t *r,
    ngx_http_loyalty_jwt_conf_t *jcf, u_char *header, size_t len);
static ngx_int_t ngx_http_loyalty_jwt_signature(
    ngx_http_loyalty_jwt_conf_t *jcf, u_char *token);
static ngx_int_t ngx_http_loyalty_jwt_times(json_t *claims);
static ngx_int_t ngx_http_loyalty_jwt_claim(ngx_http_request_t *r,
    ngx_http_loyalty_jwt_conf_t *jcf, json_t *claims, ngx_str_t *member);


char *
ngx_http_loyalty_jwt_directive(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_loyalty_loc_conf_t *llcf = conf;

    ngx_str_t                         *value, name;
    ngx_uint_t                         i;
    ngx_http_loyalty_jwt_conf_t       *jcf;
    ngx_http_compile_complex_value_t   ccv;

    if (llcf->jwt) {
        return "is duplicate";
    }

    jcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_loyalty_jwt_conf_t));
    if (jcf == NULL) {
        return NGX_CONF_ERROR;
    }

    llcf->jwt = jcf;
    value = cf->args->elts;

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));
    ccv.cf = cf;
    ccv.value = &value[1];
    ccv.complex_value = &jcf->value;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    ngx_str_null(&name);
    ngx_str_set(&jcf->alg, "HS256");
    ngx_str_set(&jcf->claim, "sub");

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "key=", 4) == 0) {
            name.data = value[i].data + 4;
            name.len = value[i].len - 4;
            continue;
        }

        if (ngx_strncmp(value[i].data, "alg=", 4) == 0) {
            jcf->alg.data = value[i].data + 4;
            jcf->alg.len = value[i].len - 4;
            continue;
        }

        if (ngx_strncmp(value[i].data, "claim=", 6) == 0
            && value[i].len > 6)
        {
            jcf->claim.data = value[i].data + 6;
            jcf->claim.len = value[i].len - 6;
            continue;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\", \"loyalty_jwt\" takes "
                           "key=, alg= and claim=", &value[i]);
        return NGX_CONF_ERROR;
    }

    if (ngx_strcmp(jcf->alg.data, "HS256") == 0) {
        jcf->jwt_alg = JWT_ALG_HS256;

    } else if (ngx_strcmp(jcf->alg.data, "RS256") == 0) {
        jcf->jwt_alg = JWT_ALG_RS256;

    } else if (ngx_strcmp(jcf->alg.data, "ES256") == 0) {
        jcf->jwt_alg = JWT_ALG_ES256;

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "unknown algorithm \"%V\", \"loyalty_jwt\" knows "
                           "HS256, RS256 and ES256", &jcf->alg);
        return NGX_CONF_ERROR;
    }

    if (name.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"loyalty_jwt\" needs a key: key=FILE");
        return NGX_CONF_ERROR;
    }

    if (ngx_http_loyalty_jwt_key(cf, jcf, &name) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_loyalty_jwt_key(ngx_conf_t *cf, ngx_http_loyalty_jwt_conf_t *jcf,
    ngx_str_t *name)
{
    BIO         *bio;
    EVP_PKEY    *key;
    ngx_uint_t   fits;

    if (jcf->jwt_alg == JWT_ALG_HS256) {

        if (ngx_loyalty_conf_secret(cf, "the key of \"loyalty_jwt\"", name,
                                    &jcf->key)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (jcf->key.len < NGX_HTTP_LOYALTY_HS256_KEY) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "the key of \"loyalty_jwt\" \"%V\" is too "
                               "short: %uz bytes, HS256 needs at least %d",
                               name, jcf->key.len, NGX_HTTP_LOYALTY_HS256_KEY);
            return NGX_ERROR;
        }

        return NGX_OK;
    }

    if (ngx_loyalty_conf_file(cf, "the key of \"loyalty_jwt\"", name,
                              LOYALTY_KEY_FILE_MAX, &jcf->key)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    key = NULL;
    bio = BIO_new_mem_buf(jcf->key.data, (int) jcf->key.len);

    if (bio) {
        key = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
        BIO_free(bio);
    }

    fits = key ? ngx_http_loyalty_jwt_key_fits(jcf->jwt_alg, key) : 0;
    EVP_PKEY_free(key);

    if (fits) {
        return NGX_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "the key of \"loyalty_jwt\" \"%V\" is not %s public "
                       "key in PEM", name,
                       jcf->jwt_alg == JWT_ALG_RS256
                       ? "an RSA (2048 bits or more)" : "a P-256");

    return NGX_ERROR;
}


static ngx_uint_t
ngx_http_loyalty_jwt_key_fits(jwt_alg_t alg, EVP_PKEY *key)
{
    char  group[32];

    if (alg == JWT_ALG_RS256) {
        return EVP_PKEY_base_id(key) == EVP_PKEY_RSA
               && EVP_PKEY_bits(key) >= NGX_HTTP_LOYALTY_RS256_KEY;
    }

    return EVP_PKEY_base_id(key) == EVP_PKEY_EC
           && EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) == 1
           && ngx_strcmp(group, SN_X9_62_prime256v1) == 0;
}


void
ngx_http_loyalty_jwt_member(ngx_http_request_t *r,
    ngx_http_loyalty_jwt_conf_t *jcf, ngx_str_t *member)
{
    u_char     *token, *header, *payload, *signature;
    json_t     *claims;
    ngx_str_t   value;

    ngx_str_set(member, "");

    if (ngx_http_complex_value(r, &jcf->value, &value) != NGX_OK
        || value.len == 0)
    {
        return;
    }

    if (value.len > sizeof("Bearer ") - 1
        && ngx_strncasecmp(value.data, (u_char *) "Bearer ",
                           sizeof("Bearer ") - 1) == 0)
    {
        value.data += sizeof("Bearer ") - 1;
        value.len -= sizeof("Bearer ") - 1;
    }

    if (value.len > LOYALTY_JWT_MAX) {
        ngx_loyalty_metric(REFUSED_JWT_SIZE)++;
        return;
    }

    token = ngx_pnalloc(r->pool, value.len + 1);
    if (token == NULL) {
        return;
    }

    (void) ngx_cpystrn(token, value.data, value.len + 1);

    header = token;
    payload = (u_char *) ngx_strchr(token, '.');
    signature = payload ? (u_char *) ngx_strchr(payload + 1, '.') : NULL;

    if (signature == NULL) {
        ngx_loyalty_metric(REFUSED_JWT_MALFORMED)++;
        return;
    }

    payload++;

    if (ngx_http_loyalty_jwt_alg(r, jcf, header, payload - header - 1)
        != NGX_OK)
    {
        return;
    }

    if (ngx_http_loyalty_jwt_signature(jcf, token) != NGX_OK) {
        ngx_loyalty_metric(REFUSED_JWT_SIGNATURE)++;
        return;
    }

    claims = ngx_http_loyalty_jwt_part(r, payload, signature - payload);

    if (claims == NULL) {
        ngx_loyalty_metric(REFUSED_JWT_MALFORMED)++;
        return;
    }

    if (ngx_http_loyalty_jwt_times(claims) == NGX_OK
        && ngx_http_loyalty_jwt_claim(r, jcf, claims, member) != NGX_OK)
    {
        ngx_loyalty_metric(REFUSED_JWT_CLAIM)++;
    }

    json_decref(claims);
}


static json_t *
ngx_http_loyalty_jwt_part(ngx_http_request_t *r, u_char *p, size_t len)
{
    json_t     *part;
    ngx_str_t   coded, plain;

    coded.data = p;
    coded.len = len;

    plain.data = ngx_pnalloc(r->pool, ngx_base64_decoded_length(len));
    if (plain.data == NULL) {
        return NULL;
    }

    if (ngx_decode_base64url(&plain, &coded) != NGX_OK) {
        return NULL;
    }

    part = json_loadb((char *) plain.data, plain.len, JSON_REJECT_DUPLICATES,
                      NULL);

    if (!json_is_object(part)) {
        json_decref(part);
        return NULL;
    }

    return part;
}


static ngx_int_t
ngx_http_loyalty_jwt_alg(ngx_http_request_t *r,
    ngx_http_loyalty_jwt_conf_t *jcf, u_char *header, size_t len)
{
    json_t      *head;
    ngx_int_t    rc;
    const char  *alg;

    head = ngx_http_loyalty_jwt_part(r, header, len);

    if (head == NULL) {
        ngx_loyalty_metric(REFUSED_JWT_MALFORMED)++;
        return NGX_DECLINED;
    }

    rc = NGX_OK;
    alg = json_string_value(json_object_get(head, "alg"));

    if (alg == NULL || ngx_strcmp(alg, jcf->alg.data) != 0) {
        ngx_loyalty_metric(REFUSED_JWT_ALG)++;
        rc = NGX_DECLINED;

    } else if (json_object_get(head, "crit")) {

        /* extensions that must be understood (RFC 7515), and we know none */

        ngx_loyalty_metric(REFUSED_JWT_MALFORMED)++;
        rc = NGX_DECLINED;
    }

    json_decref(head);

    return rc;
}


static ngx_int_t
ngx_http_loyalty_jwt_signature(ngx_http_loyalty_jwt_conf_t *jcf,
    u_char *token)
{
    jwt_t      *jwt;
    ngx_int_t   rc;

    if (jwt_decode(&jwt, (char *) token, jcf->key.data, (int) jcf->key.len)
        != 0)
    {
        return NGX_DECLINED;
    }

    rc = jwt_get_alg(jwt) == jcf->jwt_alg ? NGX_OK : NGX_DECLINED;

    jwt_free(jwt);

    return rc;
}


static ngx_int_t
ngx_http_loyalty_jwt_times(json_t *claims)
{
    json_t  *exp, *nbf;

    exp = json_object_get(claims, "exp");
    nbf = json_object_get(claims, "nbf");

    if ((exp && !json_is_number(exp)) || (nbf && !json_is_number(nbf))) {
        ngx_loyalty_metric(REFUSED_JWT_MALFORMED)++;
        return NGX_DECLINED;
    }

    if (exp && (double) ngx_time() >= json_number_value(exp)) {
        ngx_loyalty_metric(REFUSED_JWT_EXPIRED)++;
        return NGX_DECLINED;
    }

    if (nbf && (double) ngx_time() + NGX_HTTP_LOYALTY_JWT_AHEAD
               < json_number_value(nbf))
    {
        ngx_loyalty_metric(REFUSED_JWT_NOT_BEFORE)++;
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_jwt_claim(ngx_http_request_t *r,
    ngx_http_loyalty_jwt_conf_t *jcf, json_t *claims, ngx_str_t *member)
{
    json_t  *value;

    value = json_object_get(claims, (char *) jcf->claim.data);

    if (json_is_string(value) && json_string_length(value) > 0) {

        member->len = json_string_length(value);
        member->data = ngx_pnalloc(r->pool, member->len);
        if (member->data == NULL) {
            member->len = 0;
            return NGX_OK;
        }

        ngx_memcpy(member->data, json_string_value(value), member->len);

        return NGX_OK;
    }

    if (json_is_integer(value)) {

        member->data = ngx_pnalloc(r->pool, NGX_INT64_LEN);
        if (member->data == NULL) {
            return NGX_OK;
        }

        member->len = ngx_sprintf(member->data, "%L",
                                  (int64_t) json_integer_value(value))
                      - member->data;

        return NGX_OK;
    }

    return NGX_DECLINED;
}
