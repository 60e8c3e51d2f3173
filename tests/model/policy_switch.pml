/* A limit that is changed while calls run: policies with successors (src/follow.hpp). The words are
   two, links and changed_ns of a policy's entry (shm/layout.hpp); this model says by which rules
   they may be used, and what each rule is there for.

   The rules    - An entry never changes, and an id is never used twice. `successor` is set once, by
                compare-and-swap from 0, and so is `changed_ns`, the instant of the change.
                - changed_ns is set AFTER successor, by whoever sees a successor without it, with a
                clock read after that. So the instant is never before the link was there to be seen.
                Who takes a policy for the one in force has seen the date of the change to it.
                - A call reads the slot, then the clock, then the links, until an entry has no
                successor. If it finds a change that is later than its clock, it counts at the
                instant of the change: it was under way then. So no charge in old units counts at
                or after that instant, and none in new units before it.
                - Debt is converted as of that instant, hop by hop, rounded up:
                TAT' = tc + (TAT - tc) x T' / T if TAT > tc, else idle. The slot changes its tag
                in the compare-and-swap that charges it.
                - Who inserts follows the links, too, from the policy that it knows: a first charge,
                and another's claim that becomes an idle member, are in the units in force.
                - Whoever judges a slot follows the links first.
   Modelled     CALLERS callers of one key, each of which knows policy 1, or one that it has taken
                since for the one in force; others that are killed with a claim; one slot; an
                operator who changes 1 to 2, and (-DTHIRD) 2 to 3, at any instants; a reaper; a
                clock that goes on at any time up to END. Intervals I1, I2, I3 of 1 or 2; one
                burst. Each load, clock reading and compare-and-swap is a step; anybody may stop
                anywhere.
   Abstracted   S (insert.pml): with one slot, a nonce is the number of its owner and the instant of
                the claim. Nothing is charged and idle again within an instant, so it tells enough.
                Bans, overrides.
   Asserted     A: of the calls that lie wholly in a window, at most the burst is admitted and what
                came back in it, by the interval in force at each instant.
                D: no key is denied that nobody has charged.
                Not asserted: that not less is admitted. Rounding up withholds less than a token.

   Mutants (I1 and I2 say which change shows it):
     BUG_CONVERTS_AT_CALL      A  debt is converted as of the next call: a free refill
     BUG_JUDGES_OLD_UNITS      A  the reaper does not follow the links
     BUG_NO_CONVERSION         A  the tag changes, and the state stays as it is
     BUG_ID_IS_REUSED          A  (THIRD) the third policy gets the id of the first
     BUG_DATE_BEFORE_LINK      A  the instant is read before the successor is set
     BUG_LINKS_BEFORE_CLOCK    A  a call reads the links first, and then the clock
     BUG_COUNTS_BEFORE_CHANGE  A  a change later than the call's clock is applied, and the call
                                  counts at its clock all the same: by the new limit, too early
     BUG_FIRST_IN_OLD_UNITS    A  who inserts charges by the policy that it knows: what is charged
                                  after the change is converted as a debt of before
     BUG_IDLE_IN_OLD_UNITS     D  another's claim becomes idle under the policy that the helper
                                  knows: the time since the change is converted as a debt. It loses
                                  no charge, as there is none in it
     BUG_TAKES_UNDATED         A  a caller takes a policy for the one in force before the change to
                                  it is dated, and charges a new key by it: before the change */

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
bool charged; /* the slot's key, in this life of it: D */

byte interval[4], successor[4], changed[4]; /* by id; changed 0 = not yet */
byte time = 1;

/* The oracle: until when the first and the second interval were in force, and what was admitted. */
byte until[3];
byte admitted[END + 1];

#define later(a, b) ((a) > (b) -> (a) : (b))
#define in_force(t) ((until[2] != 0 && (t) >= until[2]) -> I3 : \
                     ((until[1] != 0 && (t) >= until[1]) -> I2 : I1))

#define fits (later(tat, now) + interval[p] - now <= BURST * interval[p])

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

/* A hop along a link, from p to q, at tc. */
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

/* Walks from p to the entry in force, converting tat; the call counts no earlier than a change. */
inline follow() {
  do
  :: atomic { successor[p] == 0 -> break }
  :: successor[p] != 0 ->
       if
       :: changed[p] == 0 -> date()
       :: atomic { changed[p] != 0 ->
            i = successor[p]; n = changed[p];
#ifndef BUG_COUNTS_BEFORE_CHANGE
            now = later(now, n);
#endif
            hop(i, n);
            i = 0; n = 0 }
       fi
  od
}

#ifdef BUG_TAKES_UNDATED
#define may_take(p) (successor[p] != 0)
#else
#define may_take(p) (successor[p] != 0 && changed[p] != 0)
#endif

/* Whether a caller asks by the policy that it knows, whatever has followed it. */
#if defined(BUG_FIRST_IN_OLD_UNITS)
#define stays_behind (seen_tag == TENTATIVE(me))
#elif defined(BUG_IDLE_IN_OLD_UNITS)
#define stays_behind helps
#else
#define stays_behind false
#endif

proctype caller(byte me) {
  byte known = 1; /* the policy in force when the caller last looked */
  byte p, tat, now, seen_tag, seen_state, date_ns, i, n, credit;
  bool helps, seen_charged;
again:
  atomic { p = 0; tat = 0; now = 0; helps = false;
    if
    :: may_take(known) -> known = successor[known]
    :: true
    fi;
    if /* words() */
    :: is_member(tag) -> p = tag; tat = state
    :: tag == FREE -> tag = TENTATIVE(me); state = time; charged = false; p = known  /* (a) */
    :: else ->
         if
         :: tag = FREE; state = 0; goto again                                        /* (f) */
         :: helps = true; p = known
         fi
    fi;
    seen_tag = tag; seen_state = state; seen_charged = charged };
#ifdef BUG_LINKS_BEFORE_CLOCK
  now = END;
  follow();
  atomic { now = time };
#else
  atomic { now = time };
  if
  :: stays_behind -> skip
  :: else -> follow()
  fi;
#endif
  atomic {
    if
    :: helps && tag == seen_tag && state == seen_state ->                   /* (g) another's */
         tag = p; state = now
    :: !helps && fits && tag == seen_tag && state == seen_state ->          /* (g) own, (h) */
         tag = p; state = later(tat, now) + interval[p]; charged = true; admit(now)
    :: !helps && !fits -> assert(seen_charged) /* D: who owes nothing is not denied */
    :: else
    fi };
  goto again /* (e) is never needed: a first charge fits */
}

/* One that is killed between its claim and its first charge, again and again. */
proctype mortal() {
again:
  atomic { tag == FREE -> tag = TENTATIVE(CALLERS); state = time; charged = false };
  goto again
}

/* (i) a member that is idle in the units now in force. */
proctype reaper() {
  byte p, tat, now, seen_tag, seen_state, date_ns, i, n;
again:
  atomic { p = 0; tat = 0; now = 0; seen_state = 0; seen_tag = 0;
    is_member(tag) -> seen_tag = tag; seen_state = state; p = tag; tat = state };
  atomic { now = time };
#ifndef BUG_JUDGES_OLD_UNITS
  follow();
#endif
  atomic {
    if
    :: tat <= now && tag == seen_tag && state == seen_state -> tag = FREE; state = 0
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
    run mortal(); run reaper(); run operator(); run clock()
  }
}
