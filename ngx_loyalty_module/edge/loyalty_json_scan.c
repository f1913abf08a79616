/*
 * RFC 8259 as a table of states over bytes; a document may begin with a byte
 * order mark.  Whether a level is an object or an array is one bit.
 *
 * Names at the top level are compared as they are read, escapes decoded, so
 * that "loy\u0061lty" is the member "loyalty".
 */

#include "loyalty_json_scan.h"

typedef enum {
    START = 0,
    BOM_2, /* EF read */
    BOM_3, /* EF BB read */
    TOP,   /* the mark, if any, has passed */
    NAME_OR_CLOSE, /* { read */
    NAME,          /* , read in an object */
    COLON,
    VALUE,
    VALUE_OR_CLOSE, /* [ read */
    AFTER,          /* a value has ended */
    STRING,
    ESCAPE,
    HEX,
    LITERAL,
    MINUS,
    ZERO,
    INTEGER,
    POINT,
    FRACTION,
    EXPONENT,
    EXPONENT_SIGN,
    EXPONENT_DIGITS,
    END
} state_t;

#define DIFFERS SIZE_MAX

void
loyalty_json_scan_init(loyalty_json_scan_t *scan, loyalty_str_t name)
{
    memset(scan, 0, sizeof(*scan));
    scan->name = name;
    scan->empty = true;
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int
hex_digit(char c)
{
    if (is_digit(c)) {
        return c - '0';
    }

    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool
in_array(const loyalty_json_scan_t *scan)
{
    unsigned level = scan->depth - 1;

    return (scan->arrays[level / 8] >> (level % 8) & 1) != 0;
}

static bool
descend(loyalty_json_scan_t *scan, bool array)
{
    unsigned level = scan->depth;

    if (level == LOYALTY_INJECT_JSON_DEPTH_MAX) {
        return false;
    }

    scan->arrays[level / 8] &= (uint8_t)~(1U << (level % 8));
    scan->arrays[level / 8] |= (uint8_t)((unsigned)array << (level % 8));
    scan->depth++;
    scan->state = array ? VALUE_OR_CLOSE : NAME_OR_CLOSE;
    return true;
}

/* A string that is read as a name of the top level is compared. */
static void
match(loyalty_json_scan_t *scan, const char *data, size_t len)
{
    if (scan->matched == DIFFERS) {
        return;
    }

    if (len <= scan->name.len - scan->matched
        && memcmp(scan->name.data + scan->matched, data, len) == 0) {
        scan->matched += len;
    } else {
        scan->matched = DIFFERS;
    }
}

static void
match_code(loyalty_json_scan_t *scan, uint32_t code)
{
    char utf8[4];
    size_t len = 0;

    if (scan->high != 0) {
        if (code < 0xDC00 || code > 0xDFFF) {
            scan->matched = DIFFERS;
            return;
        }
        code = 0x10000 + ((scan->high - 0xD800) << 10) + (code - 0xDC00);
        scan->high = 0;

    } else if (code >= 0xD800 && code <= 0xDBFF) {
        scan->high = code;
        return;
    }

    if (code < 0x80) {
        utf8[len++] = (char)code;
    } else {
        if (code < 0x800) {
            utf8[len++] = (char)(0xC0 | code >> 6);
        } else {
            if (code < 0x10000) {
                utf8[len++] = (char)(0xE0 | code >> 12);
            } else {
                utf8[len++] = (char)(0xF0 | code >> 18);
                utf8[len++] = (char)(0x80 | (code >> 12 & 0x3F));
            }
            utf8[len++] = (char)(0x80 | (code >> 6 & 0x3F));
        }
        utf8[len++] = (char)(0x80 | (code & 0x3F));
    }

    match(scan, utf8, len);
}

static void
open_string(loyalty_json_scan_t *scan, state_t next)
{
    scan->state = STRING;
    scan->quote_state = (uint8_t)next;
    scan->high = 0;
    scan->matched = next == COLON && scan->depth == 1 ? 0 : DIFFERS;
}

static void
close_string(loyalty_json_scan_t *scan)
{
    scan->state = scan->quote_state;
    scan->named = scan->matched == scan->name.len && scan->high == 0;
}

/* The bytes of a string up to its quote, an escape, or the end of the piece. */
static loyalty_json_event_t
read_string(loyalty_json_scan_t *scan, const char *data, size_t len,
            size_t *pos)
{
    size_t start = *pos, i = start;

    while (i < len && data[i] != '"' && data[i] != '\\'
           && (unsigned char)data[i] >= ' ') {
        i++;
    }

    *pos = i;

    if (scan->matched != DIFFERS && i != start) {
        match(scan, data + start, i - start);
        if (scan->high != 0) {
            scan->matched = DIFFERS;
        }
    }

    if (i == len) {
        return LOYALTY_JSON_MORE;
    }

    if (data[i] == '\\') {
        scan->state = ESCAPE;
    } else if (data[i] == '"') {
        close_string(scan);
    } else {
        return LOYALTY_JSON_INVALID;
    }

    *pos = i + 1;
    return LOYALTY_JSON_MORE;
}

static bool
read_escape(loyalty_json_scan_t *scan, char c)
{
    static const char letters[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";
    const char *letter;

    if (c == 'u') {
        scan->state = HEX;
        scan->hex = 4;
        scan->code = 0;
        return true;
    }

    letter = c == '\0' ? NULL : strchr(letters, c);
    if (letter == NULL) {
        return false;
    }

    scan->state = STRING;
    match(scan, &meanings[letter - letters], 1);
    if (scan->high != 0) {
        scan->matched = DIFFERS;
    }
    return true;
}

static bool
read_hex(loyalty_json_scan_t *scan, char c)
{
    int digit = hex_digit(c);

    if (digit < 0) {
        return false;
    }

    scan->code = scan->code << 4 | (uint32_t)digit;

    if (--scan->hex == 0) {
        scan->state = STRING;
        if (scan->matched != DIFFERS) {
            match_code(scan, scan->code);
        }
    }

    return true;
}

/* The first byte of a value. */
static loyalty_json_event_t
open_value(loyalty_json_scan_t *scan, char c)
{
    switch (c) {
    case '{':
    case '[':
        return descend(scan, c == '[') ? LOYALTY_JSON_MORE : LOYALTY_JSON_DEEP;
    case '"':
        open_string(scan, AFTER);
        return LOYALTY_JSON_MORE;
    case 't':
        scan->literal = "rue";
        break;
    case 'f':
        scan->literal = "alse";
        break;
    case 'n':
        scan->literal = "ull";
        break;
    case '-':
        scan->state = MINUS;
        return LOYALTY_JSON_MORE;
    case '0':
        scan->state = ZERO;
        return LOYALTY_JSON_MORE;
    default:
        scan->state = INTEGER;
        return is_digit(c) ? LOYALTY_JSON_MORE : LOYALTY_JSON_INVALID;
    }

    scan->state = LITERAL;
    return LOYALTY_JSON_MORE;
}

/* The next state of a number, or AFTER: the byte is no part of it. */
static state_t
number_state(state_t state, char c)
{
    bool digit = is_digit(c), point = c == '.', e = c == 'e' || c == 'E';

    switch (state) {
    case MINUS:
        return c == '0' ? ZERO : digit ? INTEGER : END;
    case ZERO:
        return point ? POINT : e ? EXPONENT : AFTER;
    case INTEGER:
        return digit ? INTEGER : point ? POINT : e ? EXPONENT : AFTER;
    case POINT:
        return digit ? FRACTION : END;
    case FRACTION:
        return digit ? FRACTION : e ? EXPONENT : AFTER;
    case EXPONENT:
        return digit ? EXPONENT_DIGITS
                     : c == '+' || c == '-' ? EXPONENT_SIGN : END;
    case EXPONENT_SIGN:
        return digit ? EXPONENT_DIGITS : END;
    default:
        return digit ? EXPONENT_DIGITS : AFTER;
    }
}

/* , ] or } behind a value, or the bracket that closes an empty one. */
static loyalty_json_event_t
close_or_next(loyalty_json_scan_t *scan, char c)
{
    bool array = in_array(scan);

    if (c == ',') {
        scan->state = array ? VALUE : NAME;
        return LOYALTY_JSON_MORE;
    }

    if (c != (array ? ']' : '}')) {
        return LOYALTY_JSON_INVALID;
    }

    if (--scan->depth == 0) {
        scan->closed = true;
    }

    scan->state = scan->closed ? END : AFTER;
    return LOYALTY_JSON_MORE;
}

/* One byte that is no blank between tokens and no part of a string. */
static loyalty_json_event_t
read_byte(loyalty_json_scan_t *scan, char c)
{
    switch ((state_t)scan->state) {
    case START:
        if (c == '\xEF') {
            scan->state = BOM_2;
            return LOYALTY_JSON_MORE;
        }
        /* fall through */
    case TOP:
        if (c != '{') {
            return LOYALTY_JSON_OTHER;
        }
        return open_value(scan, c);
    case BOM_2:
        scan->state = BOM_3;
        return c == '\xBB' ? LOYALTY_JSON_MORE : LOYALTY_JSON_OTHER;
    case BOM_3:
        scan->state = TOP;
        return c == '\xBF' ? LOYALTY_JSON_MORE : LOYALTY_JSON_OTHER;
    case NAME_OR_CLOSE:
        if (c == '}') {
            return close_or_next(scan, c);
        }
        /* fall through */
    case NAME:
        if (c != '"') {
            return LOYALTY_JSON_INVALID;
        }
        scan->empty = scan->empty && scan->depth != 1;
        open_string(scan, COLON);
        return LOYALTY_JSON_MORE;
    case COLON:
        scan->state = VALUE;
        return c == ':' ? LOYALTY_JSON_MORE : LOYALTY_JSON_INVALID;
    case VALUE_OR_CLOSE:
        if (c == ']') {
            return close_or_next(scan, c);
        }
        /* fall through */
    case VALUE:
        return open_value(scan, c);
    case AFTER:
        return close_or_next(scan, c);
    case ESCAPE:
        return read_escape(scan, c) ? LOYALTY_JSON_MORE : LOYALTY_JSON_INVALID;
    case HEX:
        return read_hex(scan, c) ? LOYALTY_JSON_MORE : LOYALTY_JSON_INVALID;
    case LITERAL:
        if (c != *scan->literal++) {
            return LOYALTY_JSON_INVALID;
        }
        if (*scan->literal == '\0') {
            scan->state = AFTER;
        }
        return LOYALTY_JSON_MORE;
    default:
        return LOYALTY_JSON_INVALID;
    }
}

/* What happens at a byte before it is read; MORE: nothing. */
static loyalty_json_event_t
event_before(loyalty_json_scan_t *scan, char c)
{
    if (scan->depth != 1) {
        return LOYALTY_JSON_MORE;
    }

    switch ((state_t)scan->state) {
    case VALUE:
        if (!scan->named || is_blank(c)) {
            return LOYALTY_JSON_MORE;
        }
        scan->named = false;
        scan->in_value = true;
        scan->found = true;
        return LOYALTY_JSON_VALUE;
    case AFTER:
        if (scan->in_value) {
            scan->in_value = false;
            return LOYALTY_JSON_VALUE_END;
        }
        /* fall through */
    case NAME_OR_CLOSE:
        if (c != '}' || scan->told) {
            return LOYALTY_JSON_MORE;
        }
        scan->told = true;
        return LOYALTY_JSON_CLOSE;
    default:
        return LOYALTY_JSON_MORE;
    }
}

static bool
between_tokens(uint8_t state)
{
    return state == START || (state >= TOP && state <= AFTER) || state == END;
}

loyalty_json_event_t
loyalty_json_scan(loyalty_json_scan_t *scan, const char *data, size_t len,
                  size_t *pos)
{
    loyalty_json_event_t event;
    char c;

    while (*pos < len) {
        if (scan->state == STRING) {
            event = read_string(scan, data, len, pos);
            if (event != LOYALTY_JSON_MORE) {
                return event;
            }
            continue;
        }

        c = data[*pos];

        if (scan->state >= MINUS && scan->state <= EXPONENT_DIGITS) {
            scan->state = (uint8_t)number_state((state_t)scan->state, c);
            if (scan->state == END) {
                return LOYALTY_JSON_INVALID;
            }
            if (scan->state != AFTER) {
                (*pos)++;
                continue;
            }
        }

        event = event_before(scan, c);
        if (event != LOYALTY_JSON_MORE) {
            return event;
        }

        if (!between_tokens(scan->state) || !is_blank(c)) {
            event = read_byte(scan, c);
            if (event != LOYALTY_JSON_MORE) {
                return event;
            }
        } else if (scan->state == START) {
            scan->state = TOP;
        }

        (*pos)++;
    }

    return LOYALTY_JSON_MORE;
}
