# Drafts, and the history of a programme.

use lib 't/lib';
use Backend;
use Test::Nginx::Socket;

Backend::site('demo');
Backend::site('many');
Backend::token('anna');

our $document = '{"settings":{"id":"demo","name":"Next","currency":"GBP","active":false},'
    . '"statuses":[{"id":"first","threshold":0}]}';

run_tests();

__DATA__

=== TEST 1: there is no draft
--- request eval
["GET /v1/sites/demo/draft", "POST /v1/sites/demo/draft/publish", "DELETE /v1/sites/demo/draft"]
--- error_code eval: [404, 404, 404]
--- response_body_like eval: [('no such draft') x 3]



=== TEST 2: a draft changes nothing that is live
--- pipelined_requests eval
["PUT /v1/sites/demo/draft\n$main::document", "GET /v1/sites/demo/draft", "GET /v1/sites/demo/statuses",
 "GET /v1/sites/demo/settings"]
--- error_code eval: [201, 200, 200, 200]
--- response_body_like eval: ['"name":"Next"', '(?=.*"version":1).*"id":"first"', '"id":"gold"', 'Lantern']



=== TEST 3: a bad draft is refused whole, with every place
--- pipelined_requests eval
['PUT /v1/sites/demo/draft
{"settings":{"id":"demo","currency":"XXZ"},"statuses":[{"id":"a","threshold":-1}]}',
 'PUT /v1/sites/demo/draft
{"settings":{"id":"other","currency":"GBP"}}',
 'PUT /v1/sites/demo/draft
{"version":7,"settings":{"id":"demo","currency":"GBP"}}', "GET /v1/sites/demo/draft"]
--- error_code eval: [422, 422, 422, 200]
--- response_body_like eval
['(?=.*/settings/currency).*/statuses/0/threshold', '/settings/id', '"/version"', 'Next']



=== TEST 4: every list of the program can be changed in the draft
--- pipelined_requests eval
["POST /v1/sites/demo/statuses?draft=true\n{\"id\":\"second\",\"threshold\":100}",
 "GET /v1/sites/demo/statuses?draft=true", "GET /v1/sites/demo/statuses/second",
 "GET /v1/sites/demo/settings?draft=true"]
--- error_code eval: [201, 200, 404, 200]
--- response_body_like eval: ['second', '"id":"first".*"id":"second"', 'not_found', '"Next"']



=== TEST 5: another's change of the draft is not overwritten
--- more_headers
If-Match: "draft-000000000000000000000000"
--- request eval
"PUT /v1/sites/demo/draft\n$main::document"
--- error_code: 412
--- response_headers_like
ETag: "draft-[0-9a-f]{24}"



=== TEST 6: published: all of it at once, but the site is not switched off
--- token: anna
--- request eval
["POST /v1/sites/demo/draft/publish", "GET /v1/sites/demo/statuses", "GET /v1/sites/demo/settings", "GET /v1/sites/demo/draft"]
--- error_code eval: [200, 200, 200, 404]
--- response_body_like eval: ['^\{"version":2\}$', '"id":"first".*"id":"second"', '(?=.*"Next").*"active":true', 'not_found']



=== TEST 7: the history has it, and what was before
--- request
GET /v1/sites/demo/versions
--- response_body_like: ^\{"versions":\[\{"version":2,"at":"2[^"]+Z","by":"anna","what":"draft/publish"\},\{"version":1,"at":"[^"]+","by":"","what":""\}\]\}$



=== TEST 8: one of them whole
--- request eval
["GET /v1/sites/demo/versions/1", "GET /v1/sites/demo/versions/3", "GET /v1/sites/demo/versions/x"]
--- error_code eval: [200, 404, 404]
--- response_body_like eval: ['"version":1,.*"program":\{.*Lantern', 'not_found', 'not_found']



=== TEST 9: back to it, as a version of its own
--- request eval
["POST /v1/sites/demo/versions/1/restore", "GET /v1/sites/demo/settings", "GET /v1/sites/demo/versions?limit=1",
 "GET /v1/sites/demo/versions?limit=1&cursor=3", "GET /v1/sites/demo/versions?cursor=x"]
--- error_code eval: [200, 200, 200, 200, 422]
--- response_body_like eval
['^\{"version":3\}$', 'Lantern', '"version":3,.*"what":"versions/1/restore"\}\],"next_cursor":"3"', '"version":2', 'invalid_cursor']



=== TEST 10: a draft from a program that changed meanwhile is not published
--- pipelined_requests eval
["POST /v1/sites/demo/offers?draft=true\n{\"id\":\"a\",\"type\":\"promotion\"}",
 "POST /v1/sites/demo/offers\n{\"id\":\"b\",\"type\":\"promotion\"}",
 "POST /v1/sites/demo/draft/publish\n", "PUT /v1/sites/demo/draft\n$main::document",
 "POST /v1/sites/demo/draft/publish\n"]
--- error_code eval: [201, 201, 409, 200, 200]
--- response_body_like eval: ['"id":"a"', '"id":"b"', 'stale_draft', 'Next', '"version":5']



=== TEST 11: thrown away
--- request eval
["PUT /v1/sites/demo/draft\n$main::document", "DELETE /v1/sites/demo/draft", "GET /v1/sites/demo/draft"]
--- error_code eval: [201, 204, 404]
--- response_body_like eval: ['Next', '^$', 'not_found']



=== TEST 12: neither draft nor restore gets past members' currency
--- pipelined_requests eval
["PUT /v1/sites/many/settings\n{\"currency\":\"EUR\"}", "POST /v1/sites/many/members\n{\"id\":\"anna\"}",
 "POST /v1/sites/many/versions/1/restore\n",
 "PUT /v1/sites/many/draft\n{\"settings\":{\"id\":\"many\",\"currency\":\"JPY\"}}"]
--- error_code eval: [200, 201, 409, 409]
--- response_body_like eval: ['EUR', 'anna', 'currency_in_use', 'currency_in_use']



=== TEST 13: the history ends after a hundred
--- request eval
[map { "PUT /v1/sites/many/settings\n{\"currency\":\"EUR\",\"name\":\"n$_\"}" } 1 .. 110]
--- error_code eval: [(200) x 110]
--- response_body_like eval: [('EUR') x 110]



=== TEST 14: the oldest are gone
--- request eval
["GET /v1/sites/many/versions?limit=200", "GET /v1/sites/many/versions/12", "GET /v1/sites/many/versions/13"]
--- error_code eval: [200, 404, 200]
--- response_body_like eval: ['^\{"versions":\[(?:\{[^}]*\},){99}\{"version":13,[^}]*\}\]\}$', 'not_found', '"n11"']
