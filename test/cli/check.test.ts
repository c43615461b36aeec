import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { HOSTILE, Root, UNPRINTABLE } from './support.js'

/** One healthy sandbox; one with an empty state; one folder without a state; and a name that is no id. */
async function someFaults(): Promise<Root> {
  const root = new Root()
  await root.done('create good')
  await root.done('create torn')
  writeFileSync(join(root.path, 'torn', 'state.json'), '')
  mkdirSync(join(root.path, 'half'), { mode: 0o700 })
  mkdirSync(join(root.path, '-x'), { mode: 0o700 })
  return root
}

describe('check', () => {
  it('prints a line for each fault, sorted by path, and then exits with 1', async () => {
    const root = await someFaults()
    const { status, stdout, stderr } = await root.cli('check')
    expect({ status, stderr }).toEqual({ status: 1, stderr: '' })
    expect(stdout.split('\n').map(line => line.split(/ {2,}/).slice(0, 3))).toEqual([
      ['FAULT', 'SANDBOX', 'REPAIR'],
      ['INVALID_ID', '-', 'no'],
      ['UNFINISHED_CREATE', 'half', 'yes'],
      ['EMPTY_STATE', 'torn', 'yes'],
      [''],
    ])
    expect(stdout).toMatch(/ torn +yes +state\.json: it is empty\n/)
    expect(stdout).toMatch(/ half +yes +it holds no state: /)
    expect(stdout).toContain(` no      "-x" in ${root.path} is not a sandbox id`)
  })

  it('prints one array of JSON', async () => {
    const root = await someFaults()
    const { status, stdout, stderr } = await root.cli('check --format json')
    expect({ status, stderr }).toEqual({ status: 1, stderr: '' })
    const path = join(root.path, 'torn', 'state.json')
    expect(JSON.parse(stdout)).toMatchObject([
      { code: 'INVALID_ID', path: join(root.path, '-x'), repairable: false },
      { code: 'UNFINISHED_CREATE', id: 'half', path: join(root.path, 'half'), repairable: true },
      { code: 'EMPTY_STATE', id: 'torn', path, message: `${path}: it is empty`, repairable: true },
    ])
  })

  it('prints nothing and exits with 0 when there is no fault, but says so to a person', async () => {
    const root = new Root()
    await root.done('create a')
    expect(await root.cli('check')).toEqual({ status: 0, stdout: '', stderr: '' })
    expect(await root.cli('check --format json')).toEqual({ status: 0, stdout: '[]\n', stderr: '' })
    expect(await root.cli('check', { terminal: true })).toEqual({
      status: 0,
      stdout: '',
      stderr: `no fault in ${root.path}\n`,
    })
  })

  it('prints nothing that a terminal could obey', async () => {
    const root = new Root()
    await root.done('create a')
    root.put('b', `{"state":${JSON.stringify(HOSTILE)}}`)
    mkdirSync(join(root.path, HOSTILE))
    for (const line of [
      'check',
      'check --format json',
      'repair --dry-run',
      'repair --format json',
      'repair',
    ]) {
      const { status, stdout, stderr } = await root.cli(line)
      expect(status).toBe(1)
      expect(stdout + stderr).not.toMatch(UNPRINTABLE)
    }
  })

  it.each(['check', 'repair', 'check --format json'])(
    '%s says, not only on a terminal, that the root does not exist',
    async line => {
      const root = new Root()
      const { status, stdout, stderr } = await root.cli(line)
      expect({ status, stdout }).toEqual({ status: 0, stdout: line.endsWith('json') ? '[]\n' : '' })
      expect(stderr).toBe(`${root.path} does not exist yet\n`)
    },
  )

  it('fails when the root is no folder', async () => {
    for (const line of ['check --format json', 'repair --format json']) {
      for (const path of ['/dev/null', '/dev/null/x']) {
        const { status, stdout, stderr } = await new Root(path).cli(line)
        expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
        expect(JSON.parse(stderr)).toMatchObject({ code: 'IO_ERROR', path: '/dev/null' })
      }
    }
  })
})

describe('repair', () => {
  const actions = (stdout: string) =>
    JSON.parse(stdout).map(({ action, code }: { action: string; code: string }) => `${action} ${code}`)

  it('does what --dry-run has said, and then check finds only what was left', async () => {
    const root = await someFaults()
    const expected = ['left INVALID_ID', 'removed UNFINISHED_CREATE', 'moved EMPTY_STATE']
    const before = root.snapshot()
    const planned = await root.cli('repair --dry-run --format json')
    expect(planned).toMatchObject({ status: 1, stderr: '' })
    expect(actions(planned.stdout)).toEqual(expected)
    expect(root.snapshot()).toEqual(before)

    const done = await root.cli('repair --format json')
    expect(done).toMatchObject({ status: 1, stderr: '' })
    expect(actions(done.stdout)).toEqual(expected)
    expect(JSON.parse(done.stdout)[2].to).toContain(join(root.path, '.quarantine'))
    expect(actions((await root.cli('repair --format json')).stdout)).toEqual(['left INVALID_ID'])
    expect(JSON.parse((await root.cli('check --format json')).stdout)).toMatchObject([{ code: 'INVALID_ID' }])
  })

  it('exits with 0 when nothing is left to anybody', async () => {
    const root = new Root()
    await root.done('create a')
    chmodSync(join(root.path, 'a'), 0o755)
    const { status, stdout } = await root.cli('repair --dry-run')
    expect({ status, stdout }).toEqual({
      status: 0,
      stdout: expect.stringMatching(/^PLANNED +FAULT .*\nchmod +WRONG_MODE +a /),
    })
    const repaired = await root.cli('repair')
    expect(repaired).toEqual({
      status: 0,
      stdout: expect.stringMatching(/^ACTION +FAULT .*\nchmod +WRONG_MODE +a /),
      stderr: '',
    })
    expect(await root.cli('repair')).toEqual({ status: 0, stdout: '', stderr: '' })
    expect((await root.cli('repair', { terminal: true })).stderr).toBe(`no fault in ${root.path}\n`)
    expect(await root.cli('check')).toMatchObject({ status: 0 })
  })
})
