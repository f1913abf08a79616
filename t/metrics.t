# loyalty_metrics: Prometheus text, of all workers.

use strict;
use warnings;

use lib 't/lib';
use Loyalty;
use Test::Nginx::Socket 'no_plan';

Loyalty::program(demo => {});
Loyalty::member(demo => {id => 'anna', last_visit_at => -60});
Loyalty::member(demo => {id => 'ben', last_visit_at => -7200});
Loyalty::member(demo => {id => 'cleo'});

our $config = <<'CONF';
    location /t {
        loyalty on;
        loyalty_site demo;
        loyalty_member $arg_m;
        try_files /none =204;
    }
    location /m { loyalty_metrics; }
CONF

# promtool's own opinion of a text: empty where it has none.
our $promtool = sub {
    my $file = Loyalty::file(metrics => $_[0]);
    return `promtool check metrics <'$file' 2>&1`;
};

Loyalty::nginx();
run_tests();

__DATA__

=== promtool finds nothing to say
--- config eval: $::config
--- request eval
["GET /t?m=anna", "GET /m"]
--- error_code eval
[204, 200]
--- response_headers eval
["", "Content-Type: text/plain; version=0.0.4; charset=utf-8"]
--- response_body_filters eval
sub { my $text = shift; $text =~ /^#/ ? $::promtool->($text) : $text }
--- response_body eval
["", ""]


=== what EDGE.md asks for is there from the start
--- config eval: $::config
--- request
GET /m
--- response_body_like eval
my $all = join "", map { "(?=.*^$_ )" } map { quotemeta } (
 'loyalty_requests_total{cache="hit"}', 'loyalty_requests_total{cache="miss"}',
 'loyalty_requests_total{cache="stale"}',
 'loyalty_requests_total{cache="negative"}',
 'loyalty_requests_total{cache="bypass"}',
 'loyalty_staleness_seconds', 'loyalty_invalidation_link_up',
 'loyalty_journal_bytes', 'loyalty_journal_oldest_seconds',
 'loyalty_duplicates_suppressed_total', 'loyalty_dead_letters_total',
 'loyalty_stream_lag', 'loyalty_resolve_seconds_bucket{le="+Inf"}',
 'loyalty_resolve_seconds_sum', 'loyalty_resolve_seconds_count');
qr/^$all/ms


=== each request is counted once, by where its member came from
--- config eval: $::config
--- request eval
["GET /t?m=anna", "GET /t?m=anna", "GET /t?m=anna", "GET /t?m=nobody",
 "GET /t?m=nobody", "GET /m"]
--- error_code eval
[204, 204, 204, 204, 204, 200]
--- response_body_like eval
[(qr/^$/) x 5, qr/cache="hit"\} 2\n.*cache="miss"\} 2\n.*cache="negative"\} 1\n/s]


=== a suspended request is in the histogram, one answered at once is not
--- config eval: $::config
--- request eval
["GET /t?m=anna", "GET /t?m=anna", "GET /m"]
--- error_code eval
[204, 204, 200]
--- response_body_like eval
[qr/^$/, qr/^$/, qr/loyalty_resolve_seconds_bucket\{le="\+Inf"\} 1\n.*loyalty_resolve_seconds_count 1\n/s]


=== one visit an hour and member, whatever the number of requests
--- config eval: $::config
--- request eval
["GET /t?m=anna", "GET /t?m=ben", "GET /t?m=ben", "GET /t?m=cleo",
 "GET /t?m=ben", "GET /t?m=nobody", "GET /t", "GET /m"]
--- error_code eval
[(204) x 7, 200]
--- response_body_like eval
[(qr/^$/) x 7, qr/loyalty_visits_total 2\nloyalty_visits_lost_total 0\n|loyalty_visits_total 2\n/]


=== GET and HEAD, nothing else
--- config eval: $::config
--- request eval
["HEAD /m", "POST /m\nx"]
--- error_code eval
[200, 405]
