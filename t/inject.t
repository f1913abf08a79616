# The badge in a page: where it goes, how it reads, what the headers say.

use strict;
use warnings;

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Loyalty;
use Shop;

our $marker = '<loyalty-status></loyalty-status>';
our $badge = qr{<span class="loyalty-status" role="group"[^\n]*</span></span>};
our $guest = qr{<span class="loyalty-status" role="group"[^\n]*</a></span>};

# Where a cut can matter: through the marker and a little on either side.
our $page = "<html><body>\n<p>$marker</p>\n</body></html>\n";
our @cuts = (index($page, $marker) - 2 .. index($page, $marker) + 36);
our $unmarked = "<html><body>\n<p>text</p>\n</BODY></html>\n";
our @ends = (index($unmarked, '</BODY') - 1 .. length($unmarked) - 1);

Loyalty::program(demo => {settings => {sign_in_url => '/login?a=1&b=2'}});
Loyalty::program(off => {settings => {active => JSON::PP::false}});
Loyalty::program(plain => {});
Loyalty::program(counted => {
    settings => {criterion => 'orders', locales => ['fr', 'en']},
    statuses => [
        {id => 'un', name => {fr => 'Un & <b>', en => 'One'}, threshold => 1},
        {id => 'deux', name => {fr => 'Deux', en => 'Two'}, threshold => 3}]
});
Loyalty::program(segments => {
    settings => {criterion => 'segment'},
    statuses => [{id => 'fresh', name => {en => 'Fresh'}, segment => 'new'}]
});
Loyalty::member(demo => {id => 'anna', spent_total => 150050, points => 1500,
                         tier => 'bronze'});
Loyalty::member(demo => {id => 'top', spent_total => 999999999, points => 1,
                         tier => 'gold'});
Loyalty::member(counted => {id => 'anna', order_count => 1, tier => 'un'});
Loyalty::member(segments => {id => 'anna', signed_up_at => -60});

Shop::start(
    page => {type => 'text/html; charset=utf-8', body => $page},
    end => {type => 'text/html', body => $unmarked},
    twice => {type => 'text/html', body => "$marker $marker </body>"},
    script => {type => 'text/html', body =>
        "<body><script>x = '</body>';</script>" . 'x' x 5000
        . "<p></p></body>\n</html>\n"},
    late => {type => 'text/html', body =>
        "<body></body>" . ' ' x 5000 . 'x</html>'},
    none => {type => 'text/html', body => "<p>nothing</p>\n",
             headers => ['ETag: "1"', 'Cache-Control: max-age=60']},
    big => {type => 'text/html',
            body => '<body>' . 'x' x 10_000_000 . "$marker</body>"},
    bigend => {type => 'text/html',
               body => '<body>' . ('<p>' x 1000) x 3000 . "</body>\n"},
    gzipped => {type => 'text/html', body => $page,
                headers => ['Content-Encoding: gzip']},
    text => {type => 'text/plain', body => $page},
    missing => {type => 'text/html', body => $page, status => '404 Not Found'},
    cached => {type => 'text/html', body => $page, headers => [
        'ETag: "abc"', 'Last-Modified: Sun, 22 Nov 2026 18:00:00 GMT',
        'Cache-Control: public, max-age=60', 'Cache-Control: no-transform',
        'Expires: Sun, 22 Nov 2036 18:00:00 GMT', 'Accept-Ranges: bytes',
        'Content-MD5: x', 'CDN-Cache-Control: max-age=60']},
    secret => {type => 'text/html', body => $page,
               headers => ['Cache-Control: no-cache, no-store']},
    quoted => {type => 'text/html', body => $page, headers => [
        'Cache-Control: no-cache="a, public" , s-maxage=1,must-revalidate']},
);

Loyalty::nginx();
add_block_preprocessor(sub {
    my ($block) = @_;
    my $error = defined $block->must_die;
    $block->set_value(http_config => qq{
        loyalty_redis unix:$Loyalty::socket timeout=2s;
        loyalty_site demo;
        loyalty_member \$arg_m;
        loyalty on;
        types { text/html html; }
        } . ($block->http_config // ''));
    $block->set_value(config => $block->config
        =~ s/\bshop;/proxy_pass http:\/\/unix:$Shop::socket:\/;/gr);
    $block->set_value(request => "GET /page?m=anna")
        unless defined $block->request || $error;
});

no_long_string();
no_root_location();
no_shuffle();
run_tests();

__DATA__

=== the badge takes the place of the marker, and the length is true
--- config
    location / { loyalty_inject html; shop; }
--- response_body eval
qr{^<html><body>\n<p>$::badge</p>\n</body></html>\n$}
--- response_headers
Cache-Control: private
--- raw_response_headers_like eval
qr{Content-Length: \d+\r}
--- raw_response_headers_unlike
Transfer-Encoding



=== what the badge of a member says
--- config
    location / { loyalty_inject html; shop; }
--- response_body_like eval
qr{lang="en" aria-label="Your loyalty status".*Bronze.*1,500 points.*£3,499\.50 to Silver}



=== somebody new has it all ahead
--- config
    location / { loyalty_inject html; shop; }
--- request
GET /page?m=nobody-knows-me
--- response_body_like: 0 points.*£1,000 to Bronze



=== at the top there is no next
--- config
    location / { loyalty_inject html; shop; }
--- request
GET /page?m=top
--- response_body_like: Gold</span> &#183; <span class="loyalty-status-points">1 point</span></span>



=== a guest is asked to sign in, in every text escaped
--- config
    location / { loyalty_inject html; shop; }
--- request
GET /page
--- response_body_like: <a href="/login\?a=1&amp;b=2">Sign in to see your status and your points.</a></span></p>
--- response_headers
Cache-Control: private



=== one after the other, each has their own
--- config
    location / { loyalty_inject html; shop; }
--- request eval
[map { "GET /page$_" } '?m=anna', '?m=top', '', '?m=anna', '?m=new', '']
--- response_body_like eval
['Bronze', 'Gold', 'Sign in', 'Bronze.*1,500', '0 points', 'Sign in']



=== without an address for it, in words only
--- config
    location / { loyalty_site plain; loyalty_member $arg_m; loyalty_inject html; shop; }
--- request
GET /page
--- response_body_like: Your loyalty status">Sign in to see your status and your points.</span></p>



=== French, orders, and a name with signs in it
--- config
    location / { loyalty_site counted; loyalty_member $arg_m; loyalty_inject html; shop; }
--- response_body_like: lang="fr" aria-label="Votre statut de fidélité".*Un &amp; &lt;b&gt;</span>.*0 point<.*encore 2 commandes pour Deux



=== Accept-Language chooses among the site's locales
--- config
    location / { loyalty_site counted; loyalty_member $arg_m; loyalty_inject html; shop; }
--- more_headers
Accept-Language: de, en;q=0.5
--- response_body_like: lang="en".*One</span>.*2 orders to Two



=== a status by segment has no progress
--- config
    location / { loyalty_site segments; loyalty_member $arg_m; loyalty_inject html; shop; }
--- response_body_like: Fresh</span> &#183; <span class="loyalty-status-points">0 points</span></span></p>



=== only the first marker
--- config
    location / { loyalty_inject html; shop; }
--- request
GET /twice?m=anna
--- response_body eval
qr{^$::badge <loyalty-status></loyalty-status> </body>$}



=== without a marker, before the end of the body
--- config
    location / { loyalty_inject html; shop; }
--- request
GET /end?m=anna
--- response_body eval
qr{^<html><body>\n<p>text</p>\n$::badge</BODY></html>\n$}



=== the last end tag counts, not one in a script
--- config
    location / { loyalty_inject html; shop; }
--- request eval
["GET /script?m=anna", "GET /script?m=anna&mode=chunked",
 "GET /script?m=anna&mode=chunked&split=40"]
--- response_body eval
[(qr{^<body><script>x = '</body>';</script>x+<p></p>$::badge</body>\n</html>\n$}) x 3]



=== an end tag with a long tail is an end tag only where all is seen
--- config
    location / { loyalty_inject html; shop; }
    location = /metrics { loyalty off; loyalty_metrics; }
--- request eval
["GET /late?m=anna", "GET /late?m=anna&mode=chunked&split=100", "GET /metrics"]
--- response_body eval
[qr{^<body>$::badge</body> +x</html>$}, qr{^<body></body> +x</html>$},
 qr{loyalty_injected_total\{type="html"\} 1\n(?s:.*)reason="no_place"\} 1\n}]



=== no place: the page is as it was, and counted
--- config
    location / { loyalty_inject html; shop; }
    location = /metrics { loyalty off; loyalty_metrics; }
--- request eval
["GET /none?m=anna", "GET /metrics"]
--- response_body eval
["<p>nothing</p>\n", qr{loyalty_inject_passed_total\{reason="no_place"\} 1\n}]
--- response_headers eval
["Content-Length: 15\nETag: \"1\"\nCache-Control: max-age=60", ""]



=== a marker of one's own
--- config
    location / { loyalty_inject html "marker=<p>text"; shop; }
--- request
GET /end?m=anna
--- response_body eval
qr{^<html><body>\n$::badge</p>\n</BODY></html>\n$}



=== the marker cut at every byte, length known
--- config
    location / { loyalty_inject html; shop; }
--- request eval
[map { "GET /page?m=anna&split=$_" } @::cuts]
--- response_body eval
[(qr{^<html><body>\n<p>$::badge</p>\n</body></html>\n$}) x @::cuts]



=== the marker cut at every byte, chunked
--- config
    location / { loyalty_inject html; shop; }
--- request eval
[map { "GET /page?m=anna&mode=chunked&split=$_" } @::cuts]
--- response_body eval
[(qr{^<html><body>\n<p>$::badge</p>\n</body></html>\n$}) x @::cuts]



=== the marker cut at every byte, unbuffered
--- config
    location / { loyalty_inject html; proxy_buffering off; shop; }
--- request eval
[map { ("GET /page?m=anna&split=$_", "GET /page?m=anna&mode=close&split=$_") }
 @::cuts]
--- response_body eval
[(qr{^<html><body>\n<p>$::badge</p>\n</body></html>\n$}) x (2 * @::cuts)]



=== the end of the body cut at every byte, three ways
--- config
    location /a/ { loyalty_inject html; shop; }
    location /b/ { loyalty_inject html; proxy_buffering off; shop; }
--- request eval
[map { ("GET /a/end?m=anna&split=$_", "GET /b/end?m=anna&split=$_",
        "GET /b/end?m=anna&mode=chunked&split=$_") } @::ends]
--- response_body eval
[(qr{^<html><body>\n<p>text</p>\n$::badge</BODY></html>\n$}) x (3 * @::ends)]



=== byte by byte
--- config
    location /a/ { loyalty_inject html; shop; }
    location /b/ { loyalty_inject html; proxy_buffering off; shop; }
--- request eval
["GET /a/page?m=anna&split=every",
 "GET /b/page?m=anna&mode=chunked&split=every",
 "GET /b/end?m=anna&mode=chunked&split=every"]
--- response_body eval
[(qr{^<html><body>\n<p>$::badge</p>\n</body></html>\n$}) x 2,
 qr{^<html><body>\n<p>text</p>\n$::badge</BODY></html>\n$}]



=== a large page with the marker at its end, through small buffers
--- config
    location /a/ { loyalty_inject html; shop; }
    location /b/ { loyalty_inject html; proxy_buffering off; shop; }
    location /c/ { loyalty_inject html; proxy_buffers 2 4k;
                   proxy_busy_buffers_size 4k; proxy_buffer_size 4k; shop; }
--- request eval
[map { ("GET /$_/big?m=anna", "GET /$_/big?m=anna&mode=chunked") } qw(a b c)]
--- response_body_like eval
[(qr{^<body>x{9999}.*x$::badge</body>$}s) x 6]
--- timeout: 20



=== a large page, the badge before the end of its body
--- config
    location / { loyalty_inject html; shop; }
--- request eval
["GET /bigend?m=anna", "GET /bigend?m=anna&mode=chunked"]
--- response_body_like eval
[(qr{<p><p>$::badge</body>\n$}) x 2]
--- timeout: 20



=== HTTP/1.0 gets the length where it is known, else the end
--- config
    location / { loyalty_inject html; shop; }
--- raw_request eval
"GET /page?m=anna HTTP/1.0\r\nHost: x\r\n\r\n"
--- response_body eval
qr{^<html><body>\n<p>$::badge</p>\n</body></html>\n$}
--- raw_response_headers_like: Content-Length: \d+



=== the headers of a page for one member alone
--- config
    location / { loyalty_inject html; shop; }
--- request
GET /cached?m=anna
--- response_headers
Cache-Control: private, no-transform
! ETag
! Last-Modified
! Expires
! Accept-Ranges
! Content-MD5
! CDN-Cache-Control



=== no-store stays
--- config
    location / { loyalty_inject html; shop; }
--- request
GET /secret?m=anna
--- response_headers
Cache-Control: no-cache, no-store



=== what is stricter than private stays, quotes understood
--- config
    location / { loyalty_inject html; shop; }
--- request
GET /quoted?m=anna
--- response_headers
Cache-Control: private, no-cache="a, public", must-revalidate



=== not even `expires` and add_header make it public
--- config
    location / {
        loyalty_inject html;
        expires 1h;
        add_header Cache-Control public;
        shop;
    }
--- response_headers
Cache-Control: private
! Expires



=== HEAD has the headers of GET, and no length that would be false
--- config
    location / { loyalty_inject html; shop; }
--- request
HEAD /cached?m=anna
--- response_headers
Cache-Control: private, no-transform
! ETag
! Last-Modified
! Content-Length
! Transfer-Encoding
--- response_body



=== conditions, ranges and encodings do not reach the shop
--- config
    location / { loyalty_inject html; shop; }
--- request eval
["GET /requests", "GET /cached?m=anna", "GET /requests"]
--- more_headers
If-None-Match: "abc"
If-Modified-Since: Sun, 22 Nov 2026 18:00:00 GMT
If-Range: "abc"
Range: bytes=0-3
Accept-Encoding: gzip, br
Accept-Language: en
--- response_body_like eval
["GET ", $::badge, qr{^GET /cached\?m=anna HTTP/1.0\r\nHost: .*\r\nConnection: close\r\nAccept-Language: en\r\n\r\n$}s]
--- error_code eval
[200, 200, 200]



=== a static page: no 304, no part, no tag
--- config
    location / { loyalty_inject html; }
--- user_files eval
">>> page.html 202611221800.00\n$::page"
--- request
GET /page.html?m=anna
--- more_headers
If-Modified-Since: Sun, 22 Nov 2036 18:00:00 GMT
Range: bytes=0-3
--- response_body eval
qr{^<html><body>\n<p>$::badge</p>\n</body></html>\n$}
--- response_headers
! ETag
! Last-Modified
! Accept-Ranges
--- error_code: 200



=== elsewhere a static page has all that
--- config
    location / { }
--- user_files eval
">>> page.html 202611221800.00\n$::page"
--- request
GET /page.html?m=anna
--- more_headers
Range: bytes=0-3
--- response_body: <htm
--- error_code: 206



=== a compressed page passes and is counted
--- config
    location / { loyalty_inject html; shop; }
    location = /metrics { loyalty off; loyalty_metrics; }
--- request eval
["GET /gzipped?m=anna", "GET /metrics"]
--- response_body eval
[$::page, qr{reason="compressed"\} 1\n}]



=== another type passes and is counted
--- config
    location / { loyalty_inject html; shop; }
    location = /metrics { loyalty off; loyalty_metrics; }
--- request eval
["GET /text?m=anna", "GET /metrics"]
--- response_body eval
[$::page, qr{reason="type"\} 1\n}]



=== another status passes
--- config
    location / { loyalty_inject html; shop; }
--- request
GET /missing?m=anna
--- response_body eval: $::page
--- error_code: 404



=== a programme that is off, and a site nobody knows
--- config
    location /a/ { loyalty_site off; loyalty_member $arg_m; loyalty_inject html; shop; }
    location /b/ { loyalty_site unknown; loyalty_member $arg_m; loyalty_inject html; shop; }
    location /c/ { loyalty off; loyalty_inject html; shop; }
    location /d/ { loyalty_inject off; shop; }
--- request eval
[map { "GET /$_/page?m=anna" } qw(a b c d)]
--- response_body eval
[($::page) x 4]



=== gzip compresses the page with the badge in it
--- config
    location / { loyalty_inject html; gzip on; gzip_min_length 1; shop; }
--- more_headers
Accept-Encoding: gzip
--- response_headers
Content-Encoding: gzip
! ETag
--- response_body_filters eval
sub {
    require IO::Uncompress::Gunzip;
    my ($in, $out) = (shift);
    IO::Uncompress::Gunzip::gunzip(\$in => \$out);
    return $out;
}
--- response_body eval
qr{^<html><body>\n<p>$::badge</p>\n</body></html>\n$}



=== the stored copy of proxy_cache is clean and everybody's
--- http_config
    proxy_cache_path html/cache keys_zone=pages:1m;
--- config
    location / {
        loyalty_inject html;
        proxy_cache pages;
        proxy_cache_key $uri;
        proxy_cache_valid 200 1m;
        proxy_ignore_headers Cache-Control Expires;
        add_header X-Cache $upstream_cache_status;
        shop;
    }
    location /plain/ {
        loyalty off;
        proxy_cache pages;
        proxy_cache_key /cached;
        shop;
    }
--- request eval
["GET /cached?m=anna", "GET /cached?m=top", "GET /cached", "GET /plain/cached"]
--- response_body eval
[qr{1,500 points}, qr{Gold.*1 point<}, $::guest, $::page]
--- response_headers eval
["X-Cache: MISS\nETag: ", "X-Cache: HIT\nETag: ", "X-Cache: HIT\nETag: ",
 "ETag: \"abc\""]



=== a subrequest's page is not touched; the main page is, once
--- config
    location = /main.html { loyalty_inject html; ssi on; }
    location / { loyalty_inject html; shop; }
--- user_files eval
">>> main.html\n[<!--#include virtual=\"/twice?m=top\" -->]$::marker"
--- request
GET /main.html?m=anna
--- response_body eval
qr{^\[<loyalty-status></loyalty-status> <loyalty-status></loyalty-status> </body>\]$::badge$}



=== sub_filter sees the badge
--- config
    location / { loyalty_inject html; sub_filter "Bronze" "Copper"; shop; }
--- response_body_like: Copper



=== an answer that breaks off passes as far as it came
--- config
    location / { loyalty_inject html; shop; }
--- raw_request eval
"GET /page?m=anna&short=16 HTTP/1.0\r\nHost: x\r\n\r\n"
--- response_body eval: substr $::page, 0, 16
--- error_log
upstream prematurely closed connection



=== the page an error_page puts in place is injected as any 200
--- config
    location / { loyalty_inject html; error_page 404 =200 /sorry.html;
                 proxy_intercept_errors on; shop; }
    location = /sorry.html { loyalty_inject html; }
--- user_files eval
">>> sorry.html\n$::page"
--- request
GET /missing?m=anna
--- response_body eval
qr{^<html><body>\n<p>$::badge</p>\n</body></html>\n$}



=== a template of one's own
--- config eval
"location / { loyalty_inject html template=@{[Loyalty::file('badge', q(
{{member}} {{status}} {{status_id}} {{next}} {{next_id}} {{remaining}} {{percent}}
{{points}} {{pending}} {{life_points}} {{locale}} [{{guest}}{{unknown}}]
{{#new}}new{{/new}}{{^new}}not new{{/new}} {{color}}
))]}; shop; }"
--- response_body eval
qr{<p>\nanna Bronze bronze Silver silver £3,499\.50 12\n1,500 0 1,500 en \[\]\nnot new #\w+\n</p>}



=== a badge past its limit leaves the page alone
--- config eval
"location / { loyalty_inject html template=@{[Loyalty::file('huge', 'x' x 16385)]}; shop; }
 location = /metrics { loyalty off; loyalty_metrics; }"
--- request eval
["GET /page?m=anna", "GET /metrics"]
--- response_body eval
[$::page, qr{reason="too_large"\} 1\n}]



=== a template with a mistake names file and line
--- config eval
"location / { loyalty_inject html template=@{[Loyalty::file('bad', qq(a\n{{#b}}\n))]}; }"
--- must_die
--- error_log eval
qr{template ".*/bad", line 2: the section is not closed}



=== a template that is not there
--- config
    location / { loyalty_inject html template=/none/such; }
--- must_die
--- error_log
the template of "loyalty_inject" "/none/such" cannot be opened



=== an empty marker
--- config
    location / { loyalty_inject html marker=; }
--- must_die
--- error_log
invalid parameter "marker=", it needs 1 to 256 bytes



=== a marker past its limit
--- config eval
"location / { loyalty_inject html marker=" . 'x' x 257 . "; }"
--- must_die
--- error_log
it needs 1 to 256 bytes



=== a parameter of the other kind
--- config
    location / { loyalty_inject html name=x; }
--- must_die
--- error_log
invalid parameter "name=x", "loyalty_inject html" takes marker=TEXT and template=FILE



=== off has no parameters
--- config
    location / { loyalty_inject off marker=x; }
--- must_die
--- error_log
invalid parameter "marker=x", "loyalty_inject off" takes none



=== a word it does not know
--- config
    location / { loyalty_inject xml; }
--- must_die
--- error_log
invalid value "xml", "loyalty_inject" is "off", "html" or "json"



=== twice
--- config
    location / { loyalty_inject html; loyalty_inject off; }
--- must_die
--- error_log
"loyalty_inject" directive is duplicate
