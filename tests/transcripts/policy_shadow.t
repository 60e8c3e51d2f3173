A limit in shadow denies nobody; what it would deny passes, says so, and is counted.

  $ demo_segment
  $ rlctl policy shadow web login on
  policy login is 5/m shadow; it was 5/m
  $ rlctl acquire web login mallory
  allowed, though the limit would deny (shadow) for 12 s: 0 of 5 left, full in 1 min
  $ rlctl policy shadow web login off --json
  {"policy":"login","id":7,"policy_limit":"5/m","limit":5,"interval_ns":12000000000,"when_full":"evict","created":"TIME","creator_uid":0}
  $ rlctl acquire web login mallory
  denied, come back in 12 s: 0 of 5 left, full in 1 min
  [1]

  $ rlctl policy shadow web search on
  rlctl: /dev/shm/rl.web: no policy "search"; make it with `rlctl policy set web search LIMIT`
  [2]
  $ rlctl policy shadow web login maybe
  rlctl: on|off "maybe": give one of on, off
  [2]
