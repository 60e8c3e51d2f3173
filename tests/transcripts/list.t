`list` lists the keys, in any order unless sorted.

  $ demo_segment
  $ rlctl list web --sort key
  policy  key          allowed  denied  remaining  limit     full in  state     policy limit
  api     10.0.0.1           0       0          0      0         now  allowed   100/s burst=200
  api     203.0.113.9        0       0          0      0  10 min 1 s  banned    100/s burst=200
  login   mallory            5       2          0      5       1 min  live      5/m
  api     user:1             1       0         50    200       1.5 s  live      100/s burst=200
  api     user:2             1       0        199    200       10 ms  live      100/s burst=200
  api     user:vip           0       0       1000   1000         now  override  1k/s
  $ rlctl list web --policy api --match 'user:*' --sort remaining
  policy  key       allowed  denied  remaining  limit  full in  state     policy limit
  api     user:1          1       0         50    200    1.5 s  live      100/s burst=200
  api     user:2          1       0        199    200    10 ms  live      100/s burst=200
  api     user:vip        0       0       1000   1000      now  override  1k/s
  $ rlctl list web --sort denied --rows 1 --json
  {"policy":"login","key":"mallory","allowed_count":5,"denied_count":2,"remaining":0,"limit":5,"policy_limit":"5/m","reset_after_ns":60000000000,"idle":false}

`--where` takes a condition on the fields of a key, and `--columns` says what to print of it.

  $ rlctl list web --where 'denied>0 or state=banned' --sort key
  policy  key          allowed  denied  remaining  limit     full in  state   policy limit
  api     203.0.113.9        0       0          0      0  10 min 1 s  banned  100/s burst=200
  login   mallory            5       2          0      5       1 min  live    5/m
  $ rlctl list web --where 'policy=api and not (key ~ user:* or full_in>5m)' --columns key,state
  key       state
  10.0.0.1  allowed
  $ rlctl list web --where own_limit --columns key,used,own_limit --json
  {"key":"user:vip","used":0,"own_limit":true}
  $ rlctl list web --sort -used --where 'used>0' --columns used,limit,key
  used  limit  key
     1    200  user:2
     5      5  mallory
   150    200  user:1
  $ rlctl list web --where 'denied>100 and polcy=api'
  rlctl: --where: at 16: no field is named "polcy"; did you mean "policy"?
  [2]
  $ rlctl list web --where 'full_in > 3'
  rlctl: --where: at 11: full_in "3": give a duration, such as 90s: a whole number and ns, us, ms, s, m, h or d
  [2]
  $ rlctl list web --where 'denied => 3'
  rlctl: --where: at 8: "=>" means nothing here; write >=
  [2]
  $ rlctl list web --columns key,deneid
  rlctl: --columns: there is no column "deneid"; did you mean "denied"?
  [2]

The keys that were denied most, and nothing else.

  $ rlctl list web --heavy 3
  policy  key      denied  allowed
  login   mallory       2        5
  $ rlctl list web --heavy 3 --json
  {"policy":"login","key":"mallory","denied_count":2,"allowed_count":5}

  $ rlctl list web --where 'denid>1'
  rlctl: --where: at 1: no field is named "denid"; did you mean "denied"?
  [2]
  $ rlctl list web --sort age
  rlctl: --sort "age": there is no such field; the fields are policy, key, known, truncated, allowed, denied, used, remaining, limit, full_in, state, part, holder, own_limit
  [2]
  $ rlctl list web --policy search
  rlctl: /dev/shm/rl.web: no policy "search"; make it with `rlctl policy set web search LIMIT`
  [2]
