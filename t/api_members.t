# Members: create, read, list, change, delete; their orders and ledger.

use lib 't/lib';
use Backend;
use Test::Nginx::Socket;

Backend::site('demo');
Backend::site('pages');

run_tests();

__DATA__

=== TEST 1: a member is made and read back
--- pipelined_requests eval
['POST /v1/sites/demo/members
{"id":"anna","email":"anna@example.com","name":"Anna","locale":"fr",' .
 '"signed_up_at":"2026-01-01T00:00:00Z","consent":{"email":true},' .
 '"clubs":["knit"],"attributes":{"shoe":"38"}}',
 'GET /v1/sites/demo/members/anna']
--- error_code eval: [201, 200]
--- response_body_like eval
['"version":1', '"id":"anna","email":"anna@example.com".*"name":"Anna","locale":"fr","registered":true,"consent":\{"email":true,"sms":false,"messenger":false,"line":false\},"clubs":\["knit"\],"groups":\[\],"attributes":\{"shoe":"38"\},"signed_up_at":"2026-01-01T00:00:00Z"']



=== TEST 2: the same id again
--- request
POST /v1/sites/demo/members
{"id":"anna"}
--- error_code: 409
--- response_body_like: "code":"exists"



=== TEST 3: every mistake with its place
--- request
POST /v1/sites/demo/members
{"id":"x","email":7,"consent":{"fax":true},"clubs":"a","attributes":{"a/b":1},"points":5,"signed_up_at":"soon","registered":"yes"}
--- error_code: 422
--- response_body_like eval
qr(/email".*/consent/fax".*/clubs".*/attributes/a~1b".*/points".*/signed_up_at".*/registered")s



=== TEST 4: ids that no member can have
--- request eval
["POST /v1/sites/demo/members\n{}", "POST /v1/sites/demo/members\n{\"id\":\"\"}",
 "POST /v1/sites/demo/members\n{\"id\":\"a\\u0007\"}",
 "POST /v1/sites/demo/members\n{\"id\":\"" . 'a' x 129 . '"}',
 "GET /v1/sites/demo/members/" . 'a' x 129]
--- error_code eval: [422, 422, 422, 422, 404]
--- response_body_like eval: [('"error"') x 5]



=== TEST 5: a text longer than any
--- request eval
"PATCH /v1/sites/demo/members/anna\n{\"name\":\"" . 'a' x 1025 . '"}'
--- error_code: 422
--- response_body_like: "pointer":"/name","message":"must have at most 1024 bytes"



=== TEST 6: a change merges consent and attributes, null takes away
--- request
PATCH /v1/sites/demo/members/anna
{"name":null,"consent":{"sms":true},"attributes":{"hat":"7","shoe":null}}
--- error_code: 200
--- response_body_like: "name":null.*"consent":\{"email":true,"sms":true.*"attributes":\{"hat":"7"\}.*"version":2



=== TEST 7: a member keeps its id
--- request
PATCH /v1/sites/demo/members/anna
{"id":"bert"}
--- error_code: 422



=== TEST 8: an id is any text: encoded in the path
--- pipelined_requests eval
['POST /v1/sites/demo/members
{"id":"a/b ü?"}', 'GET /v1/sites/demo/members/a%2Fb%20%C3%BC%3F']
--- error_code eval: [201, 200]
--- response_body_like eval: ['"id":"a/b', '"id":"a/b']



=== TEST 9: segments move with ?at=, the points and totals stay today's
--- request eval
["GET /v1/sites/demo/members/anna?at=2026-01-31T00:00:00Z",
 "GET /v1/sites/demo/members/anna?at=2026-01-31T00:00:01Z",
 "GET /v1/sites/demo/members/anna?at=yesterday"]
--- error_code eval: [200, 200, 422]
--- response_body_like eval
['"segments":\["new"\],"segment":"new"', '"segments":\[\],"segment":null', 'invalid_at']



=== TEST 10: orders and ledger, newest first, a page at a time
--- request eval
['POST /v1/sites/demo/orders
{"order_id":"o1","member_id":"anna","status":"completed","placed_at":"2026-02-01T00:00:00Z","currency":"GBP","total":1000,"lines":[]}',
 'POST /v1/sites/demo/orders
{"order_id":"o2","member_id":"anna","status":"completed","placed_at":"2026-02-02T00:00:00Z","currency":"GBP","total":2050,"lines":[]}',
 'POST /v1/sites/demo/orders
{"order_id":"o0","member_id":"anna","status":"completed","placed_at":"2026-01-01T00:00:00Z","currency":"GBP","total":300,"lines":[]}',
 'GET /v1/sites/demo/members/anna/orders?limit=2',
 'GET /v1/sites/demo/members/anna/orders?limit=2&cursor=o1',
 'GET /v1/sites/demo/members/anna/ledger?limit=1',
 'GET /v1/sites/demo/members/anna/ledger',
 'GET /v1/sites/demo/members/anna/ledger?kind=credits',
 'GET /v1/sites/demo/members/anna/ledger?kind=gold',
 'GET /v1/sites/demo/members/anna/ledger?cursor=x',
 'GET /v1/sites/demo/members/anna/orders?cursor=x',
 'GET /v1/sites/demo/members/nobody/orders']
--- error_code eval: [201, 201, 201, 200, 200, 200, 200, 200, 422, 422, 422, 404]
--- response_body_like eval
['"points":10', '"points":20', '"points":3',
 '^\{"orders":\[\{"order_id":"o2".*"order_id":"o1".*\],"next_cursor":"o1"\}$',
 '^\{"orders":\[\{"order_id":"o0"[^\]]*\].*\]\}$',
 '^\{"entries":\[\{"seq":3,"kind":"earn","amount":3,[^\]]*"balance":33\}\],"next_cursor":"\d+-\d+\.30"\}$',
 '"amount":3,.*"amount":20,.*"amount":10,',
 '^\{"entries":\[\]\}$', 'invalid_kind', 'invalid_cursor', 'invalid_cursor', 'not_found']



=== TEST 11: totals of those orders: 10.00 + 20.50 + 3.00, a point a pound
--- request
GET /v1/sites/demo/members/anna
--- response_body_like: "order_count":3,"spent_total":3350,"points":\{"active":33,"pending":0,"spent":0,"expired":0,"life":33\}



=== TEST 12: deleted leaves a tombstone: no name, the totals, not in the list
--- request eval
["DELETE /v1/sites/demo/members/anna", "GET /v1/sites/demo/members/anna",
 "GET /v1/sites/demo/members", "DELETE /v1/sites/demo/members/anna",
 "PATCH /v1/sites/demo/members/anna\n{\"name\":\"A\"}",
 "POST /v1/sites/demo/members\n{\"id\":\"anna\"}"]
--- error_code eval: [204, 200, 200, 404, 409, 409]
--- response_body_like eval
['^$', '"email":null.*"deleted_at":"20.*"spent_total":3350', '^((?!anna).)*$',
 'not_found', '"code":"deleted"', '"code":"exists"']



=== TEST 13: erased is gone for the reader
--- request eval
["DELETE /v1/sites/demo/members/anna?erase=true", "GET /v1/sites/demo/members/anna",
 "GET /v1/sites/demo/members/anna/ledger", "DELETE /v1/sites/demo/members/anna?erase=maybe"]
--- error_code eval: [204, 404, 404, 422]
--- response_body_like eval: ['^$', 'not_found', 'not_found', 'invalid_erase']



=== TEST 14: a list goes on where it ended
--- init
Loyalty::redis('zadd', 'loyalty:mi:{pages}', map { (0, sprintf 'm%03d', $_) } 1 .. 120);
Loyalty::member(pages => {id => sprintf 'm%03d', $_}) for 1 .. 120;
--- request eval
["GET /v1/sites/pages/members", "GET /v1/sites/pages/members?cursor=m050",
 "GET /v1/sites/pages/members?cursor=m050&limit=200", "GET /v1/sites/pages/members?limit=1001",
 "GET /v1/sites/pages/members?limit=0", "GET /v1/sites/pages/members?cursor=m120"]
--- error_code eval: [200, 200, 200, 422, 422, 200]
--- response_body_like eval
['^\{"members":\[\{"id":"m001".*"id":"m050".*\],"next_cursor":"m050"\}$',
 '"id":"m051".*"next_cursor":"m100"', '"id":"m051".*"id":"m120"[^\n]*\]\}$',
 'invalid_limit', 'invalid_limit', '^\{"members":\[\]\}$']



=== TEST 15: a member that somebody broke in Redis stops no worker
--- init
Loyalty::redis('set', 'loyalty:m:{demo}:broken', 'nonsense');
--- request eval
["GET /v1/sites/demo/members/broken", "GET /v1/sites/demo/members"]
--- error_code eval: [500, 200]
--- response_body_like eval: ['"code":"corrupt"', 'members']



=== TEST 16: an Idempotency-Key gets the stored answer again, and nothing else
--- more_headers
Idempotency-Key: k-1
--- request eval
["POST /v1/sites/demo/members\n{\"id\":\"once\"}", "POST /v1/sites/demo/members\n{\"id\":\"once\"}",
 "POST /v1/sites/demo/members\n{\"id\":\"other\"}"]
--- error_code eval: [201, 201, 422]
--- response_body_like eval
['"id":"once".*"version":1', '"id":"once".*"version":1', 'idempotency_key_reused']



=== TEST 17: it says so
--- more_headers
Idempotency-Key: k-1
--- request
POST /v1/sites/demo/members
{"id":"once"}
--- error_code: 201
--- response_headers
Idempotency-Replayed: true



=== TEST 18: the same key in another site is another key
--- more_headers
Idempotency-Key: k-1
--- request
POST /v1/sites/pages/members
{"id":"other"}
--- error_code: 201



=== TEST 19: a key longer than any
--- more_headers eval
"Idempotency-Key: " . 'k' x 256
--- request
POST /v1/sites/demo/members
{"id":"never"}
--- error_code: 400
--- response_body_like: invalid_idempotency_key
