import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { ERROR_CODES, encodeState, STATES } from 'sandbox-state'
import { describe, expect, test } from 'vitest'
import * as z from 'zod'
import { FIELDS } from '#src/state/fields.js'
import { linesOf, Root, spawnCli, startCli } from './cli/support.js'
import { holdFlock } from './support/flock.js'

const project = fileURLToPath(new URL('..', import.meta.url))

/** A JSON Schema, as far as the tests look into it. */
interface Schema {
  readonly [keyword: string]: unknown
  readonly properties?: Readonly<Record<string, Schema>>
}

function load(name: string): Schema {
  return JSON.parse(readFileSync(join(project, 'schemas', `${name}.json`), 'utf8'))
}

const NAMES = readdirSync(join(project, 'schemas')).flatMap(file => file.match(/^(.*)\.json$/)?.[1] ?? [])

/** A schema that allows no unknown key except in a state: the shipped ones let later versions add keys. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed)
  if (typeof schema !== 'object' || schema === null) return schema
  const members = Object.entries(schema).map(([key, value]) => [key, closed(value)])
  const isOpen = !('properties' in schema) || 'blockIndex' in Object(schema.properties)
  return { ...Object.fromEntries(members), ...(!isOpen && { additionalProperties: false }) }
}

function validator(name: string): (value: unknown) => boolean {
  const schema = z.fromJSONSchema(closed(load(name)) as Parameters<typeof z.fromJSONSchema>[0])
  return value => schema.safeParse(value).success
}

/** What was printed on stdout, or else on stderr, as JSON. */
async function printed(root: Root, line: string): Promise<unknown> {
  const { stdout, stderr } = await root.cli(`${line} --format json`)
  return JSON.parse(stdout || stderr)
}

/** The line that a watch prints after each step. */
async function watched(root: Root, steps: readonly (() => Promise<unknown>)[]): Promise<unknown[]> {
  const next = linesOf(startCli(['--root', root.path, 'watch', '--json']).stdout)
  const events: unknown[] = []
  for (const step of steps) {
    await step()
    events.push(JSON.parse(await next()))
  }
  return events
}

/** Real output of every kind, by the name of its schema. */
async function outputs(): Promise<Record<string, unknown[]>> {
  const root = new Root()
  const made = await printed(
    root,
    'create a --label team=x --data {"ports":[1]} --reason why --cgroup-path /x',
  )
  const updated = await printed(root, 'update a --block-index -1')
  root.put('later', '{"state":"ready","later":[1],"labels":{"a":"b"}}')
  const moved = await printed(root, 'transition later running') // A gap comes before it.
  const watch = await watched(root, [
    async () => {},
    async () => {},
    () => root.done('update a --block-index 2'),
    () => root.done('create b'),
    async () => root.put('b', '{'),
    () => root.done('delete b --force'),
  ])
  root.put('bad', '{"state":"dead"}')
  await spawnCli(['--root', root.path, 'run', 'orphan', '--create', '--', 'sh', '-c', 'kill -9 $PPID $$'])
  const lines = ['a', 'later'].flatMap(id =>
    readFileSync(join(root.path, id, 'history.jsonl'), 'utf8')
      .trimEnd()
      .split('\n'),
  )
  const target = new Root()
  const copy = (...more: string[]) =>
    target.cli(['copy', root.path, target.path, '--json', ...more]).then(({ stdout }) => JSON.parse(stdout))
  const plans = [await copy('--dry-run')]
  const copies = [await copy()]
  await target.done('update a --block-index 7')
  plans.push(await copy('--dry-run'))
  await root.done('transition later stopped')
  const held = await holdFlock(join(root.path, 'a', 'lock'))
  const result = {
    state: [made, updated, moved, root.file('a'), root.file('later'), await printed(root, 'state a')],
    'history-line': lines.map(line => JSON.parse(line)),
    list: [await printed(root, 'list'), await printed(root, 'list --state paused')],
    inspect: [
      await printed(root, 'inspect a'),
      await printed(root, 'inspect later'),
      await printed(root, 'inspect orphan'),
    ],
    orphans: [await printed(root, 'orphans')],
    reap: [await printed(root, 'reap --dry-run')],
    history: [await printed(root, 'history a'), await printed(root, 'history later')],
    locks: [await printed(root, 'locks')],
    watch,
    prune: [await printed(root, 'prune --older-than 0s --dry-run')],
    copy: copies,
    'copy-plan': plans,
    error: [
      await printed(root, 'state nobody'),
      await printed(root, 'state bad'),
      await printed(root, 'transition later ready'),
      await printed(root, 'transition later paused --from running'),
      await printed(root, 'update a --block-index 1 --lock-timeout 0'),
      await printed(root, 'wait later running --timeout 0'),
      await printed(root, 'create -a'),
      await printed(root, 'delete'),
    ],
  }
  await held.release()
  writeFileSync(join(root.path, 'a', 'state.json.5'), '')
  truncateSync(join(root.path, 'later', 'state.json'), 0)
  const check = [await printed(root, 'check')]
  const repair = [await printed(root, 'repair --dry-run'), await printed(root, 'repair')]
  return { ...result, check, repair }
}

/** Invalid values: a valid one with something else in one place. */
function* spoilt(value: unknown): Generator<unknown> {
  yield typeof value === 'object' ? 'x' : { x: 1 }
  if (typeof value !== 'object' || value === null) return
  for (const [key, member] of Object.entries(value)) {
    if (key === 'data' || key === 'later') continue // Anything may be there.
    for (const other of spoilt(member)) {
      yield Array.isArray(value) ? value.with(Number(key), other) : { ...value, [key]: other }
    }
  }
}

test('the schemas are as they are made (npm run schemas makes them anew)', () => {
  execFileSync(process.execPath, [join(project, 'schemas', 'make.mjs'), '--check'], { stdio: 'pipe' })
})

describe('what is printed, and kept', () => {
  test('is as the schemas say', { timeout: 60_000 }, async () => {
    const printed = await outputs()
    expect(Object.keys(printed).sort()).toEqual([...NAMES].sort())
    for (const [name, values] of Object.entries(printed)) {
      const isValid = validator(name)
      for (const value of values) {
        expect([name, value, isValid(value)]).toEqual([name, value, true])
        for (const other of spoilt(value)) expect([name, other, isValid(other)]).toEqual([name, other, false])
      }
    }
    // What is there only sometimes was there.
    const text = JSON.stringify(printed)
    for (const part of [
      '"gap":true',
      '"fields":[',
      '"reason":"why"',
      '"error":{',
      '"to":"/',
      '"lock":"flock"',
      '"state":"orphaned"',
      '"reason":"owner died: ',
    ])
      expect(text).toContain(part)
    const types = printed.watch?.map(event => Reflect.get(Object(event), 'type'))
    expect(new Set(types)).toEqual(new Set(['created', 'changed', 'error', 'deleted']))
  })

  test('a state has the fields that a file may have', () => {
    const { $defs } = load('state') as { $defs: { state: Schema } }
    const inFile = FIELDS.filter(({ written }) => written !== 'never').map(({ name }) => name)
    expect(Object.keys($defs.state.properties ?? {})).toEqual(inFile)
    const always = FIELDS.filter(({ written }) => written === 'always').map(({ name }) => name)
    expect($defs.state.required).toEqual(always)
  })

  test("an error has one of the library's codes, or of the command's own", () => {
    const source = readFileSync(join(project, 'src', 'cli', 'errors.ts'), 'utf8')
    const own = Array.from(source.matchAll(/code: '(\w+)'/g), ([, code = '']) => code)
    const { enum: codes } = load('error').properties?.code ?? {}
    expect(new Set(codes as string[])).toEqual(new Set([...ERROR_CODES, ...own]))
  })

  test('any state that can be written is as the schema says', () => {
    const isValid = validator('state')
    const label = fc.tuple(fc.stringMatching(/^[a-zA-Z0-9][a-zA-Z0-9_./-]{0,62}$/), fc.string())
    const state = fc.record({
      state: fc.constantFrom(...STATES),
      blockIndex: fc.maxSafeInteger(),
      guestMemoryBlockSize: fc.nat(0xffff_ffff),
      guestMemoryHotplugProbe: fc.boolean(),
      cgroupPath: fc.string(),
      persistVersion: fc.nat(),
      labels: fc.array(label, { maxLength: 9 }).map(labels => Object.fromEntries(labels)),
      data: fc.jsonValue(),
    })
    fc.assert(fc.property(state, value => isValid(JSON.parse(encodeState(value)))))
  })
})
