/*
 * The words of our own pages, in English and French.  A "%s" stands for what
 * the page puts in; texts with a number come in the forms of the language.
 */

#ifndef _NGX_LOYALTY_TEXT_H_INCLUDED_
#define _NGX_LOYALTY_TEXT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "loyalty.h"


typedef enum {
    NGX_LOYALTY_TEXT_TITLE_MEMBER = 0,
    NGX_LOYALTY_TEXT_TITLE_GUEST,
    NGX_LOYALTY_TEXT_PREVIEW,
    NGX_LOYALTY_TEXT_DRAFT,
    NGX_LOYALTY_TEXT_NO_STATUS,
    NGX_LOYALTY_TEXT_TOP,
    NGX_LOYALTY_TEXT_SIGN_IN,
    NGX_LOYALTY_TEXT_SIGN_IN_LINK,
    NGX_LOYALTY_TEXT_LADDER,
    NGX_LOYALTY_TEXT_CURRENT,
    NGX_LOYALTY_TEXT_REACHED,
    NGX_LOYALTY_TEXT_PROGRESS,
    NGX_LOYALTY_TEXT_WINDOW,
    NGX_LOYALTY_TEXT_EVERYONE,
    NGX_LOYALTY_TEXT_VIP,
    NGX_LOYALTY_TEXT_AT_RISK,
    NGX_LOYALTY_TEXT_NEW,
    NGX_LOYALTY_TEXT_RECURRING,
    NGX_LOYALTY_TEXT_SPEND,
    NGX_LOYALTY_TEXT_SPEND_TO_GO,
    NGX_LOYALTY_TEXT_BADGE,
    NGX_LOYALTY_TEXT_BADGE_SPEND,
    NGX_LOYALTY_TEXT_N
} ngx_loyalty_text_e;

typedef enum {
    NGX_LOYALTY_COUNT_POINTS = 0,
    NGX_LOYALTY_COUNT_PENDING,
    NGX_LOYALTY_COUNT_POINTS_TO_GO,
    NGX_LOYALTY_COUNT_ORDERS,
    NGX_LOYALTY_COUNT_ORDERS_TO_GO,
    NGX_LOYALTY_COUNT_BADGE_POINTS,
    NGX_LOYALTY_COUNT_BADGE_ORDERS,
    NGX_LOYALTY_COUNT_N
} ngx_loyalty_count_e;

typedef enum {
    NGX_LOYALTY_ENGLISH = 0,
    NGX_LOYALTY_FRENCH,
    NGX_LOYALTY_LANGUAGES
} ngx_loyalty_language_e;


/* The language of our texts for a locale: English where there is none. */
ngx_loyalty_language_e ngx_loyalty_language(loyalty_str_t locale);

/* Whether the locale's own language is that of our texts. */
ngx_uint_t ngx_loyalty_language_known(loyalty_str_t locale);

const char *ngx_loyalty_text(ngx_loyalty_language_e language,
    ngx_loyalty_text_e text);
const char *ngx_loyalty_count_text(ngx_loyalty_language_e language,
    ngx_loyalty_count_e text, int64_t n);


#endif /* _NGX_LOYALTY_TEXT_H_INCLUDED_ */
