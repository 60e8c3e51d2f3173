`off` lets every call of a segment pass, in an emergency. Nothing is charged until `on`.

  $ demo_segment
  $ rlctl off web
  limits of web are off: every call passes until `rlctl on web`
  $ rlctl acquire web login mallory
  allowed (off): no limit is in force, and nothing is charged
  $ rlctl off web
  limits of web are off already: every call passes until `rlctl on web`
  $ rlctl off web --json
  {"name":"web","off_since":"TIME","off_allowed":1,"changed":false}
  $ rlctl info web | tail -1
  limits     OFF; calls that passed while they were off: 1

  $ rlctl off web2
  rlctl: /dev/shm/rl.web2: no such segment; create it with `rlctl create`
  [2]
