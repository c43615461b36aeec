import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { nextMessage, startProgram } from '../support/program.js'
import { BIN, HOSTILE, linesOf, Root, startCli, UNPRINTABLE } from './support.js'
import { hasTmux, Tmux } from './tmux.js'

/** `watch` in a process of its own, and its lines. */
function startWatch(root: Root, ...argv: readonly string[]) {
  const child = startCli(['--root', root.path, 'watch', ...argv])
  return { child, next: linesOf(child.stdout) }
}

describe('watch, where there is no terminal', () => {
  it.each([[['--format', 'json']], [[]]])('prints a line for each event %j', async argv => {
    const root = new Root()
    await root.done('create a --block-index 9007199254740991')
    const { child, next } = startWatch(root, ...argv)
    const event = async () => JSON.parse(await next())
    const ready = root.file('a')
    expect(await event()).toEqual({ type: 'created', id: 'a', state: ready })
    await root.done('transition a running')
    const running = root.file('a')
    expect(await event()).toEqual({ type: 'changed', id: 'a', state: running, previous: ready })
    root.put('a', `{"state":${JSON.stringify(HOSTILE)}}`)
    const line = await next()
    expect(line).not.toMatch(UNPRINTABLE)
    expect(JSON.parse(line)).toEqual({
      type: 'error',
      id: 'a',
      error: { code: 'INVALID_STATE', message: expect.any(String) },
      previous: running,
    })
    await root.done('delete a --force')
    expect(await event()).toEqual({ type: 'deleted', id: 'a', previous: running })
    child.kill('SIGTERM')
    expect(await once(child, 'close')).toEqual([null, 'SIGTERM'])
  })

  it('follows only the sandbox that is asked for, from before it exists', async () => {
    const root = new Root()
    await root.done('create a')
    const { next } = startWatch(root, 'b')
    await root.done('create b')
    expect(JSON.parse(await next())).toMatchObject({ type: 'created', id: 'b' })
  })

  it('ends when the reader of its pipe or socket goes, though nothing else happens', async () => {
    const root = new Root()
    await root.done('create a')
    const { child, next } = startWatch(root)
    await next()
    child.stdout.destroy()
    expect(await once(child, 'exit')).toEqual([0, null])
    const piped = spawn('bash', [
      '-c',
      '"$0" "$1" --root "$2" watch | head -1',
      process.execPath,
      BIN,
      root.path,
    ])
    onTestFinished(() => void piped.kill('SIGKILL'))
    expect(await once(piped, 'exit')).toEqual([0, null])
  })

  it('refuses to draw a table', async () => {
    const root = new Root()
    for (const world of [{}, { terminal: true, env: { TERM: 'dumb' } }]) {
      const { status, stdout, stderr } = await root.cli('watch --format table', world)
      expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
      expect(stderr).toMatch(/^sandbox-state: USAGE: .*needs a terminal; elsewhere take --format json/)
    }
  })

  it('fails when the root is no folder', async () => {
    const { status, stdout, stderr } = await new Root('/dev/null').cli('watch --format json')
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
    expect(JSON.parse(stderr)).toMatchObject({ code: 'IO_ERROR' })
  })
})

/** A shell on a terminal, that was asked to watch. */
function watchOn(root: Root, columns: number, rows: number, more = ''): Tmux {
  const tmux = new Tmux(columns, rows)
  tmux.type(`${process.execPath} ${BIN} --root ${root.path} watch${more}; echo status=$?`, 'Enter')
  return tmux
}

/** Ends the view, and checks that the terminal is as it was before. */
async function quit(tmux: Tmux): Promise<void> {
  tmux.type('', 'C-c')
  await tmux.until(/Ctrl-C quits\^C\n(status=130|\$)$/m)
  await expectClean(tmux)
}

/** That the terminal has a cursor, and prints keys. */
async function expectClean(tmux: Tmux): Promise<void> {
  expect(tmux.show('#{alternate_on} #{cursor_flag} #{wrap_flag}')).toBe('0 1 1')
  tmux.type('clear; stty -a | tr -s " ;" "\\n" | grep -x -e "-*icanon" -e "-*echo" | xargs', 'Enter')
  await tmux.until(/^icanon echo$/m)
}

describe.skipIf(!hasTmux)(`watch on a terminal${hasTmux ? '' : ' (skipped: there is no tmux)'}`, () => {
  it('shows each sandbox, its state in colour, who changed it and who locks it, as they change', async () => {
    const root = new Root()
    for (const id of ['a', 'b', 'c']) await root.done(`create ${id}`)
    root.put('bad', 'nonsense')
    root.put('kata', '{"state":"paused"}')
    const anHourAgo = Date.now() / 1000 - 3600
    utimesSync(join(root.path, 'kata', 'state.json'), anHourAgo, anHourAgo)
    const tmux = watchOn(root, 120, 12)
    const lines = await tmux.until(/^c +ready +[\d.]+s +- +- +pid /m)
    expect(lines[0]).toBe(`${root.path}: 5 sandboxes`)
    expect(lines[2]).toMatch(/^ID +STATE +FOR +OWNER +LOCK HELD BY +LAST CHANGE BY +REASON$/)
    expect(lines[3]).toMatch(new RegExp(`^a +ready +[\\d.]+s +- +- +pid ${process.pid} \\(.+\\) +-$`))
    expect(lines[5]).toMatch(/^bad +CORRUPT_STATE +- +-( +-)*$/)
    expect(lines[7]).toMatch(/^kata +paused +1h \d+m( +-)+$/)
    expect(lines.at(-1)).toBe('Ctrl-C quits')

    await root.done(['transition', 'b', 'running', '--reason', `first \u001b[2J`])
    await tmux.until(/^b +running +[\d.]+s +- +- +pid .+ +first \\u001b\[2J$/m)
    expect(tmux.lines('-e').join('\n')).toContain('\u001b[32mrunning')
    const holder = startProgram('holder', [root.path, 'c'])
    await nextMessage(holder)
    await tmux.until(new RegExp(`^c +ready +[\\d.]+s +- +pid ${holder.pid} \\(`, 'm'))
    await root.done('delete a')
    const left = await tmux.until(/: 4 sandboxes$/m)
    expect(left.join('\n')).not.toMatch(/^a /m)
    // The clock goes on without any event.
    await tmux.until(/^b +running +([3-9]\.|\d\d|\d+m)/m)

    await quit(tmux)
  })

  it('shows who owns a sandbox, and that its owner died', async () => {
    const root = new Root()
    await root.done('create a')
    const tmux = watchOn(root, 80, 6)
    await tmux.until(/^a +ready +[\d.]+s +- +- +pid /m)
    const owner = startProgram('owner', [root.path])
    await nextMessage(owner)
    owner.send(['own', 'a'])
    await tmux.until(new RegExp(`^a +ready +[\\d.]+s +pid ${owner.pid} \\(node owner\\.mjs\\) +- `, 'm'))
    owner.kill('SIGKILL')
    await tmux.until(/^a +ready +[\d.]+s +orphaned +- /m)
    expect(tmux.lines('-e').join('\n')).toContain('\u001b[31morphaned')
    await quit(tmux)
  })

  it('says of a root and of a sandbox that they do not exist yet, until they do', async () => {
    const root = new Root()
    const tmux = watchOn(root, 120, 10, ' later')
    const lines = await tmux.until(/^no sandbox later yet$/m)
    expect(lines[0]).toBe(`${root.path}, which does not exist yet: 0 sandboxes`)
    await root.done('create later')
    expect((await tmux.until(/^later +ready/m))[0]).toBe(`${root.path}: 1 sandbox`)
    await quit(tmux)
  })

  it('is drawn anew for another size, and counts what does not fit', async () => {
    const root = new Root()
    for (let n = 10; n < 30; n++) await root.done(`create s${n}`)
    const tmux = watchOn(root, 100, 12)
    const lines = await tmux.until(/^s17 +ready .*\n12 more do not fit; Ctrl-C quits$/m)
    expect(lines).toHaveLength(12)
    tmux.resize(100, 30)
    const all = await tmux.until(/^s29 +ready/m)
    expect(all.slice(0, 3)).toEqual(lines.slice(0, 3))
    expect(all.at(-1)).toBe('Ctrl-C quits')
    tmux.resize(40, 6)
    const small = await tmux.until(/^18 more do not fit; Ctrl-C quits$/m)
    expect(small).toHaveLength(6)
    expect(small[3]).toMatch(/^s10 +ready +[\d.]+s/)
    tmux.resize(100, 12)
    await quit(tmux)
  })

  it.each([
    ['Ctrl-C', 130, (tmux: Tmux) => tmux.type('', 'C-c')],
    ['SIGTERM', 143, (tmux: Tmux) => process.kill(childOf(tmux), 'SIGTERM')],
  ])('leaves the terminal as it was after %s', async (_, status, end) => {
    const root = new Root()
    await root.done('create a')
    const tmux = watchOn(root, 90, 10)
    await tmux.until(/^a +ready/m)
    end(tmux)
    // A shell that gets no SIGINT of its own, as in raw mode, may stop its line all the same.
    await tmux.until(/^(status=\d+|\$)$/m)
    tmux.type('echo before=$?', 'Enter')
    const lines = await tmux.until(/^before=\d+$/m)
    expect(lines.join('\n')).toMatch(new RegExp(`^(status|before)=${status}$`, 'm'))
    await expectClean(tmux)
  })

  it('comes back after Ctrl-Z', async () => {
    const root = new Root()
    await root.done('create a')
    const tmux = watchOn(root, 90, 10)
    await tmux.until(/^a +ready/m)
    tmux.type('', 'C-z')
    await tmux.until(/Stopped/)
    await expectClean(tmux)
    tmux.type('fg', 'Enter')
    await tmux.until(/^a +ready/m)
    await quit(tmux)
  })

  it('ends with an error that is seen on the terminal', async () => {
    const tmux = watchOn(new Root('/dev/null'), 90, 10)
    await tmux.until(/^status=1$/m)
    expect(tmux.lines().join('\n')).toContain('sandbox-state: IO_ERROR: /dev/null is not a folder')
    await expectClean(tmux)
  })

  it('is lines of JSON on a terminal that can do nothing', async () => {
    const root = new Root()
    await root.done('create a')
    const tmux = new Tmux(120, 10)
    tmux.type(`TERM=dumb ${process.execPath} ${BIN} --root ${root.path} watch`, 'Enter')
    await tmux.until(/^\{"type":"created","id":"a"/m)
    tmux.type('', 'C-c')
  })
})

/** The process that the shell has started. */
function childOf(tmux: Tmux): number {
  const shell = tmux.show('#{pane_pid}')
  return Number(readFileSync(`/proc/${shell}/task/${shell}/children`, 'utf8').trim())
}
