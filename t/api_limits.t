# rate= of loyalty_backend: how often one caller may call.

use lib 't/lib';
use Backend;
use Test::Nginx::Socket;
use Digest::SHA 'sha256_hex';
use HTTP::Tiny;
use Time::HiRes 'time';

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

# Names that are made up: they cost the address that makes them up, which does
# not concern who is known.
$nginx = Loyalty::start_nginx(
    "loyalty_redis unix:$Loyalty::socket timeout=500ms;
     server { listen 127.0.0.1:\@PORT\@; location /v1/ { loyalty_backend rate=5; } }");
my $http = HTTP::Tiny->new(timeout => 20);
my $url = "http://127.0.0.1:$nginx->{port}/v1";
my $known = sub {
    return $http->get("$url/sites/demo/settings",
        {headers => {Authorization => "Bearer $Backend::token{all}"}})->{status};
};
is($known->(), 200, 'a token that is known');

# Until the address has to wait.
sub flood_address {
    1 while $http->get("$url/sites", {headers => {Authorization => 'Bearer ' . rand}})->{status} != 429;
}

sub flood {
    my ($name, $n, $try) = @_;
    my ($begun, %count) = (time);
    $count{$try->($_)}++ for 1 .. $n;
    cmp_ok($count{401} // 0, '<=', 6 + 5 * (time - $begun), "$name: as many as the address may");
    is(($count{401} // 0) + ($count{429} // 0), $n, "$name: the others have to wait");
    cmp_ok($count{429} // 0, '>', $n / 2, "$name: most of them");
    is($known->(), 200, "$name: who is known does not");
}
flood('10 000 tokens', 10_000, sub {
    return $http->get("$url/sites", {headers => {Authorization => 'Bearer ' . rand}})->{status};
});
flood('sessions', 500, sub {
    return $http->get("$url/sites", {headers => {Cookie => 'loyalty_session=' . rand}})->{status};
});
flood('sign-ins', 500, sub {
    return $http->post("$url/session", {content => '{"email":"nobody"}', headers => {
        'Content-Type' => 'application/json', Authorization => 'Bearer ' . rand}})->{status};
});
Loyalty::redis('hdel', 'loyalty:tokens', sha256_hex($Backend::token{all}));
is($known->(), 401, 'a token that is taken back');
ok((grep { flood_address(); $known->() == 429 } 1 .. 5), 'is as good as one made up');
Backend::token('all');
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
["GET /v1/sites", "GET /all/sites", "GET /all/sites", "GET /all/sites", "GET /v1/sites", "GET /v1/sites"]
--- error_code eval: [200, 401, 401, 429, 200, 429]
--- response_body_like eval: ['demo', 'unauthorized', 'unauthorized', 'too_many', 'demo', 'too_many']



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
