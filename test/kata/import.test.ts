import { cpSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { stateFromPersist } from '#src/kata/persist.js'
import { Root } from '../cli/support.js'
import { stateError } from '../state/support.js'
import { picture } from '../support/picture.js'
import { temporaryFolder } from '../support/root.js'

const FIXTURES = fileURLToPath(new URL('../../fixtures/kata/', import.meta.url))
const MINIMAL = { State: 'ready' }

/** The folder of a Kata with the sandboxes ready, running, stopped and todisk. */
function kata(): string {
  const folder = temporaryFolder()
  for (const version of ['1.11.0', '4.1.0']) cpSync(join(FIXTURES, version), folder, { recursive: true })
  return folder
}

function put(folder: string, id: string, content: string): void {
  mkdirSync(join(folder, id))
  writeFileSync(join(folder, id, 'persist.json'), content)
}

describe('the state in a persist.json', () => {
  test.each([
    ['nonsense', 'CORRUPT_STATE'],
    ['{"State":"ready"', 'CORRUPT_STATE'],
    ['null', 'CORRUPT_STATE'],
    ['[]', 'CORRUPT_STATE'],
    [{}, 'INVALID_STATE: State'],
    [{ State: '' }, 'INVALID_STATE: State'],
    [{ State: 'creating' }, 'INVALID_STATE: State'],
    [{ state: 'ready' }, 'INVALID_STATE: State'],
    [{ ...MINIMAL, GuestMemoryBlockSizeMB: -1 }, 'INVALID_STATE: GuestMemoryBlockSizeMB'],
    [{ ...MINIMAL, GuestMemoryHotplugProbe: 1 }, 'INVALID_STATE: GuestMemoryHotplugProbe'],
    [{ ...MINIMAL, CgroupPath: 7 }, 'INVALID_STATE: CgroupPath'],
    [{ ...MINIMAL, HypervisorState: { BlockIndex: 1.5 } }, 'INVALID_STATE: HypervisorState.BlockIndex'],
    [{ ...MINIMAL, HypervisorState: { BlockIndexMap: { a: {} } } }, 'INVALID_STATE: HypervisorState'],
  ])('is missing or wrong in %j', (persist, expected) => {
    const text = typeof persist === 'string' ? persist : JSON.stringify(persist)
    const { code, message } = stateError(() => stateFromPersist(text))
    expect(`${code}: ${message}`).toContain(expected)
  })

  test('needs nothing but the state', () => {
    expect(stateFromPersist(JSON.stringify(MINIMAL))).toMatchObject({ state: 'ready' })
  })
})

describe('import kata', () => {
  test('takes over every sandbox, touches none of the files, and may be started again', async () => {
    const folder = kata()
    put(folder, 'other', 'x')
    mkdirSync(join(folder, 'empty'))
    const before = picture(folder)
    const root = new Root()
    const first = await root.cli(`import kata ${folder} --format json`)
    expect(first.status).toBe(1)
    expect(JSON.parse(first.stderr)).toMatchObject({
      code: 'CORRUPT_STATE',
      message: expect.stringMatching(/other\/persist\.json: it is not JSON$/),
    })
    expect(JSON.parse(first.stdout)).toMatchObject({
      copied: 4,
      same: 0,
      failed: [{ id: 'other', error: { code: 'CORRUPT_STATE' } }],
    })
    expect(picture(folder)).toEqual(before)
    expect(await root.done('list --format ids')).toBe('ready\nrunning\nstopped\ntodisk\n')
    expect(JSON.parse(await root.done('state running'))).toMatchObject({ state: 'running', blockIndex: 2 })
    const again = await root.cli(`import kata ${folder} --format json`)
    expect(JSON.parse(again.stdout)).toMatchObject({ copied: 0, same: 4 })
  })

  test('overwrites nothing, and then imports nothing', async () => {
    const folder = kata()
    const root = new Root()
    await root.done('create running')
    const { status, stderr } = await root.cli(`import kata ${folder}`)
    expect(status).toBe(1)
    expect(stderr).toMatch(/^sandbox-state: ALREADY_EXISTS: .*running/)
    expect(await root.done('list --format ids')).toBe('running\n')
  })

  test('follows no link, and names what it cannot read', async () => {
    const folder = temporaryFolder()
    const elsewhere = kata()
    symlinkSync(join(elsewhere, 'running'), join(folder, 'linked'))
    mkdirSync(join(folder, 'inside'))
    symlinkSync(join(elsewhere, 'running', 'persist.json'), join(folder, 'inside', 'persist.json'))
    put(folder, 'large', ' '.repeat(5 * 1024 * 1024))
    const root = new Root()
    const { status, stdout } = await root.cli(`import kata ${folder} --format json`)
    expect(status).toBe(1)
    const { copied, failed } = JSON.parse(stdout) as { copied: number; failed: { id: string }[] }
    expect({ copied, ids: failed.map(({ id }) => id) }).toEqual({
      copied: 0,
      ids: ['inside', 'large', 'linked'],
    })
    expect(await root.done('list --format ids')).toBe('')
  })

  test('is refused for a folder in which Kata keeps nothing', async () => {
    const root = new Root()
    const wrong = temporaryFolder()
    expect((await root.cli(`import kata ${wrong}`)).status).toBe(0) // It may have no sandboxes just now.
    mkdirSync(join(wrong, 'photos'))
    for (const line of [`import kata ${wrong}`, `import kata ${wrong} --dry-run`])
      expect(await root.cli(line)).toEqual({
        status: 1,
        stdout: '',
        stderr: `sandbox-state: NOT_FOUND: no folder in ${wrong} has a persist.json: it is not where Kata keeps its sandboxes\n`,
      })
  })

  test('is refused for a folder that does not exist, for the root itself and for another program', async () => {
    const root = new Root()
    for (const folder of ['/does/not/exist', 'etcd://127.0.0.1/kata'])
      expect(await root.cli(`import kata ${folder}`)).toMatchObject({
        status: 1,
        stderr: expect.stringMatching(/^sandbox-state: IO_ERROR: .*ENOENT/),
      })
    await root.done('create a')
    expect(await root.cli(`import kata ${root.path}/../root`)).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('import into another root'),
    })
    expect((await root.cli(`import podman ${root.path}`)).status).toBe(2)
    expect(readdirSync(root.path)).toEqual(['a'])
  })

  test('says on a terminal what it did', async () => {
    const root = new Root()
    const { stderr } = await root.cli(`import kata ${kata()}`, { terminal: true })
    expect(stderr).toContain('4 sandboxes imported, 0 there already\n')
  })

  test('says with --dry-run what it would take over, and changes nothing', async () => {
    const folder = kata()
    put(folder, 'other', 'x')
    const root = new Root()
    const before = picture(folder)
    const planned = await root.cli(`import kata ${folder} --dry-run`)
    expect(planned).toMatchObject({ status: 1, stderr: '' })
    expect(planned.stdout).toMatch(/^new +running +running +2 /m)
    expect(planned.stdout).toMatch(/^unreadable +other +CORRUPT_STATE .*persist\.json: it is not JSON$/m)
    expect(existsSync(root.path)).toBe(false)
    expect(picture(folder)).toEqual(before)

    await root.cli(`import kata ${folder}`)
    const again = await root.cli(`import kata ${folder} --dry-run --format json`)
    expect(JSON.parse(again.stdout)).toMatchObject([
      { id: 'other', outcome: 'unreadable', error: { code: 'CORRUPT_STATE' } },
      { id: 'ready', outcome: 'same' },
      { id: 'running', outcome: 'same', state: { state: 'running', blockIndex: 2 } },
      { id: 'stopped', outcome: 'same' },
      { id: 'todisk', outcome: 'same' },
    ])
  })
})
