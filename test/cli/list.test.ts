import { describe, expect, it } from 'vitest'
import { HOSTILE, Root, stateText, UNPRINTABLE } from './support.js'

const DAY = 24 * 60 * 60 * 1000

/** Three good sandboxes, and two that cannot be read. */
async function someSandboxes(): Promise<Root> {
  const root = new Root()
  await root.done(
    'create web --cgroup-path /kata/web --block-index 12 --memory-block-size 128 --hotplug-probe',
  )
  await root.done('create db')
  await root.done('create cache --label team=x --label app=cache')
  await root.done('transition db running')
  root.put('bad', 'nonsense')
  root.put('odd', '{"state":"asleep"}')
  return root
}

const message = (root: Root, id: string, fault: string) => `${root.path}/${id}/state.json: ${fault}`
const BAD = `not a JSON object: Unexpected token 'o', "nonsense" is not valid JSON`
const ODD = 'state must be one of ready, running, paused, stopped, found "asleep"'

describe('list', () => {
  it('prints a table, with what cannot be read as rows, and then exits with 1', async () => {
    const root = await someSandboxes()
    for (const id of ['cache', 'db', 'web']) root.age(id, 3 * DAY)
    const stdout = `ID     STATE          CHANGED  OWNER  LABELS
bad    CORRUPT_STATE  state.json: ${BAD}
cache  ready               3d  -      app=cache,team=x
db     running             3d  -      -
odd    INVALID_STATE  state.json: ${ODD}
web    ready               3d  -      -
`
    expect(await root.cli('list')).toEqual({ status: 1, stdout, stderr: '' })
    expect(await root.cli('list --format table')).toEqual({ status: 1, stdout, stderr: '' })
  })

  it("shows Kata's fields when asked", async () => {
    const root = await someSandboxes()
    for (const id of ['cache', 'db', 'web']) root.age(id, 3 * DAY)
    const stdout = `ID     STATE          CHANGED  OWNER  BLOCK-INDEX  MEMORY-BLOCK  HOTPLUG-PROBE  CGROUP-PATH  LABELS
bad    CORRUPT_STATE  state.json: ${BAD}
cache  ready               3d  -                0             0  no             -            app=cache,team=x
db     running             3d  -                0             0  no             -            -
odd    INVALID_STATE  state.json: ${ODD}
web    ready               3d  -               12           128  yes            /kata/web    -
`
    expect(await root.cli('list --wide')).toEqual({ status: 1, stdout, stderr: '' })
  })

  it('prints those with a label, and those that have not changed for long', async () => {
    const root = new Root()
    await root.done('create a --label team=x --label tier=1')
    await root.done('create b --label team=x')
    await root.done('create c')
    root.age('b', 2 * DAY)
    root.age('c', 3 * DAY)
    const ids = async (options: string) =>
      (await root.done(`list --format ids ${options}`)).split('\n').join('')
    expect(await ids('--label team=x')).toBe('ab')
    expect(await ids('--label team=x --label tier=1')).toBe('a')
    expect(await ids('--label team=')).toBe('')
    expect(await ids('--older-than 1d')).toBe('bc')
    expect(await ids('--older-than 2.5d')).toBe('c')
    expect(await ids('--older-than 0s --label team=x')).toBe('ab')
    expect(await ids(`--older-than ${'9'.repeat(400)}d`)).toBe('')
    const { stderr } = await root.cli('list --label team=y', { terminal: true })
    expect(stderr).toBe(`no such sandboxes in ${root.path}\n`)
  })

  it('prints one array of JSON', async () => {
    const root = await someSandboxes()
    const { status, stdout, stderr } = await root.cli('list --format json')
    expect({ status, stderr }).toEqual({ status: 1, stderr: '' })
    const changed = { changedAt: expect.stringMatching(/^\d{4}-.+Z$/), revision: expect.stringMatching(/./) }
    const labels = { app: 'cache', team: 'x' }
    const zero = { blockIndex: 0, guestMemoryBlockSize: 0, guestMemoryHotplugProbe: false }
    expect(JSON.parse(stdout)).toEqual([
      { id: 'bad', error: { code: 'CORRUPT_STATE', message: message(root, 'bad', BAD) } },
      { id: 'cache', state: { state: 'ready', ...zero, labels }, ...changed },
      { id: 'db', state: { state: 'running', ...zero }, ...changed },
      { id: 'odd', error: { code: 'INVALID_STATE', message: message(root, 'odd', ODD) } },
      { id: 'web', state: root.file('web'), ...changed },
    ])
    expect(await root.cli('list --json')).toEqual({ status, stdout, stderr })
  })

  it('tells a person that no sandbox is in that state', async () => {
    const root = new Root()
    await root.done('create a')
    const { stderr } = await root.cli('list --state paused', { terminal: true })
    expect(stderr).toBe(`no sandboxes that are paused in ${root.path}\n`)
  })

  it('prints ids, and also on stderr those that cannot be read', async () => {
    const root = await someSandboxes()
    expect(await root.cli('list --format ids')).toEqual({
      status: 1,
      stdout: 'bad\ncache\ndb\nodd\nweb\n',
      stderr: `sandbox-state: CORRUPT_STATE: ${message(root, 'bad', BAD)}
sandbox-state: INVALID_STATE: ${message(root, 'odd', ODD)}
`,
    })
  })

  it('prints those in one state, and exits with 0 when all can be read', async () => {
    const root = new Root()
    for (const id of ['a', 'b', 'c']) await root.done(`create ${id}`)
    await root.done('transition b running')
    expect(await root.done('list --state running --format ids')).toBe('b\n')
    expect(await root.done('list --state ready --format ids')).toBe('a\nc\n')
    expect(await root.done('list --state paused --format ids')).toBe('')
    expect(JSON.parse(await root.done('list --state running --format json'))).toMatchObject([{ id: 'b' }])
  })

  it('prints what cannot be read, whatever state is asked for', async () => {
    const root = await someSandboxes()
    const { status, stdout } = await root.cli('list --state paused --format json')
    expect(status).toBe(1)
    expect(JSON.parse(stdout)).toMatchObject([{ id: 'bad' }, { id: 'odd' }])
  })

  it('says nothing of no sandboxes, except to a person', async () => {
    const root = new Root()
    expect(await root.cli('list')).toEqual({ status: 0, stdout: '', stderr: '' })
    expect(await root.cli('list --format ids')).toEqual({ status: 0, stdout: '', stderr: '' })
    expect(await root.cli('list --format json')).toEqual({ status: 0, stdout: '[]\n', stderr: '' })
    const seen = await root.cli('list', { terminal: true })
    expect(seen).toEqual({
      status: 0,
      stdout: '',
      stderr: `no sandboxes in ${root.path}, which does not exist yet\n`,
    })
  })

  it('is coloured on a terminal, unless NO_COLOR or a dumb one forbids it', async () => {
    const root = await someSandboxes()
    for (const id of ['cache', 'db', 'web']) root.age(id, DAY)
    const plain = (await root.cli('list')).stdout
    const { stdout } = await root.cli('list', { terminal: true })
    expect(stdout).toContain('db     \u001b[32mrunning\u001b[0m ')
    expect(stdout).toContain('bad    \u001b[31mCORRUPT_STATE\u001b[0m  ')
    expect(stdout.replaceAll(/\u001b\[\d+m/g, '')).toBe(plain)
    for (const env of [{ NO_COLOR: '1' }, { TERM: 'dumb' }]) {
      expect((await root.cli('list', { terminal: true, env })).stdout).toBe(plain)
    }
    expect((await root.cli('list', { terminal: true, env: { NO_COLOR: '' } })).stdout).toBe(stdout)
  })

  it('never prints what a terminal could obey', async () => {
    const root = new Root()
    root.put('a', stateText({ cgroupPath: `/x${HOSTILE}` }))
    root.put('b', stateText({ [HOSTILE]: HOSTILE }))
    root.put('c', JSON.stringify({ state: HOSTILE }))
    root.put('d', HOSTILE)
    root.put('e', stateText({ labels: { l: HOSTILE }, data: HOSTILE }))
    for (const options of ['--format table', '--wide', '--format json', '--format ids']) {
      const { stdout, stderr } = await root.cli(`list ${options}`)
      expect(stdout + stderr).not.toMatch(UNPRINTABLE)
    }
    const { stdout } = await root.cli('list --wide')
    expect(stdout.split('\n')).toHaveLength(1 + 5 + 1)
    expect(stdout).toContain('/x\\u001b[31mred\\u0007')
    expect(stdout).toContain('  l=\\u001b[31mred\\u0007')
    const [a, b] = JSON.parse((await root.cli('list --format json')).stdout)
    expect(a.state.cgroupPath).toBe(`/x${HOSTILE}`)
    expect(b.state[HOSTILE]).toBe(HOSTILE)
  })

  it('goes on after a state that can be read but is too long when it is printed', async () => {
    const root = new Root()
    await root.done('create z')
    root.put('long', stateText({ cgroupPath: '<'.repeat(500_000) }))
    const { status, stdout } = await root.cli('list --format json')
    expect(status).toBe(1)
    expect(JSON.parse(stdout)).toMatchObject([{ id: 'long', error: { code: 'INVALID_STATE' } }, { id: 'z' }])
  })

  it('changes nothing', async () => {
    const root = await someSandboxes()
    const before = root.snapshot()
    for (const format of ['table', 'json', 'ids']) await root.cli(`list --format ${format}`)
    expect(root.snapshot()).toEqual(before)
  })

  it('fails when the root is no folder', async () => {
    const { status, stdout, stderr } = await new Root('/dev/null').cli('list --format json')
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
    expect(JSON.parse(stderr)).toMatchObject({ code: 'IO_ERROR' })
  })
})
