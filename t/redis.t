# loyalty_redis: what nginx -t says of mistakes.

use Test::Nginx::Socket;
use File::Temp;

repeat_each(1);

our $Module = $ENV{LOYALTY_MODULE};
our $Dir = File::Temp->newdir();

sub file {
    my ($name, $text) = @_;

    open my $fh, '>', "$Dir/$name" or die $!;
    print $fh $text;
    close $fh;
}

file('empty', "\n");
file('large', 'x' x 1025);
file('secret', "secret\n");
file('garbage', "no certificate\n");

$ENV{DIR} = "$Dir";

add_block_preprocessor(sub {
    my $block = shift;

    $block->set_value(main_config => "load_module $Module;");
    $block->set_value(http_config => 'loyalty_redis '
                      . $block->redis . ';');
    $block->set_value(config => 'location /t { return 200 ok; }');

    if (defined $block->says) {
        my $says = $block->says;
        chomp $says;
        $block->set_value(must_die => 1);
        $block->set_value(error_log => $says);
        $block->set_value(no_error_log => "[alert]\n[crit]");

    } else {
        $block->set_value(request => 'GET /t');
        $block->set_value(response_body => 'ok');
        $block->set_value(no_error_log => "[alert]\n[crit]\n[emerg]");
    }
});

no_long_string();
plan tests => repeat_each() * 114;
run_tests();

__DATA__

=== TEST 1: a server that is not there is no reason not to serve
--- redis: unix:/nonexistent/redis.sock


=== TEST 2: all parameters
--- redis eval: "127.0.0.1:1 db=3 user=edge password_file=$ENV{DIR}/secret prefix=shop.loyalty timeout=100ms tls=off cluster=off"


=== TEST 3: no server
--- redis: db=1
--- says: "loyalty_redis" names no server, write a HOST:PORT or a unix:PATH


=== TEST 4: an unknown parameter
--- redis: 127.0.0.1:1 tiemout=1s
--- says: unknown parameter "tiemout=1s" of "loyalty_redis", known are cluster, db,


=== TEST 5: a parameter without its value
--- redis: 127.0.0.1:1 user=
--- says: parameter "user" of "loyalty_redis" has no value, write user=VALUE


=== TEST 6: a port that is none
--- redis: 127.0.0.1:99999
--- says: address "127.0.0.1:99999" of "loyalty_redis" cannot be used: invalid port


=== TEST 7: an address with a path
--- redis: 127.0.0.1:1/2
--- says: address "127.0.0.1:1/2" of "loyalty_redis" cannot be used: invalid host


=== TEST 8: a unix socket without a path
--- redis: unix:
--- says: address "unix:" of "loyalty_redis" cannot be used:


=== TEST 9: a unix socket with a path too long
--- redis eval: "unix:/" . 'x' x 120
--- says: cannot be used: too long path in the unix domain socket


=== TEST 10: a name nobody knows, and no resolver
--- redis: redis.invalid:6379
--- says: correct it, or name a "resolver" at http level


=== TEST 11: a timeout of 0
--- redis: 127.0.0.1:1 timeout=0
--- says: timeout "0" of "loyalty_redis" must be a time of at least 1ms


=== TEST 12: a timeout that is none
--- redis: 127.0.0.1:1 timeout=soon
--- says: timeout "soon" of "loyalty_redis" must be a time of at least 1ms


=== TEST 13: a database that is no number
--- redis: 127.0.0.1:1 db=-1
--- says: database "-1" of "loyalty_redis" is not a number from 0 up


=== TEST 14: neither on nor off
--- redis: 127.0.0.1:1 cluster=yes
--- says: parameter "cluster" of "loyalty_redis" is "yes", it must be "on" or "off"


=== TEST 15: a prefix that would be a pattern
--- redis: 127.0.0.1:1 "prefix=a{b}"
--- says: prefix "a{b}" of "loyalty_redis" must be at most 64 letters


=== TEST 16: a prefix too long
--- redis eval: "127.0.0.1:1 prefix=" . 'x' x 65
--- says: of "loyalty_redis" must be at most 64 letters


=== TEST 17: a password file that is not there
--- redis: 127.0.0.1:1 password_file=/nonexistent/secret
--- says: "password_file" of "loyalty_redis" "/nonexistent/secret" cannot be opened (2: No such file or directory)


=== TEST 18: an empty password file
--- redis eval: "127.0.0.1:1 password_file=$ENV{DIR}/empty"
--- says: is empty, put the password in it


=== TEST 19: a password file too large
--- redis eval: "127.0.0.1:1 password_file=$ENV{DIR}/large"
--- says: is too large: 1025 bytes, at most 1024


=== TEST 20: a folder for a password file
--- redis: 127.0.0.1:1 password_file=/
--- says: is not a regular file


=== TEST 21: a user without a password
--- redis: 127.0.0.1:1 user=edge
--- says: "loyalty_redis" has "user=edge" and no password, add password_file=FILE


=== TEST 22: a cluster and a sentinel
--- redis: 127.0.0.1:1 cluster=on sentinel=shop
--- says: a cluster needs no sentinel: leave one out


=== TEST 23: a cluster and a database
--- redis: 127.0.0.1:1 cluster=on db=2
--- says: a cluster has no database but 0: leave "db" out


=== TEST 24: a cluster on a unix socket
--- redis: unix:/tmp/s cluster=on
--- says: address "unix:/tmp/s" of "loyalty_redis" is a unix socket, a cluster needs HOST:PORT


=== TEST 25: parameters of TLS without TLS
--- redis: 127.0.0.1:1 tls_name=redis
--- says: has parameters of TLS without "tls=on", add it or leave them out


=== TEST 26: a certificate without its key
--- redis: 127.0.0.1:1 tls=on tls_cert=/etc/cert.pem
--- says: has only one of "tls_cert" and "tls_key", it takes both


=== TEST 27: certificates that are none
--- redis eval: "127.0.0.1:1 tls=on tls_ca=$ENV{DIR}/garbage"
--- says: "loyalty_redis" cannot use tls_ca or tls_cert


=== TEST 28: twice
--- redis: 127.0.0.1:1; loyalty_redis 127.0.0.1:2
--- says: "loyalty_redis" directive is duplicate
