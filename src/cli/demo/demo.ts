import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { visible } from '../../state/show.js'
import type { Cli } from '../cli.js'
import { EXIT } from '../errors.js'
import type { Options } from '../options.js'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** How many processes do the same thing at the same time. */
const TOGETHER = 5
/** How many times each of them adds 1. */
const ADDITIONS = 20
const TOTAL = TOGETHER * ADDITIONS

/** Plays the demo on a store and with processes of its own, and removes them, also when it is interrupted. */
export async function demo(cli: Cli, { keep = false, format }: Options): Promise<void> {
  const stage = new Stage(cli, format === 'text')
  const { ending } = stage
  let received: NodeJS.Signals | undefined
  const interrupt = (signal: NodeJS.Signals) => {
    received = signal
    ending.abort() // Then the play waits for nothing, and ends.
  }
  for (const signal of SIGNALS) process.on(signal, interrupt)
  try {
    await play(stage)
    const { root, checks } = stage
    const failed = checks.filter(({ ok }) => !ok).length
    if (failed > 0) cli.status = EXIT.failed
    await stage.say('', failed === 0 ? `All ${checks.length} checks passed.` : `${failed} checks FAILED.`)
    if (keep) await stage.say(`The store is still there: sandbox-state --root ${visible(root)} list`)
    if (format === 'json') await cli.out.write(`${JSON.stringify({ ok: failed === 0, checks }, null, 2)}\n`)
  } catch (error) {
    if (received === undefined) throw error
  } finally {
    ending.abort()
    await Promise.all(stage.processes.map(process => process.ended))
    if (!keep) await rm(stage.root, { recursive: true, force: true })
    for (const signal of SIGNALS) process.off(signal, interrupt)
    if (received !== undefined) process.kill(process.pid, received) // It ends this process as it would have at once.
  }
}

async function play(stage: Stage): Promise<void> {
  await stage.say(`A store on a temporary root: ${visible(stage.root)}`, '', '1. A new sandbox is ready')
  for (const id of ['cache', 'db', 'web']) await stage.command(`create ${id} --cgroup-path /demo/${id}`)

  await killInMidChange(stage)

  await stage.say('', `3. ${TOGETHER} processes move db from ready to running, at the same time`)
  const racers = together(() => stage.startCommand('transition db running --from ready'))
  const outcomes = await Promise.all(racers.map(async racer => (await racer.result()) || 'moved'))
  await stage.say(...racers.map(({ child }, at) => `   pid ${child.pid}: ${outcomes[at]}`))
  const lost = outcomes.filter(outcome => outcome.startsWith('STATE_MISMATCH: ')).length
  const isWon = outcomes.includes('moved') && lost === TOGETHER - 1
  await stage.check('one of them won, and each of the others knows that it did not', isWon)

  await stage.say('', '4. A move that the state machine does not have: cache from ready to paused')
  const refused = await stage.command('transition cache paused')
  await stage.check('it is refused', refused.startsWith('INVALID_TRANSITION: '))

  await stage.say('', '5. The process that owns cache is killed, while cache is running')
  const owner = stage.start('./owner.js', stage.root, 'cache')
  await owner.printed('running')
  await stage.say(`   pid ${owner.child.pid} owns cache, and has moved it to running`)
  owner.child.kill('SIGKILL')
  await owner.ended
  await stage.say(`   kill -9 ${owner.child.pid}`)
  const orphans = await stage.command('orphans')
  await stage.check('cache is found to be an orphan', /^cache +running /m.test(orphans))
  const reaped = await stage.command('reap')
  const died = `owner died: pid ${owner.child.pid} `
  await stage.check(
    'cache was stopped, and db, which nobody owned, was left alone',
    reaped.includes(died) && !reaped.includes('db'),
  )

  await stage.say('', '6. All processes have ended; another one sees')
  const list = await stage.command('list --wide')
  const rows = ['cache +stopped +\\S+ +- +0', 'db +running +\\S+ +- +0', `web +ready +\\S+ +- +${TOTAL}`]
  const isThere = rows.every(row => new RegExp(`^${row} `, 'm').test(list))
  await stage.check('what was acknowledged is there', isThere)

  await stage.say('', '7. What became of cache, who changed it, and why')
  await stage.command('history cache')
}

async function killInMidChange(stage: Stage): Promise<void> {
  await stage.say('', '2. A process is killed in the middle of a change, while others wait')
  const victim = stage.start('./adder.js', stage.root, 'web', 'hang')
  await victim.printed('in mid-change')
  const { pid } = victim.child
  await stage.say(`   pid ${pid} stands still in the middle of a change, and holds the lock of web`)
  const timedOut = await stage.command('update web --block-index 0 --lock-timeout 0.3')
  const namesHolder = timedOut.startsWith('LOCK_TIMEOUT: ') && timedOut.includes(`pid ${pid} `)
  await stage.check(`the command gave up in time, and named the lock holder, pid ${pid}`, namesHolder)
  await stage.say(`   ${TOGETHER} processes begin to add 1 to the blockIndex of web, ${ADDITIONS} times each`)
  const adders = together(() => stage.start('./adder.js', stage.root, 'web', String(ADDITIONS)))
  await Promise.all(adders.map(adder => adder.printed('started')))
  await stage.check('none of them got in', !adders.some(({ output }) => output.includes('added')))
  const killed = performance.now()
  victim.child.kill('SIGKILL')
  await stage.say(`   kill -9 ${pid}`)
  await Promise.race(adders.map(adder => adder.printed('added')))
  await stage.say(`   the first of them got in ${(performance.now() - killed).toFixed(0)} ms later`)
  await Promise.all(adders.map(adder => adder.ended))
  const { blockIndex } = JSON.parse(await stage.command('state web'))
  await stage.check(`all ${TOTAL} additions are there, and nothing else`, blockIndex === TOTAL)
}

function together(start: () => DemoProcess): DemoProcess[] {
  return Array.from({ length: TOGETHER }, start)
}

/** Where the demo is played: a store, and processes that use it. */
class Stage {
  readonly root = mkdtempSync(join(tmpdir(), 'sandbox-state-demo-'))
  readonly checks: { readonly claim: string; readonly ok: boolean }[] = []
  readonly processes: DemoProcess[] = []
  /** Kills every process. */
  readonly ending = new AbortController()

  constructor(
    private readonly cli: Cli,
    private readonly isShown: boolean,
  ) {}

  async say(...lines: readonly string[]): Promise<void> {
    this.ending.signal.throwIfAborted()
    if (!this.isShown) return
    await this.cli.printLines(lines)
    await this.cli.out.flush()
  }

  async check(claim: string, ok: boolean): Promise<void> {
    this.checks.push({ claim, ok })
    await this.say(`   ${ok ? 'ok:' : 'FAILED:'} ${claim}`)
  }

  /** @param program a module of this package, relative to this one */
  start(program: string, ...argv: readonly string[]): DemoProcess {
    const started = new DemoProcess(program, argv, this.ending.signal)
    this.processes.push(started)
    return started
  }

  startCommand(line: string): DemoProcess {
    return this.start('../bin.js', '--root', this.root, ...line.split(' '))
  }

  /** Runs a command, and shows it and what it prints. */
  async command(line: string): Promise<string> {
    await this.say(`   $ sandbox-state ${line}`)
    const output = await this.startCommand(line).result()
    if (output !== '') await this.say(...output.split('\n').map(text => `   ${text}`))
    return output
  }
}

class DemoProcess {
  /** What it has printed. */
  output = ''
  /** Resolves when it has ended and everything that it printed has been read. */
  readonly ended: Promise<unknown>
  readonly child: ChildProcess

  constructor(program: string, argv: readonly string[], signal: AbortSignal) {
    const child = spawn(process.execPath, [fileURLToPath(new URL(program, import.meta.url)), ...argv], {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true, // A Ctrl-C is for the demo, which ends its processes itself.
      signal,
      killSignal: 'SIGKILL',
    })
    child.on('error', () => {}) // It could not be started, or was killed; then it is closed, too.
    this.ended = new Promise(resolve => child.once('close', resolve))
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.output += text
      })
    }
    this.child = child
  }

  /** Waits until it has printed something, or has ended. */
  async printed(text: string): Promise<void> {
    const { child } = this
    while (!this.output.includes(text) && child.exitCode === null && child.signalCode === null) await sleep(1)
  }

  /** Waits for its end, and returns what it printed. */
  async result(): Promise<string> {
    await this.ended
    return this.output.trim().replace('sandbox-state: ', '')
  }
}
