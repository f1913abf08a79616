/*
 * loyalty_order off | header=NAME | json [FIELD=POINTER ...] | regex=PATTERN
 *     [status=completed] [amounts=major|minor];
 * loyalty_order_post URI;
 */


#include "ngx_http_loyalty_capture.h"


static ngx_int_t ngx_http_loyalty_capture_param(ngx_conf_t *cf,
    ngx_http_loyalty_capture_conf_t *conf, ngx_str_t *value);
static ngx_int_t ngx_http_loyalty_capture_pattern(ngx_conf_t *cf,
    ngx_http_loyalty_capture_conf_t *conf, ngx_str_t *pattern);
static void ngx_http_loyalty_capture_free(void *data);


char *
ngx_http_loyalty_capture_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_loyalty_filter_loc_conf_t *flcf = conf;

    ngx_str_t                        *value;
    ngx_uint_t                        i;
    ngx_http_loyalty_capture_conf_t  *ccf;

    if (flcf->capture != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {

        if (cf->args->nelts > 2) {
            return "takes nothing more with \"off\"";
        }

        flcf->capture = NULL;
        return NGX_CONF_OK;
    }

    ccf = ngx_pcalloc(cf->pool, sizeof(ngx_http_loyalty_capture_conf_t));
    if (ccf == NULL) {
        return NGX_CONF_ERROR;
    }

    loyalty_capture_map_init(&ccf->map);

    if (ngx_strcmp(value[1].data, "json") == 0) {
        ccf->source = NGX_HTTP_LOYALTY_CAPTURE_JSON;

    } else if (ngx_strncmp(value[1].data, "header=", 7) == 0
               && value[1].len > 7)
    {
        ccf->source = NGX_HTTP_LOYALTY_CAPTURE_HEADER;
        ccf->header.data = value[1].data + 7;
        ccf->header.len = value[1].len - 7;

    } else if (ngx_strncmp(value[1].data, "regex=", 6) == 0
               && value[1].len > 6)
    {
        ccf->source = NGX_HTTP_LOYALTY_CAPTURE_REGEX;
        value[1].data += 6;
        value[1].len -= 6;

        if (ngx_http_loyalty_capture_pattern(cf, ccf, &value[1]) != NGX_OK) {
            return NGX_CONF_ERROR;
        }

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid source \"%V\" of loyalty_order, it must "
                           "be off, header=NAME, json or regex=PATTERN",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    for (i = 2; i < cf->args->nelts; i++) {
        if (ngx_http_loyalty_capture_param(cf, ccf, &value[i]) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    flcf->capture = ccf;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_loyalty_capture_param(ngx_conf_t *cf,
    ngx_http_loyalty_capture_conf_t *conf, ngx_str_t *value)
{
    u_char                   *equals;
    loyalty_str_t             name, rest;
    loyalty_capture_field_t   field;

    equals = ngx_strlchr(value->data, value->data + value->len, '=');

    if (equals == NULL) {
        goto invalid;
    }

    name.data = (char *) value->data;
    name.len = equals - value->data;

    rest.data = (char *) equals + 1;
    rest.len = value->data + value->len - equals - 1;

    if (loyalty_str_eq(name, loyalty_str("status"))) {

        if (!loyalty_str_eq(rest, loyalty_str("placed"))
            && !loyalty_str_eq(rest, loyalty_str("completed"))
            && !loyalty_str_eq(rest, loyalty_str("shipped")))
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid \"%V\" of loyalty_order, it must be "
                               "placed, completed or shipped", value);
            return NGX_ERROR;
        }

        conf->map.status = rest;
        return NGX_OK;
    }

    if (loyalty_str_eq(name, loyalty_str("amounts"))) {

        if (loyalty_str_eq(rest, loyalty_str("minor"))) {
            conf->map.minor = true;

        } else if (!loyalty_str_eq(rest, loyalty_str("major"))) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid \"%V\" of loyalty_order, it must be "
                               "major or minor", value);
            return NGX_ERROR;
        }

        return NGX_OK;
    }

    if (conf->source != NGX_HTTP_LOYALTY_CAPTURE_JSON) {
        goto invalid;
    }

    field = loyalty_str_eq(name, loyalty_str("id"))
            ? LOYALTY_CAPTURE_ORDER_ID
            : loyalty_capture_field(name);

    if (field == LOYALTY_CAPTURE_FIELDS) {
        goto invalid;
    }

    if (loyalty_pointer_check(rest) != LOYALTY_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid JSON Pointer \"%V\" of loyalty_order, it "
                           "must be like /order/id, of at most %d bytes",
                           value, LOYALTY_POINTER_MAX);
        return NGX_ERROR;
    }

    conf->map.pointers[field] = rest;

    return NGX_OK;

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\" of loyalty_order, it takes "
                       "status= and amounts=, and with json a pointer for "
                       "id=, total=, currency=, placed_at=, lines=, sku=, "
                       "category=, quantity=, unit_price= and amount=", value);

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_loyalty_capture_pattern(ngx_conf_t *cf,
    ngx_http_loyalty_capture_conf_t *conf, ngx_str_t *pattern)
{
    int                  rc, number;
    ngx_uint_t           i;
    PCRE2_SIZE           offset;
    PCRE2_UCHAR          error[128];
    ngx_pool_cleanup_t  *cln;

    if (pattern->len > LOYALTY_CAPTURE_PATTERN_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the pattern of loyalty_order is longer than %d "
                           "bytes", LOYALTY_CAPTURE_PATTERN_MAX);
        return NGX_ERROR;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_loyalty_capture_free;
    cln->data = conf;

    conf->code = pcre2_compile((PCRE2_SPTR) pattern->data, pattern->len,
                               PCRE2_MULTILINE, &rc, &offset, NULL);

    if (conf->code == NULL) {
        pcre2_get_error_message(rc, error, sizeof(error));
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the pattern of loyalty_order does not compile: "
                           "%s at offset %uz in \"%V\"",
                           error, (size_t) offset, pattern);
        return NGX_ERROR;
    }

    conf->limits = pcre2_match_context_create(NULL);
    if (conf->limits == NULL) {
        return NGX_ERROR;
    }

    pcre2_set_match_limit(conf->limits, LOYALTY_CAPTURE_MATCH_LIMIT);
    pcre2_set_depth_limit(conf->limits, LOYALTY_CAPTURE_DEPTH_LIMIT);

#if !(LOYALTY_NO_JIT)
    (void) pcre2_jit_compile(conf->code, PCRE2_JIT_COMPLETE);
#endif

    for (i = 0; i < LOYALTY_CAPTURE_FIELDS; i++) {
        number = pcre2_substring_number_from_name(conf->code,
                               (PCRE2_SPTR) loyalty_capture_field_name(i));

        if (number > 0 && i != LOYALTY_CAPTURE_LINES) {
            conf->groups[i] = number;
        }
    }

    number = pcre2_substring_number_from_name(conf->code,
                                              (PCRE2_SPTR) "document");
    if (number > 0) {
        conf->document = number;
    }

    if (conf->document == 0 && conf->groups[LOYALTY_CAPTURE_ORDER_ID] == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the pattern of loyalty_order must have a group "
                           "\"document\" or \"order_id\", like "
                           "(?<order_id>\\d+)");
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_http_loyalty_capture_free(void *data)
{
    ngx_http_loyalty_capture_conf_t *conf = data;

    pcre2_match_context_free(conf->limits);
    pcre2_code_free(conf->code);
}


char *
ngx_http_loyalty_capture_post_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_loyalty_filter_loc_conf_t *flcf = conf;

    ngx_str_t  *value;

    if (flcf->post.data != NULL) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].len == 0 || value[1].data[0] != '/'
        || value[1].len > LOYALTY_URI_MAX)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "loyalty_order_post \"%V\" must be the URI of a "
                           "location, like /loyalty/order", &value[1]);
        return NGX_CONF_ERROR;
    }

    flcf->post = value[1];

    return NGX_CONF_OK;
}
