A policy is a name for a limit. From the next call on all processes go by the new one.

  $ rlctl create web --keys 100 --clock manual
  created /dev/shm/rl.web: room for 100 keys, SIZE
  $ rlctl policy set web api 100/s burst=200
  policy api is 100/s burst=200
  $ rlctl policy set web api 50/s burst=100 --spent scale --json
  {"policy":"api","id":2,"policy_limit":"50/s burst=100","limit":100,"interval_ns":20000000,"when_full":"evict","created":"TIME","creator_uid":0}

A list of limits with commas is asked as one: what is denied by one is charged to none.

  $ rlctl policy set web search "5/s burst=10, 1000/d"
  policy search is 5/s burst=10, 1k/d
  $ rlctl policy list web
  policy    id  limit    interval  policy limit
  api        2    100       20 ms  50/s burst=100
  search     3     10      200 ms  5/s burst=10
  search#2   4   1000  1 min 27 s  1k/d

A limit that cannot be is told with what fits, and the one in force stays.

  $ rlctl policy set web api 999999999/s
  rlctl: 999999999/s: tokens come in whole nanoseconds, which would change this rate by more than 0.1 %; the nearest that fits is 1000M/s
  [2]
  $ rlctl policy set web api 100 per second
  rlctl: "100 per second": cannot read on at " per second": after the count goes a slash and a period, such as 100/s
  [2]
