# The wallet by the API: points and credits by hand, offers bought, given and
# applied, checkouts that hold, orders that redeem.

use lib 't/lib';
use Backend;
use Test::Nginx::Socket;

my $offers = [
    {id => 'mug', type => 'reward', name => {en => 'A mug'},
     loyalty_price => 100, limit_total => 2,
     discount => {kind => 'amount', amount => 500}},
    {id => 'dear', type => 'reward', name => {en => 'Dear'},
     loyalty_price => 100000, discount => {kind => 'amount', amount => 1}},
    {id => 'own', type => 'coupon', name => {en => 'Own'},
     code_pattern => 'OWN-@@@###', discount => {kind => 'amount', amount => 50}},
    {id => 'two', type => 'promotion', name => {en => 'Two'},
     limit_total => 2, discount => {kind => 'amount', amount => 200}},
    {id => 'card', type => 'punchcard', name => {en => 'Card'},
     stamps_required => 3, discount => {kind => 'amount', amount => 300}},
];

Backend::site('demo', {offers => $offers});
Backend::site('other', {offers => $offers});
Backend::site('young', {offers => [
    {id => 'first', type => 'promotion', name => {en => 'First'},
     order_number => 1, limit_per_member => 1,
     discount => {kind => 'amount', amount => 300}}]});
Backend::site('scarce', {offers => [
    {id => 'one', type => 'promotion', name => {en => 'One'},
     segments => ['new'], limit_total => 1,
     discount => {kind => 'amount', amount => 700}}]});
Backend::token('reader', qw(--sites demo --scopes read));
Backend::token('stranger', qw(--sites other --scopes read,write));

# What a token may have to ask in vain.
our @asked = (
 'POST /v1/sites/demo/members/anna/points
{"amount":1}',
 'POST /v1/sites/demo/members/anna/credits
{"amount":1}',
 'POST /v1/sites/demo/members/anna/entitlements
{"offer_id":"card"}',
 'POST /v1/sites/demo/members/anna/entitlements/m1/apply',
 'POST /v1/sites/demo/members/anna/entitlements/m1/unapply',
 'DELETE /v1/sites/demo/members/anna/entitlements/m1',
 'POST /v1/sites/demo/holds
{"lines":[]}',
 'DELETE /v1/sites/demo/holds/c1', 'GET /v1/sites/demo/holds/c1');

run_tests();

__DATA__

=== TEST 1: points come and go, with their reason
--- request eval
['POST /v1/sites/demo/members
{"id":"anna"}',
 'POST /v1/sites/demo/members/anna/points
{"amount":250,"reason":"sorry"}',
 'POST /v1/sites/demo/members/anna/points
{"amount":-30}',
 'POST /v1/sites/demo/members/anna/credits
{"amount":1000,"expires_at":"2099-01-01T00:00:00Z"}',
 'GET /v1/sites/demo/members/anna/ledger']
--- error_code eval: [201, 201, 201, 201, 200]
--- response_body_like eval
['"id":"anna"', '"points":\{"active":250,', '"points":\{"active":220,.*"spent":30',
 '"credits":\{"active":1000,', '"amount":-30.*"amount":250.*"reason":"sorry"']



=== TEST 2: what cannot be taken, and what is no amount
--- request eval
['POST /v1/sites/demo/members/anna/points
{"amount":-221}',
 'POST /v1/sites/demo/members/anna/credits
{"amount":-1001}',
 'POST /v1/sites/demo/members/anna/points
{"amount":0,"starts_at":"2030-01-01T00:00:00Z","expires_at":"2029-01-01T00:00:00Z"}',
 'POST /v1/sites/demo/members/anna/points
{"amount":1000000000001}',
 'POST /v1/sites/demo/members/anna/points
{"amount":5,"expires_at":"2001-01-01T00:00:00Z"}',
 'POST /v1/sites/demo/members/nobody/points
{"amount":5}']
--- error_code eval: [409, 409, 422, 422, 422, 404]
--- response_body_like eval
['"insufficient_points"', '"insufficient_credits"', '/amount.*/expires_at',
 '/amount', '/expires_at', '"not_found"']



=== TEST 3: an offer is bought, once for one Idempotency-Key
--- more_headers
Idempotency-Key: buy-1
--- request eval
['POST /v1/sites/demo/members/anna/entitlements
{"offer_id":"mug","buy":true,"id":"m1"}',
 'POST /v1/sites/demo/members/anna/entitlements
{"offer_id":"mug","buy":true,"id":"m1"}']
--- error_code eval: [201, 201]
--- response_body_like eval
['"id":"m1","offer_id":"mug","state":"owned"', '"id":"m1"']



=== TEST 4: what is refused says why, and takes nothing
--- request eval
['POST /v1/sites/demo/members/anna/entitlements
{"offer_id":"dear","buy":true}',
 'POST /v1/sites/demo/members/anna/entitlements
{"offer_id":"nothing","buy":true}',
 'POST /v1/sites/demo/members/anna/entitlements
{"offer_id":"card","buy":true}',
 'POST /v1/sites/demo/members/anna/entitlements
{"buy":1}',
 'GET /v1/sites/demo/members/anna']
--- error_code eval: [409, 404, 409, 422, 200]
--- response_body_like eval
['"insufficient_points"', '"not_found"', '"not_for_sale"', '/buy.*/offer_id|/offer_id.*/buy',
 '"points":\{"active":120,']



=== TEST 5: sold out
--- request eval
['POST /v1/sites/demo/members
{"id":"bert"}',
 'POST /v1/sites/demo/members/bert/points
{"amount":500}',
 'POST /v1/sites/demo/members/bert/entitlements
{"offer_id":"mug","buy":true,"id":"m2"}',
 'POST /v1/sites/demo/members/bert/entitlements
{"offer_id":"mug","buy":true,"id":"m3"}']
--- error_code eval: [201, 201, 201, 409]
--- response_body_like eval
['bert', '"active":500', '"m2"', '"limit_total"']



=== TEST 6: applied, put back, taken away
--- request eval
['POST /v1/sites/demo/members/bert/entitlements
{"offer_id":"own"}',
 'POST /v1/sites/demo/members/bert/entitlements/m2/apply',
 'POST /v1/sites/demo/members/bert/entitlements/m2/unapply',
 'DELETE /v1/sites/demo/members/bert/entitlements/m2',
 'DELETE /v1/sites/demo/members/bert/entitlements/m2',
 'POST /v1/sites/demo/members/bert/entitlements/none/apply']
--- error_code eval: [201, 200, 200, 204, 404, 404]
--- response_body_like eval
['"code":"OWN-[A-HJKMNP-Z]{3}[2-9]{3}"', '"state":"applied"', '"state":"owned"', '^$',
 '"not_found"', '"not_found"']



=== TEST 7: a checkout holds; the same again is the same, another waits
--- request eval
['POST /v1/sites/demo/members/anna/entitlements/m1/apply',
 'POST /v1/sites/demo/holds
{"checkout_id":"c1","member_id":"anna","credits":400,"lines":[{"sku":"a","quantity":1,"unit_price":2000}]}',
 'POST /v1/sites/demo/holds
{"checkout_id":"c1","member_id":"anna","credits":400,"lines":[{"sku":"a","quantity":1,"unit_price":2000}]}',
 'POST /v1/sites/demo/holds
{"checkout_id":"c2","member_id":"anna","lines":[{"sku":"a","quantity":1,"unit_price":2000}]}',
 'POST /v1/sites/demo/quotes
{"member_id":"bert","lines":[{"sku":"a","quantity":1,"unit_price":2000}]}',
 'GET /v1/sites/demo/members/anna',
 'DELETE /v1/sites/demo/holds/c2',
 'POST /v1/sites/demo/quotes
{"member_id":"bert","lines":[{"sku":"a","quantity":1,"unit_price":2000}]}']
--- error_code eval: [200, 201, 200, 201, 200, 200, 204, 200]
--- response_body_like eval
['applied', '"id":"c1","state":"held","credits":400,.*"total":1300', '"id":"c1".*"total":1300',
 '"total":1800.*held_elsewhere', '"total":2000', '"credits":\{"active":600', '^$', '"total":1800']



=== TEST 8: the order redeems; another of the same checkout has nothing
--- request eval
['POST /v1/sites/demo/orders
{"order_id":"o1","member_id":"anna","status":"completed","placed_at":"2026-01-01T00:00:00Z","currency":"GBP","total":1300,"redemptions":["c1"]}',
 'GET /v1/sites/demo/members/anna',
 'GET /v1/sites/demo/holds/c1',
 'POST /v1/sites/demo/holds
{"checkout_id":"c1","member_id":"anna","credits":400,"lines":[{"sku":"a","quantity":1,"unit_price":2000}]}',
 'DELETE /v1/sites/demo/holds/c1',
 'POST /v1/sites/demo/orders
{"order_id":"o1","member_id":"anna","status":"cancelled"}',
 'GET /v1/sites/demo/members/anna']
--- error_code eval: [201, 200, 200, 409, 409, 201, 200]
--- response_body_like eval
['applied', '"credits":\{"active":600.*"state":"redeemed"', '"state":"ordered".*"order_id":"o1"',
 '"already_ordered"', '"already_ordered"', 'applied', '"credits":\{"active":1000.*"state":"applied"']



=== TEST 9: a hold is given back when it is no longer wanted
--- request eval
['POST /v1/sites/demo/holds
{"checkout_id":"c3","member_id":"anna","lines":[{"sku":"a","quantity":1,"unit_price":2000}]}',
 'POST /v1/sites/demo/holds
{"checkout_id":"c3","member_id":"anna","lines":[{"sku":"a","quantity":2,"unit_price":2000}]}',
 'POST /v1/sites/demo/holds
{"checkout_id":"c3","member_id":"bert","lines":[{"sku":"a","quantity":2,"unit_price":2000}]}',
 'DELETE /v1/sites/demo/holds/c3', 'GET /v1/sites/demo/holds/c3',
 'DELETE /v1/sites/demo/holds/c3', 'DELETE /v1/sites/demo/holds/never']
--- error_code eval: [201, 201, 409, 204, 200, 204, 404]
--- response_body_like eval
['"total":1300', '"total":3300', '"exists_with_different_member"', '^$', '"released"', '^$', 'not_found']



=== TEST 10: a guest's hold, and what is wrong with one
--- request eval
['POST /v1/sites/demo/holds
{"ttl":60,"lines":[{"sku":"a","quantity":1,"unit_price":2000}]}',
 'POST /v1/sites/demo/holds
{"credits":1,"lines":[{"sku":"a","quantity":1,"unit_price":2000}]}',
 'POST /v1/sites/demo/holds
{"ttl":0,"at":"2026-01-01T00:00:00Z","lines":[]}',
 'POST /v1/sites/demo/holds
{"ttl":86401,"lines":[]}',
 'POST /v1/sites/demo/holds
{"at":"2026-01-01T00:00:00Z","lines":[]}',
 'POST /v1/sites/demo/holds
{"member_id":"' . 'n' x 129 . '","lines":[]}',
 'POST /v1/sites/demo/holds
{"checkout_id":"' . 'c' x 129 . '","lines":[]}',
 'POST /v1/sites/demo/holds
{"member_id":"anna","credits":2001,"lines":[{"sku":"a","quantity":1,"unit_price":2000}]}']
--- error_code eval: [201, 409, 422, 422, 422, 404, 422, 422]
--- response_body_like eval
['"state":"held"', '"insufficient_credits"', '/ttl', '/ttl', '/at', 'not_found', '/checkout_id', '/credits']



=== TEST 11: a token that may only read
--- token: reader
--- request eval
[@::asked]
--- error_code eval: [(403) x 8, 200]
--- response_body_like eval: [('forbidden') x 8, 'ordered']



=== TEST 12: another site's token, and another site's things
--- token: stranger
--- request eval
[@::asked,
 'GET /v1/sites/other/holds/c1', 'DELETE /v1/sites/other/holds/c1',
 'POST /v1/sites/other/members/anna/points
{"amount":1}']
--- error_code eval: [(403) x 9, (404) x 3]
--- response_body_like eval: [('forbidden') x 9, ('not_found') x 3]



=== TEST 13: a statement has the balance after each entry
--- request eval
['GET /v1/sites/demo/members/bert/ledger',
 'GET /v1/sites/demo/members/anna/ledger?kind=credits&limit=1',
 'GET /v1/sites/demo/members/anna/ledger?to=2001-01-01T00:00:00Z',
 'GET /v1/sites/demo/members/anna/ledger?from=2099-01-01T00:00:00Z',
 'GET /v1/sites/demo/members/anna/ledger?from=2001-01-01T00:00:00Z&to=2099-01-01T00:00:00Z',
 'GET /v1/sites/demo/members/anna/ledger?from=soon',
 'GET /v1/sites/demo/members/anna/ledger?to=never',
 'GET /v1/sites/demo/members/anna/ledger?kind=tea',
 'GET /v1/sites/demo/members/anna/ledger?cursor=7',
 'GET /v1/sites/demo/members/anna/ledger?cursor=1-1.x',
 'GET /v1/sites/demo/members/anna/ledger?cursor=9000000000000-1.-9223372036854775808',
 'GET /v1/sites/demo/members/nobody/ledger']
--- error_code eval: [(200) x 5, (422) x 6, 404]
--- response_body_like eval
['"balance":400.*"balance":500', '"balance":1000.*"next_cursor"',
 '"entries":\\[\\]', '"entries":\\[\\]', '"balance":',
 'invalid_from', 'invalid_to', 'invalid_kind', ('invalid_cursor') x 3, 'not_found']



=== TEST 14: codes
--- request eval
['POST /v1/sites/demo/offers/own/codes
{"count":0}',
 'POST /v1/sites/demo/offers/own/codes
{"count":1000001}',
 'POST /v1/sites/demo/offers/mug/codes
{"count":5}',
 'POST /v1/sites/demo/offers/none/codes
{"count":5}',
 'GET /v1/sites/demo/offers/none/codes', 'GET /v1/sites/demo/offers/none/codes/export',
 'GET /v1/sites/demo/offers/own/codes?limit=1', 'GET /v1/sites/demo/offers/own/codes/export',
 'POST /v1/sites/demo/offers/own/codes
{"count":5}']
--- error_code eval: [422, 422, (404) x 4, 200, 200, 202]
--- response_body_like eval
['/count', '/count', ('not_found') x 4, '"state":"assigned","member_id":"bert"',
 qr{assigned,bert,\r\n}, '"kind":"codes"']



=== TEST 15: codes by who may not
--- token: reader
--- request eval
['POST /v1/sites/demo/offers/own/codes
{"count":5}', 'GET /v1/sites/other/offers/own/codes', 'GET /v1/sites/other/offers/own/codes/export',
 'GET /v1/sites/other/members/anna/ledger']
--- error_code eval: [(403) x 4]
--- response_body_like eval: [('forbidden') x 4]



=== TEST 16: a card is had once, and says so
--- request eval
["POST /v1/sites/other/members\n{\"id\":\"carl\"}", map { "POST /v1/sites/other/members/carl/$_" }
 "entitlements\n{\"offer_id\":\"card\"}", "entitlements\n{\"offer_id\":\"card\"}",
 "entitlements\n{\"offer_id\":\"dear\",\"buy\":true}", "points\n{\"amount\":-1}", "points\n{\"amount\":\"1\"}"]
--- error_code eval: [201, 201, 409, 409, 409, 422]
--- response_body_like eval
['carl', '"card"', '"already_owned","message":"the member has this card already"',
 '"insufficient_points","message":"the member has too few active points"',
 '"insufficient_points","message":"the member has too few', '"details":\[\{"pointer":"/amount","message":"must be a whole[^{]*\]']



=== TEST 17: a shopper who is not on record has what is counted for nobody
a hold, the same again, another's turn, a release: no member is made of it
--- request eval
['POST /v1/sites/scarce/holds
{"checkout_id":"s1","member_id":"fay","lines":[{"sku":"a","quantity":1,"unit_price":2000}]}',
 'POST /v1/sites/scarce/holds
{"checkout_id":"s1","member_id":"fay","lines":[{"sku":"a","quantity":1,"unit_price":2000}]}',
 'POST /v1/sites/scarce/holds
{"checkout_id":"s2","member_id":"gil","lines":[{"sku":"a","quantity":1,"unit_price":2000}]}',
 'DELETE /v1/sites/scarce/holds/s1', 'GET /v1/sites/scarce/holds/s1',
 'POST /v1/sites/scarce/holds
{"checkout_id":"s3","member_id":"gil","lines":[{"sku":"a","quantity":1,"unit_price":2000}]}',
 'GET /v1/sites/scarce/members/fay', 'GET /v1/sites/scarce/members/gil',
 'GET /v1/sites/scarce/members']
--- error_code eval: [201, 200, 201, 204, 200, 201, 404, 404, 200]
--- response_body_like eval
['"member_id":"fay"', '"total":1300', '"total":2000', '^$', '"released"', '"total":1300',
 'not_found', 'not_found', '"members":\[\]']



=== TEST 18: the order makes the member, and has the hold
--- request eval
['POST /v1/sites/scarce/orders
{"order_id":"g1","member_id":"gil","status":"completed","placed_at":"2026-01-01T00:00:00Z","currency":"GBP","total":1300,"redemptions":["s3"]}',
 'GET /v1/sites/scarce/holds/s3', 'GET /v1/sites/scarce/members/gil',
 'POST /v1/sites/scarce/quotes
{"member_id":"fay","explain":true,"lines":[{"sku":"a","quantity":1,"unit_price":2000}]}',
 'POST /v1/sites/scarce/orders
{"order_id":"g1","member_id":"gil","status":"cancelled"}',
 'POST /v1/sites/scarce/quotes
{"member_id":"fay","lines":[{"sku":"a","quantity":1,"unit_price":2000}]}']
--- error_code eval: [201, 200, 200, 200, 201, 200]
--- response_body_like eval
['applied', '"state":"ordered"', '"registered":false,.*"signed_up_at":"2026-01-01T00:00:00Z".*"order_count":1',
 '"total":2000,.*"limit_total"', 'applied', '"total":1300']



=== TEST 19: what is counted for each member is, from the first hold on
two checkouts at once do not pass the limit; the order says when the member
signed up
--- request eval
['POST /v1/sites/young/holds
{"checkout_id":"y1","member_id":"hal","lines":[{"sku":"a","quantity":1,"unit_price":2000}]}',
 'POST /v1/sites/young/holds
{"checkout_id":"y2","member_id":"hal","lines":[{"sku":"a","quantity":1,"unit_price":2000}]}',
 'GET /v1/sites/young/members/hal',
 'DELETE /v1/sites/young/holds/y1',
 'POST /v1/sites/young/holds
{"checkout_id":"y3","member_id":"hal","lines":[{"sku":"a","quantity":1,"unit_price":2000}]}',
 'POST /v1/sites/young/orders
{"order_id":"h1","member_id":"hal","status":"completed","placed_at":"2026-01-01T00:00:00Z","currency":"GBP","total":1700,"redemptions":["y3"]}',
 'GET /v1/sites/young/members/hal',
 'POST /v1/sites/young/quotes
{"member_id":"hal","explain":true,"lines":[{"sku":"a","quantity":1,"unit_price":2000}]}']
--- error_code eval: [201, 201, 200, 204, 201, 201, 200, 200]
--- response_body_like eval
['"total":1700', '"total":2000', '"signed_up_at":null.*"order_count":0', '^$', '"total":1700',
 'applied', '"signed_up_at":"2026-01-01T.*"order_count":1', '"total":2000,.*"order_number"']



=== TEST 20: nobody pays with what is not there
--- request eval
['POST /v1/sites/young/holds
{"checkout_id":"y4","member_id":"ida","credits":1,"lines":[{"sku":"a","quantity":1,"unit_price":2000}]}',
 'GET /v1/sites/young/members/ida', 'GET /v1/sites/young/holds/y4']
--- error_code eval: [409, 404, 404]
--- response_body_like eval: ['insufficient_credits', 'not_found', 'not_found']
