import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { installedProgram, spawnCli } from '../cli/support.js'
import { all } from '../support/all.js'
import { nextMessage, startProgram } from '../support/program.js'
import { temporaryFolder } from '../support/root.js'
import { openTestStore } from '../support/store.js'
import { fencedBlock } from './markdown.js'

const project = fileURLToPath(new URL('../..', import.meta.url))
const unit = fencedBlock(readFileSync(join(project, 'docs/ownership.md'), 'utf8'), '<!-- unit -->')
const SUPERVISOR = join(project, 'examples', 'supervisor.mjs')
const ROOT = '/var/lib/sandboxes'

/** A setting of the unit, which has each once. */
function setting(name: string): string {
  return new RegExp(`^${name}=(.*)$`, 'm').exec(unit)?.[1] ?? `there is no ${name}`
}

/** The words of a command of the unit after its programs, on another root. */
function argumentsOf(name: string, programs: string, root: string): string[] {
  const command = setting(name)
  expect(command.startsWith(`${programs} `), command).toBe(true)
  return command
    .slice(programs.length + 1)
    .replace(ROOT, root)
    .split(' ')
}

test('the unit reaps the orphans, and then starts the supervisor on the same root', async () => {
  const root = temporaryFolder()
  const store = await openTestStore(root)
  for (const id of ['orphan', 'unowned']) await store.create(id)
  const owner = startProgram('owner', [root])
  await nextMessage(owner)
  for (const what of ['own', 'running']) {
    owner.send([what, 'orphan'])
    await nextMessage(owner)
  }
  await store.transition('unowned', 'ready', 'running')
  owner.kill('SIGKILL')
  await once(owner, 'exit')

  const reaped = await spawnCli(argumentsOf('ExecStartPre', '/usr/local/bin/sandbox-state', root))
  expect(reaped).toMatchObject({ status: 0, stderr: '' })
  const states = (await all(store.list())).map(entry => 'state' in entry && entry.state.state)
  expect(states).toEqual(['stopped', 'running'])

  const argv = argumentsOf('ExecStart', '/usr/bin/node /opt/supervisor/supervisor.mjs', root)
  const supervisor = spawn(process.execPath, [SUPERVISOR, ...argv], { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void supervisor.kill('SIGKILL'))
  for await (const line of createInterface(supervisor.stdout)) {
    if (line === 'all sandboxes run') supervisor.kill('SIGTERM')
  }
  expect((await all(store.list())).map(({ id }) => id)).toEqual(['orphan', 'unowned'])
})

test('the folders that the unit names are one', () => {
  expect(`/var/lib/${setting('StateDirectory')}`).toBe(ROOT)
  expect(setting('Environment')).toBe(`SANDBOX_STATE_ROOT=${ROOT}`)
})

const hasSystemd = spawnSync('systemd-analyze', ['--version']).status === 0
if (!hasSystemd) console.warn('the unit is not verified: there is no systemd-analyze')

test.skipIf(!hasSystemd)('systemd understands the unit', () => {
  const file = join(temporaryFolder(), 'supervisor.service')
  // It looks whether the programs are there.
  const here = unit
    .replace('/usr/local/bin/sandbox-state', installedProgram())
    .replace('/usr/bin/node', process.execPath)
  writeFileSync(file, here)
  const { status, stderr } = spawnSync('systemd-analyze', ['verify', file], { encoding: 'utf8' })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
})
