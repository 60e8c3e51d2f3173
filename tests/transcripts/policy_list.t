`policy list` lists the limits in force.

  $ demo_segment
  $ rlctl policy list web
  policy  id  limit  interval  policy limit
  api      1    200     10 ms  100/s burst=200
  login    2      5      12 s  5/m
  $ rlctl policy list web --policy login --json
  {"policy":"login","id":2,"policy_limit":"5/m","limit":5,"interval_ns":12000000000,"when_full":"evict","created":"TIME","creator_uid":0}

With --history all that they ever were, by whom and since when.

  $ rlctl policy set web api 50/s burst=100 --spent scale
  policy api is 50/s burst=100; it was 100/s burst=200
  $ rlctl policy rm web login
  policy login is removed, and calls pass, until it is set or a program that asks for it starts; it was 5/m
  $ rlctl policy list web --history
  policy  id  set                   by uid  spent  policy limit
  api      1  TIME                       0  keep   100/s burst=200
  api      6  TIME                       0  scale  50/s burst=100
  login    2  TIME                       0  keep   5/m
  login    7  TIME                       0  keep   removed
  1017 of 1024 ids are left; none is used twice
  $ rlctl policy list web --history --policy api --json
  {"policy":"api","id":1,"policy_limit":"100/s burst=200","limit":200,"interval_ns":10000000,"when_full":"evict","created":"TIME","creator_uid":0,"spent":"keep","removed":false}
  {"policy":"api","id":6,"policy_limit":"50/s burst=100","limit":100,"interval_ns":20000000,"when_full":"evict","created":"TIME","creator_uid":0,"spent":"scale","removed":false}

  $ rlctl policy list web --policy search
  rlctl: /dev/shm/rl.web: no policy "search"; make it with `rlctl policy set web search LIMIT`
  [2]
