# rate= of loyalty_backend: how often one caller may call.

use lib 't/lib';
use Backend;
use Test::Nginx::Socket;

Backend::site('demo');
Backend::token('other');

my $nginx = Loyalty::start_nginx(
    "loyalty_redis unix:$Loyalty::socket timeout=500ms;
     server { listen 127.0.0.1:\@PORT\@; location /v1/ { loyalty_backend rate=1; } }");
my $status = sub { return Loyalty::get($nginx, '/v1/sites')->{status} };
# Start-up asked nothing; the first call is free, the next one owes.
is(join(' ', map { $status->() } 1 .. 3), '401 429 429', 'all workers count together');
select undef, undef, undef, 1.1;
is($status->(), 401, 'and in time it is paid off');
is(Loyalty::stop_nginx($nginx), 0, 'nginx ends well');
is(join('', Loyalty::complaints($nginx)), '', 'and had nothing to complain about');

run_tests();

__DATA__

=== TEST 1: as many at once as in a second, and no more
--- config
location /v1/ { loyalty_backend rate=3; }
--- pipelined_requests eval
[("GET /v1/sites/demo/settings") x 5]
--- error_code eval: [200, 200, 200, 429, 429]
--- response_body_like eval: [('"currency"') x 3, ('"code":"too_many_requests"') x 2]



=== TEST 2: when to come back is said
--- config
location /v1/ { loyalty_backend rate=1; }
--- request eval
["GET /v1/sites/demo/settings", "GET /v1/sites/demo/settings"]
--- error_code eval: [200, 429]
--- response_headers_like eval
["", "Retry-After: 1"]



=== TEST 3: another token has its own
--- config
location /v1/ { loyalty_backend rate=2; }
location /all/ { proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/v1/; proxy_set_header Authorization "Bearer none"; }
--- token: other
--- pipelined_requests eval
["GET /all/sites", "GET /all/sites", "GET /all/sites", "GET /v1/sites", "GET /v1/sites", "GET /v1/sites"]
--- error_code eval: [401, 401, 429, 200, 200, 429]
--- response_body_like eval: ['unauthorized', 'unauthorized', 'too_many', 'demo', 'demo', 'too_many']



=== TEST 4: without one it is the address that counts
--- config
location /v1/ { loyalty_backend rate=2; }
--- token: none
--- pipelined_requests eval
["GET /v1/openapi.json", "GET /v1/sites", "POST /v1/session\n{}"]
--- error_code eval: [200, 401, 429]
--- response_body_like eval: ['3.1.0', 'unauthorized', 'too_many']



=== TEST 5: a session by its cookie, wherever in the header it stands
--- config
location /v1/ { loyalty_backend rate=1; }
--- token: none
--- more_headers
Cookie: a=b; loyalty_session=abc; c=d
--- pipelined_requests eval
["GET /v1/sites", "GET /v1/sites"]
--- error_code eval: [401, 429]
--- response_body_like eval: ['unauthorized', 'too_many']



=== TEST 6: off
--- config
location /v1/ { loyalty_backend rate=off; }
--- pipelined_requests eval
[("GET /v1/sites/demo/settings") x 30]
--- error_code eval: [(200) x 30]
--- response_body_like eval: [('"currency"') x 30]



=== TEST 7: what is no rate
--- config
location /v1/ { loyalty_backend rate=0; }
--- must_die
--- error_log
"rate=0" of "loyalty_backend" must be off or 1 to 1000000
--- no_error_log
[alert]
[crit]
