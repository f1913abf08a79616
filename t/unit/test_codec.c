/*
 * core/loyalty_codec.h, and the bytes of members, orders and holds: what our encoder
 * never wrote is refused, whoever made the checksum.  A record with every
 * field has each of its bytes changed, cut off, or written in a longer form;
 * then each rule that a record must keep is broken by itself.
 */

#include "world.h"

#include "loyalty_codec.h"
#include "loyalty_hold.h"

static loyalty_arena_t arena;

/* Encoded fields as bytes with a checksum that fits. */
static loyalty_str_t
sealed(const void *data, size_t len)
{
    loyalty_encoder_t encoder;
    loyalty_str_t bytes;

    loyalty_encoder_init(&encoder, &arena, len + LOYALTY_CHECKSUM_SIZE);
    if (len > 0) {
        memcpy(encoder.data, data, len);
        encoder.len = len;
    }
    assert_int_equal(loyalty_encoder_finish(&encoder, SIZE_MAX, &bytes),
                     LOYALTY_OK);
    return bytes;
}

#define SEALED(text) sealed((text), sizeof(text) - 1)

static loyalty_decoder_t
decoder_of(loyalty_str_t bytes)
{
    loyalty_decoder_t decoder;

    assert_int_equal(loyalty_decoder_init(&decoder, bytes, 1), LOYALTY_OK);
    return decoder;
}

static void
a_number_has_one_form(void **state)
{
    static const struct {
        uint64_t value;
        const char *bytes; /* by hand: 7 bits each, low first */
        size_t len;
    } numbers[] = {
        {0, "\x00", 1},
        {127, "\x7f", 1},
        {128, "\x80\x01", 2},
        {300, "\xac\x02", 2},
        {UINT64_MAX, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10},
    };
    static const struct {
        const char *bytes;
        size_t len;
    } others[] = {
        {"", 0},
        {"\x80", 1},
        {"\xff\xff", 2},
        {"\x80\x00", 2},                                  /* 0, longer */
        {"\xff\x00", 2},                                  /* 127, longer */
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10}, /* 65 bits */
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x01", 11},
    };
    loyalty_decoder_t decoder;
    loyalty_encoder_t encoder;
    size_t i;

    (void)state;

    for (i = 0; i < COUNT(numbers); i++) {
        loyalty_encoder_init(&encoder, &arena, 0);
        loyalty_put_uint(&encoder, numbers[i].value);
        assert_int_equal(encoder.len, numbers[i].len);
        assert_memory_equal(encoder.data, numbers[i].bytes, numbers[i].len);
        decoder = (loyalty_decoder_t){
            .p = (const unsigned char *)numbers[i].bytes,
            .end = (const unsigned char *)numbers[i].bytes + numbers[i].len};
        assert_true(loyalty_get_uint(&decoder) == numbers[i].value);
        assert_false(decoder.bad);
        assert_ptr_equal(decoder.p, decoder.end);
    }

    for (i = 0; i < COUNT(others); i++) {
        decoder = (loyalty_decoder_t){
            .p = (const unsigned char *)others[i].bytes,
            .end = (const unsigned char *)others[i].bytes + others[i].len};
        assert_int_equal(loyalty_get_uint(&decoder), 0);
        assert_true(decoder.bad);
    }
}

static void
a_text_ends_within_the_bytes(void **state)
{
    loyalty_decoder_t decoder;

    (void)state;

    decoder = decoder_of(SEALED("\x01\x02" "ab"));
    assert_true(loyalty_str_eq(loyalty_get_str(&decoder, 2),
                               loyalty_str("ab")));
    assert_false(decoder.bad);
    decoder = decoder_of(SEALED("\x01\x03" "abc"));
    assert_int_equal(loyalty_get_str(&decoder, 2).len, 0);
    assert_true(decoder.bad);
    decoder = decoder_of(SEALED("\x01\x03" "ab"));
    assert_int_equal(loyalty_get_str(&decoder, 9).len, 0);
    assert_true(decoder.bad);
    decoder = decoder_of(SEALED("\x01\x01"));
    assert_int_equal(loyalty_get_str(&decoder, 9).len, 0);
    assert_true(decoder.bad);
    decoder = decoder_of(SEALED("\x01\x02"));
    assert_false(loyalty_get_bool(&decoder));
    assert_true(decoder.bad);
}

static void
instants_are_steps(void **state)
{
    static const loyalty_instant_t instants[] = {
        T0, LOYALTY_UNKNOWN, T0 - DAY, LOYALTY_NEVER, 0,
        LOYALTY_CODEC_INSTANT_MAX, -LOYALTY_CODEC_INSTANT_MAX};
    loyalty_encoder_t encoder;
    loyalty_decoder_t decoder;
    loyalty_str_t bytes;
    size_t i, sign;

    (void)state;

    loyalty_encoder_init(&encoder, &arena, 0);
    loyalty_put_uint(&encoder, 1);
    for (i = 0; i < COUNT(instants); i++) {
        loyalty_put_instant(&encoder, instants[i]);
    }
    assert_int_equal(loyalty_encoder_finish(&encoder, SIZE_MAX, &bytes),
                     LOYALTY_OK);
    decoder = decoder_of(bytes);
    for (i = 0; i < COUNT(instants); i++) {
        assert_true(loyalty_get_instant(&decoder) == instants[i]);
    }
    assert_false(decoder.bad);
    assert_ptr_equal(decoder.p, decoder.end);

    /* Too far off to be a time: not written, and not read.  A step is
     * 2 + zigzag: MAX + 1 is 2^61 + 4, 2 MAX + 1 is 2^62 + 4, and one less
     * each for the same below 0. */
    for (sign = 0; sign < 2; sign++) {
        loyalty_encoder_init(&encoder, &arena, 0);
        loyalty_put_instant(&encoder,
                            sign ? -LOYALTY_CODEC_INSTANT_MAX - 1
                                 : LOYALTY_CODEC_INSTANT_MAX + 1);
        assert_int_equal(loyalty_encoder_finish(&encoder, SIZE_MAX, &bytes),
                         LOYALTY_ERROR_INVALID);

        for (i = 61; i < 63; i++) {
            loyalty_encoder_init(&encoder, &arena, 0);
            loyalty_put_uint(&encoder, 1);
            loyalty_put_uint(&encoder, (UINT64_C(1) << i) + 4 - sign);
            assert_int_equal(loyalty_encoder_finish(&encoder, 99, &bytes),
                             LOYALTY_OK);
            decoder = decoder_of(bytes);
            assert_int_equal(loyalty_get_instant(&decoder), 0);
            assert_true(decoder.bad);
        }
    }
}

static void
a_frame_has_a_format_and_an_end(void **state)
{
    loyalty_decoder_t decoder;
    loyalty_encoder_t encoder;
    loyalty_str_t bytes;

    (void)state;

    assert_int_equal(loyalty_decoder_init(&decoder, SEALED("\x02"), 1),
                     LOYALTY_ERROR_VERSION);
    assert_int_equal(loyalty_decoder_init(&decoder, SEALED("\x01"), 2),
                     LOYALTY_ERROR_CORRUPT);
    assert_int_equal(loyalty_decoder_init(&decoder, SEALED(""), 1),
                     LOYALTY_ERROR_CORRUPT);
    assert_int_equal(loyalty_decoder_init(&decoder, loyalty_str_null, 1),
                     LOYALTY_ERROR_CORRUPT);
    bytes = SEALED("\x01");
    bytes.data++;
    assert_int_equal(loyalty_decoder_init(&decoder, bytes, 1),
                     LOYALTY_ERROR_CORRUPT);

    loyalty_encoder_init(&encoder, &arena, 0);
    loyalty_put_str(&encoder, loyalty_str("0123456789"));
    assert_int_equal(loyalty_encoder_finish(&encoder, 14, &bytes),
                     LOYALTY_ERROR_LIMIT);
}

/* Records with every field. */

static loyalty_lot_t lots[2];
static loyalty_lot_t parts[2];
static loyalty_contribution_t contributions[2];
static loyalty_str_t names[] = {loyalty_str("wine"), loyalty_str("tea")};
static loyalty_attribute_t attributes[] = {
    {loyalty_str("size"), loyalty_str("M")}};
static loyalty_entitlement_t entitlements[2];
static loyalty_rule_mark_t rule_marks[] = {{loyalty_str("rule-1"), 4}};
static loyalty_member_t member;

static loyalty_order_line_t lines[2];
static loyalty_order_line_t back[1];
static loyalty_str_t redemptions[] = {loyalty_str("hold-1")};
static loyalty_order_use_t uses[2];
static loyalty_order_refund_t refunds[1];
static loyalty_order_attempt_t attempts[2];
static loyalty_order_spending_t spendings[1];
static loyalty_order_t order;

/* 100 credited, 30 of them spent, 20 lost; 10 more with 60 returned of what
 * was spent before: the balance is 50 + 10 - 60. */
static loyalty_ledger_t
ledger(void)
{
    lots[0] = (loyalty_lot_t){.id = loyalty_str("o1"), .amount = 100,
                              .remaining = 50, .lost = 20, .created_at = T0,
                              .starts_at = T0 + DAY,
                              .expires_at = T0 + 90 * DAY, .earned = true};
    lots[1] = (loyalty_lot_t){.id = loyalty_str("g1"), .amount = 10,
                              .remaining = 10, .created_at = T0 + HOUR,
                              .starts_at = T0 + HOUR,
                              .expires_at = LOYALTY_NEVER};
    return (loyalty_ledger_t){.lots = lots, .nlots = 2, .debt = 60,
                              .debt_since = T0 + 2 * DAY, .credited = 110,
                              .spent = 30, .expired = 20, .revoked = 60,
                              .life = 100, .entries = 6};
}

static void
good_member(void)
{
    loyalty_member_init(&member, loyalty_str("anna"));
    member.version = 7;
    member.registered = true;
    member.email = loyalty_str("anna@example.com");
    member.phone = loyalty_str("+44");
    member.messenger_id = loyalty_str("m");
    member.line_id = loyalty_str("l");
    member.name = loyalty_str("Anna");
    member.locale = loyalty_str("fr");
    member.consent = LOYALTY_CHANNEL_EMAIL;
    member.clubs = member.groups = names;
    member.nclubs = member.ngroups = COUNT(names);
    member.attributes = attributes;
    member.nattributes = COUNT(attributes);
    member.signed_up_at = T0 - DAY;
    member.last_visit_at = T0 + DAY;
    member.previous_visit_at = T0;
    member.last_order_at = T0;
    member.order_count = 2;
    member.spent_total = 300;
    contributions[0] = (loyalty_contribution_t){
        loyalty_str("o1"), T0, 200, 200, true};
    contributions[1] = (loyalty_contribution_t){
        loyalty_str("o2"), T0, 100, 0, false};
    member.contributions = contributions;
    member.ncontributions = COUNT(contributions);
    member.points = ledger();
    member.tier = member.own_tier = loyalty_str("bronze");
    member.below_since = T0 + DAY;
    member.manual_tier = loyalty_str("gold");
    member.manual_until = LOYALTY_NEVER;
    entitlements[0] = (loyalty_entitlement_t){
        .id = loyalty_str("e1"), .offer = loyalty_str("ten"),
        .state = LOYALTY_ENTITLEMENT_OWNED, .stamps = 300, .uses = -1,
        .acquired_at = T0, .expires_at = LOYALTY_NEVER,
        .code = loyalty_str("AB"), .held_by = loyalty_str("cart"),
        .held_until = T0 + HOUR};
    entitlements[1] = entitlements[0];
    member.entitlements = entitlements;
    member.nentitlements = COUNT(entitlements);
    member.rule_marks = rule_marks;
    member.nrule_marks = COUNT(rule_marks);
}

static void
good_order(void)
{
    static const loyalty_order_mark_t mark = {
        .seen = true, .total = 1000, .lines = 0x0123456789abcdef,
        .redemptions = 42};

    lines[0] = (loyalty_order_line_t){.sku = loyalty_str("a"),
                                      .category = loyalty_str("home/lamps"),
                                      .quantity = 3,
                                      .unit_price = loyalty_str("2.00"),
                                      .amount = 600, .returned = 1};
    lines[1] = (loyalty_order_line_t)LINE("b", 1, 400);
    back[0] = (loyalty_order_line_t)LINE("a", 1, -1);
    refunds[0] = (loyalty_order_refund_t){
        .refund = {loyalty_str("r1"), 200, back, 1}, .mark = mark,
        .print = 77, .occurred_at = T0 + DAY, .value = 200};
    uses[0] = (loyalty_order_use_t){
        .entitlement = loyalty_str("e1"), .redeemed = true,
        .hold = loyalty_str("h1")};
    uses[1] = (loyalty_order_use_t){.entitlement = loyalty_str("card"),
                                    .stamps = 2};

    attempts[0] = (loyalty_order_attempt_t){
        .attempt = 1, .marks = {mark}, .placed_at = T0,
        .earned_at = LOYALTY_UNKNOWN, .expires_at = LOYALTY_UNKNOWN,
        .total = 1000, .phase = LOYALTY_PHASE_PENDING, .points = 10};
    attempts[1] = (loyalty_order_attempt_t){
        .attempt = 2, .marks = {mark, mark}, .refunds = refunds,
        .nrefunds = 1, .placed_at = T0, .earned_at = T0 + HOUR, .total = 1000,
        .lines = lines, .nlines = 2, .redemptions = redemptions,
        .nredemptions = 1, .phase = LOYALTY_PHASE_EARNED, .counts = true,
        .returned = 200, .points = 10, .revoked = 2,
        .expires_at = LOYALTY_NEVER, .uses = uses, .nuses = 2};

    /* 30 points from two lots. */
    parts[0] = (loyalty_lot_t){.id = loyalty_str("o0"), .amount = 50,
                               .remaining = 20, .created_at = T0,
                               .starts_at = T0, .expires_at = LOYALTY_NEVER};
    parts[1] = parts[0];
    parts[1].remaining = 10;
    spendings[0] = (loyalty_order_spending_t){
        .id = loyalty_str("s1"), .spending = {parts, 2, 30}};
    order = (loyalty_order_t){
        .id = loyalty_str("o1"), .member_id = loyalty_str("anna"),
        .currency = loyalty_str("GBP"), .attempts = attempts,
        .nattempts = 2, .spendings = spendings, .nspendings = 1};
}

static loyalty_hold_use_t hold_uses[2];
static loyalty_lot_t aside[1];
static loyalty_hold_t hold;

static void
good_hold(void)
{
    hold_uses[0] = (loyalty_hold_use_t){
        .offer = loyalty_str("ten"), .entitlement = loyalty_str("e1"),
        .amount = 500, .points = 7, .member = true, .ready = true};
    hold_uses[1] = (loyalty_hold_use_t){.offer = loyalty_str("sale"),
                                        .code = loyalty_str("GIFT"),
                                        .amount = 1, .site = true};
    aside[0] = (loyalty_lot_t){.id = loyalty_str("o1"), .amount = 50,
                               .remaining = 20, .created_at = T0,
                               .starts_at = T0, .expires_at = LOYALTY_NEVER};
    hold = (loyalty_hold_t){
        .id = loyalty_str("h1"), .member = loyalty_str("anna"),
        .order = loyalty_str("o9"), .state = LOYALTY_HOLD_ORDERED,
        .created_at = T0, .expires_at = T0 + HOUR, .uses = hold_uses,
        .nuses = 2, .points = {aside, 1, 20}, .price = 20, .print = 1234,
        .quote = loyalty_str("{}")};
}

/* Of either kind: from bytes, and to bytes again. */
typedef loyalty_status_t (*again_pt)(loyalty_str_t bytes, loyalty_str_t *again);

static loyalty_status_t
member_again(loyalty_str_t bytes, loyalty_str_t *again)
{
    loyalty_member_t read;
    loyalty_status_t rc = loyalty_member_decode(bytes, &arena, &read);

    return rc == LOYALTY_OK ? loyalty_member_encode(&read, &arena, again) : rc;
}

static loyalty_status_t
order_again(loyalty_str_t bytes, loyalty_str_t *again)
{
    loyalty_order_t *read;
    loyalty_status_t rc = loyalty_order_decode(bytes, &arena, &read);

    return rc == LOYALTY_OK ? loyalty_order_encode(read, &arena, again) : rc;
}

static loyalty_status_t
hold_again(loyalty_str_t bytes, loyalty_str_t *again)
{
    loyalty_hold_t read;
    loyalty_status_t rc = loyalty_hold_decode(bytes, &arena, &read);

    return rc == LOYALTY_OK ? loyalty_hold_encode(&read, &arena, again) : rc;
}

/* Whether it is read; if so it was a record that is written as it was. */
static bool
is_read(again_pt make, loyalty_str_t bytes)
{
    loyalty_str_t again;

    if (make(bytes, &again) != LOYALTY_OK) {
        return false;
    }
    assert_true(loyalty_str_eq(bytes, again));
    return true;
}

static void
forge(again_pt make, loyalty_str_t good)
{
    static const unsigned char values[] = {0, 1, 2, 3, 0x7e, 0x7f, 0x80, 0xff};
    size_t i, j, len = good.len - LOYALTY_CHECKSUM_SIZE;
    unsigned char *bytes = loyalty_alloc(&arena, len + 16);
    loyalty_arena_t kept = arena;

    assert_true(is_read(make, good));

    for (i = 0; i < len; i++) {
        /* Memory of one byte's forgeries goes before the next. */
        loyalty_arena_init(&arena, 0);

        assert_false(is_read(make, sealed(good.data, i)));

        for (j = 0; j < COUNT(values) + 8; j++) {
            memcpy(bytes, good.data, len);
            bytes[i] = j < COUNT(values)
                           ? values[j]
                           : (unsigned char)(bytes[i] ^ 1 << (j - COUNT(values)));
            (void)is_read(make, sealed(bytes, len));
        }

        /* One byte twice; a number in a longer form; one byte less. */
        memcpy(bytes, good.data, i + 1);
        memcpy(bytes + i + 1, good.data + i, len - i);
        (void)is_read(make, sealed(bytes, len + 1));
        bytes[i] |= 0x80;
        bytes[i + 1] = 0;
        memcpy(bytes + i + 2, good.data + i + 1, len - i - 1);
        (void)is_read(make, sealed(bytes, len + 1));
        memcpy(bytes + i, good.data + i + 1, len - i - 1);
        (void)is_read(make, sealed(bytes, len - 1));

        loyalty_arena_free(&arena);
    }

    arena = kept;
    bytes = loyalty_alloc(&arena, len + 1);
    memcpy(bytes, good.data, len);
    assert_false(is_read(make, sealed(bytes, len + 1)));
}

static void
a_forged_member_is_refused_or_is_one(void **state)
{
    loyalty_str_t bytes;

    (void)state;

    good_member();
    assert_int_equal(loyalty_member_encode(&member, &arena, &bytes),
                     LOYALTY_OK);
    forge(member_again, bytes);
}

static void
a_forged_order_is_refused_or_is_one(void **state)
{
    loyalty_str_t bytes;

    (void)state;

    good_order();
    assert_int_equal(loyalty_order_encode(&order, &arena, &bytes), LOYALTY_OK);
    forge(order_again, bytes);
}

static void
a_forged_hold_is_refused_or_is_one(void **state)
{
    loyalty_str_t bytes;

    (void)state;

    good_hold();
    assert_int_equal(loyalty_hold_encode(&hold, &arena, &bytes), LOYALTY_OK);
    forge(hold_again, bytes);
    bytes.len = LOYALTY_HOLD_SIZE_MAX + 1;
    assert_int_equal(hold_again(bytes, &bytes), LOYALTY_ERROR_LIMIT);
}

/* BREAKS(member, member.version = -1): that alone makes it unreadable. */
#define BREAKS(kind, change)                                                   \
    do {                                                                       \
        loyalty_str_t bytes_, again_;                                          \
        good_##kind();                                                         \
        change;                                                                \
        assert_int_equal(loyalty_##kind##_encode(&(kind), &arena, &bytes_),    \
                         LOYALTY_OK);                                          \
        assert_int_equal(kind##_again(bytes_, &again_),                        \
                         LOYALTY_ERROR_CORRUPT);                               \
    } while (0)

static void
a_member_keeps_its_rules(void **state)
{
    (void)state;

    BREAKS(member, member.version = -1);
    BREAKS(member, member.version = INT64_MAX);
    BREAKS(member, member.order_count = -1);
    BREAKS(member, member.spent_total = -1);
    BREAKS(member, member.id = loyalty_str(""));
    BREAKS(member, member.id = loyalty_str("a\nb"));
    BREAKS(member, member.consent = 16);
    BREAKS(member, contributions[1].placed_at = LOYALTY_UNKNOWN);
    BREAKS(member, contributions[1].placed_at = LOYALTY_NEVER);
    BREAKS(member, contributions[1].placed_at = T0 - 1);
    BREAKS(member, contributions[0].spend = -1);
    BREAKS(member, contributions[0].points = -1);
    BREAKS(member, entitlements[0].state = 0);
    BREAKS(member, entitlements[0].state = LOYALTY_ENTITLEMENT_REDEEMED + 1);

    BREAKS(member, lots[0].created_at = LOYALTY_UNKNOWN);
    BREAKS(member, lots[0].starts_at = LOYALTY_UNKNOWN);
    BREAKS(member, lots[0].expires_at = LOYALTY_UNKNOWN);
    BREAKS(member, lots[0].created_at = T0 + DAY); /* not by age */
    BREAKS(member, lots[1].amount = 0);
    BREAKS(member, lots[1].remaining = 11);
    BREAKS(member, lots[0].lost = -1);
    BREAKS(member, lots[0].lost = 51);
    BREAKS(member, member.points.credited++);
    BREAKS(member, member.points.debt = 61);
    BREAKS(member, member.points.life = -1);
    BREAKS(member, member.points.expired = -20; member.points.revoked = 100);
    BREAKS(member, member.points.spent = -30; member.points.revoked = 120);
    /* sums past 64 bits */
    BREAKS(member, lots[0].amount = lots[0].remaining = INT64_MAX;
           lots[0].lost = 0; lots[1].amount = lots[1].remaining = 100);
    BREAKS(member, member.points.spent = INT64_MAX;
           member.points.expired = INT64_MAX;
           member.points.revoked = INT64_MAX);
}

static void
an_order_keeps_its_rules(void **state)
{
    (void)state;

    BREAKS(order, order.id = loyalty_str(""));
    BREAKS(order, lines[0].quantity = lines[0].returned = 0);
    BREAKS(order, lines[0].returned = 4);
    BREAKS(order, lines[0].amount = -1);
    BREAKS(order, refunds[0].mark.seen = false);
    BREAKS(order, attempts[0].attempt = 0);
    BREAKS(order, attempts[0].attempt = 2);
    BREAKS(order, attempts[1].returned = 1001);
    BREAKS(order, attempts[1].returned = 199);
    BREAKS(order, refunds[0].value = 201);
    BREAKS(order, attempts[1].marks[1].seen = false;
           attempts[1].phase = LOYALTY_PHASE_PENDING);
    BREAKS(order, attempts[1].revoked = 11);
    BREAKS(order, attempts[1].placed_at = LOYALTY_NEVER);
    BREAKS(order, attempts[1].earned_at = LOYALTY_NEVER);
    BREAKS(order, attempts[1].earned_at = LOYALTY_UNKNOWN);
    BREAKS(order, attempts[1].placed_at = LOYALTY_UNKNOWN);
    BREAKS(order, attempts[0].placed_at = LOYALTY_UNKNOWN);
    BREAKS(order, attempts[0].phase = LOYALTY_PHASE_EARNED);
    BREAKS(order, attempts[0].marks[0].seen = false);
    BREAKS(order, attempts[1].phase = LOYALTY_PHASE_EARNED + 1);
    BREAKS(order, uses[0].redeemed = false);
    BREAKS(order, uses[1].redeemed = true);
    BREAKS(order, parts[0].remaining = 0);
    BREAKS(order, parts[0].remaining = 51);
    BREAKS(order, parts[0].lost = 1);
    BREAKS(order, parts[1].remaining = 11);
    BREAKS(order, parts[1].remaining = 9);
    BREAKS(order, parts[1].starts_at = LOYALTY_UNKNOWN);
}

static void
a_hold_keeps_its_rules(void **state)
{
    (void)state;

    BREAKS(hold, hold.id = loyalty_str(""));
    BREAKS(hold, hold.state = 0);
    BREAKS(hold, hold.state = LOYALTY_HOLD_RELEASED + 1);
    BREAKS(hold, hold_uses[0].amount = -1);
    BREAKS(hold, hold_uses[1].points = -1);
    BREAKS(hold, aside[0].remaining = 21);
    BREAKS(hold, hold.credits = hold.points; hold.credits.amount = 21);
}

static void
a_record_past_its_size_is_not_written(void **state)
{
    static char text[LOYALTY_MEMBER_TEXT_MAX];
    loyalty_str_t many[LOYALTY_MEMBER_LIST_MAX], bytes;
    size_t i;

    (void)state;

    /* Two lists of a thousand texts of a kilobyte. */
    memset(text, 'x', sizeof(text));
    for (i = 0; i < COUNT(many); i++) {
        many[i] = (loyalty_str_t){text, sizeof(text)};
    }
    good_member();
    member.clubs = member.groups = many;
    member.nclubs = member.ngroups = COUNT(many);
    assert_int_equal(loyalty_member_encode(&member, &arena, &bytes),
                     LOYALTY_ERROR_LIMIT);

    good_member();
    member.last_visit_at = LOYALTY_CODEC_INSTANT_MAX + 1;
    assert_int_equal(loyalty_member_encode(&member, &arena, &bytes),
                     LOYALTY_ERROR_INVALID);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_number_has_one_form),
        cmocka_unit_test(a_text_ends_within_the_bytes),
        cmocka_unit_test(instants_are_steps),
        cmocka_unit_test(a_frame_has_a_format_and_an_end),
        cmocka_unit_test(a_forged_member_is_refused_or_is_one),
        cmocka_unit_test(a_forged_order_is_refused_or_is_one),
        cmocka_unit_test(a_member_keeps_its_rules),
        cmocka_unit_test(an_order_keeps_its_rules),
        cmocka_unit_test(a_forged_hold_is_refused_or_is_one),
        cmocka_unit_test(a_hold_keeps_its_rules),
        cmocka_unit_test(a_record_past_its_size_is_not_written),
    };
    int failed;

    loyalty_arena_init(&arena, 0);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    loyalty_arena_free(&arena);
    return failed;
}
