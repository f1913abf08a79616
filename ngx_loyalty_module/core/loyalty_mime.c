/*
 * Writing an e-mail, twice: first to learn its length, then into memory of
 * that length.
 *
 *   Date, From, To, Subject, Message-ID, MIME-Version, List-Unsubscribe...
 *   Content-Type: multipart/alternative; boundary="=_ID"
 *
 *   --=_ID   text/plain    quoted-printable, or base64 where that is shorter
 *   --=_ID   text/html
 *   --=_ID--
 *
 * "=_" never occurs in either encoding, so no body can hold the boundary.
 */

#include "loyalty_mime.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <time.h>

#define LINE_MAX_CHARS 76 /* of an encoded line, without its end */
#define HEADER_FOLD 78
#define WORD_BYTES 45     /* encoded as 60 characters: a word has at most 75 */

typedef struct {
    char *data; /* NULL: only counting */
    size_t len;
    size_t column;
} writer_t;

static void
put(writer_t *writer, const char *data, size_t len)
{
    if (writer->data != NULL) {
        memcpy(writer->data + writer->len, data, len);
    }
    writer->len += len;
    writer->column += len;
}

static void
put_text(writer_t *writer, const char *text)
{
    put(writer, text, strlen(text));
}

static void
put_str(writer_t *writer, loyalty_str_t text)
{
    put(writer, text.data, text.len);
}

static void
end_line(writer_t *writer)
{
    put(writer, "\r\n", 2);
    writer->column = 0;
}

/* A header's line goes on: a line break where it would become too long. */
static void
space_or_fold(writer_t *writer, size_t next)
{
    if (writer->column + 1 + next > HEADER_FOLD) {
        end_line(writer);
    }
    put(writer, " ", 1);
}

static void
put_base64(writer_t *writer, const unsigned char *data, size_t len)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char four[4];
    uint32_t bits;
    size_t i, n;

    for (i = 0; i < len; i += 3) {
        n = len - i < 3 ? len - i : 3;
        bits = (uint32_t)data[i] << 16
               | (n > 1 ? (uint32_t)data[i + 1] << 8 : 0)
               | (n > 2 ? data[i + 2] : 0);
        four[0] = digits[bits >> 18];
        four[1] = digits[bits >> 12 & 63];
        four[2] = n > 1 ? digits[bits >> 6 & 63] : '=';
        four[3] = n > 2 ? digits[bits & 63] : '=';
        put(writer, four, 4);
    }
}

static bool
is_control(char c)
{
    return (unsigned char)c < ' ' || c == 0x7f;
}

bool
loyalty_mime_is_address(loyalty_str_t address)
{
    size_t i, at = 0;
    char c;

    if (address.len > LOYALTY_EMAIL_MAX) {
        return false;
    }

    for (i = 0; i < address.len; i++) {
        c = address.data[i];
        if (c <= ' ' || c > '~' || strchr("<>()[],;:\\\"", c) != NULL) {
            return false;
        }
        if (c == '@') {
            if (at != 0 || i == 0) {
                return false;
            }
            at = i;
        }
    }

    return at != 0 && at + 1 < address.len;
}

/* A URL between angle brackets, on a line of its own. */
static bool
is_url(loyalty_str_t url)
{
    size_t i;

    for (i = 0; i < url.len; i++) {
        if (url.data[i] <= ' ' || url.data[i] > '~' || url.data[i] == '<'
            || url.data[i] == '>') {
            return false;
        }
    }

    return url.len > 8 && url.len <= LOYALTY_MIME_URL_MAX
           && memcmp(url.data, "https://", 8) == 0;
}

/* May stand in a header as it is: ASCII that looks like no encoded word, and
 * whose words fit a line. */
static bool
is_plain(loyalty_str_t text)
{
    size_t i, word = 0;

    for (i = 0; i < text.len; i++) {
        word = text.data[i] == ' ' ? 0 : word + 1;
        if (is_control(text.data[i]) || (unsigned char)text.data[i] > '~'
            || word > HEADER_FOLD - 10
            || (text.data[i] == '=' && i + 1 < text.len
                && text.data[i + 1] == '?')) {
            return false;
        }
    }

    return true;
}

static bool
is_atom(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
           || (c >= '0' && c <= '9') || strchr("!#$%&'*+-/=?^_`{|}~ ", c);
}

static bool
is_phrase(loyalty_str_t text)
{
    size_t i;

    for (i = 0; i < text.len; i++) {
        if (!is_atom(text.data[i])) {
            return false;
        }
    }

    return true;
}

/* Words as they are; the blanks between them are where a line may break.  A
 * run of blanks stays on the line of the word before it. */
static void
put_words(writer_t *writer, loyalty_str_t text)
{
    size_t i = 0, begin;

    while (i < text.len) {
        begin = i;
        while (i < text.len && text.data[i] == ' ') {
            i++;
        }
        if (i > begin + 1) {
            put(writer, text.data + begin, i - begin - 1);
        }
        begin = i;
        while (i < text.len && text.data[i] != ' ') {
            i++;
        }
        if (begin == 0) {
            put(writer, text.data, i);
        } else {
            space_or_fold(writer, i - begin);
            put(writer, text.data + begin, i - begin);
        }
    }
}

/* =?UTF-8?B?...?= as often as needed; a character is never cut. */
static void
put_encoded_words(writer_t *writer, loyalty_str_t text)
{
    unsigned char bytes[WORD_BYTES];
    size_t i = 0, n, j, room;

    while (i < text.len) {
        room = WORD_BYTES;
        if (i == 0) { /* the header's name is on this line */
            room = (HEADER_FOLD - 12 - writer->column) / 4 * 3;
            room = room > WORD_BYTES ? WORD_BYTES : room;
        }
        n = text.len - i < room ? text.len - i : room;
        while (i + n < text.len && n > 4
               && ((unsigned char)text.data[i + n] & 0xc0) == 0x80) {
            n--;
        }
        for (j = 0; j < n; j++) {
            bytes[j] = is_control(text.data[i + j])
                           ? ' ' : (unsigned char)text.data[i + j];
        }
        if (i != 0) {
            end_line(writer);
            put(writer, " ", 1);
        }
        put_text(writer, "=?UTF-8?B?");
        put_base64(writer, bytes, n);
        put_text(writer, "?=");
        i += n;
    }
}

static void
put_quoted(writer_t *writer, loyalty_str_t text)
{
    size_t i;

    put(writer, "\"", 1);
    for (i = 0; i < text.len; i++) {
        if (text.data[i] == '"' || text.data[i] == '\\') {
            put(writer, "\\", 1);
        }
        put(writer, &text.data[i], 1);
    }
    put(writer, "\"", 1);
}

static void
put_subject(writer_t *writer, loyalty_str_t subject)
{
    put_text(writer, "Subject: ");
    if (is_plain(subject)) {
        put_words(writer, subject);
    } else {
        put_encoded_words(writer, subject);
    }
    end_line(writer);
}

static void
put_mailbox(writer_t *writer, const char *header, loyalty_str_t name,
            loyalty_str_t address)
{
    put_text(writer, header);

    if (name.len == 0) {
        put_str(writer, address);
        end_line(writer);
        return;
    }

    if (!is_plain(name)) {
        put_encoded_words(writer, name);
    } else if (is_phrase(name)) {
        put_words(writer, name);
    } else {
        put_quoted(writer, name);
    }

    space_or_fold(writer, address.len + 2);
    put(writer, "<", 1);
    put_str(writer, address);
    put(writer, ">", 1);
    end_line(writer);
}

static void
put_date(writer_t *writer, loyalty_instant_t at)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t seconds = (time_t)(at / LOYALTY_SECOND);
    char text[64];
    struct tm tm;

    gmtime_r(&seconds, &tm);
    snprintf(text, sizeof(text),
             "Date: %.3s, %d %.3s %04d %02d:%02d:%02d +0000",
             days + tm.tm_wday * 3, tm.tm_mday, months + tm.tm_mon * 3,
             tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
    put_text(writer, text);
    end_line(writer);
}

/* Characters of a Message-ID that need no quoting. */
static void
put_id(writer_t *writer, loyalty_str_t id)
{
    size_t i;

    for (i = 0; i < id.len; i++) {
        put(writer,
            (is_atom(id.data[i]) && id.data[i] != ' ') || id.data[i] == '.'
                ? &id.data[i] : "_",
            1);
    }
}

static void
put_headers(writer_t *writer, const loyalty_envelope_t *envelope)
{
    const char *at = memchr(envelope->sender_address.data, '@',
                            envelope->sender_address.len);
    size_t before = (size_t)(at - envelope->sender_address.data);

    put_date(writer, envelope->at);
    put_mailbox(writer, "From: ", envelope->sender_name,
                envelope->sender_address);
    put_mailbox(writer, "To: ", loyalty_str_null, envelope->to);
    put_subject(writer, envelope->subject);

    put_text(writer, "Message-ID: <");
    put_id(writer, envelope->id);
    put(writer, ".", 1);
    put_id(writer, envelope->site);
    put(writer, at, envelope->sender_address.len - before);
    put(writer, ">", 1);
    end_line(writer);

    if (envelope->unsubscribe_url.len != 0) {
        put_text(writer, "List-Unsubscribe: <"); /* never folded */
        put_str(writer, envelope->unsubscribe_url);
        put(writer, ">", 1);
        end_line(writer);
        put_text(writer, "List-Unsubscribe-Post: List-Unsubscribe=One-Click");
        end_line(writer);
    }

    put_text(writer, "MIME-Version: 1.0");
    end_line(writer);
}

/* Length of the line that begins at `i`; *next is behind its end. */
static size_t
line_at(loyalty_str_t body, size_t i, size_t *next)
{
    size_t end = i;

    while (end < body.len && body.data[end] != '\n' && body.data[end] != '\r') {
        end++;
    }

    *next = end;
    if (*next < body.len && body.data[(*next)++] == '\r' && *next < body.len
        && body.data[*next] == '\n') {
        (*next)++;
    }

    return end - i;
}

static void
put_quoted_printable(writer_t *writer, loyalty_str_t body)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t i, begin, len, next;
    char triple[3] = "=";
    unsigned char c;
    bool plain;

    for (begin = 0; begin < body.len; begin = next) {
        len = line_at(body, begin, &next);

        for (i = 0; i < len; i++) {
            c = (unsigned char)body.data[begin + i];
            plain = c != '=' && ((c > ' ' && c <= '~')
                                 || ((c == ' ' || c == '\t') && i + 1 < len));

            if (writer->column + (plain ? 1 : 3) > LINE_MAX_CHARS - 1) {
                put(writer, "=", 1);
                end_line(writer);
            }

            if (plain) {
                put(writer, (const char *)&c, 1);
            } else {
                triple[1] = hex[c >> 4];
                triple[2] = hex[c & 15];
                put(writer, triple, 3);
            }
        }

        end_line(writer);
    }
}

/* 57 bytes make a line of 76; line ends become CRLF before they are encoded. */
static void
put_base64_lines(writer_t *writer, loyalty_str_t body)
{
    unsigned char bytes[57];
    size_t i, begin, len, next, n = 0;

    for (begin = 0; begin < body.len; begin = next) {
        len = line_at(body, begin, &next);

        for (i = 0; i < len + 2; i++) {
            bytes[n++] = i < len ? (unsigned char)body.data[begin + i]
                                 : (unsigned char)"\r\n"[i - len];
            if (n == sizeof(bytes)) {
                put_base64(writer, bytes, n);
                end_line(writer);
                n = 0;
            }
        }
    }

    if (n != 0) {
        put_base64(writer, bytes, n);
        end_line(writer);
    }
}

static void
put_part(writer_t *writer, const char *type, loyalty_str_t body)
{
    size_t i, escaped = 0;
    bool base64;

    for (i = 0; i < body.len; i++) {
        escaped += (unsigned char)body.data[i] > '~' || body.data[i] == '=';
    }

    base64 = escaped > body.len / 6; /* 2 more for each, or a third */

    put_text(writer, "Content-Type: ");
    put_text(writer, type);
    put_text(writer, "; charset=utf-8");
    end_line(writer);
    put_text(writer, "Content-Transfer-Encoding: ");
    put_text(writer, base64 ? "base64" : "quoted-printable");
    end_line(writer);
    end_line(writer);

    if (base64) {
        put_base64_lines(writer, body);
    } else {
        put_quoted_printable(writer, body);
    }
}

static void
put_boundary(writer_t *writer, const char *uuid, const char *end)
{
    put_text(writer, "--=_");
    put_text(writer, uuid);
    put_text(writer, end);
    end_line(writer);
}

static void
write_all(writer_t *writer, const loyalty_envelope_t *envelope,
          const char *uuid)
{
    put_headers(writer, envelope);

    if (envelope->html.len == 0) {
        put_part(writer, "text/plain", envelope->text);
        return;
    }

    if (envelope->text.len == 0) {
        put_part(writer, "text/html", envelope->html);
        return;
    }

    put_text(writer, "Content-Type: multipart/alternative;");
    end_line(writer);
    put_text(writer, " boundary=\"=_");
    put_text(writer, uuid);
    put(writer, "\"", 1);
    end_line(writer);
    end_line(writer);

    put_boundary(writer, uuid, "");
    put_part(writer, "text/plain", envelope->text);
    put_boundary(writer, uuid, "");
    put_part(writer, "text/html", envelope->html);
    put_boundary(writer, uuid, "--");
}

loyalty_status_t
loyalty_mime_compose(const loyalty_envelope_t *envelope,
                     loyalty_arena_t *arena, loyalty_str_t *bytes,
                     const char **what)
{
    char uuid[LOYALTY_UUID_SIZE];
    writer_t writer = {0};

    *what = !loyalty_mime_is_address(envelope->to) ? "to"
            : !loyalty_mime_is_address(envelope->sender_address)
                ? "sender_address"
            : envelope->text.len == 0 && envelope->html.len == 0 ? "body"
            : envelope->unsubscribe_url.len != 0
                      && !is_url(envelope->unsubscribe_url)
                ? "unsubscribe_url" : NULL;

    if (*what != NULL) {
        return LOYALTY_ERROR_INVALID;
    }

    if (loyalty_envelope_uuid(envelope, uuid) != LOYALTY_OK) {
        return LOYALTY_ERROR_MEMORY;
    }

    write_all(&writer, envelope, uuid);
    writer.data = loyalty_alloc(arena, writer.len);
    if (writer.data == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    writer.len = 0;
    writer.column = 0;
    write_all(&writer, envelope, uuid);
    *bytes = (loyalty_str_t){writer.data, writer.len};

    return LOYALTY_OK;
}

loyalty_status_t
loyalty_envelope_uuid(const loyalty_envelope_t *envelope,
                      char uuid[LOYALTY_UUID_SIZE])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool ok;

    ok = context != NULL
         && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1
         && EVP_DigestUpdate(context, envelope->site.data, envelope->site.len)
                == 1
         && EVP_DigestUpdate(context, "/", 1) == 1
         && EVP_DigestUpdate(context, envelope->id.data, envelope->id.len) == 1
         && EVP_DigestFinal_ex(context, digest, NULL) == 1;
    EVP_MD_CTX_free(context);

    if (!ok) {
        return LOYALTY_ERROR_MEMORY;
    }

    digest[6] = (digest[6] & 0x0f) | 0x80;
    digest[8] = (digest[8] & 0x3f) | 0x80;
    snprintf(uuid, LOYALTY_UUID_SIZE,
             "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
             "%02x%02x%02x%02x%02x%02x",
             digest[0], digest[1], digest[2], digest[3], digest[4], digest[5],
             digest[6], digest[7], digest[8], digest[9], digest[10],
             digest[11], digest[12], digest[13], digest[14], digest[15]);

    return LOYALTY_OK;
}
