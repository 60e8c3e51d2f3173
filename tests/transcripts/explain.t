`explain` says in plain words what a limit allows. Where the locale is one
of UTF-8 the chart has finer blocks.

  $ export LC_ALL=C
  $ rlctl explain 100/s burst=200
  100/s burst=200: a token bucket for each key
  interval    10 ms (10000000 ns): a key gets a call back that often
  burst       200: so many calls pass back to back from idle; all are back 2 s later
  when full   evict: a key that finds no room takes the slot that owes the fewest, whose key starts anew
  worst case  burst + floor(T / interval) calls of cost 1 in any window of length T:
        T    calls
      1 s      300
    1 min     6200
      1 h   360200
      1 d  8640200
  calls admitted so far to a client that always asks, from idle:
    600 |                                                     ___..::--==++**##
        |                                    __...::--==++**###################
        |                   __..::---==++**####################################
        |  __..::--==+++**#####################################################
        |######################################################################
        |######################################################################
      0 +----------------------------------------------------------------------
         0                                2 s                               4 s
  $ rlctl explain leaky 10/s queue=50 delay=5
  leaky 10/s queue=50 delay=5: a leaky bucket for each key
  interval    100 ms (100000000 ns): a key gets a call back that often
  queue       50: so many more are admitted, and told how long to wait; the last for 4.5 s
  delay       5: so many of those need not wait
  when full   evict: a key that finds no room takes the slot that owes the fewest, whose key starts anew
  worst case  queue + 1 + floor(T / interval) calls of cost 1 admitted in any window of length T:
        T   calls
      1 s      61
    1 min     651
      1 h   36051
      1 d  864051
  calls admitted so far to a client that always asks, from idle:
    153 |                                                      __..::--===++**#
        |                                    __..:::--==++**###################
        |                   __..:::--==++**####################################
        |  __..:::--==++**#####################################################
        |######################################################################
        |######################################################################
      0 +----------------------------------------------------------------------
         0                               5.1 s                           10.2 s
  $ rlctl explain window 1000/h
  window 1k/h: fixed windows for each key
  window      1 h, of the clock in UTC: 1000 calls in each
  when full   evict: a key that finds no room takes the slot that owes the fewest, whose key starts anew
  worst case  count x (ceil(T / window) + 1) calls of cost 1 in any time of length T:
        T  calls
      1 s   2000
    1 min   2000
      1 h   2000
      1 d  25000
  calls admitted so far to a client that always asks, from idle:
    3000 |                                               #######################
         |                                               #######################
         |                        ##############################################
         |                        ##############################################
         |######################################################################
         |######################################################################
       0 +----------------------------------------------------------------------
          0                             1 h 30 min                           3 h
  $ rlctl explain concurrency 20 lease=30s
  concurrency 20: a concurrency limit for each key
  permits     at most 20 are out at any instant; a holder that dies gives its own back
  lease       30 s: a permit that is not given back by then is free again
  when full   deny: a key that finds no room is denied
  worst case  a holder that is stopped past its lease may still be working when its permit is out again: up to 20 more of those; a permit's fencing number tells the later holder from the earlier
  $ rlctl explain 5/m --json
  {"policy_limit":"5/m","algorithm":"token_bucket","count":5,"period_ns":60000000000,"interval_ns":12000000000,"limit":5,"refill_ns":60000000000,"when_full":"evict","worst_case":[{"window_ns":1000000000,"cost":5},{"window_ns":60000000000,"cost":10},{"window_ns":3600000000000,"cost":305},{"window_ns":86400000000000,"cost":7205}],"admissions":[{"at_ns":0,"admitted":5},{"at_ns":4000000000,"admitted":5},{"at_ns":8000000000,"admitted":5},{"at_ns":12000000000,"admitted":6},{"at_ns":16000000000,"admitted":6},{"at_ns":20000000000,"admitted":6},{"at_ns":24000000000,"admitted":7},{"at_ns":28000000000,"admitted":7},{"at_ns":32000000000,"admitted":7},{"at_ns":36000000000,"admitted":8},{"at_ns":40000000000,"admitted":8},{"at_ns":44000000000,"admitted":8},{"at_ns":48000000000,"admitted":9},{"at_ns":52000000000,"admitted":9},{"at_ns":56000000000,"admitted":9},{"at_ns":60000000000,"admitted":10},{"at_ns":64000000000,"admitted":10},{"at_ns":68000000000,"admitted":10},{"at_ns":72000000000,"admitted":11},{"at_ns":76000000000,"admitted":11},{"at_ns":80000000000,"admitted":11},{"at_ns":84000000000,"admitted":12},{"at_ns":88000000000,"admitted":12},{"at_ns":92000000000,"admitted":12},{"at_ns":96000000000,"admitted":13},{"at_ns":100000000000,"admitted":13},{"at_ns":104000000000,"admitted":13},{"at_ns":108000000000,"admitted":14},{"at_ns":112000000000,"admitted":14},{"at_ns":116000000000,"admitted":14},{"at_ns":120000000000,"admitted":15},{"at_ns":124000000000,"admitted":15},{"at_ns":128000000000,"admitted":15},{"at_ns":132000000000,"admitted":16},{"at_ns":136000000000,"admitted":16},{"at_ns":140000000000,"admitted":16},{"at_ns":144000000000,"admitted":17},{"at_ns":148000000000,"admitted":17},{"at_ns":152000000000,"admitted":17},{"at_ns":156000000000,"admitted":18},{"at_ns":160000000000,"admitted":18},{"at_ns":164000000000,"admitted":18},{"at_ns":168000000000,"admitted":19},{"at_ns":172000000000,"admitted":19},{"at_ns":176000000000,"admitted":19},{"at_ns":180000000000,"admitted":20},{"at_ns":184000000000,"admitted":20},{"at_ns":188000000000,"admitted":20},{"at_ns":192000000000,"admitted":21},{"at_ns":196000000000,"admitted":21},{"at_ns":200000000000,"admitted":21},{"at_ns":204000000000,"admitted":22},{"at_ns":208000000000,"admitted":22},{"at_ns":212000000000,"admitted":22},{"at_ns":216000000000,"admitted":23},{"at_ns":220000000000,"admitted":23},{"at_ns":224000000000,"admitted":23},{"at_ns":228000000000,"admitted":24},{"at_ns":232000000000,"admitted":24},{"at_ns":236000000000,"admitted":24},{"at_ns":240000000000,"admitted":25}]}

  $ rlctl explain 100
  rlctl: "100": cannot read on at the end: after the count goes a slash and a period, such as 100/s
  [2]
  $ rlctl explain 100/s brust=200
  rlctl: "100/s brust=200": cannot read on at "brust=200": the options of a token bucket are burst=N, when_full=evict|allow|deny, floor=PERCENT, shadow, and ban_after=N/D with ban=D
  [2]
