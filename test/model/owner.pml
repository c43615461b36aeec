/*
 * Who owns a sandbox: src/file/own.ts, src/file/lock/owner.ts and `reap`, by an owner that may hand over to a child, a
 * reaper, and a process that deletes and creates or, with -DTWO_OWNERS, another owner. KILLS of them are killed, between
 * any two steps; a child ends at any time. change.pml shows that among ours the dot-lock changes nothing, so that it is
 * left out here.
 */
#include "locks.pml"

#define RUNNING 1
#define STOPPED 2

/* The `owner` file: inodes, too. A record is numbered by the process that wrote it, each of which owns once at most. */
byte ownerAt[FOLDERS];
byte lastOwnerFile;
byte exclusive[INODES];    /* who took flock(2) on an `owner` file: kept until all copies of the descriptor are closed */
byte sharedBy[PROCESSES];  /* the `owner` file on which a process has a shared lock */
bool hasCopy[PROCESSES];   /* the process has its descriptor open */
bool childHasCopy[PROCESSES];
byte recordOf[INODES];     /* whose record is in the file */
bool isReleased[INODES];   /* it says "held":false */

/* What no process can see. */
byte incarnation = 1;      /* of the sandbox: each create makes another one */
byte owned[PROCESSES];     /* which incarnation a process owns, by itself or through its child */
byte ownedOnce[PROCESSES];
bool isEnded[PROCESSES];

#define isAliveOwner(p) (owned[p] == incarnation && (hasCopy[p] || childHasCopy[p]))
#define isSharedByOthers(file) ((me != 1 && sharedBy[1] == file) || (me != 2 && sharedBy[2] == file) || (me != 3 && sharedBy[3] == file))

/* The kernel ends a lock with the last copy of its descriptor. */
inline closeCopies(p) {
	if
	:: !hasCopy[p] && !childHasCopy[p] ->
		i = 0;
		do
		:: i < INODES ->
			if
			:: exclusive[i] == p -> exclusive[i] = NOBODY
			:: else
			fi;
			i++
		:: else -> break
		od;
		i = 0
	:: else
	fi
}

inline finish() {
	d_step { isEnded[me] = true; isInside[me] = false; sharedBy[me] = NONE; hasCopy[me] = false; closeCopies(me) }
}

/* A child may end at any time, and with it its copy of the descriptor. */
active proctype Children() {
	byte i;
end:
	do
	:: d_step { childHasCopy[1] -> childHasCopy[1] = false; closeCopies(1) }
	:: d_step { childHasCopy[3] -> childHasCopy[3] = false; closeCopies(3) }
	od
}

inline setInside() { d_step { assert(!isAnyInside); isInside[me] = true } }

/* withBothLocks: ok when the sandbox is locked. */
inline lockSandbox() {
	STEP(dir = path);
	ok = false;
	if
	:: dir != NONE -> tryAcquire()
	:: else
	fi;
	if
	:: ok -> setInside()
	:: else
	fi
}

inline lockSandboxMaking() {
	lockSandbox();
	if
	:: !ok && dir != NONE ->
		STEP(isHeld = (lockAt[dir] != NONE));
		if
		:: !isHeld ->
			tryAcquireMaking();
			if
			:: ok -> setInside()
			:: else
			fi
		:: else
		fi
	:: else
	fi
}

inline unlockSandbox() { isInside[me] = false; unlockAndClose() }

/* ---- src/file/own.ts and src/file/ownership.ts ---- */

/* taken: the process owns the sandbox now; else to be tried again, unless it isOwned by another */
inline take() {
	STEP(d_step { /* createFile */
		if
		:: ownerAt[dir] == NONE -> lastOwnerFile++; ownerAt[dir] = lastOwnerFile
		:: else
		fi
	});
	STEP(file = ownerAt[dir]); /* openat */
	isOwned = false;
#ifndef NO_SHARED_LOCK_FIRST
	STEP(d_step {
		isOwned = (exclusive[file] != NOBODY);
		if
		:: !isOwned -> sharedBy[me] = file
		:: else
		fi
	});
#endif
	if
	:: !isOwned ->
#ifdef NO_OWNER_FLOCK
		d_step { ok = true; hasCopy[me] = true; sharedBy[me] = NONE };
#else
		STEP(d_step {
			sharedBy[me] = NONE;
			ok = (exclusive[file] == NOBODY && !isSharedByOthers(file));
			if
			:: ok -> exclusive[file] = me; hasCopy[me] = true
			:: else
#ifdef NO_SHARED_LOCK_FIRST
				-> isOwned = true
#endif
			fi;
			assert(!isOwned || exclusive[file] != NOBODY) /* OWNED if somebody owns it, not if somebody looks */
		});
#endif
#ifndef NO_LOCK_IN_OWN
		if
		:: ok -> isCurrent() /* areOurs */
		:: else
		fi;
#endif
		if
		:: ok -> STEP(d_step { /* note */
			recordOf[file] = me;
			isReleased[file] = false;
			assert(!isAliveOwner(1) && !isAliveOwner(2) && !isAliveOwner(3)); /* never two owners */
			owned[me] = incarnation;
			ownedOnce[me] = incarnation;
			taken = true
		})
		:: else -> STEP(d_step { hasCopy[me] = false; closeCopies(me) })
		fi
	:: else
	fi
}

inline own() {
	do
	:: STEP(ok = (path != NONE && stateAt[path] != NONE));
		if
		:: !ok -> break /* NOT_FOUND */
		:: else
		fi;
#ifdef NO_LOCK_IN_OWN
		STEP(dir = path);
		if
		:: dir != NONE -> take()
		:: else
		fi;
#else
		lockSandbox();
		if
		:: ok ->
			STEP(ok = (stateAt[dir] != NONE));
			if
			:: ok -> take()
			:: else
			fi;
			unlockSandbox()
		:: else
		fi;
#endif
		if
		:: taken -> break
		:: else
		fi
	od
}

inline letGo() {
#ifdef RELEASE_BY_CLOSE
	STEP(d_step { hasCopy[me] = false; closeCopies(me) });
#else
	STEP(d_step { exclusive[file] = (exclusive[file] == me -> NOBODY : exclusive[file]) }); /* LOCK_UN */
	STEP(d_step { hasCopy[me] = false; childHasCopy[me] = false });
#endif
	assert(exclusive[file] != me) /* nor has its child the lock */
}

inline release() {
	do
	:: STEP(ok = (path != NONE && ownerAt[path] == file)); /* isLost */
		if
		:: !ok -> break
		:: else
		fi;
		lockSandbox();
		if
		:: ok ->
			STEP(ok = (ownerAt[dir] == file));
			if
			:: ok ->
#ifndef NO_RELEASE_NOTE
				STEP(d_step { isReleased[file] = true; owned[me] = NONE })
#else
				owned[me] = NONE
#endif
			:: else
			fi;
			letGo();
			unlockSandbox();
			break
		:: else
		fi
	od;
	letGo();
	assert(recordOf[file] != me || isReleased[file] || ownerAt[path] != file)
}

proctype Owner(byte me) {
	byte dir, lock, file, i;
	bool ok, isHeld, isOwned, taken;
	own();
	if
	:: taken ->
		if
		:: STEP(d_step { childHasCopy[me] = true }) /* spawn */
		:: true
		fi;
		if
		:: release()
		:: true /* it ends without a release */
		fi
	:: else
	fi;
gone:	finish()
}

/* ---- src/file/lock/owner.ts ---- */

/* Reads dir: its record in found, NONE where there is none that is held; isHeld: the lock is held, too. */
inline readOwner() {
	STEP(file = ownerAt[dir]);
	found = NONE;
	if
	:: file != NONE ->
		STEP(d_step {
			isHeld = (exclusive[file] != NOBODY);
			if
			:: !isHeld -> sharedBy[me] = file
			:: else
			fi
		});
		STEP(found = (isReleased[file] -> NONE : recordOf[file]));
		STEP(sharedBy[me] = NONE)
	:: else -> isHeld = false
	fi
}

/* `orphans`, without a lock, then the transition of `reap` under it */
inline reap() {
	expected = NONE;
	STEP(dir = path);
	if
	:: dir != NONE ->
		STEP(ok = (stateAt[dir] == RUNNING));
		if
		:: ok ->
			readOwner();
			if
			:: !isHeld -> expected = found
			:: else
			fi
		:: else
		fi
	:: else
	fi;
	if
	:: expected != NONE ->
		do
		:: lockSandbox();
			if
			:: ok -> stopOrphan(); unlockSandbox(); break
			:: dir == NONE -> break
			:: else
			fi
		od
	:: else
	fi
}

inline stopOrphan() {
	STEP(ok = (stateAt[dir] == RUNNING));
	if
	:: ok ->
#ifdef NO_RECHECK_IN_REAP
		skip;
#else
		readOwner(); /* assertOrphanOf */
		ok = !isHeld;
#ifdef NO_OWNER_CHECK
		ok = ok && (found != NONE);
#else
		ok = ok && (found == expected);
#endif
#endif
		if
		:: ok -> isCurrent()
		:: else
		fi;
		if
		:: ok ->
			STEP(d_step { /* rename */
				assert(path == dir);
				assert(!isAliveOwner(1) && !isAliveOwner(2) && !isAliveOwner(3)); /* nobody owns it */
				assert(ownedOnce[expected] == incarnation); /* the dead owner had this sandbox, not one before it */
				assert(recordOf[ownerAt[dir]] == expected && !isReleased[ownerAt[dir]]); /* and was the last, and did not release it */
				stateAt[dir] = STOPPED
			});
			STEP(isReleased[ownerAt[dir]] = true) /* releaseOrphan */
		:: else
		fi
	:: else
	fi
}

#define isOrphaned (path != NONE && stateAt[path] == RUNNING && ownerAt[path] != NONE && recordOf[ownerAt[path]] != NONE && !isReleased[ownerAt[path]] && exclusive[ownerAt[path]] == NOBODY)

#define isAllOver (isEnded[1] && isEnded[3] && !childHasCopy[1] && !childHasCopy[3])

proctype Reaper(byte me) {
	byte dir, lock, file, found, expected, i;
	bool ok, isHeld, isLast;
	if
	:: isLast = false
	:: isAllOver -> isLast = true
	fi;
sweep:	reap();
	if
	:: !isLast ->
		isAllOver;
		isLast = true;
		goto sweep
	:: else
	fi;
	assert(!isOrphaned);
gone:	finish()
}

/* ---- src/file/commit.ts, as far as owners are concerned ---- */

inline delete() {
	do
	:: lockSandbox();
		if
		:: ok ->
			STEP(ok = (stateAt[dir] != NONE));
			if
			:: ok -> isCurrent()
			:: else
			fi;
			if
			:: ok -> STEP(stateAt[dir] = NONE)
			:: else
			fi;
			removeDir();
			unlockSandbox();
			break
		:: dir == NONE -> break
		:: else
		fi
	od
}

inline removeOwner() {
#ifndef KEEP_OWNER
	STEP(ownerAt[dir] = NONE)
#else
	skip
#endif
}

inline removeDir() {
	isCurrent();
	if
	:: ok ->
		removeOwner();
		isInside[me] = false;
		STEP(lockAt[dir] = NONE);
		STEP(d_step { /* rmdir */
			if
			:: path == dir && lockAt[dir] == NONE && stateAt[dir] == NONE && ownerAt[dir] == NONE -> path = NONE
			:: else
			fi
		})
	:: else
	fi
}

inline create() {
	do
	:: STEP(d_step { /* mkdir */
			if
			:: path == NONE -> lastFolder++; path = lastFolder
			:: else
			fi
		});
		lockSandboxMaking();
		if
		:: ok ->
			STEP(ok = (stateAt[dir] == NONE));
			if
			:: ok -> removeOwner(); isCurrent()
			:: else
			fi;
			if
			:: ok -> STEP(d_step { assert(path == dir); stateAt[dir] = RUNNING; incarnation++ })
			:: else
			fi;
			unlockSandbox();
			break
		:: else
		fi
	od
}

proctype Changer(byte me) {
	byte dir, lock, i;
	bool ok, isHeld;
	delete();
	if
	:: create()
	:: true
	fi;
gone:	finish()
}

init {
	atomic {
		path = 1;
		lastFolder = 1;
		stateAt[1] = RUNNING;
		lastInode = 1;
		lockAt[1] = 1;
		run Owner(1);
		run Reaper(2);
#ifdef TWO_OWNERS
		run Owner(3)
#else
		run Changer(3)
#endif
	}
}
