`history` lists who changed what by hand.

  $ demo_segment
  $ rlctl unban web api 203.0.113.9
  203.0.113.9 is not banned any more
  $ rlctl history web
  when  uid  pid  change        policy  key          before  after            reason
  TIME    0  PID  policy set    api                          100/s burst=200
  TIME    0  PID  policy set    login                        5/m
  TIME    0  PID  banned        api     203.0.113.9          for 10m          scraper
  TIME    0  PID  override set  api     user:vip             1k/s
  TIME    0  PID  allowed       api     10.0.0.1                              monitoring
  TIME    0  PID  unbanned      api     203.0.113.9  banned
  $ rlctl history web --json | tail -1
  {"number":5,"when":"TIME","uid":0,"pid":PID,"change":"unbanned","policy":"api","key":"203.0.113.9","before":"banned","after":"","reason":""}

  $ rlctl history web2
  rlctl: /dev/shm/rl.web2: no such segment; create it with `rlctl create`
  [2]
