# Quotes: carts for guests, members and members tried out; offers tried out;
# the worked examples of SHARED; what is refused.

use lib 't/lib';
use Backend;
use JSON::PP;
use Test::Nginx::Socket;

my $json = JSON::PP->new->canonical->utf8->allow_nonref;

Backend::site('demo', {offers => [
    {id => 'ten', type => 'promotion', name => 'Ten off everything',
     discount => {kind => 'percent', percent => '10'}},
    {id => 'gold', type => 'promotion', name => 'For gold', priority => 1,
     statuses => ['gold'], discount => {kind => 'amount', amount => 500}},
    {id => 'mug', type => 'coupon', name => 'A mug', code => 'MUG',
     loyalty_price => 100, limit_per_member => 1,
     scope => {kind => 'products', values => ['mug']},
     discount => {kind => 'percent', percent => '100'}},
]});
Backend::site('young', {offers => [
    {id => 'new', type => 'promotion', name => 'For the new',
     segments => ['new'], discount => {kind => 'amount', amount => 100}},
    {id => 'first', type => 'promotion', name => 'The first order',
     order_number => 1, discount => {kind => 'amount', amount => 30}},
    {id => 'second', type => 'promotion', name => 'The second order',
     order_number => 2, discount => {kind => 'amount', amount => 7}},
]});
Loyalty::member(demo => {
    id => 'anna', spent_total => 1_000_000, order_count => 3,
    signed_up_at => 1_600_000_000_000,
});

# A site for each currency of the examples, and a request for each cart.
our (@requests, @expected);
my %sites;
for my $file (($ENV{SHARED} // '../shared') . '/cases/examples.json',
              't/data/published.json') {
    open my $in, '<:raw', $file or next;
    local $/;
    for my $case (@{$json->decode(<$in>)->{cart}}) {
        my %cart = %{$case->{given}};
        my $site = 'in-' . lc($cart{currency} // 'GBP');
        Backend::site($site, {settings => {currency => $cart{currency}}})
            unless $sites{$site}++;
        my %preview = map { exists $cart{$_} ? ($_ => delete $cart{$_}) : () }
            qw(offers usage earning);
        my $body = $json->encode(
            {%cart, preview => \%preview, explain => JSON::PP::true});
        push @requests, "POST /v1/sites/$site/quotes\n$body";
        push @expected, $case;
    }
}

# What the case expects and the answer has not, by its place; none: ''.
sub misses {
    my ($case, $answer) = @_;
    my $expect = $case->{expect};
    my $found = eval { $json->decode($answer) } // return "no JSON: $answer";
    my $plain = sub {
        [map { {offer_id => $_->{offer_id}, amount => $_->{amount}} }
         grep { $_->{amount} } @{$_[0]}]
    };
    my @misses;

    for my $key (qw(subtotal total_discount total points_to_earn lines)) {
        push @misses, $key if exists $expect->{$key}
            && $json->encode($expect->{$key}) ne $json->encode($found->{$key});
    }
    push @misses, 'discounts' if exists $expect->{discounts}
        && $json->encode($plain->($expect->{discounts}))
           ne $json->encode($plain->($found->{discounts}));
    for my $want (@{$expect->{rejected} // []}) {
        push @misses, "rejected $want->{reason}" unless grep {
            my $have = $_;
            $have->{reason} eq $want->{reason}
                && grep { defined $want->{$_} && defined $have->{$_}
                          && $want->{$_} eq $have->{$_} } qw(offer_id code)
        } @{$found->{rejected}};
    }

    return @misses ? "$case->{id}: @misses: $answer" : '';
}

our @bodies;
add_response_body_check(sub {
    my ($block, $body) = @_;
    push @bodies, $body if $block->name =~ /worked examples/;
});

our $mug = '"lines":[{"id":"a","sku":"mug","quantity":1,"unit_price":900},'
    . '{"id":"b","sku":"tea","quantity":2,"unit_price":550}]';

sub main::cart { return "POST /v1/sites/demo/quotes\n{$_[0]}" }

run_tests();

my $number = 0;
for my $case (@expected) {
    my $misses = misses($case, $bodies[$number++] // '');
    Test::More::is($misses, '', "worked example $case->{id}");
}

__DATA__

=== TEST 1: a guest gets what is for everyone
--- request eval: main::cart(qq("currency":"GBP",$main::mug))
--- error_code: 200
--- response_body_like chomp
"subtotal":2000,"total_discount":200,"total":1800,.*"discounts":\[\{"offer_id":"ten","amount":200,



=== TEST 2: a member of the site brings status, orders and points
gold: 5.00 first, then 10 % of 15.00
--- request eval: main::cart(qq("member_id":"anna",$main::mug))
--- error_code: 200
--- response_body_like chomp
"total":1350,.*"offer_id":"gold","amount":500,.*"offer_id":"ten","amount":150,



=== TEST 3: a member tried out
--- request eval: main::cart(qq("member":{"status":"gold"},$main::mug))
--- error_code: 200
--- response_body_like: "total":1350,



=== TEST 4: a code in any case, with blanks, and the points it costs
--- request eval
[main::cart(qq("codes":[" m ug\\t"],"member":{"points":100},$main::mug)),
 main::cart(qq("codes":["Mug"],"member":{"points":99},$main::mug)),
 main::cart(qq("codes":["mug"],"member_id":"anna",$main::mug)),
 main::cart(qq("codes":["cup"],$main::mug))]
--- error_code eval: [200, 200, 200, 200]
--- response_body_like eval
['"total":990,.*"rejected":\[\]',
 '"rejected":\[\{"reason":"insufficient_points","offer_id":"mug","code":"Mug"\}\]',
 '"rejected":\[\{"reason":"insufficient_points"',
 '"rejected":\[\{"reason":"not_found","code":"cup"\}\]']



=== TEST 5: every candidate is explained when asked
--- request eval
main::cart(qq("explain":true,$main::mug))
--- error_code: 200
--- response_body_like: "rejected":\[\{"reason":"status","offer_id":"gold"\}\]



=== TEST 6: offers, uses and rate tried out in place of the site's
--- request eval
[main::cart(qq("member":{"status":"diamond"},"preview":{"offers":[{"id":"p",
 "type":"promotion","statuses":["diamond"],"limit_total":2,
 "discount":{"kind":"amount","amount":2000}}],"usage":{"p":{"total":1}},
 "earning":{"rate":"1.5","multiplier":"2"}},$main::mug)),
 main::cart(qq("explain":true,"preview":{"offers":[{"id":"p",
 "type":"promotion","limit_total":2,
 "discount":{"kind":"amount","amount":100}}],"usage":{"p":{"total":2}},
 "earning":{"rate":"1.5","multiplier":"2"}},$main::mug))]
--- error_code eval: [200, 200]
--- response_body_like eval
['"total":0,.*"points_to_earn":0',
 '"rejected":\[\{"reason":"limit_total","offer_id":"p"\}\],"points_to_earn":60']



=== TEST 7: an empty cart comes to nothing
--- request eval
[main::cart('"lines":[]'), main::cart('')]
--- error_code eval: [200, 200]
--- response_body_like eval: ['"total":0', '"total":0']



=== TEST 8: a cart that is wrong, each mistake with its place
--- request eval
[main::cart('"lines":[{"sku":"a","quantity":-1,"unit_price":1}]'),
 main::cart('"lines":[{"sku":"a","quantity":1,"unit_price":-1}]'),
 main::cart('"lines":[{"sku":"a","quantity":1}],"currency":"EUR"'),
 main::cart('"member":{"segments":["old"]}'),
 main::cart('"member_id":7'),
 main::cart('"member_id":"anna","member":{"status":"gold"}'),
 main::cart('"preview":{"offers":[{"id":"p","type":"gift"}]}'),
 main::cart('"preview":{"offers":{}}'),
 main::cart('"lines":[{"sku":"a","quantity":1,"unit_price":1.5}]'),
 main::cart('"at":"yesterday"'),
 main::cart('"codes":[1]')]
--- error_code eval: [(422) x 11]
--- response_body_like eval
['"pointer":"/lines/0/quantity"', '"pointer":"/lines/0/unit_price"',
 '"pointer":"/lines/0/unit_price".*"pointer":"/currency"',
 '"pointer":"/member/segments', '"pointer":"/member_id"',
 '"pointer":"/member"', '"pointer":"/preview/offers/0/type"',
 '"pointer":"/preview/offers"', '"pointer":"/lines/0/unit_price"',
 '"pointer":"/at"', '"pointer":"/codes']



=== TEST 9: more than 64 bits hold, more lines and codes than there may be
--- request eval
[main::cart('"lines":[' . join(',', ('{"sku":"a","quantity":1000000000,'
  . '"unit_price":1000000000000000}') x 2) . ']'),
 main::cart('"lines":[' . join(',', ('{"sku":"a","quantity":1,'
  . '"unit_price":1}') x 5001) . ']'),
 main::cart('"codes":[' . join(',', ('"x"') x 51) . ']')]
--- error_code eval: [422, 422, 422]
--- response_body_like eval
['"pointer":"/lines"', '"pointer":"/lines"', '"pointer":"/codes"']



=== TEST 10: nobody, nowhere, nothing, no token
--- request eval
[main::cart('"member_id":"' . 'n' x 129 . '"'),
 "POST /v1/sites/none/quotes\n{}", "POST /v1/sites/demo/quotes\n[]",
 "GET /v1/sites/demo/quotes"]
--- error_code eval: [404, 404, 400, 405]
--- response_body_like eval
['no such member', 'no such site', 'invalid_json', 'method_not_allowed']



=== TEST 11: without a token
--- token: none
--- request eval: main::cart('')
--- error_code: 401
--- response_body_like: unauthorized



=== TEST 12: the same answer again under the same key
--- more_headers
Idempotency-Key: quote-1
--- request eval
[main::cart(qq($main::mug)), main::cart(qq($main::mug)),
 main::cart('"lines":[]')]
--- error_code eval: [200, 200, 422]
--- response_body_like eval
['"total":1800', '"total":1800', 'idempotency_key_reused']



=== TEST 13: the worked examples
--- request eval: @main::requests ? [@main::requests] : main::cart('')
--- error_code eval: @main::requests ? [(200) x @main::requests] : 200



=== TEST 14: a member not on record is one without history
no status, no points, new, their first order; of the quote nothing stays
--- request eval
['POST /v1/sites/young/quotes
{"member_id":"nobody","lines":[{"sku":"a","quantity":1,"unit_price":1000}]}',
 'POST /v1/sites/young/quotes
{"lines":[{"sku":"a","quantity":1,"unit_price":1000}]}',
 'GET /v1/sites/young/members/nobody',
 main::cart(qq("codes":["mug"],"member_id":"nobody",$main::mug))]
--- error_code eval: [200, 200, 404, 200]
--- response_body_like eval
['"total":870,', '"total":1000,', 'no such member',
 '"total":1800,.*"rejected":\[\{"reason":"insufficient_points"']
