`policy compare` tells what the limit on trial would have done with the calls since it was put there.

  $ demo_segment
  $ rlctl policy trial web api 50/s
  policy api is 100/s burst=200, and 50/s is on trial beside it
  $ for key in a b c; do rlctl acquire web api $key --cost 20; done
  allowed: 180 of 200 left, full in 200 ms
  allowed: 180 of 200 left, full in 200 ms
  allowed: 180 of 200 left, full in 200 ms
  $ rlctl acquire web api a --cost 40
  allowed: 140 of 200 left, full in 600 ms
  $ rlctl policy compare web api
            allowed  denied  share denied  policy limit
  in force        4       0         0.0 %  100/s burst=200
  on trial        3       1        25.0 %  50/s
  since TIME, by uid 0; keys that the one on trial would have denied: 1
  $ rlctl policy compare web api --json
  {"policy":"api","since":"TIME","creator_uid":0,"live":{"policy_limit":"100/s burst=200","allowed":4,"denied":0},"candidate":{"policy_limit":"50/s","allowed":3,"denied":1},"keys_denied":1}

Without a trial there is nothing to compare.

  $ rlctl policy compare web login
  rlctl: /dev/shm/rl.web: policy "login" has no candidate; try one with `rlctl policy trial web login LIMIT`
  [2]
