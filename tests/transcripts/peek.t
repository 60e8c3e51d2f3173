`peek` says what `acquire` would answer, and charges nothing.

  $ demo_segment
  $ rlctl peek web api user:1
  would be allowed: 50 of 200 left, full in 1.5 s
  $ rlctl peek web api user:1 --cost 100
  would be denied, come back in 500 ms: 50 of 200 left, full in 1.5 s
  [1]
  $ rlctl peek web api user:1 --cost 100 --json
  {"allowed":false,"reason":"limited","limit":200,"remaining":50,"retry_after_ns":500000000,"reset_after_ns":1500000000,"wait_ns":0}
  [1]
  $ rlctl peek web login mallory
  would be denied, come back in 12 s: 0 of 5 left, full in 1 min
  [1]

Who is banned is told until when; who is allowed passes.

  $ rlctl peek web api 203.0.113.9
  would be denied (banned), come back in 10 min 1 s
  [1]
  $ rlctl peek web api 10.0.0.1
  would be allowed (override)

  $ rlctl peek web search user:1
  rlctl: /dev/shm/rl.web: no policy "search"; make it with `rlctl policy set web search LIMIT`
  [2]
