# Requests that wait for a Redis that hangs: the client leaves, the worker
# ends, the timeout passes.  Over HTTP/1 and HTTP/2.

use strict;
use warnings;

use lib 't/lib';
use Loyalty;
use Test::More;
use Time::HiRes qw(sleep time);

Loyalty::program(demo => {});
Loyalty::member(demo => {id => "m$_", spent_total => 150000}) for 0 .. 60;

my $server = <<'CONF';
    location /t {
        loyalty on;
        loyalty_site demo;
        loyalty_member $arg_m;
        add_header X-Who "$loyalty_member|$loyalty_tier";
        try_files /none =204;
    }
    location /m {
        loyalty_metrics;
    }
CONF

sub start {
    my ($timeout) = @_;
    return Loyalty::start_nginx(<<"CONF", 'error_log error.log info;');
    loyalty_redis unix:$Loyalty::socket timeout=$timeout;
    loyalty_zone members 1m;
    server {
        listen 127.0.0.1:\@PORT\@;
        $server
    }
    server {
        listen unix:$Loyalty::dir/h2.sock http2;
        $server
    }
CONF
}

# Sends a request and hangs up after so many seconds.
sub leave {
    my ($nginx, $uri, $after) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$nginx->{port}")
        or die "connect: $!";
    print $socket "GET $uri HTTP/1.1\r\nHost: t\r\n\r\n";
    $socket->flush;
    sleep $after;
    close $socket;
}

sub log_of {
    my ($nginx) = @_;
    local (@ARGV, $/) = ($nginx->{log});
    return <>;
}

my $nginx = start('3s');
is(Loyalty::get($nginx, '/t?m=m0')->{headers}{'x-who'}, 'm0|bronze',
   'Redis answers');

Loyalty::pause();
leave($nginx, "/t?m=m$_", 0.02) for 1 .. 20;
sleep 0.2;
my $left = () = log_of($nginx) =~ /client prematurely closed connection/g;
cmp_ok($left, '>=', 20, 'a client that leaves while we wait is noticed');
Loyalty::resume();
sleep 0.3;
is(Loyalty::get($nginx, '/t?m=m1')->{headers}{'x-who'}, 'm1|bronze',
   'and the late answers find nobody, and hurt nobody');

Loyalty::pause();
for my $i (21 .. 30) {
    system("curl -s -o /dev/null -m 0.05 --http2-prior-knowledge "
           . "--unix-socket $Loyalty::dir/h2.sock 'http://t/t?m=m$i'");
}
Loyalty::resume();
sleep 0.3;
my $h2 = `curl -s -D - --http2-prior-knowledge --unix-socket $Loyalty::dir/h2.sock 'http://t/t?m=m21'`;
like($h2, qr/^HTTP\/2 204.*x-who: m21\|bronze/is, 'the same over HTTP/2');

Loyalty::pause();
my $child = fork // die "fork: $!";
if ($child == 0) {
    my $answer = Loyalty::get($nginx, '/t?m=m31');
    Loyalty::file(answer => "$answer->{status} $answer->{headers}{'x-who'}");
    POSIX::_exit(0);
}
sleep 0.2;
kill QUIT => $nginx->{pid};
sleep 0.3;
Loyalty::resume();
waitpid $child, 0;
waitpid $nginx->{pid}, 0;
is($?, 0, 'a worker that is to end waits for the request that waits');
{
    local (@ARGV, $/) = ("$Loyalty::dir/answer");
    is(<>, '204 m31|bronze', 'which is answered in full');
}
is(join('', Loyalty::complaints($nginx)), '', 'nothing to complain of');

$nginx = start('100ms');
is(Loyalty::get($nginx, '/t?m=m0')->{headers}{'x-who'}, 'm0|bronze',
   'Redis answers again');
Loyalty::pause();
my $began = time;
my $answer = Loyalty::get($nginx, '/t?m=m40');
my $took = time - $began;
is("$answer->{status} $answer->{headers}{'x-who'}", '204 m40|',
   'past the timeout a shopper is a guest');
cmp_ok($took, '<', 0.5, sprintf 'after %.3f s', $took);
leave($nginx, "/t?m=m$_", 0.01) for 41 .. 60;
sleep 0.3;
Loyalty::resume();
sleep 0.3;
for (1 .. 50) {
    $answer = Loyalty::get($nginx, '/t?m=m41');
    last if $answer->{headers}{'x-who'} eq 'm41|bronze';
    sleep 0.1;
}
is($answer->{headers}{'x-who'}, 'm41|bronze', 'and a member again after');
is(Loyalty::stop_nginx($nginx), 0, 'nginx ends as it should');
is(join('', Loyalty::complaints($nginx)), '', 'nothing to complain of');

done_testing();
