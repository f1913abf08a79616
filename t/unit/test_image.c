/*
 * Images are known by their headers (core/loyalty_image.h): real ones, each
 * cut at every byte, and sizes past the limit.
 */

#include "loyalty_image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* A whole PNG of one pixel; the sums are not looked at. */
static const char png[] =
    "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\6\0\0\0\x1f\x15\xc4\x89"
    "\0\0\0\0IDAT\0\0\0\0\0\0\0\0IEND\xae\x42\x60\x82";

static const char jpeg[] =
    "\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0\xff\xff\xc2\0\x0b\x08\0\x28"
    "\0\x50\1\1\x11\0\xff\xda\0\2\0\xff\xd9";

static const char lossy[] =
    "RIFF\x16\0\0\0WEBPVP8 \x0a\0\0\0\0\0\0\x9d\x01\x2a\x40\0\x30\x40";

static const char lossless[] =
    "RIFF\x16\0\0\0WEBPVP8L\x0a\0\0\0\x2f\xff\xcf\xff\x03\0\0\0\0\0";

static const char extended[] =
    "RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\0\0\x7f\0\0";

#define IMAGE(bytes, type, width, height)                                     \
    {{bytes, sizeof(bytes) - 1}, type, width, height}

static const struct {
    loyalty_str_t bytes;
    loyalty_image_type_t type;
    uint32_t width, height;
} images[] = {
    IMAGE(png, LOYALTY_IMAGE_PNG, 1, 1),
    IMAGE(jpeg, LOYALTY_IMAGE_JPEG, 80, 40), /* progressive, with fill */
    IMAGE(lossy, LOYALTY_IMAGE_WEBP, 64, 48), /* the scale is no size */
    IMAGE(lossless, LOYALTY_IMAGE_WEBP, 4096, 4096),
    IMAGE(extended, LOYALTY_IMAGE_WEBP, 256, 128),
};

#define NIMAGES (sizeof(images) / sizeof(images[0]))

static void
test_known(void **state)
{
    loyalty_image_t image;
    size_t i;

    (void)state;

    for (i = 0; i < NIMAGES; i++) {
        assert_int_equal(loyalty_image_read(images[i].bytes, &image),
                         LOYALTY_OK);
        assert_int_equal(image.type, images[i].type);
        assert_int_equal(image.width, images[i].width);
        assert_int_equal(image.height, images[i].height);
        assert_non_null(loyalty_image_media_type(image.type));
    }

    assert_null(loyalty_image_media_type(LOYALTY_IMAGE_NONE));
}

/* Each in memory of just its size, so that a byte too far is seen. */
static void
test_cut(void **state)
{
    loyalty_image_t image;
    size_t i, len;
    char *copy;

    (void)state;

    for (i = 0; i < NIMAGES; i++) {
        for (len = 0; len < images[i].bytes.len; len++) {
            copy = malloc(len + (len == 0));
            assert_non_null(copy);
            memcpy(copy, images[i].bytes.data, len);
            assert_int_equal(
                loyalty_image_read((loyalty_str_t){copy, len}, &image),
                LOYALTY_ERROR_INVALID);
            free(copy);
        }
    }
}

static void
test_size(void **state)
{
    loyalty_image_t image;
    char bytes[sizeof(png) - 1];
    size_t side;

    (void)state;

    for (side = 0; side < 2; side++) {
        memcpy(bytes, png, sizeof(bytes));
        bytes[18 + side * 4] = 0x10; /* 4097, 4096, 0 */
        assert_int_equal(
            loyalty_image_read((loyalty_str_t){bytes, sizeof(bytes)}, &image),
            LOYALTY_ERROR_LIMIT);
        bytes[19 + side * 4] = 0;
        assert_int_equal(
            loyalty_image_read((loyalty_str_t){bytes, sizeof(bytes)}, &image),
            LOYALTY_OK);
        bytes[18 + side * 4] = 0;
        assert_int_equal(
            loyalty_image_read((loyalty_str_t){bytes, sizeof(bytes)}, &image),
            LOYALTY_ERROR_INVALID);
    }
}

/* A marker whose length leads back, or out of the file. */
static void
test_jpeg_lengths(void **state)
{
    char bytes[sizeof(jpeg) - 1];
    loyalty_image_t image;
    int length;

    (void)state;

    for (length = 0; length < 0x10000; length += length < 300 ? 1 : 997) {
        memcpy(bytes, jpeg, sizeof(bytes));
        bytes[4] = (char)(length >> 8);
        bytes[5] = (char)length;
        assert_int_equal(
            loyalty_image_read((loyalty_str_t){bytes, sizeof(bytes)}, &image),
            length == 0x10 || length == 0x11 ? LOYALTY_OK
                                             : LOYALTY_ERROR_INVALID);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_size),
        cmocka_unit_test(test_jpeg_lengths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
