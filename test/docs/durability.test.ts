import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { LOCK_FILE } from '#src/file/layout.js'
import { filesystems, temporaryFolder } from '../support/root.js'
import { openTestStore } from '../support/store.js'
import { AIMED, noStrace, startPrepared, traceChange } from '../support/strace.js'
import { rowsOf } from './markdown.js'

const document = readFileSync(fileURLToPath(new URL('../../docs/durability.md', import.meta.url)), 'utf8')

test('the program of docs/durability.md finds a fault, plans its repair and makes it', () => {
  const [, program = ''] = /^```ts\n([\s\S]*?)^```$/m.exec(document) ?? []
  const root = temporaryFolder()
  mkdirSync(join(root, 'a'), { mode: 0o700 })
  writeFileSync(join(root, 'a', 'state.json'), '{"state":', { mode: 0o600 })
  const around = [
    "import { openStore } from 'sandbox-state'",
    `const store = await openStore(${JSON.stringify(root)}, { durable: false })`,
    program,
    'console.log(planned.map(({ code, action }) => [code, action]), done.map(({ code, action }) => [code, action]))',
    'await store.close()',
  ]
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module'], {
    cwd: fileURLToPath(new URL('.', import.meta.url)),
    encoding: 'utf8',
    input: around.join('\n'),
  })
  expect(stderr).toBe('')
  const [found, repaired] = stdout.split('\n')
  expect(found).toMatch(/^CORRUPT_STATE \S+state\.json \S+state\.json: not a JSON object: Unexpected end/)
  expect(repaired).toBe("[ [ 'CORRUPT_STATE', 'moved' ] ] [ [ 'CORRUPT_STATE', 'moved' ] ]")
})

test('every test file that docs/durability.md names is there', () => {
  const project = fileURLToPath(new URL('../..', import.meta.url))
  const names = Array.from(document.matchAll(/(?:test\/)?[\w/-]+\.test\.ts/g), ([name]) => name)
  expect(names.length).toBeGreaterThan(30)
  const files = readdirSync(join(project, 'test'), { recursive: true, encoding: 'utf8' })
  const isThere = (name: string) => files.some(file => `/test/${file}`.endsWith(`/${name}`))
  expect(names.filter(name => !isThere(name))).toEqual([])
})

/** The table names these calls only where they matter; `lock` there is the file. */
const UNTOLD: ReadonlySet<string> = new Set(['close', 'statx', LOCK_FILE])

test.skipIf(noStrace !== undefined)(
  'the calls of a change that docs/durability.md names are those that are made, in their order',
  AIMED,
  async () => {
    const [, table = ''] = /^(\| call of a change \|[\s\S]*?)\n\n/m.exec(document) ?? []
    const told = rowsOf(table).flatMap(([calls = '']) =>
      Array.from(calls.matchAll(/`([a-z0-9]+)`/g), ([, name = '']) => name),
    )
    // On a disk: in memory nothing is flushed.
    const root = temporaryFolder(filesystems.at(-1)?.folder)
    const store = await openTestStore(root)
    await store.create('a')
    const calls = await traceChange(
      await startPrepared(root),
      { what: 'transition', id: 'a' },
      temporaryFolder(),
    )
    const made = calls.map(({ name }) => name)
    const isTold = (name: string) => !UNTOLD.has(name)
    expect(told.filter(isTold)).toEqual(made.filter(isTold))
  },
)
