import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { Authority } from '../support/certificates.js'
import { describeEtcd, program, TestEtcd } from '../support/etcd.js'
import { temporaryFolder } from '../support/root.js'
import { openTestStore } from '../support/store.js'

const text = readFileSync(new URL('../../docs/etcd.md', import.meta.url), 'utf8')

/** The commands as they stand there, with other ports. */
function startCommands(name: string, base: number): string {
  const [, commands] = new RegExp(`<!-- start: ${name} -->\n\`\`\`sh\n(.*?)\`\`\``, 's').exec(text) ?? []
  if (commands === undefined) throw new Error(`no start commands for ${name}`)
  return commands.replaceAll('2379', String(base)).replaceAll('2380', String(base + 1))
}

describeEtcd('the start commands of docs/etcd.md', () => {
  test.each([
    ['one', (base: number) => `127.0.0.1:${base}`],
    ['three', (base: number) => [1, 2, 3].map(n => `127.0.0.1:${n}${base}`).join()],
  ])('start %s', async (name, hosts) => {
    // Up to 32376 for the third member: below the ports that the kernel chooses for other tests.
    const base = 1024 + 2 * Math.floor(Math.random() * 676)
    const shell = spawn('sh', ['-c', startCommands(name, base)], {
      cwd: temporaryFolder(),
      stdio: 'ignore',
      detached: true,
    })
    await once(shell, 'spawn')
    const { pid } = shell
    if (pid === undefined) throw new Error('a shell that was started has a pid')
    // The shell leads a process group of its own, which is only ours. (-0 would be the group of this process.)
    onTestFinished(() => void process.kill(-pid, 'SIGKILL'))
    const store = await openTestStore(`etcd://${hosts(base)}/docs`, { lockTimeout: 20_000 })
    await store.create('a')
    expect((await store.transition('a', 'ready', 'running')).state).toBe('running')
  })
})

/** The programs as they stand there. */
const programs = Array.from(text.matchAll(/^```js\n(.*?)^```$/gms), ([, program = '']) => program)

/** Runs a program of the document with a store that it opens and what is to be done with it. */
function runProgram(before: string, program: string, after: string): string {
  return execFileSync(process.execPath, ['--input-type=module'], {
    cwd: fileURLToPath(new URL('.', import.meta.url)),
    encoding: 'utf8',
    input: ["import { openStore } from 'sandbox-state'", before, program, after, 'await store.close()'].join(
      '\n',
    ),
  })
}

describeEtcd('the first program of docs/etcd.md', () => {
  let etcd: TestEtcd
  beforeAll(async () => {
    etcd = await TestEtcd.ready()
  })
  afterAll(() => etcd.stop())

  test('opens a store', () => {
    const opening = programs[0]?.replace('127.0.0.1:2379', etcd.hosts) ?? ''
    expect(runProgram('', opening, "console.log((await store.create('a')).state)")).toBe('ready\n')
  })
})

const openssl = spawnSync('openssl', ['version']).status === 0

describe.skipIf(!openssl)(`docs/etcd.md${openssl ? '' : ' (skipped: there is no openssl)'}`, () => {
  test('names the options that a store takes', () => {
    const { ca } = new Authority(temporaryFolder())
    const given = `const [ca, cert, key, user, password] = ${JSON.stringify([ca.cert, ca.cert, ca.key, 'a', 'b'])}`
    expect(runProgram(given, programs[1] ?? '', "console.log('opened')")).toBe('opened\n')
  })

  test('makes a request for a certificate that has no CN', () => {
    const folder = temporaryFolder()
    const [command = ''] = /^openssl req .*$/m.exec(text) ?? []
    execFileSync('sh', ['-c', command], { cwd: folder, stdio: 'ignore' })
    const asked = ['req', '-in', 'client.csr', '-noout', '-subject']
    const subject = execFileSync('openssl', asked, { cwd: folder, encoding: 'utf8' })
    expect(subject).toMatch(/O ?= ?sandboxes/)
    expect(subject).not.toContain('CN')
  })
})

const etcdctl = program('etcdctl') !== undefined

describeEtcd(
  `the commands for etcdctl of docs/etcd.md${etcdctl ? '' : ' (skipped: there is no etcdctl)'}`,
  () => {
    test.skipIf(!etcdctl)('make a user who may do what a store does, below its prefix', async () => {
      const etcd = await TestEtcd.ready()
      onTestFinished(() => etcd.stop())
      const env = { ...process.env, ETCDCTL_API: '3', ETCDCTL_ENDPOINTS: etcd.hosts }
      const [, commands = ''] = /```sh\n(etcdctl role add .*?)```/s.exec(text) ?? []
      // It asks a terminal for the password, twice.
      const inTerminal = ['-qec', `set -e\n${commands}`, '/dev/null']
      execFileSync('script', inTerminal, {
        env,
        input: 'secret\nsecret\n',
        stdio: ['pipe', 'ignore', 'inherit'],
      })
      for (const words of ['user add root:root', 'user grant-role root root', 'auth enable']) {
        execFileSync('etcdctl', words.split(' '), { env, stdio: ['ignore', 'ignore', 'inherit'] })
      }
      const options = { etcd: { user: 'keeper', password: 'secret' } }
      const store = await openTestStore(`etcd://${etcd.hosts}/sandboxes`, options)
      await store.create('a')
      expect((await store.transition('a', 'ready', 'running')).state).toBe('running')
      await (await store.own('a')).release()
      const elsewhere = await openTestStore(`etcd://${etcd.hosts}/others`, options)
      await expect(elsewhere.create('a')).rejects.toMatchObject({
        code: 'IO_ERROR',
        message: expect.stringContaining('permission denied'),
      })
    })
  },
)
