`complete` says what can stand at the end of a command line. The completion of bash, zsh and fish asks it; a
word, and what it means.

  $ demo_segment
  $ rlctl complete -- rlctl li
  list\tList the keys, in any order unless sorted (esc)
  $ rlctl complete -- rlctl ban web ''
  api\t100/s burst=200 (esc)
  login\t5/m (esc)
  $ rlctl complete --json -- rlctl peek web login ''
  {"word":"mallory","help":""}

It asks the segment, so what is not there is not offered; and what cannot be completed is no error.

  $ rlctl complete -- rlctl peek web search ''
  $ rlctl complete -- rlctl jump ''

  $ rlctl complete --line
  rlctl: complete: --line takes one value: in the place of words: the line so far, with quotes; so are the answers then
  [2]
