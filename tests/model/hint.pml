/* The hint of a concurrency limit: a denial need not look at all permits, and is true all the same
   (src/permits.cpp).

   The rules    - Who finds no permit at the first look marks the hint (clear -> checking), or joins
                whoever marked it; looks at all permits; and, if all are out, swaps the mark for
                saturated. If the mark is gone, it looks again.
                - While the hint says saturated, whoever comes is denied by it: at once, or after a
                  first look that found no permit.
                - Who gives back frees the permit first; then it swaps checking or saturated for
                clear, and adds one to the releases.
   Modelled     WORKERS processes that each take, and give back, TAKES times, of PERMITS permits, one
                access at a time. A holder may die: its permit can be taken by who looks at all. The
                hint may be found too old at any time; then it is marked again.
   Abstracted   A slot is one word, and a failed compare-and-swap is a read that is tried again.
                A denial by the hint is one step: the reading of the hint, which is the instant that
                it is true of. What the code does after it turns a denial into something else, or
                leaves it: it looks at the permit that the hint names, and takes it if it may (the
                first look, here), and reads the hint again, as its two words are two readings.
                Ticks: a mark is told by its releases alone, as in the code within a tick. The end of
                a lease is as the holder's death. Who is killed or stopped anywhere else is a process
                that never goes on: its release is under way for ever, and in the code the hint is too
                old after half a second.
   Asserted     D: at the instant of a denial each permit is out, or is just being given back.
                P: no permit is free while the hint says saturated, but one that is just being given
                back.

   Mutants:
     BUG_HINT_FIRST       D  who gives back looks at the hint before it frees the permit
     BUG_ONLY_SATURATED   D  who gives back does not clear a mark
     BUG_NO_MARK          P  who looks at all permits does not mark the hint before
     BUG_SAYS_ANYHOW      P  saturated is stored, whatever became of the mark
     BUG_NO_RELEASES      D  clearing does not count, so a new mark looks like the old one
     BUG_DENIES_ANYHOW    D  whoever found none at its look is denied, whatever became of the mark */

#ifndef WORKERS
#define WORKERS 3
#endif
#ifndef PERMITS
#define PERMITS 2
#endif
#ifndef TAKES
#define TAKES 2
#endif

#define FREE 0 /* else the holder and 1 */
#define DEAD 255
byte permit[PERMITS];
byte being_given_back[PERMITS]; /* the oracle: freed, by who has not yet looked at the hint */

#define CLEAR 0
#define CHECKING 1
#define SATURATED 2
byte mark, releases;

#define IS_OUT(i) (permit[i] != FREE || being_given_back[i] > 0)
#define ALL_OUT (IS_OUT(0) && IS_OUT(PERMITS - 1)) /* of one or two */

inline clear_hint() {
  if
#ifdef BUG_ONLY_SATURATED
  :: mark == SATURATED ->
#else
  :: mark != CLEAR ->
#endif
       mark = CLEAR;
#ifndef BUG_NO_RELEASES
       releases++
#endif
  :: else
  fi
}

proctype worker(byte me) {
  byte takes, at, my_releases;
again:
  atomic {
    at = 0; my_releases = 0;
    if
    :: takes == TAKES -> goto done
    :: else -> takes++
    fi };

  if
  :: atomic { mark == SATURATED ->
       assert(ALL_OUT); /* D: denied by the hint at once */
       goto again }
  :: true
  fi;

  atomic { /* the first look: at any permit */
    if
    :: at = 0
#if PERMITS > 1
    :: at = 1
#endif
    fi;
    if
    :: permit[at] == FREE -> permit[at] = me + 1; goto have
    :: else -> at = 0
    fi };

look:
  atomic { /* the hint: believed, joined, or marked */
    if
    :: mark == SATURATED ->
         assert(ALL_OUT); /* D: denied by the hint */
         goto again
    :: true -> /* clear, being checked, or too old */
#ifndef BUG_NO_MARK
         mark = CHECKING;
#endif
         my_releases = releases
    fi };

  do
  :: atomic { at < PERMITS && (permit[at] == FREE || permit[at] == DEAD) ->
       permit[at] = me + 1; goto have }
  :: atomic { at < PERMITS && permit[at] != FREE && permit[at] != DEAD -> at++ }
  :: atomic { at == PERMITS -> at = 0; break }
  od;

  atomic { /* all were out: say so, if nobody has given back since the mark */
    if
#ifdef BUG_SAYS_ANYHOW
    :: true ->
#elif defined(BUG_NO_MARK)
    :: releases == my_releases ->
#else
    :: releases == my_releases && mark != CLEAR -> /* ours, or said by another since */
#endif
         mark = SATURATED;
#ifndef BUG_SAYS_ANYHOW
#ifndef BUG_NO_MARK
         assert(ALL_OUT); /* D: denied by a look at all */
#endif
#endif
         goto again
    :: else ->
#ifdef BUG_DENIES_ANYHOW
         assert(ALL_OUT); /* D: denied by a look at all, whatever happened since */
         goto again
#else
         goto look
#endif
    fi };

have:
  if
  :: atomic { permit[at] = DEAD; goto done } /* dies */
  :: true
  fi;
#ifdef BUG_HINT_FIRST
  atomic { clear_hint() };
  atomic { permit[at] = FREE };
#else
  atomic { permit[at] = FREE; being_given_back[at]++ };
  atomic { clear_hint(); being_given_back[at]-- };
#endif
  goto again;
done:
  skip
}

proctype watcher() {
end:
  do
  :: atomic { mark == SATURATED ->
       assert(ALL_OUT) } /* P: a free permit, and nobody is told */
  od
}

init {
  byte w;
  atomic {
    do
    :: w < WORKERS -> run worker(w); w++
    :: else -> break
    od;
    w = 0;
    run watcher()
  }
}
