# Who may do what: tokens, their sites, their scopes.

use lib 't/lib';
use Backend;
use Test::Nginx::Socket;

Backend::site('demo');
Backend::site('other');
Backend::token('demo', '--sites', 'demo');
Backend::token('reader', '--sites', 'demo', '--scopes', 'read');
$Backend::token{forged} = 'A' x 43;
$Backend::token{empty} = '';
$Backend::token{long} = 'A' x 2000;
Loyalty::redis('hset', 'loyalty:tokens', ('0' x 63) . '1', 'nonsense');

our @routes = (
    ['GET', 'settings'], ['PUT', 'settings'], ['GET', 'statuses'],
    ['POST', 'statuses'], ['GET', 'statuses/gold'], ['PUT', 'statuses/gold'],
    ['DELETE', 'statuses/gold'], ['POST', 'statuses/gold/copy'],
    ['GET', 'members'], ['POST', 'members'], ['GET', 'members/anna'],
    ['PATCH', 'members/anna'], ['DELETE', 'members/anna'],
    ['GET', 'members/anna/orders'], ['GET', 'members/anna/ledger'],
    ['POST', 'orders'], ['POST', 'orders/batch'], ['GET', 'orders/o1'],
    ['GET', 'stats'], ['GET', 'dead-letters'],
    ['POST', 'dead-letters/1-1/replay'], ['DELETE', 'dead-letters/1-1'],
);

sub every {
    my ($site) = @_;
    return [map { "$_->[0] /v1/sites/$site/$_->[1]"
                  . ($_->[0] =~ /P/ ? "\n{}" : '') } @routes];
}

sub writes { return [grep { !/^GET/ } @{every('demo')}] }

run_tests();

__DATA__

=== TEST 1: no token, on every route
--- token: none
--- request eval: main::every('demo')
--- error_code eval: [(401) x 22]
--- response_body_like eval: [('"code":"unauthorized"') x 22]



=== TEST 2: how to do it is said
--- token: none
--- request
GET /v1/sites/demo/settings
--- error_code: 401
--- response_headers
WWW-Authenticate: Bearer realm="loyalty"



=== TEST 3: a token of nobody
--- token: forged
--- request
GET /v1/sites/demo/settings
--- error_code: 401



=== TEST 4: an empty token
--- token: empty
--- request
GET /v1/sites/demo/settings
--- error_code: 401



=== TEST 5: a token longer than any
--- token: long
--- request
GET /v1/sites/demo/settings
--- error_code: 401



=== TEST 6: another site sees nothing, on every route
--- token: demo
--- request eval: main::every('other')
--- error_code eval: [(403) x 22]
--- response_body_like eval: [('"code":"forbidden"') x 22]



=== TEST 7: nor can it find out which sites there are
--- token: demo
--- request
GET /v1/sites/nowhere/settings
--- error_code: 403



=== TEST 8: its own site it sees
--- token: demo
--- request
GET /v1/sites/demo/settings
--- error_code: 200



=== TEST 9: a reader writes nothing, on every route
--- token: reader
--- request eval: main::writes()
--- error_code eval: [(403) x @{main::writes()}]
--- response_body_like eval: [('lacks the scope .{1,2}write') x @{main::writes()}]



=== TEST 10: a reader reads
--- token: reader
--- request
GET /v1/sites/demo/members
--- error_code: 200
--- response_body_like: ^\{"members":\[\]\}$



=== TEST 11: the same id in another site is another member
--- pipelined_requests eval
["POST /v1/sites/demo/members\n{\"id\":\"anna\"}", "GET /v1/sites/other/members/anna"]
--- error_code eval: [201, 404]
--- response_body_like eval: ['anna', 'not_found']



=== TEST 12: what is no path of ours
--- request eval
["GET /v1/", "GET /v1/site", "GET /v1/sites/demo/nothing", "GET /v1/sites//settings",
 "GET /v1/sites/demo/settings/", "GET /v1/sites/demo/members?a=%zz"]
--- error_code eval: [404, 404, 404, 404, 404, 400]
--- response_body_like eval: [('"error"') x 6]



=== TEST 13: a path longer than any
--- request eval
"GET /v1/sites/demo/members?cursor=" . 'a' x 4100
--- error_code: 400
