import { spawnSync } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { type FindingCode, openStore, type RepairAction, type SandboxStore } from 'sandbox-state'
import { onTestFinished } from 'vitest'
import { temporaryFolder } from './root.js'

/** One fault of the sandbox `bad`, which was healthy, with a history of two lines. */
interface Fault {
  readonly make: (folder: string) => void
  readonly code: FindingCode
  /** What is at fault, from the root. */
  readonly path: string
  readonly action: RepairAction
  /** What `read` gives once it was repaired: a state, or an error's code. */
  readonly after: string
  /** Who alone can make it, or meets it. */
  readonly only?: 'root' | 'others'
}

const STATE = 'bad/state.json'
const WHOLE = '{"state":"running","blockIndex":3,"guestMemoryBlockSize":128,"guestMemoryHotplugProbe":true}'

const writes = (content: string | Uint8Array) => (folder: string) =>
  writeFileSync(join(folder, 'state.json'), content)

const replaced = (name: string, by: (path: string) => void) => (folder: string) => {
  rmSync(join(folder, name), { recursive: true, force: true })
  by(join(folder, name))
}

const fifo = (path: string) => void spawnSync('mkfifo', [path])

/** Bound by a process that was killed before it could remove it. */
function socket(path: string): void {
  const bind = "require('node:net').createServer().listen('s', () => process.kill(process.pid, 'SIGKILL'))"
  spawnSync(process.execPath, ['-e', bind], { cwd: join(path, '..') })
  renameSync(join(path, '..', 's'), path)
}

const damaged = (code: FindingCode, make: (folder: string) => void): Fault => ({
  make,
  code,
  path: STATE,
  action: 'moved',
  after: 'NOT_FOUND',
})

const at = (
  name: string,
  code: FindingCode,
  action: RepairAction,
  make: (folder: string) => void,
  after = 'running',
): Fault => ({ make, code, path: name === '' ? 'bad' : `bad/${name}`, action, after })

const inPlaceOf = (name: string, code: FindingCode, make: (path: string) => void): Fault =>
  at(name, code, 'moved', replaced(name, make))

const linkToGood = (path: string) => symlinkSync('../good/state.json', path)

export const faults: Readonly<Record<string, Fault>> = {
  'a state that is cut off': damaged('CORRUPT_STATE', writes(WHOLE.slice(0, 40))),
  'a state followed by another': damaged('CORRUPT_STATE', writes(WHOLE + WHOLE)),
  'a state that is no text': damaged('CORRUPT_STATE', writes(Buffer.from([0xff, 0xfe, 0, 0x80]))),
  'a state of deep JSON': damaged('CORRUPT_STATE', writes(`{"state":"ready","x":${'['.repeat(500_000)}`)),
  'an empty state': damaged('EMPTY_STATE', writes('')),
  'a state of NULs': damaged('NUL_STATE', writes(Buffer.alloc(4096))),
  'an unknown state': damaged('INVALID_STATE', writes('{"state":"\\u001b[31mexploded"}')),
  'a null': damaged('INVALID_STATE', writes('null')),
  'a field of another type': damaged('INVALID_STATE', writes('{"state":"ready","blockIndex":"1"}')),
  'a huge state': damaged('OVERSIZE', folder => truncateSync(join(folder, 'state.json'), 2 ** 40)),
  'a state that is a link to a good one': damaged('SYMLINK', replaced('state.json', linkToGood)),
  'a state that is a link to nothing': damaged(
    'SYMLINK',
    replaced('state.json', path => symlinkSync('nothing', path)),
  ),
  'a state that is a FIFO': damaged('NOT_A_FILE', replaced('state.json', fifo)),
  'a state that is a socket': damaged('NOT_A_FILE', replaced('state.json', socket)),
  'a state that is a folder': damaged('NOT_A_FILE', replaced('state.json', mkdirSync)),
  'a lock that is a link': inPlaceOf('lock', 'SYMLINK', linkToGood),
  'a lock that is a FIFO': inPlaceOf('lock', 'NOT_A_FILE', fifo),
  'a lock that is a folder': inPlaceOf('lock', 'NOT_A_FILE', mkdirSync),
  'a history that is a link': inPlaceOf('history.jsonl', 'SYMLINK', linkToGood),
  'a history that is a folder': inPlaceOf('history.jsonl', 'NOT_A_FILE', mkdirSync),
  'a history that is cut off': at('history.jsonl', 'DAMAGED_HISTORY', 'moved', folder =>
    appendFileSync(join(folder, 'history.jsonl'), '{"seq":3,"ti'),
  ),
  'a history with NULs in it': at('history.jsonl', 'DAMAGED_HISTORY', 'moved', folder =>
    appendFileSync(join(folder, 'history.jsonl'), Buffer.alloc(100)),
  ),
  'a history with a line that says nothing of its process': at(
    'history.jsonl',
    'DAMAGED_HISTORY',
    'moved',
    folder =>
      appendFileSync(
        join(folder, 'history.jsonl'),
        '{"seq":3,"time":"2026-01-01T00:00:00.000Z","from":"running","to":"paused"}\n',
      ),
  ),
  'a huge history': at('history.jsonl', 'OVERSIZE', 'moved', folder =>
    truncateSync(join(folder, 'history.jsonl'), 2 ** 40),
  ),
  'an old history that is damaged': at('history.jsonl.1', 'DAMAGED_HISTORY', 'moved', folder =>
    writeFileSync(join(folder, 'history.jsonl.1'), 'x\n', { mode: 0o600 }),
  ),
  'a history with another name elsewhere': at('history.jsonl', 'HARD_LINK', 'left', folder =>
    linkSync(join(folder, 'history.jsonl'), join(folder, 'other')),
  ),
  'a lock with another name elsewhere': at('lock', 'HARD_LINK', 'left', folder =>
    linkSync(join(folder, 'lock'), join(folder, 'other')),
  ),
  'a leftover temporary file': at('.state.json.tmp', 'LEFTOVER', 'removed', folder =>
    writeFileSync(join(folder, '.state.json.tmp'), WHOLE.slice(0, 10)),
  ),
  'a temporary file that is a link': at('.state.json.tmp', 'LEFTOVER', 'removed', folder =>
    symlinkSync('../good/state.json', join(folder, '.state.json.tmp')),
  ),
  'a folder with the name of a temporary file': at('.state.json.tmp', 'NOT_A_FILE', 'moved', folder =>
    mkdirSync(join(folder, '.state.json.tmp')),
  ),
  'a lock of ours whose holder is dead': at('state.json.lock', 'DEAD_LOCK', 'removed', folder =>
    mkdirSync(join(folder, 'state.json.lock'), 0o500),
  ),
  'a lock of a stranger that is stale': at('state.json.lock', 'DEAD_LOCK', 'removed', folder => {
    mkdirSync(join(folder, 'state.json.lock'), 0o755)
    age(join(folder, 'state.json.lock'), 11_000)
  }),
  'a lock of a stranger from the future': at('state.json.lock', 'FUTURE_LOCK', 'left', folder => {
    mkdirSync(join(folder, 'state.json.lock'), 0o755)
    age(join(folder, 'state.json.lock'), -3_600_000)
  }),
  'a dead lock with something in it': at('state.json.lock', 'NOT_A_FOLDER', 'moved', folder => {
    mkdirSync(join(folder, 'state.json.lock', 'x'), { recursive: true })
    age(join(folder, 'state.json.lock'), 11_000)
  }),
  'a file in the place of the lock folder': at('state.json.lock', 'NOT_A_FOLDER', 'moved', folder =>
    writeFileSync(join(folder, 'state.json.lock'), ''),
  ),
  'a link in the place of the lock folder': at('state.json.lock', 'SYMLINK', 'moved', folder =>
    symlinkSync('../good', join(folder, 'state.json.lock')),
  ),
  'a folder that others can read': at('', 'WRONG_MODE', 'chmod', folder => chmodSync(folder, 0o755)),
  'a folder that others can write': at('', 'WRONG_MODE', 'chmod', folder => chmodSync(folder, 0o770)),
  'a state that a group can write': at('state.json', 'WRONG_MODE', 'chmod', folder => {
    chmodSync(folder, 0o750)
    chmodSync(join(folder, 'state.json'), 0o664)
  }),
  'a lock that a group can open to write': at('lock', 'WRONG_MODE', 'chmod', folder => {
    chmodSync(folder, 0o750)
    chmodSync(join(folder, 'lock'), 0o666)
  }),
  'a lock that its owner cannot open': at('lock', 'WRONG_MODE', 'chmod', folder =>
    chmodSync(join(folder, 'lock'), 0),
  ),
  'a folder in which its owner cannot make anything': at('', 'WRONG_MODE', 'chmod', folder =>
    chmodSync(folder, 0o500),
  ),
  'a history that its owner cannot write': at('history.jsonl', 'WRONG_MODE', 'chmod', folder =>
    chmodSync(join(folder, 'history.jsonl'), 0o400),
  ),
  'a set-user-ID state': at('state.json', 'WRONG_MODE', 'chmod', folder =>
    chmodSync(join(folder, 'state.json'), 0o4700),
  ),
  "another user's state": {
    ...at('state.json', 'WRONG_OWNER', 'left', folder => chownSync(join(folder, 'state.json'), 4711, 4711)),
    only: 'root',
  },
  "another user's folder": {
    ...at('', 'WRONG_OWNER', 'left', folder => chownSync(folder, 4711, 4711)),
    only: 'root',
  },
  'a state that may not be read': {
    ...at('state.json', 'UNREADABLE', 'left', folder => chmodSync(join(folder, 'state.json'), 0), 'IO_ERROR'),
    only: 'others',
  },
  'a folder of more entries than are looked at': at('', 'OVERSIZE', 'left', folder => {
    for (let i = 0; i < 10_001; i++) linkSync(join(folder, 'state.json'), join(folder, `x${i}`))
  }),
  'a folder without anything': at('', 'UNFINISHED_CREATE', 'removed', empty, 'NOT_FOUND'),
  'a folder with a lock only': at(
    '',
    'UNFINISHED_CREATE',
    'removed',
    folder => {
      empty(folder)
      writeFileSync(join(folder, 'lock'), '', { mode: 0o600 })
    },
    'NOT_FOUND',
  ),
  'a folder with all that a killed create leaves': at(
    '',
    'UNFINISHED_CREATE',
    'removed',
    folder => {
      empty(folder)
      writeFileSync(join(folder, 'lock'), '', { mode: 0o600 })
      writeFileSync(join(folder, '.state.json.tmp'), '{"st')
      mkdirSync(join(folder, 'state.json.lock'), 0o500)
    },
    'NOT_FOUND',
  ),
  'a deletion that left the history': at(
    '',
    'UNFINISHED_CREATE',
    'removed',
    folder => unlinkSync(join(folder, 'state.json')),
    'NOT_FOUND',
  ),
  'a folder with a copy of a state only': at(
    '',
    'UNFINISHED_CREATE',
    'left',
    folder => renameSync(join(folder, 'state.json'), join(folder, 'state.json.20260101')),
    'NOT_FOUND',
  ),
  "a folder with another program's files only": at(
    '',
    'UNFINISHED_CREATE',
    'left',
    folder => {
      empty(folder)
      writeFileSync(join(folder, 'agent.json'), '{}')
    },
    'NOT_FOUND',
  ),
  'a folder with persist.json only': at(
    'persist.json',
    'FOREIGN_SCHEMA',
    'left',
    folder => {
      empty(folder)
      writeFileSync(join(folder, 'persist.json'), '{}')
    },
    'NOT_FOUND',
  ),
  "a state of Kata's Rust runtime": at(
    'state.json',
    'FOREIGN_SCHEMA',
    'left',
    writes('{"sandbox_type":"virtcontainer","resource":null}'),
    'NOT_FOUND',
  ),
  'a persist.json beside a state': at('persist.json', 'MIXED_SCHEMA', 'left', folder =>
    writeFileSync(join(folder, 'persist.json'), '{}'),
  ),
  'a sandbox that is a link to a good one': at(
    '',
    'SYMLINK',
    'moved',
    replaced('', path => symlinkSync('good', path)),
    'NOT_FOUND',
  ),
  'a sandbox that is a link to another folder': at(
    '',
    'SYMLINK',
    'moved',
    replaced('', path => symlinkSync('../elsewhere', path)),
    'NOT_FOUND',
  ),
  'a sandbox that is a file': at(
    '',
    'NOT_A_FOLDER',
    'left',
    replaced('', path => writeFileSync(path, WHOLE)),
    'CORRUPT_STATE',
  ),
  'a name that is no id': {
    ...at('', 'INVALID_ID', 'left', folder => mkdirSync(join(folder, '..', '.bad\u001b[31m'))),
    path: '.bad\u001b[31m',
  },
  'a file that is no id': {
    ...at('', 'INVALID_ID', 'left', folder => writeFileSync(join(folder, '..', 'a b'), '')),
    path: 'a b',
  },
}

function empty(folder: string): void {
  rmSync(folder, { recursive: true })
  mkdirSync(folder, 0o700)
}

/** Else its owner could not remove it, unless that is root. */
function letIn(path: string): void {
  try {
    chmodSync(path, 0o700)
  } catch {
    // It is not there any more.
  }
}

export function age(path: string, ms: number): void {
  const time = new Date(Date.now() - ms)
  utimesSync(path, time, time)
}

/** Whether this user can have a fault. */
export function canHave({ only }: Fault): boolean {
  return only === undefined || (only === 'root') === (process.geteuid?.() === 0)
}

/** A store with a sandbox `good` and a sandbox `bad`, both running, whose folder is to be damaged. */
export async function storeToDamage(
  options: { lockTimeout?: number; durable?: boolean; on?: string } = {},
): Promise<{ root: string; store: SandboxStore; folder: string }> {
  const { lockTimeout = 200, durable = false, on } = options
  const root = temporaryFolder(on)
  onTestFinished(() => letIn(join(root, 'bad')))
  const store = await openStore(root, { lockTimeout, durable })
  onTestFinished(() => store.close())
  for (const id of ['bad', 'good']) {
    await store.create(id)
    await store.transition(id, 'ready', 'running')
  }
  return { root, store, folder: join(root, 'bad') }
}
