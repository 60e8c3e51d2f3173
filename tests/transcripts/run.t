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
  $ rlctl run web api nightly --wait 1m --json -- echo "it ran"

Under a concurrency limit a permit is held while the command runs.

  $ rlctl policy set web jobs "concurrency 1"
  policy jobs is concurrency 1
  $ rlctl run web jobs backup -- rlctl run web jobs backup -- echo "never two at once"
  $ rlctl run web jobs backup -- echo "given back"

What cannot be run is charged nothing.

  $ rlctl run web jobs backup -- no-such-command

Without a limit it does not run, unless that is wished.

  $ rlctl run web search nightly -- echo "it ran"
  $ rlctl run web search nightly --on-failure allow -- echo "it ran"
  $ rlctl run web jobs backup
