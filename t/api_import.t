# Files of members: what is refused before a job is made, and who may.

use lib 't/lib';
use Backend;
use Test::Nginx::Socket;

Backend::site('demo');
Backend::token('reader', '--scopes', 'read');
Backend::token('other', '--sites', 'other');

run_tests();

__DATA__

=== TEST 1: a CSV needs names of columns, and an id
--- more_headers
Content-Type: text/csv
--- request eval
["POST /v1/sites/demo/members/import\nname,email\na,b",
 "POST /v1/sites/demo/members/import\nid,shoe\na,b",
 "POST /v1/sites/demo/members/import\nid,name,name\na,b,c",
 "POST /v1/sites/demo/members/import\n\"id,name\na,b",
 "POST /v1/sites/demo/members/import\nid\n",
 "POST /v1/sites/demo/members/import\n",
 "POST /v1/sites/demo/members/import\nid" . ',attributes.a' x 1100 . "\na",
 "POST /v1/sites/none/members/import\nid\na"]
--- error_code eval: [(422) x 7, 404]
--- response_body_like eval
['one column has to be', 'column 2', 'column 3', 'invalid_header', '"empty"',
 '"empty"', 'invalid_header', 'not_found']



=== TEST 2: other types of files
--- more_headers
Content-Type: application/vnd.ms-excel
--- request
POST /v1/sites/demo/members/import
id
--- error_code: 415



=== TEST 3: NDJSON without a line
--- more_headers
Content-Type: application/x-ndjson
--- request eval
"POST /v1/sites/demo/members/import\n\n\n"
--- error_code: 422
--- response_body_like: "empty"



=== TEST 4: an import, by its key one job
--- more_headers
Content-Type: text/csv
Idempotency-Key: monday
--- request eval
[("POST /v1/sites/demo/members/import\nid\na\nb\n") x 2,
 'GET /v1/sites/demo/jobs']
--- error_code eval: [202, 202, 200]
--- response_body_like eval
['"kind":"import"', '"kind":"import"',
 '^(?!.*"import".*"import").*"import".*"total":2']



=== TEST 5: exports
--- request eval
['POST /v1/sites/demo/members/export
{"format":"xls"}', 'POST /v1/sites/demo/members/export
{"format":"csv","bom":1}', 'POST /v1/sites/demo/members/export
{"format":"csv","filter":{"field":"shoe"}}',
 'GET /v1/sites/demo/jobs/none/file', 'GET /v1/sites/demo/jobs/' . 'a' x 33
 . '/file']
--- error_code eval: [422, 422, 422, 404, 404]
--- response_body_like eval
['"/format"', '"/bom"', 'the filter is not valid', 'not_found', 'not_found']



=== TEST 6: readers and other sites
--- token: reader
--- request eval
["POST /v1/sites/demo/members/import\nid\na",
 "POST /v1/sites/demo/members/export\n{}"]
--- error_code eval: [403, 403]
--- response_body_like eval: ['"forbidden"', '"forbidden"']



=== TEST 7: other sites
--- token: other
--- request eval
["POST /v1/sites/demo/members/import\nid\na",
 "POST /v1/sites/demo/members/export\n{}",
 "GET /v1/sites/demo/jobs/none/file"]
--- error_code eval: [403, 403, 403]
--- response_body_like eval: [('"forbidden"') x 3]
