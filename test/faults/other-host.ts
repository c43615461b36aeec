import { type ForkOptions, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { onTestFinished } from 'vitest'

/** The first process of the namespace leaves no zombies of the others, and is their end when its input ends. */
const INIT = 'echo other-host > /proc/sys/kernel/hostname; echo ready; exec env --ignore-signal=CHLD cat'
const UNSHARE = ['--pid', '--uts', '--fork', '--mount-proc', '--kill-child', 'sh', '-c', INIT]

/** Why no pid namespace and host name of their own can be made; undefined when they can. */
export const noOtherHost: string | undefined = whyNot()

function whyNot(): string | undefined {
  if (process.platform !== 'linux') return `needs Linux, this is ${process.platform}`
  const { status, error, stderr } = spawnSync('unshare', UNSHARE, { input: '', encoding: 'utf8' })
  return status === 0 ? undefined : (error?.message ?? stderr.trim())
}

/** A pid namespace with another host name. */
interface OtherHost {
  /** How to start a program in it; with PROC_OF_HOST it can look at the processes outside. */
  readonly start: ForkOptions
  /** Ends all that runs in it; the end of the test does so, too. */
  end(): Promise<void>
}

export async function startOtherHost(): Promise<OtherHost> {
  const unshare = spawn('unshare', UNSHARE, { stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = once(unshare, 'exit')
  const proc = openSync('/proc', 'r')
  let isOpen = true
  const end = async () => {
    if (isOpen) closeSync(proc)
    isOpen = false
    unshare.stdin.end()
    await ended
  }
  onTestFinished(end)
  await once(unshare.stdout, 'data')
  const [init = ''] = readFileSync(`/proc/${unshare.pid}/task/${unshare.pid}/children`, 'utf8').split(' ')
  const start: ForkOptions = {
    execPath: 'nsenter',
    execArgv: ['--target', init, '--pid', '--uts', '--mount', process.execPath],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc', proc],
    env: { ...process.env, PROC_OF_HOST: '/proc/self/fd/4' },
  }
  return { start, end }
}
