/*
 * Every limit on outside data, with its reason.  A limit is a constant here
 * and a test that goes past it.
 */

#ifndef LOYALTY_LIMITS_H
#define LOYALTY_LIMITS_H

/* A report of bad input is read by a person; more than this is noise. */
#define LOYALTY_PROBLEMS_MAX 64

/* DOMAIN.md section 2. */
#define LOYALTY_MEMBER_ID_MAX 128

/* Secrets are 16 to 64 random bytes, written out; keys are kilobytes. */
#define LOYALTY_SECRET_MAX 4096
#define LOYALTY_KEY_FILE_MAX (64 * 1024)

/* A signed-in shopper's JWT; servers refuse header lines of 8 KB and more. */
#define LOYALTY_JWT_MAX 8192

/* Browsers send under 200 bytes; what comes after is not read. */
#define LOYALTY_ACCEPT_LANGUAGE_MAX 1024

/* A page of 64 statuses with long descriptions has 100 KB. */
#define LOYALTY_PAGE_SIZE_MAX (512 * 1024)

/* Visits waiting in a site's stream, about 80 bytes each; older ones go. */
#define LOYALTY_VISITS_MAX 100000

/* A slug; it is part of every Redis key. */
#define LOYALTY_SITE_ID_MAX 64

/* Ids of offers, statuses, rules, groups, designs. */
#define LOYALTY_ID_MAX 64

/* Order ids come from shops: some use URLs or UUIDs with prefixes. */
#define LOYALTY_ORDER_ID_MAX 128
#define LOYALTY_SKU_MAX 128
#define LOYALTY_CATEGORY_MAX 256

/* The largest order of the retail data has 1 110 lines. */
#define LOYALTY_ORDER_LINES_MAX 5000

/* An order event as JSON; 5 000 lines of 200 bytes. */
#define LOYALTY_ORDER_SIZE_MAX (1024 * 1024)

/* A merchant's regular expression, and what one match of it may cost: enough
 * for any SKU, too little to stall a worker. */
#define LOYALTY_PATTERN_SIZE_MAX 512
#define LOYALTY_PATTERN_MATCH_LIMIT 10000
#define LOYALTY_PATTERN_DEPTH_LIMIT 1000

/* A coupon code; fewer random places than this can be guessed. */
#define LOYALTY_CODE_MAX 64
#define LOYALTY_CODE_PLACES_MIN 6

/* Codes made by one call: a mailing to every member of a large shop. */
#define LOYALTY_CODES_MAX 1000000

/* A condition tree is walked for every member. */
#define LOYALTY_FILTER_NODES_MAX 200
#define LOYALTY_FILTER_VALUES_MAX 1000

/* Codes typed at one checkout, and entries of one wallet. */
#define LOYALTY_CART_CODES_MAX 50
#define LOYALTY_CART_GROUPS_MAX 1000
#define LOYALTY_ENTITLEMENTS_MAX 1000

/* Refunds of one order, each kept in its record for ever. */
#define LOYALTY_ORDER_REFUNDS_MAX 1000

/* Uses that one checkout holds, and a hold's record: the quote of a cart of
 * 5 000 lines in it. */
#define LOYALTY_HOLD_USES_MAX 1000
#define LOYALTY_HOLD_SIZE_MAX (2 * 1024 * 1024)

/* How long a checkout may hold, in seconds, and how long, in milliseconds,
 * what became of a hold is remembered for an order that comes late. */
#define LOYALTY_HOLD_TTL_MAX 86400
#define LOYALTY_HOLD_KEPT_MS (30 * INT64_C(86400000))

/* Entitlements and holds that one order uses up. */
#define LOYALTY_ORDER_REDEMPTIONS_MAX 100

/* Entries of one wallet that one order stamps or uses up. */
#define LOYALTY_ORDER_USES_MAX                                                 \
    (LOYALTY_ORDER_REDEMPTIONS_MAX + LOYALTY_MEMBER_LIST_MAX                   \
     + LOYALTY_HOLD_USES_MAX)

/* Payments of one order by points; each can be undone, so each is kept. */
#define LOYALTY_ORDER_SPENDINGS_MAX 100

/* Times a shop may open a cancelled order again. */
#define LOYALTY_ORDER_ATTEMPTS_MAX 100

/* Units of one line: far above any order, far below an overflow. */
#define LOYALTY_QUANTITY_MAX 1000000000

/* An order's record in Redis: 5 000 lines and what was returned of them. */
#define LOYALTY_ORDER_RECORD_MAX (4 * 1024 * 1024)

/* Finished lots stay for the statement until there are more lots than this;
 * open ones of one expiry are then folded into one. */
#define LOYALTY_LEDGER_LOTS_KEPT 32

/* Orders a member's record remembers one by one, for rolling windows. */
#define LOYALTY_MEMBER_CONTRIBUTIONS_MAX 10000

/* Texts of a member's record: name, email, attributes. */
#define LOYALTY_MEMBER_TEXT_MAX 1024
#define LOYALTY_MEMBER_LIST_MAX 1000

/* Cells of one record of CSV: every column there is, and attributes. */
#define LOYALTY_CSV_CELLS_MAX 1100

/* Members that one request may name; more are a filter's work. */
#define LOYALTY_BULK_MEMBERS_MAX 100000

/* A program is compiled by each worker; 500 offers take about 400 KB. */
#define LOYALTY_PROGRAM_SIZE_MAX 4194304
#define LOYALTY_PROGRAM_STATUSES_MAX 64
#define LOYALTY_PROGRAM_OFFERS_MAX 2000
#define LOYALTY_PROGRAM_RULES_MAX 500
#define LOYALTY_PROGRAM_DESIGNS_MAX 50
#define LOYALTY_PROGRAM_TEMPLATES_MAX 500
#define LOYALTY_PROGRAM_CATEGORIES_MAX 1000
#define LOYALTY_SCOPE_VALUES_MAX 5000
#define LOYALTY_SCOPE_PATTERNS_MAX 50
#define LOYALTY_OFFER_GROUPS_MAX 1000
#define LOYALTY_RULE_PRODUCTS_MAX 5000
#define LOYALTY_RULE_DELAY_MAX 31622400 /* 366 days, in seconds */
#define LOYALTY_PRIORITY_MAX 1000000
#define LOYALTY_STAMPS_MAX 10000
#define LOYALTY_JSON_DEPTH_MAX 32

/* Texts of a program: a name, a paragraph, a style sheet, a link. */
#define LOYALTY_NAME_MAX 200
#define LOYALTY_DESCRIPTION_MAX 4000
#define LOYALTY_CSS_MAX 65536
#define LOYALTY_URL_MAX 2048
#define LOYALTY_LOCALE_MAX 35 /* RFC 5646, 4.4.1 */
#define LOYALTY_LOCALES_MAX 32
#define LOYALTY_TIME_ZONE_MAX 64
#define LOYALTY_COLORS_MAX 32

/* DOMAIN.md section 6: a hundred years; 10^12 points. */
#define LOYALTY_DAYS_MAX 36500
#define LOYALTY_POINTS_MAX INT64_C(1000000000000)

/* Money in a program, minor units; a thousand of them still fit a sum. */
#define LOYALTY_AMOUNT_MAX INT64_C(1000000000000000)

#define LOYALTY_EARN_RATE_MAX INT64_C(1000000)
#define LOYALTY_MULTIPLIER_MAX INT64_C(1000)

/* A page template with its style sheet inline; sections and partials nest on
 * the stack; the steps stop a small template that loops over a large list, or
 * includes itself twice, which the length of the output alone would not. */
#define LOYALTY_TEMPLATE_SIZE_MAX 262144
#define LOYALTY_TEMPLATE_SECTIONS_MAX 32
#define LOYALTY_TEMPLATE_PARTIALS_MAX 16
#define LOYALTY_TEMPLATE_STEPS_MAX 1000000

/* Injection.  The header waits for at most this much of a page, so that the
 * length can stay exact; a shop's page is rarely larger. */
#define LOYALTY_INJECT_HOLD_MAX (64 * 1024)

/* What may follow the end tag of the body, or the closing brace of a JSON
 * document, and still be held back to see whether it was the last. */
#define LOYALTY_INJECT_TAIL_MAX 4096

#define LOYALTY_INJECT_MARKER_MAX 256

/* Formats of locales and currencies kept by a worker. */
#define LOYALTY_FORMATS_MAX 64

/* A rendered badge. */
#define LOYALTY_INJECT_BADGE_MAX (16 * 1024)

/* Rendered badges kept by a worker, and how long one may be: 2 MB in all, of
 * which those of 350 bytes, as ours are, take 500 KB. */
#define LOYALTY_INJECT_BADGES_KEPT 1024
#define LOYALTY_INJECT_BADGE_KEPT_MAX 2048

/* A bit a level is kept. */
#define LOYALTY_INJECT_JSON_DEPTH_MAX 512

/* A member's whole state in Redis. */
#define LOYALTY_MEMBER_SIZE_MAX (1024 * 1024)

/* A view: its length has 16 bits.  Most hold no offer and have 104 bytes; one
 * past what the edge's zone takes in one entry is built for each request. */
#define LOYALTY_VIEW_SIZE_MAX (64 * 1024 - 8)
#define LOYALTY_VIEW_CACHED_MAX 4096

/* One reply of Redis: a program, or the keys of one large invalidation. */
#define LOYALTY_REDIS_REPLY_MAX (32 * 1024 * 1024)

/* Array elements that one reply may announce, before they have come. */
#define LOYALTY_REDIS_ELEMENTS_MAX (256 * 1024)

/* Arrays in arrays; the map of a cluster has three. */
#define LOYALTY_REDIS_DEPTH_MAX 7

/* Commands that Redis has not taken yet; more are declined. */
#define LOYALTY_REDIS_OUTPUT_MAX (32 * 1024 * 1024)

/* Room for commands that stays with an idle connection. */
#define LOYALTY_REDIS_OUTPUT_KEPT (64 * 1024)

/* Hosts that sentinels and clusters name: DNS has no longer ones. */
#define LOYALTY_REDIS_HOST_MAX 255

/* Nodes of a cluster; Redis itself advises against more. */
#define LOYALTY_REDIS_NODES_MAX 1000

/* MOVED and ASK that one command follows. */
#define LOYALTY_REDIS_REDIRECTS_MAX 5

/* `password_file`: a password, not a document. */
#define LOYALTY_REDIS_PASSWORD_MAX 1024

/* A JSON Pointer in a configuration. */
#define LOYALTY_POINTER_MAX 512

/* Values in values of a shop's document; as deep as jansson reads. */
#define LOYALTY_DOCUMENT_DEPTH_MAX 2048

/* What reading one order of LOYALTY_ORDER_SIZE_MAX may take. */
#define LOYALTY_CAPTURE_MEMORY_MAX (8 * 1024 * 1024)

/* How much of that a worker keeps for the next one; most take 2 KB. */
#define LOYALTY_CAPTURE_MEMORY_KEPT (64 * 1024)

/* The pattern that finds an order in a page, and what matching may cost: a
 * page of 1 MB is searched, a catastrophic pattern is stopped. */
#define LOYALTY_CAPTURE_PATTERN_MAX 2048
#define LOYALTY_CAPTURE_MATCH_LIMIT 2000000
#define LOYALTY_CAPTURE_DEPTH_LIMIT 1000

/* The URI of loyalty_order_post; it travels with every record. */
#define LOYALTY_URI_MAX 2048

/* Order posts of one set at a time, and how long the merchant's system may
 * take, in milliseconds, before the back end takes over. */
#define LOYALTY_ORDER_POSTS_MAX 16
#define LOYALTY_ORDER_POST_TIMEOUT 10000

/* A record of the edge's journal: an order and what goes with it. */
#define LOYALTY_JOURNAL_PAYLOAD_MAX (LOYALTY_ORDER_SIZE_MAX + 8192)

/* One file of the journal, set aside at once.  Smaller under a small max_size,
 * so that at least 16 fit. */
#define LOYALTY_JOURNAL_FILE_SIZE (8 * 1024 * 1024)
#define LOYALTY_JOURNAL_FILE_SIZE_MIN (64 * 1024)

/* Written with zeros ahead of the records: a fifth of a second at 10 000 orders
 * a second, and 1 ms of a disk. */
#define LOYALTY_JOURNAL_FILE_AHEAD (1024 * 1024)

/* Orders that wait for one sync; more go directly to Redis. */
#define LOYALTY_JOURNAL_GROUP_MAX (8 * 1024 * 1024)

/* An answer waits this long for a disk that hangs, then goes out. */
#define LOYALTY_JOURNAL_WAIT_MAX 5000

/* Sets a worker looks after at once: its own and what dead ones left. */
#define LOYALTY_JOURNAL_SETS_MAX 64

/* Folders of the journal looked at in one round. */
#define LOYALTY_JOURNAL_FOLDERS_MAX 1024

/* Records in flight to Redis, of one set, by count and by bytes. */
#define LOYALTY_SHIP_BATCH_MAX 128
#define LOYALTY_SHIP_BYTES_MAX (512 * 1024)

/* Of the newest records, kept in memory until Redis has taken them; what is
 * older is read from its file. */
#define LOYALTY_SHIP_TAIL_MAX (1024 * 1024)

/* Sites whose stream a worker watches for losses. */
#define LOYALTY_SHIP_SITES_MAX 1024

/* Images of a site: a logo, pictures of statuses and offers. */
#define LOYALTY_IMAGES_MAX 500
#define LOYALTY_IMAGE_SIZE_MAX (1024 * 1024)
#define LOYALTY_IMAGE_SIDE_MAX 4096

/* A drawing is shown by a browser, and a deep one read by recursion. */
#define LOYALTY_SVG_ELEMENTS_MAX 10000
#define LOYALTY_SVG_DEPTH_MAX 64

/* Versions of a program that can be had back, and the line before each. */
#define LOYALTY_VERSIONS_MAX 100
#define LOYALTY_VERSION_HEADER_MAX 4096

/* The audit of a site: years of changes by staff; and one object of it. */
#define LOYALTY_AUDIT_ENTRIES_MAX 100000
#define LOYALTY_AUDIT_OBJECT_MAX 16384

/* RFC 5321, 4.5.3.1.3: a path has 256 characters, two of them brackets. */
#define LOYALTY_EMAIL_MAX 254

/* A header's line has at most 998 characters (RFC 5322, 2.1.1). */
#define LOYALTY_MIME_URL_MAX 990

/* A message's id: a rule, a hash of the member, a mark. */
#define LOYALTY_MESSAGE_ID_MAX 128

/* A file that describes delivery, or one adapter of it. */
#define LOYALTY_DELIVERY_FILE_MAX (256 * 1024)

/* Values an adapter may be given, its headers and its tests of an answer. */
#define LOYALTY_DELIVERY_LIST_MAX 64

/* What is read of a provider's answer; real ones have a kilobyte. */
#define LOYALTY_DELIVERY_ANSWER_MAX (64 * 1024)

/* A rendered URL, header or body for a provider. */
#define LOYALTY_DELIVERY_TEXT_MAX (512 * 1024)

/* Seconds that one call of a provider may take. */
#define LOYALTY_DELIVERY_TIMEOUT_MAX 120

/* Messages of a channel on their way at once: a thread and a connection each,
 * and as many sent again where a worker is killed. */
#define LOYALTY_DELIVERY_CONCURRENCY_MAX 64

/* Messages that one call sends again. */
#define LOYALTY_MESSAGES_RETRY_MAX 500

/* Before a token in every link of a message. */
#define LOYALTY_TRACK_URL_MAX 256

/* Messages to one member within so many days; more is no cap. */
#define LOYALTY_MESSAGE_CAP_MAX 1000
#define LOYALTY_MESSAGE_CAP_DAYS_MAX 366

/* Orders of one member looked at for a rule of products, the newest. */
#define LOYALTY_RULE_ORDERS_MAX 1000

/* SKUs asked for one by one; past it a member's whole count is read. */
#define LOYALTY_RULE_SKUS_MAX 64

/* The log of what was blocked keeps the newest. */
#define LOYALTY_BLOCKED_MAX 100000

/* A session, in seconds: unused, and in all. */
#define LOYALTY_SESSION_IDLE_MAX 7200
#define LOYALTY_SESSION_MAX 43200

/* A password; libcrypt takes no longer one. */
#define LOYALTY_PASSWORD_MIN 12
#define LOYALTY_PASSWORD_MAX 256

/* Sign-ins that may fail before each next one waits twice as long, up to a
 * quarter of an hour, in seconds. */
#define LOYALTY_SIGN_IN_TRIES 5
#define LOYALTY_SIGN_IN_WAIT_MAX 900

/* Passwords hashed at a time, each with 16 MB; more sign-ins are put off. */
#define LOYALTY_PASSWORDS_AT_ONCE 2

/* Sites of an account, and of a token. */
#define LOYALTY_STAFF_SITES_MAX 1000

/* Opens and clicks that wait for the back end; older ones go. */
#define LOYALTY_TRACKS_MAX 1000000

/* Webhooks of a site: each event is POSTed to each that wants it. */
#define LOYALTY_WEBHOOKS_MAX 16

/* Milliseconds that a webhook may take to answer. */
#define LOYALTY_WEBHOOK_TIMEOUT 10000

/* Days that a delivery is kept when it is done, and when it is dead. */
#define LOYALTY_DELIVERY_DONE_DAYS 3
#define LOYALTY_DELIVERY_DEAD_DAYS 30

#endif
