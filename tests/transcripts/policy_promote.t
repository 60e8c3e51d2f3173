`policy promote` puts the limit on trial in force, and ends the trial.

  $ demo_segment
  $ rlctl policy trial web api 50/s
  policy api is 100/s burst=200, and 50/s is on trial beside it
  $ rlctl policy promote web api
  policy api is 50/s; it was 100/s burst=200
  $ rlctl policy promote web api
  rlctl: /dev/shm/rl.web: policy "api" has no candidate; try one with `rlctl policy trial web api LIMIT`
  [2]
  $ rlctl policy trial web login 3/m
  policy login is 5/m, and 3/m is on trial beside it
  $ rlctl policy promote web login --spent reset --json
  {"policy":"login","policy_limit":"3/m"}
