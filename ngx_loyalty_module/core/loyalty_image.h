/*
 * What kind of image some bytes are, and how large it would be on a screen:
 * by its own header, not by what somebody calls it.  Nothing is decoded.
 */

#ifndef LOYALTY_IMAGE_H
#define LOYALTY_IMAGE_H

#include "loyalty.h"

typedef enum {
    LOYALTY_IMAGE_NONE,
    LOYALTY_IMAGE_PNG,
    LOYALTY_IMAGE_JPEG,
    LOYALTY_IMAGE_WEBP
} loyalty_image_type_t;

typedef struct {
    loyalty_image_type_t type;
    uint32_t width; /* pixels, never 0 */
    uint32_t height;
} loyalty_image_t;

/* LOYALTY_ERROR_INVALID: no image of these kinds, or one cut short;
 * LOYALTY_ERROR_LIMIT: more than LOYALTY_IMAGE_SIDE_MAX pixels wide or high. */
loyalty_status_t loyalty_image_read(loyalty_str_t bytes,
                                    loyalty_image_t *image);

/* "image/png", ...; NULL for none. */
const char *loyalty_image_media_type(loyalty_image_type_t type);

#endif
