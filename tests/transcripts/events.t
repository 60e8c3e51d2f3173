`events` lists what happened lately. Of denials only the first of a key brings one, or one in N of all.

  $ demo_segment
  $ rlctl events web
  when  pid  event    policy  key          what
  TIME  PID  changed  api                  policy set
  TIME  PID  changed  login                policy set
  TIME  PID  denied   login   mallory      limited, 0 of 5 left, passes in 12 s
  TIME  PID  banned   api     203.0.113.9  for 10 min
  TIME  PID  changed  api     user:vip     override set
  TIME  PID  changed  api     10.0.0.1     allowed
  $ rlctl events web --kind denied --json
  {"time":"TIME","unix_ns":TIME,"kind":"denied","pid":PID,"policy":"login","key":"mallory","reason":"limited","cost":1,"limit":5,"remaining":0,"wait_ns":12000000000}
  $ rlctl events web --policy api --key user:vip
  when  pid  event    policy  key       what
  TIME  PID  changed  api     user:vip  override set

With --follow it goes on until a signal, or until nobody reads any more.

  $ rlctl events web --follow --kind banned --json | head -1
  {"time":"*","unix_ns":*,"kind":"banned","pid":*,"policy":"api","key":"203.0.113.9","wait_ns":600000000000} (glob)

  $ rlctl events web --kind lost
  rlctl: --kind "lost": give one of denied, banned, evicted, full, changed, permit_reclaimed, left_tsc, copied
  [2]
  $ rlctl events web --policy search
  rlctl: /dev/shm/rl.web: no policy "search"; `rlctl policy list web` shows those that there are
  [2]
