/* A limit that is changed while calls run: policies with successors. THE CODE DOES NOT HAVE THIS
   YET. shm/layout.hpp has the two words, PolicyEntry::successor and changed_ns; this model says by
   which rules they may be used, and what each rule is there for.

   The rules    - An entry never changes, and an id is never used twice. `successor` is set once, by
                compare-and-swap from 0, and so is `changed_ns`, the instant of the change.
                - changed_ns is set AFTER successor, by whoever sees a successor without it, with a
                clock read after that. So the instant is never before the link was there to be seen.
                - A call reads the slot, then the clock, then the links, until an entry has no
                successor. If it finds a change that is later than its clock, it starts over. So no
                charge in old units counts at or after the instant of the change.
                - Debt is converted as of that instant, hop by hop, rounded up:
                TAT' = tc + (TAT - tc) x T' / T if TAT > tc, else idle. The slot changes its tag
                in the compare-and-swap that charges it.
                - Whoever judges a slot follows the links first.
   Modelled     CALLERS callers of one key that all know policy 1 only; one slot; an operator who
                changes 1 to 2, and (-DTHIRD) 2 to 3, at any instants; a reaper; a clock that goes
                on at any time up to END. Intervals I1, I2, I3 of 1 or 2; one burst. Each load,
                clock reading and compare-and-swap is a step; anybody may stop anywhere.
   Abstracted   S (insert.pml): with one slot, a nonce is the number of its owner. Bans, overrides.
   Asserted     A: of the calls that lie wholly in a window, at most the burst is admitted and what
                came back in it, by the interval in force at each instant.
                Not asserted: that not less is admitted. Rounding up withholds less than a token.

   Mutants (I1 and I2 say which change shows it):
     BUG_CONVERTS_AT_CALL    A  debt is converted as of the next call: a free refill
     BUG_JUDGES_OLD_UNITS    A  the reaper does not follow the links
     BUG_NO_CONVERSION       A  the tag changes, and the state stays as it is
     BUG_ID_IS_REUSED        A  (THIRD) the third policy gets the id of the first
     BUG_DATE_BEFORE_LINK    A  the instant is read before the successor is set
     BUG_LINKS_BEFORE_CLOCK  A  a call reads the links first, and then the clock
     BUG_NO_RESTART          A  a change later than the call's clock is applied all the same */

#ifndef CALLERS
#define CALLERS 2
#endif
#ifndef BURST
#define BURST 1
#endif
#ifndef END
#define END 4
#endif
#ifndef I1
#define I1 1
#endif
#ifndef I2
#define I2 2
#endif
#ifndef I3
#define I3 1
#endif

/* The slot: under which policy, and the TAT in its units; or a claim. */
#define FREE 0
#define TENTATIVE(p) (10 + (p))
#define is_member(tag) ((tag) > 0 && (tag) < 10)
byte tag, state;

byte interval[4], successor[4], changed[4]; /* by id; changed 0 = not yet */
byte time = 1;

/* The oracle: until when the first and the second interval were in force, and what was admitted. */
byte until[3];
byte admitted[END + 1];

#define later(a, b) ((a) > (b) -> (a) : (b))
#define in_force(t) ((until[2] != 0 && (t) >= until[2]) -> I3 : \
                     ((until[1] != 0 && (t) >= until[1]) -> I2 : I1))

/* A: a call that read the clock at t is admitted now. Tokens are counted in halves. */
inline admit(t) { d_step {
  admitted[t]++;
  i = time; n = 0; credit = 2 * BURST;
  do
  :: n = n + 2 * admitted[i];
     if
     :: i <= t -> assert(n <= credit) /* A: at most the burst and what came back */
     :: else
     fi;
     if
     :: i == 0 -> break
     :: else -> i--; credit = credit + 2 / in_force(i)
     fi
  od;
  i = 0; n = 0; credit = 0 } }

/* (g) and (h) have looked at policy p, which has no successor; a hop along a link, at tc. */
inline hop(q, tc) { d_step {
#ifdef BUG_NO_CONVERSION
  skip
#elif defined(BUG_CONVERTS_AT_CALL)
  tat = (tat > now -> now + ((tat - now) * interval[q] + interval[p] - 1) / interval[p] : 0)
#else
  tat = (tat > tc -> tc + ((tat - tc) * interval[q] + interval[p] - 1) / interval[p] : 0)
#endif
  ;
  p = q } }

/* The instant of p's change, if nobody was faster. */
inline date() {
  atomic { date_ns = time };
  atomic {
    if
    :: changed[p] == 0 -> changed[p] = date_ns; until[p] = date_ns
    :: else
    fi;
    date_ns = 0 } }

/* Walks from p to the entry in force, converting tat; done = false if the call must start over. */
inline follow() {
  done = true;
  do
  :: atomic { successor[p] == 0 -> break }
  :: successor[p] != 0 ->
       if
       :: changed[p] == 0 -> date()
       :: atomic { changed[p] != 0 ->
#ifndef BUG_NO_RESTART
            if
            :: changed[p] > now -> done = false; break
            :: else
            fi;
#endif
            i = successor[p]; n = changed[p];
            hop(i, n);
            i = 0; n = 0 }
       fi
  od
}

proctype caller(byte me) {
  byte p, tat, now, seen_tag, seen_state, date_ns, i, n, credit;
  bool done;
again:
  atomic { p = 0; tat = 0; now = 0; seen_state = 0; seen_tag = tag; /* words() */
    if
    :: is_member(tag) -> seen_state = state; p = tag; tat = state
    :: tag == FREE -> tag = TENTATIVE(me); seen_tag = tag; p = 1                 /* (a) */
    :: else -> tag = FREE; goto again                                            /* (f) */
    fi };
#ifdef BUG_LINKS_BEFORE_CLOCK
  now = END;
  follow();
  atomic { now = time };
#else
  atomic { now = time };
  follow();
#endif
  atomic {
    if
    :: done && later(tat, now) + interval[p] - now <= BURST * interval[p] &&
       tag == seen_tag && state == seen_state ->                                 /* (g) (h) */
         tag = p; state = later(tat, now) + interval[p]; admit(now)
    :: else
    fi };
  atomic {
    if
    :: tag == TENTATIVE(me) -> tag = FREE /* (e) */
    :: else
    fi };
  goto again
}

/* (i) a member that is idle in the units now in force. */
proctype reaper() {
  byte p, tat, now, seen_tag, seen_state, date_ns, i, n;
  bool done;
again:
  atomic { p = 0; tat = 0; now = 0; seen_state = 0; seen_tag = 0;
    is_member(tag) -> seen_tag = tag; seen_state = state; p = tag; tat = state };
  atomic { now = time };
#ifdef BUG_JUDGES_OLD_UNITS
  done = true;
#else
  follow();
#endif
  atomic {
    if
    :: done && tat <= now && tag == seen_tag && state == seen_state -> tag = FREE; state = 0
    :: else
    fi };
  goto again
}

proctype operator() {
  byte p = 1, date_ns;
#ifdef BUG_DATE_BEFORE_LINK
  atomic { date_ns = time };
  atomic { successor[1] = 2; changed[1] = date_ns; until[1] = date_ns; date_ns = 0 };
#else
  atomic { successor[1] = 2 };
  if
  :: date()
  :: true /* killed, or left to others */
  fi;
#endif
#ifdef THIRD
  atomic { changed[1] != 0 -> p = 2 };
#ifdef BUG_ID_IS_REUSED
  atomic { interval[1] = I3; successor[1] = 0; changed[1] = 0; successor[2] = 1 };
#else
  atomic { successor[2] = 3 };
#endif
  if
  :: date()
  :: true
  fi;
#endif
  p = 0
}

proctype clock() {
end:
  do
  :: atomic { time < END -> time++ }
  od
}

init {
  byte k;
  atomic {
    interval[1] = I1; interval[2] = I2; interval[3] = I3;
    do
    :: k < CALLERS -> run caller(k); k++
    :: else -> break
    od;
    k = 0;
    run reaper(); run operator(); run clock()
  }
}
