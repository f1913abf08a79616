/*
 * What a badge or a JSON member tells: the shopper's figures, and as texts in
 * the shopper's locale.
 */


#include "ngx_http_loyalty_inject.h"
#include "ngx_loyalty_format.h"
#include "ngx_loyalty_text.h"
#include "loyalty_tier.h"


static void ngx_http_loyalty_fields_status(ngx_http_loyalty_fields_t *fields,
    ngx_http_loyalty_figures_t *figures);
static void ngx_http_loyalty_fields_progress(
    ngx_http_loyalty_fields_t *fields, ngx_http_loyalty_figures_t *figures,
    ngx_loyalty_language_e language);
static void ngx_http_loyalty_fields_points(ngx_http_loyalty_fields_t *fields,
    ngx_http_loyalty_figures_t *figures, ngx_loyalty_language_e language);
static void ngx_http_loyalty_fields_segments(
    ngx_http_loyalty_fields_t *fields, ngx_uint_t segments);
static loyalty_str_t ngx_http_loyalty_field_figure(
    ngx_http_loyalty_fields_t *fields, int64_t number, ngx_uint_t money);
static loyalty_str_t ngx_http_loyalty_field_text(
    ngx_http_loyalty_fields_t *fields, const char *format,
    const loyalty_str_t *values);


#define ngx_http_loyalty_field_name(text)  { text, sizeof(text) - 1 }

const loyalty_str_t  ngx_http_loyalty_field_names[NGX_HTTP_LOYALTY_FIELD_N] = {
    [NGX_HTTP_LOYALTY_FIELD_MEMBER] =
        ngx_http_loyalty_field_name("member"),
    [NGX_HTTP_LOYALTY_FIELD_GUEST] =
        ngx_http_loyalty_field_name("guest"),
    [NGX_HTTP_LOYALTY_FIELD_LOCALE] =
        ngx_http_loyalty_field_name("locale"),
    [NGX_HTTP_LOYALTY_FIELD_LABEL] =
        ngx_http_loyalty_field_name("label"),
    [NGX_HTTP_LOYALTY_FIELD_STATUS] =
        ngx_http_loyalty_field_name("status"),
    [NGX_HTTP_LOYALTY_FIELD_STATUS_ID] =
        ngx_http_loyalty_field_name("status_id"),
    [NGX_HTTP_LOYALTY_FIELD_COLOR] =
        ngx_http_loyalty_field_name("color"),
    [NGX_HTTP_LOYALTY_FIELD_NEXT] =
        ngx_http_loyalty_field_name("next"),
    [NGX_HTTP_LOYALTY_FIELD_NEXT_ID] =
        ngx_http_loyalty_field_name("next_id"),
    [NGX_HTTP_LOYALTY_FIELD_REMAINING] =
        ngx_http_loyalty_field_name("remaining"),
    [NGX_HTTP_LOYALTY_FIELD_PERCENT] =
        ngx_http_loyalty_field_name("percent"),
    [NGX_HTTP_LOYALTY_FIELD_PROGRESS_TEXT] =
        ngx_http_loyalty_field_name("progress_text"),
    [NGX_HTTP_LOYALTY_FIELD_POINTS] =
        ngx_http_loyalty_field_name("points"),
    [NGX_HTTP_LOYALTY_FIELD_PENDING] =
        ngx_http_loyalty_field_name("pending"),
    [NGX_HTTP_LOYALTY_FIELD_LIFE_POINTS] =
        ngx_http_loyalty_field_name("life_points"),
    [NGX_HTTP_LOYALTY_FIELD_POINTS_TEXT] =
        ngx_http_loyalty_field_name("points_text"),
    [NGX_HTTP_LOYALTY_FIELD_SEGMENT] =
        ngx_http_loyalty_field_name("segment"),
    [NGX_HTTP_LOYALTY_FIELD_VIP] =
        ngx_http_loyalty_field_name("vip"),
    [NGX_HTTP_LOYALTY_FIELD_AT_RISK] =
        ngx_http_loyalty_field_name("at_risk"),
    [NGX_HTTP_LOYALTY_FIELD_NEW] =
        ngx_http_loyalty_field_name("new"),
    [NGX_HTTP_LOYALTY_FIELD_RECURRING] =
        ngx_http_loyalty_field_name("recurring"),
    [NGX_HTTP_LOYALTY_FIELD_SIGN_IN_URL] =
        ngx_http_loyalty_field_name("sign_in_url"),
    [NGX_HTTP_LOYALTY_FIELD_SIGN_IN_TEXT] =
        ngx_http_loyalty_field_name("sign_in_text")
};


void
ngx_http_loyalty_figures(ngx_http_request_t *r,
    ngx_http_loyalty_figures_t *figures)
{
    loyalty_program_t       *program;
    loyalty_tier_result_t    tier;
    const loyalty_view_t    *view;
    ngx_http_loyalty_ctx_t  *ctx;

    ctx = ngx_http_loyalty_ctx(r);
    program = ctx->program->program;
    view = ctx->view;

    ngx_memzero(figures, sizeof(ngx_http_loyalty_figures_t));

    figures->program = program;
    figures->member.data = (char *) ctx->member.data;
    figures->member.len = ctx->member.len;
    figures->locale = ngx_http_loyalty_locale(r, program);
    figures->ladder = program->settings.criterion != LOYALTY_CRITERION_SEGMENT;

    if (view != NULL) {
        figures->tier = ngx_http_loyalty_tier(ctx, view->tier);
        figures->next = ngx_http_loyalty_tier(ctx, view->next);
        figures->value = view->value;
        figures->remaining = view->remaining;
        figures->percent = view->percent;
        figures->points = view->points_active;
        figures->pending = view->points_pending;
        figures->life_points = view->points_life;
        figures->segments = view->segments;

    } else {
        loyalty_tier_begin(program, &tier);

        figures->tier = ngx_http_loyalty_tier(ctx, tier.current);
        figures->next = ngx_http_loyalty_tier(ctx, tier.next);
        figures->remaining = tier.remaining;
        figures->percent = tier.percent;
    }
}


void
ngx_http_loyalty_fields(ngx_http_loyalty_figures_t *figures,
    ngx_http_loyalty_fields_t *fields)
{
    loyalty_str_t           *texts;
    ngx_loyalty_language_e   language;

    ngx_memzero(fields->texts, sizeof(fields->texts));
    fields->last = fields->room;

    texts = fields->texts;
    language = ngx_loyalty_language(figures->locale);

    texts[NGX_HTTP_LOYALTY_FIELD_LOCALE] = figures->locale;
    texts[NGX_HTTP_LOYALTY_FIELD_LABEL] = loyalty_str_from(
                           ngx_loyalty_text(language, NGX_LOYALTY_TEXT_BADGE));

    if (figures->member.len == 0) {
        texts[NGX_HTTP_LOYALTY_FIELD_GUEST] = loyalty_str("1");
        texts[NGX_HTTP_LOYALTY_FIELD_SIGN_IN_URL] =
                                        figures->program->settings.sign_in_url;
        texts[NGX_HTTP_LOYALTY_FIELD_SIGN_IN_TEXT] = loyalty_str_from(
                         ngx_loyalty_text(language, NGX_LOYALTY_TEXT_SIGN_IN));
        return;
    }

    texts[NGX_HTTP_LOYALTY_FIELD_MEMBER] = figures->member;
    fields->format = ngx_loyalty_format(figures->locale,
                                        figures->program->settings.currency);

    ngx_http_loyalty_fields_status(fields, figures);
    ngx_http_loyalty_fields_progress(fields, figures, language);
    ngx_http_loyalty_fields_points(fields, figures, language);
    ngx_http_loyalty_fields_segments(fields, figures->segments);
}


static void
ngx_http_loyalty_fields_status(ngx_http_loyalty_fields_t *fields,
    ngx_http_loyalty_figures_t *figures)
{
    loyalty_str_t         *texts;
    const loyalty_tier_t  *tier;

    tier = figures->tier;

    if (tier == NULL) {
        return;
    }

    texts = fields->texts;

    texts[NGX_HTTP_LOYALTY_FIELD_STATUS] = loyalty_text(&tier->name,
                                                        figures->locale);
    texts[NGX_HTTP_LOYALTY_FIELD_STATUS_ID] = tier->id;
    texts[NGX_HTTP_LOYALTY_FIELD_COLOR] = tier->color;
}


static void
ngx_http_loyalty_fields_progress(ngx_http_loyalty_fields_t *fields,
    ngx_http_loyalty_figures_t *figures, ngx_loyalty_language_e language)
{
    const char            *format;
    loyalty_str_t          values[2], *texts;
    loyalty_criterion_t    criterion;

    if (figures->next == NULL) {
        return;
    }

    criterion = figures->program->settings.criterion;

    values[0] = ngx_http_loyalty_field_figure(fields, figures->remaining,
                                        criterion == LOYALTY_CRITERION_SPEND);

    switch (criterion) {

    case LOYALTY_CRITERION_SPEND:
        format = ngx_loyalty_text(language, NGX_LOYALTY_TEXT_BADGE_SPEND);
        break;

    case LOYALTY_CRITERION_ORDERS:
        format = ngx_loyalty_count_text(language,
                                        NGX_LOYALTY_COUNT_BADGE_ORDERS,
                                        figures->remaining);
        break;

    default:
        format = ngx_loyalty_count_text(language,
                                        NGX_LOYALTY_COUNT_BADGE_POINTS,
                                        figures->remaining);
    }

    values[1] = loyalty_text(&figures->next->name, figures->locale);

    texts = fields->texts;

    texts[NGX_HTTP_LOYALTY_FIELD_NEXT] = values[1];
    texts[NGX_HTTP_LOYALTY_FIELD_NEXT_ID] = figures->next->id;
    texts[NGX_HTTP_LOYALTY_FIELD_REMAINING] = values[0];
    texts[NGX_HTTP_LOYALTY_FIELD_PROGRESS_TEXT] =
                          ngx_http_loyalty_field_text(fields, format, values);

    if (ngx_http_loyalty_uses(fields, PERCENT)) {
        texts[NGX_HTTP_LOYALTY_FIELD_PERCENT] =
                ngx_http_loyalty_field_figure(fields, figures->percent, 0);
    }
}


static void
ngx_http_loyalty_fields_points(ngx_http_loyalty_fields_t *fields,
    ngx_http_loyalty_figures_t *figures, ngx_loyalty_language_e language)
{
    const char     *format;
    loyalty_str_t   number, *texts;

    texts = fields->texts;

    number = ngx_http_loyalty_field_figure(fields, figures->points, 0);
    format = ngx_loyalty_count_text(language, NGX_LOYALTY_COUNT_POINTS,
                                    figures->points);

    texts[NGX_HTTP_LOYALTY_FIELD_POINTS] = number;
    texts[NGX_HTTP_LOYALTY_FIELD_POINTS_TEXT] =
                         ngx_http_loyalty_field_text(fields, format, &number);

    if (ngx_http_loyalty_uses(fields, PENDING)) {
        texts[NGX_HTTP_LOYALTY_FIELD_PENDING] =
                ngx_http_loyalty_field_figure(fields, figures->pending, 0);
    }

    if (ngx_http_loyalty_uses(fields, LIFE_POINTS)) {
        texts[NGX_HTTP_LOYALTY_FIELD_LIFE_POINTS] =
            ngx_http_loyalty_field_figure(fields, figures->life_points, 0);
    }
}


static void
ngx_http_loyalty_fields_segments(ngx_http_loyalty_fields_t *fields,
    ngx_uint_t segments)
{
    ngx_uint_t         i;
    loyalty_str_t     *texts;
    loyalty_segment_t  shown;

    static const loyalty_segment_t  order[] = {
        LOYALTY_SEGMENT_VIP,
        LOYALTY_SEGMENT_AT_RISK,
        LOYALTY_SEGMENT_NEW,
        LOYALTY_SEGMENT_RECURRING
    };

    if (segments == 0) {
        return;
    }

    texts = fields->texts;
    shown = loyalty_segment_shown(segments);

    texts[NGX_HTTP_LOYALTY_FIELD_SEGMENT] =
                                 loyalty_str_from(loyalty_segment_name(shown));

    for (i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        if (segments & order[i]) {
            texts[NGX_HTTP_LOYALTY_FIELD_VIP + i] =
                              loyalty_str_from(loyalty_segment_name(order[i]));
        }
    }
}


static loyalty_str_t
ngx_http_loyalty_field_figure(ngx_http_loyalty_fields_t *fields,
    int64_t number, ngx_uint_t money)
{
    loyalty_str_t  text;

    if (fields->room + sizeof(fields->room) - fields->last
        < LOYALTY_FORMAT_SIZE)
    {
        return loyalty_str_null;
    }

    text.data = fields->last;
    text.len = money
               ? loyalty_format_amount(fields->format, number, fields->last)
               : loyalty_format_number(fields->format, number, fields->last);
    fields->last += text.len;

    return text;
}


/* Each "%s" is the next of the values.  What finds no room is empty. */

static loyalty_str_t
ngx_http_loyalty_field_text(ngx_http_loyalty_fields_t *fields,
    const char *format, const loyalty_str_t *values)
{
    char           *p, *end;
    loyalty_str_t   text;

    p = fields->last;
    end = fields->room + sizeof(fields->room);

    while (*format) {

        if (format[0] != '%' || format[1] != 's') {
            if (p == end) {
                return loyalty_str_null;
            }

            *p++ = *format++;
            continue;
        }

        if (values->len > (size_t) (end - p)) {
            return loyalty_str_null;
        }

        p = (char *) ngx_cpymem(p, values->data, values->len);

        format += sizeof("%s") - 1;
        values++;
    }

    text.data = fields->last;
    text.len = p - fields->last;
    fields->last = p;

    return text;
}
