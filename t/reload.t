# Reloads under load: no request fails, counters never fall, the zone stays
# warm, visits stay one an hour, nothing is left behind.

use strict;
use warnings;

use lib 't/lib';
use Loyalty;
use Test::More;
use Time::HiRes qw(sleep time);

Loyalty::program(demo => {});
Loyalty::member(demo => {id => "m$_", spent_total => 150000}) for 1 .. 20;

my $nginx = Loyalty::start_nginx(<<"CONF");
    loyalty_redis unix:$Loyalty::socket;
    loyalty_zone members 1m;
    server {
        listen 127.0.0.1:\@PORT\@;
        location /t {
            loyalty on;
            loyalty_site demo;
            loyalty_member \$arg_m;
            add_header X-Who "\$loyalty_member|\$loyalty_tier|\$loyalty_cache";
            try_files /none =204;
        }
        location /m {
            loyalty_metrics;
        }
    }
CONF

# hits(SECONDS): requests one after the other; how many, and what went wrong.
sub hits {
    my ($seconds) = @_;
    my ($n, $until, @wrong) = (0, time + $seconds);
    my $http = HTTP::Tiny->new(timeout => 10, keep_alive => 0);
    while (time < $until) {
        my $member = 'm' . (1 + $n++ % 20);
        my $answer = $http->get(
            "http://127.0.0.1:$nginx->{port}/t?m=$member");
        my $who = $answer->{headers}{'x-who'} // '';
        push @wrong, "$member: $answer->{status} $who"
            unless $answer->{status} == 204
                && $who =~ /^$member\|(bronze\|(MISS|HIT|STALE)|\|BYPASS)$/;
    }
    return ($n, @wrong);
}

my @children;
for my $i (1 .. 3) {
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        my ($n, @wrong) = hits(4);
        Loyalty::file("hits$i", join "\n", $n, @wrong);
        POSIX::_exit(0);
    }
    push @children, $pid;
}

my ($before, $fell) = (0, 0);
for (1 .. 8) {
    sleep 0.4;
    kill HUP => $nginx->{pid};
    my $served = 0;
    my $text = Loyalty::get($nginx, '/m')->{content};
    $served += $1 while $text =~ /^loyalty_requests_total\S+ (\d+)/mg;
    $fell++ if $served < $before;
    $before = $served;
}

waitpid $_, 0 for @children;

my ($requests, @wrong) = (0);
for my $i (1 .. 3) {
    open my $in, '<', "$Loyalty::dir/hits$i" or die "hits$i: $!";
    my ($n, @lines) = <$in>;
    $requests += $n;
    push @wrong, @lines;
}

is("@wrong", '', 'no request fails while nginx is reloaded eight times');
cmp_ok($requests, '>', 100, "of $requests requests");
is($fell, 0, 'counters never fall');

sleep 1;
my $sum = 0;
my $text = Loyalty::get($nginx, '/m')->{content};
$sum += $1 while $text =~ /^loyalty_requests_total\S+ (\d+)/mg;
is($sum, $requests, 'each request is counted, by old workers and new');

kill HUP => $nginx->{pid};
sleep 1;
like(Loyalty::get($nginx, '/t?m=m1')->{headers}{'x-who'},
     qr/^m1\|bronze\|(HIT|MISS|STALE)$/, 'a new worker knows the members');

my $visits = Loyalty::redis('XLEN', 'loyalty:s:{demo}:visits');
is($visits, 20, 'twenty members, twenty visits');

my $fields = Loyalty::redis('XRANGE', 'loyalty:s:{demo}:visits', '-', '+',
                            'COUNT', 1);
like($fields, qr/^\d+-0\nm\nm\d+\nt\n\d{13}$/,
     'a visit has member and time');

is(Loyalty::stop_nginx($nginx), 0, 'nginx ends as it should');
is(join('', Loyalty::complaints($nginx)), '', 'nothing to complain of');

done_testing();
