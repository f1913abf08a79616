# The lists of a programme: made, read, changed, copied, deleted in one way;
# what each does on its own; preconditions.

use lib 't/lib';
use Backend;
use Test::Nginx::Socket;

Backend::site('demo');
Backend::site('big', {offers => [map { {id => "o$_", type => 'promotion'} } 1 .. 2000]});
Backend::site('held', {offers => [
    {id => 'past', type => 'reward', deleted => JSON::PP::true, ends_at => '2011-01-01T00:00:00Z'},
    {id => 'open', type => 'reward', deleted => JSON::PP::true, ends_at => '2999-01-01T00:00:00Z'},
    {id => 'card', type => 'clubcard'}, {id => 'sale', type => 'promotion'}],
    templates => [{id => 'hello', channel => 'email', subject => 'Hello', text => 'Hello'}],
    rules => [{id => 'first', type => 'order_count', threshold => 1, channel => 'email',
               template => 'hello', gives => {offer => 'card'}}]});

our %objects = (
    designs => ['{"id":"plain","name":"Plain","colors":{"text":"#101010"}}', 'plain', '"name":"Plain"'],
    offers => ['{"id":"ten","type":"promotion","discount":{"kind":"percent","percent":"10"}}', 'ten', '"percent":"10"'],
    templates => ['{"id":"hello","channel":"email","subject":"Hi","text":"Hi {{name}}"}', 'hello', '"channel":"email"'],
    rules => ['{"id":"first","type":"order_count","threshold":1,"channel":"email","template":"hello"}', 'first', '"threshold":1'],
    categories => ['{"pattern":"LAMP-.*","category":"home/lighting"}', 'LAMP-.*', 'home/lighting'],
);
our @lists = qw(designs offers templates rules categories);

run_tests();

__DATA__

=== TEST 1: made
--- pipelined_requests eval
[map { "POST /v1/sites/demo/$_\n$main::objects{$_}[0]" } @main::lists]
--- error_code eval: [(201) x 5]
--- response_body_like eval: [map { quotemeta $main::objects{$_}[2] } @main::lists]



=== TEST 2: read, each and all
--- request eval
[map { ("GET /v1/sites/demo/$_", "GET /v1/sites/demo/$_/$main::objects{$_}[1]") } @main::lists]
--- error_code eval: [(200) x 10]
--- response_body_like eval
[map { ('^\{"' . $_ . '":\[\{.*\}\]\}$', quotemeta $main::objects{$_}[2]) } @main::lists]



=== TEST 3: not made twice
--- pipelined_requests eval
[map { "POST /v1/sites/demo/$_\n$main::objects{$_}[0]" } @main::lists]
--- error_code eval: [(409) x 5]
--- response_body_like eval: [('"code":"exists"') x 5]



=== TEST 4: what is not there
--- pipelined_requests eval
[map { ("GET /v1/sites/demo/$_/none", "PUT /v1/sites/demo/$_/none\n{}", "DELETE /v1/sites/demo/$_/none") } @main::lists]
--- error_code eval: [(404) x 15]
--- response_body_like eval: [('not_found') x 15]



=== TEST 5: replaced; the key stays
--- pipelined_requests eval
['PUT /v1/sites/demo/offers/ten
{"type":"promotion","discount":{"kind":"percent","percent":"15"}}',
 'PUT /v1/sites/demo/categories/LAMP-.*
{"category":"home/lamps"}',
 'PUT /v1/sites/demo/offers/ten
{"id":"eleven","type":"promotion"}',
 'PUT /v1/sites/demo/categories/LAMP-.*
{"pattern":"X","category":"home/lamps"}']
--- error_code eval: [200, 200, 422, 422]
--- response_body_like eval: ['"percent":"15"', 'home/lamps', '"pointer":"/id"', '"pointer":"/pattern"']



=== TEST 6: a mistake is placed in the body
--- pipelined_requests eval
['POST /v1/sites/demo/designs
{"id":"x","logo":"javascript:alert(1)"}',
 'POST /v1/sites/demo/offers
{"id":"x","type":"gift"}',
 'POST /v1/sites/demo/templates
{"id":"x","channel":"email","subject":"Hi","text":"{{#a}}"}',
 'POST /v1/sites/demo/rules
{"id":"x","type":"order_count","threshold":1,"channel":"email","template":"none"}',
 'POST /v1/sites/demo/categories
{"pattern":"(","category":"a"}']
--- error_code eval: [(422) x 5]
--- response_body_like eval
['"pointer":"/logo"', '"pointer":"/type"', '"pointer":"/text"', '"pointer":"/template"', '"pointer":"/pattern"']



=== TEST 7: nothing in use is deleted
--- request eval
["DELETE /v1/sites/demo/templates/hello", "DELETE /v1/sites/held/offers/card"]
--- error_code eval: [422, 422]
--- response_body_like eval: ['/rules/0/template', 'has been deleted']



=== TEST 8: copies: an offer is a draft, a rule sends nothing
--- pipelined_requests eval
["POST /v1/sites/demo/offers/ten/copy\n", "POST /v1/sites/demo/rules/first/copy\n",
 "POST /v1/sites/demo/designs/plain/copy\n", "POST /v1/sites/demo/templates/hello/copy\n"]
--- error_code eval: [(201) x 4]
--- response_body_like eval
['(?=.*"id":"ten-copy").*"state":"draft"', '(?=.*"id":"first-copy").*"enabled":false',
 '"id":"plain-copy"', '"id":"hello-copy"']



=== TEST 9: published and taken back
--- request eval
["POST /v1/sites/demo/offers/ten-copy/publish", "POST /v1/sites/demo/offers/ten-copy/unpublish",
 "POST /v1/sites/demo/offers/none/publish"]
--- error_code eval: [200, 200, 404]
--- response_body_like eval: ['"state":"published"', '"state":"draft"', 'not_found']



=== TEST 10: a deleted promotion is gone; what members may hold stays for them
--- request eval
["DELETE /v1/sites/held/offers/sale", "DELETE /v1/sites/held/rules/first", "DELETE /v1/sites/held/offers/card",
 "GET /v1/sites/held/offers", "GET /v1/sites/held/offers?deleted=true", "DELETE /v1/sites/held/offers/card",
 "POST /v1/sites/held/offers/card/publish"]
--- error_code eval: [204, 204, 204, 200, 200, 404, 404]
--- response_body_like eval
['^$', '^$', '^$', '^\{"offers":\[\]\}$', '^\{"offers":\[\{[^{]*"id":"open".*"id":"card"', 'not_found', 'not_found']



=== TEST 11: what had ended went with that
--- request
GET /v1/sites/held/offers?deleted=true
--- response_body_unlike: "past"



=== TEST 12: a body cannot delete, nor take the id of what members hold
--- pipelined_requests eval
['PUT /v1/sites/demo/offers/ten
{"type":"promotion","deleted":true}',
 'POST /v1/sites/held/offers
{"id":"card","type":"clubcard"}']
--- error_code eval: [422, 409]
--- response_body_like eval: ['"pointer":"/deleted"', 'exists']



=== TEST 13: a copy of a copy has an id of its own, an offer no code twice
--- pipelined_requests eval
['POST /v1/sites/demo/offers
{"id":"code","type":"coupon","code":"SAVE2024"}',
 "POST /v1/sites/demo/offers/code/copy\n", "POST /v1/sites/demo/offers/code/copy\n"]
--- error_code eval: [201, 201, 201]
--- response_body_like eval: ['SAVE2024', '"id":"code-copy"', '"id":"code-copy-2"']



=== TEST 14: the order of patterns, of which the first wins
--- pipelined_requests eval
['POST /v1/sites/demo/categories
{"pattern":".*","category":"other"}',
 'POST /v1/sites/demo/categories/order
{"ids":[".*","LAMP-.*"]}', 'GET /v1/sites/demo/categories',
 'POST /v1/sites/demo/categories/order
{"ids":[".*",".*"]}',
 'POST /v1/sites/demo/categories/order
{"ids":[".*"]}',
 'POST /v1/sites/demo/categories/order
{"ids":7}']
--- error_code eval: [201, 200, 200, 422, 422, 422]
--- response_body_like eval: ['other', 'other.*LAMP', 'other.*LAMP', '/ids', '/ids', '/ids']



=== TEST 15: statuses change places: their thresholds stay where they are
--- pipelined_requests eval
['POST /v1/sites/demo/statuses/order
{"ids":["gold","bronze","silver"]}', 'GET /v1/sites/demo/statuses']
--- error_code eval: [200, 200]
--- response_body_like eval
[('"id":"gold".*"threshold":100000.*"id":"bronze".*"threshold":500000.*"id":"silver".*"threshold":1000000') x 2]



=== TEST 16: a changed threshold changes the place
--- pipelined_requests eval
['PUT /v1/sites/demo/statuses/gold
{"threshold":7000000}', 'GET /v1/sites/demo/statuses']
--- error_code eval: [200, 200]
--- response_body_like eval: ['7000000', '"id":"bronze".*"id":"silver".*"id":"gold"']



=== TEST 17: page by page
--- request eval
["GET /v1/sites/big/offers?limit=2", "GET /v1/sites/big/offers?limit=2&cursor=o2", "GET /v1/sites/big/offers?limit=0",
 "GET /v1/sites/big/offers?limit=1000&cursor=o1999"]
--- error_code eval: [200, 200, 422, 200]
--- response_body_like eval
['"id":"o1".*"id":"o2".*\}\],"next_cursor":"o2"\}$', '"id":"o3".*"next_cursor":"o4"', 'limit', '^\{"offers":\[\{[^\]]*"o2000".*\]\}$']



=== TEST 18: more offers than a program may have
--- request
POST /v1/sites/big/offers
{"id":"one-more","type":"promotion"}
--- error_code: 422
--- response_body_like: "pointer":"/offers"



=== TEST 19: one offer is not made over by who saw an older program
--- more_headers
If-Match: "1"
--- request eval
["PUT /v1/sites/demo/offers/ten\n{}", "DELETE /v1/sites/demo/offers/ten", "POST /v1/sites/demo/offers/ten/publish"]
--- error_code eval: [412, 412, 412]
--- response_body_like eval: [('precondition_failed') x 3]



=== TEST 20: one of several tags will do
--- more_headers
If-Match: "7", "1"
--- request
POST /v1/sites/big/offers/o1/unpublish
--- error_code: 200
--- response_headers
ETag: "2"



=== TEST 21: a PUT that only makes
--- more_headers
If-None-Match: *
--- pipelined_requests eval
["PUT /v1/sites/demo/offers/new\n{\"type\":\"promotion\"}", "PUT /v1/sites/demo/offers/new\n{\"type\":\"promotion\"}",
 "PUT /v1/sites/demo/settings\n{\"currency\":\"GBP\"}"]
--- error_code eval: [201, 412, 412]
--- response_body_like eval: ['"id":"new"', 'precondition', 'precondition']



=== TEST 22: an object too large for the audit is counted there, not kept
--- pipelined_requests eval
['POST /v1/sites/demo/designs
{"id":"large","css":"' . ('/* 0123456789 */' x 1100) . '"}', 'GET /v1/sites/demo/audit?limit=1']
--- error_code eval: [201, 200]
--- response_body_like eval: ['large', '"after":\{"left_out_bytes":176\d\d\}']



=== TEST 23: an offer to all: a job, once a member
--- pipelined_requests eval
['POST /v1/sites/demo/offers
{"id":"club","type":"clubcard","name":{"en":"Club"}}', 'POST /v1/sites/demo/members
{"id":"anna"}', 'POST /v1/sites/demo/members
{"id":"boris"}', 'POST /v1/sites/demo/offers/club/assign
{"all":true,"reason":"welcome"}']
--- error_code eval: [201, 201, 201, 202]
--- response_body_like eval: ['club', 'anna', 'boris', '"kind":"bulk"']



=== TEST 24: they have it
--- wait: 3
--- request
GET /v1/sites/demo/settings
--- error_code: 200



=== TEST 25: both
--- request eval
["GET /v1/sites/demo/members/anna", "GET /v1/sites/demo/members/boris"]
--- error_code eval: [200, 200]
--- response_body_like eval: [('"entitlements":\[\{[^]]*"club"') x 2]



=== TEST 26: what cannot be given, to nobody said
--- pipelined_requests eval
['POST /v1/sites/demo/offers/ten/assign
{"all":true}', 'POST /v1/sites/demo/offers/none/assign
{"all":true}', 'POST /v1/sites/held/offers/card/assign
{"all":true}', 'POST /v1/sites/demo/offers/club/assign
{"reason":"x"}']
--- error_code eval: [409, 404, 404, 422]
--- response_body_like eval: ['promotion', 'not_found', 'not_found', 'members or filter']



=== TEST 27: a flag that is neither changes nothing
--- request eval
["POST /v1/sites/demo/designs?draft=1\n{\"id\":\"live\"}", 'GET /v1/sites/demo/designs/live',
 'GET /v1/sites/demo/offers?deleted=yes', 'GET /v1/sites/demo/offers?draft=']
--- error_code eval: [422, 404, 422, 422]
--- response_body_like eval: ['draft is true or false', 'not_found', 'deleted is true or false', 'draft is true or false']



=== TEST 28: a cursor whose object is gone
--- request eval
['GET /v1/sites/demo/offers?limit=1&cursor=gone', 'GET /v1/sites/demo/offers?limit=1&cursor=club']
--- error_code eval: [422, 200]
--- response_body_like eval: ['invalid_cursor', '"offers"']



=== TEST 29: the stored answer of a change has its ETag, too
--- more_headers
Idempotency-Key: design-1
--- request eval
[("POST /v1/sites/demo/designs\n{\"id\":\"kept\"}") x 2]
--- error_code eval: [201, 201]
--- response_headers_like eval
['ETag: "\d+"', "ETag: \"\\d+\"\nIdempotency-Replayed: true"]



=== TEST 30: a parameter that a route does not know is refused, but where anybody may call
--- request eval
['POST /v1/sites/demo/messages/retry?form=2026-01-01T00:00:00Z', 'GET /v1/sites/demo/members?sort=name',
 'GET /v1/sites/demo/draft?limit=1', 'GET /v1/openapi.json?_=1']
--- error_code eval: [422, 422, 422, 200]
--- response_body_like eval
['form is no parameter here: there are from, to"', 'unknown_parameter', 'limit is no parameter here: there are none"', '3.1.0']



=== TEST 31: so is a field, each of them named
--- request eval
['POST /v1/sites/demo/members/bulk' . "\n"
 . '{"members":["anna"],"action":"points","amount":5,"expire_at":"2027-01-01T00:00:00Z","notfy":{}}',
 'POST /v1/sites/demo/members/bulk' . "\n" . '{"' . 'x' x 5000 . '":1}']
--- error_code eval: [422, 422]
--- response_body_like eval
['"/expire_at","message":"is no field here.*"/notfy"', '"pointer":"/\.\.\."']



=== TEST 32: a body that is missing
--- request
POST /v1/sites/demo/members/bulk
--- more_headers
Content-Type: application/json
--- error_code: 400
--- response_body_like: the body is empty
