# The pipeline: what it did, its dead letters, and putting them back.

use lib 't/lib';
use Backend;
use Test::Nginx::Socket;

Backend::site('demo');
Backend::site('letters');

sub add {
    Loyalty::redis('xadd', 'loyalty:s:{demo}:orders', '*', 'e', shift, 'i', 'j1');
}

# Waits until the stream has been applied up to its end.
sub settle {
    my ($site) = @_;
    for (1 .. 200) {
        my $groups = Loyalty::redis('xinfo', 'groups', "loyalty:s:{$site}:orders");
        return if $groups =~ /pending\n0\n/ && $groups =~ /lag\n0$/;
        select undef, undef, undef, 0.05;
    }
}

our $order = '{"order_id":"o1","member_id":"anna","status":"completed","currency":"GBP","total":100,"lines":[]}';

run_tests();

__DATA__

=== TEST 1: nothing yet
--- request
GET /v1/sites/demo/stats
--- response_body_like: "applied":0,"duplicates":0,"held":0,"guests":0,"dead":0.*"dead_letters":0,"members":0



=== TEST 2: the stream is applied, a duplicate once, poison put aside with its reason and place
--- init
main::add($main::order);
main::add($main::order);
main::add('nonsense');
main::add($main::order =~ s/100/200/r);
main::add($main::order =~ s/GBP/EUR/r);
main::add("\xff\xfe");
Loyalty::redis('xadd', 'loyalty:s:{demo}:orders', '*', 'x', 'y');
--- request
GET /v1/sites/demo/settings
--- error_code: 200
--- wait: 1



=== TEST 3: the counts
--- init
main::settle('demo');
--- request
GET /v1/sites/demo/stats
--- response_body_like: "applied":1,"duplicates":1,"held":0,"guests":0,"dead":5.*"pending":0,"lag":0.*"dead_letters":5,"members":1



=== TEST 4: the dead letters
--- request
GET /v1/sites/demo/dead-letters
--- response_body_like eval
qr/"event":"nonsense","journal_id":"j1".*"code":"invalid_json".*"code":"exists_with_different_total".*"code":"invalid_event","message":"[^"]+","pointer":"\/currency".*"event":null/s



=== TEST 5: a page of them
--- request
GET /v1/sites/demo/dead-letters?limit=1
--- response_body_like: ^\{"dead_letters":\[\{[^\}]*\}\],"next_cursor":"\d+-\d+"\}$



=== TEST 6: what is no letter
--- request eval
["POST /v1/sites/demo/dead-letters/1-1/replay\n", "DELETE /v1/sites/demo/dead-letters/1-1",
 "DELETE /v1/sites/demo/dead-letters/x", "GET /v1/sites/demo/dead-letters?cursor=x"]
--- error_code eval: [404, 404, 404, 422]
--- response_body_like eval: ['not_found', 'not_found', 'not_found', 'invalid_cursor']



=== TEST 7: put back, it dies again; or it lives, if its cause is gone
--- init
Loyalty::redis('xadd', 'loyalty:s:{letters}:dead', '5-1', 'e', 'nonsense', 'i', 'j2', 'r', 'x');
Loyalty::redis('xadd', 'loyalty:s:{letters}:dead', '5-2', 'e', $main::order, 'i', 'j3', 'r', 'x');
Loyalty::redis('xadd', 'loyalty:s:{letters}:dead', '5-3', 'e', $main::order, 'i', 'j3', 'r', 'x');
--- request eval
["POST /v1/sites/letters/dead-letters/5-1/replay\n", "POST /v1/sites/letters/dead-letters/5-1/replay\n",
 "POST /v1/sites/letters/dead-letters/5-2/replay\n"]
--- error_code eval: [202, 404, 202]
--- response_body_like eval: ['"queued":true', 'not_found', '"queued":true']
--- wait: 1



=== TEST 8: it is a new letter
--- init
main::settle('letters');
--- request
GET /v1/sites/letters/stats
--- response_body_like: "applied":1,.*"dead":1,.*"dead_letters":2,"members":1



=== TEST 9: thrown away
--- request eval
["DELETE /v1/sites/letters/dead-letters/5-3", "GET /v1/sites/letters/stats"]
--- error_code eval: [204, 200]
--- response_body_like eval: ['^$', '"dead_letters":1']
