import { spawnSync } from 'node:child_process'
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { HistoryEntry, SandboxStore, StoreOptions } from 'sandbox-state'
import { describe, expect, onTestFinished, test } from 'vitest'
import { all } from '../support/all.js'
import { effort, places } from '../support/effort.js'
import { nextMessage, type Outcome, Racers, startProgram } from '../support/program.js'
import { filesystems, temporaryFolder } from '../support/root.js'
import { openTestStore } from '../support/store.js'

const ROTATE_AT = 64 * 1024

function paths(root: string, id = 'a') {
  const folder = join(root, id)
  return {
    folder,
    state: join(folder, 'state.json'),
    history: join(folder, 'history.jsonl'),
    old: join(folder, 'history.jsonl.1'),
  }
}

async function setUp(options: StoreOptions = {}, on?: string) {
  const root = temporaryFolder(on)
  const open = (more: StoreOptions) => openTestStore(root, { durable: false, ...more })
  return { root, store: await open(options), open, ...paths(root) }
}

function bump(store: SandboxStore, id = 'a') {
  return store.update(id, state => ({ ...state, blockIndex: state.blockIndex + 1 }))
}

/** `create`, `running*` and so on: where each entry leads, with an asterisk for a gap before it. */
async function story(store: SandboxStore, id = 'a'): Promise<string[]> {
  return (await all(store.history(id))).map(({ from, to, gap }) => {
    return `${from === null ? 'create' : to}${gap === true ? '*' : ''}`
  })
}

function seqs(entries: readonly HistoryEntry[]): number[] {
  return entries.map(({ seq }) => seq)
}

describe.each(places)('the history on $name', ({ folder }) => {
  test('records each change: what, when, by whom', async () => {
    const { store, history } = await setUp({ durable: true }, folder)
    const start = new Date().toISOString()
    await store.create('a', { cgroupPath: '/kata/a' })
    await store.transition('a', 'ready', 'running')
    await store.update('a', state => ({ ...state, state: 'stopped', blockIndex: 3, cgroupPath: '' }))
    await expect(store.transition('a', 'ready', 'running')).rejects.toMatchObject({ code: 'STATE_MISMATCH' })
    const entries = await all(store.history('a'))
    const who = { pid: process.pid, host: hostname(), command: expect.stringContaining('node') }
    const when = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    expect(entries).toEqual([
      { seq: 1, time: when, from: null, to: 'ready', ...who },
      { seq: 2, time: when, from: 'ready', to: 'running', ...who },
      { seq: 3, time: when, from: 'running', to: 'stopped', fields: ['blockIndex', 'cgroupPath'], ...who },
    ])
    const times = [start, ...entries.map(({ time }) => time), new Date().toISOString()]
    expect(times).toEqual([...times].sort())
    expect(statSync(history).mode & 0o777).toBe(0o600)
  })

  test('begins anew with a sandbox that is made again', async () => {
    const { store } = await setUp({}, folder)
    await store.create('a')
    await store.transition('a', 'ready', 'stopped')
    await store.delete('a')
    await expect(all(store.history('a'))).rejects.toMatchObject({ code: 'NOT_FOUND', id: 'a' })
    await store.create('a')
    expect(await story(store)).toEqual(['create'])
  })
})

test('the history of no sandbox is NOT_FOUND; that of one without records is empty', async () => {
  const { store, state, folder } = await setUp()
  await expect(all(store.history('a'))).rejects.toMatchObject({ code: 'NOT_FOUND', id: 'a' })
  await expect(all(store.history('../a'))).rejects.toMatchObject({ code: 'INVALID_ID' })
  mkdirSync(folder)
  await expect(all(store.history('a'))).rejects.toMatchObject({ code: 'NOT_FOUND' })
  writeFileSync(state, '{"state":"ready"}')
  expect(await story(store)).toEqual([])
  writeFileSync(state, 'not a state')
  expect(await story(store)).toEqual([])
  await store.close()
  await expect(all(store.history('a'))).rejects.toMatchObject({ code: 'CLOSED' })
})

test('a history outlives a state file that somebody removed', async () => {
  const { store, state } = await setUp()
  await store.create('a')
  rmSync(state)
  expect(await story(store)).toEqual(['create'])
})

describe('what was not recorded', () => {
  test('a line that was never written is a gap before the next one', async () => {
    const { store, history } = await setUp()
    await store.create('a')
    await store.transition('a', 'ready', 'running')
    const before = readFileSync(history)
    await store.transition('a', 'running', 'paused')
    writeFileSync(history, before) // As if the process had been killed after it replaced the state.
    await store.transition('a', 'paused', 'running')
    await store.transition('a', 'running', 'stopped')
    expect(await story(store)).toEqual(['create', 'running', 'running*', 'stopped'])
  })

  test.each([1, 20, 100])(
    'a line that was cut off after %d bytes is a gap before the next one',
    async kept => {
      const { store, history } = await setUp()
      await store.create('a')
      const { size } = statSync(history)
      await store.transition('a', 'ready', 'running')
      truncateSync(history, size + kept)
      expect(await story(store)).toEqual(['create'])
      await store.transition('a', 'running', 'paused')
      await store.transition('a', 'paused', 'stopped')
      expect(await story(store)).toEqual(['create', 'paused*', 'stopped'])
      expect(seqs(await all(store.history('a')))).toEqual([1, 2, 3])
    },
  )

  test('a whole line without its end is a line', async () => {
    const { store, history } = await setUp()
    await store.create('a')
    truncateSync(history, statSync(history).size - 1)
    await store.transition('a', 'ready', 'running')
    expect(await story(store)).toEqual(['create', 'running'])
  })

  test.each([
    ['text', 'hello\n'],
    ['text without an end', 'hello'],
    ['NULs, as some filesystems leave after a power cut', '\0'.repeat(300)],
    ['a line of 5 KB', `${'x'.repeat(5_000)}\n`],
    ['a line of 40 KB', `${'x'.repeat(40_000)}\n`],
    ['JSON of another kind', '{"seq":"2"}\n[]\nnull\n5\n'],
    ['a line whose number cannot be counted on from', '{"seq":9007199254740991,"to":"ready","file":"x"}\n'],
    ['a line with a foreign state', '{"seq":2,"to":"exploded","file":"x"}\n'],
  ])('%s after the last line is a gap, and the numbers go on', async (_, damage) => {
    const { store, history } = await setUp()
    await store.create('a')
    await store.transition('a', 'ready', 'running')
    appendFileSync(history, damage)
    expect(await story(store)).toEqual(['create', 'running'])
    await store.transition('a', 'running', 'paused')
    await store.transition('a', 'paused', 'stopped')
    expect(await story(store)).toEqual(['create', 'running', 'paused*', 'stopped'])
    expect(seqs(await all(store.history('a')))).toEqual([1, 2, 3, 4])
  })

  test('lines that were damaged or removed later are a gap before the next one', async () => {
    const { store, history } = await setUp()
    await store.create('a')
    for (let i = 0; i < 9; i++) await bump(store)
    const lines = readFileSync(history, 'utf8').split('\n')
    writeFileSync(
      history,
      lines
        .map((line, i) => (i === 3 ? line.replace('"pid":', '"pid":-') : line))
        .filter((_, i) => i !== 6)
        .join('\n'),
    )
    const entries = await all(store.history('a'))
    expect(seqs(entries)).toEqual([1, 2, 3, 5, 6, 8, 9, 10])
    expect(seqs(entries.filter(({ gap }) => gap))).toEqual([5, 8])
  })

  test.each<[string, (state: string) => void]>([
    ['in place, as Kata writes', state => writeFileSync(state, '{"state":"paused","blockIndex":7}')],
    [
      'in place, with the state as it was',
      state => {
        // Again until its time differs: the clock by which a kernel before 6.13 dates files ticks every few ms.
        const { mtimeMs } = statSync(state)
        do writeFileSync(state, '{"state":"running","blockIndex":8}')
        while (statSync(state).mtimeMs === mtimeMs)
      },
    ],
    [
      'by replacing the file, as editors do',
      state => {
        rmSync(state)
        writeFileSync(state, '{"state":"paused"}')
      },
    ],
  ])('what another program wrote %s is a gap before our next change', async (_, write) => {
    const { store, state } = await setUp()
    await store.create('a')
    await store.transition('a', 'ready', 'running')
    write(state)
    const { state: now } = await store.read('a')
    expect(await story(store)).toEqual(['create', 'running'])
    await bump(store)
    await bump(store)
    const entries = await all(store.history('a'))
    expect(entries.map(({ gap = false }) => gap)).toEqual([false, false, true, false])
    expect(entries[2]).toMatchObject({ from: now, to: now, fields: ['blockIndex'] })
  })

  test('changes of a store without a history leave a gap before the next one with it', async () => {
    const { store, open } = await setUp()
    const silent = await open({ history: false })
    await store.create('a')
    await silent.transition('a', 'ready', 'running')
    await silent.transition('a', 'running', 'paused')
    expect(await story(store)).toEqual(['create'])
    await store.transition('a', 'paused', 'running')
    await store.transition('a', 'running', 'stopped')
    expect(await story(store)).toEqual(['create', 'running*', 'stopped'])
  })

  test('a sandbox created without a history does not get that of an earlier one', async () => {
    const { store, open, folder, state, history } = await setUp()
    const silent = await open({ history: false })
    await store.create('a')
    rmSync(state) // As if the process had been killed while it deleted the sandbox.
    expect(existsSync(history)).toBe(true)
    await silent.create('a')
    await silent.transition('a', 'ready', 'running')
    expect(await story(store)).toEqual([])
    expect(existsSync(history)).toBe(false)
    await store.transition('a', 'running', 'paused')
    expect(await story(store)).toEqual(['paused*'])
    expect(existsSync(folder)).toBe(true)
  })

  test('a history that cannot be written fails no change and becomes a gap', async () => {
    const { store, history } = await setUp()
    await store.create('a')
    rmSync(history)
    mkdirSync(history)
    expect((await store.transition('a', 'ready', 'running')).state).toBe('running')
    await expect(all(store.history('a'))).rejects.toMatchObject({ code: 'CORRUPT_STATE', path: history })
    rmdirSync(history)
    await store.transition('a', 'running', 'paused')
    await store.transition('a', 'paused', 'stopped')
    expect(await story(store)).toEqual(['paused*', 'stopped'])
  })

  test('a line of which only a part fits on the disk fails no change and becomes a gap', async () => {
    const { store, root, history } = await setUp()
    await store.create('a')
    const program = fileURLToPath(new URL('../programs/limited.mjs', import.meta.url))
    // No file may grow over 1 KiB: in the kernel it is the short write, then the error, of a full disk.
    const limited = spawnSync(
      'bash',
      ['-c', 'ulimit -f 1 && exec "$@"', 'bash', process.execPath, program, root, 'a', '20'],
      { encoding: 'utf8' },
    )
    expect(limited).toMatchObject({ status: 0, stderr: '' })
    expect(statSync(history).size).toBe(1024)
    expect(readFileSync(history, 'utf8').endsWith('\n')).toBe(false)
    const recorded = (await all(store.history('a'))).length
    expect(recorded).toBeLessThan(10)
    expect((await bump(store)).blockIndex).toBe(21)
    await bump(store)
    const entries = await all(store.history('a'))
    expect(seqs(entries)).toEqual(Array.from({ length: recorded + 2 }, (_, i) => i + 1))
    expect(seqs(entries.filter(({ gap }) => gap))).toEqual([recorded + 1])
  })
})

describe('rotation', () => {
  test('keeps the files within 64 KiB each, the numbers going on and the newest entries', async () => {
    const { store, history, old } = await setUp({}, filesystems[0]?.folder)
    await store.create('a')
    let rotations = 0
    let before = 0
    for (let i = 0; i < 900; i++) {
      await bump(store)
      const { size } = statSync(history)
      expect(size).toBeLessThanOrEqual(ROTATE_AT)
      if (size < before) rotations++
      before = size
    }
    expect(rotations).toBeGreaterThanOrEqual(2)
    expect(statSync(old).size).toBeLessThanOrEqual(ROTATE_AT)
    const entries = await all(store.history('a'))
    const first = entries[0]?.seq ?? 0
    expect(first).toBeGreaterThan(1)
    expect(seqs(entries)).toEqual(Array.from({ length: 902 - first }, (_, i) => first + i))
    expect(entries.filter(({ gap }) => gap)).toEqual([])
  })

  test.each<[string, number]>([
    ['before the first line', 0],
    ['within the first line', 30],
  ])('that was cut short %s of the new file loses no number and shows the gap', async (_, kept) => {
    const { store, history, old } = await setUp({}, filesystems[0]?.folder)
    await store.create('a')
    while (!existsSync(old)) await bump(store)
    const { length } = await all(store.history('a'))
    truncateSync(history, kept)
    await bump(store)
    const entries = await all(store.history('a'))
    expect(seqs(entries)).toEqual(Array.from({ length }, (_, i) => i + 1))
    expect(seqs(entries.filter(({ gap }) => gap))).toEqual([length])
  })

  test('of a file that somebody made huge: reading stays bounded, and the next change sets it aside', async () => {
    const { store, history, old } = await setUp()
    await store.create('a')
    const line = readFileSync(history)
    truncateSync(history, 3e9)
    appendFileSync(history, Buffer.concat([Buffer.from('\n'), line]))
    expect(await story(store)).toEqual(['create'])
    await bump(store)
    expect(statSync(old).size).toBeGreaterThan(3e9)
    expect(await story(store)).toEqual(['create', 'ready'])
  })

  test('a reader meanwhile sees a whole history without gaps', { timeout: 60_000 }, async () => {
    const { store, root } = await setUp({}, filesystems[0]?.folder)
    await store.create('a')
    const racers = await Racers.start(2)
    onTestFinished(() => racers.end())
    const work = { root, id: 'a', what: 'increment', count: effort(600, 1500) } as const
    const seen = { last: 0, reads: 0, rotated: 0 }
    let changing = true
    const changed = (async () => {
      const outcomes: Outcome[] = []
      while (seen.reads < 50 || seen.rotated === 0) {
        outcomes.push(...(await racers.race(work)).flat())
      }
      return outcomes
    })().finally(() => {
      changing = false
    })
    while (changing) {
      const entries = await all(store.history('a'))
      const first = entries[0]?.seq ?? 0
      expect(seqs(entries)).toEqual(entries.map((_, i) => first + i))
      expect(entries.filter(({ gap }) => gap)).toEqual([])
      const last = entries.at(-1)?.seq ?? 0
      expect(last).toBeGreaterThanOrEqual(seen.last)
      seen.last = last
      seen.reads++
      if (first > 1) seen.rotated++
      await nextTurn()
    }
    const outcomes = await changed
    expect(outcomes.filter(({ ok }) => !ok)).toEqual([])
    expect((await all(store.history('a'))).at(-1)?.seq).toBe(1 + outcomes.length)
  })
})

test('a rotation while both files are read is noticed', async () => {
  const { store, root } = await setUp({}, filesystems[0]?.folder)
  await store.create('a')
  const rotator = startProgram('rotator', [root, 'a'])
  await nextMessage(rotator)
  let newest = 0
  for (let reads = 0; reads < effort(300, 3_000) || newest <= 500; reads++) {
    const entries = await all(store.history('a'))
    const first = entries[0]?.seq ?? 0
    expect(seqs(entries)).toEqual(entries.map((_, i) => first + i))
    expect(entries.filter(({ gap }) => gap)).toEqual([])
    newest = first
  }
})

describe('hostile content', () => {
  const line = {
    seq: 1,
    time: '2026-01-01T00:00:00.000Z',
    from: null,
    to: 'ready',
    pid: 1,
    host: 'h',
    command: 'c',
    file: 'f',
  }

  test.each<[string, object]>([
    ['no seq', { seq: undefined }],
    ['a fraction', { seq: 1.5 }],
    ['a number too large', { seq: 2 ** 60 }],
    ['another time', { time: 'yesterday' }],
    ['another state', { to: 'exploded' }],
    ['a list for a state', { from: ['ready'] }],
    ['fields that are no list', { fields: 'blockIndex' }],
    ['thousands of fields', { fields: Array(1_000).fill('x') }],
    ['a text for a pid', { pid: '1' }],
    ['a long host', { host: 'h'.repeat(10_000) }],
    ['no command', { command: undefined }],
    ['a gap that is false', { gap: false }],
  ])('a line with %s is no entry', async (_, wrong) => {
    const { store, history } = await setUp()
    await store.create('a')
    const next = { ...line, seq: 2, from: 'ready', to: 'running' }
    writeFileSync(
      history,
      [line, { ...next, ...wrong }, next].map(entry => `${JSON.stringify(entry)}\n`).join(''),
    )
    expect(await story(store)).toEqual(['create', 'running*'])
  })

  test('other keys are not passed on', async () => {
    const { store, history } = await setUp()
    await store.create('a')
    writeFileSync(history, `${JSON.stringify(line).replace('{', '{"__proto__":{"x":1},"y":2,')}\n`)
    const [entry] = await all(store.history('a'))
    const { file: _, ...shown } = line
    expect(entry).toEqual(shown)
    expect(Object.getPrototypeOf(entry)).toBe(Object.prototype)
  })

  test.each(['history.jsonl', 'history.jsonl.1'])('a link at %s is followed neither way', async name => {
    const { store, root, folder } = await setUp()
    await store.create('a')
    const outside = join(root, 'outside')
    writeFileSync(outside, `${JSON.stringify(line)}\n`)
    rmSync(join(folder, name), { force: true })
    symlinkSync('../outside', join(folder, name))
    await expect(all(store.history('a'))).rejects.toMatchObject({ code: 'CORRUPT_STATE', id: 'a' })
    await bump(store)
    expect(readFileSync(outside, 'utf8')).toBe(`${JSON.stringify(line)}\n`)
  })

  test('a FIFO hangs neither a reader nor a change', async () => {
    const { store, history } = await setUp()
    await store.create('a')
    rmSync(history)
    spawnSync('mkfifo', [history])
    await expect(all(store.history('a'))).rejects.toMatchObject({ code: 'CORRUPT_STATE' })
    expect((await bump(store)).blockIndex).toBe(1)
  })

  test('the folder of another, linked here, is not read', async () => {
    const { store, root } = await setUp()
    await store.create('a')
    symlinkSync('a', join(root, 'b'))
    await expect(all(store.history('b'))).rejects.toMatchObject({ code: 'CORRUPT_STATE' })
  })
})
