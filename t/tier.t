# The tier page and status.json: who sees what, in which language, and when.

use strict;
use warnings;

use lib 't/lib';
use Loyalty;
use Test::Nginx::Socket 'no_plan';

my @statuses = (
    {id => 'bronze', name => {en => 'Bronze', fr => 'Bronze'},
     threshold => 100000, color => '#8c5a2b',
     description => {en => 'Free delivery & more', fr => 'Livraison offerte'}},
    {id => 'silver', name => {en => 'Silver', fr => 'Argent'},
     threshold => 500000, image => '/img/silver.svg'},
    {id => 'gold', name => {en => '<Gold>', fr => 'Or'},
     threshold => 1000000},
);

Loyalty::program(demo => {
    version => 7, statuses => \@statuses,
    settings => {currency => 'EUR', sign_in_url => '/account/login',
                 design => 'plain'},
    designs => [{id => 'plain', colors => {primary => '#123456'},
                 fonts => {body => 'Georgia, serif'},
                 css => ".loyalty { margin: 9px; }\n",
                 logo => '/logo.svg'}],
});
Loyalty::program(off => {statuses => \@statuses,
                         settings => {active => JSON::PP::false}});
Loyalty::program(pound => {});
Loyalty::program(yen => {
    settings => {currency => 'JPY'},
    statuses => [{id => 'a', name => {en => 'A'}, threshold => 30000}]});
Loyalty::program(dinar => {
    settings => {currency => 'KWD'},
    statuses => [{id => 'a', name => {en => 'A'}, threshold => 30500}]});
Loyalty::program(orders => {
    settings => {criterion => 'orders', window => {kind => 'rolling',
                                                   days => 365}},
    statuses => [{id => 'a', name => {en => 'A'}, threshold => 1},
                 {id => 'b', name => {en => 'B'}, threshold => 3}]});
Loyalty::program(points => {
    settings => {criterion => 'life_points'},
    statuses => [{id => 'a', name => {en => 'A'}, threshold => 0},
                 {id => 'b', name => {en => 'B'}, threshold => 1500}]});
Loyalty::program(segments => {
    settings => {criterion => 'segment', segments => {
        new => 30, recurring => 90, at_risk => 60, vip => 500}},
    statuses => [{id => 'a', name => {en => 'Stars'}, segment => 'vip'},
                 {id => 'b', name => {en => 'Fresh'}, segment => 'new'}]});
Loyalty::program(german => {
    settings => {locales => ['de'], currency => 'EUR'},
    statuses => [{id => 'a', name => {de => 'Stammgast'},
                  threshold => 100000}]});
Loyalty::program(own => {
    statuses => \@statuses,
    settings => {design => 'own'},
    designs => [{id => 'own', template =>
        '{{#member}}{{status.name}}/{{points.active}}{{/member}}'
        . '{{^member}}{{title}}{{/member}}'}]});

# 1 234.50 of the 5 000 for silver, base 1 000: 234.50 / 4 000, 5 %; 3 765.50
# to go.
Loyalty::member(demo => {id => 'anna', spent_total => 123450, points => 1042,
                         pending => 17, registered => JSON::PP::true,
                         signed_up_at => -86400, order_count => 3});
Loyalty::member(demo => {id => 'gus', spent_total => 1000000, points => 1});
Loyalty::member(off => {id => 'anna', spent_total => 123450});
# Two orders, none of them in the window.
Loyalty::member(orders => {id => 'anna', order_count => 2});
Loyalty::member(points => {id => 'anna', life => 1499});
Loyalty::member(segments => {id => 'anna', signed_up_at => -86400});
Loyalty::member(own => {id => 'anna', spent_total => 123450, points => 2});

# Requests and answers are bytes.
our ($euro, $yen, $dash, $apostrophe, $fixed, $thin)
    = ("\xe2\x82\xac", "\xc2\xa5", "\xe2\x80\x93", "\xe2\x80\x99", "\xc2\xa0",
       "\xe2\x80\xaf");

our $secret = '0123456789abcdef';
Loyalty::file(secret => "$secret\n");

# A type of 1 is a preview.
our $soon = Loyalty::now() + 3600_000;
our $preview = Loyalty::token(1, $secret, 'off', $soon);

# "draft" in a preview's token: what the draft has.  In it silver begins at 600,
# so that anna's 1 234.50 have passed it and gold at 10 000 is next: 634.50 of
# 9 400, 6 %.
for (['demo', version => 7, statuses => [
         {id => 'silver', name => {en => 'Argent & Co', fr => 'Argent'},
          threshold => 60000},
         {id => 'gold', name => {en => 'Gold'}, threshold => 1000000}]],
     ['off', version => 1, statuses => [
         {id => 'only', name => {en => 'Only one'}, threshold => 0}],
      designs => [{id => 'bare', template => '<BODY id="x">{{title}}</body>'}],
      design => 'bare'],
     ['pound', version => 1, designs => [{id => 'text',
         template => '{{title}}, {{text.preview}}'}], design => 'text'],
     ['yen', version => 1, designs => [{id => 'text',
         template => 'No page: {{title}}'}], design => 'text'])
{
    my ($site, %draft) = @$_;
    my $design = delete $draft{design};
    Loyalty::redis('RENAME', "loyalty:p:{$site}", "loyalty:kept:{$site}");
    Loyalty::program($site => {
        settings => {currency => 'EUR', $design ? (design => $design) : (),
                     active => JSON::PP::false}, %draft});
    Loyalty::redis('RENAME', "loyalty:p:{$site}", "loyalty:dr:{$site}");
    Loyalty::redis('RENAME', "loyalty:kept:{$site}", "loyalty:p:{$site}");
}
Loyalty::redis('SET', 'loyalty:dr:{dinar}', '{"version":1,"settings":{"id":'
    . '"dinar","currency":"<b>"}}');
Loyalty::redis('SET', 'loyalty:dr:{orders}', 'no JSON');
Loyalty::redis('RPUSH', 'loyalty:dr:{points}', 'x');
Loyalty::redis_bytes(' ' x (4 * 1024 * 1024 + 1), 'SET',
    'loyalty:dr:{segments}');
Loyalty::redis('SET', 'loyalty:dr:{german}', '');

sub draft {
    my ($site, $rest) = @_;
    return "GET /tier?s=$site" . ($rest // '') . '&preview='
        . Loyalty::token(1, $secret, $site, $soon, 'draft');
}

our $config = <<'CONF';
    location /tier {
        loyalty on;
        loyalty_site $arg_s;
        loyalty_member $arg_m;
        loyalty_page tier secret=$TEST_NGINX_DIR/secret;
    }
    location /status.json {
        loyalty on;
        loyalty_site $arg_s;
        loyalty_member $arg_m;
        loyalty_api status;
    }
    location /closed {
        loyalty on;
        loyalty_site $arg_s;
        loyalty_page tier;
    }
CONF

Loyalty::nginx();
run_tests();

__DATA__

=== a member sees status, points, progress and the ladder
--- config eval: $::config
--- request
GET /tier?s=demo&m=anna
--- response_headers
Content-Type: text/html; charset=utf-8
Cache-Control: private, no-store
Vary: Accept-Language, Cookie, Authorization
--- response_body_like eval
qr{<html\ lang="en">.*
<title>Your\ status\ ${main::dash}\ Lantern\ &amp;\ Loom</title>.*
<link\ rel="stylesheet"\ href="\?style=7">.*
<section\ class="loyalty-card\ loyalty-status-bronze">.*
<h2>Bronze</h2>\s*<p>Free\ delivery\ &amp;\ more</p>.*
<strong>1,042\ points</strong><br>17\ points\ pending.*
Progress\ to\ Silver.*
<progress\ max="100"\ value="5"\ aria-labelledby="loyalty-progress">.*
${main::euro}3,765\.50\ of\ purchases\ to\ go\ until\ Silver.*
<li\ class="loyalty-status-bronze"\ aria-current="true">.*
${main::euro}1,000\ of\ purchases.*Your\ status</p>.*
<img\ class="loyalty-image"\ src="/img/silver.svg"\ alt="".*
<h3>&lt;Gold&gt;</h3>\s*
<p\ class="loyalty-requirement">${main::euro}10,000\ of\ purchases}xs


=== in French
--- config eval: $::config
--- more_headers
Accept-Language: fr-FR,fr;q=0.9,en;q=0.8
--- request
GET /tier?s=demo&m=anna
--- response_body_like eval
qr{<html lang="fr">.*Votre statut.*Livraison offerte.*1${main::thin}042 points</strong><br>17 points en attente.*Progression vers Argent.*Encore 3${main::thin}765,50${main::fixed}${main::euro} d${main::apostrophe}achats pour atteindre Argent.*1${main::thin}000${main::fixed}${main::euro} d${main::apostrophe}achats}s


=== at the top there is no bar
--- config eval: $::config
--- request
GET /tier?s=demo&m=gus
--- response_body_like eval
qr{^(?!.*<progress).*<strong>1 point</strong>.*You have reached the highest status\..*Reached.*Reached.*aria-current}s


=== a signed-out shopper sees the ladder and where to sign in
--- config eval: $::config
--- request
GET /tier?s=demo
--- response_headers
Cache-Control: private, no-cache
--- response_body_like eval
qr{^(?!.*(?:<progress|aria-current|Reached)).*Our loyalty programme.*<a class="loyalty-button" href="/account/login">Sign in</a>.*${main::euro}1,000 of purchases}s


=== a member without a record starts at nothing
--- config eval: $::config
--- request
GET /tier?s=demo&m=nobody
--- response_body_like eval
qr{No status yet.*0 points.*<progress max="100" value="0".*${main::euro}1,000 of purchases to go until Bronze}s


=== yen have no decimals, Kuwaiti dinars three
--- config eval: $::config
--- request eval
["GET /tier?s=yen", "GET /tier?s=dinar"]
--- response_body_like eval
[qr{${main::yen}30,000 of purchases}, qr{KWD${main::fixed}30\.500 of purchases}]


=== a pound is a pound in French too
--- config eval: $::config
--- more_headers
Accept-Language: fr
--- request
GET /tier?s=pound
--- response_body_like eval
qr{1${main::thin}000${main::fixed}\xc2\xa3 d}


=== by orders, within a year
--- config eval: $::config
--- request
GET /tier?s=orders&m=anna
--- response_body_like eval
qr{1 order to go until A.*What counts is the last 365 days.*1 order</p>.*3 orders</p>}s


=== by life points; the first status is everybody's
--- config eval: $::config
--- request
GET /tier?s=points&m=anna
--- response_body_like eval
qr{1 point to go until B.*For every member.*1,500 points}s


=== by segment: no bar
--- config eval: $::config
--- request
GET /tier?s=segments&m=anna
--- response_body_like eval
qr{^(?!.*<progress).*<h2>Fresh</h2>.*For our best customers.*aria-current="true".*For new customers}s


=== a language we have no words in: ours in English, theirs marked
--- config eval: $::config
--- request
GET /tier?s=german
--- response_body_like eval
qr{<html lang="en">.*<h3 lang="de">Stammgast</h3>}s


=== a design's own template
--- config eval: $::config
--- request eval
["GET /tier?s=own&m=anna", "GET /tier?s=own"]
--- response_body eval
["Bronze/2 points", "Our loyalty programme"]


=== the stylesheet has the design's colours, fonts and CSS, and keeps
--- config eval: $::config
--- request eval
["GET /tier?s=demo&style=7", "GET /tier?s=demo&style=6"]
--- response_headers eval
["Content-Type: text/css; charset=utf-8\nCache-Control: public, max-age=31536000, immutable",
 "Cache-Control: private, no-cache"]
--- response_body_like eval
[qr/--loyalty-primary: #123456;.*--loyalty-font-body: Georgia, serif;.*\.loyalty-status-bronze \{ --loyalty-status: #8c5a2b; \}.*\.loyalty \{ margin: 9px; \}\n$/s,
 qr/./]


=== while the programme is off there is no page, for nobody
--- config eval: $::config
--- request eval
["GET /tier?s=off", "GET /tier?s=off&m=anna", "GET /tier?s=off&style=1",
 "GET /status.json?s=off&m=anna"]
--- error_code eval
[404, 404, 404, 404]


=== nor for a site that does not exist
--- config eval: $::config
--- request eval
["GET /tier?s=nowhere", "GET /tier", "GET /status.json?s=nowhere"]
--- error_code eval
[404, 404, 404]


=== a signed link shows it as it will be
--- config eval: $::config
--- request eval
["GET /tier?s=off&preview=$::preview",
 "GET /tier?s=off&m=anna&preview=$::preview",
 "GET /tier?s=off&style=1&preview=$::preview"]
--- error_code eval
[200, 200, 200]
--- response_headers eval
["Referrer-Policy: no-referrer", "Cache-Control: private, no-store",
 "Cache-Control: private, no-cache"]
--- response_body_like eval
[qr{<meta name="robots" content="noindex">.*href="\?style=1&amp;preview=$::preview">.*Preview: this is how}s,
 qr{<h2>Bronze</h2>}, qr{--loyalty-primary}]


=== a link that is old, of another site, type or secret, or nonsense
--- config eval: $::config
--- request eval
["GET /tier?s=off&preview=" . Loyalty::token(1, $::secret, "off", Loyalty::now() - 60_000),
 "GET /tier?s=off&preview=" . Loyalty::token(1, $::secret, "demo", $::soon),
 "GET /tier?s=off&preview=" . Loyalty::token(2, $::secret, "off", $::soon),
 "GET /tier?s=off&preview=" . Loyalty::token(1, "0123456789abcdeg", "off", $::soon),
 "GET /tier?s=off&preview=x",
 "GET /closed?s=off&preview=$::preview"]
--- error_code eval
[404, 404, 404, 404, 404, 404]


=== a link to the draft shows what the draft has, and says so
--- config eval: $::config
--- request eval
[main::draft('demo'), 'GET /tier?s=demo', main::draft('demo', '&m=anna'),
 'GET /tier?s=demo&m=anna', main::draft('demo', '&m=new')]
--- more_headers eval
['', '', '', '', 'Accept-Language: fr']
--- error_code eval
[200, 200, 200, 200, 200]
--- response_headers eval
["Cache-Control: private, no-store", "Cache-Control: private, no-cache",
 "Referrer-Policy: no-referrer", "!Referrer-Policy",
 "Cache-Control: private, no-store"]
--- response_body_like eval
[qr{<meta name="robots" content="noindex">.*href="\?style=7&amp;preview=[\w-]+">.*<p class="loyalty-preview" role="note">Preview of the draft: shoppers do not see this yet\.</p>.*Argent &amp; Co}s,
 qr{^(?!.*Argent &amp; Co)(?!.*loyalty-preview).*Bronze.*Silver}s,
 qr{<h2>Argent &amp; Co</h2>.*<progress max="100" value="6"}s,
 qr{<h2>Bronze</h2>}, qr{Aperçu du brouillon : .*Pas encore de statut}s]


=== the stylesheet of a draft is kept by nobody
--- config eval: $::config
--- request eval
[main::draft('demo', '&style=7'), 'GET /tier?s=demo&style=7']
--- response_headers eval
["Cache-Control: private, no-store",
 "Cache-Control: public, max-age=31536000, immutable"]
--- response_body_like eval
[qr{^(?!.*#123456).*--loyalty-primary}s, qr{#123456}]


=== a design that has no place for it shows the banner all the same, once
--- config eval: $::config
--- request eval
[main::draft('off'), main::draft('pound'), main::draft('yen')]
--- response_body eval
[qq{<BODY id="x"><p class="loyalty-preview" role="note">Preview of the draft: shoppers do not see this yet.</p>\nOur loyalty programme</body>},
 'Our loyalty programme, Preview of the draft: shoppers do not see this yet.',
 qq{<p class="loyalty-preview" role="note">Preview of the draft: shoppers do not see this yet.</p>\nNo page: Our loyalty programme}]


=== where there is no draft, or none that can be shown, a page says so
--- config eval: $::config
--- request eval
[map({ main::draft($_) } qw(own nowhere dinar orders german points segments)),
 main::draft('own')]
--- more_headers eval
[('') x 7, 'Accept-Language: fr']
--- error_code eval
[404, 404, 422, 422, 422, 404, 503, 404]
--- response_headers eval
[('Cache-Control: private, no-store') x 8]
--- response_body_like eval
[('<h1>There is no draft</h1>') x 2,
 qr{<h1>The draft is not valid</h1>.*<p>/settings/currency: [^<]*</p>}s,
 ('<h1>The draft is not valid</h1>') x 2, '<h1>There is no draft</h1>',
 '<h1>Please try again</h1>', 'pas de brouillon']


=== a draft's link says for what it is, and of which site
--- config eval: $::config
--- request eval
["GET /tier?s=off&preview=" . Loyalty::token(1, $::secret, "off", Loyalty::now() - 60_000, "draft"),
 "GET /tier?s=off&preview=" . Loyalty::token(1, $::secret, "demo", $::soon, "draft"),
 "GET /tier?s=off&preview=" . Loyalty::token(2, $::secret, "off", $::soon, "draft"),
 "GET /tier?s=off&preview=" . Loyalty::token(1, "0123456789abcdeg", "off", $::soon, "draft"),
 "GET /tier?s=off&preview=" . Loyalty::token(1, $::secret, "off", $::soon, "drafts"),
 "GET /tier?s=demo&preview=" . Loyalty::token(1, $::secret, "demo", $::soon, "drafts"),
 "GET /closed?s=off&preview=" . Loyalty::token(1, $::secret, "off", $::soon, "draft")]
--- error_code eval
[404, 404, 404, 404, 404, 200, 404]
--- response_body_like eval
[('404') x 5, qr{^(?!.*loyalty-preview).*Bronze}s, '404']


=== Redis away: the draft cannot be shown, and nothing else is in its place
--- http_config
    loyalty_redis 127.0.0.1:1 timeout=1s;
    loyalty_zone members 1m;
--- config eval: $::config
--- request eval: main::draft('demo')
--- error_code: 503
--- response_headers
Retry-After: 60
Cache-Control: private, no-store
--- response_body_like: The draft cannot be shown just now


=== HEAD has the headers, other methods are told what there is
--- config eval: $::config
--- request eval
["HEAD /tier?s=demo", "POST /tier?s=demo\nx=1", "DELETE /status.json?s=demo"]
--- error_code eval
[200, 405, 405]
--- response_headers eval
["Content-Type: text/html; charset=utf-8", "Allow: GET, HEAD",
 "Allow: GET, HEAD"]


=== status.json
--- config eval: $::config
--- request eval
["GET /status.json?s=demo&m=anna", "GET /status.json?s=demo"]
--- response_headers eval
["Content-Type: application/json\nCache-Control: private, no-store",
 "Content-Type: application/json\nCache-Control: private, no-store"]
--- response_body_like eval
[qr/^\{"site":\{"id":"demo","name":"Lantern & Loom","currency":"EUR","criterion":"spend"\},"member":\{"id":"anna","registered":true,"order_count":3,"spent_total":123450,"points":\{"active":1042,"pending":17,"life":1042\},"credits":\{"active":0\},"status":\{"id":"bronze","name":"Bronze","color":"#8c5a2b","image":null\},"progress":\{"current":"bronze","next":"silver","value":123450,"remaining":376550,"percent":5\},"segments":\[[^]]*\],"segment":[^,]*\},"statuses":\[\{"id":"bronze",.*"threshold":1000000\}\]\}$/,
 qr/"member":null,"statuses":\[/]


=== without Redis, and nothing cached, the page says so
--- http_config
    loyalty_redis 127.0.0.1:$TEST_NGINX_RAND_PORT_1;
--- config eval: $::config
--- request
GET /tier?s=demo
--- error_code: 503
