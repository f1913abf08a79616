# The zone: its directive, what Redis may hold, and where an answer came from.
# Time, links and many clients at once: invalidation.py and herd.py.

use strict;
use warnings;

use HTTP::Tiny;
use lib 't/lib';
use Loyalty;
use Test::Nginx::Socket 'no_plan';

Loyalty::program(demo => {});
Loyalty::member(demo => {id => 'anna', spent_total => 150000});
Loyalty::member(demo => {id => 'rich', spent_total => 600000,
    entitlements => [map { {id => "e$_", offer => "offer-$_"} } 1 .. 200]});
Loyalty::redis('RPUSH', 'loyalty:m:{demo}:list', 'x');
Loyalty::redis('SET', 'loyalty:m:{demo}:garbage', 'garbage');
Loyalty::redis('SET', 'loyalty:m:{demo}:empty', '');
Loyalty::redis_bytes('x' x (1024 * 1024 + 1), 'SET', 'loyalty:m:{demo}:huge');
Loyalty::redis('RPUSH', 'loyalty:p:{listed}', 'x');
Loyalty::redis('SET', 'loyalty:p:{empty}', '');
Loyalty::redis('SET', 'loyalty:p:{wrong}', '{"version": 1}');
Loyalty::redis_bytes(' ' x (4 * 1024 * 1024 + 1), 'SET', 'loyalty:p:{huge}');

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(config => '
        location = /t {
            loyalty on;
            loyalty_site $arg_s;
            loyalty_member $arg_m;
            add_header X-Seen "$loyalty_tier|$loyalty_cache";
            try_files /none =204;
        }
        location = /metrics {
            loyalty_metrics;
        }');
    $block->set_value(request => 'GET /t?s=demo&m=anna')
        unless defined $block->request || defined $block->must_die;
    $block->set_value(init => 'main::linked()')
        unless defined $block->http_config || defined $block->must_die;
});

# The link that comes up makes what was read before it stale.
sub linked {
    my $metrics = 'http://127.0.0.1:' . server_port() . '/metrics';
    for (1 .. 200) {
        my $answer = HTTP::Tiny->new(timeout => 5)->get($metrics);
        return if $answer->{content} =~ /^loyalty_invalidation_link_up 1$/m;
        select undef, undef, undef, 0.05;
    }
    die "no link to Redis";
}

Loyalty::nginx();
no_shuffle();
run_tests();

__DATA__

=== TEST 1: a zone has a name and a size
--- http_config
loyalty_zone members;
--- must_die
--- error_log
invalid number of arguments in "loyalty_zone" directive



=== TEST 2: a zone of less than 1m is refused
--- http_config
loyalty_zone members 64k;
--- must_die
--- error_log
loyalty_zone "members" is too small: 64k, at least 1m



=== TEST 3: a zone of more than 8g is refused
--- http_config
loyalty_zone members 9g;
--- must_die
--- error_log
loyalty_zone "members" is too large: 9g, at most 8g



=== TEST 4: a size that is none is refused
--- http_config
loyalty_zone members large;
--- must_die
--- error_log
loyalty_zone "members" has an invalid size: "large", for example 64m



=== TEST 5: a time that is none is refused
--- http_config
loyalty_zone members 1m ttl=soon;
--- must_die
--- error_log
loyalty_zone "members" has an invalid time "ttl=soon", from 1s to 86400s



=== TEST 6: a ttl of more than a day is refused
--- http_config
loyalty_zone members 1m ttl=25h;
--- must_die
--- error_log
loyalty_zone "members" has an invalid time "ttl=25h", from 1s to 86400s



=== TEST 7: negative=0 would read unknown members for ever
--- http_config
loyalty_zone members 1m negative=0;
--- must_die
--- error_log
loyalty_zone "members" has an invalid time "negative=0", from 1s to 86400s



=== TEST 8: an unknown parameter is refused
--- http_config
loyalty_zone members 1m size=1;
--- must_die
--- error_log
loyalty_zone "members" has an unknown parameter "size=1", there are ttl=, negative= and stale=



=== TEST 9: there is one zone
--- http_config
loyalty_zone members 1m;
loyalty_zone more 1m;
--- must_die
--- error_log
"loyalty_zone" directive is duplicate



=== TEST 10: a member is read once, and known from then on
--- request eval
[('GET /t?s=demo&m=anna') x 3]
--- error_code eval
[204, 204, 204]
--- response_headers eval
['X-Seen: bronze|MISS', 'X-Seen: bronze|HIT', 'X-Seen: bronze|HIT']



=== TEST 11: so is it that there is no such member
--- request eval
[('GET /t?s=demo&m=nobody') x 2]
--- error_code eval
[204, 204]
--- response_headers eval
['X-Seen: |MISS', 'X-Seen: |NEGATIVE']



=== TEST 12: a guest needs the program alone
--- request eval
[('GET /t?s=demo') x 2]
--- error_code eval
[204, 204]
--- response_headers eval
['X-Seen: |MISS', 'X-Seen: |HIT']



=== TEST 13: a site without a program has guests
--- request eval
[('GET /t?s=nowhere&m=anna') x 2]
--- error_code eval
[204, 204]
--- response_headers eval
['X-Seen: |MISS', 'X-Seen: |NEGATIVE']



=== TEST 14: what is not a member's value is a guest, counted
--- request eval
[(map { "GET /t?s=demo&m=$_" } qw(list garbage empty huge)), 'GET /metrics']
--- error_code eval
[204, 204, 204, 204, 200]
--- response_body_like eval
[('^$') x 4, 'loyalty_bad_values_total\{kind="member"\} [3-4]\n']



=== TEST 15: what is not a program has guests, counted
--- request eval
[(map { "GET /t?s=$_&m=anna" } qw(listed empty huge)), 'GET /metrics']
--- error_code eval
[204, 204, 204, 200]
--- response_body_like eval
[('^$') x 3, 'loyalty_bad_values_total\{kind="program"\} [2-3]\n']



=== TEST 16: a program that is not valid has guests, and the log says why
--- request
GET /t?s=wrong&m=anna
--- error_code: 204
--- response_headers
X-Seen: |MISS
--- error_log
loyalty program of site "wrong" is not valid, its shoppers are guests: at "/settings



=== TEST 17: a member too large for an entry is read each time, counted
--- request eval
[('GET /t?s=demo&m=rich') x 2, 'GET /metrics']
--- error_code eval
[204, 204, 200]
--- response_headers eval
['X-Seen: silver|BYPASS', 'X-Seen: silver|BYPASS', '']
--- response_body_like eval
['^$', '^$', 'loyalty_cache_oversized_total 2\n']



=== TEST 18: without Redis shoppers are guests
--- http_config
loyalty_redis 127.0.0.1:1 timeout=1s;
loyalty_zone members 1m;
--- error_code: 204
--- response_headers
X-Seen: |BYPASS



=== TEST 19: a location that resolves needs a zone
--- http_config
# bare
loyalty_redis unix:$TEST_NGINX_SOCKET;
--- must_die
--- error_log
"loyalty on" needs "loyalty_zone NAME SIZE;" in the http block
