import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { Output } from '#src/cli/output.js'
import { Progress } from '#src/cli/progress.js'
import { holdLock } from './hold-lock.js'
import { Root, Screen } from './support.js'

const CLEAR = '\r\u001b[K'

describe('progress', () => {
  it('is shown after half a second, ten times a second, and cleared at the end', () => {
    vi.useFakeTimers()
    onTestFinished(() => void vi.useRealTimers())
    const screen = new Screen(true)
    {
      using progress = new Progress(new Output(screen), 'sandboxes read', true)
      vi.advanceTimersByTime(499)
      progress.at(1)
      expect(screen.text).toBe('')
      vi.advanceTimersByTime(1)
      progress.at(7)
      vi.advanceTimersByTime(99)
      progress.at(8)
      vi.advanceTimersByTime(1)
      progress.at(9)
      expect(screen.text).toBe('\r7 sandboxes read\r9 sandboxes read')
    }
    expect(screen.text).toBe(`\r7 sandboxes read\r9 sandboxes read${CLEAR}`)
  })

  it.each([
    ['the work is short', true, 499],
    ['it is not to be shown', false, 10_000],
  ])('is nothing when %s', (_, isEnabled, ms) => {
    vi.useFakeTimers()
    onTestFinished(() => void vi.useRealTimers())
    const screen = new Screen(true)
    {
      using progress = new Progress(new Output(screen), 'x', isEnabled)
      vi.advanceTimersByTime(ms)
      progress.at(1)
    }
    expect(screen.text).toBe('')
  })

  it('is shown by a command that takes long, on a terminal only', async () => {
    const root = new Root()
    await root.done('create a')
    await root.done('create held')
    using _ = holdLock(root, 'held')
    root.put('held', '')
    for (const terminal of [true, false]) {
      const { stdout, stderr } = await root.cli('repair --lock-timeout 0.6', { terminal })
      expect(stdout).toContain('busy')
      if (terminal) expect(stderr).toMatch(/^(\r\d sandboxes looked at)+\r\u001b\[K$/)
      else expect(stderr).toBe('')
      expect(stderr.includes(CLEAR)).toBe(terminal)
    }
    const dumb = await root.cli('repair --lock-timeout 0.6', { terminal: true, env: { TERM: 'dumb' } })
    expect(dumb.stderr).not.toContain('\u001b')
  })
})
