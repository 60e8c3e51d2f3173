A ban denies a key for a time, whatever it does.

  $ demo_segment
  $ rlctl ban web api 198.51.100.7 --for 10m --reason scraper
  198.51.100.7 is banned for 10 min
  $ rlctl acquire web api 198.51.100.7
  denied (banned), come back in 10 min 1 s
  [1]
  $ rlctl clock web --advance 11m
  12 min (720000000000 ns)
  $ rlctl acquire web api 198.51.100.7
  allowed: 199 of 200 left, full in 10 ms
  $ rlctl ban web login mallory --for ever --json
  {"changed":true}

  $ rlctl ban web api 198.51.100.7 --for soon
  rlctl: --for "soon": give a duration, such as 90s: a whole number and ns, us, ms, s, m, h or d
  [2]
  $ rlctl ban web search 198.51.100.7 --for 10m
  rlctl: /dev/shm/rl.web: no policy "search"; see `rlctl policy list`
  [2]
