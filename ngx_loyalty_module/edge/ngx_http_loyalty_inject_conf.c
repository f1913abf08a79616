/*
 * The directive `loyalty_inject` and the badge's template, which is compiled
 * when the configuration is read.
 *
 * The template sees texts only:
 *
 *   member guest locale label          who, and a name for the whole
 *   status status_id color             of the status held; empty: none
 *   next next_id remaining percent     to the next; empty: no ladder, or top
 *   points pending life_points         figures in the locale's digits
 *   points_text progress_text          "120 points", "£1,000 to bronze"
 *   segment vip at_risk new recurring  the one shown; each that holds: its id
 *   sign_in_url sign_in_text           for guests
 */


#include "ngx_http_loyalty_inject.h"


/* A span, not a block: the marker may stand inside a paragraph. */

static char  ngx_http_loyalty_badge_source[] =
    "<span class=\"loyalty-status\" role=\"group\" lang=\"{{locale}}\""
    " aria-label=\"{{label}}\">"
    "{{^guest}}"
    "{{#status}}"
    "<span class=\"loyalty-status-name\">"
    "{{#color}}<span aria-hidden=\"true\" style=\"color:{{.}}\">"
    "&#9679;</span> {{/color}}{{.}}</span> &#183; "
    "{{/status}}"
    "<span class=\"loyalty-status-points\">{{points_text}}</span>"
    "{{#progress_text}}"
    " &#183; <span class=\"loyalty-status-progress\">{{.}}</span>"
    "{{/progress_text}}"
    "{{/guest}}"
    "{{#guest}}"
    "{{#sign_in_url}}<a href=\"{{.}}\">{{sign_in_text}}</a>{{/sign_in_url}}"
    "{{^sign_in_url}}{{sign_in_text}}{{/sign_in_url}}"
    "{{/guest}}"
    "</span>";


static ngx_int_t ngx_http_loyalty_inject_parameter(ngx_conf_t *cf,
    ngx_http_loyalty_inject_conf_t *icf, ngx_str_t *value, ngx_str_t *file);
static ngx_int_t ngx_http_loyalty_inject_template(ngx_conf_t *cf,
    ngx_str_t *file, ngx_http_loyalty_inject_conf_t *icf);


char *
ngx_http_loyalty_inject_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_loyalty_filter_loc_conf_t *flcf = conf;

    u_char                          *p;
    ngx_str_t                       *value, file;
    ngx_uint_t                       i;
    loyalty_str_t                    name;
    ngx_http_loyalty_inject_conf_t  *icf;

    if (flcf->inject != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {

        if (cf->args->nelts > 2) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\", "
                               "\"loyalty_inject off\" takes none", &value[2]);
            return NGX_CONF_ERROR;
        }

        flcf->inject = NULL;
        return NGX_CONF_OK;
    }

    icf = ngx_pcalloc(cf->pool, sizeof(ngx_http_loyalty_inject_conf_t));
    if (icf == NULL) {
        return NGX_CONF_ERROR;
    }

    flcf->inject = icf;

    if (ngx_strcmp(value[1].data, "json") == 0) {
        icf->type = NGX_HTTP_LOYALTY_INJECT_JSON;

    } else if (ngx_strcmp(value[1].data, "html") != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\", \"loyalty_inject\" is "
                           "\"off\", \"html\" or \"json\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    icf->marker = loyalty_str("<loyalty-status></loyalty-status>");
    ngx_str_set(&icf->name, "loyalty");
    ngx_str_null(&file);

    for (i = 2; i < cf->args->nelts; i++) {
        if (ngx_http_loyalty_inject_parameter(cf, icf, &value[i], &file)
            != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    if (icf->type == NGX_HTTP_LOYALTY_INJECT_HTML) {
        return ngx_http_loyalty_inject_template(cf, &file, icf) == NGX_OK
               ? NGX_CONF_OK : NGX_CONF_ERROR;
    }

    name.data = (char *) icf->name.data;
    name.len = icf->name.len;

    icf->member.data = ngx_pnalloc(cf->pool, 6 * name.len + 3);
    if (icf->member.data == NULL) {
        return NGX_CONF_ERROR;
    }

    p = ngx_http_loyalty_json_string(icf->member.data, name);
    *p++ = ':';
    icf->member.len = p - icf->member.data;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_loyalty_inject_parameter(ngx_conf_t *cf,
    ngx_http_loyalty_inject_conf_t *icf, ngx_str_t *value, ngx_str_t *file)
{
    size_t      max;
    ngx_str_t   text;
    ngx_uint_t  html;

    html = icf->type == NGX_HTTP_LOYALTY_INJECT_HTML;
    max = LOYALTY_INJECT_MARKER_MAX;

    if (html && ngx_strncmp(value->data, "marker=", 7) == 0) {
        text.data = value->data + 7;
        text.len = value->len - 7;
        icf->marker.data = (char *) text.data;
        icf->marker.len = text.len;

    } else if (html && ngx_strncmp(value->data, "template=", 9) == 0) {
        text.data = value->data + 9;
        text.len = value->len - 9;
        max = NGX_MAX_PATH;
        *file = text;

    } else if (!html && ngx_strncmp(value->data, "name=", 5) == 0) {
        text.data = value->data + 5;
        text.len = value->len - 5;
        icf->name = text;

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\", \"loyalty_inject %s\" "
                           "takes %s", value, html ? "html" : "json",
                           html ? "marker=TEXT and template=FILE"
                                : "name=TEXT");
        return NGX_ERROR;
    }

    if (text.len == 0 || text.len > max) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\", it needs 1 to %uz bytes",
                           value, max);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_inject_template(ngx_conf_t *cf, ngx_str_t *file,
    ngx_http_loyalty_inject_conf_t *icf)
{
    size_t                i;
    ngx_int_t             rc;
    ngx_str_t             text;
    loyalty_str_t         source;
    loyalty_arena_t       arena;
    ngx_pool_cleanup_t   *cln;
    loyalty_problem_t    *problem;
    loyalty_problems_t    problems;

    source = loyalty_str_from(ngx_http_loyalty_badge_source);

    if (file->len) {
        if (ngx_loyalty_conf_file(cf, "the template of \"loyalty_inject\"",
                                  file, LOYALTY_TEMPLATE_SIZE_MAX, &text)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        source.data = (char *) text.data;
        source.len = text.len;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    loyalty_arena_init(&arena, 0);
    loyalty_problems_init(&problems, &arena);

    rc = NGX_OK;

    if (loyalty_template_compile(source, &problems, &icf->template)
        != LOYALTY_OK)
    {
        for (i = 0; i < ngx_min(problems.count, LOYALTY_PROBLEMS_MAX); i++) {
            problem = &problems.list[i];
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "template \"%V\", %*s: %*s", file,
                               problem->pointer.len, problem->pointer.data,
                               problem->message.len, problem->message.data);
        }

        rc = NGX_ERROR;

    } else {
        cln->handler = (ngx_pool_cleanup_pt) loyalty_template_free;
        cln->data = icf->template;

        rc = loyalty_template_bind(icf->template,
                                   ngx_http_loyalty_field_names,
                                   NGX_HTTP_LOYALTY_FIELD_N, &icf->used)
             == LOYALTY_OK ? NGX_OK : NGX_ERROR;
    }

    loyalty_arena_free(&arena);

    return rc;
}
