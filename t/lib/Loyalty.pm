# What the suites of the edge share: a Redis of their own, programs and members
# in it, tokens, and a configuration around the module.
#
#     use lib 't/lib';
#     use Loyalty;                      # starts Redis on a socket
#     Loyalty::program(demo => {...});
#     Loyalty::member(demo => {id => 'anna', spent_total => 123456});
#
# Redis ends with the suite.

package Loyalty;

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256);
use File::Spec::Functions qw(rel2abs);
use File::Temp qw(tempdir);
use HTTP::Tiny;
use IO::Socket::INET;
use JSON::PP;
use MIME::Base64 qw(encode_base64url);

our $dir = tempdir('loyalty.XXXXXX', TMPDIR => 1, CLEANUP => 1);
our $socket = "$dir/redis.sock";

# A machine under load is slow; what is late on purpose has its own.
our $timeout = $ENV{LOYALTY_REDIS_TIMEOUT} // '500ms';

my $json = JSON::PP->new->canonical->utf8;
my $owner = $$;
my $redis;

# The tests' nginx may run as another user.
chmod 0755, $dir;

# Test::Nginx puts these into its configurations.
$ENV{TEST_NGINX_SOCKET} = $socket;
$ENV{TEST_NGINX_DIR} = $dir;

$ENV{LOYALTY_MODULE} //= 'build/ngx_http_loyalty_module.so';
$ENV{LOYALTY_MODULE} = rel2abs($ENV{LOYALTY_MODULE});

sub start_redis {
    $redis = fork // die "fork: $!";
    if ($redis == 0) {
        open STDOUT, '>', "$dir/redis.log";
        open STDERR, '>&', \*STDOUT;
        exec 'redis-server', '--port', 0, '--unixsocket', $socket,
            '--unixsocketperm', 777, '--save', '', '--dir', $dir;
        exit 1;
    }
    for (1 .. 200) {
        return if -S $socket && redis('ping') eq 'PONG';
        select undef, undef, undef, 0.05;
    }
    die "redis-server does not come up: see $dir/redis.log";
}

# redis(COMMAND, ARGUMENT...): the answer as text.
sub redis {
    open my $out, '-|', 'redis-cli', '-s', $socket, @_ or die "redis-cli: $!";
    local $/;
    my $answer = <$out> // '';
    close $out;
    $answer =~ s/\n\z//;
    return $answer;
}

# The same, the last argument from bytes.
sub redis_bytes {
    my ($bytes, @command) = @_;
    my $file = "$dir/bytes";
    open my $out, '>:raw', $file or die "$file: $!";
    print $out $bytes;
    close $out;
    system("redis-cli -s '$socket' -x @{[map { quotemeta } @command]} "
           . "<'$file' >/dev/null") == 0 or die "redis-cli @command failed";
}

# program(SITE, {settings => {...}, statuses => [...], ...})
sub program {
    my ($site, $program) = @_;
    my %program = (version => 1, %$program);
    $program{settings} = {
        id => $site, name => 'Lantern & Loom', currency => 'GBP',
        time_zone => 'Europe/London', locales => ['en', 'fr'],
        active => JSON::PP::true, %{$program->{settings} // {}}
    };
    redis_bytes($json->encode(\%program), 'SET', "loyalty:p:{$site}");
}

# member(SITE, {...}): the fields of t/lib/member.c.
sub member {
    my ($site, $member) = @_;
    open my $in, '-|', helper(), $json->encode($member) or die "member: $!";
    binmode $in;
    local $/;
    my $bytes = <$in>;
    close $in or die "member: cannot encode $member->{id}";
    redis_bytes($bytes, 'SET', "loyalty:m:{$site}:$member->{id}");
}

# Built once for all suites, again when a source is newer.
sub helper {
    my $helper = 'build/lib/member';
    my @sources = ('t/lib/member.c', glob 'ngx_loyalty_module/core/*.c');
    my @inputs = (@sources, glob 'ngx_loyalty_module/core/*.h');
    my $built = (stat $helper)[9] // 0;
    return $helper unless grep { (stat)[9] > $built } @inputs;
    mkdir 'build';
    mkdir 'build/lib';
    system('cc', '-std=c11', '-D_GNU_SOURCE', '-O1', '-w',
           '-Ingx_loyalty_module/core', @sources, '-o',
           "$helper.$$", '-ljansson', '-lpcre2-8', '-lcrypto', '-licuuc') == 0
        or die "$helper cannot be built";
    rename "$helper.$$", $helper or die "$helper: $!";
    return $helper;
}

# file(NAME, TEXT): a file beside the socket; its path.
sub file {
    my ($name, $text) = @_;
    open my $out, '>:raw', "$dir/$name" or die "$dir/$name: $!";
    print $out $text;
    close $out;
    return "$dir/$name";
}

# jwt({alg => ..., header => {...}, key => ...}, {claims}): by openssl for
# RS256 and ES256, by Digest::SHA for HS256; none without a key.
sub jwt {
    my ($with, $claims) = @_;
    my $text = encode_base64url($json->encode(
        {typ => 'JWT', alg => $with->{alg}, %{$with->{header} // {}}}))
        . '.' . encode_base64url(
            ref $claims ? $json->encode($claims) : $claims);
    my $by = $with->{by} // $with->{alg};
    return "$text." if $by eq 'none';
    return "$text." . encode_base64url(hmac_sha256($text, $with->{key}))
        if $by eq 'HS256';
    my $file = file('signed', $text);
    my $signature = `openssl dgst -sha256 -binary -sign '$with->{key}' '$file'`;
    $signature = ecdsa_raw($signature) if $by eq 'ES256';
    return "$text." . encode_base64url($signature);
}

# DER's two integers as 32 bytes each (RFC 7518 section 3.4).
sub ecdsa_raw {
    my ($der) = @_;
    my ($r, $s) = unpack 'x2 x C/a x C/a', $der;
    return join '', map { substr("\0" x 32 . $_, -32) } $r, $s;
}

# A token as core/loyalty_token.h describes it; a preview's has no payload.
sub token {
    my ($type, $secret, $site, $expires_at, $payload) = @_;
    my $head = pack 'C C q>', 1, $type, $expires_at;
    $payload //= '';
    return encode_base64url($head . $payload . hmac_sha256(
        $head . pack('n/a*', $site) . $payload, $secret));
}

# Every block: the module, Redis and zone unless it has an http_config of its
# own that says so, and an error log without what should never be there.  Call
# it before adding preprocessors: the newest runs first.
sub nginx {
    main::add_block_preprocessor(sub {
        my $block = shift;
        my $http = $block->http_config // '';
        $http = "loyalty_redis unix:$socket timeout=$timeout;\n$http"
            unless $http =~ /loyalty_redis|# bare/;
        $http = "loyalty_zone members 1m;\n$http"
            unless $http =~ /loyalty_zone|# bare/;
        $block->set_value(http_config => $http);
        $block->set_value(main_config => "load_module $ENV{LOYALTY_MODULE};\n"
                          . ($block->main_config // ''));
        $block->set_value(no_error_log => "[alert]\n[crit]\n[emerg]")
            unless defined $block->no_error_log || defined $block->must_die;
    });
}

# start_nginx(HTTP CONFIGURATION): an nginx of our own for what Test::Nginx
# cannot do, with two workers; {pid, port, log, conf}.
sub start_nginx {
    my ($http, $main) = @_;
    my $probe = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1')
        or die "no port: $!";
    my $port = $probe->sockport;
    close $probe;
    my $prefix = tempdir('nginx.XXXXXX', DIR => $dir);
    chmod 0755, $prefix;
    $http =~ s/\@PORT\@/$port/g;
    my $temp = join '', map { "${_}_temp_path $prefix/$_;\n" }
        qw(client_body proxy fastcgi uwsgi scgi);
    my $user = $> == 0 ? "user root;\n" : '';
    $main //= '';
    open my $out, '>', "$prefix/nginx.conf" or die "nginx.conf: $!";
    print $out <<"CONF";
load_module $ENV{LOYALTY_MODULE};
${user}pid $prefix/nginx.pid;
worker_processes 2;
daemon off;
$main
events { }
http {
    access_log off;
    $temp
    $http
}
CONF
    close $out;
    my $nginx = {port => $port, log => "$prefix/error.log",
                 conf => "$prefix/nginx.conf"};
    $nginx->{pid} = fork // die "fork: $!";
    if ($nginx->{pid} == 0) {
        open STDERR, '>', "$prefix/stderr";
        exec $ENV{TEST_NGINX_BINARY} // 'nginx', '-e', $nginx->{log}, '-p',
            $prefix, '-c', $nginx->{conf};
        exit 1;
    }
    for (1 .. 200) {
        return $nginx
            if IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port");
        select undef, undef, undef, 0.05;
    }
    die "nginx does not come up: see $prefix/stderr, $nginx->{log}";
}

sub stop_nginx {
    my ($nginx) = @_;
    kill QUIT => $nginx->{pid};
    waitpid $nginx->{pid}, 0;
    return $?;
}

# get(NGINX, URI): {status, headers, content} of HTTP::Tiny.
sub get {
    my ($nginx, $uri, %headers) = @_;
    return HTTP::Tiny->new(timeout => 10)->get(
        "http://127.0.0.1:$nginx->{port}$uri", {headers => \%headers});
}

# metric(NGINX, SAMPLE): its value on /m.
sub metric {
    my ($nginx, $sample) = @_;
    my ($value) = get($nginx, '/m')->{content} =~ /^\Q$sample\E (\S+)$/m;
    return $value;
}

# The lines of a log that should never be there.
sub complaints {
    my ($nginx) = @_;
    open my $in, '<', $nginx->{log} or die "$nginx->{log}: $!";
    return grep { /\[(?:alert|crit|emerg)\]|Sanitizer/ } <$in>;
}

# pause() stops Redis as a machine that hangs does; resume() lets it go on.
sub pause { kill STOP => $redis }

sub resume { kill CONT => $redis }

sub now { return int(time * 1000) }

start_redis();

# Test::Nginx forks, and a child that dies is not the end of the suite.
END {
    if ($redis && $$ == $owner) {
        my $status = $?;
        kill CONT => $redis;
        kill TERM => $redis;
        waitpid $redis, 0;
        $? = $status;
    }
}

1;
