// Shows whether two processes are inside something at once, without the store's locks: a process that is inside keeps a
// link that names it, and the child that it hands the sandbox to.
import { readFileSync, readlinkSync, renameSync, symlinkSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'

/** The machine's own view of its processes, which test/faults/other-host.ts leaves open for those that have another. */
const PROC = process.env.PROC_OF_HOST ?? '/proc'
/** Set in the flags of a process that has begun to exit; its locks are free only after that. */
const PF_EXITING = 4

/** The pid of this process outside of its pid namespace. */
export const self = Number(readlinkSync(`${PROC}/self`))

/** The process, and when it started; undefined when it has ended, or is about to. */
function nameOf(pid) {
  try {
    const fields = readFileSync(`${PROC}/${pid}/stat`, 'utf8').split(') ')[1].split(' ')
    const [state, flags, start] = [fields[0], Number(fields[6]), fields[19]]
    return state === 'Z' || state === 'X' || (flags & PF_EXITING) !== 0 ? undefined : `${pid}:${start}`
  } catch {
    return undefined
  }
}

const isAlive = name => nameOf(name.split(':', 1)[0]) === name

/** The pid of a child outside of this pid namespace. */
function outerPid(pid) {
  if (self === process.pid) return pid
  const children = readFileSync(`${PROC}/${self}/task/${self}/children`, 'utf8').trim().split(' ')
  return children.find(child => readFileSync(`${PROC}/${child}/status`, 'utf8').includes(`\t${pid}\n`))
}

export class Witness {
  constructor(folder) {
    this.folder = folder
    this.me = nameOf(self)
  }

  /** @returns those who are inside, which nobody should be */
  enter(what) {
    const link = join(this.folder, what)
    try {
      symlinkSync(this.me, link)
      return []
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
    }
    const others = this.inside(what).filter(isAlive)
    this.replace(link, [this.me])
    return others
  }

  /** A child is inside, too. */
  share(what, pid) {
    this.replace(join(this.folder, what), [this.me, nameOf(outerPid(pid))])
  }

  /** @returns whether nobody else has entered meanwhile */
  leave(what) {
    const [first] = this.inside(what)
    if (first === this.me) unlinkSync(join(this.folder, what))
    return first === this.me
  }

  inside(what) {
    try {
      return readlinkSync(join(this.folder, what)).split(' ')
    } catch {
      return [] // Somebody else was inside, and left.
    }
  }

  replace(link, names) {
    const temporary = `${link}.${self}`
    symlinkSync(names.filter(Boolean).join(' '), temporary)
    renameSync(temporary, link)
  }
}
