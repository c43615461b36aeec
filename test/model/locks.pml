/*
 * What the kernel does, and the two locks of a sandbox as src/file takes them. The page README.md says which function
 * each inline stands for. A guard in #ifndef NO_... is left out by -DNO_..., to see what it is for.
 */

#define NONE 0
#define NOBODY 0
#define OURS 1    /* a dot-lock of mode 0500 */
#define FOREIGN 2 /* one of a program that knows only proper-lockfile */

#ifndef KILLS
#define KILLS 1
#endif

/* What one of ours sees, and what it does next relying on that, are one step for others: README.md, "Assumed". */
#ifdef SLOW_FOREIGN
#define AT_ONCE atomic
#define FOREIGN_AT_ONCE
#else
#define AT_ONCE
#define FOREIGN_AT_ONCE atomic
#endif
#ifdef SLOW_ALL
#undef FOREIGN_AT_ONCE
#define FOREIGN_AT_ONCE
#endif

/* Inodes are numbered from 1 as they are made, and never used again: a file that is held open keeps its number. */
#define FOLDERS 4
#define INODES 5
#define PROCESSES 4 /* from 1, too */

byte path;                 /* the folder that <root>/<id> leads to */
byte lastFolder;
byte lockAt[FOLDERS];      /* which inode is `lock` in this folder */
byte lastInode;
byte flock[INODES];        /* who holds flock(2) on this inode */
byte stateAt[FOLDERS];     /* `state.json`: its counter and 1 */
byte temporaryAt[FOLDERS]; /* `.state.json.tmp`, likewise */
byte dotLockAt[FOLDERS];   /* `state.json.lock`: its mode */
bool isStale[FOLDERS];     /* it was not refreshed for longer than the stale time */

/* What no process can see: it states the properties. */
bool isInside[PROCESSES];        /* one of ours that holds both locks */
bool isForeignInside[PROCESSES]; /* another program that has taken the dot-lock */
bool isRelying[PROCESSES];       /* one of ours that acts on what it just saw of the dot-lock */
byte kills;

#define isAnyInside (isInside[1] || isInside[2] || isInside[3])
#define isAnyForeignInside (isForeignInside[1] || isForeignInside[2] || isForeignInside[3])
#define isAnyRelying (isRelying[1] || isRelying[2] || isRelying[3])

/* One system call of the process `me`, which may be killed before it. No call waits. */
#define STEP(call) if :: atomic { kills < KILLS -> die(); goto gone } :: atomic { call } fi

/* The kernel frees every flock of a dead process. Whatever it made stays. */
inline die() {
	d_step {
		kills++;
		isInside[me] = false;
		isForeignInside[me] = false;
		isRelying[me] = false;
#ifndef NO_RELEASE_AT_DEATH
		i = 0;
		do
		:: i < INODES ->
			if
			:: flock[i] == me -> flock[i] = NOBODY
			:: else
			fi;
			i++
		:: else -> break
		od;
		i = 0
#endif
	}
}

/* ---- src/file/lock/sandbox-lock.ts; dir and lock are what the process has open ---- */

inline unlockAndClose() {
	STEP(d_step {
		if
		:: flock[lock] == me -> flock[lock] = NOBODY
		:: else
		fi;
		lock = NONE
	})
}

inline isCurrent() {
	STEP(ok = (path == dir));
	if
	:: ok -> STEP(ok = (lockAt[dir] == lock))
	:: else
	fi
}

inline tryAcquire() {
	STEP(lock = lockAt[dir]); /* openat */
	if
	:: lock == NONE -> ok = false
	:: else ->
#ifdef NO_FLOCK
		ok = true;
#else
		STEP(d_step {
			ok = (flock[lock] == NOBODY);
			if
			:: ok -> flock[lock] = me
			:: else -> lock = NONE
			fi
		});
#endif
#ifndef NO_INODE_CHECK
		if
		:: ok ->
			isCurrent();
			if
			:: !ok -> unlockAndClose()
			:: else
			fi
		:: else
		fi
#endif
	fi
}

/* A folder that was removed takes no new file. What else is done with flock(2) on the folder is not modelled. */
inline tryAcquireMaking() {
	STEP(ok = (path == dir));
	if
	:: ok ->
		STEP(d_step { /* createFile */
#ifdef NO_LOOK_AFTER_MAKING
			assert(path == dir);
#endif
			if
			:: path == dir && lockAt[dir] == NONE -> lastInode++; lockAt[dir] = lastInode
			:: else
			fi
		});
		tryAcquire()
	:: else
	fi
}

/* ---- src/file/lock/dot-lock.ts ---- */

#ifdef NO_REFRESH_BEFORE_RMDIR
#define BEFORE_RMDIR false
#else
#define BEFORE_RMDIR true
#endif

inline mkdirDotLock() {
	STEP(d_step {
		ok = (dotLockAt[dir] == NONE);
		if
		:: ok -> dotLockAt[dir] = OURS; isStale[dir] = false; enter()
		:: else
		fi
	})
}

/* Holds both locks: never two of ours, nor one of ours beside another program. */
inline enter() {
	assert(!isAnyInside);
	assert(!isAnyForeignInside);
	isInside[me] = true
}

inline rmdirDotLock() {
	STEP(d_step { dotLockAt[dir] = NONE; isStale[dir] = false })
}

/* One that has become old gets a new time: from now on nobody takes it for stale. */
inline isMarkedAndFresh(canRefresh) {
	STEP(d_step { isRelying[me] = true; ok = (dotLockAt[dir] == OURS); wasStale = isStale[dir] });
#ifndef NO_REFRESH
	if
	:: ok && wasStale && canRefresh ->
		STEP(isStale[dir] = false); /* utimes: by its name, even if another program has it by now */
		STEP(ok = (dotLockAt[dir] == OURS))
	:: else
	fi
#endif
}

/* One of our mode is a dead process's, as the caller holds flock. */
inline makeOurs() {
	mkdirDotLock();
	if
	:: !ok ->
		AT_ONCE {
#ifdef RMDIR_ANY_LEFTOVER
			ok = true;
#else
#ifdef NO_MARK
			ok = false;
#else
			isMarkedAndFresh(BEFORE_RMDIR);
#endif
#endif
			if
			:: ok -> rmdirDotLock()
			:: else
			fi;
			isRelying[me] = false
		};
		if
		:: ok -> mkdirDotLock()
		:: else
		fi
	:: else
	fi
}

/* acquireLock of proper-lockfile, on functions of ours */
inline tryDotLock() {
#ifdef NO_DOT_LOCK
	d_step { ok = true; enter() }
#else
	makeOurs();
#endif
	if
	:: !ok ->
		AT_ONCE {
			STEP(d_step {
				isRelying[me] = true;
				ok = isStale[dir];
				assert(ok || dotLockAt[dir] != OURS) /* a dead one of ours keeps nobody out for a stale time */
			});
			if
			:: ok -> rmdirDotLock()
			:: else
			fi;
			isRelying[me] = false
		};
		if
		:: ok -> mkdirDotLock() /* makeOurs; only one of us makes locks of our mode */
		:: else
		fi
	:: else
	fi
}

/* unlock of proper-lockfile, which ends in our removeDead. What another program has taken over stays. */
inline releaseDotLock() {
	AT_ONCE {
		isMarkedAndFresh(BEFORE_RMDIR);
		if
		:: ok -> rmdirDotLock()
		:: else
		fi;
		isRelying[me] = false
	}
}

/* ---- time, which matters only to other programs ---- */

#if defined(WITH_FOREIGN) && !defined(NO_STALE_TIME)
/*
 * A lock becomes stale when its holder is dead, or is one of ours that stands still for longer than the stale time,
 * stopped or waiting for the disk: at any step but one that relies on what it just saw. Other programs refresh theirs.
 */
#ifdef FOREIGN_STANDS_STILL
#define isRefreshed false
#else
#define isRefreshed (dotLockAt[path] == FOREIGN && isAnyForeignInside)
#endif
#ifdef STANDS_STILL_AT_LOOK
#define mayStandStill true
#else
#define mayStandStill (!isAnyRelying)
#endif
/* One that stands still again and again may be robbed again and again: waits end only if that ends. */
#ifdef LIVENESS
bool hasStoodStill;
#undef mayStandStill
#define mayStandStill (!isAnyInside || !hasStoodStill)
#define note hasStoodStill = hasStoodStill || isAnyInside
#else
#define note skip
#endif

active proctype Time() {
end:
	do
	:: d_step {
		path != NONE && dotLockAt[path] != NONE && !isStale[path] && !isRefreshed && mayStandStill ->
		note;
		isStale[path] = true
	}
	od
}
#endif
