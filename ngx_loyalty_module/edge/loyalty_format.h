/*
 * Numbers and money as a locale writes them, fast enough for every request:
 * ICU is asked once how a locale and currency look, figures are then written
 * by that pattern.
 *
 * Pure: knows no nginx.  Texts are UTF-8.
 */

#ifndef LOYALTY_FORMAT_H
#define LOYALTY_FORMAT_H

#include "loyalty.h"

/* The longest text of one figure. */
#define LOYALTY_FORMAT_SIZE 256

#define LOYALTY_FORMAT_AFFIX_SIZE 32
#define LOYALTY_FORMAT_SIGN_SIZE 8

typedef struct {
    char prefix[2][LOYALTY_FORMAT_AFFIX_SIZE]; /* positive, negative */
    char suffix[2][LOYALTY_FORMAT_AFFIX_SIZE];
    char group[LOYALTY_FORMAT_SIGN_SIZE];
    char point[LOYALTY_FORMAT_SIGN_SIZE];
    uint32_t zero;      /* code point of the digit 0 */
    uint8_t primary;    /* digits of the last group; 0: none */
    uint8_t secondary;  /* of those before it */
    uint8_t minimum;    /* digits before groups are made */
} loyalty_figure_t;

typedef struct {
    char locale[LOYALTY_LOCALE_MAX + 1];
    char currency[4];
    int exponent;
    loyalty_figure_t number;
    loyalty_figure_t money;
} loyalty_format_t;

/* Owned by one thread, zeroed before the first use. */
typedef struct {
    loyalty_format_t list[LOYALTY_FORMATS_MAX];
    size_t n;
    size_t next; /* to be replaced when the list is full */
} loyalty_formats_t;

/*
 * The format of a locale ("en", "fr-CA") and currency ("GBP"), good until the
 * next call.  What ICU does not know is written plainly: "GBP 1000.00".
 */
const loyalty_format_t *loyalty_format(loyalty_formats_t *formats,
                                       loyalty_str_t locale,
                                       loyalty_str_t currency);

/* `text` has LOYALTY_FORMAT_SIZE bytes; they return the length. */
size_t loyalty_format_number(const loyalty_format_t *format, int64_t number,
                             char *text);
size_t loyalty_format_money(const loyalty_format_t *format, int64_t minor,
                            char *text);

/* Without the fraction where it is zero: "£1,000", "£999.50". */
size_t loyalty_format_amount(const loyalty_format_t *format, int64_t minor,
                             char *text);

#endif
