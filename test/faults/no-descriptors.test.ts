import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { copyLibrary } from '../support/copy.js'
import { holdFlock } from '../support/flock.js'
import { nextMessage, startProgram } from '../support/program.js'
import { temporaryFolder } from '../support/root.js'
import { openTestStore } from '../support/store.js'

// What a change needs is missing once, and there again for the next one: only one call fails.

const missing = spawnSync('prlimit', ['--nofile']).status === 0 ? undefined : 'prlimit is not installed'
if (missing !== undefined) console.warn(`no process runs out of descriptors: ${missing}`)

describe.skipIf(missing !== undefined)('no descriptors are left', () => {
  /** Starts a program that can open few files. */
  function startLimited(...args: string[]) {
    const limited = { execPath: 'prlimit', execArgv: ['--nofile=256', process.execPath] }
    return nextMessage(startProgram('no-descriptors', args, limited))
  }

  const failed = { name: 'StateStoreError', code: 'IO_ERROR' }

  test('at the first change: it fails with a typed error, the next is made, and the store can be closed', async () => {
    const report = await startLimited(temporaryFolder(), 'create')
    expect(report).toEqual({ without: [failed, failed], withSome: ['ok', 'ok'], closed: 'ok' })
  })

  test.each(['locks', 'check', 'repair'])('at the first %s: the next one goes well', async call => {
    const root = temporaryFolder()
    const store = await openTestStore(root)
    await store.create('a')
    writeFileSync(join(root, 'a', '.state.json.tmp'), '')
    const report = await startLimited(root, call)
    expect(report).toEqual({ without: [failed, failed], withSome: ['ok', 'ok'], closed: 'ok' })
  })

  test('at a change of a locked sandbox: the next one still ends with LOCK_TIMEOUT', async () => {
    const root = temporaryFolder()
    const store = await openTestStore(root)
    for (const id of ['a', 'b']) {
      await store.create(id)
      await holdFlock(join(root, id, 'lock'))
    }
    const timeout = { name: 'StateStoreError', code: 'LOCK_TIMEOUT' }
    const reports = await Promise.all(
      [0, 1, 2, 3, 4, 5].map(left => startLimited(root, 'update', String(left))),
    )
    const expected = expect.objectContaining({ withSome: [timeout, timeout], closed: 'ok' })
    expect(reports).toEqual(reports.map(() => expected))
  })
})

describe.each(['proper-lockfile', 'write-file-atomic'])('%s is away for a moment', name => {
  async function run(when: 'before' | 'after') {
    const { index, packages } = copyLibrary()
    const root = temporaryFolder()
    return nextMessage(startProgram('late-package', [index, join(packages, name), root, when]))
  }

  test('once the library is imported: changes are made when it is there again', async () => {
    expect(await run('after')).toMatchObject({ imported: 'ok', next: 'ok', closed: 'ok' })
  })

  test('while the library is imported: that fails clearly, or changes are made when it is there again', async () => {
    const outcome = (await run('before')) as { imported: string }
    if (outcome.imported === 'ok') expect(outcome).toMatchObject({ next: 'ok', closed: 'ok' })
    else expect(outcome).toEqual({ imported: expect.stringMatching(/MODULE_NOT_FOUND$/) })
  })
})
