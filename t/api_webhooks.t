# Secrets of webhooks and the log of deliveries: who may, what is refused.
# What is delivered is in t/webhooks.py.

use lib 't/lib';
use Backend;
use Test::Nginx::Socket;

Backend::site('demo');
Backend::site('other');
Backend::token('reader', '--sites', 'demo', '--scopes', 'read');
Backend::token('stranger', '--sites', 'other');

run_tests();

__DATA__

=== TEST 1: a webhook is a setting; its secret is not
--- request eval
['PUT /v1/sites/demo/settings
{"id":"demo","currency":"GBP","webhooks":[{"id":"crm","url":"https://shop.example/hook","events":["order.applied"]}]}',
 'POST /v1/sites/demo/webhooks/crm/secret', 'GET /v1/sites/demo/settings']
--- error_code eval: [200, 201, 200]
--- response_body_like eval
['"webhooks":\[\{', '^\{"id":"crm","secret":"whsec_[0-9a-f]{64}"\}$',
 '^(?!.*whsec_).*"webhooks":\[\{"id":"crm"']



=== TEST 2: what cannot be
--- request eval
['PUT /v1/sites/demo/settings
{"id":"demo","currency":"GBP","webhooks":[{"id":"crm","url":"ftp://shop.example","events":["order.applied"]}]}',
 'POST /v1/sites/demo/webhooks/none/secret',
 'GET /v1/sites/demo/webhooks/deliveries?state=lost',
 'GET /v1/sites/demo/webhooks/deliveries?cursor=x',
 'POST /v1/sites/demo/webhooks/deliveries/none/replay']
--- error_code eval: [422, 404, 422, 422, 404]
--- response_body_like eval
['/webhooks/0/url', 'not_found', 'invalid_state', 'invalid_cursor',
 'not_found']



=== TEST 3: who only reads may look
--- token: reader
--- request eval
['GET /v1/sites/demo/webhooks/deliveries', 'GET /v1/sites/demo/webhooks',
 'GET /v1/sites/demo/webhooks/deliveries/none',
 'POST /v1/sites/demo/webhooks/crm/secret',
 'POST /v1/sites/demo/webhooks/crm/test',
 'POST /v1/sites/demo/webhooks/deliveries/replay?state=dead',
 'POST /v1/sites/demo/webhooks/deliveries/x/replay']
--- error_code eval: [200, 200, 404, 403, 403, 403, 403]
--- response_body_like eval
['^\{"deliveries":\[\]\}$',
 '^\{"webhooks":\[\{"id":"crm","url":"https://shop.example/hook","enabled":true,"has_secret":true\}\]\}$',
 'not_found', ('forbidden') x 4]



=== TEST 4: a token of another site sees nothing
--- token: stranger
--- request eval
['GET /v1/sites/demo/webhooks/deliveries', 'GET /v1/sites/demo/webhooks',
 'GET /v1/sites/demo/webhooks/deliveries/x',
 'POST /v1/sites/demo/webhooks/crm/secret',
 'POST /v1/sites/demo/webhooks/crm/test',
 'POST /v1/sites/demo/webhooks/deliveries/replay?state=dead',
 'POST /v1/sites/demo/webhooks/deliveries/x/replay']
--- error_code eval: [(403) x 7]
--- response_body_like eval
[('not for this site') x 7]



=== TEST 5: a list is asked for as it should be, and nothing to try is said
--- request eval
['GET /v1/sites/demo/webhooks/deliveries?from=yesterday',
 'GET /v1/sites/demo/webhooks/deliveries?to=2026-13-01T00:00:00Z',
 'GET /v1/sites/demo/webhooks/deliveries?limit=0',
 'GET /v1/sites/demo/webhooks/deliveries/' . 'x' x 300,
 'POST /v1/sites/demo/webhooks/deliveries/replay',
 'POST /v1/sites/demo/webhooks/deliveries/replay?state=pending',
 'POST /v1/sites/demo/webhooks/deliveries/replay?state=dead',
 'POST /v1/sites/demo/webhooks/none/test']
--- error_code eval: [422, 422, 422, 404, 422, 422, 202, 404]
--- response_body_like eval
['invalid_instant', 'invalid_instant', 'invalid_limit', 'not_found',
 'invalid_state', 'invalid_state', '^\{"replayed":0\}$', 'not_found']



=== TEST 6: what is off, or has no secret, cannot be tried
--- request eval
['PUT /v1/sites/demo/settings
{"id":"demo","currency":"GBP","webhooks":[{"id":"crm","url":"https://shop.example/hook","events":["order.applied"],"enabled":false},{"id":"new","url":"https://shop.example/new","events":["order.applied"]}]}',
 'POST /v1/sites/demo/webhooks/crm/test',
 'POST /v1/sites/demo/webhooks/new/test']
--- error_code eval: [200, 409, 409]
--- response_body_like eval
['"enabled":false', '"off"', '"no_secret"']
