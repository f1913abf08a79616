# The member in a JSON object.

use strict;
use warnings;

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Loyalty;
use Shop;

our $anna = '{"member":"anna","status":{"id":"bronze","name":"Bronze"},'
    . '"progress":{"current":"bronze","next":"silver","value":150050,'
    . '"remaining":349950,"percent":12},"points":{"active":1500,"pending":0,'
    . '"life":1700},"segments":[],"segment":null}';
our $guest = '{"member":null,"status":null,"progress":null,"points":null,'
    . '"segments":[],"segment":null}';

Loyalty::program(demo => {});
Loyalty::program(odd => {
    settings => {criterion => 'segment', segments => {
        new => 30, recurring => 90, at_risk => 60, vip => 500}},
    statuses => [{id => 'fresh', name => {en => "\"F\\<\x{e9}>"},
                  segment => 'new'}]
});
Loyalty::program(zero => {statuses => [
    {id => 'base', name => {en => 'Base'}, threshold => 0},
    {id => 'top', name => {en => 'Top'}, threshold => 5000}]});
Loyalty::member(demo => {id => 'anna', spent_total => 150050, points => 1500,
                         life => 1700, tier => 'bronze'});
Loyalty::member(odd => {id => 'bob"', signed_up_at => -60, points => 2,
                        life => 600,
                        last_order_at => -60, order_count => 1});

# What goes in, what comes out; by hand.
our @valid = (
    ['{}', "{\"loyalty\":$anna}"],
    [" { \n} \n", " { \n\"loyalty\":$anna} \n"],
    ["\xef\xbb\xbf{\"a\":1}", "\xef\xbb\xbf{\"a\":1,\"loyalty\":$anna}"],
    ['{"a":{"loyalty":1},"b":["loyalty",{"loyalty":2}]}',
     "{\"a\":{\"loyalty\":1},\"b\":[\"loyalty\",{\"loyalty\":2}],"
     . "\"loyalty\":$anna}"],
    ['{"a":"}\"{\\\\","b":-0.5e+3}',
     "{\"a\":\"}\\\"{\\\\\",\"b\":-0.5e+3,\"loyalty\":$anna}"],
    ['{"loyalty":null,"a":1}', "{\"loyalty\":$anna,\"a\":1}"],
    ['{"a":1, "loyalty" : {"x":["}"]} }', "{\"a\":1, \"loyalty\" : $anna }"],
    ['{"loy\u0061lty":1}', "{\"loy\\u0061lty\":$anna}"],
    ['{"loyalty":1,"loyalty":2}', "{\"loyalty\":$anna,\"loyalty\":$anna}"],
);
our @invalid = ('', '[]', '[{"a":1}]', '"text"', '1', 'null', '{', '{"a":}',
                '{"a":1} x', '{"a":1}{}', '{"loyalty":1,}', '{"a":01}',
                '<html>', "{\"a\":\"\x01\"}", '{"loyalty":"abc"');

my $n = 0;
my %pages = map { ("v" . $n++ => {type => 'application/json',
                                  body => $_->[0]}) } @valid;
$n = 0;
$pages{"i" . $n++} = {type => 'application/json; charset=utf-8', body => $_,
                      headers => ['ETag: "1"']} for @invalid;
our $large = '{"a":"' . 'x' x 200_000 . '","loyalty":[1,2],"b":"'
    . 'y' x 200_000 . '"}';
Shop::start(
    %pages,
    problem => {type => 'application/problem+json', body => '{"a":1}'},
    text => {type => 'text/plain', body => '{"a":1}'},
    html => {type => 'text/html', body => '{"a":1}'},
    gzipped => {type => 'application/json', body => '{"a":1}',
                headers => ['Content-Encoding: br']},
    deep => {type => 'application/json',
             body => '{"a":' . '[' x 512 . ']' x 512 . '}'},
    notdeep => {type => 'application/json',
                body => '{"a":' . '[' x 511 . ']' x 511 . '}'},
    large => {type => 'application/json', body => $large},
    largeend => {type => 'application/json',
                 body => '{"a":"' . 'x' x 200_000 . "\"}\n"},
    largebad => {type => 'application/json',
                 body => '{"a":"' . 'x' x 200_000 . "\"} {}"},
    largelist => {type => 'application/json', body => '[' . '1,' x 99_999 . '1]'},
    small => {type => 'application/json', body => '{"a":{"b":1},"c":[1]}'},
    created => {type => 'application/json', body => '{"a":1}',
                status => '201 Created'},
);

Loyalty::nginx();
add_block_preprocessor(sub {
    my ($block) = @_;
    $block->set_value(http_config => qq{
        loyalty_redis unix:$Loyalty::socket timeout=2s;
        loyalty_site demo;
        loyalty_member \$arg_m;
        loyalty on;
        types { application/json json; }
        } . ($block->http_config // ''));
    $block->set_value(config => $block->config
        =~ s/\bshop;/proxy_pass http:\/\/unix:$Shop::socket:\/;/gr);
});

no_long_string();
no_root_location();
no_shuffle();
run_tests();

__DATA__

=== valid objects get the member, the length is true
--- config
    location / { loyalty_inject json; shop; }
--- request eval
[map { "GET /v$_?m=anna" } 0 .. $#::valid]
--- response_body eval
[map { $_->[1] } @::valid]
--- response_headers eval
[map { 'Content-Length: ' . length($_->[1])
       . "\nCache-Control: private\nETag:" } @::valid]



=== the same in two pieces, and byte by byte
--- config
    location /a/ { loyalty_inject json; shop; }
    location /b/ { loyalty_inject json; proxy_buffering off; shop; }
--- request eval
[map { ("GET /a/v$_?m=anna&split=9&mode=chunked", "GET /b/v$_?m=anna&split=5",
        "GET /b/v$_?m=anna&split=every&mode=close") } 0 .. $#::valid]
--- response_body eval
[map { ($_->[1]) x 3 } @::valid]



=== a small object cut at every byte, unbuffered and of unknown length
--- config
    location / { loyalty_inject json; proxy_buffering off; shop; }
--- request eval
[map { "GET /small?m=anna&mode=chunked&split=$_" } 1 .. 20]
--- response_body eval
[("{\"a\":{\"b\":1},\"c\":[1],\"loyalty\":$::anna}") x 20]



=== what is no valid object passes as it is, with its tag
--- config
    location / { loyalty_inject json; shop; }
--- request eval
[map { "GET /i$_?m=anna" } 1 .. $#::invalid]
--- response_body eval
[@::invalid[1 .. $#::invalid]]
--- response_headers eval
[map { 'Content-Length: ' . length($_) . "\nETag: \"1\"" }
 @::invalid[1 .. $#::invalid]]



=== and is counted
--- config
    location / { loyalty_inject json; shop; }
    location = /metrics { loyalty off; loyalty_metrics; }
--- request eval
[(map { "GET /i$_?m=anna" } 1 .. $#::invalid), "GET /deep?m=anna",
 "GET /metrics"]
--- response_body_like eval
[(".") x ($#::invalid + 1), qr{reason="not_object"\} 6\n(?s:.*)reason="invalid_json"\} 8\n(?s:.*)reason="too_deep"\} 1\n}]



=== depth has its limit
--- config
    location / { loyalty_inject json; shop; }
--- request eval
["GET /deep?m=anna", "GET /notdeep?m=anna"]
--- response_body eval
['{"a":' . '[' x 512 . ']' x 512 . '}',
 '{"a":' . '[' x 511 . ']' x 511 . ",\"loyalty\":$::anna}"]



=== an object larger than what is held back streams
--- config
    location /a/ { loyalty_inject json; shop; }
    location /b/ { loyalty_inject json; proxy_buffering off; shop; }
--- request eval
[map { ("GET /$_/large?m=anna", "GET /$_/large?m=anna&mode=chunked",
        "GET /$_/largeend?m=anna") } qw(a b)]
--- response_body eval
[(($::large =~ s/\[1,2\]/$::anna/r) x 2,
  '{"a":"' . 'x' x 200_000 . "\",\"loyalty\":$::anna}\n") x 2]



=== a large document with something behind it, and a large list, pass
--- config
    location / { loyalty_inject json; shop; }
--- request eval
["GET /largebad?m=anna", "GET /largelist?m=anna"]
--- response_body eval
['{"a":"' . 'x' x 200_000 . '"} {}', '[' . '1,' x 99_999 . '1]']



=== a name of one's own, with signs in it
--- config
    location / { loyalty_inject json 'name="tier"'; shop; }
--- request
GET /v0?m=anna
--- response_body eval
"{\"\\\"tier\\\"\":$::anna}"



=== a guest is null
--- config
    location / { loyalty_inject json; shop; }
--- request
GET /v0
--- response_body eval
"{\"loyalty\":$::guest}"
--- response_headers
Cache-Control: private



=== somebody new has it all ahead
--- config
    location / { loyalty_inject json; shop; }
--- request
GET /v0?m=new
--- response_body eval
'{"loyalty":{"member":"new","status":null,"progress":{"current":null,'
. '"next":"bronze","value":0,"remaining":100000,"percent":0},"points":'
. '{"active":0,"pending":0,"life":0},"segments":[],"segment":null}}'



=== and has the first status where that begins at 0
--- config
    location / { loyalty_site zero; loyalty_inject json; shop; }
--- request
GET /v0?m=new
--- response_body eval
'{"loyalty":{"member":"new","status":{"id":"base","name":"Base"},"progress":'
. '{"current":"base","next":"top","value":0,"remaining":5000,"percent":0},'
. '"points":{"active":0,"pending":0,"life":0},"segments":[],"segment":null}}'



=== names and ids are escaped, segments listed, and no ladder is null
--- config
    location / { loyalty_site odd; loyalty_member 'bob"'; loyalty_inject json; shop; }
--- request
GET /v0
--- response_body eval
'{"loyalty":{"member":"bob\"","status":{"id":"fresh",'
. "\"name\":\"\\\"F\\\\\\u003c\xc3\xa9>\"},\"progress\":null,"
. '"points":{"active":2,"pending":0,"life":600},'
. '"segments":["vip","new","recurring"],"segment":"vip"}}'



=== an id that is no UTF-8 makes no invalid JSON
--- config
    location / { loyalty_member $arg_x$http_x_member; loyalty_inject json; shop; }
--- request
GET /v0
--- more_headers eval
"X-Member: a\xff\xc3\xa9"
--- response_body_like eval
qr{"member":"a\\ufffd\xc3\xa9",}



=== problem+json is JSON; other types, statuses and encodings pass
--- config
    location / { loyalty_inject json; shop; }
--- request eval
[map { "GET /$_?m=anna" } qw(problem text html gzipped created)]
--- response_body eval
["{\"a\":1,\"loyalty\":$::anna}", ('{"a":1}') x 4]
--- error_code eval
[200, 200, 200, 200, 201]



=== a static file
--- config
    location / { loyalty_inject json; }
--- user_files
>>> a.json
{"a": 1}
--- request
GET /a.json?m=anna
--- response_body eval
"{\"a\": 1,\"loyalty\":$::anna}\n"
--- response_headers
! ETag
! Last-Modified



=== HEAD
--- config
    location / { loyalty_inject json; shop; }
--- request
HEAD /v0?m=anna
--- response_headers
Cache-Control: private
! Content-Length
--- response_body



=== an object that breaks off passes as far as it came
--- config
    location / { loyalty_inject json; shop; }
--- raw_request eval
"GET /small?m=anna&short=10 HTTP/1.0\r\nHost: x\r\n\r\n"
--- response_body eval: '{"a":{"b":'
--- error_log
upstream prematurely closed connection



=== a name past its limit
--- config eval
"location / { loyalty_inject json name=" . 'x' x 257 . "; }"
--- must_die
--- error_log
it needs 1 to 256 bytes



=== a parameter of the other kind
--- config
    location / { loyalty_inject json marker=x; }
--- must_die
--- error_log
invalid parameter "marker=x", "loyalty_inject json" takes name=TEXT
