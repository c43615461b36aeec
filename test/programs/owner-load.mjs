// Owns, hands over, changes, reaps, deletes and makes a few sandboxes until it is killed: owner-load.mjs ROOT WITNESSES
// Two owners at once would meet: each puts a file with its name into a folder of the test, under a label that no two lives
// of a sandbox share, and takes it away before it releases the sandbox. It sends what it did, and what must not be.
import { spawn } from 'node:child_process'
import { fstatSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { openStore } from 'sandbox-state'

const [root, witnesses] = process.argv.slice(2)
const IDS = ['a', 'b', 'c', 'd']
const store = await openStore(root, { lockTimeout: 30_000, durable: false })
const pick = list => list[Math.floor(Math.random() * list.length)]
const tell = (what, about) => process.send({ what, about })
let count = 0

/** The process and when it started; undefined when it has ended. */
function nameOf(pid) {
  try {
    const [state, ...fields] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ')
    return state === 'Z' || state === 'X' ? undefined : `${pid}:${fields[18]}`
  } catch {
    return undefined
  }
}

const read = file => {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}

const isGone = names => names.split(' ').every(name => nameOf(Number(name.split(':')[0])) !== name)

/** Notes who owns it; whoever owned it before must have ended. One that is just ending may be seen for a moment. */
async function enter(file, id) {
  const before = read(file)
  if (before !== undefined) {
    const deadline = performance.now() + 3_000
    while (!isGone(before) && read(file) === before && performance.now() < deadline) await sleep(1)
    if (!isGone(before)) tell('violation', `${id} has two owners: ${before} and ${process.pid}`)
  }
  note(file, process.pid)
}

function note(file, ...pids) {
  const temporary = join(witnesses, `tmp-${process.pid}-${count++}`)
  writeFileSync(temporary, pids.map(nameOf).filter(Boolean).join(' '))
  renameSync(temporary, file)
}

async function lastOf(id) {
  const history = []
  for await (const entry of store.history(id)) history.push(entry)
  return history
}

function isStillIts(owner, id) {
  return statSync(join(root, id, 'owner'), { throwIfNoEntry: false })?.ino === fstatSync(owner.fd).ino
}

async function ownForAWhile(id) {
  const owner = await store.own(id, { wait: Math.random() < 0.2, signal: AbortSignal.timeout(500) })
  const { labels } = await store.read(id)
  if (!isStillIts(owner, id)) return owner.release() // It was deleted.
  const file = join(witnesses, labels.life)
  await enter(file, id)
  const { length: from } = await lastOf(id)
  tell('owned')
  await store.update(id, state => ({ ...state, state: 'running' }))
  if (Math.random() < 0.4) {
    const child = spawn('sleep', ['0.3'], { stdio: ['ignore', 'ignore', 'ignore', owner.fd] })
    child.unref()
    note(file, process.pid, child.pid)
    tell('handed over')
  }
  await sleep(Math.random() * 60)
  const since = (await lastOf(id)).slice(from)
  if (isStillIts(owner, id) && since.some(({ reason = '' }) => reason.startsWith('owner died'))) {
    tell('violation', `${id} was reaped while ${process.pid} owned it`)
  }
  if (Math.random() < 0.1) return // Owned until the end.
  rmSync(file, { force: true })
  await owner.release()
}

const calls = [
  ...[ownForAWhile, ownForAWhile, ownForAWhile],
  async () => {
    for await (const _ of store.reap()) tell('reaped')
  },
  id => store.update(id, state => ({ ...state, blockIndex: state.blockIndex + 1 })),
  async id => {
    if (Math.random() < 0.7) return
    await store.delete(id, { force: true })
    tell('deleted')
  },
]

const EXPECTED = ['OWNED', 'NOT_FOUND', 'ALREADY_EXISTS', 'INVALID_TRANSITION']
process.send('ready')
for (;;) {
  const id = pick(IDS)
  try {
    await pick(calls)(id)
  } catch (error) {
    if (error.code === 'NOT_FOUND') {
      const life = `${process.pid}-${Date.now()}-${count++}`
      await store.create(id, { labels: { life } }).catch(() => {})
    } else if (error.name !== 'TimeoutError' && !EXPECTED.includes(error.code)) {
      tell('violation', `${id}: ${error.stack}`)
    }
  }
  await sleep(Math.random() * 4)
}
