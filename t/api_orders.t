# Orders by the API: one, many, the same again, and what is refused.

use lib 't/lib';
use Backend;
use Test::Nginx::Socket;

Backend::site('demo');

our $order = '{"order_id":"o1","member_id":"anna","status":"completed",'
    . '"placed_at":"2026-02-01T00:00:00Z","currency":"GBP","total":120000,'
    . '"lines":[{"sku":"A","quantity":2,"unit_price":"600.00","amount":120000}]}';

sub but {
    my ($from, $to) = @_;
    my $text = $order;
    $text =~ s/\Q$from\E/$to/ or die "no $from";
    return "POST /v1/sites/demo/orders\n$text";
}

run_tests();

__DATA__

=== TEST 1: applied at once: points, status
--- request eval: "POST /v1/sites/demo/orders\n$main::order"
--- error_code: 201
--- response_body_like: ^\{"outcome":"applied","order_id":"o1","member_id":"anna","points":1200,"status":\{"to":"bronze"\}\}$



=== TEST 2: the same event again changes nothing; shipped is the same moment
--- request eval
["POST /v1/sites/demo/orders\n$main::order", main::but('completed', 'shipped'),
 "GET /v1/sites/demo/members/anna"]
--- error_code eval: [200, 201, 200]
--- response_body_like eval
['"outcome":"duplicate"', '"outcome":"applied".*"points":0',
 '"order_count":1,"spent_total":120000,"points":\{"active":1200']



=== TEST 3: the same event with other content
--- request eval
[main::but('"total":120000', '"total":120001'), main::but('anna', 'bert'),
 main::but('"quantity":2', '"quantity":3')]
--- error_code eval: [409, 409, 409]
--- response_body_like eval
['exists_with_different_total.*on record with another total', 'exists_with_different_member.*for another member',
 'exists_with_different_lines.*with other lines']



=== TEST 4: what is wrong with an event, with its place
--- request eval
[main::but('GBP', 'EUR'), main::but('"quantity":2', '"quantity":-2'), main::but('completed', 'done'),
 main::but('"order_id":"o1",', ''), main::but('2026-02-01T00', '2026-02-31T00')]
--- error_code eval: [(422) x 5]
--- response_body_like eval
['"pointer":"/currency"', '"pointer":"/lines/0/quantity"', '"pointer":"/status"',
 '"pointer":"/order_id"', '"pointer":"/placed_at"']



=== TEST 5: read back
--- request eval
["GET /v1/sites/demo/orders/o1", "GET /v1/sites/demo/orders/none",
 "GET /v1/sites/demo/orders/" . 'o' x 200]
--- error_code eval: [200, 404, 404]
--- response_body_like eval
['"order_id":"o1","member_id":"anna".*"total":120000.*"sku":"A"', 'not_found', 'not_found']



=== TEST 6: part goes back: points in proportion, the status with them
--- request eval
['POST /v1/sites/demo/orders
{"order_id":"o1","member_id":"anna","status":"refunded","currency":"GBP","refund":{"id":"r1","amount":60000,"lines":[{"sku":"A","quantity":1,"amount":60000}]}}',
 'POST /v1/sites/demo/orders
{"order_id":"o1","member_id":"anna","status":"refunded","currency":"GBP","refund":{"id":"r2","amount":60001,"lines":[]}}',
 'GET /v1/sites/demo/members/anna']
--- error_code eval: [201, 422, 200]
--- response_body_like eval
['"points":-600,"status":\{"from":"bronze"\}', '"error"',
 '"order_count":1,"spent_total":60000,"points":\{"active":600,']



=== TEST 7: cancelled, it never was; the event names no member, its order does
--- request eval
['POST /v1/sites/demo/orders
{"order_id":"o1","status":"cancelled","currency":"GBP"}', 'GET /v1/sites/demo/members/anna']
--- error_code eval: [201, 200]
--- response_body_like eval
['"points":-600', '"order_count":0,"spent_total":0,"points":\{"active":0,']



=== TEST 8: a cancellation that comes first is kept with the order
--- request eval
['POST /v1/sites/demo/orders
{"order_id":"o2","member_id":"anna","status":"cancelled","currency":"GBP"}',
 main::but('"o1"', '"o2"'), 'GET /v1/sites/demo/members/anna']
--- error_code eval: [200, 201, 200]
--- response_body_like eval
['"outcome":"held"', '"points":0', '"order_count":0,"spent_total":0']



=== TEST 9: a guest's order is counted and left alone
--- request eval
[main::but('"member_id":"anna",', ''), 'GET /v1/sites/demo/stats']
--- error_code eval: [409, 200]
--- response_body_like eval: ['exists_with_different_member', '"applied"']



=== TEST 10: a guest's own order
--- request eval
my $guest = main::but('"member_id":"anna",', '');
$guest =~ s/"o1"/"g1"/;
[$guest, 'GET /v1/sites/demo/stats']
--- error_code eval: [200, 200]
--- response_body_like eval: ['"outcome":"guest"', '"guests":1']



=== TEST 11: units ordered, by product: two of A came and went, three of B stay
--- request eval
['POST /v1/sites/demo/orders
{"order_id":"c1","member_id":"carl","status":"completed","currency":"GBP","total":500,"lines":[{"sku":"A","quantity":2,"amount":200},{"sku":"B","quantity":3,"amount":300}]}',
 'POST /v1/sites/demo/orders
{"order_id":"c1","member_id":"carl","status":"refunded","currency":"GBP","refund":{"id":"r","amount":200,"lines":[{"sku":"A","quantity":2,"amount":200}]}}']
--- error_code eval: [201, 201]
--- response_body_like eval: ['applied', 'applied']



=== TEST 12: those counts, in Redis
--- init
Test::More::is(Loyalty::redis('hget', 'loyalty:h:{demo}:carl', 'A'), '0');
Test::More::is(Loyalty::redis('hget', 'loyalty:h:{demo}:carl', 'B'), '3');
--- request
GET /v1/sites/demo/members/carl
--- response_body_like: "order_count":1,"spent_total":300,



=== TEST 13: many at once: a result a line, a bad line hurts no other
--- more_headers
Content-Type: application/x-ndjson
--- request eval
"POST /v1/sites/demo/orders/batch\n" . join "\n",
'{"order_id":"b1","member_id":"dora","status":"completed","currency":"GBP","total":100,"lines":[]}',
'nonsense',
'',
'{"order_id":"b1","member_id":"dora","status":"completed","currency":"GBP","total":100,"lines":[]}',
'{"order_id":"b1","member_id":"dora","status":"completed","currency":"GBP","total":101,"lines":[]}',
'{"order_id":"b2","member_id":"dora","status":"completed","currency":"GBP","total":-1,"lines":[]}',
'{"order_id":"b3","member_id":"dora","status":"completed","currency":"GBP","total":300,"lines":[]}'
--- error_code: 200
--- response_body_like eval
qr/^\{"outcome":"applied","order_id":"b1".*?"points":1,"http_status":201\}
\{"outcome":"refused","error":\{"code":"invalid_json".*?"http_status":400\}
\{"outcome":"duplicate".*?"http_status":200\}
\{"outcome":"refused".*?exists_with_different_total.*?"http_status":409\}
\{"outcome":"refused".*?"pointer":"\/total".*?"http_status":422\}
\{"outcome":"applied","order_id":"b3".*?"points":3,"http_status":201\}
$/s



=== TEST 14: more lines than one piece holds come in order
--- more_headers
Content-Type: application/x-ndjson
--- request eval
"POST /v1/sites/demo/orders/batch\n" . join "\n", map {
qq({"order_id":"p$_","member_id":"ed","status":"completed","currency":"GBP","total":100,"lines":[]})
} 1 .. 300
--- error_code: 200
--- response_body eval
join '', map {
qq({"outcome":"applied","order_id":"p$_","member_id":"ed","points":1,"http_status":201}\n)
} 1 .. 300



=== TEST 15: and all of them count
--- request
GET /v1/sites/demo/members/ed
--- response_body_like: "order_count":300,"spent_total":30000,"points":\{"active":300,



=== TEST 16: a batch of another type
--- request
POST /v1/sites/demo/orders/batch
{}
--- error_code: 415



=== TEST 17: an event longer than any
--- request eval
"POST /v1/sites/demo/orders\n" . '{"a":"' . 'x' x (1024 * 1024) . '"}'
--- error_code: 413
--- response_body_like: "code":"too_large"



=== TEST 18: more lines in an order than any has
--- request eval
"POST /v1/sites/demo/orders\n" . '{"order_id":"l","member_id":"anna","status":"completed","currency":"GBP","total":5001,"lines":['
. join(',', ('{"sku":"A","quantity":1,"amount":1}') x 5001) . ']}'
--- error_code: 422
--- response_body_like: "pointer":"/lines"



=== TEST 19: a sum past 64 bits is refused, not wrapped
--- request eval
['POST /v1/sites/demo/orders
{"order_id":"h1","member_id":"huge","status":"completed","currency":"GBP","total":9223372036854775807,"lines":[]}',
'POST /v1/sites/demo/orders
{"order_id":"h2","member_id":"huge","status":"completed","currency":"GBP","total":1,"lines":[]}',
'GET /v1/sites/demo/members/huge']
--- error_code eval: [201, 422, 200]
--- response_body_like eval
['applied', '"code":"overflow"', '"order_count":1,"spent_total":9223372036854775807,']



=== TEST 20: staff correct an order: a part of it returned, then cancelled
--- request eval
['POST /v1/sites/demo/orders
{"order_id":"wrong","member_id":"vera","status":"completed","total":1000,"lines":[]}',
 'POST /v1/sites/demo/orders/wrong/refunds
{"id":"r1","amount":250,"reason":"a scratch"}',
 'POST /v1/sites/demo/orders/wrong/refunds
{"id":"r1","amount":250,"reason":"a scratch"}',
 'POST /v1/sites/demo/orders/wrong/refunds
{"id":"r2","amount":751,"reason":"more than is left"}',
 'POST /v1/sites/demo/orders/wrong/cancel
{"reason":"never delivered"}',
 'GET /v1/sites/demo/orders/wrong',
 'GET /v1/sites/demo/members/vera',
 'GET /v1/sites/demo/audit', 'GET /v1/sites/demo/members/vera/ledger']
--- error_code eval: [201, 201, 200, 422, 201, 200, 200, 200, 200]
--- response_body_like eval
['"points":10', '"points":-2', '"duplicate"', '"error"', '"points":-8',
 '"status":"cancelled"', '"order_count":0,"spent_total":0,"points":\{"active":0',
 'orders/wrong/cancel.*never delivered.*orders/wrong/refunds.*a scratch',
 '"amount":-8,[^}]*"by":"all".*"amount":-2,[^}]*"by":"all".*"amount":10,[^}]*"by":"system"']



=== TEST 21: a correction says why, and of what
--- request eval
['POST /v1/sites/demo/orders/wrong/cancel
{}', 'POST /v1/sites/demo/orders/wrong/cancel
{"reason":""}', 'POST /v1/sites/demo/orders/wrong/cancel
{"reason":"x","amount":1}', 'POST /v1/sites/demo/orders/wrong/refunds
{"reason":"x","amount":"all"}', 'POST /v1/sites/demo/orders/none/cancel
{"reason":"x"}']
--- error_code eval: [422, 422, 422, 422, 404]
--- response_body_like eval
['"/reason"', '"/reason"', 'a reason alone', '/refund/amount', 'not_found']



=== TEST 22: a refund of more than is left says so
--- request eval
["POST /v1/sites/demo/orders\n" . '{"order_id":"left","member_id":"nina","status":"completed","placed_at":"2026-02-01T00:00:00Z","currency":"GBP","total":100,"lines":[]}',
 "POST /v1/sites/demo/orders/left/refunds\n" . '{"id":"r1","amount":60,"reason":"broken"}',
 "POST /v1/sites/demo/orders/left/refunds\n" . '{"id":"r2","amount":41,"reason":"broken"}',
 "POST /v1/sites/demo/orders/left/refunds\n" . '{"id":"r1","amount":40,"reason":"broken"}']
--- error_code eval: [201, 201, 422, 409]
--- response_body_like eval
['applied', 'applied', 'refund_more_than_left.*more than what is left', 'exists_with_different_refund.*a refund of this id']
