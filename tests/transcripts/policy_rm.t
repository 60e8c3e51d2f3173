`policy rm` puts no limit in force: the calls of programs that run pass. `acquire` has nothing to ask.

  $ demo_segment
  $ rlctl policy rm web login
  policy login is removed, and calls pass, until it is set or a program that asks for it starts; it was 5/m
  $ rlctl acquire web login mallory
  rlctl: /dev/shm/rl.web: no policy "login"; make it with `rlctl policy set web login LIMIT`
  [2]
  $ rlctl policy rm web login
  policy login was removed before
  $ rlctl policy rm web api --json
  {"policy":"api","removed":true,"policy_limit":"100/s burst=200"}
  $ rlctl policy rm web search
  rlctl: /dev/shm/rl.web: no policy "search"; `rlctl policy list web` shows those that there are
  [2]
