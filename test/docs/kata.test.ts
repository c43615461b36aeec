import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, mkdirSync, readFileSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { programEnvironment, Root } from '../cli/support.js'
import { long } from '../support/effort.js'
import { temporaryFolder } from '../support/root.js'
import { comparable, runSessions, sessionsIn } from './console.js'
import { fencedBlock } from './markdown.js'

const project = fileURLToPath(new URL('../..', import.meta.url))
const document = readFileSync(join(project, 'docs/kata.md'), 'utf8')

/** The root of the page: files as Kata wrote them, one of them emptied. */
function kataRoot(): string {
  const root = join(temporaryFolder(), 'sbs')
  const sandboxes = { '7a41': '1.10.8/running', '9be4': '1.10.8/ready', c3d0: '1.11.5/running' }
  for (const [id, folder] of Object.entries({ ...sandboxes, e815: '1.10.8-then-1.11.5/upgraded' })) {
    cpSync(join(project, 'fixtures/kata', folder), join(root, id), { recursive: true })
  }
  spawnSync('chmod', ['-R', 'u=rwX,g=rX,o=', root])
  truncateSync(join(root, '9be4/state.json'))
  return root
}

const missing = ['flock', 'jq', 'xargs'].filter(tool => spawnSync(tool, ['--version']).error !== undefined)
if (missing.length > 0) console.warn(`not all of docs/kata.md is run: there is no ${missing.join(', ')}`)

test.skipIf(missing.includes('flock'))('the sessions go as the page shows', () => {
  const root = kataRoot()
  const sessions = sessionsIn(document)
  expect(sessions).toHaveLength(3)
  const ran = runSessions(sessions, programEnvironment(), command => command.replaceAll('/run/vc/sbs', root))
  expect(ran.map(text => comparable(text.replaceAll(root, '/run/vc/sbs')))).toEqual(
    sessions.map(({ text }) => comparable(text)),
  )
})

test('the plugin for Nagios tells faults from a check that could not be made', async () => {
  const env = programEnvironment()
  const plugin = (root: string) => {
    const { status, stdout } = spawnSync('sh', ['-c', fencedBlock(document, '<!-- nagios -->'), 'sh', root], {
      env,
      encoding: 'utf8',
    })
    return [status, stdout.split(' ')[0]]
  }
  const foreign = temporaryFolder()
  chmodSync(foreign, 0o750)
  mkdirSync(join(foreign, 'a'), { mode: 0o750 })
  cpSync(join(project, 'fixtures/kata/1.11.5/running/persist.json'), join(foreign, 'a/persist.json'))
  expect([kataRoot(), foreign, new Root('/dev/null').path].map(plugin)).toEqual([
    [2, 'CRITICAL:'],
    [0, 'OK:'],
    [3, 'UNKNOWN:'],
  ])
})

test.skipIf(!long || missing.length > 0)(
  'all sandboxes that can be read get to another root, whichever Kata made them',
  async () => {
    const source = kataRoot()
    const target = new Root()
    const script = fencedBlock(document, '<!-- move -->')
      .replaceAll('/run/vc/sbs', source)
      .replaceAll('NEWROOT', target.path)
    expect(spawnSync('sh', ['-c', script], { env: programEnvironment() }).status).toBe(0)
    expect(await target.done('list --format ids')).toBe('7a41\nc3d0\ne815\n')
  },
)
