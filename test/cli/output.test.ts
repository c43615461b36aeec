import { describe, expect, it } from 'vitest'
import { Output, OutputError, type OutputStream } from '#src/cli/output.js'
import { run } from '#src/cli/run.js'
import { Root, Screen } from './support.js'

/** A stream that takes its time. */
class Slow implements OutputStream {
  readonly taken: string[] = []
  atOnce = 0
  mostAtOnce = 0

  write(text: string, done: () => void): void {
    this.atOnce += text.length
    this.mostAtOnce = Math.max(this.mostAtOnce, this.atOnce)
    setTimeout(() => {
      this.atOnce -= text.length
      this.taken.push(text)
      done()
    }, 1)
  }

  on(): void {}
}

const failing = (code: string): OutputStream => ({
  write(_, done) {
    done(Object.assign(new Error(`${code}: it is so, write`), { code }))
  },
  on() {},
})

describe('an output', () => {
  it('gathers small texts, and waits for the reader of large ones', async () => {
    const stream = new Slow()
    const out = new Output(stream)
    for (let line = 0; line < 20_000; line++) await out.write(`${line}\n`)
    await out.flush()
    expect(stream.taken.join('')).toBe(Array.from({ length: 20_000 }, (_, line) => `${line}\n`).join(''))
    expect(stream.taken.length).toBeLessThan(20)
    expect(stream.mostAtOnce).toBeLessThan(32 * 1024)
  })

  it('writes nothing when there is nothing', async () => {
    const stream = new Slow()
    await new Output(stream).flush()
    expect(stream.taken).toEqual([])
  })

  it.each([
    ['EPIPE', true],
    ['ENOSPC', false],
  ])('tells of %s', async (code, isClosedPipe) => {
    const out = new Output(failing(code))
    const failure = await out.write('x'.repeat(100_000)).catch(error => error)
    expect(failure).toBeInstanceOf(OutputError)
    expect(failure).toMatchObject({ isClosedPipe, message: `cannot write the output: ${code}: it is so` })
  })

  it.each(['EPIPE', 'ENOSPC'])('is complete although the messages cannot be written: %s', async code => {
    const root = new Root()
    const ids = Array.from({ length: 200 }, (_, i) => `damaged-${i}`).sort()
    for (const id of ids) root.put(id, 'nonsense')
    const stdout = new Screen()
    const io = { stdout, stderr: failing(code), env: {} }
    expect(await run(['list', '--format', 'ids', '--root', root.path], io)).toBe(1)
    expect(stdout.text).toBe(`${ids.join('\n')}\n`)
  })

  it('knows its terminal', () => {
    expect(new Output(new Screen(true))).toMatchObject({ isTerminal: true })
    expect(new Output(new Slow())).toMatchObject({ isTerminal: false })
  })

  it('takes a terminal that does not know its size for one of 24 lines', () => {
    const serial = Object.assign(new Screen(true), { rows: 0 })
    expect(new Output(serial).rows).toBe(24)
  })
})
