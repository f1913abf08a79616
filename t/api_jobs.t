# Jobs: started, listed, read, cancelled.

use lib 't/lib';
use Backend;
use Test::Nginx::Socket;

Backend::site('demo');
Backend::site('other');
Backend::token('other', '--sites', 'other');
Backend::token('reader', '--scopes', 'read');

# A job that waits for its hour, so that it can be looked at and cancelled: not
# so old that it is forgotten as soon as it is over.
my %created = (later => 4e12 - 1000, sooner => 4e12 - 2000);
for my $job (keys %created) {
    Loyalty::redis('hset', "loyalty:j:{demo}:$job", qw(kind nightly state
        queued params {} total -1 done 0 failed 0 by cron created),
        $created{$job}, 'due', 4e12);
    Loyalty::redis('zadd', 'loyalty:x:{demo}:jobs', 4e12, $job);
    Loyalty::redis('zadd', 'loyalty:x:{demo}:joblist', $created{$job}, $job);
}
# Over for a hundred years: forgotten when the night is looked at.
Loyalty::redis('hset', 'loyalty:j:{other}:old', qw(kind nightly state done));
Loyalty::redis('zadd', 'loyalty:x:{other}:joblist', 1000, 'old');
# As old, and still to come: kept.
Loyalty::redis('hset', 'loyalty:j:{other}:preset', qw(kind nightly state
    queued params {} created 1000 due), 4e12);
Loyalty::redis('zadd', 'loyalty:x:{other}:joblist', 1000, 'preset');
Loyalty::redis('zadd', 'loyalty:x:{other}:jobs', 4e12, 'preset');
Loyalty::redis('set', "loyalty:x:{$_}:nightly", '9999-01-01')
    for qw(demo other);

run_tests();

__DATA__

=== TEST 1: a queued job
--- request
GET /v1/sites/demo/jobs/later
--- error_code: 200
--- response_body: {"id":"later","kind":"nightly","state":"queued","total":null,"done":0,"failed":0,"by":"cron","created_at":"2096-10-02T07:06:39Z","due_at":"2096-10-02T07:06:40Z","params":{}}



=== TEST 2: the list, newest first, a page at a time
--- request eval
["GET /v1/sites/demo/jobs?limit=1", "GET /v1/sites/demo/jobs?cursor=later",
 "GET /v1/sites/demo/jobs?cursor=x", "GET /v1/sites/demo/jobs?limit=0",
 "GET /v1/sites/other/jobs", "GET /v1/sites/none/jobs"]
--- error_code eval: [200, 200, 422, 422, 200, 404]
--- response_body_like eval
['^\{"jobs":\[\{"id":"later",[^\]]*\],"next_cursor":"later"\}$',
 '^\{"jobs":\[\{"id":"sooner",[^\]]*\]\}$', 'invalid_cursor', 'invalid_limit',
 '^\{"jobs":\[', 'not_found']



=== TEST 3: cancelled, and only once
--- request eval
["DELETE /v1/sites/demo/jobs/later", "GET /v1/sites/demo/jobs/later",
 "DELETE /v1/sites/demo/jobs/later", "DELETE /v1/sites/demo/jobs/none",
 "GET /v1/sites/demo/jobs/" . 'a' x 33]
--- error_code eval: [204, 200, 409, 404, 404]
--- response_body_like eval
['^$', '"state":"cancelled".*"finished_at":"20', '"code":"over"', 'not_found',
 'not_found']



=== TEST 4: what cannot be started
--- request eval
['POST /v1/sites/demo/jobs
{}', 'POST /v1/sites/demo/jobs
{"kind":"mystery"}', 'POST /v1/sites/demo/jobs
{"kind":"nightly","backfill":true}', 'POST /v1/sites/demo/jobs
{"kind":"activation","backfill":"yes"}', 'POST /v1/sites/none/jobs
{"kind":"nightly"}']
--- error_code eval: [422, 422, 422, 422, 404]
--- response_body_like eval
['"/kind"', '"/kind"', '"/backfill"', '"/backfill"', 'not_found']



=== TEST 5: started, and where to look for it
--- request
POST /v1/sites/demo/jobs
{"kind":"nightly"}
--- error_code: 202
--- response_headers_like
Location: /v1/sites/demo/jobs/[0-9a-f]{32}
--- response_body_like: ^\{"id":"[0-9a-f]{32}","kind":"nightly","state":"queued"\}$



=== TEST 6: a token of another site, and one that may only read
--- token: other
--- request eval
["GET /v1/sites/demo/jobs", "GET /v1/sites/demo/jobs/later",
 "DELETE /v1/sites/demo/jobs/sooner", "POST /v1/sites/demo/jobs\n{}"]
--- error_code eval: [403, 403, 403, 403]
--- response_body_like eval: [('"forbidden"') x 4]



=== TEST 7: reading is not writing
--- token: reader
--- request eval
["GET /v1/sites/demo/jobs/sooner", "DELETE /v1/sites/demo/jobs/sooner",
 "POST /v1/sites/demo/jobs\n{}"]
--- error_code eval: [200, 403, 403]
--- response_body_like eval: ['"queued"', '"forbidden"', '"forbidden"']



=== TEST 8: old jobs are forgotten, those still to come are not
--- request
GET /v1/sites/other/jobs
--- error_code: 200
--- response_body_like: ^(?!.*"old").*"id":"preset"



=== TEST 9: a job runs by the clock, and says so
--- request
POST /v1/sites/other/jobs
{"kind":"nightly","at":"2027-01-01T00:00:00Z"}
--- error_code: 422
--- response_body_like: "/at".*is no field of a job



=== TEST 10: the stored answer says where the job is, too
--- more_headers
Idempotency-Key: night
--- request eval
[("POST /v1/sites/other/jobs\n{\"kind\":\"nightly\"}") x 2]
--- error_code eval: [202, 202]
--- response_headers_like eval
['Location: /v1/sites/other/jobs/[0-9a-f]{32}', "Location: /v1/sites/other/jobs/[0-9a-f]{32}\nIdempotency-Replayed: true"]
