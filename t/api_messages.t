# The log of messages and the numbers of rules: lists, filters, cursors, who
# may see them.  What makes messages is in t/messages.py.

use lib 't/lib';
use Backend;
use Test::Nginx::Socket;

Backend::site('demo', {
    templates => [{id => 't', channel => 'email', subject => 'S',
                   text => 'T'}],
    rules => [{id => 'welcome', type => 'order_count', threshold => 1,
               filter => 'all', channel => 'email', template => 't'},
              {id => 'rich', type => 'spent_all', threshold => 100000,
               filter => 'all', channel => 'email', template => 't'}]});
Backend::site('other');
Backend::token('reader', '--sites', 'demo', '--scopes', 'read');
Backend::token('stranger', '--sites', 'other');

run_tests();

__DATA__

=== TEST 1: nothing has been sent
--- token: reader
--- request eval
['GET /v1/sites/demo/messages', 'GET /v1/sites/demo/rules/welcome/stats',
 'GET /v1/sites/demo/stats/messages']
--- response_body_like eval
['^\{"messages":\[\]\}$',
 '"pending":0,"sent":0,.*"revenue":0,.*"sent_per_week":\[\]',
 '"pending":0,"sent":0,']



=== TEST 2: three first orders: three messages, and what they do not reach
--- request eval
[map { ("POST /v1/sites/demo/members\n{\"id\":\"m$_\",\"email\":\"m$_\@example.com\"}",
        "POST /v1/sites/demo/orders\n{\"order_id\":\"o$_\",\"member_id\":\"m$_\",\"status\":\"completed\",\"currency\":\"GBP\",\"total\":100,\"lines\":[]}") } 1 .. 3]
--- error_code eval: [(201) x 6]



=== TEST 3: the log, by state, member and rule
--- token: reader
--- request eval
['GET /v1/sites/demo/messages',
 'GET /v1/sites/demo/messages?state=pending&member=m2',
 'GET /v1/sites/demo/messages?state=sent',
 'GET /v1/sites/demo/messages?state=blocked&member=m2',
 'GET /v1/sites/demo/messages?rule=rich',
 'GET /v1/sites/demo/members/m3/messages',
 'GET /v1/sites/demo/messages?to=2020-01-01T00:00:00Z',
 'GET /v1/sites/demo/messages?from=2090-01-01T00:00:00Z']
--- response_body_like eval
['"member_id":"m3".*"member_id":"m2".*"member_id":"m1"',
 '^\{"messages":\[\{"id":"welcome\.[0-9a-f]{32}\.1","state":"pending","member_id":"m2","channel":"email","rule_id":"welcome","order_id":"o2","mark":1,"created_at":"[^"]+","due_at":"[^"]+"\}\]\}$',
 '^\{"messages":\[\]\}$',
 '^\{"messages":\[\{"state":"blocked","reason":"criteria","rule_id":"rich","member_id":"m2","at":"[^"]+"\}\]\}$',
 '^\{"messages":\[\]\}$', '^\{"messages":\[\{"id":"welcome[^{]*"member_id":"m3"[^{]*\]\}$',
 '^\{"messages":\[\]\}$', '^\{"messages":\[\]\}$']



=== TEST 4: page by page, also where the last one shown has left the list
--- token: reader
--- request eval
['GET /v1/sites/demo/messages?limit=2', 'GET /v1/sites/demo/messages?limit=3',
 'GET /v1/sites/demo/messages?limit=1&cursor=9999999999999-6161',
 'GET /v1/sites/demo/messages?cursor=1-6161']
--- response_body_like eval
['"m3".*"m2".*"next_cursor":"\d+-[0-9a-f]+"',
 '"m1"[^}]*\}\]\}$', '"m3"[^}]*\}\],"next_cursor"', '^\{"messages":\[\]\}$']



=== TEST 5: the numbers
--- token: reader
--- request eval
['GET /v1/sites/demo/rules/welcome/stats', 'GET /v1/sites/demo/rules/none/stats',
 'GET /v1/sites/demo/stats/messages']
--- error_code eval: [200, 404, 200]
--- response_body_like eval: ['"pending":3', 'not_found', '"pending":3']



=== TEST 6: what cannot be asked
--- token: reader
--- request eval
['GET /v1/sites/demo/messages?state=lost', 'GET /v1/sites/demo/messages?from=x',
 'GET /v1/sites/demo/messages?to=2020', 'GET /v1/sites/demo/messages?limit=x',
 'GET /v1/sites/demo/messages?cursor=x', 'GET /v1/sites/demo/messages?cursor=1-6',
 'GET /v1/sites/demo/messages?cursor=1-zz', 'GET /v1/sites/demo/messages/none',
 'GET /v1/sites/demo/members/none/messages', 'POST /v1/sites/demo/messages']
--- error_code eval: [422, 422, 422, 422, 422, 422, 422, 404, 404, 405]
--- response_body_like eval
['invalid_state', 'invalid_instant', 'invalid_instant', 'limit',
 ('invalid_cursor') x 3, 'not_found', 'not_found', 'method_not_allowed']



=== TEST 7: another site's token sees nothing
--- token: stranger
--- request eval
['GET /v1/sites/demo/messages', 'GET /v1/sites/demo/messages/x',
 'GET /v1/sites/demo/members/m1/messages',
 'GET /v1/sites/demo/rules/welcome/stats', 'GET /v1/sites/demo/stats/messages',
 'GET /v1/sites/other/messages']
--- error_code eval: [403, 403, 403, 403, 403, 200]
--- response_body_like eval: [('forbidden') x 5, '^\{"messages":\[\]\}$']



=== TEST 8: sending again: what has not failed, is not there, or cannot be asked
--- request eval
[(map { "POST /v1/sites/demo/messages/retry?$_\n" } 'from=x', 'to=2020'),
 "POST /v1/sites/demo/messages/none/retry\n",
 'POST /v1/sites/demo/messages/' . 'x' x 300 . "/retry\n",
 "POST /v1/sites/demo/messages/retry\n",
 'GET /v1/sites/demo/messages/x/retry']
--- error_code eval: [422, 422, 404, 404, 202, 405]
--- response_body_like eval
['invalid_instant', 'invalid_instant', 'not_found', 'not_found',
 '^\{"retried":0,"more":false\}$', 'method_not_allowed']



=== TEST 9: a token that only reads sends nothing again
--- token: reader
--- request eval
["POST /v1/sites/demo/messages/x/retry\n",
 "POST /v1/sites/demo/messages/retry\n"]
--- error_code eval: [403, 403]
--- response_body_like eval: [('forbidden') x 2]



=== TEST 10: nor does another site's
--- token: stranger
--- request eval
["POST /v1/sites/demo/messages/x/retry\n",
 "POST /v1/sites/demo/messages/retry\n"]
--- error_code eval: [403, 403]
--- response_body_like eval: [('forbidden') x 2]
