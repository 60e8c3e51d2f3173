`run` runs a command when a limit allows it. The command has the streams and the exit code for itself.

  $ rlctl create web --keys 100 --clock manual
  created /dev/shm/rl.web: room for 100 keys, SIZE
  $ rlctl policy set web api 2/h
  policy api is 2/h
  $ rlctl run web api nightly -- echo "it ran"
  it ran
  $ rlctl run web api nightly -- sh -c 'exit 3'
  [3]

A denial runs nothing, and has an exit code that commands seldom have.

  $ rlctl run web api nightly -- echo "it ran"
  rlctl: not run: policy "api" denies it (limited); come back in 30 min
  [124]
  $ rlctl run web api nightly --wait 1m --json -- echo "it ran"
  {"allowed":false,"reason":"limited","limit":2,"remaining":0,"retry_after_ns":1800000000000,"reset_after_ns":3600000000000,"wait_ns":0}
  [124]

Under a concurrency limit a permit is held while the command runs.

  $ rlctl policy set web jobs "concurrency 1"
  policy jobs is concurrency 1
  $ rlctl run web jobs backup -- rlctl run web jobs backup -- echo "never two at once"
  rlctl: not run: policy "jobs" denies it (limited); come back in 30.1 s, or when one is given back
  [124]
  $ rlctl run web jobs backup -- echo "given back"
  given back

What cannot be run is charged nothing.

  $ rlctl run web jobs backup -- no-such-command
  rlctl: running no-such-command: No such file or directory (ENOENT)
  [127]

Without a limit it does not run, unless that is wished.

  $ rlctl run web search nightly -- echo "it ran"
  rlctl: /dev/shm/rl.web: no policy "search"; make it with `rlctl policy set web search LIMIT`
  [125]
  $ rlctl run web search nightly --on-failure allow -- echo "it ran"
  it ran
  rlctl: /dev/shm/rl.web: no policy "search"; make it with `rlctl policy set web search LIMIT`; going on without a limit (--on-failure allow)
  $ rlctl run web jobs backup
  rlctl: run: COMMAND is required; usage: rlctl run SEGMENT NAME [KEY] [OPTIONS] -- COMMAND...
  [125]
