import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { onTestFinished } from 'vitest'

/** A shell that holds flock(1) on a file. */
interface FlockHolder {
  readonly pid: number | undefined
  /** Returns when the lock is free. */
  release(): Promise<void>
}

/**
 * Holds flock(1) on a file or a folder, as a shell script or Kata would, until it is told to let go; with the test at
 * the latest.
 * @param options of flock(1), such as `--shared`
 */
export async function holdFlock(file: string, ...options: string[]): Promise<FlockHolder> {
  const shell = spawn('flock', [...options, '--no-fork', file, 'sh', '-c', 'echo held; read line'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  onTestFinished(() => void shell.kill('SIGKILL'))
  const ended = once(shell, 'exit')
  await Promise.race([once(shell.stdout, 'data'), ended.then(notHeld)])
  return {
    pid: shell.pid,
    async release() {
      shell.stdin.end('\n')
      await ended
    },
  }
}

function notHeld(): never {
  throw new Error('flock(1) did not get the lock')
}
