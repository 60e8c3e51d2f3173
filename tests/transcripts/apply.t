`apply` makes a segment's limits what a file says; --dry-run only tells what that would change.

  $ demo_segment
  $ cat > limits.toml <<END
  > [policy.api]
  > limit = "50/s burst=100"
  > [policy.search]
  > limit = "5/s burst=10, 1000/d"
  > END
  $ rlctl apply web limits.toml --dry-run
  ~ policy api: 100/s burst=200 -> 50/s burst=100
  + policy search: 5/s burst=10
  + policy search#2: 1k/d
  3 changes, none of them made
  $ rlctl apply web limits.toml --dry-run --json
  {"creates":false,"applied":false,"changes":[{"what":"policy api","before":"100/s burst=200","after":"50/s burst=100"},{"what":"policy search","before":"","after":"5/s burst=10"},{"what":"policy search#2","before":"","after":"1k/d"}]}
  $ rlctl apply web limits.toml
  ~ policy api: 100/s burst=200 -> 50/s burst=100
  + policy search: 5/s burst=10
  + policy search#2: 1k/d
  3 changes

Applied twice, the second time changes nothing. What the file does not name stays, unless --prune is
given.

  $ rlctl apply web limits.toml
  nothing to change
  $ rlctl apply web - --prune < limits.toml | sort
  - allow api 10.0.0.1: allowed
  - ban api 203.0.113.9: banned until TIME
  - override api user:vip: 1k/s
  - policy login: 5/m
  4 changes

A segment that is not there is made.

  $ rlctl apply web2 limits.toml --json
  {"created":true,"applied":true,"changes":[{"what":"policy api","before":"","after":"50/s burst=100"},{"what":"policy search","before":"","after":"5/s burst=10"},{"what":"policy search#2","before":"","after":"1k/d"}]}

An error is told with its line, and nothing is changed.

  $ echo 'limit = = "1/s"' > broken.toml
  $ rlctl apply web broken.toml
  rlctl: broken.toml:1: Error while parsing value: could not determine value type; nothing was changed
  [2]
  $ printf '[policy.api]\nlimt = "1/s"\n' | rlctl apply web -
  rlctl: -:2: "limt" is not known here; there are limit, spent, override, allow, ban; nothing was changed
  [2]
