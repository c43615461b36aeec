/*
 * Changes of one sandbox: src/file/commit.ts, by three processes of ours, or, -DWITH_FOREIGN, by two beside a
 * program that knows only proper-lockfile. KILLS of them are killed, between any two steps.
 */
#include "locks.pml"

#define CREATE 1
#define UPDATE 2
#define DELETE 3

mtype = { COMMITTED, MISSING, EXISTS, BLOCKED, LOST };

byte increments; /* put in place since the sandbox was created */

/* The look before the step that counts. */
inline areOurs() {
#ifdef NO_LAST_LOOK
	ok = true;
#else
#ifdef NO_DOT_LOCK
	ok = true;
#else
	isMarkedAndFresh(true);
#endif
	if
	:: ok -> isCurrent()
	:: else
	fi;
#endif
}

inline writeReplacement() {
	STEP(d_step {
		ok = (temporaryAt[dir] == NONE);
		if
		:: ok -> temporaryAt[dir] = before + 1
		:: else
		fi
	});
	if
	:: !ok ->
#ifdef KEEP_TEMPORARY
		assert(false); /* EEXIST, now and for ever */
#endif
		STEP(temporaryAt[dir] = NONE);
		STEP(temporaryAt[dir] = before + 1)
	:: else
	fi
}

/* rename. The counter is what was put in place, or a change was lost. */
inline putInPlace() {
	STEP(d_step {
		assert(!isAnyForeignInside);
		assert(path == dir && temporaryAt[dir] != NONE);
		stateAt[dir] = temporaryAt[dir];
		temporaryAt[dir] = NONE;
		if
		:: op == CREATE -> increments = 0
		:: else -> increments++
		fi;
		assert(stateAt[dir] == increments + 1);
		isRelying[me] = false
	})
}

inline removeState() {
	STEP(d_step {
		assert(!isAnyForeignInside);
		assert(path == dir && stateAt[dir] == increments + 1);
		stateAt[dir] = NONE;
		isRelying[me] = false
	})
}

/* The lock file goes last: whoever waits for it then sees that it is no longer the lock. */
inline removeDir() {
	isCurrent();
	if
	:: ok -> STEP(ok = (stateAt[dir] == NONE && dotLockAt[dir] == NONE)) /* readdir */
	:: else
	fi;
	if
	:: ok ->
#ifdef LOCK_GOES_FIRST
		STEP(lockAt[dir] = NONE);
		STEP(temporaryAt[dir] = NONE);
#else
		STEP(temporaryAt[dir] = NONE);
		STEP(lockAt[dir] = NONE);
#endif
		STEP(d_step { /* rmdir, of a folder that is empty */
			if
			:: path == dir && lockAt[dir] == NONE && stateAt[dir] == NONE && temporaryAt[dir] == NONE && dotLockAt[dir] == NONE ->
				path = NONE
			:: else
			fi
		})
	:: else
	fi
}

inline commit() {
	tryDotLock();
	if
	:: ok ->
		STEP(before = stateAt[dir]); /* readCurrent */
		if
		:: op == CREATE && before != NONE -> outcome = EXISTS
		:: op != CREATE && before == NONE -> outcome = MISSING
		:: op == DELETE && before != NONE ->
			AT_ONCE {
				areOurs();
				if
				:: ok -> removeState(); outcome = COMMITTED
				:: else -> outcome = LOST; isRelying[me] = false
				fi
			}
		:: else ->
			writeReplacement();
			AT_ONCE {
				areOurs();
				if
				:: ok -> putInPlace(); outcome = COMMITTED
				:: else -> outcome = LOST; isRelying[me] = false
				fi
			};
			if
			:: outcome == LOST -> STEP(temporaryAt[dir] = NONE)
			:: else
			fi
		fi;
		releaseDotLock();
		isInside[me] = false;
		if
		:: outcome == MISSING || (op == DELETE && outcome == COMMITTED) || (op == CREATE && outcome == LOST) -> removeDir()
		:: else
		fi
	:: else -> outcome = BLOCKED
	fi
}

inline attempt() {
	if
	:: op == CREATE -> STEP(d_step { /* mkdir */
		if
		:: path == NONE -> lastFolder++; path = lastFolder
		:: else
		fi
	})
	:: else
	fi;
	STEP(dir = path); /* open */
	if
	:: dir == NONE -> outcome = MISSING
	:: else ->
		STEP(ok = (stateAt[dir] != NONE));
		if
		:: ok && op == CREATE -> outcome = EXISTS
		:: !ok && op != CREATE -> outcome = MISSING
		:: else ->
			tryAcquire();
			if
			:: !ok -> STEP(wasStale = (lockAt[dir] != NONE));
				if
				:: !wasStale -> tryAcquireMaking()
				:: else
				fi
			:: else
			fi;
			if
			:: ok -> commit(); unlockAndClose()
			:: else -> outcome = BLOCKED
			fi
		fi
	fi
}

proctype Ours(byte me, op) {
	byte dir, lock, before, i;
	bool ok, wasStale;
	mtype outcome = BLOCKED;
	do
	:: attempt();
		if
		:: outcome == BLOCKED || outcome == LOST || (outcome == MISSING && op == CREATE) -> skip
		:: else -> break
		fi
	od;
gone:	skip
}

/* ---- a program with only proper-lockfile 4.1.2. Each of its calls goes by the path. ---- */

inline foreignMkdir() {
	STEP(d_step {
		dir = path;
		ok = (dir != NONE && dotLockAt[dir] == NONE);
		assert(!ok || !isAnyForeignInside);
		if
		:: ok -> dotLockAt[dir] = FOREIGN; isStale[dir] = false; isForeignInside[me] = true
		:: else
		fi
	})
}

inline foreignRmdir() {
	STEP(d_step {
		if
		:: path != NONE -> dotLockAt[path] = NONE; isStale[path] = false
		:: else
		fi;
		isForeignInside[me] = false
	})
}

proctype Foreign(byte me) {
	byte dir, before, i;
	bool ok;
	do
	:: STEP(ok = (path != NONE && stateAt[path] != NONE)); /* realpath */
		if
		:: !ok -> break
		:: else
		fi;
		foreignMkdir();
		if
		:: !ok ->
			FOREIGN_AT_ONCE {
				STEP(ok = (path != NONE && isStale[path])); /* stat */
				if
				:: ok -> foreignRmdir()
				:: else
				fi
			};
			if
			:: ok -> foreignMkdir()
			:: else
			fi
		:: else
		fi;
		if
		:: ok -> break
		:: else
		fi
	od;
	if
	:: ok ->
		STEP(before = stateAt[dir]);
		if
		:: before != NONE ->
			STEP(d_step { stateAt[dir] = before + 1; increments++; assert(stateAt[dir] == increments + 1) })
		:: else
		fi;
		foreignRmdir()
	:: else
	fi;
gone:	skip
}

/* Two processes that swap their numbers do the same: it is enough to look at one of the two orders. */
inline choose(op, atLeast) {
	if
	:: atLeast <= CREATE -> op = CREATE
	:: atLeast <= UPDATE -> op = UPDATE
	:: op = DELETE
	fi
}

init {
	byte first, second, third;
	atomic {
		path = 1;
		lastFolder = 1;
		if
		:: stateAt[1] = 1; lastInode = 1; lockAt[1] = 1
#ifndef LIVENESS
		:: path = NONE /* no sandbox */
#ifdef WITH_FOREIGN
		:: stateAt[1] = 1 /* put there by other means */
#endif
#endif
		fi;
#ifdef UPDATES
		first = UPDATE;
#else
		choose(first, CREATE);
#endif
		run Ours(1, first);
		second = first;
#ifndef PAIR
#ifdef TWO_FOREIGN
		run Foreign(2);
#else
#ifndef UPDATES
		choose(second, first);
#endif
		run Ours(2, second);
#endif
#endif
#ifdef WITH_FOREIGN
		run Foreign(3);
#else
		choose(third, second);
		run Ours(3, third);
#endif
		first = 0; second = 0; third = 0
	}
}
