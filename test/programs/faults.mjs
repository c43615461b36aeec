// Switches the faults of faults.c on and off, which must be preloaded.
import { constants } from 'node:os'
import koffi from 'koffi'

const library = koffi.load(null)
const plan = library.func(
  'void faults_plan(const char *root, int at, int fault, int secondAt, int secondFault)',
)

/** What becomes of a call: an error by its name, or `KILL` or `SHORT`, as faults.c numbers them. */
const number = fault => ({ KILL: -1, SHORT: -2 })[fault] ?? constants.errno[fault]

/** Plans up to two faults of the calls that come: each is the number of a call, from 1, and what becomes of it. */
export function planFaults(root, [at, fault] = [0], [secondAt, secondFault] = [0]) {
  plan(root, at, fault ? number(fault) : 0, secondAt, secondFault ? number(secondFault) : 0)
}

/** From now on calls fail at random: `rate` of a million. */
export const faultsAtRandom = library.func('void faults_at_random(const char *root, uint seed, int rate)')

/** Returns how many calls were disturbed since faults were switched on. */
export const faultsOff = library.func('int faults_off()')

const trace = library.func('const char *faults_trace()')

/** The calls since faults were planned, each with its name, its file's path below the root, and `in a thread` if so. */
export const tracedCalls = () => trace().split('\n').slice(0, -1)

const fork = library.func('int faults_fork()')
const exit = library.func('void faults_exit(int status)')

/** @param status an exit status, or the number of the signal that ended the process */
export function wasKilled(status) {
  if (status !== 0 && status !== constants.signals.SIGKILL)
    throw new Error(`a child ended with status ${status}`)
  return status !== 0
}

/** Calls a function in a forked child, and waits for its end. @returns whether it was killed */
export async function inChild(call) {
  const status = fork()
  if (status === -1) throw new Error('fork(2) or waitpid(2) failed')
  if (status > 0) return wasKilled(status - 1)
  // With --single-threaded the child needs no other thread; it must not come back to the event loop of its parent.
  await call().catch(() => {})
  exit(0)
}
