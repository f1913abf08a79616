# What a profile may say; consent and its history; a status set by hand; what
# is stored of a person, and what is left when it is erased.

use lib 't/lib';
use Backend;
use Test::Nginx::Socket;

Backend::site('demo');
Backend::token('till');

run_tests();

__DATA__

=== TEST 1: addresses, phones and locales that are none
--- request eval
['POST /v1/sites/demo/members
{"id":"x","email":"anna","phone":"call me","locale":"fr FR"}',
 'POST /v1/sites/demo/members
{"id":"x","email":"a@b@c","phone":"12","locale":"' . 'a' x 36 . '"}',
 'POST /v1/sites/demo/members
{"id":"x","email":"a b@c","phone":"' . '1' x 21 . '"}',
 'POST /v1/sites/demo/members
{"id":"x","consent_source":7,"manual_status":"platinum"}',
 'POST /v1/sites/demo/members
{"id":"x","manual_until":"2027-01-01T00:00:00Z"}']
--- error_code eval: [(422) x 5]
--- response_body_like eval
['"/email".*"/phone".*"/locale"', '"/email".*"/phone".*"/locale"',
 '"/email".*"/phone"', '"/manual_status".*"/consent_source"', '"/manual_until"']



=== TEST 2: consent is kept with who, when and how
--- token: till
--- request eval
['POST /v1/sites/demo/members
{"id":"anna","email":"anna@example.com","consent":{"email":true,"sms":true},"consent_source":"checkout"}',
 'PATCH /v1/sites/demo/members/anna
{"consent":{"sms":false}}',
 'PATCH /v1/sites/demo/members/anna
{"consent":{"email":true},"name":"Anna"}',
 'GET /v1/sites/demo/members/anna/consents',
 'GET /v1/sites/demo/members/anna/consents?limit=1',
 'GET /v1/sites/demo/members/nobody/consents',
 'GET /v1/sites/demo/members/anna/consents?cursor=x']
--- error_code eval: [201, 200, 200, 200, 200, 404, 422]
--- response_body_like eval
['"sms":true', '"sms":false', '"name":"Anna"',
 '^\{"entries":\[\{"channel":"sms","given":false,"by":"till","source":"api","at":"20[^"]*"\},\{"channel":"sms","given":true,"by":"till","source":"checkout","at":"[^"]*"\},\{"channel":"email","given":true,"by":"till","source":"checkout","at":"[^"]*"\}\]\}$',
 '^\{"entries":\[[^\]]*\],"next_cursor":"\d+-\d+"\}$', 'not_found',
 'invalid_cursor']



=== TEST 3: a status by hand is a floor until its end
--- request eval
['PATCH /v1/sites/demo/members/anna
{"manual_status":"gold","manual_until":"2090-01-01T00:00:00Z"}',
 'GET /v1/sites/demo/members/anna?at=2090-01-01T00:00:00Z',
 'GET /v1/sites/demo/members/anna?at=2090-01-01T00:00:01Z',
 'PATCH /v1/sites/demo/members/anna
{"manual_until":null}',
 'PATCH /v1/sites/demo/members/anna
{"manual_status":null}']
--- error_code eval: [(200) x 5]
--- response_body_like eval
['"status":\{"id":"gold".*"manual_status":"gold","manual_until":"2090-01-01T00:00:00Z"',
 '"status":\{"id":"gold"', '"status":null',
 '"manual_status":"gold","manual_until":null',
 '"status":null.*"manual_status":null,"manual_until":null']



=== TEST 4: all that is stored of a person
--- request eval
['POST /v1/sites/demo/orders
{"order_id":"o1","member_id":"anna","status":"completed","placed_at":"2026-02-01T00:00:00Z","currency":"GBP","total":1000,"lines":[{"sku":"lamp","quantity":2,"amount":1000}]}',
 'GET /v1/sites/demo/members/anna/export',
 'GET /v1/sites/demo/members/nobody/export']
--- error_code eval: [201, 200, 404]
--- response_body_like eval
['"points":10',
 '^\{"member":\{"id":"anna","email":"anna@example.com".*"consents":\[\{"channel":"email".*"points":\[\{"seq":1,"kind":"earn","amount":10.*"credits":\[\],"products":\{"lamp":2\},"orders":\[\{"order_id":"o1".*"messages":\[',
 'not_found']



=== TEST 5: erased, consent's history goes too; the order stays, nobody's name
--- request eval
['DELETE /v1/sites/demo/members/anna?erase=true',
 'GET /v1/sites/demo/members/anna/consents',
 'GET /v1/sites/demo/members/anna/export',
 'GET /v1/sites/demo/orders/o1']
--- error_code eval: [204, 404, 404, 200]
--- response_body_like eval: ['^$', 'not_found', 'not_found', '"order_id":"o1"']
