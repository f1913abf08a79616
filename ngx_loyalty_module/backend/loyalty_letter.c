/*
 * Writing a letter.
 *
 *   {{member...}}          as the API shows a member
 *   {{site.name}} {{order.id}} {{order.total}} {{offer.name}} {{offer.code}}
 *   {{points}} {{unsubscribe_url}}
 *
 * In HTML every http and https link of an href becomes a tracked one, and an
 * image of one pixel comes before the end of the body.  What is tracked is
 * said by signed tokens:  TRACK_URL/o/TOKEN  /c/TOKEN  /u/TOKEN.
 */

#include "loyalty_letter.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "loyalty_offer.h"
#include "loyalty_rule_order.h"
#include "loyalty_template.h"

#define TOKEN_LIFE (3650 * LOYALTY_DAY) /* people keep their mail */
#define BODY_MAX (512 * 1024)

typedef struct {
    const loyalty_letter_t *letter;
    loyalty_arena_t *arena;
    loyalty_str_t locale;
    json_t *values;
} writer_t;

/* Bytes that grow; in malloc'ed memory, copied to the arena at the end. */
typedef struct {
    char *data;
    size_t len, capacity;
    bool failed;
} text_t;

static void
add(text_t *text, const char *data, size_t len)
{
    size_t capacity;
    char *longer;

    if (text->failed || text->len + len > text->capacity) {
        capacity = (text->len + len) * 2 + 1024;
        longer = text->failed ? NULL : realloc(text->data, capacity);
        if (longer == NULL) {
            text->failed = true;
            return;
        }
        text->data = longer;
        text->capacity = capacity;
    }

    if (len != 0) {
        memcpy(text->data + text->len, data, len);
    }
    text->len += len;
}

static bool
is_tracked(const loyalty_letter_t *letter)
{
    return letter->secret.len != 0
           && letter->program->settings.messages.track_url.len != 0;
}

/* TRACK_URL/KIND/TOKEN; false: the payload is too long. */
static bool
add_url(text_t *text, const loyalty_letter_t *letter, char kind,
        loyalty_token_type_t type, loyalty_str_t payload)
{
    loyalty_str_t base = letter->program->settings.messages.track_url;
    char token[LOYALTY_TOKEN_SIZE], between[4] = {'/', kind, '/', '\0'};
    size_t len;

    if (payload.len > LOYALTY_TOKEN_PAYLOAD_MAX
        || loyalty_token_sign(type, letter->secret,
                              letter->program->settings.id,
                              letter->at + TOKEN_LIFE, payload, token, &len)
               != LOYALTY_OK) {
        return false;
    }

    add(text, base.data, base.len);
    add(text, between, 3);
    add(text, token, len);
    return true;
}

/* "MESSAGE \0 URL", with the entities of an attribute resolved. */
static size_t
click_payload(const loyalty_letter_t *letter, const char *url, size_t len,
              char payload[LOYALTY_TOKEN_PAYLOAD_MAX])
{
    static const struct {
        const char *name;
        char c;
    } entities[] = {{"&amp;", '&'}, {"&#38;", '&'}, {"&#x2F;", '/'},
                    {"&#39;", '\''}, {"&quot;", '"'}, {"&#61;", '='},
                    {"&#x3D;", '='}};
    size_t n = letter->id.len + 1, i, j, size;

    if (n + len > LOYALTY_TOKEN_PAYLOAD_MAX) {
        return 0;
    }

    memcpy(payload, letter->id.data, letter->id.len);
    payload[letter->id.len] = '\0';

    for (i = 0; i < len;) {
        for (j = 0; j < sizeof(entities) / sizeof(entities[0]); j++) {
            size = strlen(entities[j].name);
            if (len - i >= size
                && strncasecmp(url + i, entities[j].name, size) == 0) {
                break;
            }
        }
        if (j < sizeof(entities) / sizeof(entities[0])) {
            payload[n++] = entities[j].c;
            i += strlen(entities[j].name);
        } else if ((unsigned char)url[i] <= ' ' || url[i] == 0x7f) {
            return 0;
        } else {
            payload[n++] = url[i++];
        }
    }

    return n;
}

/* A quoted href that begins at `p`: its URL.  NULL: another, or none. */
static const char *
http_link(const char *p, const char *end, size_t *len)
{
    const char *close;
    char quote;

    if (end - p < 7 || strncasecmp(p, "href=", 5) != 0
        || (p[5] != '"' && p[5] != '\'')) {
        return NULL;
    }

    quote = p[5];
    p += 6;
    close = memchr(p, quote, (size_t)(end - p));
    if (close == NULL) {
        return NULL;
    }

    *len = (size_t)(close - p);
    return (*len > 8 && strncasecmp(p, "https://", 8) == 0)
                   || (*len > 7 && strncasecmp(p, "http://", 7) == 0)
               ? p : NULL;
}

/* Our own links stay: they are tokens already. */
static bool
is_ours(const loyalty_letter_t *letter, const char *url, size_t len)
{
    loyalty_str_t base = letter->program->settings.messages.track_url;

    return len > base.len && memcmp(url, base.data, base.len) == 0
           && url[base.len] == '/';
}

static void
add_pixel(text_t *text, const loyalty_letter_t *letter)
{
    static const char before[] = "<img src=\"";
    static const char after[] = "\" width=\"1\" height=\"1\" alt=\"\">";

    add(text, before, sizeof(before) - 1);
    (void)add_url(text, letter, 'o', LOYALTY_TOKEN_OPEN, letter->id);
    add(text, after, sizeof(after) - 1);
}

/* The last end tag of a body, or the end. */
static const char *
body_end(loyalty_str_t html)
{
    size_t i;

    for (i = html.len; i >= 7; i--) {
        if (strncasecmp(html.data + i - 7, "</body>", 7) == 0) {
            return html.data + i - 7;
        }
    }

    return html.data + html.len;
}

static loyalty_status_t
track(writer_t *writer, loyalty_str_t *html)
{
    const char *p = html->data, *end = html->data + html->len, *from = p;
    const char *body = body_end(*html), *url;
    char payload[LOYALTY_TOKEN_PAYLOAD_MAX];
    text_t text = {0};
    loyalty_status_t rc;
    size_t len, n;

    for (; p < body; p++) {
        if ((*p != 'h' && *p != 'H') || p == html->data
            || (unsigned char)p[-1] > ' '
            || (url = http_link(p, body, &len)) == NULL
            || is_ours(writer->letter, url, len)) {
            continue;
        }

        n = click_payload(writer->letter, url, len, payload);
        if (n != 0) {
            add(&text, from, (size_t)(url - from));
            from = add_url(&text, writer->letter, 'c', LOYALTY_TOKEN_CLICK,
                           (loyalty_str_t){payload, n})
                       ? url + len : url;
        }
        p = url + len;
    }

    add(&text, from, (size_t)(body - from));
    add_pixel(&text, writer->letter);
    add(&text, body, (size_t)(end - body));

    rc = text.failed ? LOYALTY_ERROR_MEMORY
                     : loyalty_str_copy(writer->arena,
                                        (loyalty_str_t){text.data, text.len},
                                        html);
    free(text.data);
    return rc;
}

static loyalty_status_t
render(writer_t *writer, loyalty_str_t source, bool plain, loyalty_str_t *text)
{
    loyalty_template_t *template;
    loyalty_problems_t problems;
    loyalty_status_t rc;

    *text = loyalty_str_null;
    if (source.len == 0) {
        return LOYALTY_OK;
    }

    loyalty_problems_init(&problems, writer->arena);
    rc = loyalty_template_compile(source, &problems, &template);
    if (rc != LOYALTY_OK) {
        return rc;
    }

    if (plain) {
        loyalty_template_plain(template);
    }
    rc = loyalty_template_render(template, writer->values, NULL, NULL,
                                 BODY_MAX, writer->arena, text);
    loyalty_template_free(template);
    return rc;
}

static void
set(json_t *object, const char *name, loyalty_str_t text)
{
    json_object_set_new(object, name,
                        json_stringn(text.len == 0 ? "" : text.data,
                                     text.len));
}

static void
set_order(writer_t *writer)
{
    const loyalty_letter_t *letter = writer->letter;
    const loyalty_order_attempt_t *attempt =
        loyalty_order_counted(letter->order);
    char text[LOYALTY_FORMAT_SIZE];
    json_t *order;
    size_t len;

    if (attempt == NULL) {
        return;
    }

    order = json_object();
    len = loyalty_format_money(
        loyalty_format(letter->formats, writer->locale,
                       letter->program->settings.currency),
        attempt->total, text);
    set(order, "id", letter->order->id);
    set(order, "total", (loyalty_str_t){text, len});
    json_object_set_new(writer->values, "order", order);
}

static void
set_gift(writer_t *writer)
{
    const loyalty_letter_t *letter = writer->letter;
    const loyalty_offer_t *offer;
    char text[LOYALTY_FORMAT_SIZE];
    json_t *object;
    size_t len;

    if (letter->rule == NULL) {
        return;
    }

    if (letter->rule->points != 0) {
        len = loyalty_format_number(
            loyalty_format(letter->formats, writer->locale,
                           letter->program->settings.currency),
            letter->rule->points, text);
        set(writer->values, "points", (loyalty_str_t){text, len});
    }

    offer = letter->rule->offer.len == 0
                ? NULL
                : loyalty_program_offer(letter->program, letter->rule->offer);
    if (offer != NULL) {
        object = json_object();
        set(object, "id", offer->id);
        set(object, "name", loyalty_text(&offer->name, writer->locale));
        set(object, "code", letter->code.len != 0 ? letter->code : offer->code);
        json_object_set_new(writer->values, "offer", object);
    }
}

static loyalty_status_t
set_values(writer_t *writer, loyalty_str_t unsubscribe)
{
    const loyalty_letter_t *letter = writer->letter;
    json_t *member, *site = json_object();

    writer->values = json_object();
    member = loyalty_member_to_json(letter->member, letter->program,
                                    letter->at);
    if (writer->values == NULL || member == NULL || site == NULL) {
        json_decref(member);
        json_decref(site);
        return LOYALTY_ERROR_MEMORY;
    }

    json_object_set_new(writer->values, "member", member);
    set(site, "id", letter->program->settings.id);
    set(site, "name", letter->program->settings.name);
    json_object_set_new(writer->values, "site", site);
    set(writer->values, "unsubscribe_url", unsubscribe);
    set_order(writer);
    set_gift(writer);

    return LOYALTY_OK;
}

static loyalty_status_t
write_unsubscribe(writer_t *writer, loyalty_str_t *url)
{
    text_t text = {0};
    loyalty_status_t rc = LOYALTY_OK;

    *url = loyalty_str_null;
    if (!is_tracked(writer->letter)) {
        return LOYALTY_OK;
    }

    if (add_url(&text, writer->letter, 'u', LOYALTY_TOKEN_UNSUBSCRIBE,
                writer->letter->id)) {
        rc = text.failed ? LOYALTY_ERROR_MEMORY
                         : loyalty_str_copy(
                               writer->arena,
                               (loyalty_str_t){text.data, text.len}, url);
    }
    free(text.data);
    return rc;
}

/* Everything of a message goes to one address, as e-mail. */
static loyalty_status_t
redirect(writer_t *writer, loyalty_envelope_t *envelope)
{
    static const char *const names[] = {"email", "sms", "messenger", "line"};
    loyalty_str_t test = writer->letter->program->settings.messages.test_to;
    size_t size, i = 0;
    char *subject;
    int len;

    if (test.len == 0) {
        return LOYALTY_OK;
    }

    while (i < 3 && (1u << i) != (unsigned)envelope->channel) {
        i++;
    }

    size = envelope->to.len + envelope->subject.len + 64;
    subject = loyalty_alloc(writer->arena, size);
    if (subject == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    len = snprintf(subject, size, "[test, %s to %.*s] %.*s", names[i],
                   (int)envelope->to.len, envelope->to.data,
                   (int)envelope->subject.len,
                   envelope->subject.len == 0 ? "" : envelope->subject.data);
    envelope->subject = (loyalty_str_t){subject, (size_t)len};
    envelope->to = test;

    if (envelope->channel != LOYALTY_CHANNEL_EMAIL) {
        envelope->channel = LOYALTY_CHANNEL_EMAIL;
        envelope->sender_name = loyalty_str_null;
        envelope->sender_address = loyalty_str_null;
        envelope->spare_address = test;
    }

    return LOYALTY_OK;
}

static loyalty_status_t
write_texts(writer_t *writer, loyalty_envelope_t *envelope)
{
    const loyalty_letter_t *letter = writer->letter;
    const loyalty_rule_t *rule = letter->rule;
    const loyalty_message_template_t *template = NULL;
    loyalty_str_t subject = letter->content.subject;
    loyalty_str_t text = letter->content.text, html = letter->content.html;
    loyalty_status_t rc;

    envelope->sender_name = letter->content.sender_name;
    envelope->sender_address = letter->content.sender_address;

    if (rule != NULL) {
        template = loyalty_program_template(letter->program, rule->template);
        if (template == NULL) {
            return LOYALTY_ERROR_NOT_FOUND;
        }
        subject = loyalty_text(rule->subject.n != 0 ? &rule->subject
                                                    : &template->subject,
                               writer->locale);
        text = loyalty_text(&template->text, writer->locale);
        html = loyalty_text(&template->html, writer->locale);
        envelope->sender_name = rule->sender_name;
        envelope->sender_address = rule->sender_address;
    }

    rc = render(writer, subject, true, &envelope->subject);
    if (rc == LOYALTY_OK) {
        rc = render(writer, text, true, &envelope->text);
    }
    if (rc == LOYALTY_OK) {
        rc = render(writer, html, false, &envelope->html);
    }
    if (rc == LOYALTY_OK && envelope->html.len != 0 && is_tracked(letter)) {
        rc = track(writer, &envelope->html);
    }

    return rc;
}

loyalty_status_t
loyalty_letter_write(const loyalty_letter_t *letter, loyalty_arena_t *arena,
                     loyalty_envelope_t *envelope)
{
    const loyalty_settings_t *settings = &letter->program->settings;
    writer_t writer = {.letter = letter, .arena = arena};
    loyalty_status_t rc;

    writer.locale = letter->member->locale.len != 0 ? letter->member->locale
                    : settings->nlocales != 0       ? settings->locales[0]
                                                    : loyalty_str("en");
    *envelope = (loyalty_envelope_t){
        .channel = letter->channel,
        .site = settings->id,
        .id = letter->id,
        .to = loyalty_member_address(letter->member, letter->channel),
        .at = letter->at,
    };

    rc = write_unsubscribe(&writer, &envelope->unsubscribe_url);
    if (rc == LOYALTY_OK) {
        rc = set_values(&writer, envelope->unsubscribe_url);
    }
    if (rc == LOYALTY_OK) {
        rc = write_texts(&writer, envelope);
    }
    if (rc == LOYALTY_OK) {
        rc = redirect(&writer, envelope);
    }

    json_decref(writer.values);
    return rc;
}
