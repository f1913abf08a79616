/*
 * What the template of the tier page sees.
 *
 *     lang, title, preview, stylesheet, logo, sign_in_url, names_lang, window
 *     site      id, name, locale
 *     text      preview, no_status, top, sign_in, sign_in_link, ladder,
 *               current, reached
 *     guest     whether nobody is signed in
 *     member    false for a guest and while Redis is away, else
 *               status {id, name, description, image} or false
 *               points {active, pending or false}
 *               progress {percent, label, remaining} or false, top
 *     any       whether there are statuses
 *     statuses  [ {id, name, description, image, requirement, current,
 *                  reached} ]
 *
 * Texts, numbers and money are ready to be shown.  What is absent is false,
 * so that a section does not find a name further out.
 */


#include "ngx_http_loyalty_page.h"
#include "ngx_loyalty_format.h"


typedef struct {
    ngx_http_loyalty_ctx_t      *ctx;
    loyalty_program_t           *program;
    const loyalty_view_t        *view;
    loyalty_str_t                locale;
    ngx_loyalty_language_e       language;
    ngx_http_loyalty_preview_e   preview;
} ngx_http_loyalty_model_t;


static json_t *ngx_http_loyalty_model_site(ngx_http_loyalty_model_t *m);
static json_t *ngx_http_loyalty_model_texts(ngx_http_loyalty_model_t *m);
static json_t *ngx_http_loyalty_model_member(ngx_http_loyalty_model_t *m);
static json_t *ngx_http_loyalty_model_points(ngx_http_loyalty_model_t *m);
static json_t *ngx_http_loyalty_model_progress(ngx_http_loyalty_model_t *m);
static json_t *ngx_http_loyalty_model_remaining(ngx_http_loyalty_model_t *m,
    loyalty_str_t next);
static json_t *ngx_http_loyalty_model_statuses(ngx_http_loyalty_model_t *m);
static json_t *ngx_http_loyalty_model_status(ngx_http_loyalty_model_t *m,
    const loyalty_tier_t *tier);
static json_t *ngx_http_loyalty_model_requirement(ngx_http_loyalty_model_t *m,
    const loyalty_tier_t *tier);
static json_t *ngx_http_loyalty_model_window(ngx_http_loyalty_model_t *m);
static json_t *ngx_http_loyalty_model_title(ngx_http_loyalty_model_t *m);
static json_t *ngx_http_loyalty_model_stylesheet(ngx_http_request_t *r,
    ngx_http_loyalty_model_t *m);
static json_t *ngx_http_loyalty_model_str(loyalty_str_t text);
static json_t *ngx_http_loyalty_model_own(ngx_http_loyalty_model_t *m,
    ngx_loyalty_text_e text);
static json_t *ngx_http_loyalty_model_fill(const char *format,
    loyalty_str_t first, loyalty_str_t second);
static json_t *ngx_http_loyalty_model_count(ngx_http_loyalty_model_t *m,
    ngx_loyalty_count_e text, int64_t n, loyalty_str_t second);


json_t *
ngx_http_loyalty_page_model(ngx_http_request_t *r, ngx_http_loyalty_ctx_t *ctx,
    ngx_http_loyalty_preview_e preview)
{
    loyalty_str_t              lang;
    const loyalty_design_t    *design;
    ngx_http_loyalty_model_t   m;

    m.ctx = ctx;
    m.program = ctx->program->program;
    m.view = ctx->view;
    m.preview = preview;
    m.locale = ngx_http_loyalty_locale(r, m.program);
    m.language = ngx_loyalty_language(m.locale);

    lang = ngx_loyalty_language_known(m.locale) ? m.locale : loyalty_str("en");
    design = ngx_http_loyalty_page_design(m.program);

    return json_pack("{so so so so so so so so so so so so so so}",
                     "lang", ngx_http_loyalty_model_str(lang),
                     "names_lang", loyalty_str_eq(lang, m.locale)
                                   ? json_false()
                                   : ngx_http_loyalty_model_str(m.locale),
                     "title", ngx_http_loyalty_model_title(&m),
                     "preview", json_boolean(preview),
                     "stylesheet", ngx_http_loyalty_model_stylesheet(r, &m),
                     "logo", ngx_http_loyalty_model_str(
                                 design ? design->logo : loyalty_str_null),
                     "sign_in_url", ngx_http_loyalty_model_str(
                                        m.program->settings.sign_in_url),
                     "site", ngx_http_loyalty_model_site(&m),
                     "text", ngx_http_loyalty_model_texts(&m),
                     "guest", json_boolean(ctx->member.len == 0),
                     "member", ngx_http_loyalty_model_member(&m),
                     "window", ngx_http_loyalty_model_window(&m),
                     "any", json_boolean(m.program->ntiers),
                     "statuses", ngx_http_loyalty_model_statuses(&m));
}


static json_t *
ngx_http_loyalty_model_site(ngx_http_loyalty_model_t *m)
{
    loyalty_settings_t  *settings;

    settings = &m->program->settings;

    return json_pack("{so so so}",
                     "id", ngx_http_loyalty_model_str(settings->id),
                     "name", ngx_http_loyalty_model_str(
                                 settings->name.len ? settings->name
                                                    : settings->id),
                     "locale", ngx_http_loyalty_model_str(m->locale));
}


static json_t *
ngx_http_loyalty_model_texts(ngx_http_loyalty_model_t *m)
{
    return json_pack("{so so so so so so so so}",
                     "preview", ngx_http_loyalty_model_own(m,
                                    m->preview
                                    == NGX_HTTP_LOYALTY_PREVIEW_DRAFT
                                    ? NGX_LOYALTY_TEXT_DRAFT
                                    : NGX_LOYALTY_TEXT_PREVIEW),
                     "no_status", ngx_http_loyalty_model_own(m,
                                      NGX_LOYALTY_TEXT_NO_STATUS),
                     "top", ngx_http_loyalty_model_own(m,
                                NGX_LOYALTY_TEXT_TOP),
                     "sign_in", ngx_http_loyalty_model_own(m,
                                    NGX_LOYALTY_TEXT_SIGN_IN),
                     "sign_in_link", ngx_http_loyalty_model_own(m,
                                         NGX_LOYALTY_TEXT_SIGN_IN_LINK),
                     "ladder", ngx_http_loyalty_model_own(m,
                                   NGX_LOYALTY_TEXT_LADDER),
                     "current", ngx_http_loyalty_model_own(m,
                                    NGX_LOYALTY_TEXT_CURRENT),
                     "reached", ngx_http_loyalty_model_own(m,
                                    NGX_LOYALTY_TEXT_REACHED));
}


static json_t *
ngx_http_loyalty_model_member(ngx_http_loyalty_model_t *m)
{
    ngx_uint_t             top;
    const loyalty_tier_t  *tier;

    if (m->view == NULL) {
        return json_false();
    }

    tier = ngx_http_loyalty_tier(m->ctx, m->view->tier);

    top = tier != NULL && m->view->next < 0
          && m->program->settings.criterion != LOYALTY_CRITERION_SEGMENT;

    return json_pack("{so so so so}",
                     "status", tier ? ngx_http_loyalty_model_status(m, tier)
                                    : json_false(),
                     "points", ngx_http_loyalty_model_points(m),
                     "progress", ngx_http_loyalty_model_progress(m),
                     "top", json_boolean(top));
}


static json_t *
ngx_http_loyalty_model_points(ngx_http_loyalty_model_t *m)
{
    json_t  *active, *pending;

    active = ngx_http_loyalty_model_count(m, NGX_LOYALTY_COUNT_POINTS,
                                          m->view->points_active,
                                          loyalty_str_null);

    pending = m->view->points_pending == 0
              ? json_false()
              : ngx_http_loyalty_model_count(m, NGX_LOYALTY_COUNT_PENDING,
                                             m->view->points_pending,
                                             loyalty_str_null);

    return json_pack("{so so}", "active", active, "pending", pending);
}


static json_t *
ngx_http_loyalty_model_progress(ngx_http_loyalty_model_t *m)
{
    json_t                *label;
    loyalty_str_t          name;
    const loyalty_tier_t  *next;

    next = ngx_http_loyalty_tier(m->ctx, m->view->next);

    if (next == NULL
        || m->program->settings.criterion == LOYALTY_CRITERION_SEGMENT)
    {
        return json_false();
    }

    name = loyalty_text(&next->name, m->locale);

    label = ngx_http_loyalty_model_fill(
                ngx_loyalty_text(m->language, NGX_LOYALTY_TEXT_PROGRESS), name,
                loyalty_str_null);

    return json_pack("{si so so}",
                     "percent", (int) m->view->percent,
                     "label", label,
                     "remaining", ngx_http_loyalty_model_remaining(m, name));
}


static json_t *
ngx_http_loyalty_model_remaining(ngx_http_loyalty_model_t *m,
    loyalty_str_t next)
{
    u_char         text[NGX_LOYALTY_FORMAT_SIZE];
    loyalty_str_t  money;

    switch (m->program->settings.criterion) {

    case LOYALTY_CRITERION_ORDERS:
        return ngx_http_loyalty_model_count(m, NGX_LOYALTY_COUNT_ORDERS_TO_GO,
                                            m->view->remaining, next);

    case LOYALTY_CRITERION_LIFE_POINTS:
        return ngx_http_loyalty_model_count(m, NGX_LOYALTY_COUNT_POINTS_TO_GO,
                                            m->view->remaining, next);

    default: /* LOYALTY_CRITERION_SPEND */
        money.data = (char *) text;
        money.len = ngx_loyalty_format_money(m->locale,
                                             m->program->settings.currency,
                                             m->view->remaining, text);

        return ngx_http_loyalty_model_fill(
                   ngx_loyalty_text(m->language, NGX_LOYALTY_TEXT_SPEND_TO_GO),
                   money, next);
    }
}


static json_t *
ngx_http_loyalty_model_statuses(ngx_http_loyalty_model_t *m)
{
    size_t       i;
    json_t      *list, *status;
    ngx_int_t    held;
    ngx_uint_t   ladder;

    list = json_array();

    held = m->view ? m->view->tier : -1;
    ladder = m->program->settings.criterion != LOYALTY_CRITERION_SEGMENT;

    for (i = 0; i < m->program->ntiers; i++) {

        status = ngx_http_loyalty_model_status(m, &m->program->tiers[i]);

        (void) json_object_set_new(status, "requirement",
                                   ngx_http_loyalty_model_requirement(m,
                                       &m->program->tiers[i]));
        (void) json_object_set_new(status, "current",
                                   json_boolean((ngx_int_t) i == held));
        (void) json_object_set_new(status, "reached",
                                   json_boolean(ladder
                                                && (ngx_int_t) i < held));

        (void) json_array_append_new(list, status);
    }

    return list;
}


static json_t *
ngx_http_loyalty_model_status(ngx_http_loyalty_model_t *m,
    const loyalty_tier_t *tier)
{
    return json_pack("{so so so so}",
                     "id", ngx_http_loyalty_model_str(tier->id),
                     "name", ngx_http_loyalty_model_str(
                                 loyalty_text(&tier->name, m->locale)),
                     "description", ngx_http_loyalty_model_str(
                                        loyalty_text(&tier->description,
                                                     m->locale)),
                     "image", ngx_http_loyalty_model_str(tier->image));
}


static json_t *
ngx_http_loyalty_model_requirement(ngx_http_loyalty_model_t *m,
    const loyalty_tier_t *tier)
{
    u_char         text[NGX_LOYALTY_FORMAT_SIZE];
    loyalty_str_t  money;

    switch (tier->segment) {

    case LOYALTY_SEGMENT_VIP:
        return ngx_http_loyalty_model_own(m, NGX_LOYALTY_TEXT_VIP);

    case LOYALTY_SEGMENT_AT_RISK:
        return ngx_http_loyalty_model_own(m, NGX_LOYALTY_TEXT_AT_RISK);

    case LOYALTY_SEGMENT_NEW:
        return ngx_http_loyalty_model_own(m, NGX_LOYALTY_TEXT_NEW);

    case LOYALTY_SEGMENT_RECURRING:
        return ngx_http_loyalty_model_own(m, NGX_LOYALTY_TEXT_RECURRING);

    default:
        break;
    }

    if (tier->threshold == 0) {
        return ngx_http_loyalty_model_own(m, NGX_LOYALTY_TEXT_EVERYONE);
    }

    switch (m->program->settings.criterion) {

    case LOYALTY_CRITERION_ORDERS:
        return ngx_http_loyalty_model_count(m, NGX_LOYALTY_COUNT_ORDERS,
                                            tier->threshold, loyalty_str_null);

    case LOYALTY_CRITERION_LIFE_POINTS:
        return ngx_http_loyalty_model_count(m, NGX_LOYALTY_COUNT_POINTS,
                                            tier->threshold, loyalty_str_null);

    default: /* LOYALTY_CRITERION_SPEND */
        money.data = (char *) text;
        money.len = ngx_loyalty_format_money(m->locale,
                                             m->program->settings.currency,
                                             tier->threshold, text);

        return ngx_http_loyalty_model_fill(
                   ngx_loyalty_text(m->language, NGX_LOYALTY_TEXT_SPEND),
                   money, loyalty_str_null);
    }
}


static json_t *
ngx_http_loyalty_model_window(ngx_http_loyalty_model_t *m)
{
    u_char            text[NGX_LOYALTY_FORMAT_SIZE];
    loyalty_str_t     days;
    loyalty_window_t *window;

    window = &m->program->settings.window;

    if (window->kind != LOYALTY_WINDOW_ROLLING
        || m->program->settings.criterion == LOYALTY_CRITERION_SEGMENT)
    {
        return json_false();
    }

    days.data = (char *) text;
    days.len = ngx_loyalty_format_number(m->locale, window->days, text);

    return ngx_http_loyalty_model_fill(
               ngx_loyalty_text(m->language, NGX_LOYALTY_TEXT_WINDOW), days,
               loyalty_str_null);
}


static json_t *
ngx_http_loyalty_model_title(ngx_http_loyalty_model_t *m)
{
    loyalty_str_t  title;

    title = loyalty_text(&m->program->settings.tier_page_title, m->locale);

    if (title.len) {
        return ngx_http_loyalty_model_str(title);
    }

    return ngx_http_loyalty_model_own(m, m->view
                                         ? NGX_LOYALTY_TEXT_TITLE_MEMBER
                                         : NGX_LOYALTY_TEXT_TITLE_GUEST);
}


static json_t *
ngx_http_loyalty_model_stylesheet(ngx_http_request_t *r,
    ngx_http_loyalty_model_t *m)
{
    ngx_str_t  token;

    if (m->preview
        && ngx_http_arg(r, (u_char *) "preview", 7, &token) == NGX_OK)
    {
        return json_sprintf("?style=%lld&preview=%.*s",
                            (long long) m->program->version, (int) token.len,
                            token.data);
    }

    return json_sprintf("?style=%lld", (long long) m->program->version);
}


static json_t *
ngx_http_loyalty_model_str(loyalty_str_t text)
{
    return text.len ? json_stringn(text.data, text.len) : json_false();
}


static json_t *
ngx_http_loyalty_model_own(ngx_http_loyalty_model_t *m,
    ngx_loyalty_text_e text)
{
    return json_string(ngx_loyalty_text(m->language, text));
}


static json_t *
ngx_http_loyalty_model_fill(const char *format, loyalty_str_t first,
    loyalty_str_t second)
{
    size_t       n;
    u_char      *p, *text;
    json_t      *filled;
    const char  *from, *mark;

    n = ngx_strlen(format) + first.len + second.len;

    text = (u_char *) ngx_alloc(n, ngx_cycle->log);
    if (text == NULL) {
        return NULL;
    }

    p = text;
    from = format;

    while ((mark = strstr(from, "%s")) != NULL) {
        p = ngx_cpymem(p, from, mark - from);

        if (first.len) {
            p = ngx_cpymem(p, first.data, first.len);
        }

        first = second;
        from = mark + 2;
    }

    p = ngx_cpymem(p, from, ngx_strlen(from));

    filled = json_stringn((char *) text, p - text);

    ngx_free(text);

    return filled;
}


static json_t *
ngx_http_loyalty_model_count(ngx_http_loyalty_model_t *m,
    ngx_loyalty_count_e text, int64_t n, loyalty_str_t second)
{
    u_char         number[NGX_LOYALTY_FORMAT_SIZE];
    loyalty_str_t  first;

    first.data = (char *) number;
    first.len = ngx_loyalty_format_number(m->locale, n, number);

    return ngx_http_loyalty_model_fill(
               ngx_loyalty_count_text(m->language, text, n), first, second);
}
