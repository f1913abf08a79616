# Order capture: which answers give an order, what is taken from them, and
# what the shopper sees.
#
# A block's `answer` is what the shop says; `event` is what must be in the
# stream then, or "none".  Without `config` the location captures by `order`.

use lib 't/lib';
use Test::Nginx::Socket;
use JSON::PP;
use Loyalty;

our $json = JSON::PP->new->canonical;

Loyalty::program(demo => {});
Loyalty::program(tokyo => {settings => {currency => 'JPY'}});
Loyalty::program(kuwait => {settings => {currency => 'KWD'}});

our $main = "load_module $ENV{LOYALTY_MODULE};";
our $http = qq{
    loyalty_redis unix:$Loyalty::socket timeout=$Loyalty::timeout;
    loyalty_zone members 4m;
    loyalty_journal $Loyalty::dir/journal;
};

add_block_preprocessor(sub {
    my ($block) = @_;
    my $site = $block->site // 'demo';
    my $status = $block->shop_status // 200;
    my $type = $block->shop_type // 'application/json';
    my $more = $block->shop_more // '';
    my $order = $block->order // 'loyalty_order json;';

    $block->set_value(main_config => $main) unless $block->main_config;
    $block->set_value(http_config => $http) unless $block->http_config;
    $block->set_value(request => "POST /checkout\n{}")
        unless defined $block->request || defined $block->pipelined_requests;
    $block->set_value(more_headers => "Member: anna\n")
        unless defined $block->more_headers;
    $block->set_value(error_code => $status)
        unless defined $block->error_code || defined $block->must_die;
    unless (defined $block->config) {
        chomp(my $answer = $block->answer);
        $block->set_value(user_files => ">>> order\n$answer")
            unless $block->user_files;
        $block->set_value(config => qq{
            location /checkout {
                loyalty on;
                loyalty_site $site;
                loyalty_member \$http_member;
                $order
                proxy_pass http://127.0.0.1:\$TEST_NGINX_SERVER_PORT/shop;
            }
            location = /shop {
                error_page 418 =$status /made/order;
                return 418;
            }
            location /made/ {
                internal;
                default_type $type;
                $more
                alias html/;
            }
        });
        $block->set_value(response_body => $answer)
            unless defined $block->response_body;
    }
});

sub newest {
    my ($site) = @_;
    my $entry = Loyalty::redis('xrevrange', "loyalty:s:{$site}:orders", '+',
                               '-', 'count', 1);
    return $entry =~ /^(\{.*\})$/m ? $1 : '';
}

# The stream follows the answer by a moment; where nothing may come, an order
# that must come shows that nothing has.
add_response_body_check(sub {
    my ($block, $body, $req, $repeated, $dry) = @_;
    return if $dry || !defined $block->event;

    my $site = $block->site // 'demo';
    my $event = '';
    for (1 .. ($block->event =~ /^none/ ? 8 : 60)) {
        $event = newest($site);
        last if $event;
        select undef, undef, undef, 0.05;
    }
    Loyalty::redis('del', "loyalty:s:{$site}:orders");

    if ($block->event =~ /^none/) {
        Test::More::is($event, '', $block->name . ' - no event');
        return;
    }
    my $got = $event ? $json->decode($event) : {};
    my $expected = $json->decode($block->event);
    Test::More::is($json->encode({map { $_ => $got->{$_} } keys %$expected}),
                   $json->encode($expected), $block->name . ' - event');
    Test::More::like($got->{occurred_at} // '', qr/^20.*Z$/,
                     $block->name . ' - occurred_at');
});

no_long_string();
no_shuffle();
plan 'no_plan';
run_tests();

__DATA__

=== TEST 1: an order by our own field names
--- answer
{"order_id":"o-1","placed_at":"2010-12-01T08:26:00Z","lines":[{"sku":"85123A","category":"home/light","quantity":6,"unit_price":"2.55"},{"sku":"71053","quantity":6,"unit_price":"3.39"}],"total":"35.64"}
--- event
{"order_id":"o-1","member_id":"anna","status":"completed","placed_at":"2010-12-01T08:26:00Z","currency":"GBP","total":3564,"lines":[{"sku":"85123A","category":"home/light","quantity":6,"unit_price":"2.55","amount":1530},{"sku":"71053","quantity":6,"unit_price":"3.39","amount":2034}]}
--- no_error_log
[error]
[alert]
[crit]
[emerg]



=== TEST 2: the sum of the lines where there is no total, each rounded half up
--- answer
{"order_id":"o-2","lines":[{"sku":"A","quantity":3,"unit_price":"0.335"},{"sku":"B","quantity":1,"unit_price":0.1},{"sku":"C","quantity":1,"amount":"0.20"}]}
--- event
{"order_id":"o-2","total":131}
--- no_error_log
[error]
[alert]
[crit]
[emerg]



=== TEST 3: a number is taken by its 15 digits
--- answer
{"order_id":3,"total":0.30000000000000004}
--- event
{"order_id":"3","total":30}
--- no_error_log
[error]
[alert]
[crit]
[emerg]



=== TEST 4: yen have no minor unit
--- site: tokyo
--- answer
{"order_id":"o-4","total":"1200.5"}
--- event
{"order_id":"o-4","total":1201,"currency":"JPY"}
--- no_error_log
[error]
[alert]
[crit]
[emerg]



=== TEST 5: a Kuwaiti dinar has three places
--- site: kuwait
--- answer
{"order_id":"o-5","total":"12.345"}
--- event
{"order_id":"o-5","total":12345,"currency":"KWD"}
--- no_error_log
[error]
[alert]
[crit]
[emerg]



=== TEST 6: minor units, pointers into the shop's own document, another status
--- order
loyalty_order json id=/data/number total=/data/cents lines=/data/items sku=/product/code quantity=/n unit_price=/product/cents placed_at=/data/at currency=/data/money status=placed amounts=minor;
--- answer
{"data":{"number":"A/1","cents":4200,"money":"GBP","at":"2010-12-01T10:26:00+02:00","items":[{"product":{"code":"X","cents":2100},"n":2}]}}
--- event
{"order_id":"A/1","total":4200,"status":"placed","lines":[{"sku":"X","quantity":2,"unit_price":"21.00","amount":4200}]}
--- no_error_log
[error]
[alert]
[crit]
[emerg]



=== TEST 7: another currency than the site's is refused, the answer goes out
--- answer
{"order_id":"o-7","total":"1.00","currency":"EUR"}
--- event: none
--- error_log
loyalty order of site "demo" not captured: "/currency" is not the site's currency
--- no_error_log
[alert]
[crit]
[emerg]



=== TEST 8: an answer that is no JSON
--- answer
{"order_id":"o-8",
--- event: none
--- error_log
not captured: "" is no JSON
--- no_error_log
[alert]
[crit]
[emerg]



=== TEST 9: a mistake is told with its place
--- answer
{"order_id":"o-9","lines":[{"sku":"A","quantity":1,"unit_price":"1,50"}]}
--- event: none
--- error_log
not captured: "/lines/0/unit_price" must be a decimal
--- no_error_log
[alert]
[crit]
[emerg]



=== TEST 10: a guest's order is not captured
--- more_headers
--- answer
{"order_id":"o-10","total":"1.00"}
--- event: none
--- no_error_log
[error]
[alert]
[crit]
[emerg]



=== TEST 11: an answer of another type is no order
--- shop_type: text/html
--- answer
<p>Thank you</p>
--- event: none
--- no_error_log
[error]
[alert]
[crit]
[emerg]



=== TEST 12: a failed checkout is no order
--- shop_status: 402
--- answer
{"order_id":"o-12","total":"1.00"}
--- event: none
--- no_error_log
[error]
[alert]
[crit]
[emerg]



=== TEST 13: an error of the shop is no order
--- shop_status: 500
--- answer
{"order_id":"o-13","total":"1.00"}
--- event: none
--- no_error_log
[error]
[alert]
[crit]
[emerg]



=== TEST 14: 201 is
--- shop_status: 201
--- answer
{"order_id":"o-14","total":"1.00"}
--- event
{"order_id":"o-14","total":100}
--- no_error_log
[error]
[alert]
[crit]
[emerg]



=== TEST 15: a compressed answer passes and is counted
--- shop_more: add_header Content-Encoding gzip;
--- answer
{"order_id":"o-15","total":"1.00"}
--- event: none
--- no_error_log
[error]
[alert]
[crit]
[emerg]



=== TEST 16: loyalty_order off
--- order
loyalty_order off;
--- answer
{"order_id":"o-16","total":"1.00"}
--- event: none
--- no_error_log
[error]
[alert]
[crit]
[emerg]



=== TEST 17: the header is taken out of the answer
--- order
loyalty_order header=X-Order;
--- shop_type: text/html
--- shop_more: add_header X-Order '{"order_id":"o-17","total":"17.00"}' always;
--- answer
<p>Thank you</p>
--- response_headers
! X-Order
--- event
{"order_id":"o-17","total":1700}
--- no_error_log
[error]
[alert]
[crit]
[emerg]



=== TEST 18: also out of an answer that is no order
--- order
loyalty_order header=x-order;
--- shop_status: 404
--- shop_more: add_header X-Order '{"order_id":"o-18","total":"18.00"}' always;
--- answer
nothing
--- response_headers
! X-Order
--- event: none
--- no_error_log
[error]
[alert]
[crit]
[emerg]



=== TEST 19: a bad header
--- order
loyalty_order header=X-Order;
--- shop_more: add_header X-Order 'order 19';
--- answer
<p>Thank you</p>
--- response_headers
! X-Order
--- event: none
--- error_log
not captured: "" is no JSON
--- no_error_log
[alert]
[crit]
[emerg]



=== TEST 20: groups of a pattern, a line for each match with a sku
--- order
loyalty_order "regex=Order (?<order_id>\d+), total (?<total>[\d.]+)|<li>(?<quantity>\d+) x (?<sku>\w+) at (?<unit_price>[\d.]+)</li>";
--- shop_type: text/html
--- answer
<h1>Order 20, total 9.00</h1><ul><li>2 x A at 1.50</li><li>3 x B at 2</li></ul>
--- event
{"order_id":"20","total":900,"lines":[{"sku":"A","quantity":2,"unit_price":"1.50","amount":300},{"sku":"B","quantity":3,"unit_price":"2","amount":600}]}
--- no_error_log
[error]
[alert]
[crit]
[emerg]



=== TEST 21: a document in a page
--- order
loyalty_order "regex=<script id=order>(?<document>.*?)</script>";
--- shop_type: text/html
--- answer
<script>1</script><script id=order>{"order_id":"o-21","total":"21.00"}</script>
--- event
{"order_id":"o-21","total":2100}
--- no_error_log
[error]
[alert]
[crit]
[emerg]



=== TEST 22: a page without the pattern is no order, and nothing to log
--- order
loyalty_order "regex=Order (?<order_id>\d+)";
--- shop_type: text/html
--- answer
<p>Sold out</p>
--- event: none
--- no_error_log
[error]
[alert]
[crit]
[emerg]



=== TEST 23: a pattern that explodes is stopped
--- order
loyalty_order "regex=(?<order_id>(a+)+)[bc]";
--- shop_type: text/html
--- answer eval
"a" x 5000
--- event: none
--- error_log
is past the limits of matching
--- no_error_log
[alert]
[crit]
[emerg]



=== TEST 24: an answer past the limit passes whole
--- answer eval
'{"order_id":"o-24","total":"1.00","note":"' . ("x" x (1024 * 1024)) . '"}'
--- event: none
--- error_log
not captured: it is too large
--- no_error_log
[alert]
[crit]
[emerg]



=== TEST 25: so does one whose length is not known beforehand
--- config
location /checkout {
    loyalty on;
    loyalty_site demo;
    loyalty_member $http_member;
    loyalty_order json;
    proxy_http_version 1.1;
    proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/shop;
}
location /shop {
    default_type application/json;
    addition_types application/json;
    add_before_body /half;
    return 200 "x";
}
location /half { default_type application/json; alias html/half; }
--- user_files eval
">>> half\n" . ("y" x (1024 * 1024))
--- request
GET /checkout
--- error_code: 200
--- response_body eval
("y" x (1024 * 1024)) . "x"
--- event: none
--- error_log
not captured: it is too large
--- no_error_log
[alert]
[crit]
[emerg]



=== TEST 26: a large order below the limit
--- answer eval
'{"order_id":"o-26","total":"26.00","note":"' . ("x" x (1000 * 1000)) . '"}'
--- event
{"order_id":"o-26","total":2600}
--- no_error_log
[error]
[alert]
[crit]
[emerg]



=== TEST 27: more lines than an order may have
--- answer eval
'{"order_id":"o-27","total":"1.00","lines":[' . join(',', ('{"sku":"A","quantity":1,"amount":0}') x 5001) . ']}'
--- event: none
--- error_log
not captured: "/lines" has more than 5000 lines
--- no_error_log
[alert]
[crit]
[emerg]



=== TEST 28: a HEAD is no order
--- request
HEAD /checkout
--- answer
{"order_id":"o-28","total":"1.00"}
--- response_body:
--- event: none
--- no_error_log
[error]
[alert]
[crit]
[emerg]



=== TEST 29: the shop is not asked for a compressed answer or a part
--- config
location /checkout {
    loyalty on;
    loyalty_site demo;
    loyalty_member $http_member;
    loyalty_order json;
    proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/shop;
}
location /shop {
    default_type application/json;
    return 200 '{"order_id":"o-29","total":"1.00","asked":"$http_accept_encoding$http_range"}';
}
--- request
GET /checkout
--- more_headers
Member: anna
Accept-Encoding: gzip
Range: bytes=0-5
--- error_code: 200
--- response_body: {"order_id":"o-29","total":"1.00","asked":""}
--- event
{"order_id":"o-29","total":100}
--- no_error_log
[error]
[alert]
[crit]
[emerg]



=== TEST 30: the merchant's own orders stay in order on a kept connection
--- config
location /checkout {
    loyalty on;
    loyalty_site demo;
    loyalty_member $http_member;
    loyalty_order json;
    proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/shop;
}
location /shop {
    default_type application/json;
    return 200 '{"order_id":"o-$arg_n","total":"1.00"}';
}
--- pipelined_requests eval
["GET /checkout?n=1", "GET /checkout?n=2", "GET /checkout?n=3"]
--- error_code eval
[200, 200, 200]
--- response_body eval
[map { qq({"order_id":"o-$_","total":"1.00"}) } 1 .. 3]
--- no_error_log
[error]
[alert]
[crit]
[emerg]



=== TEST 31: loyalty_order needs a journal
--- http_config eval
"loyalty_redis unix:$Loyalty::socket; loyalty_zone members 4m;"
--- config
location /checkout { loyalty_order json; }
--- must_die
--- error_log
loyalty_order needs loyalty_journal and loyalty_redis



=== TEST 32: an unknown source
--- config
location /checkout { loyalty_order xml; }
--- must_die
--- error_log
invalid source "xml" of loyalty_order, it must be off, header=NAME, json or regex=PATTERN



=== TEST 33: a bad pointer
--- config
location /checkout { loyalty_order json total=sum; }
--- must_die
--- error_log
invalid JSON Pointer "total=sum" of loyalty_order



=== TEST 34: an unknown field
--- config
location /checkout { loyalty_order json sum=/sum; }
--- must_die
--- error_log
invalid parameter "sum=/sum" of loyalty_order, it takes status= and amounts=,



=== TEST 35: pointers are for JSON
--- config
location /checkout { loyalty_order header=X-Order total=/sum; }
--- must_die
--- error_log
invalid parameter "total=/sum" of loyalty_order



=== TEST 36: a status that a checkout can't give
--- config
location /checkout { loyalty_order json status=refunded; }
--- must_die
--- error_log
invalid "status=refunded" of loyalty_order



=== TEST 37: a pattern that does not compile
--- config
location /checkout { loyalty_order "regex=(?<order_id>"; }
--- must_die
--- error_log
the pattern of loyalty_order does not compile



=== TEST 38: a pattern without an order
--- config
location /checkout { loyalty_order "regex=(?<total>\d+)"; }
--- must_die
--- error_log
must have a group "document" or "order_id"



=== TEST 39: a pattern past its limit
--- config eval
'location /checkout { loyalty_order "regex=' . ('x' x 2040) . '(?<order_id>x)"; }'
--- must_die
--- error_log
the pattern of loyalty_order is longer than 2048 bytes



=== TEST 40: off takes nothing more
--- config
location /checkout { loyalty_order off status=placed; }
--- must_die
--- error_log
takes nothing more with "off"



=== TEST 41: a journal that is too small
--- http_config eval
"loyalty_redis unix:$Loyalty::socket; loyalty_zone members 4m;
 loyalty_journal $Loyalty::dir/small max_size=64k;"
--- config
--- must_die
--- error_log
must have a size of at least 1m



=== TEST 42: a journal's unknown parameter
--- http_config eval
"loyalty_redis unix:$Loyalty::socket; loyalty_zone members 4m;
 loyalty_journal $Loyalty::dir/small sync=sometimes;"
--- config
--- must_die
--- error_log
invalid parameter "sync=sometimes" of loyalty_journal, known are



=== TEST 43: order_post needs a location's URI
--- config
location /checkout { loyalty_order json; loyalty_order_post http://crm/; }
--- must_die
--- error_log
loyalty_order_post "http://crm/" must be the URI of a location
