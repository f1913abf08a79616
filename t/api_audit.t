# The audit: what staff changed, when, and how it was before.

use lib 't/lib';
use Backend;
use Test::Nginx::Socket;

Backend::site('demo');
Backend::site('other');
Backend::token('anna', '--sites', 'demo');
Backend::token('boris', '--sites', '*');

run_tests();

__DATA__

=== TEST 1: nothing has been changed yet
--- request
GET /v1/sites/demo/audit
--- error_code: 200
--- response_body: {"entries":[]}



=== TEST 2: two changes by one, one by another
--- token: anna
--- pipelined_requests eval
['PUT /v1/sites/demo/settings
{"name":"One","currency":"GBP"}',
 'PUT /v1/sites/demo/settings
{"name":"Two","currency":"GBP"}']
--- error_code eval: [200, 200]
--- response_body_like eval: ['One', 'Two']



=== TEST 3: the other
--- token: boris
--- request
POST /v1/sites/demo/members
{"id":"carl","email":"carl@example.com","name":"Carl"}
--- error_code: 201
--- response_body_like: carl@example.com



=== TEST 4: what is refused is no change
--- request
PUT /v1/sites/demo/settings
{"name":"Three","currency":"GB?"}
--- error_code: 422
--- response_body_like: error



=== TEST 5: nor is an order, of which there are many
--- request
POST /v1/sites/demo/orders
{"order_id":"1","member_id":"carl","status":"completed","placed_at":"2011-01-01T00:00:00Z","occurred_at":"2011-01-01T00:00:00Z","currency":"GBP","total":100,"lines":[]}
--- error_code: 201
--- response_body_like: applied



=== TEST 6: the newest first, with who, what, before and after
--- request
GET /v1/sites/demo/audit
--- error_code: 200
--- response_body_like: ^\{"entries":\[\{"id":"[\d-]+","at":"2\d+-[^"]+Z","who":"boris","method":"POST","path":"members","after":\{"id":"carl",.*\}\},\{[^{]*"who":"anna","method":"PUT","path":"settings","before":\{[^}]*"name":"One"[^}]*\},"after":\{[^}]*"name":"Two"[^}]*\}\},\{[^{]*"before":\{[^}]*Lantern[^}]*\},"after":\{[^}]*"One"[^}]*\}\}\]\}$



=== TEST 7: nothing in it says who a member is
--- request
GET /v1/sites/demo/audit
--- response_body_unlike: carl@example.com



=== TEST 8: by who
--- request
GET /v1/sites/demo/audit?who=boris
--- response_body_like: ^\{"entries":\[\{[^{]*"who":"boris"(?:(?!"who").)*\]\}$



=== TEST 9: a page at a time
--- request
GET /v1/sites/demo/audit?limit=1&who=anna
--- response_body_like: ^\{"entries":\[\{[^{]*"who":"anna".*\}\],"next_cursor":"[\d-]+"\}$



=== TEST 10: a time before, and one after
--- request eval
['GET /v1/sites/demo/audit?to=2011-01-01T00:00:00Z',
 'GET /v1/sites/demo/audit?from=2011-01-01T00:00:00Z&limit=200']
--- error_code eval: [200, 200]
--- response_body_like eval: ['"entries":\[\]', 'anna']



=== TEST 11: what is no time, no cursor, no limit
--- request eval
['GET /v1/sites/demo/audit?to=yesterday', 'GET /v1/sites/demo/audit?cursor=1',
 'GET /v1/sites/demo/audit?limit=0', 'GET /v1/sites/demo/audit?cursor=0-0',
 'GET /v1/sites/demo/audit?cursor=' . '9' x 20 . '-1', 'GET /v1/sites/demo/audit?cursor=1-',
 'GET /v1/sites/demo/audit?cursor=-1', 'GET /v1/sites/demo/audit?cursor=1-2-3']
--- error_code eval: [(422) x 8]
--- response_body_like eval: ['invalid_instant', 'invalid_cursor', 'invalid_limit', ('invalid_cursor') x 5]



=== TEST 12: another site's own is empty
--- request
GET /v1/sites/other/audit
--- response_body: {"entries":[]}
