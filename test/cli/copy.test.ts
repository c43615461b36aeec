import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { temporaryFolder } from '../support/root.js'
import { Root } from './support.js'

describe('copy', () => {
  async function twoRoots() {
    const source = new Root()
    await source.done('create a --block-index 3')
    await source.done('transition a running')
    await source.done('create b')
    return { source, target: join(temporaryFolder(), 'target') }
  }

  it('copies every sandbox as it is, and again what was copied already', async () => {
    const { source, target } = await twoRoots()
    expect(await source.cli(`copy ${source.path} ${target}`)).toEqual({ status: 0, stdout: '', stderr: '' })
    const copied = await source.done(`list --format json --root ${target}`)
    expect(JSON.parse(copied)).toEqual(JSON.parse(await source.done('list --format json')))
    const again = await source.done(`copy ${source.path} ${target} --format json`)
    expect(JSON.parse(again)).toEqual({ copied: 0, same: 2, failed: [] })
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
})
