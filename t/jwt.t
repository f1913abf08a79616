# loyalty_jwt: whose token is believed, and why another is not.

use strict;
use warnings;

use lib 't/lib';
use Loyalty;
use Test::Nginx::Socket 'no_plan';

Loyalty::program(demo => {});
Loyalty::member(demo => {id => 'anna', spent_total => 150000});
Loyalty::member(demo => {id => '4711', spent_total => 600000});

our $secret = '0123456789abcdef0123456789abcdef';
my $other = 'fedcba9876543210fedcba9876543210';
my $dir = $Loyalty::dir;
my $now = time;

Loyalty::file(secret => "$secret\n");
for my $name ('rsa', 'rsa2') {
    system("openssl genrsa 2048 2>/dev/null >$dir/$name.key");
    system("openssl rsa -in $dir/$name.key -pubout 2>/dev/null "
           . ">$dir/$name.pem");
}
for my $name ('ec', 'ec2') {
    system("openssl ecparam -name prime256v1 -genkey -noout >$dir/$name.key");
    system("openssl ec -in $dir/$name.key -pubout 2>/dev/null "
           . ">$dir/$name.pem");
}

my %hs = (alg => 'HS256', key => $secret);
my %rs = (alg => 'RS256', key => "$dir/rsa.key");
my %es = (alg => 'ES256', key => "$dir/ec.key");
my $public = do { local (@ARGV, $/) = "$dir/rsa.pem"; <> };

sub hs { return Loyalty::jwt(\%hs, @_) }

my $good = hs({sub => 'anna'});
my ($head, $body, $signature) = split /\./, $good;

# Where a token stands, what it is worth: who it makes of the shopper, and the
# reason counted.
our %tokens = (
    hs256 => [$good, 'anna|bronze'],
    number => [hs({sub => 4711}), '4711|silver'],
    fresh => [hs({sub => 'anna', exp => $now + 60, nbf => $now - 60}),
              'anna|bronze'],
    half => [hs({sub => 'anna', exp => $now + 60.5}), 'anna|bronze'],
    ahead => [hs({sub => 'anna', nbf => $now + 15}), 'anna|bronze'],
    expired => [hs({sub => 'anna', exp => $now - 1}), '|', 'jwt_expired'],
    early => [hs({sub => 'anna', nbf => $now + 600}), '|', 'jwt_not_before'],
    exp_text => [hs({sub => 'anna', exp => 'never'}), '|', 'jwt_malformed'],
    no_sub => [hs({name => 'anna'}), '|', 'jwt_claim'],
    empty_sub => [hs({sub => ''}), '|', 'jwt_claim'],
    list_sub => [hs({sub => ['anna']}), '|', 'jwt_claim'],
    control => [hs({sub => "an\nna"}), '|', 'member_id'],
    long_sub => [hs({sub => 'x' x 129}), '|', 'member_id'],
    twice => [hs('{"sub":"ben","sub":"anna"}'), '|', 'jwt_malformed'],
    array => [hs('["anna"]'), '|', 'jwt_signature|jwt_malformed'],
    no_json => [hs('anna'), '|', 'jwt_signature|jwt_malformed'],
    wrong_key => [Loyalty::jwt({%hs, key => $other}, {sub => 'anna'}), '|',
                  'jwt_signature'],
    none => [Loyalty::jwt({alg => 'none'}, {sub => 'anna'}), '|', 'jwt_alg'],
    None => [Loyalty::jwt({alg => 'None', by => 'none'}, {sub => 'anna'}), '|',
             'jwt_alg'],
    unsigned => [Loyalty::jwt({%hs, by => 'none'}, {sub => 'anna'}), '|',
                 'jwt_signature'],
    hs512 => [Loyalty::jwt({%hs, alg => 'HS512', by => 'HS256'},
                           {sub => 'anna'}), '|', 'jwt_alg'],
    rs_as_hs => [Loyalty::jwt(\%rs, {sub => 'anna'}), '|', 'jwt_alg'],
    crit => [Loyalty::jwt({%hs, header => {crit => ['exp']}},
                          {sub => 'anna'}), '|', 'jwt_malformed'],
    two_parts => ["$head.$body", '|', 'jwt_malformed'],
    one_part => ['anna', '|', 'jwt_malformed'],
    dots => ['..', '|', 'jwt_malformed'],
    bad_head => ["!$head.$body.$signature", '|', 'jwt_malformed'],
    cut => [substr($good, 0, -1), '|', 'jwt_signature'],
    swapped => [join('.', $head, (split /\./, hs({sub => 'ben'}))[1],
                     $signature), '|', 'jwt_signature'],
);

our %rsa = (
    rs256 => [Loyalty::jwt(\%rs, {sub => 'anna'}), 'anna|bronze'],
    wrong_key => [Loyalty::jwt({%rs, key => "$dir/rsa2.key"},
                               {sub => 'anna'}), '|', 'jwt_signature'],
    # The public key as the secret of an HMAC: the classic confusion.
    confused => [Loyalty::jwt({alg => 'HS256', key => $public},
                              {sub => 'anna'}), '|', 'jwt_alg'],
    confused_too => [Loyalty::jwt({alg => 'RS256', by => 'HS256',
                                   key => $public},
                                  {sub => 'anna'}), '|', 'jwt_signature'],
    none => [Loyalty::jwt({alg => 'none'}, {sub => 'anna'}), '|', 'jwt_alg'],
);

our %ec = (
    es256 => [Loyalty::jwt(\%es, {sub => 'anna'}), 'anna|bronze'],
    wrong_key => [Loyalty::jwt({%es, key => "$dir/ec2.key"}, {sub => 'anna'}),
                  '|', 'jwt_signature'],
    rs => [Loyalty::jwt(\%rs, {sub => 'anna'}), '|', 'jwt_alg'],
    none => [Loyalty::jwt({alg => 'none'}, {sub => 'anna'}), '|', 'jwt_alg'],
);

# Requests with these tokens in turn, then one for the metrics.
sub requests {
    my ($set) = @_;
    return [(map { "GET /t?$set->{$_}[0]" } sort keys %$set), 'GET /m'];
}

sub codes { return [(204) x keys %{$_[0]}, 200] }

sub names { return [(map { "X-Who: $_[0]{$_}[1]" } sort keys %{$_[0]}), ''] }

# Each reason as often as the table says; what may be either is not compared.
sub counts {
    my ($set) = @_;
    my %count;
    $count{$_->[2]}++ for grep { $_->[2] && $_->[2] !~ /\|/ } values %$set;
    my %either = map { $_ => 1 }
        map { split /\|/ } grep { /\|/ } map { $_->[2] // '' } values %$set;
    delete @count{keys %either};
    my $like = join '', map {
        qq/(?=.*reason="$_"\\} $count{$_}\\n)/ } sort keys %count;
    return [(qr/^$/) x keys %$set, qr/$like/s];
}

Loyalty::nginx();
run_tests();

__DATA__

=== HS256
--- config
    location /t {
        loyalty on;
        loyalty_site demo;
        loyalty_jwt $args key=$TEST_NGINX_DIR/secret;
        add_header X-Who "$loyalty_member|$loyalty_tier";
        try_files /none =204;
    }
    location /m { loyalty_metrics; }
--- request eval: ::requests(\%::tokens)
--- error_code eval: ::codes(\%::tokens)
--- response_headers eval: ::names(\%::tokens)
--- response_body_like eval: ::counts(\%::tokens)


=== RS256
--- config
    location /t {
        loyalty on;
        loyalty_site demo;
        loyalty_jwt $args key=$TEST_NGINX_DIR/rsa.pem alg=RS256;
        add_header X-Who "$loyalty_member|$loyalty_tier";
        try_files /none =204;
    }
    location /m { loyalty_metrics; }
--- request eval: ::requests(\%::rsa)
--- error_code eval: ::codes(\%::rsa)
--- response_headers eval: ::names(\%::rsa)
--- response_body_like eval: ::counts(\%::rsa)


=== ES256
--- config
    location /t {
        loyalty on;
        loyalty_site demo;
        loyalty_jwt $args key=$TEST_NGINX_DIR/ec.pem alg=ES256;
        add_header X-Who "$loyalty_member|$loyalty_tier";
        try_files /none =204;
    }
    location /m { loyalty_metrics; }
--- request eval: ::requests(\%::ec)
--- error_code eval: ::codes(\%::ec)
--- response_headers eval: ::names(\%::ec)
--- response_body_like eval: ::counts(\%::ec)


=== from the Authorization header, or a cookie, by another claim
--- config
    location /bearer {
        loyalty on;
        loyalty_site demo;
        loyalty_jwt $http_authorization key=$TEST_NGINX_DIR/secret;
        add_header X-Who "$loyalty_member|$loyalty_tier";
        try_files /none =204;
    }
    location /cookie {
        loyalty on;
        loyalty_site demo;
        loyalty_jwt $cookie_session key=$TEST_NGINX_DIR/secret claim=customer;
        add_header X-Who "$loyalty_member|$loyalty_tier";
        try_files /none =204;
    }
--- request eval
["GET /bearer", "GET /cookie"]
--- more_headers eval
["Authorization: bearer " . ::hs({sub => "anna"}),
 "Cookie: session=" . ::hs({sub => "ben", customer => "anna"})]
--- error_code eval
[204, 204]
--- response_headers eval
["X-Who: anna|bronze", "X-Who: anna|bronze"]


=== no token is a guest, and nothing is counted
--- config
    location /t {
        loyalty on;
        loyalty_site demo;
        loyalty_jwt $cookie_session key=$TEST_NGINX_DIR/secret;
        add_header X-Who "$loyalty_member|$loyalty_tier";
        try_files /none =204;
    }
    location /m { loyalty_metrics; }
--- request eval
["GET /t", "GET /m"]
--- error_code eval
[204, 200]
--- response_headers eval
["X-Who: |", ""]
--- response_body_like eval
[qr/^$/, qr/reason="jwt_malformed"\} 0\n/]


=== a token of 8192 bytes is the longest
--- http_config
    large_client_header_buffers 4 32k;
--- config
    location /t {
        loyalty on;
        loyalty_site demo;
        loyalty_jwt $http_x_token key=$TEST_NGINX_DIR/secret;
        add_header X-Who "$loyalty_member|$loyalty_tier";
        try_files /none =204;
    }
    location /m { loyalty_metrics; }
--- request eval
["GET /t", "GET /t", "GET /m"]
--- more_headers eval
sub token {
    for (my $pad = 5900; ; $pad++) {
        my $token = ::hs({sub => "anna", pad => "x" x $pad});
        return $token if length $token >= $_[0];
    }
}
["X-Token: " . token(8191), "X-Token: " . token(8193), ""]
--- error_code eval
[204, 204, 200]
--- response_headers eval
["X-Who: anna|bronze", "X-Who: |", ""]
--- response_body_like eval
[qr/^$/, qr/^$/, qr/reason="jwt_size"\} 1\n/]


=== a location with loyalty_member leaves the token above alone
--- config
    loyalty on;
    loyalty_site demo;
    loyalty_jwt $args key=$TEST_NGINX_DIR/secret;
    location /t {
        loyalty_member anna;
        add_header X-Who "$loyalty_member|$loyalty_tier";
        try_files /none =204;
    }
--- request eval
"GET /t?" . ::hs({sub => "4711"})
--- error_code: 204
--- response_headers
X-Who: anna|bronze
