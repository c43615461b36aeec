import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'
import { basename } from 'node:path'
import { workerData } from 'node:worker_threads'

/** Identifies one process for ever: a pid is reused, a pid with its start time within one boot is not. */
export interface ProcessIdentity {
  readonly pid: number
  /** Clock ticks from boot to the process's start, field 22 of `/proc/PID/stat`; '' where there is no `/proc`. */
  readonly start: string
  /** The kernel's id of this boot; '' on systems without one. */
  readonly boot: string
  /** The number of the pid namespace in which `pid` counts; '' where it is not known. */
  readonly pidns?: string
  readonly host: string
  /** The program and its script, without its arguments, which could hold secrets. */
  readonly command: string
}

/** The data that our own worker threads start with; the program's threads have other data, or none. */
export interface ThreadData {
  readonly sandboxState: ProcessIdentity
}

let self: ProcessIdentity | undefined

/** This process. In a worker thread, too: the thread's own arguments would name the thread's file. */
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

/** Whether that process is alive; undefined when this one cannot know: on another host, or in another pid namespace. */
export function isAlive(process: ProcessIdentity): boolean | undefined {
  const me = thisProcess()
  if (process.host !== me.host || me.boot === '') return undefined
  if (process.boot !== me.boot) return false
  if (isInOtherPidNamespace(process)) return undefined
  return process.start !== '' && startTime(process.pid) === process.start
}

/** Whether its pid counts in another pid namespace, such as that of another container with the same host name. */
export function isInOtherPidNamespace({ pidns = '' }: ProcessIdentity): boolean {
  const { pidns: mine = '' } = thisProcess()
  return pidns !== '' && mine !== '' && pidns !== mine
}

/** The command of a running process, as {@link ProcessIdentity.command}; its script only if the program runs scripts. */
export function commandOfPid(pid: number): string | undefined {
  const [program = '', first = ''] = readProc(`${pid}/cmdline`).split('\0')
  const hasScript = INTERPRETER.test(basename(program)) && !first.startsWith('-')
  return plain(commandOf(hasScript ? [program, first] : [program]), 100) || undefined
}

/** Programs whose first argument is a script; that of others may be a secret. */
const INTERPRETER = /^(node|bun|deno|python|ruby|perl|php|sh$|bash|dash|zsh|ksh)/

function commandOf([program = '', script = '']: readonly string[]): string {
  return `${basename(program)} ${basename(script)}`.trim()
}

/** The name, field 2 of that file, may itself contain spaces and parentheses: so count from its end. */
function startTime(pid: number): string {
  const stat = readProc(`${pid}/stat`)
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
}

/** The number in a link such as `pid:[4026531836]`. */
function pidNamespace(): string {
  try {
    return /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0] ?? ''
  } catch {
    return ''
  }
}

/** The content of a file below `/proc`; '' when it cannot be read, or without `/proc`. */
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
