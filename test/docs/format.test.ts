import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { decodeState, encodeState, type StateStoreError } from 'sandbox-state'
import { describe, expect, onTestFinished, test } from 'vitest'
import * as layout from '#src/file/layout.js'
import { all } from '../support/all.js'
import { temporaryFolder } from '../support/root.js'
import { openTestStore } from '../support/store.js'
import { fencedBlock, rowsOf, section } from './markdown.js'

const document = readFileSync(fileURLToPath(new URL('../../docs/format.md', import.meta.url)), 'utf8')

function example(file: string): string {
  return fencedBlock(document, `<!-- file: ${file} -->`)
}

/** The fields that a section's table names. */
function fieldsOf(heading: string): string[] {
  return fieldsIn(section(document, heading))
}

/** Those in the first cells. */
function fieldsIn(markdown: string): string[] {
  return rowsOf(markdown).flatMap(([names = '']) =>
    Array.from(names.matchAll(/`(\w+)`/g), ([, name = '']) => name),
  )
}

function keysOf(json: string): string[] {
  return Object.keys(JSON.parse(json))
}

async function storeIn(root: string) {
  return openTestStore(root, { durable: false })
}

/** A sandbox as the examples tell of it. */
async function realSandbox() {
  const root = temporaryFolder()
  const store = await storeIn(root)
  const folder = join(root, 'web-1')
  const read = (name: string) => readFileSync(join(folder, name), 'utf8')
  const own = { labels: { team: 'web', app: 'shop' }, data: { image: 'alpine:3.20', ports: [8080] } }
  await store.create('web-1', { guestMemoryBlockSize: 128, cgroupPath: '/kata/web-1', ...own })
  await store.transition('web-1', 'ready', 'running')
  const file = join(folder, 'state.json')
  utimesSync(file, 0, 0) // As if written by another program: what comes then has a gap before it.
  await store.update('web-1', state => ({ ...state, blockIndex: 1 }), { reason: 'disk attached' })
  return { root, store, folder, file, read }
}

describe('docs/format.md', () => {
  test('names every file and mode', () => {
    const { STATE_FILE, LOCK_FILE, HISTORY_FILE, OLD_HISTORY_FILE, TEMPORARY_FILE } = layout
    const { DOT_LOCK, PERSIST_FILE, QUARANTINE } = layout
    const tree = fencedBlock(document, '')
    for (const name of [STATE_FILE, LOCK_FILE, HISTORY_FILE, OLD_HISTORY_FILE, TEMPORARY_FILE])
      expect(tree).toMatch(new RegExp(`^ {4}${name} +0${layout.FILE_MODE.toString(8)} `, 'm'))
    expect(tree).toMatch(new RegExp(`^ {4}${DOT_LOCK}/ +0500 `, 'm'))
    expect(tree).toMatch(new RegExp(`^ {2}${QUARANTINE}/ +0${layout.FOLDER_MODE.toString(8)} `, 'm'))
    expect(tree).toMatch(new RegExp(`^ {4}${PERSIST_FILE} +not ours`, 'm'))
    const known = Object.values(layout).filter(value => typeof value === 'string')
    expect(known.filter(name => !tree.includes(name))).toEqual([])
  })

  test('shows a state.json byte for byte', async () => {
    const { read, file } = await realSandbox()
    const shown = example('state.json').trimEnd()
    expect(shown).toBe(read('state.json'))
    expect(encodeState(decodeState(shown))).toBe(shown)
    expect(statSync(file).mode & 0o777).toBe(0o600)
    const [table = ''] = section(document, 'state.json').split('**Written**')
    expect(fieldsIn(table)).toEqual(keysOf(shown))
  })

  const decodings = rowsOf(section(document, 'state.json').split('<!-- decodings -->')[1] ?? '')
  test('has decodings', () => expect(decodings.length).toBeGreaterThan(10))
  test.each(decodings.map(([text = '', gives = '']) => [text.slice(1, -1), gives.slice(1, -1)]))(
    'decodes %s',
    (text, gives) => {
      let given: string
      try {
        given = encodeState(decodeState(text))
      } catch (error) {
        given = (error as StateStoreError).code
      }
      expect(given).toBe(gives)
    },
  )

  test('shows the record in lock', async () => {
    const { store, read } = await realSandbox()
    const record = read('lock')
    expect(record).toHaveLength(512)
    expect(record).toMatch(/^\{"held":false,.*\} *\n$/)
    expect(keysOf(example('lock'))).toEqual(keysOf(record))
    expect(fieldsOf('lock')).toEqual(keysOf(record))
    let held = ''
    await store.update('web-1', state => {
      held = read('lock')
      return state
    })
    expect(held.startsWith('{"held":true ,')).toBe(true)
    expect(`{"held":false,${held.slice(14, held.indexOf('"since"'))}`).toBe(
      record.slice(0, record.indexOf('"since"')),
    )
  })

  test('gives the mode of state.json.lock', async () => {
    const { store, folder } = await realSandbox()
    let mode = 0
    await store.update('web-1', state => {
      mode = statSync(join(folder, 'state.json.lock')).mode & 0o777
      return state
    })
    expect(mode).toBe(0o500)
  })

  test('shows lines of a history', async () => {
    const { store, read } = await realSandbox()
    const shown = example('history.jsonl').trimEnd().split('\n')
    const real = read('history.jsonl').trimEnd().split('\n')
    const told = (line: string) => {
      const { seq, from, to, fields, reason, gap } = JSON.parse(line)
      return { seq, from, to, fields, reason, gap, keys: keysOf(line) }
    }
    expect(shown.map(told)).toEqual(real.map(told))
    expect(fieldsOf('history.jsonl')).toEqual(keysOf(shown[2] ?? ''))
    for (const line of [...shown, ...real]) expect(JSON.parse(line).file).toMatch(/^\d+-\d+(\.\d+)?$/)
    expect(await all(store.history('web-1'))).toEqual(
      real.map(line => {
        const { file, ...entry } = JSON.parse(line)
        return entry
      }),
    )
  })

  test('shows lines that the store reads', async () => {
    const root = temporaryFolder()
    const store = await storeIn(root)
    mkdirSync(join(root, 'web-1'))
    writeFileSync(join(root, 'web-1', 'state.json'), example('state.json').trimEnd())
    writeFileSync(join(root, 'web-1', 'history.jsonl'), example('history.jsonl'))
    expect((await all(store.history('web-1'))).map(({ seq, to }) => [seq, to])).toEqual([
      [1, 'ready'],
      [2, 'running'],
      [3, 'running'],
    ])
  })

  test('shows a note of the quarantine', async () => {
    const { root, store, file } = await realSandbox()
    writeFileSync(file, '{"state":')
    await store.repair()
    const [entry = ''] = readdirSync(join(root, '.quarantine'))
    expect(entry).toMatch(/^\d{8}T\d{6}\.\d{3}Z-web-1-1$/)
    const real = JSON.parse(readFileSync(join(root, '.quarantine', entry, 'note.json'), 'utf8'))
    const shown = JSON.parse(example('note.json'))
    expect(fieldsOf('.quarantine')).toEqual(Object.keys(real))
    expect(Object.keys(shown)).toEqual(Object.keys(real))
    expect(Object.keys(shown.by)).toEqual(Object.keys(real.by))
    const plain = (text: string) => text.replaceAll(root, '/run/sandboxes')
    expect({ ...shown, time: '', by: {} }).toEqual({
      ...JSON.parse(plain(JSON.stringify(real))),
      time: '',
      by: {},
    })
  })

  const python = spawnSync('python3', ['--version']).status === 0
  test.skipIf(!python)(
    `shows a program that takes turns with the store${python ? '' : ' (skipped: there is no python3)'}`,
    async () => {
      const { root, store, folder } = await realSandbox()
      const program = spawn('python3', ['-', root, 'web-1', '300'], { stdio: ['pipe', 'ignore', 'pipe'] })
      onTestFinished(() => void program.kill('SIGKILL'))
      const ended = once(program, 'close')
      const complaints = text(program.stderr)
      program.stdin.end(example('change.py'))
      let updates = 0
      const update = async () => {
        await store.update('web-1', state => ({ ...state, blockIndex: state.blockIndex + 1 }))
        updates++
      }
      while (program.exitCode === null && program.signalCode === null) {
        await update()
        await setTimeout(1)
      }
      expect([await complaints, await ended]).toEqual(['', [0, null]])
      await update() // Its line says that there is a gap.
      expect(await store.read('web-1')).toMatchObject({
        blockIndex: 1 + 300 + updates,
        cgroupPath: '/kata/web-1',
      })
      expect((await all(store.history('web-1'))).filter(({ gap }) => gap).length).toBeGreaterThan(1)
      expect(readdirSync(folder).sort()).toEqual(['history.jsonl', 'lock', 'state.json'])
      expect(await all(store.check())).toEqual([])
    },
  )
})
