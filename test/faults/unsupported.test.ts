import { spawnSync } from 'node:child_process'
import { cpSync, readdirSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { copyLibrary } from '../support/copy.js'
import { temporaryFolder } from '../support/root.js'
import { noStrace } from '../support/strace.js'

// Where the store cannot work it says so before it makes anything.

const project = fileURLToPath(new URL('../../', import.meta.url))

test("koffi's native part is not installed", () => {
  const { index, packages } = copyLibrary()
  for (const name of ['koffi', '@koromix']) unlinkSync(join(packages, name))
  cpSync(join(project, 'node_modules', 'koffi'), join(packages, 'koffi'), { recursive: true })
  const library = join(index, '..')
  const imported = run(`import(${JSON.stringify(index)}).catch(({ name, code }) => console.log(name, code))`)
  expect(imported.stdout).toBe('StateStoreError UNSUPPORTED\n')
  const command = spawnSync(process.execPath, [join(library, 'cli', 'bin.js'), 'list'], { encoding: 'utf8' })
  expect(command).toMatchObject({ status: 1, stdout: '' })
  expect(command.stderr).toMatch(/^sandbox-state: UNSUPPORTED: koffi cannot be loaded .*: reinstall .*\n$/)
})

test('Deno', () => {
  const root = temporaryFolder()
  const program = `
    globalThis.Deno = {}
    const { openStore } = await import('sandbox-state')
    await openStore(${JSON.stringify(root)}).catch(({ code, message }) => console.log(code, message))`
  expect(run(program).stdout).toMatch(/^UNSUPPORTED .*Deno/)
  expect(readdirSync(root)).toEqual([])
})

if (noStrace !== undefined) console.warn(`flock(2) is not disabled: ${noStrace}`)

test.skipIf(noStrace !== undefined)('flock(2) that does nothing', () => {
  const root = temporaryFolder()
  const program = `
    const { openStore } = await import('sandbox-state')
    const store = await openStore(${JSON.stringify(root)})
    const outcome = call => call.then(() => 'done', ({ code, message }) => code + ' ' + message)
    for (const id of ['a', 'b']) console.log(await outcome(store.create(id)))`
  const withoutFlock = ['-f', '-qq', '-o', '/dev/null', '-e', 'trace=flock', '-e', 'inject=flock:retval=0']
  const { stdout } = run(program, 'strace', ...withoutFlock, process.execPath)
  expect(stdout.trimEnd().split('\n')).toEqual([
    expect.stringMatching(/^UNSUPPORTED flock\(2\) excludes nobody in /),
    expect.stringMatching(/^UNSUPPORTED flock\(2\) excludes nobody in /),
  ])
  expect(readdirSync(root)).toEqual([])
  expect(run(program).stdout).toBe('done\ndone\n')
  const own = `${program.split('for (')[0]}
    console.log(await outcome(store.own('a').then(owner => owner.release())))`
  const owned = run(own, 'strace', ...withoutFlock, process.execPath)
  expect(owned.stdout).toMatch(/^UNSUPPORTED flock\(2\) excludes nobody on .*owner/)
  expect(run(own).stdout).toBe('done\n')
})

function run(program: string, command = process.execPath, ...words: readonly string[]) {
  const args = [...words, '--input-type=module', '--eval', program]
  return spawnSync(command, args, { cwd: project, encoding: 'utf8' })
}
