# Statuses: list, create, change, copy, delete.

use lib 't/lib';
use Backend;
use Test::Nginx::Socket;

Backend::site('demo');

run_tests();

__DATA__

=== TEST 1: a new site has the three of the domain
--- request
GET /v1/sites/demo/statuses
--- error_code: 200
--- response_body_like: "id":"bronze".*"threshold":100000.*"id":"silver".*"threshold":500000.*"id":"gold".*"threshold":1000000



=== TEST 2: one more, in its place by threshold
--- pipelined_requests eval
['POST /v1/sites/demo/statuses
{"id":"platinum","name":{"en":"Platinum"},"threshold":2000000,"color":"#e5e4e2"}',
 'GET /v1/sites/demo/statuses/platinum',
 'GET /v1/sites/demo/statuses/silver']
--- error_code eval
[201, 200, 200]
--- response_body_like eval
['^\{"id":"platinum"', '"threshold":2000000', '"threshold":500000']



=== TEST 3: the same id again
--- request
POST /v1/sites/demo/statuses
{"id":"gold","name":{"en":"Gold"},"threshold":3000000}
--- error_code: 409
--- response_body_like: "code":"exists"



=== TEST 4: two equal thresholds are refused, with the place
--- request
POST /v1/sites/demo/statuses
{"id":"same","name":{"en":"Same"},"threshold":500000}
--- error_code: 422
--- response_body_like: threshold



=== TEST 5: a mistake in the body is placed in the body
--- request
POST /v1/sites/demo/statuses
{"id":"x","name":{"en":"X"},"threshold":42,"color":"reddish"}
--- error_code: 422
--- response_body_like: "pointer":"/color"



=== TEST 6: a change
--- pipelined_requests eval
['PUT /v1/sites/demo/statuses/silver
{"name":{"en":"Silver"},"threshold":400000}', 'GET /v1/sites/demo/statuses/silver']
--- error_code eval
[200, 200]
--- response_body_like eval
['"threshold":400000', '"threshold":400000']



=== TEST 7: a status keeps its id
--- request
PUT /v1/sites/demo/statuses/silver
{"id":"tin","name":{"en":"Tin"},"threshold":400000}
--- error_code: 422
--- response_body_like: "pointer":"/id"



=== TEST 8: a copy has an id and a threshold of its own
--- pipelined_requests eval
["POST /v1/sites/demo/statuses/silver/copy\n", "POST /v1/sites/demo/statuses/silver/copy\n"]
--- error_code eval
[201, 201]
--- response_body_like eval
['"threshold":400001,"id":"silver-copy"', '"threshold":400002,"id":"silver-copy-2"']



=== TEST 9: deleted is gone
--- request eval
["DELETE /v1/sites/demo/statuses/silver-copy-2", "GET /v1/sites/demo/statuses/silver-copy-2",
 "DELETE /v1/sites/demo/statuses/silver-copy-2"]
--- error_code eval
[204, 404, 404]
--- response_body_like eval
['^$', 'not_found', 'not_found']



=== TEST 10: no status of a site that is not there
--- request
GET /v1/sites/nowhere/statuses
--- error_code: 404



=== TEST 11: more statuses than a program may have
--- request eval
my @list = map { qq({"id":"s$_","name":{"en":"S"},"threshold":) . (5000000 + $_) . '}' } 1 .. 70;
[map { "POST /v1/sites/demo/statuses\n$_" } @list]
--- error_code eval
# four and a copy are there: 64 in all
[(201) x 59, (422) x 11]
--- response_body_like eval
[('"id"') x 59, ('"error"') x 11]
