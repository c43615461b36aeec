import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'
import { basename } from 'node:path'
import { workerData } from 'node:worker_threads'

/** Names one process for good: a pid is given again, a pid with its start time in one boot is not. */
export interface ProcessIdentity {
  readonly pid: number
  /** Clock ticks from boot to the process's start, field 22 of `/proc/PID/stat`; '' where there is no `/proc`. */
  readonly start: string
  /** The kernel's id of this boot; '' where there is none. */
  readonly boot: string
  /** The number of the pid namespace in which `pid` counts; '' where it is not known. */
  readonly pidns?: string
  readonly host: string
  /** The program and its script, without its arguments, which could hold secrets. */
  readonly command: string
}

/** What our own worker threads are started with; a program's threads have other data or none. */
export interface ThreadData {
  readonly sandboxState: ProcessIdentity
}

let self: ProcessIdentity | undefined

/** This process, also where a worker thread asks: its own arguments would name the thread's file. */
export function thisProcess(): ProcessIdentity {
  self ??= (workerData as Partial<ThreadData> | null | undefined)?.sandboxState ?? {
    pid: process.pid,
    start: startTime(process.pid),
    boot: readProc('sys/kernel/random/boot_id').trim(),
    pidns: pidNamespace(),
    host: plain(hostname(), 64),
    command: plain(commandOf(process.argv), 100),
  }
  return self
}

/** Whether that process lives; undefined when it cannot be known from here: another host, another pid namespace's `/proc`. */
export function isAlive(process: ProcessIdentity): boolean | undefined {
  const me = thisProcess()
  if (process.host !== me.host || me.boot === '') return undefined
  if (process.boot !== me.boot) return false
  if (isInOtherPidNamespace(process)) return undefined
  return process.start !== '' && startTime(process.pid) === process.start
}

/** As that of another container on this host, which may have this one's host name. */
export function isInOtherPidNamespace({ pidns = '' }: ProcessIdentity): boolean {
  const { pidns: mine = '' } = thisProcess()
  return pidns !== '' && mine !== '' && pidns !== mine
}

/** The command of a running process, as {@link ProcessIdentity.command}; a script only of what runs scripts. */
export function commandOfPid(pid: number): string | undefined {
  const [program = '', first = ''] = readProc(`${pid}/cmdline`).split('\0')
  const hasScript = INTERPRETER.test(basename(program)) && !first.startsWith('-')
  return plain(commandOf(hasScript ? [program, first] : [program]), 100) || undefined
}

/** Programs whose first argument is a script; another program's may be anything. */
const INTERPRETER = /^(node|bun|deno|python|ruby|perl|php|sh$|bash|dash|zsh|ksh)/

function commandOf([program = '', script = '']: readonly string[]): string {
  return `${basename(program)} ${basename(script)}`.trim()
}

/** Field 2 of that file, the name, may itself hold spaces and parentheses. */
function startTime(pid: number): string {
  const stat = readProc(`${pid}/stat`)
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
}

/** From a link to `pid:[4026531836]`. */
function pidNamespace(): string {
  try {
    return /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0] ?? ''
  } catch {
    return ''
  }
}

/** The content of a file below `/proc`; '' when there is none, or no `/proc`. */
export function readProc(path: string): string {
  try {
    return readFileSync(`/proc/${path}`, 'utf8')
  } catch {
    return ''
  }
}

function plain(text: string, length: number): string {
  return text.slice(0, length).replace(/[^\x20-\x7e]/g, '?')
}
