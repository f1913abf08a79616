# What the suites of the back end share: tokens and a configuration around
# `loyalty_backend`, on top of Loyalty.pm's Redis.
#
# In a block, `--- token` picks another token than `all` (`none`: no header),
# `--- settle` waits for the stream to be applied before the request is sent.

package Backend;

use strict;
use warnings;

use lib 't/lib';
use Loyalty;
use Test::Nginx::Socket 'no_plan';

our %token;

Loyalty::redis(qw(config set appendonly yes));
Loyalty::redis(qw(config set appendfsync always));
Loyalty::redis(qw(config set maxmemory-policy noeviction));

# token(NAME, OPTION...): one made by scripts/token.
sub token {
    my ($name, @options) = @_;
    open my $out, '-|', 'scripts/token', '--redis', "unix:$Loyalty::socket",
        '--name', $name, @options or die "scripts/token: $!";
    chomp($token{$name} = <$out> // die 'scripts/token says nothing');
    close $out or die 'scripts/token failed';
    return $token{$name};
}

# A site with a program, as PUT settings would make it.
sub site {
    my ($site, $program) = @_;
    Loyalty::program($site => $program // {});
    Loyalty::redis('sadd', 'loyalty:sites', $site);
}

token('all');

add_block_preprocessor(sub {
    my ($block) = @_;
    my $name = $block->token // 'all';
    my @headers = $block->more_headers // ();

    chomp($name, @headers);
    push @headers, "Authorization: Bearer $token{$name}" if $name ne 'none';
    push @headers, 'Content-Type: application/json'
        unless grep { /content-type/i } @headers;
    $block->set_value(more_headers => join("\n", @headers));

    $block->set_value(main_config => "load_module $ENV{LOYALTY_MODULE};")
        unless defined $block->main_config;
    $block->set_value(http_config =>
        "loyalty_redis unix:$Loyalty::socket timeout="
        . ($ENV{LOYALTY_REDIS_TIMEOUT} // '500ms') . ';')
        unless defined $block->http_config;
    $block->set_value(config => 'location /v1/ { loyalty_backend; }')
        unless defined $block->config;
    $block->set_value(no_error_log => "[alert]\n[crit]\n[emerg]")
        unless defined $block->no_error_log;
});

no_long_string();
no_shuffle();
no_root_location();

1;
