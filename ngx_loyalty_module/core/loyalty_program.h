/*
 * A site's program: everything the merchant configures, one JSON document,
 * compiled into an immutable form (DOMAIN.md sections 1, 5-8, 10).
 *
 * The document:
 *   { "version": 7,
 *     "settings":   { "id", "name", "currency", "time_zone", "locales": [],
 *                     "active", "earn_rate": "1", "points_expire_days",
 *                     "points_pending_days", "return_policy",
 *                     "criterion", "window": {"kind","days","grace_days",
 *                     "never_drop"}, "segments": {"new","recurring",
 *                     "at_risk","vip"}, "attribution_days", "messages":
 *                     {"track_url","test_to","cap","cap_days"}, "design",
 *                     "sign_in_url", "tier_page_title", "webhooks":
 *                     [ {"id","url","events": [],"enabled"} ] },
 *     "statuses":   [ {"id","name":{locale:text},"threshold"|"segment",
 *                      "color","image","description","multiplier"} ],
 *     "designs":    [ {"id","name","colors","fonts","logo","css","template"} ],
 *     "offers":     [ DOMAIN.md section 7 ],
 *     "rules":      [ section 8 ],
 *     "templates":  [ {"id","name","channel","subject","html","text"} ],
 *     "categories": [ {"pattern","category"} ]   SKU -> category, first wins
 *   }
 * Settings need "id" and "currency"; what else is absent or null takes its
 * default.  Absent statuses are, by spend, bronze 1 000, silver 5 000 and gold
 * 10 000, else none.  A name, description, title, subject or body may be one
 * text or one for each language.  The schema stands in program.schema.json.
 *
 * Ownership: a program owns all it points to, until loyalty_program_free.
 * Never changed after parsing: threads share it.
 */

#ifndef LOYALTY_PROGRAM_H
#define LOYALTY_PROGRAM_H

#include <jansson.h>

#include "loyalty.h"

/* Section 5. */
typedef enum {
    LOYALTY_CRITERION_SPEND,
    LOYALTY_CRITERION_ORDERS,
    LOYALTY_CRITERION_LIFE_POINTS,
    LOYALTY_CRITERION_SEGMENT
} loyalty_criterion_t;

typedef enum {
    LOYALTY_WINDOW_LIFETIME,
    LOYALTY_WINDOW_ROLLING
} loyalty_window_kind_t;

typedef struct {
    loyalty_window_kind_t kind;
    int32_t days;       /* rolling: counted back from the instant of reading */
    int32_t grace_days; /* a drop waits this long; 0: immediate */
    bool never_drop;
} loyalty_window_t;

/* Section 3. */
typedef enum {
    LOYALTY_RETURN_WITHIN_BALANCE,
    LOYALTY_RETURN_UNLIMITED,
    LOYALTY_RETURN_ONLY_PENDING
} loyalty_return_policy_t;

/* Section 6, as a set of bits and in the order in which one is shown. */
typedef enum {
    LOYALTY_SEGMENT_VIP = 1,
    LOYALTY_SEGMENT_AT_RISK = 2,
    LOYALTY_SEGMENT_NEW = 4,
    LOYALTY_SEGMENT_RECURRING = 8
} loyalty_segment_t;

typedef struct {
    int32_t new_days;
    int32_t recurring_days;
    int32_t at_risk_days;
    int64_t vip_points;
} loyalty_segment_thresholds_t;

/* A text per locale; the first locale of the site answers for the others. */
typedef struct {
    loyalty_str_t locale;
    loyalty_str_t text;
} loyalty_text_t;

typedef struct {
    loyalty_text_t *texts;
    size_t n;
} loyalty_texts_t;

/* The text for `locale`, else for its language, else the first, else empty. */
loyalty_str_t loyalty_text(const loyalty_texts_t *texts, loyalty_str_t locale);

/* Section 8, for all messages of a site. */
typedef struct {
    loyalty_str_t track_url; /* of loyalty_track; empty: nothing is tracked */
    loyalty_str_t test_to;   /* e-mail that gets everything; empty: none */
    int32_t cap;             /* messages to one member; 0: any number */
    int32_t cap_days;        /* within this time */
} loyalty_message_settings_t;

/* What the merchant's systems are told by webhooks, a set of bits. */
typedef enum {
    LOYALTY_EVENT_ORDER_APPLIED = 1 << 0,
    LOYALTY_EVENT_STATUS_UP = 1 << 1,
    LOYALTY_EVENT_STATUS_DOWN = 1 << 2,
    LOYALTY_EVENT_POINTS_ADDED = 1 << 3,
    LOYALTY_EVENT_POINTS_EXPIRED = 1 << 4,
    LOYALTY_EVENT_OFFER_REDEEMED = 1 << 5,
    LOYALTY_EVENT_MESSAGE_SENT = 1 << 6,
    LOYALTY_EVENT_MESSAGE_OPENED = 1 << 7,
    LOYALTY_EVENT_MESSAGE_CLICKED = 1 << 8,
    LOYALTY_EVENT_MESSAGE_CONVERTED = 1 << 9,
    LOYALTY_EVENT_MESSAGE_FAILED = 1 << 10,
    LOYALTY_EVENT_MESSAGE_UNSUBSCRIBED = 1 << 11
} loyalty_event_t;

typedef struct {
    loyalty_str_t id;
    loyalty_str_t url;
    unsigned events;
    bool enabled;
} loyalty_webhook_t;

typedef struct {
    loyalty_str_t id;
    loyalty_str_t name;
    loyalty_str_t currency;
    int exponent; /* of the currency */
    loyalty_str_t time_zone;
    loyalty_str_t *locales;
    size_t nlocales;
    bool active;

    int64_t earn_rate; /* points per major unit, scaled by 10^4 */
    int32_t points_expire_days;  /* 0: never */
    int32_t points_pending_days; /* after completion; 0: active at once */
    loyalty_return_policy_t return_policy;

    loyalty_criterion_t criterion;
    loyalty_window_t window;
    loyalty_segment_thresholds_t segments;

    int32_t attribution_days;
    loyalty_message_settings_t messages;
    loyalty_str_t design; /* empty: none */
    loyalty_str_t sign_in_url;
    loyalty_texts_t tier_page_title;

    loyalty_webhook_t *webhooks;
    size_t nwebhooks;
    unsigned events; /* that a webhook which is on wants */
} loyalty_settings_t;

/* A status of section 5; "tier" in C, where loyalty_status_t is a result. */
typedef struct {
    loyalty_str_t id;
    loyalty_texts_t name;
    loyalty_texts_t description;
    int64_t threshold;         /* minor units, orders or points */
    loyalty_segment_t segment; /* criterion segment, else 0 */
    loyalty_str_t color;
    loyalty_str_t image;
    int64_t multiplier; /* scaled by 10^2; 100 by default */
} loyalty_tier_t;

typedef struct {
    loyalty_str_t id;
    loyalty_str_t name;
    loyalty_str_t logo;
    loyalty_str_t css;
    loyalty_str_t template; /* Mustache, or empty: the built-in page */
    json_t *json; /* all of it, with "colors" and "fonts", as given */
} loyalty_design_t;

typedef enum {
    LOYALTY_CHANNEL_EMAIL = 1,
    LOYALTY_CHANNEL_SMS = 2,
    LOYALTY_CHANNEL_MESSENGER = 4,
    LOYALTY_CHANNEL_LINE = 8
} loyalty_channel_t;

/* What a message is made from; Mustache. */
typedef struct {
    loyalty_str_t id;
    loyalty_str_t name;
    loyalty_channel_t channel;
    loyalty_texts_t subject;
    loyalty_texts_t html;
    loyalty_texts_t text;
} loyalty_message_template_t;

typedef struct loyalty_offer_s loyalty_offer_t; /* loyalty_offer.h */
typedef struct loyalty_rule_s loyalty_rule_t;   /* loyalty_rule.h */

typedef struct {
    int64_t version;
    loyalty_settings_t settings;

    /* Ascending threshold; the program's order for segment statuses. */
    loyalty_tier_t *tiers;
    size_t ntiers;

    loyalty_design_t *designs;
    size_t ndesigns;

    loyalty_offer_t **offers;
    size_t noffers;

    loyalty_rule_t **rules;
    size_t nrules;

    loyalty_message_template_t *templates;
    size_t ntemplates;

    json_t *json; /* the document as read, defaults not filled in */
    struct loyalty_program_private_s *private_data;
} loyalty_program_t;

/*
 * All mistakes at once in `problems`.  LOYALTY_ERROR_INVALID; _LIMIT where the
 * document is too large or too deep to look into; _MEMORY.  On success the
 * caller owns *program.  `document` is borrowed for the program's life (a
 * reference is taken) and must not change.
 */
loyalty_status_t loyalty_program_parse(const char *bytes, size_t len,
                                       loyalty_problems_t *problems,
                                       loyalty_program_t **program);
loyalty_status_t loyalty_program_from_json(json_t *document,
                                           loyalty_problems_t *problems,
                                           loyalty_program_t **program);
/*
 * The program with other offers, for a quote that tries them out: places are
 * given below "/preview", and an offer may name statuses that do not exist.
 */
loyalty_status_t loyalty_program_preview(const loyalty_program_t *program,
                                         json_t *offers,
                                         loyalty_problems_t *problems,
                                         loyalty_program_t **preview);
void loyalty_program_free(loyalty_program_t *program);

/* The document with all defaults written out, as the API shows it; a new
 * reference, NULL without memory.  Parsing it again gives the same program. */
json_t *loyalty_program_to_json(const loyalty_program_t *program);

/* One part of that document: the settings, or the object `index` of a list
 * such as "offers", the whole list for LOYALTY_PROGRAM_ALL. */
#define LOYALTY_PROGRAM_ALL SIZE_MAX
json_t *loyalty_program_part(const loyalty_program_t *program,
                             const char *name, size_t index);

/* A document for a new site: default statuses, no offers, not active; a new
 * reference, NULL without memory or where the currency is unknown. */
json_t *loyalty_program_default(loyalty_str_t site, loyalty_str_t currency);

const loyalty_tier_t *loyalty_program_tier(const loyalty_program_t *program,
                                           loyalty_str_t id);
const loyalty_design_t *loyalty_program_design(
    const loyalty_program_t *program, loyalty_str_t id);
const loyalty_offer_t *loyalty_program_offer(const loyalty_program_t *program,
                                             loyalty_str_t id);
const loyalty_message_template_t *loyalty_program_template(
    const loyalty_program_t *program, loyalty_str_t id);

/* The line's own category, else the first pattern that fits the SKU. */
loyalty_str_t loyalty_program_category(const loyalty_program_t *program,
                                       loyalty_str_t sku,
                                       loyalty_str_t category);

/* "vip", "at_risk", "new", "recurring"; "spend", ...; else "". */
const char *loyalty_segment_name(loyalty_segment_t segment);
const char *loyalty_criterion_name(loyalty_criterion_t criterion);

#endif
