An override puts a key under a limit of its own.

  $ demo_segment
  $ rlctl override set web api user:big 500/s burst=1000
  user:big has an override: 500/s burst=1000
  $ rlctl override set web api user:big 1000/s
  user:big has an override: 1k/s
  $ rlctl override set web login admin 60/m --json
  {"changed":true}
  $ rlctl show web api user:big
  policy  key       allowed  denied  remaining  limit  full in  state     policy limit
  api     user:big        0       0       1000   1000      now  override  1k/s

  $ rlctl override set web search user:big 500/s
  rlctl: /dev/shm/rl.web: no policy "search"; make it with `rlctl policy set web search LIMIT`
  [2]
  $ rlctl override set web api user:big plenty
  rlctl: "plenty": cannot read on at "plenty": a limit begins with its count, or with token_bucket, leaky, window, sliding, concurrency or counter
  [2]
