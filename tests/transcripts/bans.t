`bans` lists the banned keys, by whom, since when and why.

  $ demo_segment
  $ rlctl bans web
  policy  key          standing                    since                 uid  reason
  api     203.0.113.9  banned for 10 min 1 s more  TIME                    0  scraper
  $ rlctl bans web --json
  {"policy":"api","key":"203.0.113.9","standing":"banned","left_ns":600015677440,"level":0,"since":"TIME","uid":0,"reason":"scraper"}

  $ rlctl bans web2
  rlctl: /dev/shm/rl.web2: no such segment; create it with `rlctl create`
  [2]
