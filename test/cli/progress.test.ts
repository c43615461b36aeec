import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { Output } from '#src/cli/output.js'
import { Progress } from '#src/cli/progress.js'
import { holdLock } from './hold-lock.js'
import { Root, Screen } from './support.js'

const CLEAR = '\r\u001b[K'

describe('progress', () => {
  it('is shown after half a second, and cleared at the end', () => {
    vi.useFakeTimers()
    onTestFinished(() => void vi.useRealTimers())
    const screen = new Screen(true)
    {
      using progress = new Progress(new Output(screen), 'sandboxes read', true)
      progress.at(1)
      vi.advanceTimersByTime(499)
      expect(screen.text).toBe('')
      progress.at(7)
      vi.advanceTimersByTime(200)
      expect(screen.text).toBe(`${CLEAR}7 sandboxes read${CLEAR}7 sandboxes read`)
    }
    expect(screen.text).toBe(`${CLEAR}7 sandboxes read${CLEAR}7 sandboxes read${CLEAR}`)
    vi.runAllTimers() // None goes on.
  })

  it('stays on one line of a narrow terminal, since no more could be cleared', () => {
    vi.useFakeTimers()
    onTestFinished(() => void vi.useRealTimers())
    const screen = new Screen(true, 20)
    {
      using progress = new Progress(new Output(screen), undefined, true)
      progress.show('waiting for a-long-name, held by pid 1')
      vi.advanceTimersByTime(500)
    }
    expect(screen.text).toBe(`${CLEAR}waiting for a-long…${CLEAR}`)
  })

  it.each([
    ['the work is short', true, 499],
    ['it is not to be shown', false, 10_000],
  ])('is nothing when %s', (_, isShown, ms) => {
    vi.useFakeTimers()
    onTestFinished(() => void vi.useRealTimers())
    const screen = new Screen(true)
    {
      using progress = new Progress(new Output(screen), 'x', isShown)
      progress.at(1)
      vi.advanceTimersByTime(ms)
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
