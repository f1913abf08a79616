# Reloads, clients that leave, Redis that is away: requests are answered.

use lib 't/lib';
use Backend;
use Test::Nginx::Socket;
use Time::HiRes qw(time);

Backend::site('demo');
master_on();
workers(2);

our $order = '{"order_id":"%s","member_id":"anna","status":"completed","currency":"GBP","total":100,"lines":[]}';

# Reloads while requests are under way; the answers, and how long the old
# workers took to leave.
sub reload_under_load {
    my $port = $ENV{TEST_NGINX_SERVER_PORT} || server_port();
    my $pid = Test::Nginx::Util::get_pid_from_pidfile('reload');
    my %workers = map { $_ => 1 } split ' ', `pgrep -P $pid`;
    my $load = open my $out, '-|', 'bash', '-c', <<"END" or die;
for i in \$(seq 120); do
    curl -s -m 10 -o /dev/null -w '%{http_code}\\n' \\
        -H 'Authorization: Bearer $Backend::token{all}' \\
        -H 'Content-Type: application/json' \\
        -d "{\\"order_id\\":\\"r\$i\\",\\"member_id\\":\\"rita\\",\\"status\\":\\"completed\\",\\"currency\\":\\"GBP\\",\\"total\\":100,\\"lines\\":[]}" \\
        http://127.0.0.1:$port/v1/sites/demo/orders
done
END
    my $slowest = 0;
    for (1 .. 3) {
        select undef, undef, undef, 0.3;
        my @old = split ' ', `pgrep -P $pid`;
        my $began = time;
        kill HUP => $pid;
        select undef, undef, undef, 0.05 while time - $began < 5 && grep { kill 0, $_ } @old;
        $slowest = time - $began if time - $began > $slowest;
    }
    my %codes;
    $codes{$_}++ for map { chomp; $_ } <$out>;
    close $out;
    Test::More::is_deeply(\%codes, {201 => 120}, 'every request is answered');
    Test::More::cmp_ok($slowest, '<', 1.5, 'old workers leave in a moment');
}

run_tests();

__DATA__

=== TEST 1: (the server that is reloaded)
--- request
GET /v1/sites/demo/members
--- error_code: 200



=== TEST 2: no request is lost over reloads, and workers leave at once
--- init
main::reload_under_load();
--- request
GET /v1/sites/demo/members/rita
--- response_body_like: "order_count":120,"spent_total":12000,



=== TEST 3: a client that leaves while its request is in a thread
--- init
Loyalty::redis('client', 'pause', 1000, 'ALL');
--- request
GET /v1/sites/demo/members
--- timeout: 0.2
--- abort
--- ignore_response
--- wait: 1.2



=== TEST 4: and the worker lives
--- request
GET /v1/sites/demo/members
--- error_code: 200



=== TEST 5: Redis away is said, with when to come again
--- http_config eval
"loyalty_redis unix:$Loyalty::dir/nothing.sock;"
--- request
GET /v1/sites/demo/members
--- error_code: 503
--- response_headers
Retry-After: 1
--- response_body_like: "code":"unavailable"
--- error_log
loyalty: orders are not applied (away)



=== TEST 6: Redis that hangs, too
--- init
Loyalty::redis('client', 'pause', 2600, 'ALL');
--- request
GET /v1/sites/demo/members
--- timeout: 10
--- error_code: 503
--- response_headers
Retry-After: 1



=== TEST 7: a batch whose client reads nothing stops in time
--- more_headers
Content-Type: application/x-ndjson
--- request eval
"POST /v1/sites/demo/orders/batch\n" . join "\n", map { sprintf $main::order, "x$_" } 1 .. 2000
--- timeout: 0.1
--- abort
--- ignore_response



=== TEST 8: (and the worker lives)
--- init
Loyalty::redis('config', 'set', 'appendfsync', 'everysec');
--- request
GET /v1/sites/demo/settings
--- error_code: 200



=== TEST 9: settings of Redis that lose orders are said loudly
--- config
location /v1/ { loyalty_backend; }
location /again { return 204; }
--- request
GET /v1/sites/demo/settings
--- error_code: 200
--- wait: 0.3
--- error_log
loyalty: Redis has appendfsync everysec: orders acknowledged in the last second are lost when Redis is killed; set "appendfsync always"



=== TEST 10: a body longer than any route takes is refused before it is read
--- request eval
"POST /v1/sites/demo/members\n" . 'x' x 300000
--- error_code: 413
--- response_body_like: "code":"too_large"



=== TEST 11: without loyalty_redis there is no back end
--- http_config
--- config
location /v1/ { loyalty_backend; }
--- must_die
--- no_error_log
[alert]
--- error_log
"loyalty_backend" needs "loyalty_redis" in the http block



=== TEST 12: the directive twice
--- config
location /v1/ { loyalty_backend; loyalty_backend; }
--- must_die
--- error_log
"loyalty_backend" directive is duplicate
--- no_error_log
[alert]
