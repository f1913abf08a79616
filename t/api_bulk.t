# Grants to many: what is refused before a job is made.

use lib 't/lib';
use Backend;
use Test::Nginx::Socket;

Backend::site('demo');
Backend::token('other', '--sites', 'other');
Backend::token('reader', '--scopes', 'read');

run_tests();

__DATA__

=== TEST 1: to whom: one of two ways
--- request eval
['POST /v1/sites/demo/members/bulk
{"action":"points","amount":1}',
 'POST /v1/sites/demo/members/bulk
{"action":"points","amount":1,"members":["a"],"filter":{}}',
 'POST /v1/sites/demo/members/bulk
{"action":"points","amount":1,"members":[]}',
 'POST /v1/sites/demo/members/bulk
{"action":"points","amount":1,"members":["a",""]}',
 'POST /v1/sites/demo/members/bulk
{"action":"points","amount":1,"filter":{"field":"shoe","op":"eq","value":1}}',
 'POST /v1/sites/demo/members/bulk
{"action":"points","amount":1,"members":[' . join(',', ('"a"') x 100001) . ']}']
--- error_code eval: [(422) x 6]
--- response_body_like eval
['either members or filter', 'either members or filter', '1 to 100000',
 'at place 1', '"pointer":"/filter/field","message":"no such field', '1 to 100000']



=== TEST 2: what is given: every mistake at once
--- request
POST /v1/sites/demo/members/bulk
{"members":["a"],"action":"gold","amount":0,"reason":7,"starts_at":"2090-01-02T00:00:00Z","expires_at":"2090-01-01T00:00:00Z"}
--- error_code: 422
--- response_body_like: "/amount".*"/action".*"/reason".*"/expires_at"



=== TEST 3: an offer that there is, and no amount of it
--- request eval
['POST /v1/sites/demo/members/bulk
{"members":["a"],"action":"offer","offer":"none"}',
 'POST /v1/sites/demo/members/bulk
{"members":["a"],"action":"offer","amount":1}']
--- error_code eval: [422, 422]
--- response_body_like eval: ['"/offer"', '"/offer".*no amount']



=== TEST 4: amounts past the limits, and dates gone by
--- request eval
['POST /v1/sites/demo/members/bulk
{"members":["a"],"action":"points","amount":1000000000001}',
 'POST /v1/sites/demo/members/bulk
{"members":["a"],"action":"credits","amount":-1000000000000001}',
 'POST /v1/sites/demo/members/bulk
{"members":["a"],"action":"points","amount":1.5}',
 'POST /v1/sites/demo/members/bulk
{"members":["a"],"action":"points","amount":1,"expires_at":"2020-01-01T00:00:00Z"}',
 'POST /v1/sites/none/members/bulk
{"members":["a"],"action":"points","amount":1}']
--- error_code eval: [422, 422, 422, 422, 404]
--- response_body_like eval
['"/amount"', '"/amount"', '"/amount"', '"/expires_at"', 'not_found']



=== TEST 5: the same request twice by its key is one job
--- more_headers
Idempotency-Key: thanks-2026
--- request eval
[('POST /v1/sites/demo/members/bulk
{"members":["a"],"action":"points","amount":1}') x 2, 'GET /v1/sites/demo/jobs']
--- error_code eval: [202, 202, 200]
--- response_body_like eval
['"kind":"bulk"', '"kind":"bulk"', '^(?!.*"bulk".*"bulk").*"bulk"']



=== TEST 6: not for readers
--- token: reader
--- request
POST /v1/sites/demo/members/bulk
{"members":["a"],"action":"points","amount":1}
--- error_code: 403



=== TEST 7: not for other sites
--- token: other
--- request
POST /v1/sites/demo/members/bulk
{"members":["a"],"action":"points","amount":1}
--- error_code: 403
