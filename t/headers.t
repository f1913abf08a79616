# loyalty_headers: what the shop is told, and that nobody else can tell it.

use strict;
use warnings;

use lib 't/lib';
use Digest::SHA qw(hmac_sha256_hex);
use Loyalty;
use Test::Nginx::Socket 'no_plan';

Loyalty::program(demo => {settings => {segments => {
    new => 30, recurring => 90, at_risk => 60, vip => 500}}});
Loyalty::program(off => {settings => {active => JSON::PP::false}});
Loyalty::member(demo => {
    id => 'anna', spent_total => 150000, points => 42, life => 700,
    signed_up_at => -86400, last_order_at => -86400, order_count => 1,
    entitlements => [{id => 'e1', offer => 'ten-off'},
                     {id => 'e2', offer => 'free-gift'}],
});
Loyalty::member(demo => {id => "zo\xeb 100% a,b\"", spent_total => 150000});
Loyalty::file(secret => "0123456789abcdef\n");

# The shop: a server without loyalty, which shows what it got.
our $shop = <<'CONF';
    server {
        listen 127.0.0.1:$TEST_NGINX_RAND_PORT_1;
        underscores_in_headers on;
        location / {
            return 200 "$http_x_loyalty_member|$http_x_loyalty_tier|$http_x_loyalty_segments|$http_x_loyalty_points|$http_x_loyalty_offers|$http_x_loyalty_signature|$http_x_other\n";
        }
    }
CONF

# Whether a signature is that of these lines, made by Digest::SHA, and fresh.
our $verified = sub {
    my ($line, @values) = @_;
    my ($t, $hex) = $line =~ /\|t=(\d+),v1=([0-9a-f]{64})\|/ or return 0;
    my $text = join '', map { "$_\n" } 'v1', $t, @values;
    return abs($t - time) < 10
        && $hex eq hmac_sha256_hex($text, '0123456789abcdef');
};

Loyalty::nginx();
run_tests();

__DATA__

=== a member
--- http_config eval: $::shop
--- config
    location /t {
        loyalty on;
        loyalty_site demo;
        loyalty_member $arg_m;
        loyalty_headers on;
        proxy_pass http://127.0.0.1:$TEST_NGINX_RAND_PORT_1;
    }
--- request eval
["GET /t?m=anna", "GET /t?m=anna", "GET /t?m=nobody", "GET /t"]
--- response_body eval
["anna|bronze|vip,new,recurring|42|ten-off,free-gift||\n",
 "anna|bronze|vip,new,recurring|42|ten-off,free-gift||\n",
 "nobody|||0|||\n", "||||||\n"]


=== none without the directive, off, and while the programme is off
--- http_config eval: $::shop
--- config
    loyalty on;
    loyalty_site demo;
    loyalty_member anna;
    location /none {
        proxy_pass http://127.0.0.1:$TEST_NGINX_RAND_PORT_1;
    }
    location /off {
        loyalty_site demo;
        loyalty_headers off;
        proxy_pass http://127.0.0.1:$TEST_NGINX_RAND_PORT_1;
    }
    location /inactive {
        loyalty_site off;
        loyalty_headers on;
        proxy_pass http://127.0.0.1:$TEST_NGINX_RAND_PORT_1;
    }
--- request eval
["GET /none", "GET /off", "GET /inactive"]
--- response_body eval
["||||||\n", "||||||\n", "||||||\n"]


=== signed over time, site and every header
--- http_config eval: $::shop
--- config
    location /t {
        loyalty on;
        loyalty_site demo;
        loyalty_member $arg_m;
        loyalty_headers on secret=$TEST_NGINX_DIR/secret;
        proxy_pass http://127.0.0.1:$TEST_NGINX_RAND_PORT_1;
    }
--- request eval
["GET /t?m=anna", "GET /t?m=nobody", "GET /t"]
--- response_body_like eval
[qr/^(.*)\n(?(?{$::verified->($1, "demo", "anna", "bronze",
 "vip,new,recurring", "42", "ten-off,free-gift")})|x{9})$/,
 qr/^(.*)\n(?(?{$::verified->($1, "demo", "nobody", "", "", "0", "")})|x{9})$/,
 qr/^\|\|\|\|\|\|\n$/]


=== ids that a header cannot carry are escaped
--- http_config eval
$::shop . qq!
    map \$arg_m \$odd {
        default "zo\xeb 100% a,b\\"";
    }!
--- config
    location /t {
        loyalty on;
        loyalty_site demo;
        loyalty_member $odd;
        loyalty_headers on secret=$TEST_NGINX_DIR/secret;
        proxy_pass http://127.0.0.1:$TEST_NGINX_RAND_PORT_1;
    }
--- request
GET /t
--- response_body_like eval
qr/^zo%EB%20100%25%20a,b"\|bronze\|\|0\|\|t=/


=== a client's own are dropped wherever the server has to do with loyalty
--- http_config eval
$::shop . 'underscores_in_headers on; ignore_invalid_headers off;'
--- config
    location /on {
        loyalty on;
        loyalty_site demo;
        loyalty_member $arg_m;
        loyalty_headers on;
        proxy_pass http://127.0.0.1:$TEST_NGINX_RAND_PORT_1;
    }
    location /quiet {
        loyalty on;
        loyalty_site demo;
        loyalty_member $arg_m;
        proxy_pass http://127.0.0.1:$TEST_NGINX_RAND_PORT_1;
    }
    location /off {
        proxy_pass http://127.0.0.1:$TEST_NGINX_RAND_PORT_1;
    }
    location /m { loyalty_metrics; }
--- more_headers
X-Loyalty-Member: forged
x-loyalty-tier: gold
X_Loyalty_Segments: vip
X-LOYALTY_Points: 1000000
X.Loyalty.Offers: all
X-Loyalty-Signature: t=1,v1=00
X-Loyalty-Anything-Else: 1
X-Other: kept
--- request eval
["GET /on?m=anna", "GET /on", "GET /quiet?m=anna", "GET /off", "GET /m"]
--- response_body_like eval
[qr/^anna\|bronze\|vip,new,recurring\|42\|ten-off,free-gift\|\|kept\n$/,
 qr/^\|\|\|\|\|\|kept\n$/, qr/^\|\|\|\|\|\|kept\n$/, qr/^\|\|\|\|\|\|kept\n$/,
 qr/loyalty_client_headers_dropped_total 35\n/]


=== before any rewrite reads them
--- http_config eval: $::shop
--- config
    loyalty_headers on;
    location /t {
        if ($http_x_loyalty_tier = gold) {
            return 403;
        }
        set $seen "$http_x_loyalty_member";
        return 200 "[$seen]\n";
    }
--- more_headers
X-Loyalty-Member: forged
X-Loyalty-Tier: gold
--- request
GET /t
--- response_body
[]


=== names that only look alike are not ours
--- http_config
    server {
        listen 127.0.0.1:$TEST_NGINX_RAND_PORT_1;
        location / {
            return 200 "$http_x_loyalty|$http_xx_loyalty_tier|$http_x_loyaltyx_tier\n";
        }
    }
--- config
    location /t {
        loyalty on;
        loyalty_site demo;
        proxy_pass http://127.0.0.1:$TEST_NGINX_RAND_PORT_1;
    }
--- more_headers
X-Loyalty: 1
XX-Loyalty-Tier: 2
X-LoyaltyX-Tier: 3
--- request
GET /t
--- response_body
1|2|3


=== a server without loyalty is the shop's side
--- http_config eval: $::shop
--- config
    location /t {
        proxy_pass http://127.0.0.1:$TEST_NGINX_RAND_PORT_1;
    }
--- more_headers
X-Loyalty-Member: from-the-edge
--- request
GET /t
--- response_body
from-the-edge||||||


=== many headers and one of ours among them
--- http_config
    large_client_header_buffers 8 16k;
    server {
        listen 127.0.0.1:$TEST_NGINX_RAND_PORT_1;
        large_client_header_buffers 8 16k;
        location / {
            return 200 "$http_x_1|$http_x_20|$http_x_21|$http_x_59|$http_x_loyalty_member|$http_host\n";
        }
    }
--- config
    location /t {
        loyalty on;
        loyalty_site demo;
        loyalty_member $arg_m;
        loyalty_headers on;
        proxy_set_header Host $host;
        proxy_pass http://127.0.0.1:$TEST_NGINX_RAND_PORT_1;
    }
--- more_headers eval
join "\n", map { $_ == 30 ? "X-Loyalty-Member: forged" : "X-$_: v$_" } 1 .. 59
--- request eval
["GET /t", "GET /t?m=anna"]
--- response_body eval
["v1|v20|v21|v59||localhost\n", "v1|v20|v21|v59|anna|localhost\n"]


=== a redirect to where headers are off takes them away
--- http_config eval: $::shop
--- config
    location /t {
        loyalty on;
        loyalty_site demo;
        loyalty_member anna;
        loyalty_headers on;
        try_files /none @elsewhere;
    }
    location @elsewhere {
        proxy_pass http://127.0.0.1:$TEST_NGINX_RAND_PORT_1;
    }
--- more_headers
X-Other: kept
--- request
GET /t
--- response_body
||||||kept


=== a redirect to where they are on has them once
--- http_config
    server {
        listen 127.0.0.1:$TEST_NGINX_RAND_PORT_1;
        location / {
            return 200 "$request_id|$http_x_loyalty_member|$http_x_loyalty_tier\n";
        }
    }
--- config
    loyalty on;
    loyalty_site demo;
    loyalty_headers on;
    location /t {
        loyalty_member nobody;
        try_files /none @again;
    }
    location @again {
        loyalty_member anna;
        proxy_pass http://127.0.0.1:$TEST_NGINX_RAND_PORT_1;
    }
--- request
GET /t
--- response_body_like
^[0-9a-f]{32}\|anna\|bronze$


=== subrequests have them where their location says so
--- http_config eval: $::shop
--- config
    location /t {
        loyalty on;
        loyalty_site demo;
        loyalty_member anna;
        loyalty_headers on;
        ssi on;
        default_type text/html;
        root html;
        try_files /page.html =404;
    }
    location /on {
        loyalty_headers on;
        proxy_pass http://127.0.0.1:$TEST_NGINX_RAND_PORT_1;
    }
    location /off {
        proxy_pass http://127.0.0.1:$TEST_NGINX_RAND_PORT_1;
    }
--- user_files
>>> page.html
<!--# include virtual="/on" --><!--# include virtual="/off" --><!--# include virtual="/on" -->
--- more_headers
X-Other: kept
--- request
GET /t
--- response_body eval
"anna|bronze|vip,new,recurring|42|ten-off,free-gift||kept\n||||||kept\n"
. "anna|bronze|vip,new,recurring|42|ten-off,free-gift||kept\n\n"
