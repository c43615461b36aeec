import { Option } from 'commander'
import { describe, expect, it } from 'vitest'
import { COMMANDS } from '#src/cli/commands.js'
import { cli, Root } from './support.js'

/** The commands that have a `--format json`. */
async function withJson(): Promise<string[]> {
  const loaded = await Promise.all(
    COMMANDS.map(async ({ name, load }) => ({ name, takes: (await load()).command.takes ?? [] })),
  )
  return loaded
    .filter(({ takes }) => takes.some(each => each instanceof Option && each.argChoices?.includes('json')))
    .map(({ name }) => name)
}

describe('--json', () => {
  it('is an option of every command that has --format json, and of no other', async () => {
    const names = await withJson()
    // They print nothing of their own, what Prometheus reads, pictures, and texts.
    const without = COMMANDS.map(({ name }) => name).filter(name => !names.includes(name))
    expect(without).toEqual(['run', 'metrics', 'diagram', 'completion', 'help'])
    for (const { name } of COMMANDS) {
      const { stdout } = await cli([name, '--help'])
      expect([name, /^ +--json +the same as --format json$/m.test(stdout)]).toEqual([
        name,
        names.includes(name),
      ])
    }
  })

  it.each([
    'list',
    'state a',
    'history a',
    'locks',
    'check',
    'repair',
    'wait a ready',
    'update a --block-index 1',
    'inspect a',
    'prune --older-than 1d',
    'orphans',
    'reap',
  ])('does for %s what --format json does', async line => {
    const root = new Root()
    await root.done('create a --block-index 1')
    const json = await root.done(`${line} --format json`)
    expect(await root.done(`${line} --json`)).toBe(json)
    expect(JSON.parse(json)).toBeDefined()
  })

  it('gives way to a --format after it, and overrides one before it', async () => {
    const root = new Root()
    await root.done('create a')
    expect(await root.done('list --json --format ids')).toBe('a\n')
    expect(await root.done('list --format ids --json')).toBe(await root.done('list --format json'))
  })

  it('makes an error JSON, too', async () => {
    const root = new Root()
    for (const line of ['state a --json', '--lock-timeout 1 delete a --json', 'create --json']) {
      const { stdout, stderr } = await root.cli(line)
      expect(stdout).toBe('')
      expect(JSON.parse(stderr)).toMatchObject({ code: expect.any(String) })
    }
    expect((await root.cli('state -- --json')).stderr).toMatch(/^sandbox-state: INVALID_ID: /)
  })
})
