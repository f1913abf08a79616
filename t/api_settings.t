# GET and PUT settings: a site begins, its program changes whole or not.

use lib 't/lib';
use Backend;
use Test::Nginx::Socket;

run_tests();

__DATA__

=== TEST 1: a site that nobody made is not found
--- request
GET /v1/sites/demo/settings
--- error_code: 404
--- response_body_like: ^\{"error":\{"code":"not_found"



=== TEST 2: mistakes come all at once, each with its place in the body
--- request
PUT /v1/sites/demo/settings
{"name":"Demo","currency":"XXZ","segments":{"new":-1},"locales":["en"],"time_zone":"Europe/London"}
--- error_code: 422
--- response_body_like: ^(?=.*"pointer":"/segments/new").*"pointer":"/currency"



=== TEST 3: and nothing was made
--- request
GET /v1/sites/demo/settings
--- error_code: 404



=== TEST 4: the first PUT makes the site
--- request
PUT /v1/sites/demo/settings
{"name":"Demo","currency":"GBP","time_zone":"Europe/London","locales":["en","fr"],"active":true}
--- error_code: 201
--- response_headers
ETag: "1"
Cache-Control: no-store
--- response_body_like: ^\{"name":"Demo","currency":"GBP".*"criterion":"spend"



=== TEST 5: the next one is a new version
--- request
PUT /v1/sites/demo/settings
{"id":"demo","name":"Demo 2","currency":"GBP","time_zone":"Europe/London","locales":["en"],"active":true}
--- error_code: 200
--- response_headers
ETag: "2"



=== TEST 6: If-Match keeps a change from overwriting another
--- more_headers
If-Match: "1"
--- request
PUT /v1/sites/demo/settings
{"name":"Late","currency":"GBP","time_zone":"Europe/London","locales":["en"]}
--- error_code: 412
--- response_headers
ETag: "2"
--- response_body_like: "code":"precondition_failed"



=== TEST 7: with the right version it goes through
--- more_headers
If-Match: "2"
--- request
PUT /v1/sites/demo/settings
{"name":"In time","currency":"EUR","time_zone":"Europe/London","locales":["en"]}
--- error_code: 200
--- response_headers
ETag: "3"



=== TEST 8: another site's id in the body is refused
--- request
PUT /v1/sites/demo/settings
{"id":"other","name":"Demo","currency":"GBP","time_zone":"Europe/London","locales":["en"]}
--- error_code: 422
--- response_body_like: "pointer":"/id"



=== TEST 9: the currency stays once there are members
--- pipelined_requests eval
["POST /v1/sites/demo/members\n{\"id\":\"anna\"}",
 "PUT /v1/sites/demo/settings\n" .
 '{"name":"Demo","currency":"GBP","time_zone":"Europe/London","locales":["en"]}']
--- error_code eval
[201, 409]
--- response_body_like eval
["anna", "currency_in_use"]



=== TEST 10: a body that is no JSON, with its place
--- request
PUT /v1/sites/demo/settings
{"name":
--- error_code: 400
--- response_body_like: "code":"invalid_json","message":"line 



=== TEST 11: a body of another type
--- more_headers
Content-Type: text/plain
--- request
PUT /v1/sites/demo/settings
{}
--- error_code: 415



=== TEST 12: an array is no settings
--- request
PUT /v1/sites/demo/settings
[]
--- error_code: 400



=== TEST 13: a method that the resource has not
--- request
DELETE /v1/sites/demo/settings
--- error_code: 405
--- response_headers
Allow: GET, PUT



=== TEST 14: duplicate keys are refused
--- request
PUT /v1/sites/demo/settings
{"name":"a","name":"b"}
--- error_code: 400



=== TEST 15: HEAD is GET without a body
--- request
HEAD /v1/sites/demo/settings
--- error_code: 200
--- response_body:



=== TEST 16: a site id that no site can have
--- request
GET /v1/sites/De%7Bmo/settings
--- error_code: 404



=== TEST 17: a program that somebody broke in Redis is an error of ours, and stops no worker
--- init
Loyalty::redis('set', 'loyalty:p:{broken}', '{"version":1,"settings":7}')
--- request
GET /v1/sites/broken/settings
--- error_code: 500
--- response_body_like: "code":"corrupt"



=== TEST 18: a site id that says what it could be
--- request
PUT /v1/sites/Demo/settings
{"currency":"GBP"}
--- error_code: 404
--- response_body_like: 1 to 64 of a-z, 0-9



=== TEST 19: a time zone that nobody keeps
--- request eval
[map { "PUT /v1/sites/zoned/settings\n{\"currency\":\"GBP\",\"time_zone\":\"$_\"}" }
 'Mars/Base', 'GMT+3', 'Asia/Calcutta', 'Etc/Unknown']
--- error_code eval: [422, 422, 201, 422]
--- response_body_like eval
['"/time_zone".*IANA', '"/time_zone".*IANA', '"time_zone":"Asia/Calcutta"', '"/time_zone".*IANA']



=== TEST 20: who has the settings gets none again
--- more_headers
If-None-Match: "1"
--- request eval
['GET /v1/sites/zoned/settings', "PUT /v1/sites/zoned/settings\n{\"currency\":\"GBP\"}", 'GET /v1/sites/zoned/settings']
--- error_code eval: [304, 200, 200]
