// Prints docs/demo.svg, a recording of a terminal: npm run build && node docs/demo.mjs > docs/demo.svg
// The commands are run on a temporary root. Of what they print, only pids and times are replaced.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { drawTerminal } from './terminal.mjs'

const folder = mkdtempSync(join(tmpdir(), 'sandbox-state-demo-'))
const program = join(folder, 'program', 'sandbox-state')
mkdirSync(join(folder, 'program'))
symlinkSync(fileURLToPath(new URL('../dist/cli/bin.js', import.meta.url)), program)
const script = (name, line) => writeFileSync(join(folder, name), `#!/bin/sh\n${line}\n`, { mode: 0o755 })
script('sandbox-state', `exec '${process.execPath}' '${program}' "$@"`)
script('vm.sh', 'echo $$ > pid\nexec sleep 60')
const env = { SANDBOX_STATE_ROOT: join(folder, 'root'), PATH: `${folder}${delimiter}${process.env.PATH}` }

/** Runs a command line to its end; returns what it prints. */
const run = line => spawnSync('sh', ['-c', line], { cwd: folder, env, encoding: 'utf8' }).stdout

async function until(isSo) {
  while (!isSo()) await setTimeout(20)
}

const scenes = []
const record = (line, output = '', remark = undefined) => scenes.push({ line, output, remark })
const show = line => record(line, run(line))

let vm
const starting = 'sandbox-state run web-1 --create -- ./vm.sh'
const supervisor = spawn('sh', ['-c', `exec ${starting}`], { cwd: folder, env, stdio: 'ignore' })
try {
  record(`${starting} &`)
  await until(
    () => existsSync(join(folder, 'pid')) && readFileSync(join(folder, 'pid'), 'utf8').endsWith('\n'),
  )
  vm = Number(readFileSync(join(folder, 'pid'), 'utf8'))
  show('sandbox-state list')
  record(`kill -9 ${supervisor.pid}`, '', 'the supervisor dies, the VM runs on and still owns web-1')
  supervisor.kill('SIGKILL')
  await once(supervisor, 'exit')
  show('sandbox-state list')
  record(`kill -9 ${vm}`, '', 'the VM dies, and nobody is there to notice')
  process.kill(vm, 'SIGKILL')
  let orphans
  await until(() => {
    orphans = run('sandbox-state orphans')
    return orphans.includes('web-1')
  })
  record('sandbox-state orphans', orphans)
  show('sandbox-state reap')
  // Cut once its times have their widths.
  record('sandbox-state history web-1 | cut -c38-', run('sandbox-state history web-1'))
} finally {
  supervisor.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
}

/** The same pids in each recording, in the order in which they appear; and the same times. */
const pids = new Map([
  [String(supervisor.pid), '4711'],
  [String(vm), '4712'],
])
function replace(text) {
  return text
    .replaceAll(/(?<=pid |kill -9 )\d+/g, pid => pids.get(pid) ?? '4800')
    .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/g, '2026-11-26T09:00:00')
    .replaceAll(/\.\d{3}Z/g, '.000Z')
    .replaceAll(/\b[\d.]+[sm] ago/g, '1.0s ago')
    .replaceAll(/\b\d+[sm]\b(?! ago)/g, '1s')
}

/** Pads the columns of a table anew, as what is in them has another width now. */
function align(table) {
  const rows = table
    .trimEnd()
    .split('\n')
    .map(line => line.trim().split(/ {2,}/))
  const widths = rows[0].map((_, column) => Math.max(...rows.map(row => row[column].length)))
  const pad = (cell, column) =>
    ['SEQ', 'CHANGED'].includes(rows[0][column]) ? cell.padStart(widths[column]) : cell.padEnd(widths[column])
  return rows.map(row => row.map(pad).join('  ').trimEnd()).join('\n')
}

/** What cut(1) does, if the command line ends with it. */
function cut(line, table) {
  const [, from = '1'] = /cut -c(\d+)-$/.exec(line) ?? []
  return table.replaceAll(/^.*$/gm, row => row.slice(Number(from) - 1))
}

process.stdout.write(
  drawTerminal({
    title: 'A sandbox whose supervisor and VM are killed',
    description:
      'A terminal. sandbox-state run starts a VM. The supervisor is killed: list shows that the sandbox is still owned. ' +
      'The VM is killed: orphans lists the sandbox, reap stops it, and its history says why.',
    scenes: scenes.map(({ line, output, remark }) => ({
      line: replace(line),
      remark,
      output: output && cut(line, align(replace(output))),
    })),
  }),
)
