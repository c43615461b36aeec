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

/** Which of some words was probably meant by another: one that it is the beginning of, or one slip away from. */
export function choiceMeant(given: string, choices: readonly string[]): string | undefined {
  const word = given.toLowerCase()
  return choices.find(choice => (word.length > 1 && choice.startsWith(word)) || isOneSlip(word, choice))
}

/** Whether two words are the same but for one letter: missing, another one, or swapped with the next. */
function isOneSlip(one: string, other: string): boolean {
  const shorter = Math.min(one.length, other.length)
  let start = 0
  while (start < shorter && one[start] === other[start]) start++
  let end = 0
  while (end < shorter - start && one.at(-1 - end) === other.at(-1 - end)) end++
  const a = one.slice(start, one.length - end)
  const b = other.slice(start, other.length - end)
  return Math.max(a.length, b.length) <= 1 || (a.length === 2 && b === a.split('').reverse().join(''))
}
