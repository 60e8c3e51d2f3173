`override unset` puts a key under its policy's limit again.

  $ demo_segment
  $ rlctl override unset web api user:vip
  user:vip is under the policy's limit again
  $ rlctl override unset web api user:vip
  user:vip had no override
  $ rlctl override unset web api user:vip --json
  {"changed":false}

  $ rlctl override unset web search user:vip
  rlctl: /dev/shm/rl.web: no policy "search"; see `rlctl policy list`
  [2]
