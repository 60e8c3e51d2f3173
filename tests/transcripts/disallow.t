`disallow` limits a key again that was allowed.

  $ demo_segment
  $ rlctl disallow web api 10.0.0.1
  10.0.0.1 is limited again
  $ rlctl acquire web api 10.0.0.1
  allowed: 199 of 200 left, full in 10 ms
  $ rlctl disallow web api 10.0.0.1
  10.0.0.1 was not on the allow-list
  $ rlctl disallow web api 10.0.0.1 --json
  {"changed":false}

  $ rlctl disallow web search 10.0.0.1
  rlctl: /dev/shm/rl.web: no policy "search"; see `rlctl policy list`
  [2]
