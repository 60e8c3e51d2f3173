`allows` lists the keys that pass whatever they do, by whom, since when and why.

  $ demo_segment
  $ rlctl allows web
  policy  key       standing  since                 uid  reason
  api     10.0.0.1  allowed   TIME                    0  monitoring
  $ rlctl allows web --json
  {"policy":"api","key":"10.0.0.1","standing":"allowed","since":"TIME","uid":0,"reason":"monitoring"}

  $ rlctl allows web2
  rlctl: /dev/shm/rl.web2: no such segment; create it with `rlctl create`
  [2]
