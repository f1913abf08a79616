# Staff: signing in and out, roles, accounts, tokens; who may do what.

use lib 't/lib';
use Backend;
use Test::Nginx::Socket;
use HTTP::Tiny;
use JSON::PP;

Backend::site('demo');
Backend::site('other');
Backend::token('admin', '--scopes', 'read,write,admin');
Backend::token('local', '--sites', 'demo', '--scopes', 'read,write,admin');
Backend::token('reader', '--sites', 'demo', '--scopes', 'read');

our $word = 'correct horse battery';

# staff(EMAIL, SITE=ROLE...): made by the script.
sub staff {
    open my $in, '|-', 'scripts/staff', '--redis', "unix:$Loyalty::socket", 'add', @_
        or die "scripts/staff: $!";
    print $in "$word\n";
    close $in or die 'scripts/staff failed';
}
staff('Root@example.com');
staff('owner@example.com', 'demo=owner');
staff('editor@example.com', 'demo=editor');
staff('viewer@example.com', 'demo=viewer');
staff('nobody@example.com', 'other=viewer');

# Sessions of each, in an nginx of their own; the blocks below share its Redis.
our $nginx = Loyalty::start_nginx(
    "loyalty_redis unix:$Loyalty::socket timeout=500ms;
     server { listen 127.0.0.1:\@PORT\@; location /v1/ { loyalty_backend; } }");
our $http = HTTP::Tiny->new(timeout => 20);

sub call {
    my ($method, $path, $body, %headers) = @_;
    return $http->request($method, "http://127.0.0.1:$nginx->{port}/v1/$path", {
        headers => {'Content-Type' => 'application/json', %headers},
        content => defined $body ? encode_json($body) : ''});
}

sub sign_in {
    my ($email, $password) = @_;
    my $answer = call(POST => 'session', {email => $email, password => $password // $word});
    return $answer if $answer->{status} != 201;
    my ($cookie) = $answer->{headers}{'set-cookie'} =~ /^(loyalty_session=[^;]+)/;
    my $csrf = decode_json($answer->{content})->{csrf_token};
    return {Cookie => $cookie, 'X-CSRF-Token' => $csrf, answer => $answer};
}

sub as { my $session = shift; return map { $_ => $session->{$_} } qw(Cookie X-CSRF-Token) }

my %session = map { $_ => sign_in("$_\@example.com") } qw(root owner editor viewer nobody);
is($session{root}{answer}{status}, 201, 'an account of the script signs in, in whatever case');
like($session{root}{answer}{headers}{'set-cookie'},
     qr/^loyalty_session=[\w-]{43}; Path=\/; Max-Age=43200; HttpOnly; SameSite=Strict; Secure$/,
     'the cookie is out of reach of scripts, other sites and plain HTTP');
unlike($session{root}{answer}{content}, qr/\$y\$|password/, 'no hash leaves');
unlike(Loyalty::redis('--raw', 'hvals', 'loyalty:staff'), qr/horse/, 'no password is kept');
my ($token) = $session{root}{Cookie} =~ /=(.*)/;
unlike(Loyalty::redis('keys', '*'), qr/\Q$token/, 'nor the session, but its hash');

# Who may do what: the role of each, over routes of each kind.
my @routes = (
    # method, path, body, least role
    [GET => 'sites/demo/settings', undef, 1], [GET => 'sites/demo/members', undef, 1],
    [GET => 'sites/demo/audit', undef, 1],
    [POST => 'sites/demo/members', {id => 'm'}, 2], [PUT => 'sites/demo/offers/none', {}, 2],
    [POST => 'sites/demo/orders', {}, 2], [POST => 'sites/demo/draft/publish', undef, 2],
    [DELETE => 'sites/demo/members/m', undef, 2], [DELETE => 'sites/demo/members/m?erase=true', undef, 3],
    [PUT => 'sites/demo/settings', {currency => 'GBP', active => JSON::PP::false}, 3],
    [GET => 'sites/demo/staff', undef, 3], [PUT => 'sites/demo/staff/nobody@example.com', {}, 3],
    [DELETE => 'sites/demo/staff/none@example.com', undef, 3],
    [GET => 'staff', undef, 4], [POST => 'staff', {}, 4], [GET => 'staff/none@example.com', undef, 4],
    [PATCH => 'staff/none@example.com', {}, 4], [DELETE => 'staff/none@example.com', undef, 4],
    [GET => 'audit', undef, 4],
);
my %rank = (nobody => 0, viewer => 1, editor => 2, owner => 3, root => 4);
for my $who (sort { $rank{$a} <=> $rank{$b} } keys %rank) {
    my @wrong = grep {
        my $status = call($_->[0], $_->[1], $_->[2], as($session{$who}))->{status};
        ($status == 403) != ($rank{$who} < $_->[3]) || $status == 401 || $status >= 500;
    } @routes;
    is(join(', ', map { "$_->[0] $_->[1]" } @wrong), '', "$who: all that the role allows, nothing else");
}
is(call(GET => 'sites/other/settings', undef, as($session{owner}))->{status}, 403,
   'an owner of one site is nobody on another');
my @sites = map { decode_json(call(GET => 'sites', undef, as($session{$_}))->{content})->{sites} } qw(root owner);
is(scalar @{$sites[0]}, 2, 'all sites are shown to who owns all');
is(join(',', map { $_->{id} } @{$sites[1]}), 'demo', 'one to who owns one');

# A request of another site's page has the cookie alone.
is(call(POST => 'sites/demo/members', {id => 'x'}, Cookie => $session{root}{Cookie})->{status}, 403,
   'a change without the token of the session is refused');
is(call(POST => 'sites/demo/members', {id => 'x'}, Cookie => $session{root}{Cookie},
        'X-CSRF-Token' => $session{owner}{'X-CSRF-Token'})->{status}, 403, 'and with that of another');
is(call(GET => 'session', undef, Cookie => "a=b; $session{root}{Cookie}; c=d")->{status}, 200,
   'reading needs the cookie only, wherever it stands');

# What becomes of a session.
is(call(PATCH => 'staff/viewer@example.com', {sites => {demo => 'editor'}}, as($session{root}))->{status}, 200,
   'a role is changed');
is(call(POST => 'sites/demo/members', {id => 'y'}, as($session{viewer}))->{status}, 201,
   'and holds at the next request');
is(call(PATCH => 'staff/viewer@example.com', {disabled => JSON::PP::true}, as($session{root}))->{status}, 200,
   'an account is disabled');
is(call(GET => 'session', undef, as($session{viewer}))->{status}, 401, 'and its session is over');
is(sign_in('viewer@example.com')->{status}, 401, 'nor does it sign in again');
is(call(DELETE => 'staff/root@example.com', undef, as($session{root}))->{status}, 409,
   'nobody deletes their own account');
my $second = sign_in('editor@example.com');
my $changed = call(PUT => 'session/password', {current => $word, password => 'another horse staple'},
                   as($session{editor}));
is($changed->{status}, 200, 'a password is changed');
is(call(GET => 'session', undef, as($second))->{status}, 401, 'which ends every other session');
is(call(GET => 'session', undef, Cookie => $changed->{headers}{'set-cookie'} =~ s/;.*//r)->{status}, 200,
   'but goes on as a new one');
is(call(PUT => 'session/password', {current => 'wrong', password => 'another horse staple'},
        as($session{owner}))->{status}, 401, 'not without the present one');
is(call(PUT => 'session/password', {current => $word, password => 'short'}, as($session{owner}))->{status}, 422,
   'nor by a short one');
is(call(DELETE => 'session', undef, as($session{owner}))->{status}, 204, 'signed out');
is(call(GET => 'session', undef, as($session{owner}))->{status}, 401, 'is out');
Loyalty::redis('del', map { "loyalty:session:$_" } 'none');
is(call(GET => 'session', undef, Cookie => 'loyalty_session=' . 'A' x 4000)->{status}, 401, 'a cookie longer than any');

# Guessing.
my @tries = map { sign_in('owner@example.com', "wrong $_") } 1 .. 9;
is(join(',', map { $_->{status} } @tries), '401,401,401,401,401,429,429,429,429',
   'guessing has to wait, a wrong present password counted in');
ok($tries[8]{headers}{'retry-after'} >= 1, 'and is told how long');
is(sign_in('owner@example.com')->{status}, 429, 'even with the right password');
my @unknown = map { sign_in('none@example.com', "wrong $_") } 1 .. 7;
is(join(',', map { $_->{status} } @unknown), '401,401,401,401,401,401,429', 'no account: no difference');
select undef, undef, undef, 1.1;
is(sign_in('owner@example.com')->{answer}{status}, 201, 'later it is right');
Loyalty::redis('set', 'loyalty:tries:{' . Digest::SHA::sha256_hex('owner@example.com') . '}', 30);
is(sign_in('owner@example.com', 'wrong')->{status}, 401, 'after many');
my ($wait) = sign_in('owner@example.com')->{headers}{'retry-after'};
ok($wait > 800 && $wait <= 901, 'the wait has grown to a quarter of an hour, no longer');

# Tokens, by who owns their sites.
sub token {
    my ($who, %token) = @_;
    my $answer = call(POST => 'tokens', {name => 't', sites => ['demo'], scopes => ['read'], %token},
                      $who =~ /^!(.*)/ ? (Authorization => "Bearer $Backend::token{$1}") : as($session{$who}));
    return ($answer->{status}, eval { decode_json($answer->{content}) });
}
my ($status, $made) = token('root');
is($status, 201, 'a token is made');
my %bearer = (Authorization => "Bearer $made->{token}");
is(call(GET => 'sites/demo/settings', undef, %bearer)->{status}, 200, 'and read with');
is(call(GET => 'sites/other/settings', undef, %bearer)->{status}, 403, 'on its site');
is(call(POST => 'sites/demo/members', {id => 'z'}, %bearer)->{status}, 403, 'within its scope');
is((token('root', expires_at => '2011-01-01T00:00:00Z'))[0], 422, 'none that has ended');
is((token('root', expires_at => '2999-01-01T00:00:00Z'))[0], 201, 'one that ends');
is((token('root', sites => []))[0], 422, 'none for no site');
is((token('root', scopes => ['all']))[0], 422, 'nor for scopes there are not');
is((token('root', name => ''))[0], 422, 'nor without a name');
is((token('nobody'))[0], 403, 'not by who owns nothing');
is((token('!local'))[0], 201, 'by a token of an admin, for its site');
is((token('!local', sites => ['demo', 'other']))[0], 403, 'for its site alone');
is((token('!local', sites => ['*']))[0], 403, 'and never for all');
is((token('!reader'))[0], 403, 'not by a token that reads');
my $list = call(GET => 'tokens', undef, Authorization => "Bearer $Backend::token{local}")->{content};
unlike($list, qr/"\*"|$made->{token}/, 'others are not listed, and no token itself');
is(call(DELETE => "tokens/$made->{id}", undef, as($session{nobody}))->{status}, 404, 'nor to be revoked');
is(call(DELETE => "tokens/$made->{id}", undef, as($session{root}))->{status}, 204, 'revoked');
is(call(GET => 'sites/demo/settings', undef, %bearer)->{status}, 401, 'and of no more use');

# Accounts.
is(call(POST => 'staff', {email => 'New@Example.com', password => $word, sites => {demo => 'viewer'}},
        as($session{root}))->{status}, 201, 'an account is made');
is(call(POST => 'staff', {email => 'new@example.com', password => $word}, as($session{root}))->{status}, 409, 'once');
is(call(POST => 'staff', {email => 'x', password => $word}, as($session{root}))->{status}, 422, 'by an address');
is(call(POST => 'staff', {email => 'x@y' . 'z' x 252, password => $word}, as($session{root}))->{status}, 422,
   'of 254 bytes');
is(call(POST => 'staff', {email => 'a@example.com', password => 'x' x 257}, as($session{root}))->{status}, 422,
   'with a password of 256');
is(call(POST => 'staff', {email => 'a@example.com', password => $word, sites => {demo => 'king'}},
        as($session{root}))->{status}, 422, 'and roles there are');
is(call(POST => 'staff', {email => 'a@example.com', password => $word,
        sites => {map { ("s$_" => 'viewer') } 1 .. 1001}}, as($session{root}))->{status}, 422, 'on a thousand sites');
is(sign_in('new@example.com')->{answer}{status}, 201, 'it signs in');
my $all = call(GET => 'staff', undef, as($session{root}))->{content};
like($all, qr/new\@example.com.*/, 'it is listed');
unlike($all, qr/\$y\$/, 'without its hash');
is(call(PUT => 'sites/demo/staff/nobody@example.com', {role => 'editor'},
        Authorization => "Bearer $Backend::token{local}")->{status}, 200, 'a role is given');
is(call(GET => 'sites/demo/settings', undef, as($session{nobody}))->{status}, 200, 'and held');
my $staff = decode_json(call(GET => 'sites/demo/staff', undef, as($session{root}))->{content})->{staff};
is(join(' ', sort map { "$_->{email}:$_->{role}" . ($_->{everywhere} ? '*' : '') } @$staff),
   'editor@example.com:editor new@example.com:viewer nobody@example.com:editor owner@example.com:owner '
   . 'root@example.com:owner* viewer@example.com:editor', 'the roles of a site');
is(call(DELETE => 'sites/demo/staff/nobody@example.com', undef, as($session{root}))->{status}, 204, 'taken away');
is(call(GET => 'sites/demo/settings', undef, as($session{nobody}))->{status}, 403, 'and gone');
like(call(GET => 'audit', undef, as($session{root}))->{content}, qr/"method":"POST","path":"tokens"/,
     'the installation has an audit too');
unlike(call(GET => 'audit?limit=1000', undef, as($session{root}))->{content}, qr/\$y\$|$made->{token}/,
       'without secrets');
is(Loyalty::stop_nginx($nginx), 0, 'nginx ends well');
is(join('', Loyalty::complaints($nginx)), '', 'and had nothing to complain about');

run_tests();

__DATA__

=== TEST 1: without TLS, where the configuration says so
--- config
location /v1/ { loyalty_backend cookie=insecure; }
--- token: none
--- request
POST /v1/session
{"email":"nobody@example.com","password":"correct horse battery"}
--- error_code: 201
--- response_headers_like
Set-Cookie: loyalty_session=[\w-]{43}; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict
--- response_body_like: ^\{"email":"nobody@example.com","name":"","sites":\{"other":"viewer"\},"csrf_token":"[\w-]{43}","expires_at":"



=== TEST 2: a parameter that there is not
--- config
location /v1/ { loyalty_backend cookie=none; }
--- must_die
--- error_log
invalid parameter "cookie=none", "loyalty_backend" takes
--- no_error_log
[alert]
[crit]
