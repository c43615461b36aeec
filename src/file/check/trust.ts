import { fstatSync, type Stats } from 'node:fs'
import { FILE_MODE, FOLDER_MODE } from '../layout.js'
import type { Dir } from '../posix/dir.js'
import { isMountPoint } from '../posix/file-stat.js'

/**
 * Whose files belong below a root, and which modes let nobody else in. Kata's are accepted: under the usual umask its files
 * are 0644, but in a folder of 0750.
 */
export class Trust {
  /** The owner of the root, and the user who checks. */
  readonly uids: ReadonlySet<number>
  /**
   * The group with which the root is shared on purpose: it is set-group-ID and that group may write in it, as in a volume
   * with Kubernetes' fsGroup.
   */
  private readonly gid: number | undefined

  constructor(root: Dir) {
    const { uid, gid, mode } = fstatSync(root.fd)
    this.uids = new Set([uid, process.geteuid?.() ?? uid])
    this.gid = (mode & 0o2020) === 0o2020 ? gid : undefined
  }

  /** The bits that are too many or missing in a folder's mode; 0 if it is right. */
  faultyBitsOfFolder(dir: Dir, stat: Stats): number {
    // A new filesystem lets others list its root.
    const widest = stat.gid === this.gid ? 0o775 : isMountPoint(dir.fd) ? 0o755 : 0o750
    return (stat.mode & 0o777 & ~widest) | (FOLDER_MODE & ~stat.mode) // The set-ID and sticky bits let nobody in.
  }

  /** The same for a file, which is reached only by those whom its folder lets in; by anyone, if it has another name elsewhere. */
  faultyBitsOfFile(stat: Stats, folder: Stats): number {
    const doors = stat.nlink > 1 ? 0o011 : folder.mode
    const reach = ((doors & 0o010) !== 0 ? 0o060 : 0) | ((doors & 0o001) !== 0 ? 0o006 : 0)
    const widest = stat.gid === this.gid ? 0o660 : 0o640
    return (stat.mode & (reach | 0o7000) & ~widest) | (FILE_MODE & ~stat.mode)
  }

  /** The bits that are too many in the mode of the root, or of the quarantine. */
  faultyBitsOfRoot(stat: Stats): number {
    return stat.mode & (stat.gid === this.gid ? 0o002 : 0o022)
  }

  /** Whether we may set its mode. A file that has another name elsewhere, or another owner, is not ours alone. */
  mayChangeMode(stat: Stats): boolean {
    const me = process.geteuid?.() ?? stat.uid
    return (
      this.uids.has(stat.uid) && (me === 0 || me === stat.uid) && (stat.isDirectory() || stat.nlink === 1)
    )
  }
}
