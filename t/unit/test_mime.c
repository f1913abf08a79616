/*
 * core/loyalty_mime.c: the bytes of a message, by RFC 5322, 2045 and 2047.
 * What is in base64 here was encoded elsewhere; t/delivery.py reads messages
 * with another parser.
 */

#include "reading.h"

#include "loyalty_mime.h"

#define E_5 "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
#define E_10 E_5 E_5
#define E_40 E_10 E_10 E_10 E_10
#define A_10 "aaaaaaaaaa"
#define A_70 A_10 A_10 A_10 A_10 A_10 A_10 A_10

static loyalty_arena_t arena;
static const char *what;

static const loyalty_envelope_t plain = {
    .channel = LOYALTY_CHANNEL_EMAIL,
    .site = loyalty_str("demo"),
    .id = loyalty_str("m 1"),
    .to = loyalty_str("ada@example.com"),
    .sender_address = loyalty_str("shop@example.com"),
    .subject = loyalty_str("Hello"),
    .text = loyalty_str("Hello"),
    .at = INT64_C(1767225600000),
};

static void
composes(const loyalty_envelope_t *envelope, const char *expected)
{
    loyalty_str_t bytes;
    char *text;

    assert_int_equal(loyalty_mime_compose(envelope, &arena, &bytes, &what),
                     LOYALTY_OK);
    text = loyalty_alloc(&arena, bytes.len + 1);
    memcpy(text, bytes.data, bytes.len);
    assert_int_equal(strlen(text), bytes.len);
    if (strstr(text, expected) == NULL) {
        fail_msg("not\n%s\nbut\n%s", expected, text);
    }
}

static void
a_message_of_one_text(void **state)
{
    loyalty_envelope_t html = plain;

    (void)state;

    composes(&plain,
             "Date: Thu, 1 Jan 2026 00:00:00 +0000\r\n"
             "From: shop@example.com\r\n"
             "To: ada@example.com\r\n"
             "Subject: Hello\r\n"
             "Message-ID: <m_1.demo@example.com>\r\n"
             "MIME-Version: 1.0\r\n"
             "Content-Type: text/plain; charset=utf-8\r\n"
             "Content-Transfer-Encoding: quoted-printable\r\n"
             "\r\n"
             "Hello\r\n");

    html.text = loyalty_str_null;
    html.html = loyalty_str("<p>Hi</p>");
    composes(&html, "MIME-Version: 1.0\r\n"
                    "Content-Type: text/html; charset=utf-8\r\n"
                    "Content-Transfer-Encoding: quoted-printable\r\n"
                    "\r\n"
                    "<p>Hi</p>\r\n");
}

static void
a_message_of_two_alternatives(void **state)
{
    loyalty_envelope_t both = plain;

    (void)state;

    both.html = loyalty_str("<p>Hi</p>\n");
    both.id = loyalty_str("m 1");
    both.site = loyalty_str("demo");
    both.unsubscribe_url = loyalty_str("https://shop.example/u?t=1");
    composes(&both,
             "List-Unsubscribe: <https://shop.example/u?t=1>\r\n"
             "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
             "MIME-Version: 1.0\r\n"
             "Content-Type: multipart/alternative;\r\n"
             " boundary=\"=_00303a5d-4183-86d4-b110-468126190a5a\"\r\n"
             "\r\n"
             "--=_00303a5d-4183-86d4-b110-468126190a5a\r\n"
             "Content-Type: text/plain; charset=utf-8\r\n"
             "Content-Transfer-Encoding: quoted-printable\r\n"
             "\r\n"
             "Hello\r\n"
             "--=_00303a5d-4183-86d4-b110-468126190a5a\r\n"
             "Content-Type: text/html; charset=utf-8\r\n"
             "Content-Transfer-Encoding: quoted-printable\r\n"
             "\r\n"
             "<p>Hi</p>\r\n"
             "--=_00303a5d-4183-86d4-b110-468126190a5a--\r\n");
}

static void
names_and_subjects_are_folded_and_encoded(void **state)
{
    static const struct {
        const char *name, *subject, *expected;
    } cases[] = {
        {"The Shop", "Hi", "From: The Shop <shop@example.com>\r\n"},
        {"Ada, \"A\\\"", "Hi",
         "From: \"Ada, \\\"A\\\\\\\"\" <shop@example.com>\r\n"},
        {"Caf\xc3\xa9", "Hi",
         "From: =?UTF-8?B?Q2Fmw6k=?= <shop@example.com>\r\n"},
        /* 6 + 61 + 19 would be 86 */
        {A_10 " " A_10 " " A_10 " " A_10 " " A_10 " abcdef", "Hi",
         "From: " A_10 " " A_10 " " A_10 " " A_10 " " A_10 " abcdef\r\n"
         " <shop@example.com>\r\n"},
        {"", "", "Subject: \r\n"},
        {"", "a   b", "Subject: a   b\r\n"},
        {"", "  b ", "Subject:   b \r\n"},
        {"", "a =?b", "Subject: =?UTF-8?B?YSA9P2I=?=\r\n"},
        {"", "a = b", "Subject: a = b\r\n"},
        {"", "a\nb", "Subject: =?UTF-8?B?YSBi?=\r\n"},
        {"", "a\x7f" "b", "Subject: =?UTF-8?B?YSBi?=\r\n"},
        /* 9 + 6 x 11 = 75, and one word more is 86 */
        {"", A_10 " " A_10 " " A_10 " " A_10 " " A_10 " " A_10 " " A_10,
         "Subject: " A_10 " " A_10 " " A_10 " " A_10 " " A_10 " " A_10 "\r\n"
         " " A_10 "\r\n"},
        /* no blank to break at: 42 bytes on the first line, then the rest */
        {"", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
             "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
         "Subject: =?UTF-8?B?eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4"
         "eHh4eHh4?=\r\n"
         " =?UTF-8?B?eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg=?="
         "\r\n"},
        /* 45 bytes would cut a character of two */
        {"", E_40 E_10 E_10,
         "Subject: =?UTF-8?B?w6nDqcOpw6nDqcOpw6nDqcOpw6nDqcOpw6nDqcOpw6nDqcOp"
         "w6nDqcOp?=\r\n"
         " =?UTF-8?B?w6nDqcOpw6nDqcOpw6nDqcOpw6nDqcOpw6nDqcOpw6nDqcOpw6nDqcOp"
         "w6k=?=\r\n"
         " =?UTF-8?B?w6nDqcOpw6nDqcOpw6nDqcOpw6nDqcOpw6nDqcOpw6nDqQ==?=\r\n"},
    };
    loyalty_envelope_t envelope = plain;
    size_t i;

    (void)state;

    for (i = 0; i < COUNT(cases); i++) {
        envelope.sender_name = loyalty_str_from(cases[i].name);
        envelope.subject = loyalty_str_from(cases[i].subject);
        composes(&envelope, cases[i].expected);
    }
}

static void
bodies_have_the_shorter_encoding(void **state)
{
    static const struct {
        const char *body, *expected;
    } cases[] = {
        {"1=2 more and more \nx\ty\rz\t\n",
         "printable\r\n\r\n1=3D2 more and more=20\r\nx\ty\r\nz=09\r\n"},
        {"\n\r\n\nx", "printable\r\n\r\n\r\n\r\n\r\nx\r\n"},
        {"a caf\xc3\xa9 in town", "a caf=C3=A9 in town\r\n"},
        {A_70 "bbbbb", A_70 "bbbbb\r\n"},
        {A_70 "bbbbbc", A_70 "bbbbb=\r\nc\r\n"},
        {A_70 "bb=", A_70 "bb=3D\r\n"},
        {A_70 "bbb=", A_70 "bbb=\r\n=3D\r\n"},
        {E_5, "Transfer-Encoding: base64\r\n\r\nw6nDqcOpw6nDqQ0K\r\n"},
        {E_40, "w6nDqcOpw6nDqcOpw6nDqcOpw6nDqcOpw6nDqcOpw6nDqcOpw6nDqcOpw6nD"
               "qcOpw6nDqcOpw6nD\r\n"
               "qcOpw6nDqcOpw6nDqcOpw6nDqcOpw6kNCg==\r\n"},
    };
    loyalty_envelope_t envelope = plain;
    size_t i;

    (void)state;

    for (i = 0; i < COUNT(cases); i++) {
        envelope.text = loyalty_str_from(cases[i].body);
        composes(&envelope, cases[i].expected);
    }
}

static void
a_lack_of_memory_is_told_apart(void **state)
{
    loyalty_arena_t small;
    loyalty_str_t bytes;

    (void)state;

    loyalty_arena_init(&small, 64);
    assert_int_equal(loyalty_mime_compose(&plain, &small, &bytes, &what),
                     LOYALTY_ERROR_MEMORY);
    loyalty_arena_free(&small);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_of_one_text),
        cmocka_unit_test(a_message_of_two_alternatives),
        cmocka_unit_test(names_and_subjects_are_folded_and_encoded),
        cmocka_unit_test(bodies_have_the_shorter_encoding),
        cmocka_unit_test(a_lack_of_memory_is_told_apart),
    };
    int failed;

    loyalty_arena_init(&arena, 0);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    loyalty_arena_free(&arena);
    return failed;
}
