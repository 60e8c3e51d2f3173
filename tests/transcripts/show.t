`show` shows one key as `list` would, also one that is not in the table and so owes nothing.

  $ demo_segment
  $ rlctl show web login mallory
  policy  key      allowed  denied  remaining  limit  full in  state  policy limit
  login   mallory        5       2          0      5    1 min  live   5/m
  $ rlctl show web api nobody
  policy  key     allowed  denied  remaining  limit  full in  state  policy limit
  api     nobody        0       0        200    200      now  idle   100/s burst=200
  $ rlctl show web api user:vip
  policy  key       allowed  denied  remaining  limit  full in  state     policy limit
  api     user:vip        0       0       1000   1000      now  override  1k/s
  $ rlctl show web api 203.0.113.9 --json
  {"policy":"api","key":"203.0.113.9","allowed_count":0,"denied_count":0,"remaining":0,"limit":0,"policy_limit":"100/s burst=200","reset_after_ns":600015677440,"idle":false,"standing":"banned"}

  $ rlctl show web search mallory
  rlctl: /dev/shm/rl.web: no policy "search"; make it with `rlctl policy set web search LIMIT`
  [2]
