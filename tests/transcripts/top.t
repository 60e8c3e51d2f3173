`top` shows the keys live on a terminal. Where there is none it looks twice, tells what came in
between, and ends.

  $ demo_segment
  $ rlctl top web --interval 1ms --sort key
  web: 0 allowed/s, 0 denied/s over TIME; 6 live keys of 6 in the table
  policy  key          allowed/s  denied/s  remaining  limit     full in  state     policy limit
  api     10.0.0.1             0         0          0      0         now  allowed   100/s burst=200
  api     203.0.113.9          0         0          0      0  10 min 1 s  banned    100/s burst=200
  login   mallory              0         0          0      5       1 min  live      5/m
  api     user:1               0         0         50    200       1.5 s  live      100/s burst=200
  api     user:2               0         0        199    200       10 ms  live      100/s burst=200
  api     user:vip             0         0       1000   1000         now  override  1k/s
  $ rlctl top web --interval 1ms --policy api --match 'user:*' --sort remaining --rows 2 --looks 2
  web api: 0 allowed/s, 0 denied/s over TIME; 5 live keys of 5 in the table
  policy  key     allowed/s  denied/s  remaining  limit  full in  state  policy limit
  api     user:1          0         0         50    200    1.5 s  live   100/s burst=200
  api     user:2          0         0        199    200    10 ms  live   100/s burst=200
  web api: 0 allowed/s, 0 denied/s over TIME; 5 live keys of 5 in the table
  policy  key     allowed/s  denied/s  remaining  limit  full in  state  policy limit
  api     user:1          0         0         50    200    1.5 s  live   100/s burst=200
  api     user:2          0         0        199    200    10 ms  live   100/s burst=200
  $ rlctl top web --interval 1ms --policy login --match mall --json
  {"kind":"segment","name":"web","interval_ns":TIME,"allowed":0,"denied":0,"keys":1,"live":1,"attached":0,"policy":"login"}
  $ rlctl top web --interval 1ms --rows 1 --json
  {"kind":"segment","name":"web","interval_ns":TIME,"allowed":0,"denied":0,"keys":6,"live":6,"attached":0}
  {"policy":"login","key":"mallory","allowed_count":5,"denied_count":2,"remaining":0,"limit":5,"policy_limit":"5/m","reset_after_ns":60000000000,"idle":false,"kind":"key","interval_ns":TIME,"allowed":0,"denied":0}

  $ rlctl off web
  limits of web are off: every call passes until `rlctl on web`
  $ rlctl top web --interval 1ms --rows 1
  LIMITS ARE OFF since TIME: every call passes; `rlctl on web` ends that
  web: 0 allowed/s, 0 denied/s over TIME; 6 live keys of 6 in the table
  policy  key      allowed/s  denied/s  remaining  limit  full in  state  policy limit
  login   mallory          0         0          0      5    1 min  live   5/m

  $ rlctl top web --interval 1ns
  rlctl: --interval 1ns: give at least 1ms and at most 1h
  [2]
  $ rlctl top web --sort age
  rlctl: --sort "age": give one of denied, allowed, remaining, key
  [2]
  $ rlctl top web --policy search
  rlctl: /dev/shm/rl.web: no policy "search"; make it with `rlctl policy set web search LIMIT`
  [2]
  $ rlctl top web --looks 0
  rlctl: --looks 0: shows nothing; give at least 1
  [2]
