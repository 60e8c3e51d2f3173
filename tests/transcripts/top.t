`top` shows the keys live on a terminal. Where there is none it looks twice, tells what came in
between, and ends.

  $ demo_segment
  $ rlctl top web --interval 1ms --sort key
  $ rlctl top web --interval 1ms --policy api --match 'user:*' --rows 2 --looks 2
  $ rlctl top web --interval 1ms --rows 1 --json

  $ rlctl off web
  $ rlctl top web --interval 1ms --rows 1

  $ rlctl top web --interval 1ns
  $ rlctl top web --sort age
  $ rlctl top web --policy search
  $ rlctl top web --looks 0
