`acquire` asks as a program would, and charges what it asks for. The exit code says whether the call
passes.

  $ rlctl create web --keys 100 --clock manual
  created /dev/shm/rl.web: room for 100 keys, SIZE
  $ rlctl policy set web api 100/s burst=200
  policy api is 100/s burst=200
  $ rlctl acquire web api user:42 --cost 199
  allowed: 1 of 200 left, full in 2 s
  $ rlctl acquire web api user:42 --cost 5
  denied, come back in 40 ms: 1 of 200 left, full in 2 s
  [1]
  $ rlctl clock web --advance 40ms
  40 ms (40000000 ns)
  $ rlctl acquire web api user:42 --cost 5 --json
  {"allowed":true,"reason":"ok","limit":200,"remaining":0,"retry_after_ns":0,"reset_after_ns":2000000000,"wait_ns":0}
  $ rlctl acquire web api user:42 --json
  {"allowed":false,"reason":"limited","limit":200,"remaining":0,"retry_after_ns":10000000,"reset_after_ns":2000000000,"wait_ns":0}
  [1]

With `--wait` it waits for its turn, if that comes in time; else it is denied at once. (Nobody moves this clock.)

  $ rlctl acquire web api user:42 --wait 9ms
  denied, come back in 10 ms: 0 of 200 left, full in 2 s
  [1]
  $ rlctl acquire web api user:43 --wait 1m
  allowed: 199 of 200 left, full in 10 ms
  $ rlctl acquire web api user:42 --wait soon
  rlctl: --wait "soon": give a duration, such as 90s: a whole number and ns, us, ms, s, m, h or d
  [2]

A key of any bytes comes from a file, or behind --.

  $ printf 'user\0:42' | rlctl acquire web api --key-file -
  allowed: 199 of 200 left, full in 10 ms
  $ rlctl acquire web api -- --odd-key
  allowed: 199 of 200 left, full in 10 ms

A cost that can never pass is denied, and the reason is told.

  $ rlctl acquire web api user:42 --cost 201
  denied (never): 0 of 200 left, full in 2 s
  rlctl: a cost of 201 is above the most that may pass at once under policy "api" and can never pass; ask for at most 200
  [1]

  $ rlctl acquire web search user:42
  rlctl: /dev/shm/rl.web: no policy "search"; make it with `rlctl policy set web search LIMIT`
  [2]
  $ rlctl acquire web api user:42 --cost 0
  rlctl: --cost 0: a call costs something; give at least 1
  [2]
  $ rlctl acquire web api
  rlctl: no key is given; give KEY, or --key-file FILE (- for standard input)
  [2]
