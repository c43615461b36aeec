import { statSync } from 'node:fs'
import { relative } from 'node:path'

/**
 * What a disk holds after a power cut, if the system does no more than POSIX promises: the content of a file is there
 * once the file was flushed, and a name in a folder once the folder was. Before that it may be there or not: each
 * name of a folder alone, and of a content any part. Real filesystems lose less; what survives here survives on all.
 */

/** A line of programs/trace.mjs. */
export type Call =
  | { readonly call: 'create' | 'mkdir'; readonly dir: number; readonly name: string; readonly ino: number }
  | { readonly call: 'write' | 'fsync'; readonly ino: number }
  | { readonly call: 'rename'; readonly dir: number; readonly from: string; readonly name: string }
  | { readonly call: 'remove'; readonly dir: number; readonly name: string }
  | { readonly call: 'acknowledged'; readonly acknowledged: string }

/** A file or a folder. An inode number may be given to another one once it is removed. */
interface Inode {
  /** Whether all of a file's content is flushed. */
  flushed: boolean
  readonly names: Map<string, Name>
}

/** A name in a folder. */
interface Name {
  /** What it stands for now; undefined when it does not exist. */
  now: Inode | undefined
  /** And what it may stand for after a power cut. */
  readonly maybe: Set<Inode | undefined>
}

class PosixDisk {
  private readonly inodes = new Map<number, Inode>()

  apply(call: Call): void {
    if (call.call === 'create' || call.call === 'mkdir') {
      const inode: Inode = { flushed: call.call === 'mkdir', names: new Map() }
      this.inodes.set(call.ino, inode)
      put(this.name(call.dir, call.name), inode)
    } else if (call.call === 'write') {
      this.inode(call.ino).flushed = false
    } else if (call.call === 'fsync') {
      flush(this.inode(call.ino))
    } else if (call.call === 'rename') {
      const from = this.name(call.dir, call.from)
      put(this.name(call.dir, call.name), from.now)
      put(from, undefined)
    } else if (call.call === 'remove') {
      put(this.name(call.dir, call.name), undefined)
    }
  }

  /** What a path may lead to after a power cut, from a folder that was there before the first call. */
  maybe(start: number, path: string): Set<Inode | undefined> {
    let reached = new Set<Inode | undefined>([this.inode(start)])
    for (const word of path.split('/')) {
      const next = [...reached].flatMap(folder => [...(folder?.names.get(word)?.maybe ?? [undefined])])
      reached = new Set(next)
    }
    return reached
  }

  /** What a path leads to now. */
  now(start: number, path: string): Inode | undefined {
    let inode: Inode | undefined = this.inode(start)
    for (const word of path.split('/')) inode = inode?.names.get(word)?.now
    return inode
  }

  /** One that is met for the first time, without having been made, was there before. */
  private inode(ino: number): Inode {
    const inode = this.inodes.get(ino) ?? { flushed: true, names: new Map() }
    this.inodes.set(ino, inode)
    return inode
  }

  private name(dir: number, name: string): Name {
    const { names } = this.inode(dir)
    const found = names.get(name) ?? { now: undefined, maybe: new Set([undefined]) }
    names.set(name, found)
    return found
  }
}

function put(name: Name, inode: Inode | undefined): void {
  name.now = inode
  name.maybe.add(inode)
}

function flush(inode: Inode): void {
  inode.flushed = true
  for (const name of inode.names.values()) {
    name.maybe.clear()
    name.maybe.add(name.now)
  }
}

/**
 * What is wrong with a trace of calls, were the power cut after any one of them: a state file that may be torn, an
 * acknowledged change that may be undone.
 * @param above an absolute path: a folder that was there before, with all sandboxes below it
 */
export function faultsOf(calls: readonly Call[], above: string): string[] {
  const start = statSync(above).ino
  const disk = new PosixDisk()
  const faults = new Set<string>()
  const sandboxes = new Set(calls.flatMap(call => (call.call === 'acknowledged' ? [call.acknowledged] : [])))
  const stateFile = (sandbox: string) => `${relative(above, sandbox)}/state.json`
  for (const call of calls) {
    disk.apply(call)
    if (call.call === 'acknowledged') {
      const now = disk.now(start, stateFile(call.acknowledged))
      const maybe = disk.maybe(start, stateFile(call.acknowledged))
      if ([...maybe].some(inode => inode !== now)) {
        faults.add(`${relative(above, call.acknowledged)}: an acknowledged change may be undone`)
      }
    }
    for (const sandbox of sandboxes) {
      if ([...disk.maybe(start, stateFile(sandbox))].some(inode => inode?.flushed === false)) {
        faults.add(`${relative(above, sandbox)}: the state file may be torn`)
      }
    }
  }
  return [...faults]
}
