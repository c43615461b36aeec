import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { type SandboxStore, StateStoreError } from 'sandbox-state'
import { describe, expect, test } from 'vitest'
import { all } from '../support/all.js'
import { effort } from '../support/effort.js'
import { picture } from '../support/picture.js'
import { temporaryFolder } from '../support/root.js'
import { openTestStore } from '../support/store.js'
import { beforeEachCall } from './before-call.js'

// Links that follow into another's folder: `/proc` is what keeps a change where it was checked to be.
const anchored = existsSync('/proc/self/fd')
const memory = existsSync('/dev/shm') ? '/dev/shm' : undefined

const WHOLE = '{"state":"ready","blockIndex":1,"guestMemoryBlockSize":0,"guestMemoryHotplugProbe":false}'

/** What the attacker would have the store write to: a folder with all that a sandbox has, and rights of its own. */
function makeVictim(): string {
  const victim = temporaryFolder(memory)
  for (const name of ['state.json', 'lock', 'history.jsonl', 'precious']) {
    writeFileSync(join(victim, name), name === 'state.json' ? WHOLE : 'precious', { mode: 0o640 })
  }
  mkdirSync(join(victim, 'empty'))
  chmodSync(victim, 0o755)
  return victim
}

const calls: Record<string, (store: SandboxStore) => Promise<unknown>> = {
  read: store => store.read('a'),
  transition: store => store.transition('a', 'ready', 'running'),
  update: store => store.update('a', state => ({ ...state, blockIndex: 7 })),
  delete: store => store.delete('a'),
  create: store => store.create('new'),
  check: store => all(store.check()),
  repair: store => store.repair(),
}

/** What the attacker, who owns the sandbox's folder, does to it. */
const attacks: Record<string, (folder: string, victim: string) => void> = {
  'the folder becomes a link': (folder, victim) => {
    if (existsSync(folder)) renameSync(folder, `${folder}.away`)
    symlinkSync(victim, folder)
  },
  'the folder becomes another one': folder => {
    if (existsSync(folder)) renameSync(folder, `${folder}.away`)
    mkdirSync(folder)
  },
  'state.json becomes a link': (folder, victim) => link(folder, 'state.json', join(victim, 'precious')),
  'lock becomes a link': (folder, victim) => link(folder, 'lock', join(victim, 'precious')),
  'history.jsonl becomes a link': (folder, victim) => link(folder, 'history.jsonl', join(victim, 'precious')),
  'state.json.lock becomes a link': (folder, victim) =>
    link(folder, 'state.json.lock', join(victim, 'empty')),
  'state.json.lock becomes a folder with something in it': folder => {
    if (!existsSync(folder)) return
    rmSync(join(folder, 'state.json.lock'), { recursive: true, force: true })
    mkdirSync(join(folder, 'state.json.lock', 'x'), { recursive: true })
  },
  'the temporary file becomes a link': (folder, victim) => {
    for (const name of temporary(folder)) link(folder, name, join(victim, 'precious'))
  },
  'the temporary file becomes a folder': folder => {
    for (const name of temporary(folder)) {
      rmSync(join(folder, name), { recursive: true })
      mkdirSync(join(folder, name, 'x'), { recursive: true })
    }
  },
  'everything becomes a link': (folder, victim) => {
    for (const name of existsSync(folder) ? readdirSync(folder) : [])
      link(folder, name, join(victim, 'precious'))
  },
}

function temporary(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder).filter(name => name === '.state.json.tmp') : []
}

function link(folder: string, name: string, target: string): void {
  if (!existsSync(folder)) return
  rmSync(join(folder, name), { recursive: true, force: true })
  symlinkSync(target, join(folder, name))
}

describe.skipIf(!anchored || memory === undefined).each(Object.keys(attacks))(
  'between any two system calls, %s',
  attack => {
    test.each(Object.keys(calls))('%s touches nothing elsewhere', { timeout: 120_000 }, async call => {
      const id = call === 'create' ? 'new' : 'a'
      // A check and a repair wait for a change to settle before they believe what they see: so fewer calls are tried there.
      const step = call === 'check' || call === 'repair' ? effort(31, 6) : effort(5, 1)
      for (let n = 1; ; n += step) {
        const root = temporaryFolder(memory)
        const victim = makeVictim()
        const store = await openTestStore(root, { lockTimeout: 20 })
        await store.create('a')
        if (call === 'repair' || call === 'check') {
          writeFileSync(join(root, 'a', 'state.json'), '{"st')
          writeFileSync(join(root, 'a', '.state.json.tmp'), '{"st')
          chmodSync(join(root, 'a', 'lock'), 0o666)
        }
        const before = picture(victim)
        let thrown: unknown
        const count = await beforeEachCall(
          call => call === n && attacks[attack]?.(join(root, id), victim),
          async () => {
            await calls[call]?.(store).catch(error => {
              thrown = error
            })
          },
        )
        expect({ n, victim: picture(victim) }).toEqual({ n, victim: before })
        if (thrown !== undefined && !(thrown instanceof StateStoreError)) throw thrown
        await store.close()
        rmSync(root, { recursive: true })
        rmSync(victim, { recursive: true })
        if (count < n) {
          expect(n).toBeGreaterThan(call === 'read' ? 3 : 10)
          return
        }
      }
    })
  },
)

test('a lock file that is another one at each look ends the wait in time', async () => {
  const root = temporaryFolder(memory)
  const store = await openTestStore(root, { lockTimeout: 100, durable: false })
  await store.create('a')
  let error: unknown
  const replaceLock = (n: number) => {
    if (n > 20_000) throw new Error('it never ends')
    rmSync(join(root, 'a', 'lock'), { force: true })
    writeFileSync(join(root, 'a', 'lock'), '')
  }
  await beforeEachCall(replaceLock, async () => {
    error = await store.transition('a', 'ready', 'running').catch((error: unknown) => error)
  })
  expect(error).toMatchObject({ code: 'LOCK_TIMEOUT' })
})
