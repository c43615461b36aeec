import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { openStore } from 'sandbox-state'
import { expect, onTestFinished, test } from 'vitest'
import { describeEtcd } from '../support/etcd.js'
import { temporaryFolder } from '../support/root.js'

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
    const base = 3000 + 2 * Math.floor(Math.random() * 3000)
    const shell = spawn('sh', ['-c', startCommands(name, base)], {
      cwd: temporaryFolder(),
      stdio: 'ignore',
      detached: true,
    })
    const { pid = 0 } = shell
    // The shell leads a process group of its own, which is only ours.
    onTestFinished(() => void process.kill(-pid, 'SIGKILL'))
    const store = await openStore(`etcd://${hosts(base)}/docs`, { lockTimeout: 20_000 })
    onTestFinished(() => store.close())
    await store.create('a')
    expect((await store.transition('a', 'ready', 'running')).state).toBe('running')
  })
})
