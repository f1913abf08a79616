# What each variable says.

use strict;
use warnings;

use lib 't/lib';
use Loyalty;
use Test::Nginx::Socket 'no_plan';

Loyalty::program(demo => {
    statuses => [
        {id => 'bronze', name => {en => 'Bronze', fr => 'Bronze'},
         threshold => 100000},
        {id => 'silver', name => {en => 'Silver', fr => 'Argent'},
         threshold => 500000},
        {id => 'gold', name => {en => 'Gold', fr => 'Or'},
         threshold => 1000000},
    ],
    settings => {segments => {new => 30, recurring => 90, at_risk => 60,
                              vip => 500}},
    offers => [],
});
Loyalty::program(off => {settings => {active => JSON::PP::false}});

# DOMAIN.md sections 5 and 6 by hand: 5 230.50 lies 230.50 above silver's
# 5 000 on the way to gold's 10 000, 23 050 of 500 000: 4 %.
Loyalty::member(demo => {
    id => 'anna', spent_total => 523050, points => 420, pending => 30,
    life => 700, order_count => 3,
    signed_up_at => -20 * 86400, last_order_at => -86400,
    last_visit_at => -600, previous_visit_at => -70 * 86400,
    entitlements => [{id => 'e1', offer => 'ten-off'},
                     {id => 'e2', offer => 'free-gift', state => 'applied'},
                     {id => 'e3', offer => 'used-up', state => 'redeemed'},
                     {id => 'e4', offer => 'too-late', expires_at => -1}],
});
Loyalty::member(demo => {id => 'ben', spent_total => 1000000});
Loyalty::member(off => {id => 'anna', spent_total => 523050});

our $all = join '', map {
    "add_header X-" . ucfirst($_) . " [\$loyalty_$_] always;\n"
} qw(member tier tier_name next_tier remaining progress points life_points
     segment segments offers);
$all =~ s/X-(\w+)/"X-" . $1 =~ tr,_,-,r/ge;

our $location = <<"CONF";
    location /t {
        loyalty on;
        loyalty_site \$arg_s;
        loyalty_member \$arg_m;
        $all
        try_files /none =204;
    }
CONF

Loyalty::nginx();
run_tests();

__DATA__

=== a member on the way
--- config eval: $::location
--- request
GET /t?s=demo&m=anna
--- error_code: 204
--- response_headers
X-Member: [anna]
X-Tier: [silver]
X-Tier-name: [Silver]
X-Next-tier: [Gold]
X-Remaining: [476950]
X-Progress: [4]
X-Points: [420]
X-Life-points: [700]
X-Segment: [vip]
X-Segments: [vip,at_risk,new,recurring]
X-Offers: [ten-off,free-gift]


=== names in the shopper's language
--- config eval: $::location
--- more_headers
Accept-Language: fr-CA, en;q=0.5
--- request
GET /t?s=demo&m=anna
--- error_code: 204
--- response_headers
X-Tier: [silver]
X-Tier-name: [Argent]
X-Next-tier: [Or]


=== at the top there is no next
--- config eval: $::location
--- request
GET /t?s=demo&m=ben
--- error_code: 204
--- response_headers
X-Tier: [gold]
X-Next-tier: []
X-Remaining: []
X-Progress: [100]
X-Points: [0]
X-Segment: []
X-Segments: []
X-Offers: []


=== a guest has no values
--- config eval: $::location
--- request
GET /t?s=demo
--- error_code: 204
--- response_headers
X-Member: []
X-Tier: []
X-Tier-name: []
X-Next-tier: []
X-Remaining: []
X-Progress: []
X-Points: []
X-Life-points: []
X-Segment: []
X-Segments: []
X-Offers: []


=== while the programme is off a member has a name only
--- config eval: $::location
--- request
GET /t?s=off&m=anna
--- error_code: 204
--- response_headers
X-Member: [anna]
X-Tier: []
X-Next-tier: []
X-Remaining: []
X-Points: []
X-Segment: []


=== they are empty before the request is resolved, and right after
--- config
    location /t {
        set $before "[$loyalty_tier]";
        loyalty on;
        loyalty_site demo;
        loyalty_member anna;
        add_header X-Before $before;
        add_header X-After "[$loyalty_tier]";
        try_files /none =204;
    }
--- request
GET /t
--- error_code: 204
--- response_headers
X-Before: []
X-After: [silver]


=== where the member came from: Redis, then the zone, then known not to be
--- config
    location /t {
        loyalty on;
        loyalty_site demo;
        loyalty_member $arg_m;
        add_header X-Cache $loyalty_cache;
        try_files /none =204;
    }
    location /off {
        loyalty_site demo;
        add_header X-Cache [$loyalty_cache];
        try_files /none =204;
    }
--- request eval
["GET /t?m=anna", "GET /t?m=anna", "GET /t?m=nobody", "GET /t?m=nobody",
 "GET /off"]
--- error_code eval
[204, 204, 204, 204, 204]
--- response_headers eval
["X-Cache: MISS", "X-Cache: HIT", "X-Cache: MISS", "X-Cache: NEGATIVE",
 "X-Cache: []"]


=== without Redis a shopper is a guest at once
--- http_config
    loyalty_redis 127.0.0.1:$TEST_NGINX_RAND_PORT_1;
--- config
    location /t {
        loyalty on;
        loyalty_site demo;
        loyalty_member anna;
        add_header X-Cache "$loyalty_cache|$loyalty_member|$loyalty_tier";
        try_files /none =204;
    }
--- request
GET /t
--- error_code: 204
--- response_headers
X-Cache: BYPASS|anna|
