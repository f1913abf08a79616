# A shop that answers in pieces, on a socket, for the suites of injection.
#
#     Shop::start(page => {type => 'text/html', body => '...'}, ...);
#     proxy_pass http://unix:$Shop::socket;
#
#     GET /page                one piece, with a length
#     GET /page?split=7        the first 7 bytes, a pause, the rest
#     GET /page?split=every    byte by byte
#     GET /page?mode=chunked   chunked; mode=close: until the end
#     GET /page?short=9        9 bytes, then the connection is lost
#     GET /requests            the requests since the last time it was asked
#
# A page's `headers` are lines of the answer.

package Shop;

use strict;
use warnings;

use IO::Socket::UNIX;
use Time::HiRes qw(sleep);

our $socket = "$Loyalty::dir/shop.sock";

my $owner = $$;
my ($shop, $requests, %pages);

sub start {
    %pages = @_;
    my $listen = IO::Socket::UNIX->new(Local => $socket, Listen => 64)
        or die "$socket: $!";
    chmod 0777, $socket;
    $shop = fork // die "fork: $!";
    return if $shop;
    $SIG{PIPE} = 'IGNORE';
    $requests = '';
    while (my $client = $listen->accept) {
        answer($client);
        close $client;
    }
    exit 0;
}

sub answer {
    my ($client) = @_;
    my $request = '';
    until ($request =~ /\r\n\r\n/) {
        sysread $client, $request, 65536, length $request or return;
    }
    my ($name, $query) = $request =~ m{^\w+ /(\w*)(?:\?(\S*))? };
    my %with = map { split /=/, $_, 2 } split /&/, $query // '';
    my $mode = $with{mode} // 'length';

    if ($name eq 'requests') {
        $pages{requests} = {type => 'text/plain', body => $requests};
        $requests = '';
    } else {
        $requests .= $request;
    }

    my $page = $pages{$name} // {type => 'text/plain', body => "no $name"};
    my $body = $page->{body};
    my $head = ($mode eq 'close' ? 'HTTP/1.0' : 'HTTP/1.1') . ' '
        . ($page->{status} // '200 OK') . "\r\n"
        . "Content-Type: $page->{type}\r\nConnection: close\r\n"
        . join '', map { "$_\r\n" } @{$page->{headers} // []};
    $head .= 'Content-Length: ' . length($body) . "\r\n" if $mode eq 'length';
    $head .= "Transfer-Encoding: chunked\r\n" if $mode eq 'chunked';
    send_all($client, "$head\r\n");
    return if $request =~ /^HEAD/;

    for my $piece (pieces($body, \%with)) {
        $piece = sprintf("%x\r\n%s\r\n", length $piece, $piece)
            if $mode eq 'chunked';
        send_all($client, $piece);
        sleep 0.004 if $with{split};
    }
    send_all($client, "0\r\n\r\n") if $mode eq 'chunked' && !$with{short};
}

sub pieces {
    my ($body, $with) = @_;
    return substr $body, 0, $with->{short} if $with->{short};
    return $body unless $with->{split};
    return $body if $with->{split} =~ /^\d+$/ && $with->{split} >= length $body;
    return split //, $body if $with->{split} eq 'every';
    return grep { length } map { substr $body, $_->[0], $_->[1] }
        [0, $with->{split}], [$with->{split}, length $body];
}

sub send_all {
    my ($client, $bytes) = @_;
    my $sent = 0;
    while ($sent < length $bytes) {
        $sent += syswrite($client, $bytes, length($bytes) - $sent, $sent)
            || return;
    }
}

END {
    if ($shop && $$ == $owner) {
        my $status = $?;
        kill TERM => $shop;
        waitpid $shop, 0;
        $? = $status;
    }
}

1;
