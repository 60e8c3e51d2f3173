What there is on this host: each segment with its state, and below what is wrong with those that are
not fine. (These have their own /dev/shm.)

  $ rlctl segments
  no segment on this host
  $ rlctl create web --keys 100 --clock manual
  created /dev/shm/rl.web: room for 100 keys, SIZE
  $ rlctl create shop --keys 10
  created /dev/shm/rl.shop: room for 10 keys, SIZE
  $ rlctl segments | sed -E 's/  [0-9.]+ m?s  / AGE  /'
  2 segments: 2 orphaned
  name  state     keys   fill  attached  age  owner  mode  path
  shop  orphaned    10  0.0 %         0 AGE  root   0600  /dev/shm/rl.shop
  web   orphaned   100  0.0 %         0 AGE  root   0600  /dev/shm/rl.web
  shop: orphaned: no process is attached; if nobody needs what it holds, `rlctl rm shop` removes it
  web: orphaned: no process is attached; if nobody needs what it holds, `rlctl rm web` removes it

One bad file spoils nothing.

  $ rlctl rm shop
  removed shop
  $ printf 'no segment' > /dev/shm/rl.notes
  $ rlctl segments --json | sed -E 's/"age_ns":[0-9]+/"age_ns":N/'
  {"name":"notes","path":"/dev/shm/rl.notes","state":"foreign","owner":"root","uid":0,"gid":0,"mode":"0644","bytes":SIZE,"keys":null,"fill_ratio":null,"fill_is_sampled":false,"attached":null,"pids":[],"created":null,"age_ns":null,"why":"/dev/shm/rl.notes: 10 bytes long, too short for a librl segment; choose another name"}
  {"name":"web","path":"/dev/shm/rl.web","state":"orphaned","owner":"root","uid":0,"gid":0,"mode":"0600","bytes":SIZE,"keys":100,"fill_ratio":0.0,"fill_is_sampled":false,"attached":0,"pids":[],"created":"TIME","age_ns":N,"why":"no process is attached; if nobody needs what it holds, `rlctl rm web` removes it"}

A folder that cannot be read is told, and the exit code says that not all is well.

  $ rlctl segments /nowhere > segments.txt
  rlctl: /nowhere: reading it: No such file or directory (ENOENT)
  [1]
  $ rlctl segments --rows 3
  rlctl: segments: unknown option "--rows"; see `rlctl segments --help`, or put -- before an argument that begins with a dash
  [2]
