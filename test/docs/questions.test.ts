import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { BIN, programEnvironment } from '../cli/support.js'
import { all } from '../support/all.js'
import { nextMessage, startProgram } from '../support/program.js'
import { temporaryFolder } from '../support/root.js'
import { openTestStore } from '../support/store.js'
import { until } from '../support/wait.js'
import { fencedBlock } from './markdown.js'

const text = readFileSync(new URL('../../docs/questions.md', import.meta.url), 'utf8')

const isGnuTar = spawnSync('tar', ['--version'], { encoding: 'utf8' }).stdout?.includes('GNU') === true

/** Runs a command of the document, with values for its names in capitals. */
function run(
  name: string,
  names: Readonly<Record<string, string>>,
): { status: number | null; stdout: string } {
  const line = fencedBlock(text, `<!-- ${name} -->`).replaceAll(/\b[A-Z]{2,}\b/g, word => names[word] ?? word)
  const { status, stdout } = spawnSync('sh', ['-c', line], { encoding: 'utf8', env: programEnvironment() })
  return { status, stdout }
}

test('a unit for systemd prunes what stopped a week ago', async () => {
  const root = temporaryFolder()
  const store = await openTestStore(root)
  for (const id of ['old', 'fresh', 'ready']) await store.create(id)
  for (const id of ['old', 'fresh']) await store.transition(id, 'ready', 'stopped')
  const lastWeek = Date.now() / 1000 - 8 * 86_400
  for (const id of ['old', 'ready']) utimesSync(join(root, id, 'state.json'), lastWeek, lastWeek)
  const unit = fencedBlock(text, '<!-- service -->')
  const [, program, args = ''] = /^ExecStart=(\S+) (.*)$/m.exec(unit) ?? []
  expect(program).toBe('/usr/local/bin/sandbox-state')
  const words = args.replace('/run/sandboxes', root).split(' ')
  const stdout = execFileSync(process.execPath, [BIN, ...words], { encoding: 'utf8' })
  expect(stdout).toBe('old\n')
  expect((await all(store.list())).map(({ id }) => id)).toEqual(['fresh', 'ready'])
})

test('a state may be edited under its lock', async () => {
  const root = temporaryFolder()
  const store = await openTestStore(root)
  await store.create('a')
  expect(run('edit', { ROOT: root, ID: 'a' }).status).toBe(0)
  expect(await store.read('a')).toMatchObject({ state: 'ready', blockIndex: 7 })
  await store.transition('a', 'ready', 'running')
  expect((await all(store.history('a'))).map(({ gap }) => gap)).toEqual([undefined, true])
})

test.skipIf(!isGnuTar)('a root may be copied while it is in use', async () => {
  const [root, backups] = [temporaryFolder(), temporaryFolder()]
  const store = await openTestStore(root)
  await store.create('a')
  await store.create('b')
  const programs = [0, 1].map(() => startProgram('load', [root, 'a', 'b']))
  await Promise.all(programs.map(nextMessage))
  const reports = Promise.all(programs.map(nextMessage))
  for (const program of programs) program.send('go')
  await until('there are changes', async () => (await store.read('a')).blockIndex > 0)
  const copies = Array.from({ length: 8 }, (_, i) => join(backups, `${i}.tar`))
  for (const copy of copies) {
    const { status } = run('backup', { ROOT: root, BACKUP: copy.slice(0, -'.tar'.length) })
    expect([0, 1]).toContain(status)
  }
  for (const program of programs) program.send('stop')
  await reports

  const restored = join(backups, 'restored')
  for (const [i, copy] of copies.entries()) {
    const target = `${restored}-${i}`
    mkdirSync(target, { mode: 0o700 })
    execFileSync('tar', ['-C', target, '-xpf', copy])
    const again = await openTestStore(target)
    expect((await all(again.list())).filter(entry => 'error' in entry)).toEqual([])
    for (const id of ['a', 'b']) {
      const { blockIndex } = await again.update(id, state => ({ ...state, blockIndex: state.blockIndex + 1 }))
      expect(blockIndex).toBeGreaterThan(0)
    }
    expect((await again.repair()).filter(({ action }) => action !== 'removed')).toEqual([])
    expect(await all(again.check())).toEqual([])
  }
})

test.skipIf(!isGnuTar)('a copy is restored, and found whole', async () => {
  const [root, backups] = [temporaryFolder(), temporaryFolder()]
  await (await openTestStore(root)).create('a', { blockIndex: 5 })
  const names = { ROOT: root, BACKUP: join(backups, 'copy'), NEWROOT: join(backups, 'new') }
  expect(run('backup', names)).toEqual({ status: 0, stdout: '' })
  expect(run('restore', names)).toEqual({ status: 0, stdout: '' })
  const again = await openTestStore(names.NEWROOT)
  expect(await again.read('a')).toMatchObject({ blockIndex: 5 })
})
