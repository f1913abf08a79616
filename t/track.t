# loyalty_track: opens, clicks and unsubscribes of messages.  `--- stream` is
# what the request adds to the stream, without its time; empty: nothing.

use strict;
use warnings;

use lib 't/lib';
use Loyalty;
use Test::Nginx::Socket 'no_plan';

our $secret = '0123456789abcdef0123';
our $soon = Loyalty::now() + 3_600_000;
our $url = 'https://shop.example/a?b=1&c=%20d#e';

Loyalty::program(demo => {});
Loyalty::file(secret => "$secret\n");
$ENV{TEST_NGINX_DIR} //= $Loyalty::dir;

sub token {
    my ($type, $payload, %more) = @_;
    return Loyalty::token($type, $more{secret} // $secret,
                          $more{site} // 'demo', $more{expires} // $soon,
                          $payload);
}

sub open_token { return token(2, 'm.1', @_) }
sub click_token { return token(3, "m.1\0" . ($_[0] // $url)) }
sub bye_token { return token(4, 'm.1', @_) }

our $config = <<'CONF';
    location /t/ {
        loyalty on;
        loyalty_site demo;
        loyalty_track secret=$TEST_NGINX_DIR/secret;
    }
CONF

our $human = 'User-Agent: Mozilla/5.0 (X11; Linux x86_64) Firefox/120.0';

sub entries {
    my $text = '';
    for my $stream (qw(tracks unsubscribes)) {
        my $key = "loyalty:s:{demo}:$stream";
        my $found = Loyalty::redis('xrange', $key, '-', '+');
        $found =~ s/^k$/$stream\nk/mg if $stream eq 'unsubscribes';
        $text .= "$found\n";
        Loyalty::redis('del', $key);
    }
    return join ' ', grep { length && !/^\d{13}(-\d+)?$/ && $_ ne 't' }
        split /\n/, $text;
}

add_response_body_check(sub {
    my ($block) = @_;
    return unless defined $block->stream;
    my $wanted = $block->stream;
    chomp $wanted;
    my $found = '';
    for (1 .. 100) {
        last if ($found = entries()) ne '' || $wanted eq '';
        select undef, undef, undef, 0.02;
    }
    Test::More::is($found, $wanted, $block->name . ' - the stream');
});

Loyalty::nginx();
no_long_string();
no_shuffle();
run_tests();

__DATA__

=== an open is an image, and an entry
--- config eval: $::config
--- request eval: "GET /t/o/" . main::open_token()
--- more_headers eval: $::human
--- response_headers
Content-Type: image/gif
Cache-Control: private, no-store
Referrer-Policy: no-referrer
Content-Length: 43
--- response_body_filters eval: sub { unpack 'H12', shift }
--- response_body_like: ^474946383961
--- stream
k o i m.1



=== a machine's is counted apart: a proxy, Apple's, a prefetch, HEAD
--- config eval: $::config
--- request eval
["GET /t/o/" . main::open_token(), "GET /t/o/" . main::open_token(),
 "GET /t/o/" . main::open_token(), "HEAD /t/o/" . main::open_token()]
--- more_headers eval
["User-Agent: Mozilla/5.0 (via ggpht.com GoogleImageProxy)",
 "User-Agent: Mozilla/5.0", "$::human\nSec-Purpose: prefetch", $::human]
--- error_code eval: [(200) x 4]
--- stream
k o i m.1 b 1



=== a token that is none is an image, and nothing else
--- config eval: $::config
--- request eval
["GET /t/o/x", "GET /t/o/" . main::token(2, "m.1", site => "other"),
 "GET /t/o/" . main::token(2, "m.1", secret => "another secret, 16 bytes"),
 "GET /t/o/" . main::token(2, "m.1", expires => Loyalty::now() - 1),
 "GET /t/o/" . main::bye_token(), "GET /t/o/"]
--- error_code eval: [(200) x 6]
--- response_body_filters eval: sub { unpack 'H12', shift }
--- response_body_like eval: [(qr/^474946383961/) x 6]
--- stream eval: ""



=== a click leads to the URL of its message
--- config eval: $::config
--- request eval: "GET /t/c/" . main::click_token()
--- more_headers eval: $::human
--- error_code: 302
--- response_headers eval: "Location: $::url"
--- stream
k c i m.1



=== but to no other: signed, and http
--- config eval: $::config
--- request eval
["GET /t/c/" . main::open_token(), "GET /t/c/x",
 "GET /t/c/" . main::click_token("javascript:alert(1)"),
 "GET /t/c/" . main::click_token("//evil.example/"),
 "GET /t/c/" . main::click_token("https://a.example/\r\nX-Evil: 1"),
 "GET /t/c/" . main::token(3, "m.1")]
--- error_code eval: [(404) x 6]
--- stream eval: ""



=== the link to unsubscribe shows a button, and changes nothing
--- config eval: $::config
--- request eval: "GET /t/u/" . main::bye_token()
--- more_headers eval: "$::human\nAccept-Language: en"
--- response_headers
Content-Type: text/html; charset=utf-8
Vary: Accept-Language
--- response_body_like eval
qr{<html lang="en">.*<title>Unsubscribe</title>.*<h1>.*<form method="post"><button>Unsubscribe</button></form>}s
--- stream eval: ""



=== in French, too
--- config eval: $::config
--- request eval: "GET /t/u/" . main::bye_token()
--- more_headers
Accept-Language: fr-CA
--- response_body_like: <html lang="fr">
--- stream eval: ""



=== a link that has expired says so, and changes nothing
--- config eval: $::config
--- request eval
["GET /t/u/" . main::bye_token(expires => Loyalty::now() - 1),
 "POST /t/u/" . main::bye_token(expires => Loyalty::now() - 1)]
--- more_headers
Accept-Language: fr
--- error_code eval: [404, 404]
--- response_body_like eval: [('expiré') x 2]
--- stream eval: ""



=== one click of a mail program unsubscribes
--- config eval: $::config
--- request eval
"POST /t/u/" . main::bye_token() . "\nList-Unsubscribe=One-Click"
--- more_headers eval
"$::human\nContent-Type: application/x-www-form-urlencoded"
--- response_body_like: You are unsubscribed
--- stream
unsubscribes k u i m.1



=== not with another token, nor by POST elsewhere
--- config eval: $::config
--- request eval
["POST /t/u/" . main::open_token(), "POST /t/o/" . main::open_token(),
 "POST /t/c/" . main::click_token(), "PUT /t/u/" . main::bye_token(),
 "GET /t/x/" . main::open_token(), "GET /t/"]
--- error_code eval: [404, 405, 405, 405, 404, 404]
--- stream eval: ""



=== without Redis images and redirects go out, an unsubscribe says so
--- http_config
    loyalty_redis unix:/nowhere/redis.sock timeout=50ms;
--- config eval: $::config
--- request eval
["GET /t/o/" . main::open_token(), "GET /t/c/" . main::click_token(),
 "POST /t/u/" . main::bye_token()]
--- error_code eval: [200, 302, 503]
--- response_body_filters eval: sub { $_[0] =~ /^GIF/ ? 'image' : shift }
--- response_body_like eval: [qr/^image/, qr/^$/, qr/try again/]



=== it needs a secret
--- config
    location /t/ { loyalty_track secret=; }
--- must_die
--- error_log
the secret of "loyalty_track" needs the name of a file



=== and knows no other parameter
--- config
    location /t/ { loyalty_track key=x; }
--- must_die
--- error_log
"loyalty_track" takes secret=FILE
