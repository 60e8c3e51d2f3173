A limit can be tried beside the one in force, which decides.

  $ demo_segment
  $ rlctl policy trial web api 50/s
  policy api is 100/s burst=200, and 50/s is on trial beside it
  $ rlctl acquire web api user:3 --cost 60
  allowed: 140 of 200 left, full in 600 ms
  $ rlctl policy compare web api
            allowed  denied  share denied  policy limit
  in force        1       0         0.0 %  100/s burst=200
  on trial        0       1       100.0 %  50/s
  since TIME, by uid 0; keys that the one on trial would have denied: 0
  $ rlctl policy trial web login 3/m --json
  {"policy":"login","policy_limit":"5/m","candidate":"3/m"}

`off` ends a trial.

  $ rlctl policy trial web api off
  policy api is 100/s burst=200; 50/s is no longer on trial
  $ rlctl policy trial web api off
  policy api is 100/s burst=200; nothing was on trial beside it

  $ rlctl policy trial web search 5/s
  rlctl: /dev/shm/rl.web: no policy "search"; make it with `rlctl policy set web search LIMIT`
  [2]
