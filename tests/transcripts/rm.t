`rm` removes a segment: its name and all that it knew. Nobody may be attached, unless --force is given.

  $ demo_segment
  $ rlctl rm web
  removed web
  $ rlctl rm web
  rlctl: /dev/shm/rl.web: no such segment; create it with `rlctl create`
  [2]
  $ rlctl create web --keys 100
  created /dev/shm/rl.web: room for 100 keys, SIZE
  $ rlctl rm web --json
  {"name":"web","removed":true,"attached":0}

Only segments are removed.

  $ echo precious > notes
  $ rlctl rm "$PWD/notes" --force
  rlctl: notes: 9 bytes long, too short for a librl segment; choose another name
  [2]
  $ cat notes
  precious
