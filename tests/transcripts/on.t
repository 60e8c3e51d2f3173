`on` puts the limits of a segment in force again, and tells how many calls have passed meanwhile.

  $ demo_segment
  $ rlctl off web
  limits of web are off: every call passes until `rlctl on web`
  $ rlctl acquire web login mallory
  allowed (off): no limit is in force, and nothing is charged
  $ rlctl on web
  limits of web are on; calls that passed while they were off: 1
  $ rlctl acquire web login mallory
  denied, come back in 12 s: 0 of 5 left, full in 1 min
  [1]
  $ rlctl on web --json
  {"name":"web","off_since":null,"off_allowed":1,"changed":false}

  $ rlctl on web2
  rlctl: /dev/shm/rl.web2: no such segment; create it with `rlctl create`
  [2]
