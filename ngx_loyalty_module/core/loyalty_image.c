/*
 * The headers of images.
 *
 *   PNG    89 P N G \r \n 1a \n | length IHDR | width height
 *   JPEG   ff d8 | ff marker length ... | ff c0-cf length depth height width
 *   WebP   RIFF size WEBP | VP8 , VP8L or VP8X, each with sizes of its own
 */

#include "loyalty_image.h"

static uint32_t
big(const unsigned char *p, size_t n)
{
    uint32_t value = 0;

    while (n-- > 0) {
        value = value << 8 | *p++;
    }

    return value;
}

static uint32_t
little(const unsigned char *p, size_t n)
{
    uint32_t value = 0;

    while (n-- > 0) {
        value = value << 8 | p[n];
    }

    return value;
}

static bool
read_png(const unsigned char *p, size_t len, loyalty_image_t *image)
{
    static const unsigned char end[] = "\0\0\0\0IEND\xae\x42\x60\x82";

    if (len < 33 + 12 || memcmp(p, "\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16) != 0
        || memcmp(p + len - 12, end, 12) != 0) {
        return false;
    }

    image->type = LOYALTY_IMAGE_PNG;
    image->width = big(p + 16, 4);
    image->height = big(p + 20, 4);
    return true;
}

/* Of the markers c0 to cf all but three begin a frame. */
static bool
begins_frame(unsigned char marker)
{
    return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4
           && marker != 0xc8 && marker != 0xcc;
}

static bool
read_jpeg(const unsigned char *p, size_t len, loyalty_image_t *image)
{
    size_t at = 2;

    if (len < 4 || p[0] != 0xff || p[1] != 0xd8 || p[len - 2] != 0xff
        || p[len - 1] != 0xd9) {
        return false;
    }

    while (len - at >= 9 && p[at] == 0xff) {
        if (p[at + 1] == 0xff) { /* fill */
            at++;
        } else if (begins_frame(p[at + 1])) {
            image->type = LOYALTY_IMAGE_JPEG;
            image->height = big(p + at + 5, 2);
            image->width = big(p + at + 7, 2);
            return true;
        } else {
            at += 2 + big(p + at + 2, 2);
            if (at > len) {
                return false;
            }
        }
    }

    return false;
}

static bool
read_webp(const unsigned char *p, size_t len, loyalty_image_t *image)
{
    uint32_t bits;

    if (len < 30 || memcmp(p, "RIFF", 4) != 0 || memcmp(p + 8, "WEBP", 4) != 0
        || little(p + 4, 4) > len - 8) {
        return false;
    }

    if (memcmp(p + 12, "VP8 ", 4) == 0
        && memcmp(p + 23, "\x9d\x01\x2a", 3) == 0) {
        image->width = little(p + 26, 2) & 0x3fff;
        image->height = little(p + 28, 2) & 0x3fff;
    } else if (memcmp(p + 12, "VP8L", 4) == 0 && p[20] == 0x2f) {
        bits = little(p + 21, 4);
        image->width = (bits & 0x3fff) + 1;
        image->height = (bits >> 14 & 0x3fff) + 1;
    } else if (memcmp(p + 12, "VP8X", 4) == 0) {
        image->width = little(p + 24, 3) + 1;
        image->height = little(p + 27, 3) + 1;
    } else {
        return false;
    }

    image->type = LOYALTY_IMAGE_WEBP;
    return true;
}

loyalty_status_t
loyalty_image_read(loyalty_str_t bytes, loyalty_image_t *image)
{
    const unsigned char *p = (const unsigned char *)bytes.data;

    *image = (loyalty_image_t){.type = LOYALTY_IMAGE_NONE};

    if ((!read_png(p, bytes.len, image) && !read_jpeg(p, bytes.len, image)
         && !read_webp(p, bytes.len, image))
        || image->width == 0 || image->height == 0) {
        image->type = LOYALTY_IMAGE_NONE;
        return LOYALTY_ERROR_INVALID;
    }

    return image->width > LOYALTY_IMAGE_SIDE_MAX
                   || image->height > LOYALTY_IMAGE_SIDE_MAX
               ? LOYALTY_ERROR_LIMIT : LOYALTY_OK;
}

const char *
loyalty_image_media_type(loyalty_image_type_t type)
{
    static const char *const names[] = {NULL, "image/png", "image/jpeg",
                                        "image/webp"};

    return names[type];
}
