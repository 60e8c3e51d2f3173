`reset` forgets what a key has consumed.

  $ demo_segment
  $ rlctl acquire web login mallory
  denied, come back in 12 s: 0 of 5 left, full in 1 min
  [1]
  $ rlctl reset web login mallory
  forgot what the key had consumed
  $ rlctl acquire web login mallory
  allowed: 4 of 5 left, full in 12 s
  $ rlctl reset web login nobody
  the key had consumed nothing

Or what every key has.

  $ rlctl reset web --all --json
  {"forgotten":3}

  $ rlctl reset web
  rlctl: what to reset is not said; give NAME KEY, or --all
  [2]
  $ rlctl reset web search mallory
  rlctl: /dev/shm/rl.web: no policy "search"; make it with `rlctl policy set web search LIMIT`
  [2]
