A key that is allowed passes, whatever it does, and is charged nothing.

  $ demo_segment
  $ rlctl allow web login admin --reason "on call"
  admin passes whatever it does
  $ rlctl acquire web login admin --cost 1000
  allowed (override)
  $ rlctl allow web login admin --json
  {"changed":false}

  $ rlctl allow web search admin
  rlctl: /dev/shm/rl.web: no policy "search"; see `rlctl policy list`
  [2]
