/*
 * Order capture: what its files share.  _capture.c holds the answer and hands
 * the order to the journal; _capture_conf.c has the directives; _capture_
 * source.c reads the order out of a header, a document or a page.
 */

#ifndef _NGX_HTTP_LOYALTY_CAPTURE_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_CAPTURE_H_INCLUDED_


#include "ngx_http_loyalty_filter.h"
#include "loyalty_capture.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>


typedef enum {
    NGX_HTTP_LOYALTY_CAPTURE_HEADER = 0,
    NGX_HTTP_LOYALTY_CAPTURE_JSON,
    NGX_HTTP_LOYALTY_CAPTURE_REGEX
} ngx_http_loyalty_capture_e;


struct ngx_http_loyalty_capture_conf_s {
    ngx_http_loyalty_capture_e   source;
    loyalty_capture_map_t        map;

    ngx_str_t                    header;     /* its name */

    pcre2_code                  *code;
    pcre2_match_context         *limits;
    ngx_uint_t                   document;   /* numbers of groups, 0: none */
    ngx_uint_t                   groups[LOYALTY_CAPTURE_FIELDS];
};


/* Why an answer gave no event. */

typedef enum {
    NGX_HTTP_LOYALTY_CAPTURE_OK = 0,
    NGX_HTTP_LOYALTY_CAPTURE_NOTHING,        /* no order in it */
    NGX_HTTP_LOYALTY_CAPTURE_INVALID,
    NGX_HTTP_LOYALTY_CAPTURE_LIMIT,
    NGX_HTTP_LOYALTY_CAPTURE_NO_MEMORY
} ngx_http_loyalty_capture_result_e;


/* Reads the order; what is wrong goes to `problems`. */
ngx_http_loyalty_capture_result_e ngx_http_loyalty_capture_source(
    ngx_http_loyalty_capture_conf_t *conf, loyalty_str_t text,
    loyalty_arena_t *arena, loyalty_problems_t *problems,
    loyalty_document_t *document, loyalty_capture_order_t *order);


#endif /* _NGX_HTTP_LOYALTY_CAPTURE_H_INCLUDED_ */
