// Makes calls of the C library fail, in a program that preloads this library (LD_PRELOAD): Node's calls, and those
// that are made through koffi. Only calls on files below one root count, and only while faults are switched on: see
// faults.mjs.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/** In place of an errno: what becomes of a call instead. */
enum { NOTHING = 0, KILL = -1, SHORT = -2 };

enum { MOST_PLANNED = 2, TRACE_SIZE = 1 << 16 };

/** Shared with forked children, so that the parent can see what one did before it was killed. */
static struct {
  char root[PATH_MAX];
  atomic_int is_on;
  /** How many calls there were since faults were switched on. */
  atomic_int calls;
  atomic_int hits;
  /** Planned faults: each at the call of that number, counted from 1. */
  int at[MOST_PLANNED], fault[MOST_PLANNED];
  /** Random faults: how many calls of a million fail. */
  int rate;
  atomic_uint random;
  /** While faults are planned, a line for each call: its name, the file's, and whether another thread than the first makes it. */
  char trace[TRACE_SIZE];
  int trace_size;
} *shared;

__attribute__((constructor)) static void begin(void) {
  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) abort();
}

/** @param faults for each, the number of a call and what becomes of it; 0 0 for none */
void faults_plan(const char *root, int at, int fault, int second_at, int second_fault) {
  snprintf(shared->root, sizeof shared->root, "%s", root);
  shared->at[0] = at, shared->fault[0] = fault;
  shared->at[1] = second_at, shared->fault[1] = second_fault;
  shared->rate = shared->calls = shared->hits = shared->trace_size = 0;
  shared->is_on = 1;
}

void faults_at_random(const char *root, unsigned seed, int rate) {
  faults_plan(root, 0, NOTHING, 0, NOTHING);
  shared->random = seed;
  shared->rate = rate;
}

/** @returns how many calls failed */
int faults_off(void) {
  shared->is_on = 0;
  return shared->hits;
}

const char *faults_trace(void) {
  shared->trace[shared->trace_size] = 0;
  return shared->trace;
}

/** Returns 0 in a child, and in its parent, once the child has ended, the status that waitpid(2) gives, plus 1. */
int faults_fork(void) {
  int status;
  pid_t child = fork();
  if (child == 0) return alarm(20), 0; // One that hangs is no success.
  return child > 0 && waitpid(child, &status, 0) == child ? status + 1 : -1;
}

/** V8 keeps its memory from forked children, which it does not expect to run JavaScript. */
int madvise(void *address, size_t size, int advice) {
  return advice == MADV_DONTFORK ? 0 : (int)syscall(SYS_madvise, address, size, advice);
}

/** A path of `/proc/self` leads a child to its own descriptors; with the number of a process, to its parent's. */
ssize_t readlink(const char *path, char *target, size_t size) {
  if (strcmp(path, "/proc/self") == 0) return memcpy(target, "self", 4), 4;
  return syscall(SYS_readlinkat, AT_FDCWD, path, target, size);
}

void faults_exit(int status) { _exit(status); }

static int random_below(int limit) {
  unsigned x = atomic_fetch_add(&shared->random, 0x9e3779b9u);
  x = (x ^ (x >> 16)) * 0x85ebca6bu;
  x = (x ^ (x >> 13)) * 0xc2b2ae35u;
  return (x ^ (x >> 16)) % (unsigned)limit;
}

/** What a bad, full or read-only disk, missing rights, or a lack of memory, descriptors or locks give. */
static const int ERRORS[] = {EIO, ENOSPC, EDQUOT, EROFS, EACCES, ENOMEM, EMFILE, ENFILE, ENOLCK};
enum { ERROR_COUNT = sizeof ERRORS / sizeof *ERRORS };

/** The path of a file by a descriptor and a name, as the kernel would resolve it, apart from links. */
static int is_below_root(int fd, const char *name, char *path) {
  char link[64];
  int is_absolute = name != NULL && name[0] == '/';
  ssize_t size = 0;
  const char *rest;
  int number;
  if (is_absolute && sscanf(name, "/proc/%*[^/]/fd/%d", &number) == 1) {
    rest = strchr(name + strlen("/proc/"), '/') + strlen("/fd/");
    name = strchr(rest, '/') == NULL ? NULL : strchr(rest, '/') + 1;
    fd = number;
    is_absolute = 0;
  }
  if (!is_absolute) {
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    size = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
    if (size < 0) return 0;
  }
  const char *slash = is_absolute || name == NULL || *name == 0 ? "" : "/";
  snprintf(path + size, PATH_MAX - size, "%s%s", slash, name == NULL ? "" : name);
  return strncmp(path, shared->root, strlen(shared->root)) == 0;
}

enum kind { PLAIN, TRANSFERS };

/** Decides what becomes of a call on a file: an errno, NOTHING or SHORT; or ends the process. Leaves errno alone. */
static int fault(const char *call, enum kind kind, int fd, const char *name) {
  char path[PATH_MAX];
  int result = NOTHING, before = errno;
  if (shared != NULL && shared->is_on && is_below_root(fd, name, path)) {
    int number = ++shared->calls;
    if (shared->rate > 0) {
      if (random_below(1000000) < shared->rate) {
        int which = random_below(ERROR_COUNT + (kind == TRANSFERS ? ERROR_COUNT : 0));
        result = which < ERROR_COUNT ? ERRORS[which] : SHORT;
      }
    } else {
      for (int i = 0; i < MOST_PLANNED; i++) {
        if (shared->at[i] == number) result = shared->fault[i];
      }
      int left = TRACE_SIZE - shared->trace_size;
      const char *file = path + strlen(shared->root);
      const char *where = gettid() == getpid() ? "" : " in a thread";
      int size = snprintf(shared->trace + shared->trace_size, left, "%s %s%s\n", call, file, where);
      if (size < left) shared->trace_size += size;
    }
    if (result != NOTHING) shared->hits++;
    if (result == KILL) kill(getpid(), SIGKILL);
  }
  errno = before;
  return result;
}

#define REAL(name) ((__typeof__(&name))real(#name))
static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

/** A function that fails, or is called. */
#define CALL(type, name, fd, path, parameters, ...) \
  type name parameters { \
    int error = fault(#name, PLAIN, fd, path); \
    if (error > 0) return errno = error, -1; \
    return REAL(name)(__VA_ARGS__); \
  }

/** A read or write that fails, is made for the half of the bytes, or for all. */
#define TRANSFER(name, parameters, ...) \
  ssize_t name parameters { \
    int error = fault(#name, TRANSFERS, fd, NULL); \
    if (error > 0) return errno = error, -1; \
    if (error == SHORT && size > 1) size /= 2; \
    return REAL(name)(__VA_ARGS__); \
  }

#define WITH_MODE(name, fd, parameters, ...) \
  int name parameters { \
    va_list rest; \
    va_start(rest, flags); \
    mode_t mode = va_arg(rest, mode_t); \
    va_end(rest); \
    int error = fault(#name, PLAIN, fd, path); \
    if (error > 0) return errno = error, -1; \
    return REAL(name)(__VA_ARGS__, mode); \
  }

WITH_MODE(open, AT_FDCWD, (const char *path, int flags, ...), path, flags)
WITH_MODE(open64, AT_FDCWD, (const char *path, int flags, ...), path, flags)
WITH_MODE(openat, fd, (int fd, const char *path, int flags, ...), fd, path, flags)
TRANSFER(read, (int fd, void *bytes, size_t size), fd, bytes, size)
TRANSFER(write, (int fd, const void *bytes, size_t size), fd, bytes, size)
TRANSFER(pread, (int fd, void *bytes, size_t size, off_t at), fd, bytes, size, at)
TRANSFER(pread64, (int fd, void *bytes, size_t size, off64_t at), fd, bytes, size, at)
TRANSFER(pwrite, (int fd, const void *bytes, size_t size, off_t at), fd, bytes, size, at)
TRANSFER(pwrite64, (int fd, const void *bytes, size_t size, off64_t at), fd, bytes, size, at)
CALL(int, fsync, fd, NULL, (int fd), fd)
CALL(int, fchmod, fd, NULL, (int fd, mode_t mode), fd, mode)
CALL(int, fchown, fd, NULL, (int fd, uid_t user, gid_t group), fd, user, group)
CALL(int, flock, fd, NULL, (int fd, int operation), fd, operation)
CALL(int, futimens, fd, NULL, (int fd, const struct timespec times[2]), fd, times)
CALL(int, fstatfs, fd, NULL, (int fd, struct statfs *result), fd, result)
CALL(int, chmod, AT_FDCWD, path, (const char *path, mode_t mode), path, mode)
CALL(int, mkdir, AT_FDCWD, path, (const char *path, mode_t mode), path, mode)
CALL(int, rmdir, AT_FDCWD, path, (const char *path), path)
CALL(int, unlink, AT_FDCWD, path, (const char *path), path)
CALL(int, mkdirat, fd, path, (int fd, const char *path, mode_t mode), fd, path, mode)
CALL(int, unlinkat, fd, path, (int fd, const char *path, int flags), fd, path, flags)
CALL(ssize_t, readlinkat, fd, path,
     (int fd, const char *path, char *target, size_t size), fd, path, target, size)
CALL(int, renameat, fd, path,
     (int fd, const char *path, int toFd, const char *to), fd, path, toFd, to)
CALL(int, linkat, toFd, to,
     (int fd, const char *path, int toFd, const char *to, int flags), fd, path, toFd, to, flags)
CALL(int, utimensat, fd, path,
     (int fd, const char *path, const struct timespec times[2], int flags), fd, path, times, flags)
CALL(int, statx, fd, path,
     (int fd, const char *path, int flags, unsigned mask, struct statx *result),
     fd, path, flags, mask, result)
CALL(int, scandir64, AT_FDCWD, path,
     (const char *path, struct dirent64 ***names, int (*choose)(const struct dirent64 *),
      int (*compare)(const struct dirent64 **, const struct dirent64 **)),
     path, names, choose, compare)

/** Node's statx(2). */
long syscall(long number, ...) {
  long given[6];
  va_list rest;
  va_start(rest, number);
  for (int i = 0; i < 6; i++) given[i] = va_arg(rest, long);
  va_end(rest);
  int error = number == SYS_statx ? fault("statx", PLAIN, (int)given[0], (const char *)given[1]) : NOTHING;
  if (error > 0) return errno = error, -1;
  return REAL(syscall)(number, given[0], given[1], given[2], given[3], given[4], given[5]);
}
