# Switching a site on and off; links to its page before.

use lib 't/lib';
use Backend;
use Test::Nginx::Socket;

Backend::site('demo', {settings => {active => JSON::PP::false}});
Backend::token('demo', '--sites', 'demo');
Backend::token('reader', '--scopes', 'read');
our $secret = Loyalty::file('preview', "0123456789abcdef0123456789abcdef\n");
$ENV{TEST_NGINX_SECRET} = $secret;

run_tests();

__DATA__

=== TEST 1: members and their orders, before
--- pipelined_requests eval
['POST /v1/sites/demo/orders
{"order_id":"1","member_id":"anna","status":"completed","placed_at":"2011-01-01T00:00:00Z","occurred_at":"2011-01-01T00:00:00Z","currency":"GBP","total":600000,"lines":[]}',
 'GET /v1/sites/demo/members/anna']
--- error_code eval: [201, 200]
--- response_body_like eval: ['applied', '"id":"anna"']



=== TEST 2: on, with a job that gives every member their status
--- request
POST /v1/sites/demo/activate
{"backfill":false}
--- error_code: 202
--- response_headers_like
ETag: "2"
Location: /v1/sites/demo/jobs/[0-9a-f]+
--- response_body_like: "kind":"activation","state":"queued"



=== TEST 3: is on, as a version of its own
--- request eval
["GET /v1/sites/demo/settings", "GET /v1/sites/demo/versions?limit=1", "GET /v1/sites/demo/audit?limit=1"]
--- error_code eval: [200, 200, 200]
--- response_body_like eval
['"active":true', '"version":2.*"what":"activate"', '"path":"activate".*"before":\{"active":false\},"after":\{"active":true']



=== TEST 4: not twice
--- request
POST /v1/sites/demo/activate
{}
--- error_code: 409
--- response_body_like: "code":"active"



=== TEST 5: the job gets done
--- wait: 3
--- request
GET /v1/sites/demo/settings
--- error_code: 200



=== TEST 6: and anna has her status
--- request eval
["GET /v1/sites/demo/jobs", "GET /v1/sites/demo/members/anna"]
--- error_code eval: [200, 200]
--- response_body_like eval: ['"state":"done"', '"status":\{"id":"silver"']



=== TEST 7: off
--- request eval
["POST /v1/sites/demo/deactivate", "GET /v1/sites/demo/settings", "POST /v1/sites/demo/deactivate"]
--- error_code eval: [200, 200, 409]
--- response_body_like eval: ['"active":false', '"active":false', '"code":"inactive"']



=== TEST 8: on by its settings is the same: with a job
--- request
PUT /v1/sites/demo/settings
{"currency":"GBP","active":true}
--- error_code: 200
--- response_headers_like
Location: /v1/sites/demo/jobs/[0-9a-f]+
--- response_body_like: "active":true



=== TEST 9: once
--- request eval
["PUT /v1/sites/demo/settings\n{\"currency\":\"GBP\",\"active\":true,\"name\":\"x\"}", "GET /v1/sites/demo/jobs?limit=10"]
--- error_code eval: [200, 200]
--- raw_response_headers_unlike eval: ['Location', 'Location']
--- response_body_like eval
['"name":"x"', '^(?:(?!"kind":"activation").)*(?:"kind":"activation"(?:(?!"kind":"activation").)*){2}$']



=== TEST 10: what is asked wrongly, of what is not there
--- request eval
["POST /v1/sites/demo/activate\n{\"backfill\":1}", "POST /v1/sites/none/activate\n{}", "POST /v1/sites/none/deactivate"]
--- error_code eval: [422, 404, 404]
--- response_body_like eval: ['/backfill', 'not_found', 'not_found']



=== TEST 11: nothing by who reads, nor with an old version
--- token: reader
--- request eval
["POST /v1/sites/demo/activate\n{}", "POST /v1/sites/demo/deactivate", "POST /v1/sites/demo/preview-links\n{}"]
--- error_code eval: [403, 403, 403]
--- response_body_like eval: [('forbidden') x 3]



=== TEST 12: no link without a secret
--- request
POST /v1/sites/demo/preview-links
{}
--- error_code: 409
--- response_body_like: preview_secret=FILE



=== TEST 13: with one
--- config
location /v1/ { loyalty_backend preview_secret=$TEST_NGINX_SECRET; }
--- request eval
["POST /v1/sites/demo/preview-links\n{\"days\":1}", "POST /v1/sites/demo/preview-links\n{\"days\":91}",
 "POST /v1/sites/demo/preview-links\n{\"days\":0}",
 "POST /v1/sites/demo/preview-links\n{\"days\":9223372036854775807}"]
--- error_code eval: [201, 422, 422, 422]
--- response_body_like eval: ['^\{"token":"([\w-]+)","query":"preview=\1","expires_at":"2[^"]+Z"\}$', '/days', '/days', '/days']



=== TEST 14: of the draft, as the edge reads it
--- http_config
loyalty_redis unix:$TEST_NGINX_SOCKET timeout=1s;
loyalty_zone members 1m;
--- config
location /v1/ { loyalty_backend preview_secret=$TEST_NGINX_SECRET; }
location /rewards {
    loyalty on;
    loyalty_site demo;
    loyalty_page tier secret=$TEST_NGINX_SECRET;
}
--- request eval
["POST /v1/sites/demo/preview-links\n{\"draft\":true}", "POST /v1/sites/demo/preview-links\n{\"draft\":1}",
 "GET /rewards?preview=" . Loyalty::token(1, "0123456789abcdef0123456789abcdef", "demo", Loyalty::now() + 60_000, "draft")]
--- error_code eval: [201, 422, 404]
--- response_body_like eval: ['^\{"token":"[\w-]{63}","query":"preview=', '/draft', 'There is no draft']



=== TEST 15: a secret that cannot be read
--- config
location /v1/ { loyalty_backend preview_secret=/nonexistent/secret; }
--- must_die
--- error_log
/nonexistent/secret
--- no_error_log
[alert]
[crit]
