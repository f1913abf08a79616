# Configurations that nginx -t refuses, and what it says.

use strict;
use warnings;

use lib 't/lib';
use Loyalty;
use Test::Nginx::Socket 'no_plan';

Loyalty::file(short => "fifteen bytes..\n");
Loyalty::file(secret => "0123456789abcdef0123456789abcdef\n");
Loyalty::file(tokens => "0123456789abcdef\n");
Loyalty::file(large => 'x' x 5000);
Loyalty::file(pem => "-----BEGIN PUBLIC KEY-----\nnonsense\n");
system("openssl ecparam -name secp384r1 -genkey -noout 2>/dev/null "
       . "| openssl ec -pubout -out $Loyalty::dir/p384.pem 2>/dev/null");
system("openssl genrsa 1024 2>/dev/null "
       . "| openssl rsa -pubout -out $Loyalty::dir/rsa1024.pem 2>/dev/null");

Loyalty::nginx();
run_tests();

__DATA__

=== loyalty on asks for Redis
--- http_config
    # bare
    loyalty_zone members 1m;
--- config
    loyalty on;
    loyalty_site demo;
--- must_die
--- error_log
"loyalty on" needs "loyalty_redis ADDRESS;" in the http block


=== loyalty on asks for a zone
--- http_config
    # bare
    loyalty_redis unix:$TEST_NGINX_SOCKET;
--- config
    loyalty on;
    loyalty_site demo;
--- must_die
--- error_log
"loyalty on" needs "loyalty_zone NAME SIZE;" in the http block


=== loyalty on asks for a site
--- config
    loyalty on;
--- must_die
--- error_log
"loyalty on" needs "loyalty_site ID;" where it stands or above


=== loyalty is on or off
--- config
    loyalty maybe;
--- must_die
--- error_log
invalid value "maybe" in "loyalty" directive, it must be "on" or "off"


=== loyalty stands once
--- config
    loyalty on;
    loyalty off;
--- must_die
--- error_log
"loyalty" directive is duplicate


=== a site that could never be one
--- config
    loyalty_site Shop;
--- must_die
--- error_log
"Shop" of "loyalty_site" is no id of a site, which has up to 64 of a-z, 0-9, '-' and '_'


=== a site that is too long
--- config eval: '    loyalty_site ' . 'a' x 65 . ';'
--- must_die
--- error_log
of "loyalty_site" is no id of a site


=== loyalty_delivery takes a secret and nothing else
--- http_config
    loyalty_delivery mailbox=/tmp secrets=x;
--- config
--- must_die
--- error_log
invalid parameter "secrets=x", "loyalty_delivery" takes secret=FILE


=== loyalty_site stands once
--- config
    loyalty_site a;
    loyalty_site b;
--- must_die
--- error_log
"loyalty_site" directive is duplicate


=== loyalty_member stands once
--- config
    loyalty_member a;
    loyalty_member b;
--- must_die
--- error_log
"loyalty_member" directive is duplicate


=== variables must exist
--- config
    loyalty_member $nobody_knows_this;
--- must_die
--- error_log
unknown "nobody_knows_this" variable


=== a shopper is known in one way
--- config
    location /t {
        loyalty on;
        loyalty_site demo;
        loyalty_member $arg_m;
        loyalty_jwt $arg_t key=$TEST_NGINX_DIR/secret;
    }
--- must_die
--- error_log
"loyalty_member" and "loyalty_jwt" in one place


=== loyalty_jwt needs a key
--- config
    loyalty_jwt $arg_t alg=HS256;
--- must_die
--- error_log
"loyalty_jwt" needs a key: key=FILE


=== loyalty_jwt stands once
--- config
    loyalty_jwt $arg_t key=$TEST_NGINX_DIR/secret;
    loyalty_jwt $arg_t key=$TEST_NGINX_DIR/secret;
--- must_die
--- error_log
"loyalty_jwt" directive is duplicate


=== loyalty_jwt knows three algorithms
--- config
    loyalty_jwt $arg_t key=$TEST_NGINX_DIR/secret alg=none;
--- must_die
--- error_log
unknown algorithm "none", "loyalty_jwt" knows HS256, RS256 and ES256


=== loyalty_jwt knows three parameters
--- config
    loyalty_jwt $arg_t key=$TEST_NGINX_DIR/secret leeway=10;
--- must_die
--- error_log
invalid parameter "leeway=10", "loyalty_jwt" takes key=, alg= and claim=


=== a claim has a name
--- config
    loyalty_jwt $arg_t key=$TEST_NGINX_DIR/secret claim=;
--- must_die
--- error_log
invalid parameter "claim="


=== a key that is not there
--- config
    loyalty_jwt $arg_t key=$TEST_NGINX_DIR/missing;
--- must_die
--- error_log eval
qr/the key of "loyalty_jwt" ".*\/missing" cannot be opened/


=== a key that is a folder
--- config
    loyalty_jwt $arg_t key=$TEST_NGINX_DIR;
--- must_die
--- error_log
is not a regular file


=== a key of fewer than 256 bits for HS256
--- config
    loyalty_jwt $arg_t key=$TEST_NGINX_DIR/tokens;
--- must_die
--- error_log
is too short: 16 bytes, HS256 needs at least 32


=== a key file past the limit
--- config
    loyalty_jwt $arg_t key=$TEST_NGINX_DIR/large;
--- must_die
--- error_log
is too large: 5000 bytes, at most 4096


=== a secret is no RSA key
--- config
    loyalty_jwt $arg_t key=$TEST_NGINX_DIR/secret alg=RS256;
--- must_die
--- error_log
is not an RSA (2048 bits or more) public key in PEM


=== nor is nonsense in PEM
--- config
    loyalty_jwt $arg_t key=$TEST_NGINX_DIR/pem alg=RS256;
--- must_die
--- error_log
is not an RSA (2048 bits or more) public key in PEM


=== an RSA key of 1024 bits is too weak
--- config
    loyalty_jwt $arg_t key=$TEST_NGINX_DIR/rsa1024.pem alg=RS256;
--- must_die
--- error_log
is not an RSA (2048 bits or more) public key in PEM


=== ES256 is P-256
--- config
    loyalty_jwt $arg_t key=$TEST_NGINX_DIR/p384.pem alg=ES256;
--- must_die
--- error_log
is not a P-256 public key in PEM


=== loyalty_headers is on or off
--- config
    loyalty_headers yes;
--- must_die
--- error_log
invalid value "yes", "loyalty_headers" is "on" or "off"


=== loyalty_headers stands once
--- config
    loyalty_headers on;
    loyalty_headers off;
--- must_die
--- error_log
"loyalty_headers" directive is duplicate


=== loyalty_headers takes a secret
--- config
    loyalty_headers on key=x;
--- must_die
--- error_log
invalid parameter "key=x", "loyalty_headers on" takes secret=FILE


=== loyalty_headers off takes nothing
--- config
    loyalty_headers off secret=$TEST_NGINX_DIR/secret;
--- must_die
--- error_log
"loyalty_headers on" takes secret=FILE


=== a short secret is refused
--- config
    loyalty_headers on secret=$TEST_NGINX_DIR/short;
--- must_die
--- error_log
is too short: 15 bytes, at least 16


=== a secret needs a file
--- config
    loyalty_headers on secret=;
--- must_die
--- error_log
the secret of "loyalty_headers" needs the name of a file


=== pages have names
--- config
    location /t {
        loyalty_page tiers;
    }
--- must_die
--- error_log
unknown page "tiers", "loyalty_page" knows "tier"


=== pages belong to a location
--- config
    loyalty_page tier;
--- must_die
--- error_log
"loyalty_page" directive is not allowed here


=== a page needs loyalty on
--- config
    location /t {
        loyalty_page tier;
    }
--- must_die
--- error_log
"loyalty_page" needs "loyalty on" in its location


=== so does status.json
--- config
    location /t {
        loyalty_api status;
    }
--- must_die
--- error_log
"loyalty_api" needs "loyalty on" in its location


=== one page a location
--- config
    location /t {
        loyalty_page tier;
        loyalty_api status;
    }
--- must_die
--- error_log
"loyalty_api" directive is duplicate


=== a page takes a secret
--- config
    location /t {
        loyalty_page tier preview=on;
    }
--- must_die
--- error_log
invalid parameter "preview=on", "loyalty_page tier" takes secret=FILE


=== interfaces have names
--- config
    location /t {
        loyalty_api statuses;
    }
--- must_die
--- error_log
unknown interface "statuses", "loyalty_api" knows "status"


=== loyalty_metrics takes nothing
--- config
    location /t {
        loyalty_metrics on;
    }
--- must_die
--- error_log
invalid number of arguments in "loyalty_metrics" directive


=== loyalty_metrics stands once
--- config
    location /t {
        loyalty_metrics;
        loyalty_metrics;
    }
--- must_die
--- error_log
"loyalty_metrics" directive is duplicate


=== directives go down from http to server to location
--- http_config
    loyalty on;
    loyalty_site demo;
    loyalty_headers on secret=$TEST_NGINX_DIR/secret;
    loyalty_jwt $arg_t key=$TEST_NGINX_DIR/secret;
--- config
    location = /off {
        loyalty off;
        return 204;
    }

    location /t {
        loyalty_member $arg_m;
        return 204;
    }
--- request
GET /t
--- error_code: 204


=== a module loaded and not used asks for nothing
--- http_config
    # bare
--- config
    location /t {
        return 204;
    }
--- request
GET /t
--- error_code: 204
