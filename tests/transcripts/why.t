`why` answers for one key, over all policies: what holds it, by whom, and until when. The first line
is the answer, and the exit code is 0 if a call would pass, 1 if not.

  $ demo_segment
  $ rlctl why web 203.0.113.9
  203.0.113.9 is denied by api: banned by uid 0 for 10 min 1 s more (scraper)
  
  policy  stands                 passes         left     full in  allowed  denied  limit
  api     banned for 10 min 1 s  in 10 min 1 s        10 min 1 s        0       0  100/s burst=200
  Under 1 other policy nothing is kept of it, and it passes.
  api: banned at TIME by uid 0, process PID: scraper
  
  Its last event told (of denials the first after each admission, and a sample: not every decision):
  when  pid  event   policy  key          what
  TIME  PID  banned  api     203.0.113.9  for 10 min by uid 0 (scraper)
  [1]
  $ rlctl why web mallory
  mallory is limited by login: 0 of 5 left, passes in 12 s
  
  policy  stands  passes     left  full in  allowed  denied  limit
  login   live    in 12 s  0 of 5    1 min        5       2  5/m
  Under 1 other policy nothing is kept of it, and it passes.
  
  Its last event told (of denials the first after each admission, and a sample: not every decision):
  when  pid  event   policy  key      what
  TIME  PID  denied  login   mallory  limited, 0 of 5 left, passes in 12 s
  [1]
  $ rlctl why web user:1
  user:1 passes under api: 50 of 200 left, full in 1.5 s
  
  policy  stands  passes       left  full in  allowed  denied  limit
  api     live    now     50 of 200    1.5 s        1       0  100/s burst=200
  Under 1 other policy nothing is kept of it, and it passes.
  $ rlctl why web 10.0.0.1
  10.0.0.1 passes: it is on the allow-list of api by uid 0 (monitoring)
  
  policy  stands   passes  left  full in  allowed  denied  limit
  api     allowed  now               now        0       0  100/s burst=200
  Under 1 other policy nothing is kept of it, and it passes.
  api: allowed at TIME by uid 0, process PID: monitoring
  
  Its last event told (of denials the first after each admission, and a sample: not every decision):
  when  pid  event    policy  key       what
  TIME  PID  changed  api     10.0.0.1  allowed by uid 0 (monitoring)

An address may be given as it stands in a log; a network counts where its key is one.

  $ rlctl why web 203.0.113.9:51234 --policy api
  203.0.113.9 is denied by api: banned by uid 0 for 10 min 1 s more (scraper)
  (Nothing is kept of 203.0.113.9:51234, as it is written; 203.0.113.9 is its key.)
  
  policy  stands                 passes         left     full in  allowed  denied  limit
  api     banned for 10 min 1 s  in 10 min 1 s        10 min 1 s        0       0  100/s burst=200
  api: banned at TIME by uid 0, process PID: scraper
  
  Its last event told (of denials the first after each admission, and a sample: not every decision):
  when  pid  event   policy  key          what
  TIME  PID  banned  api     203.0.113.9  for 10 min by uid 0 (scraper)
  [1]
  $ rlctl acquire web api 2001:db8:1:2::/64
  allowed: 199 of 200 left, full in 10 ms
  $ rlctl why web 2001:DB8:1:2::7
  2001:db8:1:2::/64 passes under api: 199 of 200 left, full in 10 ms
  (Nothing is kept of 2001:DB8:1:2::7, as it is written; 2001:db8:1:2::/64 is its key.)
  
  policy  stands  passes        left  full in  allowed  denied  limit
  api     live    now     199 of 200    10 ms        1       0  100/s burst=200
  Under 1 other policy nothing is kept of it, and it passes.

What is not kept passes. Who mistyped is told what is nearest.

  $ rlctl why web usr:1
  usr:1 is free: nothing is known of it under 2 policies
  (Kept is user:1: did you mean that?)
  $ rlctl why web nobody
  nobody is free: nothing is known of it under 2 policies

For programs it is one object, with times to the nanosecond.

  $ rlctl why web mallory --json
  {"key":"mallory","asked":"mallory","verdict":"limited","passes":false,"sentence":"mallory is limited by login: 0 of 5 left, passes in 12 s","policy":"login","also_kept":[],"policies":[{"policy":"api","policy_limit":"100/s burst=200","known":false,"verdict":"unknown","passes":true,"limit":200,"remaining":200,"retry_after_ns":0,"reset_after_ns":0},{"policy":"login","policy_limit":"5/m","known":true,"verdict":"limited","passes":false,"limit":5,"remaining":0,"retry_after_ns":12000000000,"reset_after_ns":60000000000,"allowed_count":5,"denied_count":2,"standing":"none"}],"unreadable":[],"events_are":"of denials the first after each admission, and a sample: not every decision","events":[{"time":"TIME","unix_ns":TIME,"kind":"denied","pid":PID,"policy":"login","key":"mallory","reason":"limited","cost":1,"limit":5,"remaining":0,"wait_ns":12000000000}]}
  [1]
  $ rlctl why web nobody --json
  {"key":"nobody","asked":"nobody","verdict":"unknown","passes":true,"sentence":"nobody is free: nothing is known of it under 2 policies","policy":null,"also_kept":[],"policies":[{"policy":"api","policy_limit":"100/s burst=200","known":false,"verdict":"unknown","passes":true,"limit":200,"remaining":200,"retry_after_ns":0,"reset_after_ns":0},{"policy":"login","policy_limit":"5/m","known":false,"verdict":"unknown","passes":true,"limit":5,"remaining":5,"retry_after_ns":0,"reset_after_ns":0}],"unreadable":[],"events_are":"of denials the first after each admission, and a sample: not every decision","events":[]}

  $ rlctl why web
  rlctl: no key is given; give KEY, or --key-file FILE (- for standard input)
  [2]
  $ rlctl why web mallory --policy logim
  rlctl: /dev/shm/rl.web: no policy "logim"; did you mean "login"?
  [2]
