/* Concurrency limits: permits with leases (src/permits.cpp, src/permit_words.hpp). How a denial is made
   cheap and true stands in hint.pml.

   The rules    - Permit i of a key is a slot, and holds {seat, generation of the seat, end of the
                lease, sequence}. Taking and giving back is one compare-and-swap of all of it, and
                each adds one to the sequence. Whoever gave back does not try it again.
                - A permit may be taken when it was given back, when its lease is over, or when its
                holder is dead: nobody holds the seat's lock, or the seat has a newer generation.
                - After a take the clock is read again: a lease that is over is not handed out.
                - The slot is sticky while the permit is out, dead holders with a newer generation in
                their seat excepted. Else anybody may overwrite it; the sequence begins anew.
                - A fencing number is drawn while the permit is held, and thrown away unless it still
                is after that.
                - A limit can be lowered. A taker reads which one is in force, and again after it has
                swapped: if it is another by then, it gives back, and begins anew. The change is dated
                after it was made, by whoever sees it without a date. Until a lease after that date a
                taker under the lowered limit counts what is out of all that there ever were, before
                it swaps and after: if more are out than the limit, it gives back, and begins anew.
                Two that count at once may both give back, but they cannot both stay.
                - A lease is renewed by one compare-and-swap, from a clock that was read before the
                links; not of a permit that the limit in force does not have. If the old one is over
                after that, it counts for nothing, and is given back: others may have counted without
                it.
   Modelled     WORKERS processes that take, renew and give back, over PERMITS permits. Any may be
                killed at any step, and its seat may go to a new process with a higher generation; or
                stop, and go on after its lease ran out. Somebody overwrites what he may. A resource
                takes work that carries the highest fencing number it has seen, or a higher one. An
                operator lowers the limit from PERMITS to LOWERED, once, and may be killed before he
                has dated that. A clock goes up to END. -DLIVES leaves kills and overwriting out;
                -DRENEWS has leases renewed.
   Abstracted   How a permit's slot is inserted (insert.pml); a process is one thread of one seat,
                two if -DTHREADS. Each thread takes TAKES times. The fencing number counts; that it
                outlives its slot is the clock's doing (permit_words.hpp). -DNO_WORK leaves the
                resource out.
   Asserted     A: at no time are more leases unexpired and of the living than the limit, or than
                there are of those that were out when it was lowered.
                F: the resource takes no work of an earlier holder after a later one's (one permit).
                P: no permit stays with the dead: nobody is denied because of them. (By the rule it is
                so; its mutants show that the assertion can fail. A hint may deny for half a second.)

   Mutants:
     BUG_GIVES_BACK_TWICE  A  (THREADS, NO_WORK) a permit given back twice is the next holder's
     BUG_NOT_STICKY        A  the slot of a permit that is out is overwritten
     BUG_CHECK_THEN_TAKE   A  (LOWERED) a taker counts before it swaps, and not again
     BUG_LIMIT_ONCE        A  (LOWERED) a taker does not read again which limit is in force
     BUG_COUNTS_ITS_OWN    A  (LOWERED) a taker counts only what the lowered limit has
     BUG_RENEWS_ANY        A  (LOWERED) what the lowered limit does not have is renewed
     BUG_RENEWS_LATE       A  (LOWERED) a lease that was over before it was renewed runs again
     BUG_DATED_BEFORE      A  (LOWERED) the change is dated before it is made
     BUG_TAKE_STORES       A  a take is a plain store
     BUG_NO_LOOK_AT_CLOCK  A  a lease that was over before it was handed out is handed out
     BUG_NO_FENCE          F  the resource asks for no number
     BUG_FENCE_UNCHECKED   F  a number that was drawn after the permit was lost is used
     BUG_NO_GENERATION     P  a seat's lock alone says that its holder lives
     BUG_LEASE_ONLY        P  the dead keep their permits until the lease is over */

#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef PERMITS
#define PERMITS 1
#endif
#ifndef LOWERED
#define LOWERED PERMITS
#endif
#ifndef TAKES
#define TAKES 2
#endif
#ifndef END
#define END 3
#endif
#define LEASE 2

#ifdef THREADS
#define SEAT_OF(w) ((w) / 2) /* two threads of each process */
#else
#define SEAT_OF(w) (w)
#endif

typedef Permit { byte holder; /* seat + 1, or 0 */ byte generation; byte lease_end; byte sequence };
Permit permit[PERMITS];

/* The kernel's and the seats': generations go up under the lock, before the seat is used. */
bool locked[WORKERS];
byte generation[WORKERS];

byte time = 1;
byte limit = PERMITS;
byte changed; /* when it was lowered; 0 = nobody has dated it */
#define more_may_be_out (limit != PERMITS && (changed == 0 || time < changed + LEASE))

#define lives(seat) (locked[seat] && generation[seat] == 1) /* the first process of a seat */

/* The oracle: until when each worker's lease goes that was granted, or 0; and under which limit. */
byte lease_of[WORKERS];
bool before_lowering[WORKERS];
byte tickets, last_ticket, fences, highest_fence;

#if LOWERED != PERMITS
#define IS_LOWERED
#endif

#ifdef BUG_LEASE_ONLY
#define is_dead(i) false
#elif defined(BUG_NO_GENERATION)
#define is_dead(i) (!locked[permit[i].holder - 1])
#else
#define is_dead(i) (!locked[permit[i].holder - 1] || \
                    generation[permit[i].holder - 1] != permit[i].generation)
#endif
#define truly_dead(i) (!locked[permit[i].holder - 1] || \
                       generation[permit[i].holder - 1] != permit[i].generation)
#define is_out(i) (permit[i].holder != 0 && permit[i].lease_end > time && !is_dead(i))

/* A: the leases granted under the limit in force, unexpired, of the living. */
inline count_granted() { d_step {
  i = 0; n = 0; old = 0;
  do
  :: i < WORKERS && lease_of[i] > time && lives(SEAT_OF(i)) ->
       n++; old = old + (before_lowering[i] -> 1 : 0); i++
  :: i < WORKERS && !(lease_of[i] > time && lives(SEAT_OF(i))) -> i++
  :: i == WORKERS -> break
  od;
  assert(n <= (old > limit -> old : limit)); /* A: never more out than the limit */
  i = 0; n = 0; old = 0 } }

#define SAME(at) (permit[at].holder == seen.holder && permit[at].generation == seen.generation && \
                  permit[at].lease_end == seen.lease_end && permit[at].sequence == seen.sequence)
#define MINE(at) (permit[at].holder == SEAT_OF(me) + 1 && permit[at].generation == 1 \
                  && permit[at].lease_end == my_end && permit[at].sequence == my_sequence)

/* one permit after the other, of all that there ever were */
#ifdef BUG_COUNTS_ITS_OWN
#define COUNTED my_limit
#else
#define COUNTED PERMITS
#endif
inline count_out() {
  do
  :: atomic { at_next < COUNTED -> out = out + (is_out(at_next) -> 1 : 0); at_next++ }
  :: atomic { at_next == COUNTED -> at_next = 0; break }
  od
}

inline give_back() { atomic {
  if
  :: MINE(at) ->
       permit[at].holder = 0; permit[at].generation = 0; permit[at].lease_end = 0;
       permit[at].sequence++
  :: else /* the lease was over, and it is another's now */
  fi } }

proctype worker(byte me) {
  byte at, now, takes, my_end, my_sequence, my_limit, my_ticket, my_fence, at_next, out, i, n, old;
  byte old_end;
  bool counts, has;
  Permit seen;
again:
  atomic {
    at = 0; now = 0; my_end = 0; my_sequence = 0; my_limit = 0; my_ticket = 0; my_fence = 0; at_next = 0;
    out = 0; counts = false; has = false; seen.holder = 0; seen.generation = 0;
    seen.lease_end = 0; seen.sequence = 0;
    if
    :: takes == TAKES || !lives(SEAT_OF(me)) ->
         goto done
    :: else -> takes++
    fi };

  atomic { my_limit = limit; counts = more_may_be_out;
    if
    :: counts && changed == 0 -> changed = time
    :: else
    fi };
#ifdef IS_LOWERED
  if
  :: atomic { counts -> skip };
     count_out();
     if
     :: atomic { out >= my_limit -> out = 0; goto again } /* denied */
     :: atomic { out < my_limit -> out = 0 }
     fi
  :: atomic { !counts -> skip }
  fi;
#endif

  /* look for one that may be taken, below the limit */
  do
  :: atomic { at < my_limit && !is_out(at) ->
       seen.holder = permit[at].holder; seen.generation = permit[at].generation;
       seen.lease_end = permit[at].lease_end; seen.sequence = permit[at].sequence;
       break }
  :: atomic { at < my_limit && is_out(at) ->
       assert(!truly_dead(at)); /* P: what the dead held may be had at once */
       at++ }
#ifdef IS_LOWERED
  :: atomic { at + 1 < my_limit && !is_out(at) -> at++ } /* each begins at another */
#endif
  :: atomic { at >= my_limit -> goto again } /* denied */
  od;

  atomic { now = time };
  atomic { /* take */
    if
#ifdef BUG_TAKE_STORES
    :: true ->
#else
    :: SAME(at) ->
#endif
         permit[at].holder = SEAT_OF(me) + 1; permit[at].generation = 1;
         permit[at].lease_end = now + LEASE;
         permit[at].sequence++;
         my_end = now + LEASE; my_sequence = permit[at].sequence;
         tickets++; my_ticket = tickets;
         seen.holder = 0; seen.generation = 0; seen.lease_end = 0; seen.sequence = 0; now = 0
    :: else -> goto again
    fi };

#ifdef IS_LOWERED
#ifndef BUG_LIMIT_ONCE
  if
  :: atomic { limit != my_limit -> skip };
     give_back();
     goto again
  :: atomic { limit == my_limit -> skip }
  fi;
#endif
#ifndef BUG_CHECK_THEN_TAKE
  if
  :: atomic { counts -> skip };
     count_out();
     if
     :: atomic { out > my_limit -> out = 0 };
        give_back();
        goto again
     :: atomic { out <= my_limit -> out = 0 }
     fi
  :: atomic { !counts -> skip }
  fi;
#endif
#endif
  atomic {
    if
    :: !lives(SEAT_OF(me)) -> goto done
#ifdef BUG_NO_LOOK_AT_CLOCK
    :: lives(SEAT_OF(me)) ->
         assert(my_end > time); /* A: nobody is handed a lease that is over */
#else
    :: lives(SEAT_OF(me)) && my_end > time ->
#endif
         lease_of[me] = my_end; before_lowering[me] = (my_limit != LOWERED);
         count_granted()
    :: else -> goto again /* stopped so long that it is over */
    fi };

#ifndef NO_WORK
  atomic { fences++; my_fence = fences };
  atomic {
    if
#ifndef BUG_FENCE_UNCHECKED
    :: !MINE(at) || my_end <= time -> my_fence = 0
#endif
    :: else
    fi };

  /* work; if stopped meanwhile, also after the lease is over */
  do
  :: atomic { lives(SEAT_OF(me)) && my_fence != 0 ->
       if
#ifdef BUG_NO_FENCE
       :: true ->
#else
       :: my_fence >= highest_fence ->
#endif
            assert(my_ticket >= last_ticket); /* F: no earlier holder's work after a later one's */
            last_ticket = my_ticket; highest_fence = my_fence
       :: else /* refused: fenced off */
       fi }
  :: break
  od;
#endif

#ifdef RENEWS
  /* renew, once: the clock, the links, the compare-and-swap, the clock */
  if
  :: atomic { MINE(at) && my_end > time && lives(SEAT_OF(me)) -> now = time };
#ifdef BUG_RENEWS_ANY
     has = true;
#else
     atomic { has = (at < limit) };
#endif
     atomic {
       if
       :: has && MINE(at) && lives(SEAT_OF(me)) ->
            old_end = my_end;
            permit[at].lease_end = now + LEASE; my_end = now + LEASE
       :: else -> has = false
       fi;
       now = 0 };
     if
#ifdef BUG_RENEWS_LATE
     :: atomic { has -> has = false; lease_of[me] = my_end; count_granted() }
#else
     :: atomic { has && old_end > time -> has = false; lease_of[me] = my_end; count_granted() }
#endif
     :: atomic { !has || old_end <= time -> has = false } /* lost: given back below */
     fi;
     old_end = 0
  :: true
  fi;
#endif

  atomic { lease_of[me] = 0; before_lowering[me] = false };
  give_back();
#ifdef BUG_GIVES_BACK_TWICE
  give_back();
#endif
  goto again;
done:
  skip
}

/* Kills processes; later a seat may go to another, which takes nothing. */
inline may_die(seat) {
  atomic { lives(seat) -> locked[seat] = false };
  if
  :: atomic { locked[seat] = true; generation[seat] = 2 }
  :: true
  fi
}
proctype death() {
end:
  do
  :: may_die(0)
#if SEAT_OF(WORKERS - 1) > 0
  :: may_die(1)
#endif
  od
}

/* Needs the slot of a permit for another key. The kernel is not asked for this. */
proctype overwriter() {
  byte i;
end:
  do
  :: atomic { i < PERMITS &&
#ifndef BUG_NOT_STICKY
       (permit[i].holder == 0 || permit[i].lease_end <= time ||
        generation[permit[i].holder - 1] != permit[i].generation) &&
#endif
       (permit[i].holder != 0 || permit[i].sequence != 0) ->
       permit[i].holder = 0; permit[i].generation = 0; permit[i].lease_end = 0;
       permit[i].sequence = 0 }
#if PERMITS > 1
  :: atomic { i < PERMITS - 1 -> i++ }
#endif
  od
}

proctype operator() {
  byte now;
  if
#ifdef BUG_DATED_BEFORE
  :: atomic { now = time };
     atomic { limit = LOWERED; changed = now }
#else
  :: atomic { limit = LOWERED };
     if
     :: atomic { now = time };
        atomic {
          if
          :: changed == 0 -> changed = now
          :: else
          fi };
     :: true /* killed */
     fi
#endif
  :: true
  fi
}

proctype clock() {
end:
  do
  :: atomic { time < END -> time++ }
  od
}

init {
  byte w;
  atomic {
    do
    :: w < WORKERS -> locked[w] = true; generation[w] = 1; run worker(w); w++
    :: else -> break
    od;
    w = 0;
#ifndef LIVES
    run death(); run overwriter();
#endif
#ifdef IS_LOWERED
    run operator();
#endif
    run clock()
  }
}
