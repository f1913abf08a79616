# Images: checked, made safe, served for ever, also through the edge.

use lib 't/lib';
use Backend;
use Test::Nginx::Socket;
use Digest::SHA qw(sha256_hex);
use MIME::Base64 qw(decode_base64);

Backend::site('demo');
Backend::site('full');
Backend::token('reader', '--scopes', 'read');
Loyalty::redis('eval', 'for i = 1, 500 do redis.call("zadd", KEYS[1], 0, string.format("%064x", i)) end',
               1, 'loyalty:x:{full}:images');

our $png = decode_base64('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==');
our $jpeg = "\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0" . "\xff\xc0\0\x0b\x08\0\x28\0\x50\1\1\x11\0" . "\xff\xda\0\2\0\xff\xd9";
our $lossless = decode_base64('UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA==');
our $lossy = decode_base64('UklGRiIAAABXRUJQVlA4IBYAAAAwAQCdASoBAAEADsD+JaQAA3AAAAAA');
our %hash = map { $_ => sha256_hex($_ eq 'png' ? $png : $jpeg) } qw(png jpeg);

sub png { my ($w, $h) = @_; my $image = $png; substr($image, 16, 8) = pack 'N2', $w, $h; return $image }

our $svg = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 8 8">';
our @unsafe = (
    '<script>alert(1)</script>', '<rect width="1" onload="alert(1)"/>', '<a href="javascript:alert(1)"><g/></a>',
    '<image href="https://x.example/a.png"/>', '<use href="https://x.example/a.svg#b"/>',
    '<use xlink:href="data:image/svg+xml,x"/>', '<foreignObject><body/></foreignObject>',
    '<style>@import "https://x.example/"</style>', '<g style="background:url(https://x.example/)"/>',
    '<rect fill="url(https://x.example/#a)"/>', '<rect fill="\75rl(https://x.example/)"/>',
    '<rect fill="URL(https://x.example/)"/>', '<animate attributeName="href" to="javascript:1"/>',
    '<?xml-stylesheet href="https://x.example/"?>', '<x:script xmlns:x="http://www.w3.org/1999/xhtml">alert(1)</x:script>',
    '<set attributeName="onload" to="alert(1)"/>', '<script xmlns="http://www.w3.org/1999/xhtml">alert(1)</script>',
);

# The test server's own temporary files are not what is tested.
add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(config => 'client_body_buffer_size 2m; location /v1/ { loyalty_backend; }')
        unless defined $block->config;
});

run_tests();

__DATA__

=== TEST 1: PNG, JPEG and both kinds of WebP, by what they are
--- more_headers
Content-Type: image/anything
--- pipelined_requests eval
["POST /v1/sites/demo/images\n$main::png", "POST /v1/sites/demo/images\n$main::jpeg",
 "POST /v1/sites/demo/images\n$main::lossless", "POST /v1/sites/demo/images\n$main::lossy"]
--- error_code eval: [201, 201, 201, 201]
--- response_body_like eval
['^\{"hash":"' . $main::hash{png} . '","type":"image/png","bytes":\d+,"width":1,"height":1,"path":"/v1/sites/demo/images/',
 '"type":"image/jpeg","bytes":\d+,"width":80,"height":40,', '"type":"image/webp".*"width":1,"height":1', '"type":"image/webp".*"width":1,"height":1']



=== TEST 2: for anybody, for ever, and nothing else than an image
--- token: none
--- request eval
"GET /v1/sites/demo/images/$main::hash{png}"
--- error_code: 200
--- response_headers
Content-Type: image/png
Cache-Control: public, max-age=31536000, immutable
X-Content-Type-Options: nosniff
Content-Security-Policy: default-src 'none'; sandbox
--- response_body eval: $main::png



=== TEST 3: through the edge, from its own address
--- config
location /v1/ { loyalty_backend; }
location /loyalty/image/ { proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/v1/sites/demo/images/; }
--- token: none
--- request eval
"GET /loyalty/image/$main::hash{png}"
--- error_code: 200
--- response_headers
Cache-Control: public, max-age=31536000, immutable
--- response_body eval: $main::png



=== TEST 4: listed, a page at a time
--- request eval
["GET /v1/sites/demo/images", "GET /v1/sites/demo/images?limit=3", "GET /v1/sites/demo/images?cursor=x"]
--- error_code eval: [200, 200, 422]
--- response_body_like eval
['^\{"images":\[(?:\{[^}]+\},){3}\{[^}]+\}\]\}$', '"next_cursor":"[0-9a-f]{64}"\}$', 'invalid_cursor']



=== TEST 5: not to another site, not by another name
--- request eval
["GET /v1/sites/full/images/$main::hash{png}", "GET /v1/sites/demo/images/" . uc $main::hash{png}, "GET /v1/sites/demo/images/x"]
--- error_code eval: [404, 404, 404]
--- response_body_like eval: [('not_found') x 3]



=== TEST 6: what is no image, or half of one
--- more_headers
Content-Type: image/png
--- pipelined_requests eval
[map { "POST /v1/sites/demo/images\n$_" } '<html><script>alert(1)</script></html>', 'GIF89a' . "\0" x 40,
 substr($main::png, 0, -1), substr($main::jpeg, 0, -1), substr($main::lossless, 0, -3), 'RIFF', "\xff\xd8\xff\xe0\xff\xff\0\0\0\0\0\xff\xd9",
 main::png(0, 1), main::png(4097, 1), main::png(1, 4097)]
--- error_code eval: [(422) x 10]
--- response_body_like eval: [('invalid_image') x 10]



=== TEST 7: as large as may be, no larger
--- more_headers
Content-Type: image/png
--- request eval
"POST /v1/sites/demo/images\n" . main::png(4096, 4096)
--- error_code: 201



=== TEST 8: more bytes than an image may have
--- more_headers
Content-Type: image/png
--- request eval
"POST /v1/sites/demo/images\n" . $main::png . 'x' x 1048576
--- error_code: 413



=== TEST 9: another type
--- more_headers
Content-Type: text/html
--- request eval
"POST /v1/sites/demo/images\n$main::png"
--- error_code: 415



=== TEST 10: more than a site may have
--- more_headers
Content-Type: image/png
--- request eval
"POST /v1/sites/full/images\n$main::png"
--- error_code: 422
--- response_body_like: "code":"too_many"



=== TEST 11: a drawing is written anew
--- more_headers
Content-Type: image/svg+xml
--- request eval
"POST /v1/sites/demo/images\n" . "<?xml version='1.0'?><!-- c -->" . $main::svg
. '<defs><linearGradient id="a"><stop offset="0" stop-color="#f00"/></linearGradient></defs>'
. '<rect width="8" height="8" fill="url(#a)" foo="bar"/><use xlink:href="#a"/></svg>'
--- error_code: 201
--- response_body_like: "type":"image/svg\+xml"



=== TEST 12: with what is on the list, and only that
--- token: none
--- request eval
my $clean = $main::svg . '<defs><linearGradient id="a"><stop offset="0" stop-color="#f00"/></linearGradient></defs>'
    . '<rect width="8" height="8" fill="url(#a)"/><use xlink:href="#a"/></svg>';
"GET /v1/sites/demo/images/" . Digest::SHA::sha256_hex($clean)
--- error_code: 200
--- response_headers
Content-Type: image/svg+xml
Content-Security-Policy: default-src 'none'; sandbox
--- response_body_like: ^<svg .*</svg>$



=== TEST 13: nothing in it runs or leads away: each alone leaves an empty drawing or shape
--- more_headers
Content-Type: image/svg+xml
--- pipelined_requests eval
[map { "POST /v1/sites/demo/images\n$main::svg$_</svg>" } @main::unsafe]
--- error_code eval: [(201) x @main::unsafe]
--- response_body_like eval: [('svg') x @main::unsafe]



=== TEST 14: seen in what is kept
--- init
our $kept = join "\n", map { Loyalty::redis('--raw', 'hget', "loyalty:im:{demo}:$_", 'b') }
    split /\n/, Loyalty::redis('--raw', 'zrange', 'loyalty:x:{demo}:images', 0, -1);
die "unsafe: $1" if $kept =~ /(script|alert|onload|x\.example|style|foreign|animate|javascript|data:|import)/i;
--- request
GET /v1/sites/demo/images
--- error_code: 200



=== TEST 15: what is no drawing, or would blow up
--- more_headers
Content-Type: image/svg+xml
--- pipelined_requests eval
[map { "POST /v1/sites/demo/images\n$_" }
 '<html/>', '<svg/>', $main::svg, 'plain', '<!DOCTYPE svg [<!ENTITY a "b">]>' . $main::svg . '&a;</svg>',
 '<!DOCTYPE svg SYSTEM "https://x.example/a.dtd">' . $main::svg . '</svg>',
 $main::svg . ('<g>' x 70) . ('</g>' x 70) . '</svg>', $main::svg . ('<g/>' x 10001) . '</svg>']
--- error_code eval: [(422) x 8]
--- response_body_like eval: [('invalid_image') x 8]



=== TEST 16: who only reads makes and deletes none
--- token: reader
--- more_headers
Content-Type: image/png
--- request eval
["POST /v1/sites/demo/images\n$main::png", "DELETE /v1/sites/demo/images/$main::hash{png}"]
--- error_code eval: [403, 403]
--- response_body_like eval: [('forbidden') x 2]



=== TEST 17: deleted
--- request eval
["DELETE /v1/sites/demo/images/$main::hash{png}", "GET /v1/sites/demo/images/$main::hash{png}",
 "DELETE /v1/sites/demo/images/$main::hash{png}"]
--- error_code eval: [204, 404, 404]
--- response_body_like eval: ['^$', 'not_found', 'not_found']



=== TEST 18: a browser that has it gets no bytes again
--- token: none
--- more_headers eval: 'If-None-Match: "other", W/"' . substr($main::hash{jpeg}, 0, 32) . '"'
--- request eval: "GET /v1/sites/demo/images/$main::hash{jpeg}"
--- error_code: 304
--- response_headers eval
'ETag: "' . substr($main::hash{jpeg}, 0, 32) . "\"\nCache-Control: public, max-age=31536000, immutable\n!Content-Length"



=== TEST 19: one that has another gets them
--- token: none
--- more_headers
If-None-Match: "other"
--- request eval: "GET /v1/sites/demo/images/$main::hash{jpeg}"
--- error_code: 200
--- response_headers
Content-Type: image/jpeg



=== TEST 20: what the programme shows is not deleted
--- request eval
["POST /v1/sites/demo/designs\n{\"id\":\"main\",\"css\":\"body{background:url(/rewards/image/$main::hash{jpeg})}\"}",
 "DELETE /v1/sites/demo/images/$main::hash{jpeg}", 'DELETE /v1/sites/demo/designs/main',
 "DELETE /v1/sites/demo/images/$main::hash{jpeg}"]
--- error_code eval: [201, 409, 204, 204]
--- response_body_like eval: ['"main"', '"in_use".*/designs/main shows', '^$', '^$']
