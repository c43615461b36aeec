// What a contender does with the sandboxes that are owned.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, fstatSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import koffi from 'koffi'
import { TRANSITIONS } from 'sandbox-state'
import { self } from './witness.mjs'

const BIN = fileURLToPath(new URL('../../dist/cli/bin.js', import.meta.url))
/** Errors that say how the sandbox was, not that something went wrong. */
const EXPECTED = ['OWNED', 'NOT_FOUND', 'ALREADY_EXISTS', 'INVALID_TRANSITION', 'STATE_MISMATCH']

const pipe2 = koffi.load(null).func('int pipe2(_Out_ int *fds, int flags)')
const O_CLOEXEC = 0o2000000

const oneOf = list => list[Math.floor(Math.random() * list.length)]

function pipe() {
  const fds = [0, 0]
  if (pipe2(fds, O_CLOEXEC) !== 0) throw new Error('no pipe was made')
  return fds
}

export function owning({ root, store, witness, note }) {
  /** Those that are owned until the end of the process. */
  const kept = []
  let lives = 0

  function isStillIts(owner, id) {
    const found = statSync(join(root, id, 'owner'), { throwIfNoEntry: false })
    return found?.ino === fstatSync(owner.fd).ino
  }

  async function entriesAfter(id, seq) {
    const entries = []
    for await (const entry of store.history(id)) if (entry.seq > seq) entries.push(entry)
    return entries
  }

  async function ownForAWhile(id) {
    if (Math.random() < 0.5) await reap() // Else it takes an orphan over.
    const owner = await store.own(id, { wait: Math.random() < 0.2, signal: AbortSignal.timeout(500) })
    let life
    let isKept = false
    try {
      const { labels } = await store.read(id)
      // Unless it was deleted, this is the label of the sandbox that is owned: no two lives of an id share one.
      if (!isStillIts(owner, id)) return
      life = labels.life
      await work(owner, life)
      isKept = Math.random() < 0.05
    } finally {
      if (isKept) kept.push({ owner, life })
      else await release({ owner, life })
    }
  }

  async function work(owner, life) {
    const { id } = owner
    const others = witness.enter(life)
    if (others.length > 0) note({ violation: `${id} is owned by ${others} and by ${self}` })
    note({ did: 'owned' })
    const last = (await entriesAfter(id, 0)).at(-1)?.seq ?? 0
    await store.update(id, state => ({ ...state, state: 'running' }))
    if (Math.random() < 0.4) {
      const child = spawn('sleep', ['0.3'], { stdio: ['ignore', 'ignore', 'ignore', owner.fd] })
      child.unref()
      witness.share(life, child.pid)
      note({ did: 'handed over' })
    }
    await sleep(Math.random() * 60)
    const since = await entriesAfter(id, last)
    if (since.some(({ reason = '' }) => reason.startsWith('owner died')) && isStillIts(owner, id)) {
      note({ violation: `${id} was reaped while ${self} owned it` })
    }
  }

  async function release({ owner, life }) {
    if (life !== undefined && !witness.leave(life)) {
      note({ violation: `somebody else owned ${owner.id} while ${self} did` })
    }
    await owner.release()
  }

  async function reap() {
    for await (const _ of store.reap()) note({ did: 'reaped' })
  }

  async function createAnew(id) {
    if (Math.random() < 0.7) return
    await store.delete(id, { force: true })
    note({ did: 'deleted' })
  }

  async function move(id) {
    const { state } = await store.read(id)
    await store.transition(id, state, oneOf(TRANSITIONS[state]))
  }

  const calls = [ownForAWhile, ownForAWhile, ownForAWhile, reap, move, createAnew]

  async function vm(id) {
    try {
      await oneOf(calls)(id)
    } catch (error) {
      if (error.code === 'NOT_FOUND') {
        const labels = { life: `${self}-${Date.now()}-${lives++}` }
        await store.create(id, { labels }).catch(() => {})
      } else if (error.name !== 'TimeoutError' && !EXPECTED.includes(error.code)) {
        note({ violation: `${id}: ${error.stack}` })
      }
    }
  }

  /** Runs a command, kills the wrapper half of the time, and looks who owns the sandbox while the command lives. */
  async function run(id) {
    const words = [BIN, '--root', root, 'run', id, '--create', '--', 'sh', '-c', 'echo started; read line']
    // The command ends when the other end is closed. Node would close a pipe of its own at the end of the wrapper.
    const [stdin, end] = pipe()
    const wrapper = spawn(process.execPath, words, { stdio: [stdin, 'pipe', 'pipe'] })
    closeSync(stdin)
    const closed = once(wrapper, 'close')
    let errors = ''
    wrapper.stderr.on('data', text => {
      errors += text
    })
    const started = await Promise.race([once(wrapper.stdout, 'data'), closed.then(() => undefined)])
    if (started === undefined) {
      if (!/^sandbox-state: (OWNED|INVALID_TRANSITION|ALREADY_EXISTS|LOCK_TIMEOUT)/.test(errors)) {
        note({ violation: `run ${id} ended before its command: ${errors}` })
      }
      closeSync(end)
      return reap()
    }
    const isKilled = Math.random() < 0.5
    if (isKilled) {
      const ended = once(wrapper, 'exit')
      wrapper.kill('SIGKILL')
      await ended
    }
    const { state, owner } = await store.inspect(id)
    if (state.state !== 'running' || owner?.state !== 'owned') {
      note({ violation: `${id} runs a command, but it is ${state.state}, ${owner?.state ?? 'unowned'}` })
    }
    closeSync(end)
    await closed
    note({ did: isKilled ? 'killed run' : 'ran' })
  }

  const releaseAll = async () => {
    for (const each of kept) await release(each)
  }

  return { vm, run, releaseAll }
}
