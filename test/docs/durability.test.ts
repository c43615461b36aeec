import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../support/root.js'

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
  expect(found).toMatch(/^CORRUPT_STATE \S+state\.json \S+state\.json: not a JSON object: it ends too early/)
  expect(repaired).toBe("[ [ 'CORRUPT_STATE', 'moved' ] ] [ [ 'CORRUPT_STATE', 'moved' ] ]")
})
