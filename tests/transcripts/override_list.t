`override list` lists the keys with a limit of their own, by whom and since when.

  $ demo_segment
  $ rlctl override list web
  policy  key       standing       since                 uid  reason
  api     user:vip  override 1k/s  TIME                    0
  $ rlctl override list web --json
  {"policy":"api","key":"user:vip","standing":"override","override":"1k/s","since":"TIME","uid":0,"reason":""}

  $ rlctl override list web2
  rlctl: /dev/shm/rl.web2: no such segment; create it with `rlctl create`
  [2]
