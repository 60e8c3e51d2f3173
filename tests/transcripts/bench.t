`bench` measures on this machine what decisions cost, beside the floor: a loop that does only what no
decision can do without. Contenders take turns; its segments are removed when it ends, or is killed.

  $ rlctl bench --seconds 1 --keys 1000 --processes 2 | grep -v '^WARNING'
  librl VERSION, bench of about 1 s: 9 interleaved rounds, their medians
  machine  * CPU*, clock *, load * (glob)
  
  one process  * a second *ns each * x floor * p50 * p99 * p99.9 * longest (glob)
  one hot key, allowed * librl * M * to *s (glob)
   * floor * M * to *s (glob)
  one hot key, denied * librl * M * to *s (glob)
   * floor * M * to *s (glob)
  1000 keys, allowed * librl * M * to *s (glob)
   * floor * M * to *s (glob)
  1000 keys, denied * librl * M * to *s (glob)
   * floor * M * to *s (glob)
  p50 to longest: each timed by itself, * ns of which are the timing. (glob)
  
  together * a second *of rounds  of floor (glob)
  1 process, one key * librl * M * to * (glob)
   * floor * M * to * (glob)
  1 process, 1000 keys * librl * M * to * (glob)
   * floor * M * to * (glob)
  2 processes, one key * librl * M * to * (glob)
   * floor * M * to * (glob)
  2 processes, 1000 keys each  librl * M * to * (glob)
   * floor * M * to * (glob)

For programs, the machine and then an object a row; each figure with its median, min and max of the
rounds.

  $ rlctl bench --seconds 1 --keys 1000 --processes 2 --json
  {"part":"machine","version":"VERSION",*,"timing_ns":{*}} (glob)
  {"part":"decision","row":"one hot key, allowed","librl":{*},"floor":{*},"times_floor":*} (glob)
  {"part":"decision","row":"one hot key, denied","librl":{*},"floor":{*},"times_floor":*} (glob)
  {"part":"decision","row":"1000 keys, allowed","librl":{*},"floor":{*},"times_floor":*} (glob)
  {"part":"decision","row":"1000 keys, denied","librl":{*},"floor":{*},"times_floor":*} (glob)
  {"part":"processes","row":"1 process, one key","processes":1,"keys_each":1,*} (glob)
  {"part":"processes","row":"1 process, 1000 keys","processes":1,"keys_each":1000,*} (glob)
  {"part":"processes","row":"2 processes, one key","processes":2,"keys_each":1,*} (glob)
  {"part":"processes","row":"2 processes, 1000 keys each","processes":2,"keys_each":1000,*} (glob)

  $ rlctl bench --seconds 0
  rlctl: --seconds 0: give at least 1
  [2]
  $ rlctl bench --keys 17M
  rlctl: --keys 17M: * (glob)
  [2]
