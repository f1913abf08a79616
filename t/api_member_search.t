# Members found by e-mail, phone and name, and what keeps that in step.

use lib 't/lib';
use Backend;
use Test::Nginx::Socket;

Backend::site('demo');
Backend::site('other');

run_tests();

__DATA__

=== TEST 1: members, two of one name, one of another site
--- pipelined_requests eval
['POST /v1/sites/demo/members
{"id":"1","email":"Anna@Example.com","phone":"+44 7700 900123","name":"Anna  Smith"}',
 'POST /v1/sites/demo/members
{"id":"2","email":"anna@example.org","phone":"0044 7700-900124","name":"ANNA SMITHSON"}',
 'POST /v1/sites/demo/members
{"id":"3","name":"Straße Ärger","phone":"020 1234"}',
 'POST /v1/sites/demo/members
{"id":"4","name":"Anna Smith"}',
 'POST /v1/sites/other/members
{"id":"1","email":"anna@example.com","name":"Anna Smith"}']
--- error_code eval: [201, 201, 201, 201, 201]
--- response_body_like eval: [('"id"') x 5]



=== TEST 2: an e-mail, in any case, and whole
--- request eval
["GET /v1/sites/demo/members?email=anna%40EXAMPLE.com",
 "GET /v1/sites/demo/members?email=anna%40example"]
--- error_code eval: [200, 200]
--- response_body_like eval
['^\{"members":\[\{"id":"1","email":"Anna@Example.com"[^\]]*\],(?!.*"id":"2").*\]\}$',
 '^\{"members":\[\]\}$']



=== TEST 3: a phone by its digits
--- request eval
["GET /v1/sites/demo/members?phone=%2B447700900123",
 "GET /v1/sites/demo/members?phone=%2B44%207700%20900124",
 "GET /v1/sites/demo/members?phone=0201234",
 "GET /v1/sites/demo/members?phone=abc"]
--- error_code eval: [200, 200, 200, 200]
--- response_body_like eval
['"id":"1"', '"id":"2"', '"id":"3"', '^\{"members":\[\]\}$']



=== TEST 4: the beginning of a name, folded, a page at a time
--- request eval
["GET /v1/sites/demo/members?name=anna+smith&limit=2",
 "GET /v1/sites/demo/members?name=anna+smith&limit=2&cursor=616e6e6120736d6974680034",
 "GET /v1/sites/demo/members?name=STRASSE%20%C3%84",
 "GET /v1/sites/demo/members?name=smith",
 "GET /v1/sites/demo/members?name=anna&cursor=zz"]
--- error_code eval: [200, 200, 200, 200, 422]
--- response_body_like eval
['^\{"members":\[\{"id":"1",.*\{"id":"4",.*\],"next_cursor":"616e6e6120736d6974680034"\}$',
 '^\{"members":\[\{"id":"2",(?!.*next_cursor)', '\[\{"id":"3"',
 '^\{"members":\[\]\}$', 'invalid_cursor']



=== TEST 5: any of them, each member once
--- request eval
["GET /v1/sites/demo/members?q=2", "GET /v1/sites/demo/members?q=anna%40example.com&limit=1",
 "GET /v1/sites/demo/members?q=anna%20s", "GET /v1/sites/demo/members?q=",
 "GET /v1/sites/demo/members?q=a&name=b",
 "GET /v1/sites/demo/members?q=" . 'a' x 1025]
--- error_code eval: [200, 200, 200, 200, 422, 422]
--- response_body_like eval
['^\{"members":\[\{"id":"2"', '\[\{"id":"1"',
 '"id":"1",.*"id":"4",.*"id":"2",', '^\{"members":\[\]\}$',
 'invalid_search', 'invalid_search']



=== TEST 6: a change moves it, a deletion takes it out
--- request eval
['PATCH /v1/sites/demo/members/1
{"email":"new@example.com","phone":null,"name":"ANNA smith"}',
 'GET /v1/sites/demo/members?email=anna%40example.com',
 'GET /v1/sites/demo/members?email=new%40example.com',
 'GET /v1/sites/demo/members?phone=%2B447700900123',
 'DELETE /v1/sites/demo/members/1',
 'GET /v1/sites/demo/members?email=new%40example.com',
 'GET /v1/sites/demo/members?name=anna+smith',
 'GET /v1/sites/demo/members?q=1']
--- error_code eval: [200, 200, 200, 200, 204, 200, 200, 200]
--- response_body_like eval
['"version":2', '^\{"members":\[\]\}$', '"id":"1"', '^\{"members":\[\]\}$', '^$',
 '^\{"members":\[\]\}$', '^(?!.*"id":"1").*"id":"4"', '^\{"members":\[\]\}$']



=== TEST 7: the other site has its own
--- request
GET /v1/sites/other/members?email=anna@example.com
--- error_code: 200
--- response_body_like: "id":"1"

