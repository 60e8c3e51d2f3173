`unban` ends the ban of a key.

  $ demo_segment
  $ rlctl unban web api 203.0.113.9
  203.0.113.9 is not banned any more
  $ rlctl acquire web api 203.0.113.9
  allowed: 199 of 200 left, full in 10 ms
  $ rlctl unban web api 203.0.113.9
  203.0.113.9 was not banned
  $ rlctl unban web api 203.0.113.9 --json
  {"changed":false}

  $ rlctl unban web search 203.0.113.9
  rlctl: /dev/shm/rl.web: no policy "search"; see `rlctl policy list`
  [2]
