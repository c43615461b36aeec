import { spawnSync } from 'node:child_process'
import { STATES, TRANSITIONS } from 'sandbox-state'
import { describe, expect, it } from 'vitest'
import { cli } from './support.js'

const MOVES = STATES.flatMap(from => TRANSITIONS[from].map(to => `${from} ${to}`)).sort()

/** The moves that a reader sees: which lanes a state's first line meets, and whose second line ends such a lane. */
function movesIn(drawing: string): string[] {
  const lines = drawing.split('\n')
  const lanes = new Map<number, string>()
  const leaving: (readonly [state: string, columns: readonly number[]])[] = []
  let state = ''
  for (const line of lines) {
    const name = /^[a-z]+/.exec(line)?.[0]
    const meets = [...line.matchAll(/\+/g)].map(({ index }) => index)
    if (name !== undefined) {
      state = name
      leaving.push([name, meets])
    }
    if (line.includes('<')) for (const column of meets) lanes.set(column, state)
  }
  // A lane has no hole between its ends.
  for (const column of lanes.keys()) {
    const signs = lines.map(line => line[column] ?? ' ').join('')
    expect(signs.trim()).toMatch(/^[- ]*\+[+|]*\+[- ]*$/)
  }
  return leaving.flatMap(([from, columns]) => columns.map(column => `${from} ${lanes.get(column)}`)).sort()
}

describe('diagram', () => {
  it('draws every move, and no other', async () => {
    const { status, stdout, stderr } = await cli(['diagram'])
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(movesIn(stdout)).toEqual(MOVES)
    expect(stdout).not.toMatch(/ $/m)
    expect(await cli(['diagram', '--format', 'ascii'], { env: { SANDBOX_STATE_ROOT: '/dev/null' } })).toEqual(
      {
        status,
        stdout,
        stderr,
      },
    )
  })

  it('is text for mermaid', async () => {
    const { stdout } = await cli(['diagram', '--format', 'mermaid'])
    const lines = stdout.trim().split('\n')
    expect(lines.slice(0, 3)).toEqual(['stateDiagram-v2', '    direction LR', '    [*] --> ready'])
    expect(
      lines
        .slice(3)
        .map(line => line.trim().replace(' --> ', ' '))
        .sort(),
    ).toEqual(MOVES)
  })

  it('is a picture', async () => {
    const { stdout } = await cli(['diagram', '--format', 'svg'])
    const titles = [...stdout.matchAll(/<path d="M [\d .CL-]+"><title>(\w+) to (\w+)<\/title><\/path>/g)]
    expect(titles.map(([, from, to]) => `${from} ${to}`).sort()).toEqual(MOVES)
    const open: string[] = []
    for (const [, close, name = '', self] of stdout.matchAll(/<(\/?)(\w+)[^<>]*?(\/?)>/g)) {
      if (close) expect(open.pop()).toBe(name)
      else if (!self) open.push(name)
    }
    expect(open).toEqual([])
    const [, width, height] = /width="(\d+)" height="(\d+)"/.exec(stdout) ?? []
    for (const [, x, y] of stdout.matchAll(/<rect x="(\d+)" y="(\d+)"/g)) {
      expect(Number(x)).toBeLessThan(Number(width))
      expect(Number(y)).toBeLessThan(Number(height))
    }
  })

  const canRender = spawnSync('rsvg-convert', ['--version']).status === 0
  it.skipIf(!canRender)(
    `is a picture that librsvg draws${canRender ? '' : ' (skipped: no rsvg-convert)'}`,
    async () => {
      const { stdout } = await cli(['diagram', '--format', 'svg'])
      const { status, stdout: png } = spawnSync('rsvg-convert', { input: stdout })
      expect(status).toBe(0)
      expect(png.subarray(1, 4).toString()).toBe('PNG')
    },
  )
})
