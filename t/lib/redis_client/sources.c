/*
 * The client as it is.  In one unit: the objects of nginx's build are named
 * by the last two parts of a path, and ours are there already.
 */


#include "ngx_loyalty_redis.c"
#include "ngx_loyalty_redis_cluster.c"
#include "ngx_loyalty_redis_conf.c"
#include "ngx_loyalty_redis_io.c"
#include "ngx_loyalty_redis_link.c"
#include "ngx_loyalty_redis_peer.c"
#include "ngx_loyalty_redis_sentinel.c"
#include "ngx_loyalty_redis_tls.c"
#include "ngx_loyalty_redis_track.c"
#include "ngx_loyalty_file.c"
