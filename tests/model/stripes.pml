/* Stripes: who counts in one is alone in it, however processes die (shm/stripes.hpp).

   The rules    - A process locks a seat, then raises its generation: that is its name.
                - It takes a stripe that is nobody's, or whose owner is dead, by a compare-and-swap of
                  the owner it has seen. One that already bears its name is its own.
                - An owner is dead when its seat has another generation, or no lock.
                - It counts by a load and a store.
                - A sweep frees the stripes of the dead, by a compare-and-swap, too.
   Modelled     PROCESSES processes that each count COUNTS times, and may be killed before each
                access; DEATHS such deaths; whoever was killed comes again as another process, on any
                seat that is free. One sweep of all stripes, at any speed. One access at a time.
   Abstracted   The threads of a process, which agree by a compare-and-swap in its own memory. Who
                finds no stripe adds by a locked add to the shared one: not modelled.
   Asserted     A: between the load and the store of a count nobody else has written.

   Mutants:
     BUG_NO_GENERATION   A  the name is the seat alone
     BUG_TAKES_BY_STORE  A  the owner is stored, whatever it has become
     BUG_FREES_BY_STORE  A  a sweep stores, whatever the owner has become
     BUG_NO_LOOK         A  a stripe is taken from whoever has it */

#ifndef PROCESSES
#define PROCESSES 2
#endif
#ifndef COUNTS
#define COUNTS 1
#endif
#ifndef DEATHS
#define DEATHS 2
#endif
#ifndef STRIPES
#define STRIPES 2
#endif
#define SEATS PROCESSES

bit locked[SEATS];
byte generation[SEATS];
byte owner[STRIPES]; /* 0: nobody */
byte cell[STRIPES];
byte deaths;

#ifdef BUG_NO_GENERATION
#define NAME(seat, gen) ((seat) + 1)
#define IS_OLD(name) false
#else
#define NAME(seat, gen) ((seat) + 1 + 8 * (gen))
#define IS_OLD(name) (generation[SEAT(name)] != (name) / 8)
#endif
#define SEAT(name) ((name) % 8 - 1)

#define MAY_DIE \
  if \
  :: deaths < DEATHS -> deaths++; locked[seat] = 0; goto sit \
  :: true \
  fi

/* Sets `dead` to whether the process of this name is. Two reads. */
inline look_at_owner(name) {
  atomic { dead = IS_OLD(name) };
  atomic {
    if
    :: !dead -> dead = !locked[SEAT(name)]
    :: else
    fi }
}

proctype process() {
  byte seat, us, i, seen, count, counts;
  bit dead;
sit:
  atomic {
    seat = 0; us = 0; i = 0; seen = 0; count = 0; dead = 0;
    do
    :: seat < SEATS && locked[seat] -> seat++
    :: else -> break
    od;
    assert(seat < SEATS);
    locked[seat] = 1 };
  atomic { MAY_DIE; generation[seat]++; us = NAME(seat, generation[seat]) };

take:
  do
  :: atomic { i < STRIPES -> MAY_DIE; seen = owner[i] };
     if
     :: seen == us -> goto count_one
     :: seen != us && seen != 0 ->
#ifdef BUG_NO_LOOK
          dead = 1
#else
          look_at_owner(seen)
#endif
     :: seen == 0 -> dead = 1
     fi;
     atomic {
       MAY_DIE;
       if
#ifdef BUG_TAKES_BY_STORE
       :: dead -> owner[i] = us; goto count_one
#else
       :: dead && owner[i] == seen -> owner[i] = us; goto count_one
#endif
       :: else -> i++
       fi }
  :: atomic { i == STRIPES -> goto done }
  od;

count_one:
  do
  :: atomic { counts < COUNTS -> MAY_DIE; counts++; count = cell[i] };
     atomic {
       MAY_DIE;
       assert(cell[i] == count); /* A */
       cell[i] = count + 1 }
  :: atomic { counts == COUNTS -> break }
  od;
done:
  skip
}

proctype sweep() {
  byte i, seen;
  bit dead;
  do
  :: atomic { i < STRIPES -> seen = owner[i]; dead = 0 };
     if
     :: seen != 0 -> look_at_owner(seen)
     :: else
     fi;
     atomic {
       if
#ifdef BUG_FREES_BY_STORE
       :: dead -> owner[i] = 0
#else
       :: dead && owner[i] == seen -> owner[i] = 0
#endif
       :: else
       fi;
       i++ }
  :: atomic { i == STRIPES -> break }
  od
}

init {
  atomic {
    byte p = 0;
    do
    :: p < PROCESSES -> run process(); p++
    :: else -> break
    od;
    run sweep()
  }
}
