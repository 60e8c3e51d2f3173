A segment is made once, for everybody who then opens it by its name. It is a file in shared memory,
reserved whole, so that no room is missing later.

  $ rlctl create web --keys 100 --mode 0600
  created /dev/shm/rl.web: room for 100 keys, SIZE

It says how it came out as `info` does. A manual clock stands still until it is moved: for tests.

  $ rlctl create shop --keys 100 --labels off --policies 16 --clock manual --json
  {"name":"shop","path":"/dev/shm/rl.shop","layout_version":N,"creator_version":"VERSION","creator_pid":PID,"created":"TIME","clock":"manual","tsc_left":false,"labels":false,"keys":100,"slots":184,"live":0,"idle":0,"bytes":SIZE,"huge_bytes":0,"attached":0,"anonymous":0,"policies":0,"policy_room":16,"policies_left":16,"policies_kept":2,"evicted":0,"full_allowed":0,"full_denied":0,"gave_up":0,"clamped":0,"tentatives_freed":0,"off_since":null,"off_allowed":0}

A name that is taken is left alone.

  $ rlctl create web
  rlctl: /dev/shm/rl.web: already exists; open it, or remove it with `rlctl rm`
  [2]

Options are checked before anything is made.

  $ rlctl create web2 --clock sun
  rlctl: --clock "sun": give one of auto, tsc, boottime, manual
  [2]
  $ rlctl info web2
  rlctl: /dev/shm/rl.web2: no such segment; create it with `rlctl create`
  [2]
