/** What other programs, OCI runtimes among them, call what our commands do. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  ls: 'list',
  ps: 'list',
  get: 'state',
  show: 'state',
  inspect: 'state',
  cat: 'state',
  st: 'state',
  status: 'state',
  new: 'create',
  add: 'create',
  run: 'transition ID running',
  start: 'transition ID running',
  resume: 'transition ID running',
  unpause: 'transition ID running',
  pause: 'transition ID paused',
  stop: 'transition ID stopped',
  kill: 'transition ID stopped',
  set: 'update',
  edit: 'update',
  rm: 'delete',
  remove: 'delete',
  follow: 'watch',
  events: 'watch',
  log: 'history',
  logs: 'history',
  fsck: 'check',
  fix: 'repair',
  cp: 'copy',
  version: '--version',
}

/** What was probably meant by the name of a command that does not exist. */
export function commandMeant(name: string): string | undefined {
  return Object.hasOwn(ELSEWHERE, name) ? ELSEWHERE[name] : undefined
}
