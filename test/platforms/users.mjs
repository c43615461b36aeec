// Uses the store as several kinds of users, one line for each: npm run test:users [-- --quick]
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const PROJECT = fileURLToPath(new URL('../..', import.meta.url))
/** Fewer umasks, and the tests of check and repair not at all. */
const QUICK = process.argv.includes('--quick')
const IS_ROOT = process.geteuid() === 0
const NOBODY = 65534
/** None of these users is in it, and no user namespace knows it. */
const OTHER_GROUP = 4711

const ordinary = IS_ROOT ? ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'] : []
const userNamespace = [...ordinary, 'unshare', '--user', '--map-root-user']
const container = [...userNamespace, '--pid', '--kill-child', '--mount-proc']

const ENVIRONMENTS = [
  { name: 'ordinary user, umasks 0000 to 0777', as: ordinary, test: lifeUnderEachUmask },
  ...(QUICK
    ? []
    : [{ name: 'ordinary user, tests of check and repair', as: ordinary, test: checkAndRepair }]),
  { name: 'root of a rootless user namespace', as: userNamespace, owner: NOBODY, test: lifeInSharedRoot },
  { name: 'uid 0 without CAP_CHOWN', as: without('chown'), owner: 0, test: lifeInSharedRoot },
  {
    name: 'uid 0 without CAP_DAC_OVERRIDE',
    as: without('dac_override', 'dac_read_search'),
    owner: 0,
    test: lifeUnderEachUmask,
  },
  { name: 'two pid namespaces, one host name', as: container, test: neighbours },
]

for (const environment of ENVIRONMENTS) {
  const result = whyNot(environment) ?? (await outcomeOf(environment))
  console.log(`${environment.name.padEnd(42)} ${result}`)
  if (result.startsWith('failed')) process.exitCode = 1
}

function without(...capabilities) {
  const list = capabilities.map(name => `-${name}`).join()
  return ['setpriv', `--bounding-set=${list}`, `--inh-caps=${list}`]
}

/** Undefined if the package can be used as that user. */
function whyNot({ as, owner }) {
  if (owner === 0 && !IS_ROOT) return 'not available: it takes root'
  const load = `await import(${JSON.stringify(join(PROJECT, 'dist', 'index.js'))})`
  const [program, ...args] = [...as, process.execPath, '--input-type=module', '-e', load]
  const { status, error, stderr } = spawnSync(program, args, { cwd: '/', encoding: 'utf8' })
  return status === 0 ? undefined : `not available: ${error?.message ?? firstLine(stderr)}`
}

async function outcomeOf({ as, owner, test }) {
  const folder = mkdtempSync(join(tmpdir(), 'sandbox-state-users-'))
  chmodSync(folder, 0o777)
  try {
    await test(as, folder, owner)
    return 'ok'
  } catch ({ message }) {
    return `failed: ${message}`
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function lifeUnderEachUmask(as, folder) {
  await run(as, 'test/programs/whole-life.mjs', folder, '0', String(0o777), QUICK ? '37' : '1')
}

/** In a root folder whose group is another one, which all that is made in it gets. */
async function lifeInSharedRoot(as, folder, owner) {
  const root = join(folder, '22') // Named after the umask.
  mkdirSync(root)
  if (IS_ROOT) chownSync(root, owner, OTHER_GROUP)
  chmodSync(root, 0o2775)
  await run(as, 'test/programs/whole-life.mjs', folder)
}

async function checkAndRepair(as, folder) {
  const tests = ['check', 'repair', 'bad-places'].map(name => `test/file/${name}.test.ts`)
  const quick = '^(?!.*(killed|without end))'
  const vitest = join('node_modules', 'vitest', 'vitest.mjs')
  process.env.TMPDIR = folder
  // The long run would take only some of these files.
  delete process.env.SANDBOX_STATE_TESTS
  try {
    // Without a file of its own beside the package, where this user may not write.
    await run(as, vitest, 'run', '--configLoader=runner', '-t', quick, ...tests)
  } finally {
    delete process.env.TMPDIR
  }
}

/** One holds a sandbox, the other says who does. */
async function neighbours(as, folder) {
  const [program, ...args] = [...as, process.execPath, 'test/programs/neighbour.mjs', folder]
  const holder = spawn(program, [...args, 'hold'], { cwd: PROJECT, stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(holder, 'exit')
  try {
    await Promise.race([once(holder.stdout, 'data'), ended])
    const { message } = JSON.parse(await run(as, 'test/programs/neighbour.mjs', folder, 'ask'))
    if (!/pid \d+ of another pid namespace \(node neighbour\.mjs\)/.test(message)) throw new Error(message)
  } finally {
    holder.kill('SIGKILL')
    await ended
  }
}

/** @returns what it printed */
async function run(as, ...command) {
  const [program, ...args] = [...as, process.execPath, ...command]
  const child = spawn(program, args, { cwd: PROJECT, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  let errors = ''
  child.stdout.on('data', text => {
    output += text
  })
  child.stderr.on('data', text => {
    errors += text
  })
  const [status] = await once(child, 'close')
  if (status !== 0) throw new Error(firstLine(errors) || firstLine(output) || `it ended with ${status}`)
  return output
}

function firstLine(text) {
  return text.split('\n').find(line => line.trim() !== '') ?? ''
}
