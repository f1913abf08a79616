# Who a shopper is: loyalty, loyalty_site, loyalty_member, and the ways a
# request takes while it is suspended and after.

use strict;
use warnings;

use lib 't/lib';
use Loyalty;
use Test::Nginx::Socket 'no_plan';

Loyalty::program(demo => {});
Loyalty::program(other => {
    settings => {criterion => 'orders'},
    statuses => [{id => 'regular', name => {en => 'Regular'}, threshold => 2}],
});
Loyalty::member(demo => {id => 'anna', spent_total => 150000});
Loyalty::member(demo => {id => 'ben', spent_total => 600000});
Loyalty::member(demo => {id => 'gone', spent_total => 600000,
                         deleted_at => -60});
Loyalty::member(demo => {id => 'x' x 128, spent_total => 150000});
Loyalty::member(other => {id => 'anna', order_count => 2});

# What a location saw goes out in one header.
our $who = <<'CONF';
    add_header X-Who "$loyalty_member|$loyalty_tier" always;
CONF

our $shop = <<'CONF';
    server {
        listen 127.0.0.1:$TEST_NGINX_RAND_PORT_1;
        location / {
            return 200 "shop: $request_uri\n";
        }
    }
CONF

Loyalty::nginx();
run_tests();

__DATA__

=== a member named by a trusted value is resolved
--- config eval
"location /t {
    loyalty on;
    loyalty_site demo;
    loyalty_member \$arg_m;
    $::who
    try_files /none =204;
}"
--- request eval
["GET /t?m=anna", "GET /t?m=anna", "GET /t?m=ben"]
--- error_code eval
[204, 204, 204]
--- response_headers eval
["X-Who: anna|bronze", "X-Who: anna|bronze", "X-Who: ben|silver"]


=== a shopper without a record has no status, and is known by name
--- config eval
"location /t {
    loyalty on;
    loyalty_site demo;
    loyalty_member \$arg_m;
    add_header X-Who \"\$loyalty_member|\$loyalty_tier|\$loyalty_next_tier|\$loyalty_remaining\";
    try_files /none =204;
}"
--- request
GET /t?m=nobody
--- error_code: 204
--- response_headers
X-Who: nobody||Bronze|100000


=== a deleted member is a guest
--- config eval
"location /t {
    loyalty on;
    loyalty_site demo;
    loyalty_member \$arg_m;
    $::who
    try_files /none =204;
}"
--- request
GET /t?m=gone
--- error_code: 204
--- response_headers
X-Who: gone|


=== no value is a guest, and nothing is counted
--- config eval
"location /t {
    loyalty on;
    loyalty_site demo;
    loyalty_member \$arg_m;
    $::who
    try_files /none =204;
}
location /m { loyalty_metrics; }"
--- request eval
["GET /t", "GET /m"]
--- error_code eval
[204, 200]
--- response_headers eval
["X-Who: |", ""]
--- response_body_like eval
[qr/^$/, qr/loyalty_identity_refused_total\{reason="member_id"\} 0\n/]


=== an id of 128 bytes is the longest; past it a guest, counted
--- config eval
"location /t {
    loyalty on;
    loyalty_site demo;
    loyalty_member \$arg_m;
    $::who
    try_files /none =204;
}
location /m { loyalty_metrics; }"
--- request eval
["GET /t?m=" . "x" x 128, "GET /t?m=" . "x" x 129, "GET /m"]
--- error_code eval
[204, 204, 200]
--- response_headers eval
["X-Who: " . "x" x 128 . "|bronze", "X-Who: |", ""]
--- response_body_like eval
[qr/^$/, qr/^$/, qr/loyalty_identity_refused_total\{reason="member_id"\} 1\n/]


=== an id with a control character is a guest, counted
--- http_config
    map $arg_c $crooked {
        default "anna\r\nX-Loyalty-Tier: gold";
    }
--- config eval
"location /t {
    loyalty on;
    loyalty_site demo;
    loyalty_member \$crooked;
    $::who
    try_files /none =204;
}
location /m { loyalty_metrics; }"
--- request eval
["GET /t", "GET /m"]
--- error_code eval
[204, 200]
--- response_headers eval
["X-Who: |", ""]
--- response_body_like eval
[qr/^$/, qr/loyalty_identity_refused_total\{reason="member_id"\} 1\n/]


=== sites are apart
--- config eval
"location /t {
    loyalty on;
    loyalty_site \$arg_s;
    loyalty_member \$arg_m;
    $::who
    try_files /none =204;
}"
--- request eval
["GET /t?s=demo&m=anna", "GET /t?s=other&m=anna", "GET /t?s=demo&m=ben",
 "GET /t?s=other&m=ben"]
--- error_code eval
[204, 204, 204, 204]
--- response_headers eval
["X-Who: anna|bronze", "X-Who: anna|regular", "X-Who: ben|silver",
 "X-Who: ben|"]


=== a site nobody knows, none, and one that is no slug
--- config eval
"location /t {
    loyalty on;
    loyalty_site \$arg_s;
    loyalty_member anna;
    $::who
    try_files /none =204;
}
location /m { loyalty_metrics; }"
--- request eval
["GET /t?s=nowhere", "GET /t", "GET /t?s={demo}", "GET /t?s=" . "a" x 65,
 "GET /m"]
--- error_code eval
[204, 204, 204, 204, 200]
--- response_headers eval
["X-Who: anna|", "X-Who: |", "X-Who: |", "X-Who: |", ""]
--- response_body_like eval
[qr/^$/, qr/^$/, qr/^$/, qr/^$/,
 qr/loyalty_identity_refused_total\{reason="site_id"\} 2\n/]


=== off is off
--- config eval
"loyalty_site demo;
loyalty_member anna;
loyalty on;
location /t {
    loyalty off;
    $::who
    try_files /none =204;
}"
--- request
GET /t
--- error_code: 204
--- response_headers
X-Who: |


=== the member is what auth_request has found
--- http_config eval: $::shop
--- config eval
"location /t {
    auth_request /auth;
    auth_request_set \$user \$upstream_http_x_user;
    loyalty on;
    loyalty_site demo;
    loyalty_member \$user;
    $::who
    try_files /none =204;
}
location = /auth {
    internal;
    proxy_pass http://127.0.0.1:\$TEST_NGINX_RAND_PORT_2;
}"
--- tcp_listen: $TEST_NGINX_RAND_PORT_2
--- tcp_reply eval
"HTTP/1.0 200 OK\r\nX-User: ben\r\nContent-Length: 0\r\n\r\n"
--- request
GET /t
--- error_code: 204
--- response_headers
X-Who: ben|silver


=== a subrequest of auth_request that identifies does so for itself
--- http_config
    server {
        listen 127.0.0.1:$TEST_NGINX_RAND_PORT_1;
        location / {
            add_header X-User $http_x_tier;
            return 204;
        }
    }
--- config eval
"loyalty on;
loyalty_site demo;
location /t {
    auth_request /auth;
    auth_request_set \$seen \$upstream_http_x_user;
    loyalty_member anna;
    add_header X-Who \"\$seen|\$loyalty_member|\$loyalty_tier\";
    try_files /none =204;
}
location = /auth {
    internal;
    loyalty_member ben;
    proxy_set_header X-Tier \$loyalty_tier;
    proxy_pass http://127.0.0.1:\$TEST_NGINX_RAND_PORT_1;
}"
--- request
GET /t
--- error_code: 204
--- response_headers
X-Who: silver|anna|bronze


=== satisfy any: we neither open nor close a door
--- config eval
"location /t {
    satisfy any;
    deny all;
    auth_basic closed;
    auth_basic_user_file /dev/null;
    loyalty on;
    loyalty_site demo;
    loyalty_member anna;
    $::who
    try_files /none =204;
}
location /u {
    satisfy any;
    allow all;
    auth_basic closed;
    auth_basic_user_file /dev/null;
    loyalty on;
    loyalty_site demo;
    loyalty_member anna;
    $::who
    try_files /none =204;
}"
--- request eval
["GET /t", "GET /u"]
--- error_code eval
[401, 204]
--- response_headers eval
["X-Who: |", "X-Who: anna|bronze"]
--- no_error_log
[alert]
[crit]
[emerg]


=== an internal redirect keeps what was found
--- config eval
"loyalty on;
loyalty_site demo;
loyalty_member \$arg_m;
location /t {
    try_files /none /u?m=nobody;
}
location /u {
    $::who
    try_files /none =204;
}"
--- request
GET /t?m=anna
--- error_code: 204
--- response_headers
X-Who: anna|bronze


=== a redirect to where loyalty is off keeps it for variables
--- config eval
"location /t {
    loyalty on;
    loyalty_site demo;
    loyalty_member anna;
    try_files /none \@u;
}
location \@u {
    $::who
    try_files /none =204;
}"
--- request
GET /t
--- error_code: 204
--- response_headers
X-Who: anna|bronze


=== a redirect to where shoppers are known otherwise identifies again
--- config eval
"location /t {
    loyalty on;
    loyalty_site demo;
    loyalty_member anna;
    try_files /none \@u;
}
location \@u {
    loyalty on;
    loyalty_site demo;
    loyalty_member ben;
    $::who
    try_files /none =204;
}"
--- request
GET /t
--- error_code: 204
--- response_headers
X-Who: ben|silver


=== an error page of the shop's knows the member
--- http_config
    server {
        listen 127.0.0.1:$TEST_NGINX_RAND_PORT_1;
        return 503;
    }
--- config eval
"location /t {
    loyalty on;
    loyalty_site demo;
    loyalty_member anna;
    proxy_intercept_errors on;
    error_page 503 = \@sorry;
    proxy_pass http://127.0.0.1:\$TEST_NGINX_RAND_PORT_1;
}
location \@sorry {
    $::who
    try_files /none =204;
}"
--- request
GET /t
--- error_code: 204
--- response_headers
X-Who: anna|bronze


=== included fragments see the main request's member
--- config
    location /t {
        loyalty on;
        loyalty_site demo;
        loyalty_member anna;
        ssi on;
        default_type text/html;
        root html;
        try_files /page.html =404;
    }
    location /fragment {
        loyalty on;
        loyalty_site demo;
        loyalty_member ben;
        proxy_set_header X-Tier $loyalty_member|$loyalty_tier;
        proxy_pass http://127.0.0.1:$TEST_NGINX_RAND_PORT_1;
    }
--- http_config
    server {
        listen 127.0.0.1:$TEST_NGINX_RAND_PORT_1;
        return 200 $http_x_tier;
    }
--- user_files
>>> page.html
[<!--# include virtual="/fragment" -->]
--- request
GET /t
--- response_body
[anna|bronze]


=== a fragment of a page without loyalty identifies for itself
--- config
    location /t {
        ssi on;
        default_type text/html;
        root html;
        try_files /page.html =404;
    }
    location /fragment {
        loyalty on;
        loyalty_site demo;
        loyalty_member $arg_m;
        proxy_set_header X-Tier $loyalty_member|$loyalty_tier;
        proxy_pass http://127.0.0.1:$TEST_NGINX_RAND_PORT_1;
    }
--- http_config
    server {
        listen 127.0.0.1:$TEST_NGINX_RAND_PORT_1;
        return 200 $http_x_tier;
    }
--- user_files
>>> page.html
[<!--# include virtual="/fragment?m=ben" -->][<!--# include virtual="/fragment?m=anna" -->]
--- request
GET /t
--- response_body
[ben|silver][anna|bronze]


=== mirrored requests have the member
--- config
    location /t {
        loyalty on;
        loyalty_site demo;
        loyalty_member anna;
        mirror /mirror;
        proxy_pass http://127.0.0.1:$TEST_NGINX_RAND_PORT_1/shop;
    }
    location = /mirror {
        internal;
        loyalty on;
        loyalty_site demo;
        loyalty_member ben;
        log_subrequest on;
        error_log logs/error.log info;
        proxy_set_header X-Tier $loyalty_tier;
        proxy_pass http://127.0.0.1:$TEST_NGINX_RAND_PORT_1/mirror/$loyalty_member/$loyalty_tier;
    }
--- http_config
    server {
        listen 127.0.0.1:$TEST_NGINX_RAND_PORT_1;
        location /shop {
            return 200 "shop\n";
        }
        location /mirror {
            return 404;
        }
        location /mirror/anna/bronze {
            alias html/missing;
        }
    }
--- request
POST /t
hello
--- response_body
shop
--- wait: 0.2
--- error_log
html/missing


=== a request body waits untouched
--- config
    location /t {
        loyalty on;
        loyalty_site demo;
        loyalty_member $arg_m;
        proxy_pass http://127.0.0.1:$TEST_NGINX_RAND_PORT_1;
    }
--- http_config
    server {
        listen 127.0.0.1:$TEST_NGINX_RAND_PORT_1;
        location / {
            proxy_pass http://127.0.0.1:$TEST_NGINX_RAND_PORT_2;
        }
    }
    server {
        listen 127.0.0.1:$TEST_NGINX_RAND_PORT_2;
        location / {
            return 200 "$http_content_length\n";
        }
    }
--- request eval
["POST /t?m=body1\n" . "b" x 100000, "POST /t?m=body2\n" . "b" x 100000]
--- response_body eval
["100000\n", "100000\n"]


=== the access log of a finished request still has the member
--- http_config
    log_format loyal "who=$loyalty_member|$loyalty_tier|$loyalty_cache";
--- config
    location /t {
        loyalty on;
        loyalty_site demo;
        loyalty_member anna;
        access_log $TEST_NGINX_DIR/access.log loyal;
        try_files /none =204;
    }
    location /log {
        alias $TEST_NGINX_DIR/access.log;
    }
--- request eval
["GET /t", "GET /log"]
--- error_code eval
[204, 200]
--- response_body_like eval
[qr/^$/, qr/^who=anna\|bronze\|(MISS|HIT)\n/]
