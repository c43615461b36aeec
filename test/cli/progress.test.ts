import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { Output } from '#src/cli/output.js'
import { Progress } from '#src/cli/progress.js'
import { holdLock } from './hold-lock.js'
import { Root, Screen } from './support.js'

const CLEAR = '\r\u001b[K'

describe('progress', () => {
  it('is shown after half a second, and cleared at the end', async () => {
    const screen = new Screen(true)
    const err = new Output(screen)
    {
      using progress = new Progress(err, 'sandboxes read', true)
      progress.at(1)
      await sleep(300)
      expect(screen.text).toBe('')
      progress.at(7)
      await sleep(500)
      expect(screen.text).toMatch(/^(\r\u001b\[K7 sandboxes read)+$/)
    }
    await sleep(200)
    expect(screen.text).toMatch(/ read\r\u001b\[K$/)
  })

  it('is nothing when the work is short, or when it is not to be shown', async () => {
    for (const [isShown, ms] of [
      [true, 100],
      [false, 700],
    ] as const) {
      const screen = new Screen(true)
      {
        using progress = new Progress(new Output(screen), 'x', isShown)
        progress.at(1)
        await sleep(ms)
      }
      expect(screen.text).toBe('')
    }
  })

  it('is shown by a command that takes long, on a terminal only', async () => {
    const root = new Root()
    await root.done('create a')
    await root.done('create held')
    using _ = holdLock(root, 'held')
    root.put('held', '')
    for (const terminal of [true, false]) {
      const { stdout, stderr } = await root.cli('repair --lock-timeout 1.2', { terminal })
      expect(stdout).toContain('busy')
      if (terminal) expect(stderr).toMatch(/^(\r\u001b\[K\d sandboxes looked at)+\r\u001b\[K1 fault in /)
      else expect(stderr).toBe('')
      expect(stderr.split(CLEAR).length > 2).toBe(terminal)
    }
    const dumb = await root.cli('repair --lock-timeout 1.2', { terminal: true, env: { TERM: 'dumb' } })
    expect(dumb.stderr).not.toContain('\u001b')
  })
})
