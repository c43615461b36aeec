import { once } from 'node:events'
import { chownSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { effort } from '../support/effort.js'
import { nextMessage, noOrdinaryUser, ORDINARY_USER, startProgram } from '../support/program.js'
import { filesystems, temporaryFolder } from '../support/root.js'
import { noStrace } from '../support/strace.js'

// Root makes a file in a user's root, and is killed before it has given it to that user, who must not be locked out.

const unable = ORDINARY_USER === undefined ? 'only root can give files away' : (noOrdinaryUser ?? noStrace)
if (unable !== undefined) console.warn(`no file is left half made: ${unable}`)

const { uid, gid } = ORDINARY_USER ?? { uid: 0, gid: 0 }
const GIVING = ['chown', 'fchown', 'fchownat', 'lchown', 'chmod', 'fchmod', 'fchmodat']

const [{ folder } = { folder: tmpdir() }] = filesystems

const STATE = '{"state":"ready","blockIndex":0,"guestMemoryBlockSize":0,"guestMemoryHotplugProbe":false}'

/** A user's root, with one sandbox that holds nothing but its state, as another program leaves it. */
function newRoot(state: string): string {
  const root = temporaryFolder(folder)
  mkdirSync(join(root, 'a'), 0o700)
  writeFileSync(join(root, 'a', 'state.json'), state, { mode: 0o600 })
  for (const path of [root, join(root, 'a'), join(root, 'a', 'state.json')]) chownSync(path, uid, gid)
  return root
}

/** Has root make a call, and kills it before the nth system call of a name. Gives the names of those that it made. */
async function callAsRoot(
  root: string,
  call: string,
  kill?: { name: string; nth: number },
): Promise<string[]> {
  const log = join(temporaryFolder(), 'trace')
  const inject = kill && ['-e', `inject=${kill.name}:signal=SIGKILL:when=${kill.nth}`]
  const execArgv = ['-f', '-o', log, '-e', `trace=${GIVING}`, ...(inject ?? []), process.execPath]
  const child = startProgram('calls', [root, 'a', call], { execPath: 'strace', execArgv })
  await once(child, 'close')
  return readFileSync(log, 'latin1')
    .split('\n')
    .flatMap(line => /^\d+\s+(\w+)\(/.exec(line)?.[1] ?? [])
}

/** What is left after a kill before each of the calls by which a file is given away, each in a new root. */
async function* killedAtEach(state: string, call: string): AsyncGenerator<[string, string]> {
  const counts = new Map<string, number>()
  for (const [i, name] of (await callAsRoot(newRoot(state), call)).entries()) {
    const nth = (counts.get(name) ?? 0) + 1
    counts.set(name, nth)
    if (i % effort(3, 1) !== 0) continue
    const root = newRoot(state)
    await callAsRoot(root, call, { name, nth })
    const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).sort()
    yield [root, `killed at ${name} ${nth}, with ${files}`]
  }
}

async function callAsUser(root: string, ...calls: string[]): Promise<unknown> {
  return nextMessage(startProgram('calls', [root, 'a', ...calls], ORDINARY_USER))
}

describe.skipIf(unable !== undefined)('a file that root left half made', () => {
  test("in a user's sandbox: the user can change and repair it", async () => {
    for await (const [root, where] of killedAtEach(STATE, 'update')) {
      const [updated, , , left] = (await callAsUser(root, 'update', 'repair', 'update', 'check')) as unknown[]
      expect.soft(updated, where).toEqual(expect.any(Number))
      expect.soft(left, where).toEqual([])
    }
  })

  test("an old dot-lock in a user's sandbox: the user, who cannot refresh it, removes it", async () => {
    const root = newRoot(STATE)
    const dotLock = join(root, 'a', 'state.json.lock')
    mkdirSync(dotLock, 0o500)
    utimesSync(dotLock, 0, 0)
    expect(await callAsUser(root, 'update', 'check')).toEqual([expect.any(Number), []])
  })

  test('in the quarantine: the user can repair further', async () => {
    for await (const [root, where] of killedAtEach('{"sta', 'repair')) {
      const [, left, created] = (await callAsUser(root, 'repair', 'check', 'create')) as unknown[]
      const ofSandbox = (left as string[]).filter(message => message.startsWith(join(root, 'a')))
      expect.soft(ofSandbox, where).toEqual([])
      expect.soft(created, where).toBe('ready')
    }
  })
})
