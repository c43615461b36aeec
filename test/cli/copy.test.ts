import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { temporaryFolder } from '../support/root.js'
import { BIN, HOSTILE, Root, stateText, UNPRINTABLE } from './support.js'

describe('copy', () => {
  async function twoRoots() {
    const source = new Root()
    await source.done('create a --block-index 3 --label team=x --data [1]')
    await source.done('transition a running')
    await source.done('create b')
    return { source, target: join(temporaryFolder(), 'target') }
  }

  it('copies every sandbox as it is, and again what was copied already', async () => {
    const { source, target } = await twoRoots()
    expect(await source.cli(`copy ${source.path} ${target}`)).toEqual({ status: 0, stdout: '', stderr: '' })
    for (const id of ['a', 'b']) expect(new Root(target).file(id)).toEqual(source.file(id))
    expect(await source.done(`list --format ids --root ${target}`)).toBe('a\nb\n')
    const again = await source.done(`copy ${source.path} ${target} --format json`)
    expect(JSON.parse(again)).toEqual({ copied: 0, same: 2, failed: [] })
  })

  it('refuses to copy a root onto itself, into itself or out of itself, however it is written', async () => {
    const { source } = await twoRoots()
    const root = source.path
    const before = source.snapshot()
    for (const [from, to] of [
      [root, root],
      [root, `${root}/../root`],
      [root, join(root, 'new', 'deep')],
      [join(root, 'a'), root],
    ] as const) {
      const { status, stderr } = await source.cli(`copy ${from} ${to}`)
      expect(status).toBe(2)
      expect(stderr).toContain(': copy to another place')
    }
    expect(source.snapshot()).toEqual(before)
    expect((await source.cli(`copy ${root} ${root}2`)).status).toBe(0)
  })

  it('overwrites nothing, and then copies nothing', async () => {
    const { source, target } = await twoRoots()
    await source.done(`create b --block-index 9 --root ${target}`)
    const { status, stderr } = await source.cli(`copy ${source.path} ${target}`)
    expect(status).toBe(1)
    expect(stderr).toMatch(/^sandbox-state: ALREADY_EXISTS: .*\bb\b/)
    expect(await source.done(`list --format ids --root ${target}`)).toBe('b\n')
    expect(JSON.parse(await source.done(`state b --root ${target}`))).toMatchObject({ blockIndex: 9 })
  })

  it('copies the others when one cannot be read, and names it', async () => {
    const { source, target } = await twoRoots()
    source.put('c', 'nonsense')
    const { status, stdout, stderr } = await source.cli(`copy ${source.path} ${target} --format json`)
    expect(status).toBe(1)
    expect(JSON.parse(stdout)).toMatchObject({
      copied: 2,
      failed: [{ id: 'c', error: { code: 'CORRUPT_STATE' } }],
    })
    expect(JSON.parse(stderr)).toMatchObject({ code: 'CORRUPT_STATE', id: 'c' })
    expect((await source.cli(`copy ${source.path} ${target}`)).stderr).toMatch(
      /^sandbox-state: CORRUPT_STATE: .+\n$/,
    )
    expect(await source.done(`list --format ids --root ${target}`)).toBe('a\nb\n')
  })

  it('ends with what the disk refused', async () => {
    const { source, target } = await twoRoots()
    for (let n = 0; n < 30; n++) await source.done(`create c-${n}`)
    source.put('z', stateText({ cgroupPath: 'x'.repeat(500_000) }))
    const limited = 'ulimit -f 100; exec "$0" "$@"' // KiB; writing more fails with EFBIG.
    const argv = [process.execPath, BIN, 'copy', source.path, target]
    const { status, stderr } = spawnSync('bash', ['-c', limited, ...argv], { encoding: 'utf8' })
    expect(status).toBe(1)
    expect(stderr).toMatch(/^sandbox-state: IO_ERROR: .*EFBIG.*\n$/)
  })

  it('refuses a source that is not there, which as a root would be an empty one', async () => {
    const { source, target } = await twoRoots()
    const mistyped = `${source.path}s`
    expect(await source.cli(`copy ${mistyped} ${target}`)).toEqual({
      status: 1,
      stdout: '',
      stderr: `sandbox-state: IO_ERROR: cannot read ${mistyped}: ENOENT: no such file or directory\n`,
    })
    expect(await source.cli(['copy', '', target])).toMatchObject({ status: 2 })
  })
  it('says with --dry-run what would become of each sandbox, and changes nothing', async () => {
    const { source, target } = await twoRoots()
    const dryRun = `copy ${source.path} ${target} --dry-run`
    const plan = `OUTCOME  ID  STATE    BLOCK-INDEX  MEMORY-BLOCK  HOTPLUG-PROBE  CGROUP-PATH  LABELS
new      a   running            3             0  no             -            team=x
new      b   ready              0             0  no             -            -
`
    expect(await source.cli(dryRun)).toEqual({ status: 0, stdout: plan, stderr: '' })
    expect(existsSync(target)).toBe(false)

    await source.done(`copy ${source.path} ${target}`)
    await source.done('create c')
    const before = new Root(target).snapshot()
    const ran = await source.cli(`${dryRun} --format json`)
    expect(ran).toMatchObject({ status: 0, stderr: '' })
    expect(JSON.parse(ran.stdout)).toEqual([
      { id: 'a', outcome: 'same', state: source.file('a') },
      { id: 'b', outcome: 'same', state: source.file('b') },
      { id: 'c', outcome: 'new', state: source.file('c') },
    ])
    expect(new Root(target).snapshot()).toEqual(before)
  })

  it('shows with --dry-run what is in the way, and what cannot be read', async () => {
    const { source, target } = await twoRoots()
    await source.done(`create b --block-index 9 --root ${target}`)
    source.put('c', `nonsense ${HOSTILE}`)
    const dryRun = `copy ${source.path} ${target} --dry-run`
    const { status, stdout, stderr } = await source.cli(dryRun)
    expect({ status, stderr }).toEqual({ status: 1, stderr: '' })
    expect(stdout).not.toMatch(UNPRINTABLE)
    expect(stdout.split('\n').map(line => line.split(/ +/).slice(0, 3))).toEqual([
      ['OUTCOME', 'ID', 'STATE'],
      ['new', 'a', 'running'],
      ['conflict', 'b', 'ready'],
      ['unreadable', 'c', 'CORRUPT_STATE'],
      [''],
    ])
    const json = await source.cli(`${dryRun} --format json`)
    expect(json).toMatchObject({ status: 1, stderr: '', stdout: expect.not.stringMatching(UNPRINTABLE) })
    expect(JSON.parse(json.stdout)[2]).toEqual({
      id: 'c',
      outcome: 'unreadable',
      error: { code: 'CORRUPT_STATE', message: expect.stringContaining('not a JSON object') },
    })
    const seen = await source.cli(dryRun, { terminal: true })
    expect(seen.stdout).toContain('\u001b[31mconflict\u001b[0m ')
  })
})
