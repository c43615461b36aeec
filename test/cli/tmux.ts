import { execFileSync, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { onTestFinished } from 'vitest'
import { temporaryFolder } from '../support/root.js'
import { PATIENCE } from '../support/wait.js'

export const hasTmux = spawnSync('tmux', ['-V']).status === 0

/** A real terminal, in which a shell runs. It ends with the test. */
export class Tmux {
  private readonly socket = join(temporaryFolder(), 'tmux')

  constructor(columns: number, rows: number) {
    onTestFinished(() => void spawnSync('tmux', ['-S', this.socket, 'kill-server']))
    const size = ['-x', String(columns), '-y', String(rows)]
    this.tmux('-f', '/dev/null', 'new-session', '-d', '-s', 'test', ...size, 'env PS1="$ " bash --norc')
  }

  /** Types text, and the keys that are named, such as `Enter` or `C-c`. */
  type(text: string, ...keys: readonly string[]): void {
    if (text !== '') this.tmux('send-keys', '-t', 'test', '-l', text)
    if (keys.length > 0) this.tmux('send-keys', '-t', 'test', ...keys)
  }

  resize(columns: number, rows: number): void {
    this.tmux('resize-window', '-t', 'test', '-x', String(columns), '-y', String(rows))
  }

  /** What is to be seen, a line each. */
  lines(...options: readonly string[]): string[] {
    return this.tmux('capture-pane', '-p', '-t', 'test', ...options)
      .trimEnd()
      .split('\n')
  }

  /** One of tmux's formats, such as `#{cursor_flag}`. */
  show(format: string): string {
    return this.tmux('display-message', '-p', '-t', 'test', format).trim()
  }

  /** Waits until the screen shows something. */
  async until(pattern: RegExp): Promise<string[]> {
    const end = performance.now() + PATIENCE
    for (;;) {
      const lines = this.lines()
      if (pattern.test(lines.join('\n'))) return lines
      if (performance.now() > end) throw new Error(`${pattern} is not on the screen:\n${lines.join('\n')}`)
      await sleep(50)
    }
  }

  private tmux(...args: readonly string[]): string {
    return execFileSync('tmux', ['-S', this.socket, ...args], { encoding: 'utf8' })
  }
}
